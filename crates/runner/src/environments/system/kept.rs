//! Copies of what every user of the host may read, and what is kept of them: what an installer changed.

use std::{
    collections::BTreeSet,
    fs::{self, File, Metadata, Permissions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink},
    path::Path,
};

/// Files of the configuration that are the host's alone, or that each instance has of its own.
const OF_THE_HOST: [&str; 17] = [
    ".pwd.lock",
    "apt",
    "fstab",
    "group",
    "group-",
    "gshadow",
    "gshadow-",
    "hostname",
    "hosts",
    "machine-id",
    "mtab",
    "passwd",
    "passwd-",
    "resolv.conf",
    "shadow",
    "shadow-",
    "subuid",
];
/// State of installers, which no instance needs.
const OF_INSTALLERS: [&str; 6] = ["apt", "dpkg", "pam", "systemd", "ucf", "misc"];

/// Copies what every user may read: files, links and folders, with owners and modes but without `setuid`.
pub(super) fn copy_readable(from: &Path, to: &Path) -> io::Result<()> {
    let Some(about) = readable(from) else { return Ok(()) };
    if about.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
        return lchown(to, Some(about.uid()), Some(about.gid()));
    }
    if about.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy_readable(&from.join(&name), &to.join(&name))?;
        }
    } else {
        fs::copy(from, to)?;
    }
    chown(to, Some(about.uid()), Some(about.gid()))?;
    fs::set_permissions(to, Permissions::from_mode(about.mode() & 0o1777))
}

/// What a path is, if every user may read it.
fn readable(path: &Path) -> Option<Metadata> {
    let about = fs::symlink_metadata(path).ok()?;
    let needed = match about.file_type() {
        kind if kind.is_symlink() => 0,
        kind if kind.is_dir() => 0o005,
        kind if kind.is_file() => 0o004,
        _ => return None,
    };
    (about.mode() & needed == needed).then_some(about)
}

/// Moves to `to` what of a copy differs from the host's folder, but for what is of no use to instances.
pub(super) fn keep_changed(copy: &Path, host: &Path, to: &Path) -> io::Result<()> {
    let left_out: &[&str] = if host == Path::new("/etc") { &OF_THE_HOST } else { &OF_INSTALLERS };
    for entry in fs::read_dir(copy)? {
        let name = entry?.file_name();
        if left_out.iter().any(|left_out| name == *left_out) || same(&copy.join(&name), &host.join(&name))? {
            continue;
        }
        fs::create_dir_all(to)?;
        fs::rename(copy.join(&name), to.join(&name))?;
    }
    Ok(())
}

/// Whether a copy is still what it was made of.
fn same(copy: &Path, host: &Path) -> io::Result<bool> {
    let (Ok(ours), Some(theirs)) = (fs::symlink_metadata(copy), readable(host)) else { return Ok(false) };
    if ours.file_type() != theirs.file_type() || !ours.is_symlink() && ours.mode() != theirs.mode() & !0o6000 {
        return Ok(false);
    }
    if ours.is_symlink() {
        return Ok(fs::read_link(copy)? == fs::read_link(host)?);
    }
    if ours.is_file() {
        return Ok(ours.len() == theirs.len() && fs::read(copy)? == fs::read(host)?);
    }
    let names = |folder: &Path| -> io::Result<BTreeSet<_>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
    };
    let mut of_host = names(host)?;
    of_host.retain(|name| readable(&host.join(name)).is_some());
    let of_copy = names(copy)?;
    if of_copy != of_host {
        return Ok(false);
    }
    for name in of_copy {
        if !same(&copy.join(&name), &host.join(&name))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes away what nobody may have of an installer's files: `setuid` and `setgid`, and devices but for the marks of files
/// that are gone.
pub(super) fn tidy(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let about = fs::symlink_metadata(&path)?;
        let kind = about.file_type();
        let gone = kind.is_char_device() && about.rdev() == 0;
        if !(kind.is_dir() || kind.is_file() || kind.is_symlink() || gone) {
            fs::remove_file(&path)?;
        } else if !kind.is_symlink() && about.mode() & 0o6000 != 0 {
            fs::set_permissions(&path, Permissions::from_mode(about.mode() & 0o1777))?;
        }
        if kind.is_dir() {
            tidy(&path)?;
        }
    }
    Ok(())
}

/// The SHA-256 of a file.
pub(super) fn hash_of(file: &Path) -> io::Result<String> {
    use sha2::{Digest, Sha256};
    let (mut file, mut hasher, mut part) = (File::open(file)?, Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&part[..read]);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests {
    use super::*;

    #[test]
    fn what_others_may_read_is_copied_and_what_changed_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let (host, copy, kept) = (home.path().join("host"), home.path().join("copy"), home.path().join("kept"));
        let file = |path: &str, mode: u32| {
            let path = host.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        file("same/open", 0o644);
        file("same/secret", 0o640);
        file("changed/inner/open", 0o644);
        file("lost/open", 0o644);
        file("setuid", 0o4755);
        file("private/open", 0o644);
        fs::set_permissions(host.join("private"), Permissions::from_mode(0o750)).unwrap();
        symlink("same/open", host.join("link")).unwrap();

        copy_readable(&host, &copy).unwrap();
        assert!(copy.join("same/open").exists() && copy.join("link").is_symlink());
        assert!(!copy.join("same/secret").exists() && !copy.join("private").exists());
        assert_eq!(fs::metadata(copy.join("setuid")).unwrap().mode() & 0o7777, 0o755);
        fs::write(copy.join("changed/inner/open"), "y").unwrap();
        fs::remove_file(copy.join("lost/open")).unwrap();
        fs::write(copy.join("new"), "").unwrap();
        fs::write(copy.join("dpkg"), "").unwrap();
        keep_changed(&copy, &host, &kept).unwrap();

        let names: BTreeSet<_> =
            fs::read_dir(&kept).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(names, ["changed", "lost", "new"].map(str::to_owned).into());

        fs::write(kept.join("root"), "").unwrap();
        fs::set_permissions(kept.join("root"), Permissions::from_mode(0o6755)).unwrap();
        nix::unistd::mkfifo(&kept.join("changed/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        tidy(&kept).unwrap();
        assert_eq!(fs::metadata(kept.join("root")).unwrap().mode() & 0o7777, 0o755);
        assert!(!kept.join("changed/pipe").exists() && kept.join("changed/inner/open").exists());
    }
}
