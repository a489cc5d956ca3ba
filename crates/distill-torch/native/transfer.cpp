// Tensors between the host and a device without stopping either, as plain C: see shim.cpp.

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <memory>

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

// A tensor of a device copied to page-locked memory, queued behind what computes it, and an event behind the copy:
// whoever reads waits for that alone, not for what is queued later.
int distill_queue_to_host(const at::Tensor* there, at::Tensor** out, c10::Event** copied) {
  return guarded([&] {
    c10::AutoGradMode no_grad(false);
    const auto device = there->device();
    auto here = at::empty(there->sizes(), there->options().device(at::kCPU).pinned_memory(true));
    here.copy_(*there, /*non_blocking=*/true);
    auto event = std::make_unique<c10::Event>(device.type());
    event->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
    *out = new at::Tensor(std::move(here));
    *copied = event.release();
  });
}

int distill_wait_for(const c10::Event* copied) {
  return guarded([&] { copied->synchronize(); });
}

void distill_forget_event(c10::Event* copied) { delete copied; }

}  // extern "C"
