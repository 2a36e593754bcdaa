//! Giving up what an instance must not have.

use std::io;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use super::orders::{Ids, Plan};

/// Takes the limits, then the identity of the instance; from here there is no way back.
pub(super) fn drop(plan: &Plan) -> Result<(), String> {
    for (resource, value) in &plan.limits {
        limit(*resource, *value).map_err(|e| format!("the resource limit {resource} cannot be set: {e}"))?;
    }
    prctl::set_no_new_privs().map_err(|e| format!("`no_new_privs` cannot be set: {e}"))?;
    clear_bounding_set();
    if let Some(ids) = plan.ids {
        become_user(ids).map_err(|e| format!("the user {} cannot be taken: {e}", ids.uid))?;
    }
    clear_capabilities().map_err(|e| format!("capabilities cannot be given up: {e}"))?;
    if nix::unistd::geteuid().is_root() {
        return Err("user code never runs as root".into());
    }
    // The workers have our user id: without this they could read and change our memory.
    prctl::set_dumpable(false).map_err(|e| format!("memory cannot be closed: {e}"))?;
    if plan.root.is_some() {
        // A change of user cleared it.
        prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).map_err(|e| format!("the link to the server: {e}"))?;
    }
    Ok(())
}

/// Sets a limit, or the nearest the host allows.
fn limit(resource: u32, value: u64) -> Result<(), Errno> {
    let Some(resource) = known(resource) else { return Err(Errno::EINVAL) };
    let (_, hard) = getrlimit(resource)?;
    setrlimit(resource, value.min(hard), value.min(hard))
}

fn known(number: u32) -> Option<Resource> {
    [
        Resource::RLIMIT_CORE,
        Resource::RLIMIT_DATA,
        Resource::RLIMIT_FSIZE,
        Resource::RLIMIT_NOFILE,
        Resource::RLIMIT_NPROC,
    ]
    .into_iter()
    .find(|known| *known as u32 == number)
}

/// Becomes another user, without groups.
pub(super) fn become_user(ids: Ids) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

/// Not possible without the capability for it, and then not needed: with `no_new_privs` nothing can be gained.
fn clear_bounding_set() {
    for capability in 0..64 {
        // SAFETY: takes numbers only.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
            break;
        }
    }
}

/// What scripts of system packages need to lay out files and add users, and no more of what root may do: to change owners and
/// modes, to pass over modes, to signal, and to become other users.
const OF_INSTALLERS: [u32; 7] = [0, 1, 3, 4, 5, 6, 7];

/// Keeps only the rights of an installer, for this process and all that it starts.
pub(super) fn keep_those_of_installers() -> io::Result<()> {
    prctl::set_no_new_privs()?;
    for capability in (0..64).filter(|it| !OF_INSTALLERS.contains(it)) {
        // SAFETY: takes numbers only.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
            break;
        }
    }
    set_capabilities(OF_INSTALLERS.iter().fold(0, |all, capability| all | (1 << capability)))
}

fn clear_capabilities() -> io::Result<()> {
    set_capabilities(0)
}

/// Sets the effective and permitted capabilities of this process; all of them are among the first 32.
fn set_capabilities(kept: u32) -> io::Result<()> {
    #[repr(C)]
    struct Head {
        version: u32,
        pid: i32,
    }
    // _LINUX_CAPABILITY_VERSION_3, for this process.
    let head = Head { version: 0x2008_0522, pid: 0 };
    // Effective, permitted, inheritable; then the same for the second 32.
    let sets = [kept, kept, 0, 0, 0, 0];
    // SAFETY: the struct and the six words are what the kernel reads for version 3.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const head, sets.as_ptr()) })?;
    Ok(())
}
