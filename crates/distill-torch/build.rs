//! Checks the libtorch that is being linked, compiles `native/shim.cpp` against it and tells
//! dependents where it lies, so that binaries and tests find it at run time.
#![allow(clippy::print_stderr, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::{env, fs, io, process};

/// tch 0.24 is generated from this release's operators; another one has other signatures.
const LIBTORCH_VERSION: &str = "2.11";

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=native");
    let libtorch = match locate() {
        Ok(libtorch) => libtorch,
        Err(why) => {
            eprintln!(
                "\nlibtorch {LIBTORCH_VERSION} is needed: {why}.\nRun scripts/setup, or set LIBTORCH to one.\n"
            );
            process::exit(1);
        }
    };
    kernels();
    shim(&libtorch.join("include"));
    let library = libtorch.join("lib");
    // Read as DEP_DISTILL_TORCH_LIBTORCH_LIB by link_libtorch.rs, the build script of every crate above.
    println!("cargo:libtorch_lib={}", library.display());
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", library.display());
    // The threads of at::parallel_for are those of the OpenMP that libtorch brings.
    println!("cargo:rustc-link-search=native={}", library.display());
    println!("cargo:rustc-link-lib=dylib:+verbatim=libgomp.so.1");
}

/// The attention kernels, one for each instruction set and number format; which one runs is decided at run time.
fn kernels() {
    const AVX512: [&str; 7] =
        ["-mavx2", "-mfma", "-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx512bf16"];
    let mut sets: Vec<(&str, &[&str])> = vec![("baseline_f32", &[])];
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64") {
        sets.extend([("avx2_f32", &AVX512[..2]), ("avx512_f32", &AVX512[..6]), ("avx512_bf16", &AVX512[..])]);
    }
    for (name, flags) in sets {
        let mut build = cc::Build::new();
        // Slow without optimization, also in a development build.
        build.cpp(true).std("c++17").pic(true).opt_level(3).flag("-ffp-contract=fast");
        flags.iter().for_each(|flag| {
            build.flag(flag);
        });
        build.file(format!("native/attention_kernel_{name}.cpp"));
        build.compile(&format!("distill_attention_kernel_{name}"));
    }
}

fn shim(include: &Path) {
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .pic(true)
        .warnings(false)
        .flag("-fopenmp")
        .include(include)
        .include(include.join("torch/csrc/api/include"))
        .files([
            "native/shim.cpp",
            "native/attention.cpp",
            "native/dropout.cpp",
            "native/linear.cpp",
            "native/scratch.cpp",
            "native/transfer.cpp",
        ])
        .compile("distill_shim");
}

/// The directory of libtorch with links resolved: a binary keeps working when the clone moves.
fn locate() -> Result<PathBuf, String> {
    let named = env::var("LIBTORCH").map_err(|_| "LIBTORCH is not set".to_owned())?;
    let libtorch = fs::canonicalize(&named).map_err(|error| format!("LIBTORCH={named}: {error}"))?;
    let version =
        version(&libtorch).map_err(|error| format!("{} holds no libtorch: {error}", libtorch.display()))?;
    if version.starts_with(&format!("{LIBTORCH_VERSION}.")) {
        Ok(libtorch)
    } else {
        Err(format!("{} holds libtorch {version}", libtorch.display()))
    }
}

/// The version that the headers state.
fn version(libtorch: &Path) -> io::Result<String> {
    let headers = ["include/torch/headeronly/version.h", "include/torch/csrc/api/include/torch/version.h"];
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for header in headers {
        match fs::read_to_string(libtorch.join(header)) {
            Ok(text) => {
                let part = |name: &str| {
                    text.lines().find_map(|line| {
                        let value = line.trim().strip_prefix("#define ")?.strip_prefix(name)?;
                        value.trim().parse::<u32>().ok()
                    })
                };
                let parts = ["TORCH_VERSION_MAJOR ", "TORCH_VERSION_MINOR ", "TORCH_VERSION_PATCH "].map(part);
                if let [Some(major), Some(minor), Some(patch)] = parts {
                    return Ok(format!("{major}.{minor}.{patch}"));
                }
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
