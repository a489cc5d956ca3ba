// Linear layers whose products are oneDNN's, forward and backward, on weights as they are: those of training.
//
// libtorch gives f32 products to MKL, which knows Intel's processors alone: on others with AVX-512 it takes kernels for AVX2.

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "guarded.h"

namespace at::native {

// libtorch's own way to oneDNN's product, which it takes for 16 bits: result = alpha · mat1 · mat2 + beta · result. No header
// has it, so it may be missing.
__attribute__((weak)) void mkldnn_matmul(const Tensor& mat1, const Tensor& mat2, const Tensor& result, float beta,
                                         float alpha);

}  // namespace at::native

namespace distill {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Tensor product(const Tensor& left, const Tensor& right) {
  Tensor out = at::empty({left.size(0), right.size(1)}, left.options());
  at::native::mkldnn_matmul(left, right, out, /*beta=*/0.f, /*alpha=*/1.f);
  return out;
}

// x · Wᵀ
struct Linear : torch::autograd::Function<Linear> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight) {
    context->save_for_backward({x, weight});
    return product(x, weight.t());  // [T, out]
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "a linear layer is derived once");
    const variable_list saved = context->get_saved_variables();
    const Tensor grad = gradients[0].contiguous();
    const auto wanted = [&](size_t input) { return context->needs_input_grad(input); };
    return {wanted(0) ? product(grad, saved[1]) : Tensor(),      // [T, in]
            wanted(1) ? product(grad.t(), saved[0]) : Tensor()};  // [out, in]
  }
};

}  // namespace
}  // namespace distill

// Whether oneDNN's f32 products are the faster ones here: a processor with AVX-512 that is not Intel's.
extern "C" int distill_prefers_onednn_products() {
#if defined(__x86_64__)
  return distill::guarded_answer([] {
    static const bool found = at::native::mkldnn_matmul != nullptr && at::hasMKLDNN() &&
                              at::globalContext().userEnabledMkldnn() && at::get_cpu_capability() == "AVX512" &&
                              !__builtin_cpu_is("intel");
    return found;
  });
#else
  return 0;
#endif
}

// x · Wᵀ + b of f32 `x` [T, in] and `weight` [out, in] on the CPU, which libtorch can derive.
extern "C" int distill_onednn_trained_linear(const at::Tensor* x, const at::Tensor* weight, const at::Tensor* bias,
                                             at::Tensor** out) {
  return distill::guarded([&] {
    TORCH_CHECK(x->dim() == 2 && weight->dim() == 2 && x->size(1) == weight->size(1), "linear: shapes differ");
    auto made = distill::Linear::apply(x->contiguous(), *weight);
    if (bias) made.add_(*bias);
    *out = new at::Tensor(made);
  });
}
