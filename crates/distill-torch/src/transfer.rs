//! Copies of numbers to a device and back.

use tch::kind::Element;
use tch::{Device, Tensor};

use crate::error::TorchError;
use crate::ffi::transfer;

/// A tensor of the host on `device`. To a GPU it goes through page-locked memory, from which the copy runs while the
/// host prepares what comes next; the GPU's own order keeps kernels behind it.
///
/// # Errors
/// [`TorchError`] if the device has no memory for it.
pub fn moved_to(here: &Tensor, device: Device) -> Result<Tensor, TorchError> {
    if let Device::Cuda(number) = device
        && let Ok(queued) = transfer::queue_to_device(here, number)
    {
        return Ok(queued);
    }
    // Also if no memory could be locked: this copy waits, and reports errors.
    Ok(here.f_to_device(device)?)
}

/// `values` as a tensor `[len]` on `device`, as [`moved_to`] takes it there.
///
/// # Errors
/// As [`moved_to`].
pub fn copied_to<T: Element>(values: &[T], device: Device) -> Result<Tensor, TorchError> {
    moved_to(&Tensor::f_from_slice(values)?, device)
}

/// As [`copied_to`], several lists in one copy: starting a copy costs more than a batch's numbers.
///
/// # Errors
/// As [`moved_to`].
pub fn copied_together(lists: &[&[i64]], device: Device) -> Result<Vec<Tensor>, TorchError> {
    let together = copied_to(&lists.concat(), device)?; // [sum of the lengths]
    let lengths: Vec<i64> = lists.iter().map(|list| list.len() as i64).collect();
    Ok(together.f_split_with_sizes(lengths, 0)?)
}

/// A tensor that is to be read on the host. On a GPU its copy is queued after its computation; the host continues, and
/// the reader does not wait for work that is queued later.
pub struct ReadBack(State);

enum State {
    Here(Tensor),
    Queued(transfer::Queued),
}

impl ReadBack {
    /// Starts copying a tensor.
    ///
    /// # Errors
    /// [`TorchError`] if the device refuses or the host has no memory for it.
    pub fn of(tensor: &Tensor) -> Result<Self, TorchError> {
        Ok(ReadBack(match tensor.device() {
            Device::Cpu => State::Here(tensor.shallow_clone()),
            // If no memory could be locked: a copy that waits, and reports errors.
            Device::Cuda(_) => match transfer::Queued::of(tensor) {
                Ok(queued) => State::Queued(queued),
                Err(_) => State::Here(tensor.f_to_device(Device::Cpu)?),
            },
            _ => State::Here(tensor.f_to_device(Device::Cpu)?),
        }))
    }

    /// The tensor on the CPU; waits until it has arrived.
    ///
    /// # Errors
    /// [`TorchError`] from its computation.
    pub fn wait(&self) -> Result<&Tensor, TorchError> {
        match &self.0 {
            State::Here(tensor) => Ok(tensor),
            State::Queued(queued) => queued.wait(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_copied_together_arrive_separately() {
        let lists: [&[i64]; 4] = [&[3, 1, 4], &[], &[1], &[5, 9]];
        let tensors = copied_together(&lists, Device::Cpu).unwrap();
        for (tensor, list) in tensors.iter().zip(lists) {
            assert_eq!(Vec::<i64>::try_from(tensor).unwrap(), list);
        }
    }

    #[test]
    fn a_gpu_returns_the_same_numbers_and_a_missing_gpu_is_an_error() {
        let tensor = Tensor::from_slice(&[1i64, -2, 3]);
        match crate::DeviceChoice::Cuda(0).resolve() {
            Ok(device) => {
                let back = ReadBack::of(&moved_to(&tensor, device).unwrap()).unwrap();
                assert_eq!(*back.wait().unwrap(), tensor);
            }
            Err(_) => assert!(moved_to(&tensor, Device::Cuda(0)).is_err()),
        }
    }

    #[test]
    fn what_is_on_the_cpu_is_read_as_it_is() {
        let tensor = Tensor::from_slice(&[1f32, 2.]);
        assert_eq!(ReadBack::of(&tensor).unwrap().wait().unwrap().data_ptr(), tensor.data_ptr());
    }
}
