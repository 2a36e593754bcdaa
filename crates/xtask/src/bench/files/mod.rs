//! `files`: a large file up and down by signed addresses, many small ones, and lists of very many.
//!
//! The floor is nginx with PUT and GET on the same disk; `cp` and `fsync`, and a store that speaks S3, stand beside it. Ours hashes
//! what it takes and waits until it is on the disk, its row too.

mod bucket;
mod nginx;
mod s3;
mod soak;
mod wire;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::build::Binaries;
use super::machine::Machine;
use super::ours::Server;
use super::report::{RateRow, Report, Target, TimeRow};
use super::{Options, Result, interrupt};

pub use bucket::Bucket;
use nginx::Nginx;
pub use soak::soak;
pub use wire::{Content, Wire};

/// The large file.
const LARGE: u64 = 256 << 20;
/// The small ones.
const SMALL: u64 = 10 << 10;
const MANY: usize = 1_000;
/// Connections for small files.
const CONNECTIONS: usize = 8;
/// Files in the list.
const LISTED: usize = 100_000;
/// Names of the list: so many in each folder.
const IN_FOLDER: usize = 1_000;

const MB: f64 = 1e6;

/// Measures large files, small files and lists.
pub fn run(options: &Options, binaries: &Binaries) -> Result<Report> {
    let mut report = Report::new("files", Machine::look(binaries.profile));
    let (floor, store) = (Nginx::start(&binaries.home)?, s3::Store::start(&binaries.home)?);
    let server = match options.floor_only {
        true => None,
        false => Some(Server::start_new(options, binaries)?),
    };
    let piece = noise();
    let side = Sides { floor: &floor, store: &store, ours: server.as_ref(), home: &binaries.home, piece: &piece };
    let rounds = options.rounds(5);
    let large = side.large(rounds)?;
    report.targets = vec![
        Target::at_least("256 MiB up", "at least 0.9 x nginx".into(), 0.9, large[0].ratio(), "x"),
        Target::at_least("256 MiB down", "at least 0.7 x nginx".into(), 0.7, large[1].ratio(), "x"),
    ];
    report.rates.extend(large);
    report.rates.extend(side.small(rounds)?);
    if let Some(server) = &server {
        let files = if options.quick { LISTED / 100 } else { LISTED };
        report.times.extend(lists(server, files, rounds)?);
    }
    Ok(report)
}

/// A MiB that nobody can compress; the same for both sides.
fn noise() -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..1 << 17).flat_map(|_| next()).collect()
}

/// Both sides of what is compared.
struct Sides<'a> {
    floor: &'a Nginx,
    store: &'a s3::Store,
    ours: Option<&'a Server>,
    home: &'a Path,
    piece: &'a [u8],
}

