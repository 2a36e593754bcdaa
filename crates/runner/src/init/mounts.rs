//! Mounts, one function for each kind.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, chroot, pivot_root};

const NONE: Option<&str> = None;

/// Keeps our mounts to ourselves.
pub(super) fn make_private() -> Result<(), Errno> {
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_SLAVE, NONE)
}

/// A folder in memory.
pub(super) fn memory(at: &Path, mode: u32, bytes: u64) -> Result<(), Errno> {
    let options = format!("mode={mode:o},size={bytes}");
    mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options.as_str()))
}

/// A folder or file of the host at another place.
pub(super) fn bind(from: &Path, at: &Path, write: bool) -> Result<(), Errno> {
    mount(Some(from), at, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?;
    restrict(at, !write, true)
}

/// A device of the host.
pub(super) fn device(from: &Path, at: &Path) -> Result<(), Errno> {
    mount(Some(from), at, NONE, MsFlags::MS_BIND, NONE)
}

/// The processes of the PID namespace we are in.
pub(super) fn proc(at: &Path) -> Result<(), Errno> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), at, Some("proc"), flags, NONE)
}

/// A folder whose changes land in another one.
pub(super) fn overlay(at: &Path, lower: &str, upper: &str, work: &str) -> Result<(), Errno> {
    let base = format!("lowerdir={},upperdir={},workdir={}", escaped(lower), escaped(upper), escaped(work));
    // `volatile` spares the host a sync of the whole file system when the instance ends; `userxattr` is needed in a user
    // namespace. What the kernel does not know is left out.
    let mut last = Errno::EINVAL;
    for extra in [",volatile", ",volatile,userxattr", ",userxattr", ""] {
        let options = format!("{base}{extra}");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        match mount(Some("overlay"), at, Some("overlay"), flags, Some(options.as_str())) {
            Ok(()) => return Ok(()),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// Folders over each other, the uppermost first.
pub(super) fn layers(at: &Path, lowers: &[String]) -> Result<(), Errno> {
    let options = lower_folders(lowers);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_RDONLY;
    mount(Some("overlay"), at, Some("overlay"), flags, Some(options.as_str()))
}

/// The option of an overlay for the folders below, the uppermost first.
pub(crate) fn lower_folders(lowers: &[String]) -> String {
    let lowers: Vec<String> = lowers.iter().map(|lower| escaped(lower)).collect();
    format!("lowerdir={}", lowers.join(":"))
}

fn escaped(path: &str) -> String {
    path.replace('\\', "\\\\").replace(',', "\\,").replace(':', "\\:")
}

/// Takes the rights to write away from a mount.
pub(super) fn make_read_only(at: &Path) -> Result<(), Errno> {
    restrict(at, true, true)
}

/// Makes the folder the root, and forgets the old one.
pub(super) fn become_root(folder: &Path) -> Result<(), Errno> {
    chdir(folder)?;
    if pivot_root(".", ".").is_ok() {
        umount2(".", MntFlags::MNT_DETACH)?;
    } else {
        // The host runs from its first memory disk, which cannot be exchanged.
        mount(Some("."), "/", NONE, MsFlags::MS_MOVE, NONE)?;
        chroot(".")?;
    }
    chdir("/")?;
    restrict(Path::new("/"), true, false)
}

/// Takes rights away from a mount: setuid and devices always, writing when asked.
fn restrict(at: &Path, read_only: bool, below: bool) -> Result<(), Errno> {
    let path = c_path(at)?;
    let mut set = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    if read_only {
        set |= libc::MOUNT_ATTR_RDONLY;
    }
    let wish = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = if below { libc::AT_RECURSIVE } else { 0 };
    let size = size_of::<libc::mount_attr>();
    // SAFETY: path and struct outlive the call.
    let done =
        unsafe { libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, path.as_ptr(), flags, &raw const wish, size) };
    match Errno::result(done) {
        Ok(_) => Ok(()),
        Err(Errno::ENOSYS) => restrict_one(at, read_only),
        Err(e) => Err(e),
    }
}

/// The same for kernels before 5.12, for this one mount. What the host had restricted already stays restricted.
fn restrict_one(at: &Path, read_only: bool) -> Result<(), Errno> {
    let host = nix::sys::statvfs::statvfs(at)?.flags().bits();
    let mut flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    flags |= MsFlags::from_bits_truncate(host & (libc::ST_RDONLY | libc::ST_NOEXEC | libc::ST_NOATIME));
    if host & libc::ST_RELATIME != 0 {
        flags |= MsFlags::MS_RELATIME;
    }
    if read_only {
        flags |= MsFlags::MS_RDONLY;
    }
    mount(NONE, at, NONE, flags, NONE)
}

/// A path as the kernel wants it.
pub(super) fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL)
}

/// A folder, with its parents.
pub(super) fn folder(at: &Path, mode: u32) -> std::io::Result<()> {
    if at.is_dir() {
        return Ok(());
    }
    if let Some(parent) = at.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    }
    fs::DirBuilder::new().mode(mode).create(at)
}
