//! What a tree of processes has used, read from `/proc`.

use std::collections::{HashMap, HashSet};
use std::fs;

/// A process that exists, with what identifies it over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    /// The process id.
    pub pid: i32,
    /// When it was started, in clock ticks since boot: tells a reused id apart.
    pub started: u64,
}

#[derive(Debug, PartialEq)]
struct Stat {
    parent: i32,
    ticks: u64,
    started: u64,
}

/// Fields of `/proc/PID/stat`; those behind the name, which may itself hold spaces and parentheses.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok());
    Some(Stat {
        parent: i32::try_from(number(1)?).ok()?,
        // Own time in user and system mode, and that of children that ended and were waited for.
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        started: number(19)?,
    })
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn all() -> HashMap<i32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return HashMap::new();
    };
    entries
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect()
}

/// `root` and all its descendants.
pub fn tree(root: i32) -> Vec<Process> {
    let all = all();
    let mut found = HashSet::from([root]);
    loop {
        let before = found.len();
        found.extend(all.iter().filter(|(_, s)| found.contains(&s.parent)).map(|(pid, _)| *pid).collect::<Vec<_>>());
        if found.len() == before {
            break;
        }
    }
    found.into_iter().filter_map(|pid| Some(Process { pid, started: all.get(&pid)?.started })).collect()
}

/// Whether exactly this process still exists and is no zombie.
pub fn exists(process: Process) -> bool {
    let zombie = || {
        fs::read_to_string(format!("/proc/{}/stat", process.pid))
            .is_ok_and(|t| t.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')))
    };
    stat(process.pid).is_some_and(|s| s.started == process.started) && !zombie()
}

/// Processor time of `root` and its descendants so far, in seconds, with that of descendants that have ended.
pub fn cpu_seconds(root: i32) -> f64 {
    let ticks: u64 = tree(root).iter().filter_map(|p| stat(p.pid)).map(|s| s.ticks).sum();
    // SAFETY: sysconf has no preconditions.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    ticks as f64 / per_second as f64
}

/// Memory of `root` and its descendants.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Memory {
    /// Proportional set size of all of them in MiB.
    pub pss_mib: f64,
    /// How many processes that are.
    pub processes: usize,
}

/// Measures the memory of `root` and its descendants, or says which process could not be read.
pub fn memory(root: i32) -> super::Result<Memory> {
    let processes = tree(root);
    let mut kib = 0;
    for process in &processes {
        let path = format!("/proc/{}/smaps_rollup", process.pid);
        match fs::read_to_string(&path) {
            Ok(text) => kib += parse_pss(&text).unwrap_or(0),
            Err(_) if !exists(*process) => {}
            Err(e) => return Err(format!("{path} cannot be read: {e}")),
        }
    }
    Ok(Memory { pss_mib: kib as f64 / 1024.0, processes: processes.len() })
}

fn parse_pss(text: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix("Pss:"))?.split_whitespace().next()?.parse().ok()
}

/// How many descendants of `root` are Python interpreters, that is, workers.
pub fn pythons(root: i32) -> usize {
    let named = |name: &str| name.starts_with("python");
    let is_python = |p: &&Process| {
        let program = fs::read_link(format!("/proc/{}/exe", p.pid)).unwrap_or_default();
        program.file_name().is_some_and(|n| named(&n.to_string_lossy()))
            || fs::read_to_string(format!("/proc/{}/comm", p.pid)).is_ok_and(|n| named(&n))
    };
    tree(root).iter().filter(|p| p.pid != root).filter(is_python).count()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) b (c)) S 3 1 1 0 -1 4 5 6 7 8 10 20 30 40 20 0 1 0 999 1 2";
        let stat = parse_stat(text).unwrap();
        assert_eq!(stat, Stat { parent: 3, ticks: 100, started: 999 });
    }

    #[test]
    fn the_tree_of_this_process_holds_this_process() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(tree(me).iter().any(|p| p.pid == me && exists(*p)));
    }

    #[test]
    fn the_proportional_set_is_found_among_its_parts() {
        assert_eq!(parse_pss("Rss: 9 kB\nPss:     1234 kB\nPss_Anon: 7 kB\n"), Some(1234));
    }
}
