//! The floor of files: nginx, which takes PUT into a folder and gives GET out of it. It signs nobody in, hashes nothing, and does
//! not wait for the disk.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::super::child::Guarded;
use super::super::{Result, http};
use super::wire::Wire;

/// A running nginx; it and its folder are gone when dropped.
pub struct Nginx {
    // The process must end before its folder goes.
    _process: Guarded,
    _folder: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Nginx {
    /// Starts one with one worker and a folder below `home`, where our server has its own.
    pub fn start(home: &Path) -> Result<Self> {
        let said = |e: std::io::Error| format!("nginx cannot be set up: {e}");
        let folder = tempfile::Builder::new().prefix("nginx-").tempdir_in(home).map_err(said)?;
        let address = http::free_address()?;
        let root = folder.path();
        for name in ["www", "taken", "other"] {
            fs::create_dir(root.join(name)).map_err(said)?;
        }
        fs::write(root.join("nginx.conf"), configuration(root, address)).map_err(said)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(root).arg("-c").arg(root.join("nginx.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Guarded::start("nginx", &mut command).map_err(|e| format!("{e}; install nginx-light"))?;
        Wire::wait_for("nginx", address, &mut process)?;
        Ok(Self { _process: process, _folder: folder, address })
    }
}

fn configuration(root: &Path, address: SocketAddr) -> String {
    let root = root.display();
    let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
    let others: String = ["proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {root}/other/{name};\n"))
        .collect();
    format!(
        "daemon off; {user} worker_processes 1; pid {root}/pid; error_log {root}/log;
events {{ worker_connections 256; }}
http {{
access_log off; sendfile on; client_max_body_size 0; client_body_temp_path {root}/taken; keepalive_requests 1000000;
{others}server {{ listen {address}; root {root}/www; location / {{ dav_methods PUT; }} }}
}}
"
    )
}
