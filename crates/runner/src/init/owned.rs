//! A view of a folder in which the server's files belong to the instance, so that its workers may change what lies in their
//! package, in the overlay, without anything being copied before.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getegid, geteuid};

use super::orders::Ids;

/// A user namespace that translates our ids into the instance's.
pub(super) struct Translation {
    /// The namespace.
    pub namespace: OwnedFd,
    /// The process that was born in it, and told to end.
    child: Pid,
}

impl Translation {
    /// Makes one. A child is born into it and needs not even run; nobody waits for it here.
    pub(super) fn new(to: Ids) -> io::Result<Self> {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair()?;
        let (flags, none) = (libc::CLONE_NEWUSER | libc::SIGCHLD, 0);
        // SAFETY: like fork, in a process with one thread.
        let child = Errno::result(unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) })?;
        if child == 0 {
            drop(ours);
            let _ = theirs.read(&mut [0]);
            // SAFETY: ends this process without running anything of its parent's.
            unsafe { libc::_exit(0) }
        }
        let child = Pid::from_raw(i32::try_from(child).map_err(io::Error::other)?);
        Ok(Self { namespace: mapped(child, to)?, child })
    }

    /// Takes leave of the child, in the process that made it.
    pub(super) fn leave(self) {
        let _ = waitpid(self.child, None);
    }
}

fn mapped(child: Pid, to: Ids) -> io::Result<OwnedFd> {
    fs::write(format!("/proc/{child}/uid_map"), format!("{} {} 1", geteuid(), to.uid))?;
    fs::write(format!("/proc/{child}/gid_map"), format!("{} {} 1", getegid(), to.gid))?;
    let path = format!("/proc/{child}/ns/user");
    Ok(nix::fcntl::open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// Mounts the folder as the instance's own.
pub(super) fn mount(from: &Path, at: &Path, translation: &Translation) -> Result<(), Errno> {
    let (from, at) = (super::mounts::c_path(from)?, super::mounts::c_path(at)?);
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path outlives the call.
    let tree = Errno::result(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, from.as_ptr(), flags) })?;
    // SAFETY: just made.
    let tree = unsafe { OwnedFd::from_raw_fd(i32::try_from(tree).map_err(|_| Errno::EBADF)?) };
    let namespace = u64::try_from(translation.namespace.as_raw_fd()).map_err(|_| Errno::EBADF)?;
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
