// Tensors between the host and a device without stopping either, as plain C: see shim.cpp.

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include "guarded.h"

using distill::guarded;

extern "C" {

// `here` copied to a device through page-locked memory, which libtorch holds until the copy is over. The page-locked
// tensor is asked for as such: Tensor.pin_memory() would look first whether `here` is one already.
int distill_queue_to_device(const at::Tensor* here, int device, at::Tensor** out) {
  return guarded([&] {
    c10::AutoGradMode no_grad(false);
    auto locked = at::empty(here->sizes(), here->options().pinned_memory(true));
    locked.copy_(*here);
    *out = new at::Tensor(locked.to(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device)),
                                    /*non_blocking=*/true));
  });
}

}  // extern "C"
