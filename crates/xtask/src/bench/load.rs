//! The load generator: N connections in a closed loop on one thread.
//!
//! Every connection sends its next request as soon as the last answer is there. A request costs one `send`, one
//! `recv` and a share of an `epoll_wait`, no allocation and one look at the clock, so that as little as possible of
//! the machine is taken from the servers. It takes less than `wrk` does: `docs/performance.md` has the comparison.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::answer::{self, Shape};
use super::{Result, interrupt};

/// How long the last answers of a cell may take.
const DRAIN: Duration = Duration::from_secs(15);

/// What to send, and how a right answer is known.
#[derive(Debug, Clone)]
pub struct Aim {
    /// Where the server listens.
    pub address: SocketAddr,
    /// The whole request, head and body.
    pub request: Vec<u8>,
    /// Stands in the body of every right answer.
    pub proof: String,
}

/// What happened in one stretch of load.
#[derive(Debug)]
pub struct Stretch {
    /// Nanoseconds of each request, sorted.
    pub latencies: Vec<u64>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Answers that were not right.
    pub bad: u64,
    /// The first of them.
    pub sample: Option<String>,
    /// Processor time of the generator itself.
    pub own_cpu: Duration,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    sent: usize,
    since: Instant,
}

/// Open connections to one server.
#[derive(Debug)]
pub struct Load {
    aim: Aim,
    epoll: Epoll,
    connections: Vec<Connection>,
    shape: Shape,
}

impl Load {
    /// Opens `connections` connections.
    pub fn open(aim: &Aim, connections: usize) -> Result<Load> {
        let said = |e: &dyn std::fmt::Display| format!("the load generator cannot connect to {}: {e}", aim.address);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|e| said(&e))?;
        let mut opened = Vec::with_capacity(connections);
        for number in 0..connections {
            let stream = TcpStream::connect(aim.address).map_err(|e| said(&e))?;
            stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true)).map_err(|e| said(&e))?;
            epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number as u64)).map_err(|e| said(&e))?;
            let buffer = vec![0; 16 * 1024];
            opened.push(Connection { stream, buffer, filled: 0, sent: 0, since: Instant::now() });
        }
        Ok(Load { aim: aim.clone(), epoll, connections: opened, shape: Shape::default() })
    }

    /// Loads the server for `time`; each connection has its last answer when this returns.
    pub fn drive(&mut self, time: Duration) -> Result<Stretch> {
        let mut stretch = Stretch {
            latencies: Vec::with_capacity(1 << 20),
            elapsed: Duration::ZERO,
            bad: 0,
            sample: None,
            own_cpu: own_cpu()?,
        };
        let start = Instant::now();
        for number in 0..self.connections.len() {
            self.begin(number, start)?;
        }
        let mut open = self.connections.len();
        let mut events = [EpollEvent::empty(); 64];
        let (mut now, end) = (start, start + time);
        while open > 0 {
            interrupt::check()?;
            let ready = match self.epoll.wait(&mut events, EpollTimeout::from(200u16)) {
                Ok(n) => n,
                Err(Errno::EINTR) => continue,
                Err(e) => return Err(format!("the load generator cannot wait: {e}")),
            };
            if ready == 0 && Instant::now() > end + DRAIN {
                return Err(format!("{open} requests had no answer {} s after the load ended", DRAIN.as_secs()));
            }
            for event in &events[..ready] {
                let number = event.data() as usize;
                if event.events().contains(EpollFlags::EPOLLOUT) {
                    self.send(number)?;
                } else if let Some(then) = self.answered(number, &mut stretch)? {
                    now = then;
                    if now < end {
                        self.begin(number, now)?;
                    } else {
                        open -= 1;
                    }
                }
            }
        }
        stretch.elapsed = now - start;
        stretch.own_cpu = own_cpu()?.saturating_sub(stretch.own_cpu);
        stretch.latencies.sort_unstable();
        Ok(stretch)
    }

    /// Receives what is there; when that completes the answer, notes it down and returns the time.
    fn answered(&mut self, number: usize, stretch: &mut Stretch) -> Result<Option<Instant>> {
        let Some(good) = self.receive(number)? else {
            return Ok(None);
        };
        let now = Instant::now();
        let connection = &self.connections[number];
        stretch.latencies.push((now - connection.since).as_nanos() as u64);
        if !good {
            stretch.bad += 1;
            let bytes = &connection.buffer[..connection.filled];
            stretch.sample.get_or_insert_with(|| String::from_utf8_lossy(bytes).into_owned());
        }
        Ok(Some(now))
    }

    fn begin(&mut self, number: usize, now: Instant) -> Result<()> {
        let connection = &mut self.connections[number];
        connection.since = now;
        connection.filled = 0;
        connection.sent = 0;
        self.send(number)
    }

    /// Sends what is left of the request; asks to be woken for writing when the socket is full.
    fn send(&mut self, number: usize) -> Result<()> {
        let connection = &mut self.connections[number];
        let blocked = connection.sent > 0;
        let full = loop {
            match connection.stream.write(&self.aim.request[connection.sent..]) {
                Ok(n) => connection.sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break true,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(format!("a request could not be sent: {e}")),
            }
            if connection.sent == self.aim.request.len() {
                break false;
            }
        };
        if full || blocked {
            let wanted = if full { EpollFlags::EPOLLOUT } else { EpollFlags::EPOLLIN };
            self.epoll
                .modify(&connection.stream, &mut EpollEvent::new(wanted, number as u64))
                .map_err(|e| format!("the load generator cannot wait: {e}"))?;
        }
        Ok(())
    }

    /// Whether the answer is right, once it is complete.
    fn receive(&mut self, number: usize) -> Result<Option<bool>> {
        let connection = &mut self.connections[number];
        if connection.filled == connection.buffer.len() {
            connection.buffer.resize(connection.filled * 2, 0);
        }
        match connection.stream.read(&mut connection.buffer[connection.filled..]) {
            Ok(0) => return Err("the server closed a connection in the middle of the load".into()),
            Ok(n) => connection.filled += n,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(None),
            Err(e) => return Err(format!("an answer could not be read: {e}")),
        }
        let bytes = &connection.buffer[..connection.filled];
        match answer::read(bytes, self.aim.proof.as_bytes(), &mut self.shape)? {
            None => Ok(None),
            Some(a) if a.end == connection.filled => Ok(Some(a.good)),
            Some(_) => Err("the server sent more than one answer to a request".into()),
        }
    }
}

fn own_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).map_err(|e| format!("getrusage failed: {e}"))?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.unsigned_abs()))
}
