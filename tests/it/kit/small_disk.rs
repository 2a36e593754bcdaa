//! A small file system for the objects of a server, in a mount namespace of its own: real, and seen by nobody else.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::TestServer;

/// What is done between fork and exec, with all its texts made before.
struct Place {
    target: CString,
    options: CString,
    ids: Option<[(&'static CStr, String); 3]>,
}

impl Place {
    fn new(target: &Path, mib: u64) -> Self {
        let (user, group) = (geteuid(), getegid());
        let ids = [
            (c"/proc/self/setgroups", "deny".to_owned()),
            (c"/proc/self/uid_map", format!("{user} {user} 1")),
            (c"/proc/self/gid_map", format!("{group} {group} 1")),
        ];
        Self {
            target: CString::new(target.to_str().unwrap()).unwrap(),
            options: CString::new(format!("size={mib}m,mode=700")).unwrap(),
            ids: (!user.is_root()).then_some(ids),
        }
    }

    /// Who is not root may mount in a user namespace only.
    fn enter(&self) -> io::Result<()> {
        let user = if self.ids.is_some() { CloneFlags::CLONE_NEWUSER } else { CloneFlags::empty() };
        unshare(CloneFlags::CLONE_NEWNS | user)?;
        for (file, text) in self.ids.iter().flatten() {
            write(file, text)?;
        }
        let none = None::<&CStr>;
        mount(none, c"/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        let options = Some(self.options.as_c_str());
        Ok(mount(Some(c"tmpfs"), self.target.as_c_str(), Some(c"tmpfs"), MsFlags::empty(), options)?)
    }
}

fn write(file: &CStr, text: &str) -> io::Result<()> {
    use nix::fcntl::{OFlag, open};
    let file = open(file, OFlag::O_WRONLY | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())?;
    nix::unistd::write(&file, text.as_bytes())?;
    Ok(())
}

impl TestServer {
    /// Stops, and starts again with an empty file system of so many MiB for its objects.
    pub async fn restart_on_small_disk(&mut self, mib: u64) {
        assert!(self.stop().success(), "{}", self.log());
        let place = Place::new(&self.data().join("objects"), mib);
        self.start_as(|command| {
            // SAFETY: between fork and exec only async-signal-safe functions may run: these are system calls on texts that are there.
            unsafe {
                command.pre_exec(move || place.enter());
            }
        })
        .await;
    }

    /// Uploads on their way, as the server sees its folders.
    pub fn staged_on_small_disk(&self) -> Vec<PathBuf> {
        let data = self.data();
        let staging = data.strip_prefix("/").unwrap().join("objects/staging");
        let folder = PathBuf::from(format!("/proc/{}/root", self.pid())).join(staging);
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}
