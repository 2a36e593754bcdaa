//! Descriptors over a Unix socket that user code may write to: none that comes is ever left open by accident.
//!
//! The kernel hands a descriptor out with the first byte it was sent with, and ends the read with the bytes of that write.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use bytes::BufMut;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statfs::{
    BPF_FS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, FsType, PROC_SUPER_MAGIC, SECURITYFS_MAGIC,
    SYSFS_MAGIC, TRACEFS_MAGIC, fstatfs,
};

/// Room for what comes beside the bytes, in words, so that it is aligned: a head and two descriptors.
const SPACE: usize = 3;

/// What a read brought.
#[derive(Debug)]
pub(crate) struct Received {
    pub bytes: usize,
    pub descriptors: Vec<OwnedFd>,
    /// There were more descriptors than can be meant, or than this process has room for.
    pub lost: bool,
}

/// Reads without waiting. Descriptors come with the first of the bytes they were sent with, and a read ends with the bytes of
/// that write.
pub(crate) fn receive(from: BorrowedFd<'_>, room: &mut impl BufMut) -> nix::Result<Received> {
    let chunk = room.chunk_mut();
    let mut into = libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: chunk.len() };
    let mut space = [0u64; SPACE];
    // SAFETY: all zeroes is a message header without anything.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut into, 1);
    (message.msg_control, message.msg_controllen) = (space.as_mut_ptr().cast(), size_of_val(&space));
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    // SAFETY: the header points to the room and the space, which outlive the call.
    let bytes = Errno::result(unsafe { libc::recvmsg(from.as_raw_fd(), &raw mut message, flags) })?.cast_unsigned();
    // SAFETY: the kernel has just filled the header.
    let descriptors = unsafe { descriptors(&message) };
    // SAFETY: the kernel has just written these bytes.
    unsafe { room.advance_mut(bytes) };
    Ok(Received { bytes, descriptors, lost: message.msg_flags & libc::MSG_CTRUNC != 0 })
}

/// Takes what came, also where more was lost.
///
/// # Safety
///
/// The message must be fresh from the kernel.
unsafe fn descriptors(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut all = Vec::new();
    // SAFETY: the kernel wrote the parts, which are walked as it laid them out; nobody else knows the descriptors.
    unsafe {
        let mut part = libc::CMSG_FIRSTHDR(message);
        while let Some(head) = part.as_ref() {
            if (head.cmsg_level, head.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let size = head.cmsg_len - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(head).cast::<RawFd>();
                for at in 0..size / size_of::<RawFd>() {
                    all.push(OwnedFd::from_raw_fd(data.add(at).read_unaligned()));
                }
            }
            part = libc::CMSG_NXTHDR(message, head);
        }
    }
    all
}

/// Which frame a descriptor belongs to that came with a read: a file's of that read, or of the first frame of the next one.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    /// What came; nothing in it when this process had no room for one more.
    at_hand: Option<Option<OwnedFd>>,
    /// It came with an earlier read: the next frame is its own.
    due: bool,
    several: bool,
}

impl Pairing {
    /// To be called with what each read brought.
    pub fn came(&mut self, descriptors: Vec<OwnedFd>, lost: bool) {
        let count = descriptors.len();
        self.several |= count + usize::from(lost) + usize::from(self.at_hand.is_some()) > 1;
        if count > 0 || lost {
            self.at_hand = Some(descriptors.into_iter().next());
        }
    }

    /// To be called for each frame of a file: its descriptor, unless there was no room for it.
    pub fn take(&mut self) -> Result<Option<OwnedFd>, &'static str> {
        self.due = false;
        self.at_hand.take().ok_or("a file frame without a descriptor")
    }

    /// To be called for each other frame.
    pub fn expect_none(&self) -> Result<(), &'static str> {
        if self.due { Err("a descriptor with a frame that takes none") } else { Ok(()) }
    }

    /// To be called when the whole frames of a read are done; `in_the_middle` of one, its descriptor may be at hand already.
    pub fn settle(&mut self, in_the_middle: bool) -> Result<(), &'static str> {
        if self.several {
            return Err("several descriptors with one frame");
        }
        self.due = self.at_hand.is_some();
        if self.due && !in_the_middle { Err("a descriptor without a frame") } else { Ok(()) }
    }
}

/// File systems whose files are the kernel's: what they hold may depend on who reads.
const OF_THE_KERNEL: [FsType; 8] = [
    PROC_SUPER_MAGIC,
    SYSFS_MAGIC,
    CGROUP_SUPER_MAGIC,
    CGROUP2_SUPER_MAGIC,
    DEBUGFS_MAGIC,
    TRACEFS_MAGIC,
    SECURITYFS_MAGIC,
    BPF_FS_MAGIC,
];

/// An ordinary file that can be read, or what it is instead. Whoever sent it can still change it, and move its position.
pub(crate) fn ordinary(file: &OwnedFd) -> Result<(), &'static str> {
    let lost = |_: Errno| "is nothing that can be looked at";
    let kind = SFlag::from_bits_truncate(fstat(file).map_err(lost)?.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFREG {
        return Err("is no ordinary file");
    }
    let flags = OFlag::from_bits_truncate(fcntl(file, FcntlArg::F_GETFL).map_err(lost)?);
    if flags.contains(OFlag::O_PATH) || flags & OFlag::O_ACCMODE == OFlag::O_WRONLY {
        return Err("is not open for reading");
    }
    if OF_THE_KERNEL.contains(&fstatfs(file).map_err(lost)?.filesystem_type()) {
        return Err("is a file of the kernel");
    }
    Ok(())
}

/// Sends bytes without waiting, with a descriptor at the first of them. Gives how many were taken.
pub(crate) fn send(to: BorrowedFd<'_>, bytes: &[u8], file: &OwnedFd) -> nix::Result<usize> {
    let (rights, flags) = ([file.as_raw_fd()], MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT);
    sendmsg::<()>(to.as_raw_fd(), &[IoSlice::new(bytes)], &[ControlMessage::ScmRights(&rights)], flags, None)
}
