//! Turns failures inside libtorch into errors instead of panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;

use crate::ffi;

/// libtorch refused an operation or ran out of memory.
#[derive(Debug, Error)]
pub enum TorchError {
    /// The device is out of memory.
    #[error("{operation}: out of memory on the device: {message}")]
    OutOfMemory {
        /// What was being computed.
        operation: &'static str,
        /// libtorch's own first line.
        message: String,
    },
    /// Any other failure.
    #[error("{operation}: {message}")]
    Operator {
        /// What was being computed.
        operation: &'static str,
        /// libtorch's own first line.
        message: String,
    },
}

/// How libtorch reports that memory ran out: on a GPU, in a library that allocates its own memory there, on the CPU.
const OUT_OF_MEMORY: [&str; 3] =
    ["out of memory", "STATUS_ALLOC_FAILED", "DefaultCPUAllocator: can't allocate"];

impl TorchError {
    /// Classifies a message from libtorch.
    pub(crate) fn new(operation: &'static str, message: &str) -> Self {
        let text = unwrap_text(message);
        let message =
            text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no message").trim().to_owned();
        if OUT_OF_MEMORY.iter().any(|words| text.contains(words)) {
            TorchError::OutOfMemory { operation, message }
        } else {
            TorchError::Operator { operation, message }
        }
    }
}

impl From<tch::TchError> for TorchError {
    fn from(error: tch::TchError) -> Self {
        TorchError::new("tensor", &error.to_string())
    }
}

/// Fails as `tch`'s plain operators do, for [`guard`] to catch.
pub fn or_panic<T>(result: Result<T, TorchError>) -> T {
    result.unwrap_or_else(|error| std::panic::resume_unwind(Box::new(error)))
}

/// Runs tensor code whose operators panic on failure, and returns their message as an error.
///
/// Forward passes use `tch`'s plain operators, so that they read like the papers; this is the only place that catches
/// their panics. Gradients are enabled again in every case.
///
/// # Errors
/// [`TorchError`] with `operation` in front.
pub fn guard<T>(operation: &'static str, body: impl FnOnce() -> T) -> Result<T, TorchError> {
    let gradients = ffi::gradients_enabled();
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        // A panic inside `tch::no_grad` leaves gradients off for the thread.
        ffi::set_gradients_enabled(gradients);
        let payload = match payload.downcast::<TorchError>() {
            Ok(error) => return *error,
            Err(payload) => payload,
        };
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("panic without a message");
        TorchError::new(operation, message)
    })
}

/// `Result::unwrap` on a `TchError` prints the error's debug form; this removes it.
fn unwrap_text(message: &str) -> String {
    let Some(start) = message.find("Torch(\"") else { return message.to_owned() };
    let inner = &message[start + "Torch(\"".len()..];
    inner.trim_end_matches("\")").replace("\\n", "\n").replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn a_refused_operator_is_an_error_and_gradients_stay_on() {
        let error = guard("product", || {
            tch::no_grad(|| {
                Tensor::zeros([2, 3], (Kind::Float, Device::Cpu))
                    .matmul(&Tensor::zeros([2, 3], (Kind::Float, Device::Cpu)))
            })
        })
        .unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("product: ") && text.contains("2x3"), "{text}");
        assert!(!text.contains("frame #"), "{text}");
        assert!(ffi::gradients_enabled());
    }

    #[test]
    fn out_of_memory_is_recognised_in_every_form() {
        for text in [
            "CUDA out of memory. Tried to allocate 2.00 GiB.",
            "CUDA error: out of memory",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        ] {
            let ended: Result<(), _> = guard("forward pass", || or_panic(Err(TorchError::new("copy", text))));
            let error = ended.unwrap_err();
            assert!(matches!(error, TorchError::OutOfMemory { operation: "copy", .. }), "{error}");
            let said: Result<(), _> = guard("forward pass", || panic!("{text}"));
            assert!(matches!(said, Err(TorchError::OutOfMemory { operation: "forward pass", .. })), "{text}");
        }
        assert!(matches!(
            TorchError::new("sum", "CUDA error: misaligned address"),
            TorchError::Operator { .. }
        ));
    }
}
