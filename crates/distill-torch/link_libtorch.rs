//! The build script of every crate above distill-torch: writes libtorch's directory into its
//! binaries and tests, which then run from any folder without `LD_LIBRARY_PATH`.

#[allow(clippy::print_stdout)]
fn main() {
    if let Ok(library) = std::env::var("DEP_DISTILL_TORCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{library}");
    }
}
