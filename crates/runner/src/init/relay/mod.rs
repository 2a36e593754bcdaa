//! Stands between the server and a worker that cannot read a socket and does one thing at a time, such as R.
//!
//! Such a worker speaks the same frames over two named pipes, and is given one call at a time. What has to be answered while its
//! code runs is the relay's: calls that wait, those taken back, cancels (which become an interrupt, `SIGINT`) and credits. So are
//! the descriptors of files, for which the worker has paths. The
//! decisions are [`books`]'; here are the descriptors. The relay has no program of its own: it is what was forked to become a
//! worker, behind the same walls, and ends as its worker ends.

mod books;
mod buffers;
mod files;

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, execve, fork, mkfifo, unlink};

use super::spawn::{Image, SOCKET};
use crate::protocol::{MOST_FILES, kind};
use crate::rights::Pairing;
use books::Books;
use buffers::{CROWDED, Incoming, Outgoing};
use files::{Place, Placing};

/// Bytes for a slow server up to which the worker is read from.
const AHEAD: usize = 1 << 20;
/// How we end when the server is gone, as other workers do.
const SERVER_GONE: i32 = 71;
/// How we end when the server broke the protocol, as other workers do.
const BROKEN: i32 = 70;
const CANNOT: i32 = 127;

/// Starts the worker and passes on what is said, as long as it lives. Never returns.
pub(super) fn run(image: &Image, folder: &str) -> ! {
    // SAFETY: takes numbers only. What is open beside the standard ones and the socket is the first process's; whoever holds
    // its things here never drops them, because this process ends without coming back.
    unsafe { libc::syscall(libc::SYS_close_range, SOCKET + 1, u32::MAX, 0) };
    let Err(e) = relay(image, folder);
    eprintln!("modelyard relay: {e}");
    // SAFETY: ends this process without running anything of its parent's.
    unsafe { libc::_exit(CANNOT) }
}

fn relay(image: &Image, folder: &str) -> io::Result<Infallible> {
    let own = std::process::id();
    let names = ["from", "to"].map(|name| format!("{folder}/.worker-{own}-{name}"));
    let [to_worker, from_worker] = names.each_ref().map(|name| pipe(name));
    let (to_worker, from_worker) = (to_worker?, from_worker?);
    let mut mask = SigSet::empty();
    // The server's signals only say that a frame is in the socket, which is looked at anyway. The last one would end us where a
    // file is too large, which is told instead.
    for signal in [Signal::SIGCHLD, Signal::SIGUSR1, Signal::SIGURG, Signal::SIGXFSZ] {
        mask.add(signal);
    }
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let born = Instant::now();
    let worker = start(image, &names)?;
    // SAFETY: the socket was put there for us.
    let socket = unsafe { BorrowedFd::borrow_raw(SOCKET) };
    let mut relay = Relay {
        socket,
        to_worker,
        from_worker,
        signals,
        worker,
        born,
        names,
        books: Books::default(),
        from_server: Incoming::default(),
        said: Incoming::default(),
        for_worker: Outgoing::default(),
        for_server: Outgoing::default(),
        pairing: Pairing::default(),
        place: Place::of(folder, process_of(image)),
        placing: None,
    };
    loop {
        relay.step()?;
    }
}

/// The number of the process in its instance.
fn process_of(image: &Image) -> &str {
    let mut arguments = image.arguments.iter().skip_while(|argument| argument.as_bytes() != b"--process").skip(1);
    arguments.next().and_then(|number| number.to_str().ok()).unwrap_or("0")
}

/// A pipe with a name, of which both ends stay open here: nobody has to wait for anybody, and nobody finds it closed.
fn pipe(name: &str) -> io::Result<OwnedFd> {
    mkfifo(name, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(name)?;
    Ok(file.into())
}

fn start(image: &Image, [from, to]: &[String; 2]) -> io::Result<Pid> {
    let mut arguments = image.arguments.clone();
    for word in ["--from", from, "--to", to] {
        arguments.push(CString::new(word)?);
    }
    let program = arguments.first().cloned().unwrap_or_default();
    // SAFETY: this process has one thread.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let begun = prctl::set_pdeathsig(Signal::SIGKILL)
                .and_then(|()| leave_the_socket())
                .and_then(|()| sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None))
                .and_then(|()| execve(&program, &arguments, &image.environment));
            let Err(e) = begun;
            eprintln!("modelyard relay: {} could not be started: {}", program.to_string_lossy(), e.desc());
            // SAFETY: ends this process without running anything of its parent's.
            unsafe { libc::_exit(CANNOT) }
        }
    }
}

