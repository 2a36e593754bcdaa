//! What a server leaves behind: processes and mounts that have to do with its folder, and its cgroups.

use std::fs;
use std::path::{Path, PathBuf};

/// Processes, but for the server itself, whose command line, mounts or open files name the folder.
pub fn processes(folder: &Path, server: u32) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if pid == server || pid == std::process::id() {
            continue;
        }
        let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let mounts = String::from_utf8_lossy(&read("mountinfo")).into_owned();
        // The server compiles its worker package for each interpreter behind the back of its start.
        let is_compiling = command.contains(" compileall ");
        if (command.contains(folder) || mounts.contains(folder)) && !is_compiling {
            found.push(format!("{pid} {command}"));
        }
    }
    found.sort();
    found
}

/// Mounts below the folder that this process sees.
pub fn mounts(folder: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().filter(|line| line.contains(folder.to_str().unwrap())).map(str::to_owned).collect()
}

/// The cgroups of a server.
pub fn cgroups(server: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![(PathBuf::from("/sys/fs/cgroup"), 0)]);
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.file_name().to_string_lossy().contains(server) {
                found.push(entry.path());
            } else if depth < 5 {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
    found
}
