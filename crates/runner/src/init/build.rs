//! Putting up the walls, from inside the first process of the instance.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};

use super::orders::{Plan, Step};
use super::owned::Translation;
use super::{copy, mounts, owned, privileges};

/// Memory for the folders and small files of the root itself.
const ROOT_BYTES: u64 = 16 << 20;

/// How willing the kernel is to end this process and its workers when the host's memory is short: before the server.
const OOM_SCORE: &str = "800";

/// Builds the root, goes there, and gives up all rights. The translation makes the server's files the instance's.
pub(super) fn all(plan: &Plan, translation: Option<&Translation>) -> Result<(), String> {
    umask(Mode::empty());
    let _ = nix::unistd::setsid();
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    match &plan.root {
        Some(root) => root_at(Path::new(root), plan, translation)?,
        None => plan.steps.iter().try_for_each(|step| copies(step, plan))?,
    }
    umask(Mode::from_bits_truncate(0o022));
    privileges::drop(plan)?;
    nix::unistd::chdir(plan.folder.as_str()).map_err(|e| format!("the folder {} cannot be entered: {e}", plan.folder))
}

pub(super) fn root_at(root: &Path, plan: &Plan, translation: Option<&Translation>) -> Result<(), String> {
    mounts::make_private().map_err(|e| format!("mounts cannot be kept private: {e}"))?;
    mounts::memory(root, 0o755, ROOT_BYTES).map_err(|e| format!("no folder in memory for the root: {e}"))?;
    let _ = nix::unistd::sethostname("instance");
    for step in &plan.steps {
        take(root, step, plan, translation).map_err(|e| format!("{} cannot be put up: {e}", named(step)))?;
    }
    mounts::become_root(root).map_err(|e| format!("the root cannot be changed: {e}"))
}

fn take(root: &Path, step: &Step, plan: &Plan, translation: Option<&Translation>) -> io::Result<()> {
    let place = |at: &str| -> PathBuf { root.join(at.trim_start_matches('/')) };
    match step {
        Step::Folder { at, mode } => mounts::folder(&place(at), *mode),
        Step::File { at, text } => {
            let at = place(at);
            parent(&at)?;
            fs::write(at, text)
        }
        Step::Link { at, to } => {
            let at = place(at);
            parent(&at)?;
            std::os::unix::fs::symlink(to, at)
        }
        Step::Bind { at, from, write } => {
            let (at, from) = (place(at), Path::new(from));
            stand_in(&at, from)?;
            Ok(mounts::bind(from, &at, *write)?)
        }
        Step::Device { at, from } => {
            let (at, from) = (place(at), Path::new(from));
            stand_in(&at, from)?;
            Ok(mounts::device(from, &at)?)
        }
        Step::Memory { at, mode, bytes } => {
            let at = place(at);
            mounts::folder(&at, 0o755)?;
            Ok(mounts::memory(&at, *mode, *bytes)?)
        }
        Step::Proc { at } => {
            let at = place(at);
            mounts::folder(&at, 0o555)?;
            Ok(mounts::proc(&at)?)
        }
        Step::Overlay { at, lower, view, upper, work } => {
            let at = place(at);
            mounts::folder(&at, 0o755)?;
            // What the kernel or the file system cannot translate stays the server's, and is read-only to the workers.
            let mine = translation.filter(|of| owned::mount(Path::new(lower), Path::new(view), of).is_ok());
            Ok(mounts::overlay(&at, if mine.is_some() { view } else { lower }, upper, work)?)
        }
        Step::Layers { at, lowers } => {
            let at = place(at);
            mounts::folder(&at, 0o755)?;
            Ok(mounts::layers(&at, lowers)?)
        }
        Step::Copy { from, to } => copy::tree(Path::new(from), Path::new(to), plan.ids),
    }
}

/// Without a root of its own an instance gets its copies and nothing else.
fn copies(step: &Step, plan: &Plan) -> Result<(), String> {
    match step {
        Step::Copy { from, to } => copy::tree(Path::new(from), Path::new(to), plan.ids)
            .map_err(|e| format!("{} cannot be put up: {e}", named(step))),
        _ => Ok(()),
    }
}

/// Something for a mount to lie on: a folder for folders, a file for all else.
fn stand_in(at: &Path, from: &Path) -> io::Result<()> {
    if fs::metadata(from)?.is_dir() {
        return mounts::folder(at, 0o755);
    }
    parent(at)?;
    fs::File::create(at).map(drop)
}

fn parent(at: &Path) -> io::Result<()> {
    at.parent().map_or(Ok(()), |parent| mounts::folder(parent, 0o755))
}

fn named(step: &Step) -> &str {
    match step {
        Step::Folder { at, .. }
        | Step::File { at, .. }
        | Step::Link { at, .. }
        | Step::Bind { at, .. }
        | Step::Device { at, .. }
        | Step::Memory { at, .. }
        | Step::Proc { at }
        | Step::Layers { at, .. }
        | Step::Overlay { at, .. } => at,
        Step::Copy { from, .. } => from,
    }
}
