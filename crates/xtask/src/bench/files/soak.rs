//! A file larger than memory should ever have to hold, up and down, and the memory of the server meanwhile.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::super::ours::Server;
use super::super::{Options, Result, build, interrupt, processes};
use super::{Bucket, Content, Wire};

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);
const MIB: f64 = 1024.0 * 1024.0;

/// Sends and fetches a file of zeros of so many MiB, and prints what the server took.
pub fn soak(mib: u64) -> Result<()> {
    interrupt::watch()?;
    let options = Options::usual();
    let Some(binaries) = build::prepare(&options)? else {
        return build::hand_over_to_release();
    };
    let server = Server::start_new(&options, &binaries)?;
    let (bucket, mut wire) = (Bucket::of(&server), Wire::open(server.address)?);
    let piece = vec![0; 1 << 20];
    bucket.store(&mut wire, "warm", Content { piece: &piece, size: 8 << 20 })?;
    let size = mib << 20;
    println!("{mib} MiB, {} build; memory of the server: {}", binaries.profile, Used::now(&server)?.text());

    let up = bucket.upload_path(&mut wire, "large")?;
    let put = watched(&server, || wire.put(&up, Content { piece: &piece, size }))?;
    println!("up:   {}", put.text(size));
    let mut wire = Wire::open(server.address)?;
    let down = bucket.download_path(&mut wire, "large")?;
    let got = watched(&server, || {
        let got = wire.get(&down, &mut |bytes| match bytes.iter().all(|byte| *byte == 0) {
            true => Ok(()),
            false => Err("what comes back is not what was sent".into()),
        })?;
        if got == size { Ok(()) } else { Err(format!("{got} bytes came back")) }
    })?;
    println!("down: {}", got.text(size));
    println!("peak: {}", peak(&server)?);
    Ok(())
}

/// What the server and its descendants take.
#[derive(Clone, Copy)]
struct Used(processes::Memory);

impl Used {
    fn now(server: &Server) -> Result<Self> {
        processes::memory(server.pid()).map(Self)
    }

    fn text(self) -> String {
        format!("{:.1} MiB (proportional set)", self.0.pss_mib)
    }
}

/// How long something took, and the most that the server took meanwhile.
struct Watched {
    took: Duration,
    most: Used,
}

impl Watched {
    fn text(&self, size: u64) -> String {
        let rate = size as f64 / 1e6 / self.took.as_secs_f64();
        format!("{:.1} s, {rate:.0} MB/s; at most {}", self.took.as_secs_f64(), self.most.text())
    }
}

fn watched(server: &Server, work: impl FnOnce() -> Result<()>) -> Result<Watched> {
    let (done, most) = (AtomicBool::new(false), Mutex::new(Used::now(server)));
    let from = Instant::now();
    let worked = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                sleep(LOOK);
                if let (Ok(mut most), Ok(now)) = (most.lock(), Used::now(server))
                    && most.as_ref().is_ok_and(|most| now.0.pss_mib > most.0.pss_mib)
                {
                    *most = Ok(now);
                }
            }
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        worked
    });
    let took = from.elapsed();
    worked.map_err(|e| server.with_log(&e))?;
    let most = most.into_inner().map_err(|_| "the thread that looks at memory panicked".to_owned())??;
    Ok(Watched { took, most })
}

/// The most that the server's process ever held, as the kernel counts it.
fn peak(server: &Server) -> Result<String> {
    let path = format!("/proc/{}/status", server.pid());
    let text = fs::read_to_string(&path).map_err(|e| format!("{path} cannot be read: {e}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    let kib = kib.ok_or_else(|| format!("{path} has no VmHWM"))?;
    Ok(format!("{:.1} MiB (resident set of the server alone)", kib * 1024.0 / MIB))
}
