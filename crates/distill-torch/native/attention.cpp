// Attention inside each row of a packed batch on the CPU, forward and backward: the kernels of attention_kernel.h over all
// heads and rows on libtorch's threads.

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "attention_kernel.h"
#include "guarded.h"

namespace distill {

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What libtorch itself uses here, ATEN_CPU_CAPABILITY included.
const std::string& capability() {
  static const std::string found = at::get_cpu_capability();
  return found;
}

bool multiplies_bf16() {
#if defined(__x86_64__)
  static const bool found = capability() == "AVX512" && __builtin_cpu_supports("avx512bf16");
  return found;
#else
  return false;
#endif
}

template <typename Number>
const AttentionKernel<Number>& kernel();

template <>
const AttentionKernel<float>& kernel() {
#if defined(__x86_64__)
  if (capability() == "AVX512") return attention_kernel_avx512_f32;
  if (capability() == "AVX2") return attention_kernel_avx2_f32;
#endif
  return attention_kernel_baseline_f32;
}

template <>
const AttentionKernel<Bf16>& kernel() {
#if defined(__x86_64__)
  if (multiplies_bf16()) return attention_kernel_avx512_bf16;
#endif
  TORCH_CHECK(false, "attention in bf16 on a processor that does not multiply it");
}

// The rows of a batch and how their weights are dropped; the same forward and backward.
struct Plan {
  std::vector<int64_t> starts;  // of each row's tokens, and their number last
  bool one_query;               // each row's first token asks alone
  int64_t reach;                // how many tokens away a token sees; below 0: its whole row
  double probability;
  uint64_t seed, position;

  int64_t rows() const { return static_cast<int64_t>(starts.size()) - 1; }
  int64_t queries(int64_t row) const { return one_query ? 1 : starts[row + 1] - starts[row]; }
  int64_t first_query(int64_t row) const { return one_query ? row : starts[row]; }
  int64_t seen_by_one(int64_t row) const {
    const int64_t keys = starts[row + 1] - starts[row];
    return reach < 0 ? keys : std::min(keys, 2 * reach + 1);
  }
};

template <typename Number>
Number* numbers(const Tensor& x) {
  return static_cast<Number*>(x.mutable_data_ptr());
}

template <typename Number>
Number* at_token(const Tensor& x, int64_t token, int64_t head) {
  return numbers<Number>(x) + token * x.stride(0) + head * x.stride(1);
}

template <typename Number>
AttentionHead<Number> head_of(const Plan& plan, const Tensor& query, const Tensor& key, const Tensor& value, int64_t row,
                              int64_t head) {
  AttentionHead<Number> out{};
  out.queries = plan.queries(row);
  out.keys = plan.starts[row + 1] - plan.starts[row];
  out.size = query.size(2);
  out.reach = plan.reach;
  out.query_stride = query.stride(0);
  out.key_stride = key.stride(0);
  out.value_stride = value.stride(0);
  out.out_stride = query.size(1) * query.size(2);
  out.query = at_token<Number>(query, plan.first_query(row), head);
  out.key = at_token<Number>(key, plan.starts[row], head);
  out.value = at_token<Number>(value, plan.starts[row], head);
  if (plan.probability > 0) {
    const double steps = 1 << kDropoutBits;
    const double dropped = std::min(std::round(plan.probability * steps), steps - 1);
    out.dropout.threshold = static_cast<uint32_t>(dropped);
    out.dropout.scale = static_cast<float>(steps / (steps - dropped));
    out.dropout.seed = plan.seed;
    out.dropout.position = plan.position + plan.first_query(row) * query.size(1) + head * out.queries;
  }
  return out;
}

// Every head of every row once, rows in order, each thread a share that takes as long as the others'.
// `describe(row, head)` gives a pass, `run(pass, scratch)` does it, knowing which comes next.
template <typename Describe, typename Run>
void over_heads(const Plan& plan, int64_t heads, Describe&& describe, Run&& run) {
  const int64_t rows = plan.rows();
  // What a row costs: its scores, and for each token as much as some 64 of them.
  std::vector<double> until(rows + 1, 0.0);
  for (int64_t row = 0; row < rows; ++row) {
    const double keys = plan.starts[row + 1] - plan.starts[row], queries = plan.queries(row);
    until[row + 1] = until[row] + plan.seen_by_one(row) * queries + 64 * (keys + queries);
  }
  const int64_t shares = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), rows * heads));
  const auto border = [&](int64_t share) -> int64_t {  // the first head of a share, counted over all rows
    if (share >= shares) return rows * heads;
    const double cost = until[rows] * share / shares;
    const int64_t row = std::upper_bound(until.begin(), until.end(), cost) - until.begin() - 1;
    const double part = (cost - until[row]) / (until[row + 1] - until[row]);
    return row * heads + static_cast<int64_t>(part * heads);
  };
  at::parallel_for(0, shares, 1, [&](int64_t first_share, int64_t last_share) {
    thread_local Scratch scratch;
    const int64_t begin = border(first_share), end = border(last_share);
    if (begin == end) return;
    auto now = describe(begin / heads, begin % heads);
    for (int64_t task = begin; task < end; ++task) {
      const bool last = task + 1 == end;
      auto next = last ? now : describe((task + 1) / heads, (task + 1) % heads);
      now.next = last ? nullptr : &next;
      run(now, scratch);
      now = next;
    }
  });
}

