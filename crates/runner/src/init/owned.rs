//! A view of a folder in which the server's files belong to the instance, so that its workers may change what lies in their
//! package, in the overlay, without anything being copied before.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getegid, geteuid};

use super::orders::Ids;

/// A user namespace that translates our ids into the instance's. A child lives in it for as long as it takes to take hold of it.
pub(super) fn translation(to: Ids) -> io::Result<OwnedFd> {
    let (mut ours, mut theirs) = std::os::unix::net::UnixStream::pair()?;
    // SAFETY: this process has one thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(ours);
            let entered = unshare(CloneFlags::CLONE_NEWUSER).is_ok() && theirs.write_all(&[1]).is_ok();
            let _ = entered.then(|| theirs.read(&mut [0]));
            // SAFETY: ends this process without running anything of its parent's.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            let namespace = ours.read_exact(&mut [0]).and_then(|()| mapped(child, to));
            drop(ours);
            let _ = waitpid(child, None);
            namespace
        }
    }
}

fn mapped(child: Pid, to: Ids) -> io::Result<OwnedFd> {
    fs::write(format!("/proc/{child}/uid_map"), format!("{} {} 1", geteuid(), to.uid))?;
    fs::write(format!("/proc/{child}/gid_map"), format!("{} {} 1", getegid(), to.gid))?;
    let path = format!("/proc/{child}/ns/user");
    Ok(nix::fcntl::open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// Mounts the folder as the instance's own.
pub(super) fn mount(from: &Path, at: &Path, translation: &OwnedFd) -> Result<(), Errno> {
    let (from, at) = (super::mounts::c_path(from)?, super::mounts::c_path(at)?);
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path outlives the call.
    let tree = Errno::result(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, from.as_ptr(), flags) })?;
    // SAFETY: just made.
    let tree = unsafe { OwnedFd::from_raw_fd(i32::try_from(tree).map_err(|_| Errno::EBADF)?) };
    let namespace = u64::try_from(translation.as_fd().as_raw_fd()).map_err(|_| Errno::EBADF)?;
    let set = libc::MOUNT_ATTR_IDMAP | libc::MOUNT_ATTR_RDONLY;
    let wish = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: namespace };
    let (fd, here, size) = (tree.as_raw_fd(), c"".as_ptr(), size_of::<libc::mount_attr>());
    // SAFETY: the empty path and the struct outlive the call.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_mount_setattr, fd, here, libc::AT_EMPTY_PATH, &raw const wish, size)
    })?;
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH;
    // SAFETY: both paths outlive the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_move_mount, fd, here, libc::AT_FDCWD, at.as_ptr(), flags) })?;
    Ok(())
}