impl Sides<'_> {
    /// One file up and down, by one connection.
    fn large(&self, rounds: usize) -> Result<Vec<RateRow>> {
        let mut up = RateRow::new("256 MiB up, MB/s; floor: nginx PUT");
        let mut down = RateRow::new("256 MiB down, MB/s; floor: nginx GET");
        let mut copied = RateRow::new("256 MiB up, MB/s; floor: cp and fsync");
        let mut stored = RateRow::new("256 MiB up, MB/s; floor: s3s-fs");
        let mut fetched = RateRow::new("256 MiB down, MB/s; floor: s3s-fs");
        let content = Content { piece: self.piece, size: LARGE };
        // The first round makes files and fills caches.
        for round in 0..=rounds {
            interrupt::check()?;
            eprintln!("files of 256 MiB, round {round}");
            let name = format!("large-{}", round % 2);
            let path = format!("/{name}");
            let sent = put(self.floor.address, &path, content)?;
            let got = get(self.floor.address, &path, LARGE)?;
            let copy = copy(self.home, content)?;
            let store = put(self.store.address, &s3::path(&name), content)?;
            let fetch = get(self.store.address, &s3::path(&name), LARGE)?;
            let mut ours = None;
            if let Some(server) = self.ours {
                let (bucket, mut wire) = (Bucket::of(server), Wire::open(server.address)?);
                let up = bucket.upload_path(&mut wire, &name)?;
                let sent = put(server.address, &up, content)?;
                let down = bucket.download_path(&mut wire, &name)?;
                ours = Some((sent, get(server.address, &down, LARGE)?));
            }
            if round == 0 {
                continue;
            }
            for (row, floor, ours) in [
                (&mut up, sent, ours.map(|it| it.0)),
                (&mut down, got, ours.map(|it| it.1)),
                (&mut copied, copy, ours.map(|it| it.0)),
                (&mut stored, store, ours.map(|it| it.0)),
                (&mut fetched, fetch, ours.map(|it| it.1)),
            ] {
                row.floor.push(LARGE as f64 / MB / floor);
                row.ours.extend(ours.map(|seconds| LARGE as f64 / MB / seconds));
            }
        }
        Ok(vec![up, down, copied, stored, fetched])
    }

    /// Many files up and down, by several connections.
    fn small(&self, rounds: usize) -> Result<Vec<RateRow>> {
        let mut up = RateRow::new("10 KiB up, 8 connections; floor: nginx");
        let mut down = RateRow::new("10 KiB down, 8 connections; floor: nginx");
        let mut asked = RateRow::new("10 KiB up, asking for the address, too");
        let mut stored = RateRow::new("10 KiB up, 8 connections; floor: s3s-fs");
        let mut fetched = RateRow::new("10 KiB down, 8 connections; floor: s3s-fs");
        let content = Content { piece: self.piece, size: SMALL };
        for round in 1..=rounds {
            interrupt::check()?;
            eprintln!("files of 10 KiB, round {round}");
            let paths: Vec<String> = (0..MANY).map(|at| format!("/small-{round}-{at}")).collect();
            up.floor.push(each(self.floor.address, &paths, |wire, path| wire.put(path, content))?);
            down.floor.push(each(self.floor.address, &paths, |wire, path| fetch(wire, path, SMALL))?);
            let names: Vec<String> = (0..MANY).map(|at| format!("small-{round}-{at}")).collect();
            stored.floor.push(each(self.store.address, &names, |wire, name| wire.put(&s3::path(name), content))?);
            fetched.floor.push(each(self.store.address, &names, |wire, name| fetch(wire, &s3::path(name), SMALL))?);
            let Some(server) = self.ours else { continue };
            let (bucket, mut wire) = (Bucket::of(server), Wire::open(server.address)?);
            let ups = names.iter().map(|name| bucket.upload_path(&mut wire, name)).collect::<Result<Vec<_>>>()?;
            up.ours.push(each(server.address, &ups, |wire, path| wire.put(path, content))?);
            let downs = names.iter().map(|name| bucket.download_path(&mut wire, name)).collect::<Result<Vec<_>>>()?;
            down.ours.push(each(server.address, &downs, |wire, path| fetch(wire, path, SMALL))?);
            stored.ours.extend(up.ours.last());
            fetched.ours.extend(down.ours.last());
            asked
                .ours
                .push(each(server.address, &names, |wire, name| bucket.store(wire, &format!("b-{name}"), content))?);
        }
        Ok(vec![up, down, asked, stored, fetched])
    }
}

