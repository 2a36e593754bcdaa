//! Where a report was made: figures of another machine or a busy one are other figures.

use std::fs;

/// The machine of a run.
#[derive(Debug, serde::Serialize)]
pub struct Machine {
    /// Processors this program may use.
    pub cores: usize,
    /// The processor's name.
    pub processor: String,
    /// The kernel's release.
    pub kernel: String,
    /// Load average of the last minute, before the run began.
    pub load_before: f64,
    /// The build that was measured.
    pub profile: &'static str,
}

impl Machine {
    /// Looks at this machine.
    pub fn look(profile: &'static str) -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let processor = cpuinfo.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or_default();
        let machine = Machine {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: processor.trim_start_matches([' ', '\t', ':']).into(),
            kernel: read("/proc/sys/kernel/osrelease").trim().into(),
            load_before: read("/proc/loadavg").split(' ').next().and_then(|l| l.parse().ok()).unwrap_or(0.0),
            profile,
        };
        if machine.load_before > 0.5 {
            eprintln!("this machine is busy (load {:.2}): read ratios, not figures", machine.load_before);
        }
        machine
    }
}
