//! Numbers on their way to a device.

use tch::kind::Element;
use tch::{Device, Tensor};

/// `values` as a tensor `[len]` on `device`. To a GPU they go through page-locked memory, from which the copy runs
/// while the host prepares what comes next; the GPU's own order keeps kernels behind it.
pub fn copied_to<T: Element>(values: &[T], device: Device) -> Tensor {
    let here = Tensor::from_slice(values);
    if !device.is_cuda() {
        return here.to_device(device);
    }
    match here.f_pin_memory(device) {
        // libtorch holds the page-locked memory until the copy is over.
        Ok(pinned) => pinned.to_device_(device, pinned.kind(), true, false),
        Err(_) => here.to_device(device),
    }
}
