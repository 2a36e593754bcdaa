//! The file system that a confined program sees: the host's, with private places covered and needed paths put back.

use std::{
    collections::BTreeSet,
    ffi::{CStr, CString},
    io::{self, Write},
    mem::MaybeUninit,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    ptr,
};

use super::{
    confined::{Seen, c_string, check},
    system::mounted_below,
};
use crate::init::mounts::lower_folders;

/// Covered for every program, where they exist.
const PRIVATE: [&str; 4] = ["/root", "/home", "/run", "/var/run"];
/// Covered by an empty folder that all may write to.
const TEMPORARY: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
const MOST_PATHS: usize = 64;

/// A plan of mounts, carried out by the child in a mount namespace of its own.
pub(super) struct View {
    layers: Vec<Layered>,
    covers: Vec<Cover>,
    paths: Vec<Back>,
}

/// A folder of the host with one of system packages over it.
struct Layered {
    path: CString,
    options: CString,
}

/// Folders of system packages that programs see over the host's.
const LAYERED: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "etc"];

/// A folder to be covered by an empty one.
struct Cover {
    path: CString,
    writable: bool,
}

/// A path to be put back into a cover.
struct Back {
    path: CString,
    folder: bool,
    writable: bool,
    /// The folders to make in the cover, outermost first.
    parents: Vec<CString>,
}

impl View {
    /// Plans a view in which of the covered folders only `sees` is left.
    pub fn plan(sees: &[Seen], hides: &[PathBuf], layer: Option<&Path>) -> io::Result<Self> {
        let mut seen = Vec::new();
        let resolver = Seen { path: PathBuf::from("/etc/resolv.conf"), writable: false };
        for Seen { path, writable } in sees.iter().chain([&resolver]) {
            // What is not there cannot be seen; the program will say so in its own words.
            if let Ok(path) = path.canonicalize() {
                seen.push(Seen { path, writable: *writable });
            }
        }
        // Outer paths come first, or they would hide those inside of them.
        seen.sort_by(|a, b| a.path.cmp(&b.path));
        drop_inner(&mut seen);
        let covers = covers(&seen, hides);
        let mut paths = Vec::new();
        for Seen { path, writable } in &seen {
            let Some(cover) = covers.iter().find(|cover| path.starts_with(cover)) else { continue };
            let parents = path.ancestors().skip(1).take_while(|parent| parent != cover);
            let parents: Vec<CString> = parents.map(c_string).collect::<io::Result<_>>()?;
            paths.push(Back {
                path: c_string(path)?,
                folder: path.is_dir(),
                writable: *writable,
                parents: parents.into_iter().rev().collect(),
            });
        }
        let temporary = |path: &Path| TEMPORARY.iter().any(|temporary| path == Path::new(temporary));
        let covers = covers.iter().map(|path| Ok(Cover { path: c_string(path)?, writable: temporary(path) }));
        let (layers, below) = layer.map_or(Ok((Vec::new(), Vec::new())), layers)?;
        paths.extend(below);
        if paths.len() > MOST_PATHS {
            return Err(io::Error::other("a confined program needs too many paths"));
        }
        Ok(Self { layers, covers: covers.collect::<io::Result<_>>()?, paths })
    }

    /// Carries out the plan. Runs between fork and exec: makes system calls and allocates nothing.
    pub unsafe fn enter(&self) -> io::Result<()> {
        // SAFETY (of all calls below): plain system calls; strings end in NUL and outlive the calls.
        unsafe {
            mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None)?;
            let mut handles = [-1; MOST_PATHS];
            for (back, handle) in self.paths.iter().zip(&mut handles) {
                *handle = libc::open(back.path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
                check(*handle)?;
            }
            for layered in &self.layers {
                let flags = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV;
                mount(Some(c"overlay"), &layered.path, Some(c"overlay"), flags, Some(&layered.options))?;
            }
            for cover in &self.covers {
                let options = if cover.writable { c"mode=1777,size=256m" } else { c"mode=0755,size=1m" };
                mount(Some(c"none"), &cover.path, Some(c"tmpfs"), libc::MS_NOSUID | libc::MS_NODEV, Some(options))?;
            }
            for (back, handle) in self.paths.iter().zip(handles) {
                back.put(handle)?;
                libc::close(handle);
            }
            for cover in self.covers.iter().filter(|cover| !cover.writable) {
                let flags = libc::MS_REMOUNT | libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV;
                mount(None, &cover.path, None, flags, None)?;
            }
            // Shows the program its own processes only. Some containers refuse it; the processes of others stay out of
            // reach by their user id then.
            let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
            let _ = mount(Some(c"proc"), c"/proc", Some(c"proc"), flags, None);
        }
        Ok(())
    }
}

