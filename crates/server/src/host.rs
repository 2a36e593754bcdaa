//! What this host offers a server: memory, processors, open files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;

/// The memory that the server may use, in bytes: that of the machine, or less where a cgroup says so.
pub fn memory() -> u64 {
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits =
        limit_files(&cgroups).into_iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    limits.chain(machine_memory()).min().unwrap_or(2 << 30)
}

/// The processors that the server may use.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Lets the C library's allocator keep two pools of memory instead of eight for each processor: each pool holds on to what
/// its threads once needed, and a server at rest would keep twice the memory. Must come before there are threads.
pub fn keep_memory_small() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number, and no other thread exists yet.
    let taken = unsafe { nix::libc::mallopt(nix::libc::M_ARENA_MAX, 2) };
    #[cfg(target_env = "gnu")]
    debug_assert_eq!(taken, 1, "the allocator knows this setting");
}

/// Gives memory back that the C library's allocator keeps: what a start needed, at once and when its tools are there; what a
/// load needed, again and again when the server is at rest. Never ends.
pub async fn give_back_memory() {
    trim();
    tokio::time::sleep(AFTER_THE_START).await;
    trim();
    loop {
        let used = processor_time();
        tokio::time::sleep(PAUSE).await;
        // It holds up whoever needs memory meanwhile, for some milliseconds: nothing for a busy server.
        if processor_time().saturating_sub(used) < PAUSE / AT_REST {
            trim();
        }
    }
}

const AFTER_THE_START: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(60);
/// A server that uses less than this part of a processor is at rest.
const AT_REST: u32 = 50;

fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: works on free memory alone, and may be called at any time.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// What this process has used of processors so far.
fn processor_time() -> Duration {
    getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
        let micros = [usage.user_time(), usage.system_time()].iter().map(|time| time.num_microseconds()).sum::<i64>();
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    })
}

/// Allows as many open files as the host lets us have: each connection and each worker needs some.
pub fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(e) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!("the limit of open files stays at {soft}: {e}");
    }
}

fn machine_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The files that may hold a limit: of our cgroup and of all above it, in both versions. Inside a container the path
/// may be the host's, so the top is always among them.
fn limit_files(cgroups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in cgroups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (top, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        for folder in Path::new(path.trim_start_matches('/')).ancestors() {
            files.push(Path::new(top).join(folder).join(file));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_looked_for_in_our_cgroup_and_all_above() {
        let files = limit_files("4:cpu,memory:/a/b\n2:pids:/x\n0::/c\n");
        let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        assert_eq!(
            files,
            [
                "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "/sys/fs/cgroup/c/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
    }

    #[test]
    fn free_memory_below_some_that_is_kept_is_given_back() {
        let resident = || {
            let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
            line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or_default() << 10
        };
        let mut kept: Vec<Vec<u8>> = (0..1024).map(|_| vec![1; 64 << 10]).collect();
        // Only the last one stays, so that what is free lies below it.
        kept.drain(..1023);
        let before = resident();
        trim();
        assert!(resident() + (48 << 20) < before, "{before} bytes before, {} after", resident());
        assert_eq!(kept.len(), 1);
    }

    #[test]
    fn this_host_has_memory_and_processors() {
        assert!(memory() > 64 << 20);
        assert!(processors() > 0);
    }
}
