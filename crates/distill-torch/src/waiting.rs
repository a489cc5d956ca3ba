//! How libtorch's threads wait for each other.
//!
//! The threads of an operator are a libgomp team. A thread that finishes before the others spins, and sleeps only after
//! some time: by default after 300,000 turns, which is milliseconds. On an idle machine the others finish within
//! microseconds. If another process uses one of the cores, the last thread of the team waits until the scheduler gives
//! it that core, and the spinning threads use up its share of CPU time: training became 90 times slower. Threads that
//! sleep sooner are woken at once, ahead of a process that computes all the time.
//!
//! libgomp reads `GOMP_SPINCOUNT` when it is loaded, before `main`. So the program restarts itself with the variable, as
//! early as its own code can run: [`before_libraries`].

use std::ffi::{CStr, c_char, c_int};

/// Turns after which a waiting thread sleeps, about 110 µs: longer than the threads of an operator wait for each other on
/// an idle machine, and short compared with a scheduler's time slice. `scripts/bench-busy` measures other values.
pub const SPIN_COUNT: &CStr = c"GOMP_SPINCOUNT=4500";

/// Variables with which a user makes this choice.
const CHOSEN: [&CStr; 2] = [c"GOMP_SPINCOUNT", c"OMP_WAIT_POLICY"];

/// The type of the entries of `.preinit_array`.
pub type Hook = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char);

/// Restarts this program with [`SPIN_COUNT`] in its environment, unless the user has set one of `CHOSEN`. To be put into the binary's `.preinit_array`: the loader calls it when all libraries are mapped and none has
/// been initialised, so that libtorch's 0.2 seconds of initialisation are needed only once. If the program cannot
/// be restarted, it continues with libgomp's default.
///
/// Nothing here may rely on what the C library or Rust's standard library set up for `main`.
///
/// # Safety
/// Both pointers are lists of C strings that end with a null and last as long as the process: the loader's are.
#[allow(unsafe_code)]
pub unsafe extern "C" fn before_libraries(
    _: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    // SAFETY: the caller's promise; `getauxval` has no preconditions. `execve` reads its three arguments and returns only where it has done nothing.
    unsafe {
        let Some(mut variables) = variables_to_add_to(environment) else { return };
        variables.push(SPIN_COUNT.as_ptr());
        variables.push(std::ptr::null());
        // A loader that was called as a program has no base address; the restarted program would be the loader.
        let (base, program) = (libc::getauxval(libc::AT_BASE), libc::getauxval(libc::AT_EXECFN));
        if base != 0 && program != 0 {
            libc::execve(program as *const c_char, arguments, variables.as_ptr());
        }
    }
}

/// The environment without its final null; none if it contains one of [`CHOSEN`].
///
/// # Safety
/// `environment` is a list of C strings that ends with a null, and they outlive the result.
#[allow(unsafe_code)]
unsafe fn variables_to_add_to(environment: *const *const c_char) -> Option<Vec<*const c_char>> {
    let mut variables = Vec::new();
    let mut next = environment;
    // SAFETY: `next` moves by one and stops at the null.
    while let Some(variable) = unsafe { next.as_ref() }.filter(|variable| !variable.is_null()) {
        // SAFETY: it is one of the list's strings.
        if chooses(unsafe { CStr::from_ptr(*variable) }) {
            return None;
        }
        variables.push(*variable);
        // SAFETY: the null is not reached yet.
        next = unsafe { next.add(1) };
    }
    Some(variables)
}

/// Whether `NAME=VALUE` sets one of [`CHOSEN`].
fn chooses(variable: &CStr) -> bool {
    let variable = variable.to_bytes();
    CHOSEN
        .iter()
        .any(|name| variable.strip_prefix(name.to_bytes()).is_some_and(|rest| rest.first() == Some(&b'=')))
}

/// For people: the variable, with its value, that decides how long threads spin.
pub fn description() -> String {
    let own = SPIN_COUNT.to_str().unwrap_or_default();
    let found = CHOSEN.iter().filter_map(|name| {
        let name = name.to_str().ok()?;
        Some(format!("{name}={}", std::env::var_os(name)?.to_string_lossy()))
    });
    match found.collect::<Vec<_>>().join(" ") {
        none if none.is_empty() => "libgomp's default; GOMP_SPINCOUNT could not be set".to_owned(),
        set if set == own => format!("{set} (distill's default)"),
        set => format!("{set} (from the environment)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_recognised_by_their_whole_name() {
        for chosen in [c"GOMP_SPINCOUNT=1", c"OMP_WAIT_POLICY=passive", c"GOMP_SPINCOUNT=", SPIN_COUNT] {
            assert!(chooses(chosen), "{chosen:?}");
        }
        for other in [c"GOMP_SPINCOUNTS=1", c"GOMP_SPINCOUNT", c"XOMP_WAIT_POLICY=1", c""] {
            assert!(!chooses(other), "{other:?}");
        }
    }

    #[test]
    #[allow(unsafe_code)]
    fn the_environment_is_kept_whole_unless_it_decides() {
        let plain = [c"A=1".as_ptr(), c"B=2".as_ptr(), std::ptr::null()];
        let chosen = [c"A=1".as_ptr(), c"OMP_WAIT_POLICY=active".as_ptr(), std::ptr::null()];
        // SAFETY: both end with a null and hold C strings that are never freed.
        unsafe {
            assert_eq!(variables_to_add_to(plain.as_ptr()).unwrap(), plain[..2]);
            assert_eq!(variables_to_add_to(chosen.as_ptr()), None);
            assert_eq!(variables_to_add_to(plain[2..].as_ptr()).unwrap().len(), 0);
        }
    }
}
