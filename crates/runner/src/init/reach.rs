//! Which files a worker can reach, and which processes it can speak to, by Landlock: a second wall behind the mounts, and the
//! only one where the host has no mount namespaces.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, BitFlags, PathBeneath, PathFd, PathFdError, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::orders::Reach;

/// The rights we know of. What an older kernel does not know of it leaves out.
const KNOWN: ABI = ABI::V7;

/// The version of Landlock from which on it keeps signals and abstract sockets in, too.
pub(crate) const SCOPES: i32 = 6;

/// The version of Landlock this kernel has; nothing below 1 is one.
pub(crate) fn version() -> i32 {
    const VERSION: u32 = 1;
    // SAFETY: asks for a number, gives no memory.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, VERSION) };
    i32::try_from(version).unwrap_or(0)
}

/// The rules, ready to be taken by any number of workers.
pub(crate) fn rules(reach: &Reach) -> Result<RulesetCreated, String> {
    let said = |e: landlock::RulesetError| format!("Landlock refuses the rules: {e}");
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(|rules| rules.scope(Scope::from_all(KNOWN)))
        .and_then(Ruleset::create)
        .map_err(said)?;
    let devices = AccessFs::from_read(KNOWN) | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    let kinds = [
        (&reach.read, AccessFs::from_read(KNOWN)),
        (&reach.devices, devices),
        (&reach.write, AccessFs::from_all(KNOWN)),
    ];
    for (paths, rights) in kinds {
        for path in paths {
            if let Some(rule) = rule(Path::new(path), rights)? {
                rules = rules.add_rule(rule).map_err(said)?;
            }
        }
    }
    Ok(rules)
}

/// The rule for a path; none for what is not there, or not for us.
fn rule(path: &Path, rights: BitFlags<AccessFs>) -> Result<Option<PathBeneath<PathFd>>, String> {
    let folder = path.is_dir();
    match PathFd::new(path) {
        Ok(fd) if folder => Ok(Some(PathBeneath::new(fd, rights))),
        Ok(fd) => Ok(Some(PathBeneath::new(fd, rights & AccessFs::from_file(KNOWN)))),
        Err(PathFdError::OpenCall { .. }) => Ok(None),
        Err(e) => Err(format!("{} cannot be opened for Landlock: {e}", path.display())),
    }
}

/// Takes the rules for this process and all it makes.
pub(crate) fn take(rules: &RulesetCreated) -> Result<(), String> {
    let rules = rules.try_clone().map_err(|e| format!("the rules of Landlock cannot be taken: {e}"))?;
    match rules.restrict_self() {
        Ok(status) if status.ruleset != RulesetStatus::NotEnforced => Ok(()),
        Ok(_) => Err("the kernel does not enforce Landlock".into()),
        Err(e) => Err(format!("the rules of Landlock cannot be taken: {e}")),
    }
}
