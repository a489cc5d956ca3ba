// The few libtorch functions that tch does not bind, as plain C.
//
// Every function returns 0, or 1 after an exception, whose text distill_last_error() then holds.
// Tensors cross as pointers to at::Tensor, as in tch; a returned one is owned by the caller.

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/GradMode.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>

#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "guarded.h"

namespace distill {

std::string& last_error() {
  thread_local std::string text;
  return text;
}

}  // namespace distill

namespace {

using distill::guarded;

std::vector<at::Tensor> list(at::Tensor* const* tensors, size_t count) {
  std::vector<at::Tensor> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) out.push_back(*tensors[i]);
  return out;
}

// Calls an operator that has no C++ header by its schema's name; `stack` holds its arguments in order.
at::Tensor call(const char* name, const char* overload, torch::jit::Stack stack) {
  auto op = c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
  op.callBoxed(stack);
  return stack.at(0).toTensor();
}

c10::IValue or_none(const at::Tensor* tensor) {
  return tensor ? c10::IValue(*tensor) : c10::IValue();
}

int copy_text(const std::string& text, char* out, size_t capacity) {
  const size_t length = std::min(text.size(), capacity - 1);
  std::memcpy(out, text.data(), length);
  out[length] = 0;
  return 0;
}

}  // namespace

extern "C" {

const char* distill_last_error() { return distill::last_error().c_str(); }

int distill_show_config(char* out, size_t capacity) {
  return guarded([&] { copy_text(at::show_config(), out, capacity); });
}

int distill_parallel_info(char* out, size_t capacity) {
  return guarded([&] { copy_text(at::get_parallel_info(), out, capacity); });
}

// Seeds one device's generator: `device` -1 is the CPU, else a CUDA device. Nothing is read from or sent to a GPU.
int distill_seed_generator(int device, uint64_t seed) {
  return guarded([&] {
    const auto where =
        device < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device));
    auto generator = at::globalContext().defaultGenerator(where);
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_current_seed(seed);
  });
}

// Decoupled weight decay (Loshchilov & Hutter 2019), all tensors in one call, after the steps have been counted on: the
// kernel reads the number of this update.
int distill_fused_adamw(at::Tensor* const* params, at::Tensor* const* grads, at::Tensor* const* exp_avgs,
                        at::Tensor* const* exp_avg_sqs, at::Tensor* const* steps, size_t count, double lr,
                        double beta1, double beta2, double weight_decay, double eps) {
  return guarded([&] {
    c10::AutoGradMode no_grad(false);
    auto p = list(params, count);
    auto s = list(steps, count);
    at::_foreach_add_(s, 1.0);
    at::_fused_adamw_(p, list(grads, count), list(exp_avgs, count), list(exp_avg_sqs, count),
                      std::vector<at::Tensor>{}, s, lr, beta1, beta2, weight_decay, eps,
                      /*amsgrad=*/false, /*maximize=*/false);
  });
}

// torch.nn.utils.clip_grad_norm_ without reading anything back: the norm stays on the device.
int distill_clip_grad_norm(at::Tensor* const* grads, size_t count, double max_norm, at::Tensor** norm) {
  return guarded([&] {
    c10::AutoGradMode no_grad(false);
    auto g = list(grads, count);
    auto total = at::linalg_vector_norm(at::stack(at::_foreach_norm(g, 2)));
    at::_foreach_mul_(g, total.add(1e-6).reciprocal().mul(max_norm).clamp_max(1.0));
    *norm = new at::Tensor(total);
  });
}

// Each mean a share of the way to its value, in place.
int distill_lerp(at::Tensor* const* means, at::Tensor* const* values, size_t count, double share) {
  return guarded([&] {
    c10::AutoGradMode no_grad(false);
    at::_foreach_lerp_(list(means, count), list(values, count), share);
  });
}

int distill_drop_gradients(at::Tensor* const* params, size_t count) {
  return guarded([&] {
    for (size_t i = 0; i < count; ++i) params[i]->mutable_grad().reset();
  });
}

// Whether the operators below exist here and take f32, or bf16: oneDNN is a part of libtorch on x86-64, and computes in
// bf16 where the processor has the instructions.
int distill_onednn_available(int bf16, int* out) {
  return guarded([&] {
    auto& dispatcher = c10::Dispatcher::singleton();
    const auto computes_in_bf16 = [&] {
      auto op = dispatcher.findSchema({"mkldnn::_is_mkldnn_bf16_supported", ""});
      torch::jit::Stack stack;
      if (op) op->callBoxed(stack);
      return op && stack.at(0).toBool();
    };
    const bool packs = dispatcher.findSchema({"mkldnn::_reorder_linear_weight", ""}).has_value();
    const bool runs = dispatcher.findSchema({"mkldnn::_linear_pointwise", "binary"}).has_value();
    *out = packs && runs && at::globalContext().userEnabledMkldnn() && at::hasMKLDNN() && (!bf16 || computes_in_bf16());
  });
}

// A weight [out, in] in the blocked layout that oneDNN prefers for batches of about `tokens` rows.
int distill_onednn_pack(const at::Tensor* weight, int64_t tokens, at::Tensor** out) {
  return guarded([&] {
    c10::AutoGradMode no_grad(false);
    *out = new at::Tensor(call("mkldnn::_reorder_linear_weight", "", {*weight, tokens}));
  });
}

// x · Wᵀ + b, and `activation` ("none", "relu", "gelu", "swish") in the same pass over memory.
int distill_onednn_linear(const at::Tensor* x, const at::Tensor* packed, const at::Tensor* bias,
                          const char* activation, const char* algorithm, at::Tensor** out) {
  return guarded([&] {
    c10::AutoGradMode no_grad(false);
    c10::List<std::optional<at::Scalar>> scalars;
    *out = new at::Tensor(call("mkldnn::_linear_pointwise", "",
                               {*x, *packed, or_none(bias), std::string(activation), scalars, std::string(algorithm)}));
  });
}

// x · Wᵀ + b + other.
int distill_onednn_linear_add(const at::Tensor* x, const at::Tensor* other, const at::Tensor* packed,
                              const at::Tensor* bias, at::Tensor** out) {
  return guarded([&] {
    c10::AutoGradMode no_grad(false);
    *out = new at::Tensor(call("mkldnn::_linear_pointwise", "binary",
                               {*x, *other, *packed, or_none(bias), std::string("add")}));
  });
}

// Variable-length attention (Dao 2023, arXiv:2307.08691) on [T, heads, d] in bf16 or f16; libtorch derives it. A token
// sees those at most `reach` away, all where it is below 0.
int distill_flash_attention(const at::Tensor* query, const at::Tensor* key, const at::Tensor* value,
                            const at::Tensor* cu_seqlens_q, const at::Tensor* cu_seqlens_k, int64_t longest_q,
                            int64_t longest_k, int64_t reach, double dropout, at::Tensor** out) {
  return guarded([&] {
    const std::optional<int64_t> window = reach < 0 ? std::nullopt : std::optional<int64_t>(reach);
    auto results = at::_flash_attention_forward(*query, *key, *value, *cu_seqlens_q, *cu_seqlens_k, longest_q, longest_k,
                                                dropout, /*is_causal=*/false, /*return_debug_mask=*/false,
                                                /*scale=*/std::nullopt, window, window);
    *out = new at::Tensor(std::get<0>(results));
  });
}

}  // extern "C"
