//! Running `nft`, the program of nftables.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The program.
#[derive(Debug, Clone)]
pub(super) struct Nft(PathBuf);

impl Nft {
    /// Looks for it on `PATH`, and where programs for root lie.
    pub(super) fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let usual = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
        let places = std::env::split_paths(&path).chain(usual);
        places.map(|folder| folder.join("nft")).find(|program| program.is_file()).map(Self)
    }

    /// Does what a text says, all of it or nothing.
    pub(super) fn apply(&self, text: &str) -> Result<(), String> {
        let mut child = Command::new(&self.0)
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{} cannot be started: {e}", self.0.display()))?;
        if let Some(mut input) = child.stdin.take() {
            // A program that does not read says why below.
            let _ = input.write_all(text.as_bytes());
        }
        let output = child.wait_with_output().map_err(|e| format!("{}: {e}", self.0.display()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("no reason given").to_owned();
        Err(format!("the rules are refused: {}", said.trim_start_matches("/dev/stdin:")))
    }

    /// The names of all tables of Modelyard.
    pub(super) fn tables(&self) -> Vec<String> {
        let listed = Command::new(&self.0).args(["list", "tables"]).stdin(Stdio::null()).output();
        let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let names = text.lines().filter_map(|line| line.split_whitespace().nth(2));
        names.filter(|name| name.starts_with(super::rules::TABLES)).map(str::to_owned).collect()
    }
}