/// Lists of a bucket with very many files.
fn lists(server: &Server, files: usize, rounds: usize) -> Result<Vec<TimeRow>> {
    let bucket = Bucket::of(server);
    eprintln!("{files} files for lists");
    let names: Vec<String> = (0..files).map(|at| format!("list/{:04}/{at:07}", at / IN_FOLDER)).collect();
    each(server.address, &names, |wire, name| bucket.store(wire, name, Content::NONE))?;
    // Not before: the server ends connections that are idle for a minute.
    let mut wire = Wire::open(server.address)?;
    let what = |what: &str| TimeRow {
        what: format!("{what} of {files} files"),
        floor_ms: vec![],
        ours_ms: vec![],
        failures: vec![],
    };
    let (mut first, mut folders, mut all) = (what("first page"), what("folders, by delimiter"), what("all pages"));
    for _ in 0..rounds {
        let mut timed = |query: &str, pages: usize| -> Result<(usize, f64)> {
            let from = Instant::now();
            Ok((bucket.list(&mut wire, query, pages)?, from.elapsed().as_secs_f64() * 1e3))
        };
        let (_, took) = timed("limit=1000&prefix=list/", 1)?;
        first.ours_ms.push(took);
        let (found, took) = timed("limit=1000&prefix=list/&delimiter=/", usize::MAX)?;
        must_be(found, files.div_ceil(IN_FOLDER))?;
        folders.ours_ms.push(took);
        let (found, took) = timed("limit=1000&prefix=list/", usize::MAX)?;
        must_be(found, files)?;
        all.ours_ms.push(took);
    }
    Ok(vec![first, folders, all])
}

fn must_be(found: usize, wanted: usize) -> Result<()> {
    if found == wanted { Ok(()) } else { Err(format!("a list has {found} entries instead of {wanted}")) }
}

/// Seconds that sending takes.
fn put(address: SocketAddr, path: &str, content: Content<'_>) -> Result<f64> {
    let mut wire = Wire::open(address)?;
    let from = Instant::now();
    wire.put(path, content)?;
    Ok(from.elapsed().as_secs_f64())
}

/// Seconds that fetching takes.
fn get(address: SocketAddr, path: &str, size: u64) -> Result<f64> {
    let mut wire = Wire::open(address)?;
    let from = Instant::now();
    fetch(&mut wire, path, size)?;
    Ok(from.elapsed().as_secs_f64())
}

fn fetch(wire: &mut Wire, path: &str, size: u64) -> Result<()> {
    let got = wire.get(path, &mut |_| Ok(()))?;
    if got == size { Ok(()) } else { Err(format!("{path:.80} has {got} bytes instead of {size}")) }
}

/// Seconds that `cp` takes whose copy is on the disk afterwards.
fn copy(home: &Path, content: Content<'_>) -> Result<f64> {
    let said = |e: std::io::Error| format!("a copy cannot be made: {e}");
    let (source, target) = (home.join("copy-source"), home.join("copy-target"));
    if fs::metadata(&source).map(|it| it.len()).ok() != Some(content.size) {
        let mut file = File::create(&source).map_err(said)?;
        for _ in 0..content.size / content.piece.len() as u64 {
            std::io::Write::write_all(&mut file, content.piece).map_err(said)?;
        }
        file.sync_all().map_err(said)?;
    }
    let from = Instant::now();
    super::child::output(
        "cp",
        std::process::Command::new("cp").arg(&source).arg(&target),
        std::time::Duration::from_secs(120),
    )?;
    File::open(&target).and_then(|file| file.sync_all()).map_err(said)?;
    let took = from.elapsed().as_secs_f64();
    fs::remove_file(&target).map_err(said)?;
    Ok(took)
}

/// Does something with each of some things, by several connections; how many a second.
fn each(address: SocketAddr, things: &[String], work: impl Fn(&mut Wire, &str) -> Result<()> + Sync) -> Result<f64> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let from = Instant::now();
    let one = || -> Result<()> {
        let mut wire = Wire::open(address)?;
        while let Some(thing) = things.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(&mut wire, thing)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                if let (Err(reason), Ok(mut failed)) = (one(), failed.lock()) {
                    failed.get_or_insert(reason);
                }
            });
        }
    });
    let took = from.elapsed().as_secs_f64();
    match failed.into_inner() {
        Ok(None) => Ok(things.len() as f64 / took),
        Ok(Some(reason)) => Err(reason),
        Err(_) => Err("a connection's thread panicked".into()),
    }
}