/// The folders of a layer over those of the host, and what is mounted below these, which has to be put back.
fn layers(layer: &Path) -> io::Result<(Vec<Layered>, Vec<Back>)> {
    let (mut layers, mut below) = (Vec::new(), Vec::new());
    for name in LAYERED {
        let (over, path) = (layer.join(name), Path::new("/").join(name));
        if !over.is_dir() || !path.is_dir() || path.is_symlink() {
            continue;
        }
        let texts = [&over, &path].map(|path| path.to_string_lossy().into_owned());
        let options = CString::new(lower_folders(&texts)).map_err(|_| io::ErrorKind::InvalidInput)?;
        for inner in mounted_below(&texts[1]) {
            let inner = PathBuf::from(inner);
            let path = c_string(&inner)?;
            below.push(Back { path, folder: inner.is_dir(), writable: false, parents: Vec::new() });
        }
        layers.push(Layered { path: c_string(&path)?, options });
    }
    Ok((layers, below))
}

/// Drops the paths that an outer one shows already, in the same way. Each path is a mount of its own, and files cannot be
/// linked from one mount to another: the cache has to be on that of the environments.
fn drop_inner(seen: &mut Vec<Seen>) {
    let mut kept: Vec<Seen> = Vec::new();
    for inner in seen.drain(..) {
        let shown = |outer: &Seen| inner.path.starts_with(&outer.path) && inner.writable == outer.writable;
        if !kept.iter().any(shown) {
            kept.push(inner);
        }
    }
    *seen = kept;
}

impl Back {
    unsafe fn put(&self, handle: i32) -> io::Result<()> {
        let mut buffer = [0; 32];
        write!(&mut buffer[..], "/proc/self/fd/{handle}\0")?;
        let source = CStr::from_bytes_until_nul(&buffer).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY (of all calls below): plain system calls; strings end in NUL and outlive the calls.
        unsafe {
            for parent in &self.parents {
                libc::mkdir(parent.as_ptr(), 0o755);
            }
            if self.folder {
                libc::mkdir(self.path.as_ptr(), 0o755);
            } else {
                let file = libc::open(self.path.as_ptr(), libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC, 0o644);
                libc::close(file);
            }
            mount(Some(source), &self.path, None, libc::MS_BIND, None)?;
            let read_only = if self.writable { 0 } else { libc::MS_RDONLY };
            let flags = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_NOSUID | libc::MS_NODEV | read_only;
            mount(None, &self.path, None, flags | flags_of(&self.path), None)
        }
    }
}

/// The flags of the mount a path lies in that a user namespace may not take away from it.
unsafe fn flags_of(path: &CStr) -> libc::c_ulong {
    let mut about = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the string ends in NUL, and all-zero is a value of the structure, should the call fail.
    let flags = unsafe {
        libc::statvfs(path.as_ptr(), about.as_mut_ptr());
        about.assume_init().f_flag
    };
    // These have the same values for `mount` as for `statvfs`.
    flags & (libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC)
}

/// The folders to cover: the private ones, and those that the needed paths cannot be reached through.
fn covers(seen: &[Seen], hides: &[PathBuf]) -> Vec<PathBuf> {
    let fixed = PRIVATE.iter().chain(&TEMPORARY).map(PathBuf::from);
    let closed = seen.iter().filter_map(|seen| closed_ancestor(&seen.path));
    let all = fixed.chain(hides.iter().cloned()).chain(closed);
    // Sorted, so that an outer folder comes before those inside of it, which it covers as well.
    let all: BTreeSet<PathBuf> = all.filter_map(|path| path.canonicalize().ok()).filter(|path| path.is_dir()).collect();
    let mut outer: Vec<PathBuf> = Vec::new();
    for path in all {
        let needed_itself = seen.iter().any(|seen| path.starts_with(&seen.path));
        if !needed_itself && !outer.iter().any(|cover| path.starts_with(cover)) {
            outer.push(path);
        }
    }
    outer
}

/// The outermost folder above `path` that a user without any rights may not enter.
pub(super) fn closed_ancestor(path: &Path) -> Option<PathBuf> {
    let above: Vec<&Path> = path.ancestors().skip(1).collect();
    let closed = |folder: &Path| folder.metadata().is_ok_and(|about| about.permissions().mode() & 0o001 == 0);
    above.into_iter().rev().find(|folder| closed(folder)).map(Path::to_path_buf)
}

unsafe fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: the strings end in NUL and outlive the call; absent ones are null, which mount allows.
    check(unsafe { libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, pointer(options).cast()) })
}
