//! Where Pythons are usually installed.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

/// The parts of the host's environment that say where to look.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    pub home: Option<PathBuf>,
    /// `PYENV_ROOT`
    pub pyenv: Option<PathBuf>,
    /// `UV_PYTHON_INSTALL_DIR`
    pub uv: Option<PathBuf>,
    /// `XDG_DATA_HOME`
    pub data: Option<PathBuf>,
    /// Folders of system packages.
    pub system: Vec<PathBuf>,
}

impl Host {
    /// The host as the server's own environment describes it.
    pub fn current() -> Self {
        let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            path: env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default(),
            home: folder("HOME"),
            pyenv: folder("PYENV_ROOT"),
            uv: folder("UV_PYTHON_INSTALL_DIR"),
            data: folder("XDG_DATA_HOME"),
            system: ["/usr/bin", "/usr/local/bin", "/bin"].map(PathBuf::from).to_vec(),
        }
    }
}

/// The executables that may be Pythons, each file once.
pub(super) fn candidates(host: &Host) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = host.path.iter().chain(&host.system).cloned().collect();
    let in_home = |below: &str| host.home.as_ref().map(|home| home.join(below));
    let pyenv = host.pyenv.clone().or_else(|| in_home(".pyenv"));
    // Its shims are slow to ask and lead to nothing but its versions.
    folders.retain(|folder| pyenv.as_ref().is_none_or(|root| *folder != root.join("shims")));
    let pyenv = pyenv.map(|root| root.join("versions"));
    let data = host.data.clone().or_else(|| in_home(".local/share"));
    let uv = host.uv.clone().or_else(|| data.map(|data| data.join("uv/python")));
    for versions in pyenv.iter().chain(&uv) {
        folders.extend(entries(versions).into_iter().map(|version| version.join("bin")));
    }
    let mut seen = BTreeSet::new();
    folders.retain(|folder| folder.is_absolute());
    folders
        .iter()
        .flat_map(|folder| entries(folder))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_python))
        .filter(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) || is_script(path))
        .collect()
}

/// `python`, `python3`, `python3.11`, and nothing else such as `python3-config`.
fn is_python(name: &str) -> bool {
    let Some(version) = name.strip_prefix("python") else { return false };
    version.is_empty()
        || version.strip_prefix('3').is_some_and(|minor| {
            minor.is_empty()
                || minor.strip_prefix('.').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
}

/// Whether this is a shim: one script under many names, which acts by the name it is called by.
fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut start)).is_ok()
        && &start == b"#!"
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