/// The socket is not for the worker.
fn leave_the_socket() -> nix::Result<()> {
    // SAFETY: takes numbers only; the socket is open.
    Errno::result(unsafe { libc::fcntl(SOCKET, libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

struct Relay<'a> {
    socket: BorrowedFd<'a>,
    to_worker: OwnedFd,
    from_worker: OwnedFd,
    signals: SignalFd,
    worker: Pid,
    born: Instant,
    names: [String; 2],
    books: Books,
    from_server: Incoming,
    said: Incoming,
    for_worker: Outgoing,
    for_server: Outgoing,
    /// Which frame of the server a descriptor belongs to.
    pairing: Pairing,
    place: Place,
    /// The files of the call in work, while they are written.
    placing: Option<Placing>,
}

impl Relay<'_> {
    fn step(&mut self) -> io::Result<()> {
        let room = self.for_server.len() < AHEAD && self.for_server.files() < MOST_FILES;
        let listens = self.books.listens() && room;
        let sends = self.for_server.len() > 0 && !self.for_server.crowded;
        let flags = |wanted, flag| if wanted { flag } else { PollFlags::empty() };
        let mut wait = [
            PollFd::new(self.socket, PollFlags::POLLIN | flags(sends, PollFlags::POLLOUT)),
            PollFd::new(self.to_worker.as_fd(), flags(self.for_worker.len() > 0, PollFlags::POLLOUT)),
            PollFd::new(self.from_worker.as_fd(), flags(listens, PollFlags::POLLIN)),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        let limit = match (&self.placing, self.for_server.crowded) {
            (Some(_), _) => PollTimeout::ZERO,
            (None, true) => CROWDED.into(),
            (None, false) => PollTimeout::NONE,
        };
        match poll(&mut wait, limit) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        let ready = wait.map(|one| one.revents().unwrap_or(PollFlags::empty()));
        if !ready[3].is_empty() {
            while let Ok(Some(_)) = self.signals.read_signal() {}
            self.look_after_the_worker();
        }
        if ready[2].contains(PollFlags::POLLIN) {
            self.hear()?;
        }
        if ready[0].intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
            self.obey();
        }
        if self.books.is_to_be_interrupted() {
            let _ = kill(self.worker, Signal::SIGINT);
        }
        self.place_files();
        for call in self.books.ended() {
            self.place.tidy(call);
        }
        self.for_worker.append(self.books.for_worker());
        self.for_server.append(self.books.for_server());
        self.for_worker.write(self.to_worker.as_fd())?;
        if self.for_server.send(self.socket).is_err() {
            self.leave(SERVER_GONE);
        }
        Ok(())
    }

    /// Reads what the server sent.
    fn obey(&mut self) {
        match self.from_server.receive(self.socket, &mut self.pairing) {
            Ok(count) if count > 0 => {}
            Err(Errno::EAGAIN | Errno::EINTR) => return,
            Ok(_) | Err(_) => self.leave(SERVER_GONE),
        }
        if let Err(what) = self.whole_frames() {
            eprintln!("modelyard relay: the server broke the protocol: {what}");
            self.leave(BROKEN);
        }
    }

    fn whole_frames(&mut self) -> Result<(), String> {
        while let Some((kind, payload)) = self.from_server.next()? {
            if kind == kind::INPUT_FILE {
                let file = self.pairing.take()?;
                self.books.server_gave(&payload, file)?;
            } else {
                self.pairing.expect_none()?;
                self.books.server_said(kind, &payload)?;
            }
        }
        Ok(self.pairing.settle(self.from_server.in_the_middle())?)
    }

    /// Goes on with the files of the call in work, unless it was cancelled.
    fn place_files(&mut self) {
        loop {
            let unplaced = self.books.unplaced();
            self.placing.take_if(|placing| Some(placing.call) != unplaced);
            if let Some((call, files)) = self.books.take_unplaced() {
                self.placing = Some(Placing::new(&self.place, call, files));
            }
            let Some(done) = self.placing.as_mut().and_then(Placing::step) else { return };
            self.placing = None;
            // If these cannot be written, it is the turn of another call, perhaps with files.
            self.books.placed(done);
        }
    }

    /// Reads what the worker said, as far as it is wanted now.
    fn hear(&mut self) -> io::Result<()> {
        match self.said.read(self.from_worker.as_fd()) {
            Ok(_) => self.take_said(),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn take_said(&mut self) -> io::Result<()> {
        while self.books.listens() {
            match self.said.next().map_err(io::Error::other)? {
                Some((kind::OUTPUT_FILE, payload)) => {
                    let file = files::open(payload.get(12..).unwrap_or_default());
                    self.books.worker_gave(&payload, file);
                }
                Some((kind, payload)) => {
                    if self.books.worker_said(kind, payload, self.born.elapsed()) {
                        // It has opened its ends: nobody else finds them from now on.
                        for name in &self.names {
                            let _ = unlink(name.as_str());
                        }
                    }
                }
                None => break,
            }
        }
        Ok(())
    }

    /// Ends as the worker ended, once what it had said is passed on.
    fn look_after_the_worker(&mut self) {
        let status = match waitpid(self.worker, Some(WaitPidFlag::WNOHANG)) {
            Ok(status @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..))) => status,
            _ => return,
        };
        self.books.worker_is_gone();
        while self.said.read(self.from_worker.as_fd()).is_ok_and(|count| count > 0) && self.take_said().is_ok() {}
        self.for_server.append(self.books.for_server());
        self.place.clear();
        let _ = self.for_server.send_all(self.socket);
        if let WaitStatus::Signaled(_, signal, _) = status {
            // SAFETY: plain system calls: the default reaction, and the signal let through.
            unsafe {
                libc::signal(signal as i32, libc::SIG_DFL);
                let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
                libc::kill(libc::getpid(), signal as i32);
            }
        }
        let code = if let WaitStatus::Exited(_, code) = status { code } else { CANNOT };
        // SAFETY: ends this process without running anything of its parent's.
        unsafe { libc::_exit(code) }
    }

    /// Ends the worker and this process.
    fn leave(&self, code: i32) -> ! {
        let _ = kill(self.worker, Signal::SIGKILL);
        // SAFETY: ends this process without running anything of its parent's.
        unsafe { libc::_exit(code) }
    }
}

/// The number of a descriptor, for system calls that take one.
fn raw(fd: BorrowedFd<'_>) -> i32 {
    fd.as_raw_fd()
}
