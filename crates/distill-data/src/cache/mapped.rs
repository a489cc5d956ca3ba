//! What happens when a mapped cache is cut off while it is read: the system answers a page that is gone with SIGBUS,
//! which by default ends a process without a word.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};

/// The files that are or were mapped, the latest first. Nothing is ever taken off: the handler may be reading it.
static LATEST: AtomicPtr<Mapping> = AtomicPtr::new(ptr::null_mut());
static EXIT_CODE: AtomicI32 = AtomicI32::new(0);

/// A range of addresses, and what to say where it cannot be read.
#[derive(Debug)]
struct Mapping {
    start: usize,
    /// 0 once it is no longer mapped.
    bytes: AtomicUsize,
    message: String,
    before: *const Mapping,
}

/// A file is mapped for as long as the value lives.
#[derive(Debug)]
pub(super) struct Listed(&'static AtomicUsize);

impl Drop for Listed {
    fn drop(&mut self) {
        self.0.store(0, Ordering::SeqCst);
    }
}

/// Says what to tell where these bytes of a file cannot be read.
pub(super) fn list(bytes: &[u8], path: &Path) -> Listed {
    let message = format!(
        "error: cannot read {}: it was cut off while it was in use, or its disk failed; the next run checks it and \
         builds it again\n",
        path.display()
    );
    let mapping = Mapping {
        start: bytes.as_ptr().addr(),
        bytes: AtomicUsize::new(bytes.len()),
        message,
        before: ptr::null(),
    };
    let mapping: &'static mut Mapping = Box::leak(Box::new(mapping));
    let mut latest = LATEST.load(Ordering::SeqCst);
    loop {
        mapping.before = latest;
        let own: *mut Mapping = mapping;
        match LATEST.compare_exchange(latest, own, Ordering::SeqCst, Ordering::SeqCst) {
            // SAFETY: leaked, and from here on only read.
            Ok(_) => return Listed(unsafe { &(*own).bytes }),
            Err(other) => latest = other,
        }
    }
}

/// From now on a page of a mapped cache that is gone ends the process with this code and a sentence that names the
/// file. Any other SIGBUS does what it does by default.
///
/// # Errors
/// The operating system's, which refuses the handler.
pub fn explain_lost_pages(exit_code: i32) -> std::io::Result<()> {
    EXIT_CODE.store(exit_code, Ordering::SeqCst);
    // SAFETY: a zeroed action is a valid one, whose mask is then emptied; the handler has the signature that SA_SIGINFO
    // asks for, and calls nothing but what POSIX allows in a handler.
    let refused = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = lost as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(libc::SIGBUS, &action, ptr::null_mut()) != 0
    };
    if refused { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

extern "C" fn lost(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: the system gives a valid `info`; list and messages are leaked and never change but by atomics; `write`,
    // `_exit` and `signal` may be called in a handler.
    unsafe {
        let address = (*info).si_addr().addr();
        let mut mapping: *const Mapping = LATEST.load(Ordering::SeqCst);
        while let Some(one) = mapping.as_ref() {
            if address.wrapping_sub(one.start) < one.bytes.load(Ordering::SeqCst) {
                libc::write(2, one.message.as_ptr().cast(), one.message.len());
                libc::_exit(EXIT_CODE.load(Ordering::SeqCst));
            }
            mapping = one.before;
        }
        // Of something else: the instruction is tried again, and then ends the process.
        libc::signal(signal, libc::SIG_DFL);
    }
}
