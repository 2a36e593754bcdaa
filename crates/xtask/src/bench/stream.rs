//! `stream`: the first update of a request, and how many come a second, beside a loop that copies them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::build::Binaries;
use super::figures::median;
use super::floor::Floor;
use super::machine::Machine;
use super::ours::{Instances, Server, Wanted};
use super::python;
use super::report::{RateRow, Report, TimeRow};
use super::work::{UPDATES, Work};
use super::{Options, Result, interrupt};

/// Streams of one round.
const STREAMS: usize = 10;
/// How long nothing may come.
const LIMIT: Duration = Duration::from_secs(30);
const MARK: &[u8] = b"data:";

/// Reads streams of the floor and of ours, one after another.
pub fn run(options: &Options, binaries: &Binaries) -> Result<Report> {
    let mut report = Report::new("stream", Machine::look(binaries.profile));
    let package = python::package(Work::Teller, &options.python, &binaries.home)?;
    let floor = Floor::start_stream(&binaries.floor, &package)?;
    let floor_aim = floor.aim()?;
    let server = match options.floor_only {
        true => None,
        false => Some(Server::start_new(options, binaries)?),
    };
    let ours = match &server {
        None => None,
        Some(server) => {
            let deployed = server.deploy_as(&package, &Wanted::new("bench-teller", Instances::One))?;
            Some((server.address, server.stream_request(&deployed)?))
        }
    };
    let mut rates = RateRow::new("updates, one reader");
    let mut first = TimeRow { what: "first update".into(), floor_ms: vec![], ours_ms: vec![], failures: vec![] };
    for round in 1..=options.rounds(3) {
        eprintln!("streams, round {round}");
        let (rate, took) = streams(floor_aim.address, &floor_aim.request)?;
        rates.floor.push(rate);
        first.floor_ms.push(took);
        if let Some((address, request)) = &ours {
            let (rate, took) = streams(*address, request)?;
            rates.ours.push(rate);
            first.ours_ms.push(took);
        }
    }
    report.rates.push(rates);
    report.times.push(first);
    Ok(report)
}

/// Updates by second, and the median time to the first of a stream in milliseconds.
fn streams(address: SocketAddr, request: &[u8]) -> Result<(f64, f64)> {
    let (mut firsts, from) = (vec![], Instant::now());
    for _ in 0..STREAMS {
        interrupt::check()?;
        firsts.push(stream(address, request)?.as_secs_f64() * 1e3);
    }
    Ok(((STREAMS * UPDATES) as f64 / from.elapsed().as_secs_f64(), median(firsts)))
}

/// Reads a whole stream; gives the time to its first update.
fn stream(address: SocketAddr, request: &[u8]) -> Result<Duration> {
    let said = |e: &dyn std::fmt::Display| format!("a stream of {address} failed: {e}");
    let mut connection = TcpStream::connect(address).map_err(|e| said(&e))?;
    connection.set_nodelay(true).and_then(|()| connection.set_read_timeout(Some(LIMIT))).map_err(|e| said(&e))?;
    let from = Instant::now();
    connection.write_all(request).map_err(|e| said(&e))?;
    let (mut buffer, mut text, mut first) = (vec![0; 256 * 1024], Vec::new(), None);
    while !text.ends_with(b"\r\n0\r\n\r\n") {
        let count = connection.read(&mut buffer).map_err(|e| said(&e))?;
        if count == 0 {
            return Err(said(&"the connection was closed"));
        }
        text.extend_from_slice(&buffer[..count]);
        if first.is_none() && text.windows(MARK.len()).any(|part| part == MARK) {
            first = Some(from.elapsed());
        }
    }
    let updates = text.windows(MARK.len()).filter(|part| *part == MARK).count();
    match first {
        Some(first) if updates == UPDATES => Ok(first),
        _ => Err(said(&format_args!("{updates} updates came instead of {UPDATES}"))),
    }
}
