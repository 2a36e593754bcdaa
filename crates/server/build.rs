//! Lists the files of the workers, so that the one binary carries them.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../worker").canonicalize()?;
    let mut files = Vec::new();
    for (worker, extension) in [("modelyard_worker", "py"), ("modelyard_r", "R")] {
        let worker = folder.join(worker);
        println!("cargo::rerun-if-changed={}", worker.display());
        collect(&worker, extension, &mut files)?;
    }
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&folder).map_err(io::Error::other)?.display().to_string();
        list += &format!("    ({name:?}, include_bytes!({:?})),\n", file.display().to_string());
    }
    list += "]\n";
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo names an OUT_DIR"))?;
    fs::write(Path::new(&out).join("worker_files.rs"), list)
}

fn collect(folder: &Path, wanted: &str, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, wanted, files)?;
        } else if path.extension().is_some_and(|extension| extension == wanted) {
            files.push(path);
        }
    }
    Ok(())
}