// Heads may lie anywhere, but the numbers of one stand side by side.
Tensor dense_heads(const Tensor& x) { return x.stride(2) == 1 ? x : x.contiguous(); }

template <typename Number>
void attend(const Plan& plan, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& out,
            const Tensor& log_sum_exp) {
  const int64_t heads = query.size(1), size = query.size(2);
  const auto describe = [&](int64_t row, int64_t head) {
    AttentionForward<Number> pass{};
    pass.head = head_of<Number>(plan, query, key, value, row, head);
    const int64_t first = plan.first_query(row);
    pass.out = numbers<Number>(out) + first * heads * size + head * size;
    if (log_sum_exp.defined()) pass.log_sum_exp = numbers<float>(log_sum_exp) + first * heads + head;
    pass.log_sum_stride = heads;
    return pass;
  };
  over_heads(plan, heads, describe, kernel<Number>().forward);
}

template <typename Number>
void derive(const Plan& plan, const variable_list& saved, const Tensor& grad_out, const Tensor (&grads)[3]) {
  const Tensor &query = saved[0], &out = saved[3], &log_sum_exp = saved[4];
  const int64_t heads = query.size(1), size = query.size(2);
  const auto describe = [&](int64_t row, int64_t head) {
    AttentionBackward<Number> pass{};
    pass.head = head_of<Number>(plan, query, saved[1], saved[2], row, head);
    const int64_t first = plan.first_query(row), place = first * heads * size + head * size;
    pass.out = numbers<Number>(out) + place;
    pass.grad_out = numbers<Number>(grad_out) + place;
    pass.log_sum_exp = numbers<float>(log_sum_exp) + first * heads + head;
    pass.log_sum_stride = heads;
    pass.grad_query = at_token<Number>(grads[0], first, head);
    pass.grad_key = at_token<Number>(grads[1], plan.starts[row], head);
    pass.grad_value = at_token<Number>(grads[2], plan.starts[row], head);
    pass.grad_query_stride = pass.grad_key_stride = pass.grad_value_stride = heads * size;
    return pass;
  };
  over_heads(plan, heads, describe, kernel<Number>().backward);
}

