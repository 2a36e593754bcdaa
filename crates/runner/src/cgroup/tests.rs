//! Both versions, on folders that look like them.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;

use super::find::candidates;
use super::*;

const MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

#[test]
fn places_are_found_among_the_mounts() {
    let own = "4:memory:/no/such/group\n1:cpu,cpuacct:/\n0::/\n";
    let found = candidates(MOUNTS, own);
    assert_eq!(
        found,
        [
            Place::V1(Controller::Cpu, "/sys/fs/cgroup/cpu".into()),
            Place::V1(Controller::Memory, "/sys/fs/cgroup/memory".into()),
            Place::V2(vec![], "/sys/fs/cgroup/unified".into()),
        ]
    );
}

#[test]
fn version_2_gets_its_limits_and_counts_its_kills() {
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("cgroup.controllers"), "cpuset cpu memory pids\n").unwrap();
    let cgroups = Cgroups::among(vec![Place::V2(vec![], host.path().into())], "x");
    assert!(Controller::ALL.into_iter().all(|one| cgroups.has(one)));

    let limits = Limits { memory_bytes: Some(5 << 20), processes: Some(7), cpu: Some(250), cpu_share: Some(500) };
    let group = cgroups.make("i", &limits).unwrap();

    let folder = host.path().join("modelyard-x/i");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!((read("memory.max").as_str(), read("pids.max").as_str()), ("5242880", "7"));
    assert_eq!(read("cpu.max"), "25000 100000");
    assert_eq!(group.birth_folder(), Some(folder.as_path()));
    assert!(group.join_files().is_empty());
    fs::write(folder.join("memory.events"), "low 0\noom 3\noom_kill 2\n").unwrap();
    assert_eq!(group.out_of_memory(), 2);
}

#[test]
fn without_a_controller_nothing_is_offered_and_nothing_left() {
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("cgroup.controllers"), "hugetlb\n").unwrap();
    let cgroups = Cgroups::among(vec![Place::V2(vec![], host.path().into())], "x");
    assert!(!Controller::ALL.into_iter().any(|one| cgroups.has(one)));
    assert!(!host.path().join("modelyard-x").exists());
}
