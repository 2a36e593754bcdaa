//! Finds uv, the program that builds environments, or fetches the pinned one; and decides which package index it uses.

mod fetch;
mod index;
mod pip;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod index_tests;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests;

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

pub use index::{Host, Index, IndexSettings, Source};

/// The release that is fetched when the host has none.
pub const PINNED: &str = "0.13.8";
/// Releases on `PATH` that are used: from the first with all options we pass, to before the next that may break them.
const ACCEPTED: std::ops::Range<(u32, u32)> = (0, 5)..(1, 0);
const VERSION_TIME: Duration = Duration::from_secs(10);

/// uv, found or fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uv {
    /// The program, with links resolved.
    pub path: PathBuf,
    /// Its version.
    pub version: String,
}

/// Why there is no uv.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoUv(pub(crate) String);

/// Finds uv: on `PATH` when its version is 0.5 or newer but below 1.0, else in `tools_dir`, else fetches it.
///
/// What is fetched is the wheel of release [`PINNED`] for this platform, by pip of one of `pythons`, from the index in
/// `index` or else by pip's own settings of the host; its SHA-256 must be one that is written in our source. The
/// program is put at `tools_dir/uv-VERSION/uv` by one rename.
pub async fn locate_or_fetch(tools_dir: &Path, index: &Index, pythons: &[PathBuf]) -> Result<Uv, NoUv> {
    let path = env::var_os("PATH").unwrap_or_default();
    match locate(&env::split_paths(&path).collect::<Vec<_>>(), tools_dir).await {
        Some(uv) => Ok(uv),
        None => fetch::fetch(tools_dir, index, pythons).await,
    }
}

/// Finds a uv that is there already, in one of `folders` or in `tools_dir`.
async fn locate(folders: &[PathBuf], tools_dir: &Path) -> Option<Uv> {
    for folder in folders.iter().filter(|folder| folder.is_absolute()) {
        if let Some(uv) = introduce(&folder.join("uv")).await {
            return Some(uv);
        }
    }
    let ours = introduce(&fetch::place(tools_dir)).await?;
    (ours.version == PINNED).then_some(ours)
}

/// Asks a program whether it is a uv that we can use.
async fn introduce(program: &Path) -> Option<Uv> {
    let path = program.canonicalize().ok()?;
    let mut command = Command::new(&path);
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = timeout(VERSION_TIME, command.output()).await.ok()?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.strip_prefix("uv ")?.split_whitespace().next()?.to_owned();
    if !accepted(&version) {
        tracing::info!(path = %path.display(), version, "this uv is not used: it is too old or too new");
        return None;
    }
    Some(Uv { path, version })
}

fn accepted(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => ACCEPTED.contains(&(major, minor)),
        _ => false,
    }
}
