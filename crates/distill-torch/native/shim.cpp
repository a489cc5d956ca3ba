// The few libtorch functions that tch does not bind, as plain C.
//
// Every function returns 0, or 1 after an exception, whose text distill_last_error() then holds.
// Tensors cross as pointers to at::Tensor, as in tch; a returned one is owned by the caller.

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>

#include <cstring>
#include <mutex>
#include <string>
#include <vector>

namespace {

thread_local std::string last_error;

template <typename F>
int guarded(F&& body) {
  try {
    body();
    return 0;
  } catch (const c10::Error& error) {
    last_error = error.what_without_backtrace();
  } catch (const std::exception& error) {
    last_error = error.what();
  } catch (...) {
    last_error = "unknown C++ exception";
  }
  return 1;
}

std::vector<at::Tensor> list(at::Tensor* const* tensors, size_t count) {
  std::vector<at::Tensor> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) out.push_back(*tensors[i]);
  return out;
}

int copy_text(const std::string& text, char* out, size_t capacity) {
  const size_t length = std::min(text.size(), capacity - 1);
  std::memcpy(out, text.data(), length);
  out[length] = 0;
  return 0;
}

}  // namespace

extern "C" {

const char* distill_last_error() { return last_error.c_str(); }

int distill_show_config(char* out, size_t capacity) {
  return guarded([&] { copy_text(at::show_config(), out, capacity); });
}

int distill_parallel_info(char* out, size_t capacity) {
  return guarded([&] { copy_text(at::get_parallel_info(), out, capacity); });
}

int distill_cpu_rng_state(at::Tensor** out) {
  return guarded([&] {
    auto generator = at::detail::getDefaultCPUGenerator();
    std::lock_guard<std::mutex> lock(generator.mutex());
    *out = new at::Tensor(generator.get_state());
  });
}

int distill_set_cpu_rng_state(const at::Tensor* state) {
  return guarded([&] {
    auto generator = at::detail::getDefaultCPUGenerator();
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(*state);
  });
}

int distill_set_deterministic(int on) {
  return guarded([&] {
    at::globalContext().setDeterministicAlgorithms(on != 0, /*warn_only=*/true);
    at::globalContext().setDeterministicFillUninitializedMemory(false);
  });
}

// Decoupled weight decay (Loshchilov & Hutter 2019), all tensors in one call.
int distill_fused_adamw(at::Tensor* const* params, at::Tensor* const* grads, at::Tensor* const* exp_avgs,
                        at::Tensor* const* exp_avg_sqs, at::Tensor* const* steps, size_t count, double lr,
                        double beta1, double beta2, double weight_decay, double eps) {
  return guarded([&] {
    c10::AutoGradMode no_grad(false);
    auto p = list(params, count);
    at::_fused_adamw_(p, list(grads, count), list(exp_avgs, count), list(exp_avg_sqs, count),
                      std::vector<at::Tensor>{}, list(steps, count), lr, beta1, beta2, weight_decay, eps,
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

int distill_drop_gradients(at::Tensor* const* params, size_t count) {
  return guarded([&] {
    for (size_t i = 0; i < count; ++i) params[i]->mutable_grad().reset();
  });
}

}  // extern "C"