struct Attention : torch::autograd::Function<Attention> {
  static Tensor forward(AutogradContext* context, const Tensor& query_in, const Tensor& key_in,
                        const Tensor& value_in, std::shared_ptr<const Plan> plan, bool for_backward) {
    const Tensor query = dense_heads(query_in), key = dense_heads(key_in), value = dense_heads(value_in);
    const int64_t asking = query.size(0), heads = query.size(1), size = query.size(2);
    Tensor out = at::empty({asking, heads * size}, query.options());
    Tensor log_sum_exp = for_backward ? at::empty({asking, heads}, query.options().dtype(at::kFloat)) : Tensor();
    const auto run = query.scalar_type() == at::kFloat ? attend<float> : attend<Bf16>;
    run(*plan, query, key, value, out, log_sum_exp);
    if (for_backward) {
      context->save_for_backward({query, key, value, out, log_sum_exp});
      context->saved_data["plan"] = c10::IValue::make_capsule(c10::make_intrusive<Held>(std::move(plan)));
    }
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "attention is derived once");
    const variable_list saved = context->get_saved_variables();
    const Plan& plan = *c10::static_intrusive_pointer_cast<Held>(context->saved_data["plan"].toCapsule())->plan;
    Tensor grads[3];
    for (int i = 0; i < 3; ++i) grads[i] = at::empty(saved[i].sizes(), saved[i].options());
    const auto run = saved[0].scalar_type() == at::kFloat ? derive<float> : derive<Bf16>;
    run(plan, saved, gradients[0].contiguous(), grads);
    return {grads[0], grads[1], grads[2], Tensor(), Tensor()};
  }

 private:
  struct Held : torch::CustomClassHolder {
    explicit Held(std::shared_ptr<const Plan> plan) : plan(std::move(plan)) {}
    std::shared_ptr<const Plan> plan;
  };
};

}  // namespace
}  // namespace distill

// Whether the function below takes heads of this size in bf16: pairs of numbers are multiplied.
extern "C" int distill_attention_takes_bf16(int64_t size) {
  return distill::guarded_answer([&] { return distill::multiplies_bf16() && size % 2 == 0; });
}

// `query` [N, heads, d], `key` and `value` [T, heads, d], all f32 or all bf16 on the CPU; `starts` rows + 1 numbers from 0 to T.
// N is T, or with `one_query` the number of rows. A token sees those at most `reach` away, all where it is below 0.
// Gives [N, heads·d], which libtorch can derive.
extern "C" int distill_attention(const at::Tensor* query, const at::Tensor* key, const at::Tensor* value,
                                 const int64_t* starts, size_t rows, int one_query, int64_t reach, double probability,
                                 uint64_t seed, uint64_t position, at::Tensor** out) {
  using namespace distill;
  return guarded([&] {
    for (const at::Tensor* x : {query, key, value}) {
      const bool is_bf16 = x->scalar_type() == at::kBFloat16 && distill_attention_takes_bf16(x->size(-1));
      TORCH_CHECK(x->dim() == 3 && x->device().is_cpu() && (is_bf16 || x->scalar_type() == at::kFloat),
                  "attention takes f32 or bf16 [tokens, heads, size] on the CPU");
      TORCH_CHECK(x->scalar_type() == query->scalar_type(), "attention: formats differ");
      TORCH_CHECK(x->size(1) == query->size(1) && x->size(2) == query->size(2), "attention: heads differ");
    }
    auto plan = std::make_shared<Plan>();
    plan->starts.assign(starts, starts + rows + 1);
    plan->one_query = one_query != 0;
    plan->reach = reach;
    plan->probability = probability;
    plan->seed = seed;
    plan->position = position;
    const int64_t tokens = plan->starts.back();
    TORCH_CHECK(key->size(0) == tokens && value->size(0) == tokens, "attention: rows and tokens differ");
    TORCH_CHECK(query->size(0) == (one_query ? static_cast<int64_t>(rows) : tokens), "attention: queries");
    const bool for_backward =
        c10::GradMode::is_enabled() && (query->requires_grad() || key->requires_grad() || value->requires_grad());
    *out = new at::Tensor(Attention::apply(*query, *key, *value, std::shared_ptr<const Plan>(plan), for_backward));
  });
}
