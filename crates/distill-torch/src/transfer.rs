//! Numbers on their way to a device.

use tch::kind::Element;
use tch::{Device, Tensor};

use crate::error::TorchError;
use crate::ffi::transfer;

/// A tensor of the host on `device`. To a GPU it goes through page-locked memory, from which the copy runs while the
/// host prepares what comes next; the GPU's own order keeps kernels behind it.
///
/// # Errors
/// [`TorchError`] where the device has no memory for it.
pub fn moved_to(here: &Tensor, device: Device) -> Result<Tensor, TorchError> {
    if let Device::Cuda(number) = device
        && let Ok(queued) = transfer::queue_to_device(here, number)
    {
        return Ok(queued);
    }
    // Also where no memory could be locked: this copy waits, and says what is wrong.
    Ok(here.f_to_device(device)?)
}

/// `values` as a tensor `[len]` on `device`, as [`moved_to`] takes it there.
///
/// # Errors
/// As [`moved_to`].
pub fn copied_to<T: Element>(values: &[T], device: Device) -> Result<Tensor, TorchError> {
    moved_to(&Tensor::f_from_slice(values)?, device)
}

/// As [`copied_to`], several lists in one copy: to order one costs a GPU's host more than a batch's numbers take.
///
/// # Errors
/// As [`moved_to`].
pub fn copied_together(lists: &[&[i64]], device: Device) -> Result<Vec<Tensor>, TorchError> {
    let together = copied_to(&lists.concat(), device)?; // [sum of the lengths]
    let lengths: Vec<i64> = lists.iter().map(|list| list.len() as i64).collect();
    Ok(together.f_split_with_sizes(lengths, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_go_in_one_copy_come_out_apart() {
        let lists: [&[i64]; 4] = [&[3, 1, 4], &[], &[1], &[5, 9]];
        let tensors = copied_together(&lists, Device::Cpu).unwrap();
        for (tensor, list) in tensors.iter().zip(lists) {
            assert_eq!(Vec::<i64>::try_from(tensor).unwrap(), list);
        }
    }
}
