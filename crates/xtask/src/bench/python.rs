//! The interpreter and the packages both sides run, made once and kept in `target/bench`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Result;
use super::child::output;
use super::work::Work;

/// How long an installation from the package index may take.
const LIMIT: Duration = Duration::from_secs(600);

/// A folder of user code and an interpreter that can run it.
#[derive(Debug, Clone)]
pub struct Package {
    /// What it does.
    pub work: Work,
    /// The folder with `deployment.py`.
    pub folder: PathBuf,
    /// The interpreter.
    pub python: PathBuf,
}

/// The interpreter's version: major and minor.
pub fn version(python: &Path) -> Result<(u32, u32)> {
    let code = "import sys; print(sys.version_info[0], sys.version_info[1])";
    let text = output("python", Command::new(python).args(["-c", code]), LIMIT)?;
    let mut numbers = text.split_whitespace().filter_map(|n| n.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => Ok((major, minor)),
        _ => Err(format!("{} does not tell its version: {text}", python.display())),
    }
}

/// Makes the package of `work` below `home`, with its environment and its model where it needs them.
pub fn package(work: Work, python: &Path, home: &Path) -> Result<Package> {
    let folder = home.join("packages").join(work.name());
    let made = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("deployment.py"), work.code()));
    made.map_err(|e| format!("{} cannot be written: {e}", folder.display()))?;
    let Some(requirements) = work.requirements() else {
        let python = bare_environment(python, home)?;
        return Ok(Package { work, folder, python });
    };
    let path = folder.join("requirements.txt");
    fs::write(&path, requirements).map_err(|e| format!("{} cannot be written: {e}", path.display()))?;
    let python = environment(python, home, requirements)?;
    let model = model(home, work);
    if let Some(train) = work.training().filter(|_| !model.exists()) {
        output("training the model", Command::new(&python).args(["-c", train]).arg(&model), LIMIT)?;
    }
    Ok(Package { work, folder, python })
}

fn model(home: &Path, work: Work) -> PathBuf {
    home.join("packages").join(work.name()).join(format!("{}.joblib", work.name()))
}

/// An environment with nothing in it: what a package without requirements gets on the other side, too.
fn bare_environment(python: &Path, home: &Path) -> Result<PathBuf> {
    environment_at(python, &home.join("venv-bare"), "")
}

fn environment(python: &Path, home: &Path, requirements: &str) -> Result<PathBuf> {
    let (folder, before) = (home.join("venv"), stamp_of(&home.join("venv")));
    let python = environment_at(python, &folder, requirements)?;
    if stamp_of(&folder) != before {
        // A model belongs to the library that wrote it.
        let models = [Work::Iris, Work::Wine].map(|work| model(home, work));
        for model in models.iter().filter(|model| model.exists()) {
            fs::remove_file(model).map_err(|e| format!("{} cannot be removed: {e}", model.display()))?;
        }
    }
    Ok(python)
}

fn stamp_of(folder: &Path) -> Option<String> {
    fs::read_to_string(folder.join("made-for.txt")).ok()
}

/// The interpreter of a virtual environment at `folder` with `requirements`, made anew unless it is there already.
fn environment_at(python: &Path, folder: &Path, requirements: &str) -> Result<PathBuf> {
    let (major, minor) = version(python)?;
    let stamp = format!("{} {major}.{minor}\n{requirements}", python.display());
    let inside = folder.join("bin/python");
    if stamp_of(folder).as_deref() == Some(&stamp) && inside.exists() {
        return Ok(inside);
    }
    eprintln!("making the environment {}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|e| format!("{} cannot be removed: {e}", folder.display()))?;
    }
    output("making a virtual environment", Command::new(python).args(["-m", "venv"]).arg(folder), LIMIT)?;
    let mut pip = Command::new(&inside);
    pip.args(["-m", "pip", "install", "--quiet"]).args(requirements.split_whitespace());
    if !requirements.is_empty() {
        output("installing the requirements", &mut pip, LIMIT)?;
    }
    let path = folder.join("made-for.txt");
    fs::write(&path, stamp).map_err(|e| format!("{} cannot be written: {e}", path.display()))?;
    Ok(inside)
}
