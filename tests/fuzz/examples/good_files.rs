//! Writes the good files of each kind where libFuzzer looks for them: `DIRECTORY/TARGET/NUMBER`.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::path::PathBuf;

fn main() {
    let root: PathBuf = std::env::args_os().nth(1).unwrap_or_else(|| "corpus".into()).into();
    for (kind, files) in distill_fuzz::good_files() {
        let target = root.join(kind.replace('.', "_"));
        std::fs::create_dir_all(&target).unwrap();
        for (number, bytes) in files.iter().enumerate() {
            std::fs::write(target.join(number.to_string()), bytes).unwrap();
        }
    }
}
