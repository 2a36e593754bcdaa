//! Packages for Debian, made by its own tools, and a repository of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::web::Web;

/// A package of this name and version with files (paths without a slash in front, text, mode) and a script that runs after it is unpacked.
pub fn package(name: &str, version: &str, files: &[(&str, &str, u32)], script: &str) -> (String, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: for a test\n"
    );
    let script = format!("#!/bin/sh\nset -e\n{script}\n");
    let own = [("DEBIAN/control", control.as_str(), 0o644), ("DEBIAN/postinst", script.as_str(), 0o755)];
    for (path, text, mode) in files.iter().chain(&own) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
    }
    let file = format!("{name}_{version}_all.deb");
    run(folder.path(), "dpkg-deb", &["--root-owner-group", "--build", "root", &file]);
    let bytes = fs::read(folder.path().join(&file)).unwrap();
    (file, bytes)
}

/// A repository of packages on a server of its own.
pub struct Repository {
    /// Where it is.
    pub web: Web,
}

impl Repository {
    /// Serves these packages, signed by nobody.
    pub async fn serve(packages: Vec<(String, Vec<u8>)>) -> Self {
        Self { web: Web::serve(files(packages)).await }
    }

    /// The same, signed by a key of their own, which lies at `/key.asc` and is the text that comes with it.
    pub async fn serve_signed(packages: Vec<(String, Vec<u8>)>) -> (Self, String) {
        let mut files = files(packages);
        let (_, index) = files.last().unwrap();
        let (signed, key) = sign(index);
        files.extend([
            ("/InRelease".to_owned(), signed.into_bytes()),
            ("/key.asc".to_owned(), key.clone().into_bytes()),
        ]);
        (Self { web: Web::serve(files).await }, key)
    }

    /// The line of a list of sources for it, whoever signed it.
    pub fn source(&self) -> String {
        format!("deb [trusted=yes] {}/ ./", self.web.address)
    }

    /// The same for one that is to be signed.
    pub fn signed_source(&self) -> String {
        format!("deb {}/ ./", self.web.address)
    }
}

/// The files of a repository, its index last.
fn files(packages: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let mut index = String::new();
    let mut files = Vec::new();
    for (name, bytes) in packages {
        fs::write(folder.path().join(&name), &bytes).unwrap();
        let control = run(folder.path(), "dpkg-deb", &["--field", &name]);
        let hash = hash(folder.path(), &name);
        index += &format!("{}\nFilename: ./{name}\nSize: {}\nSHA256: {hash}\n\n", control.trim_end(), bytes.len());
        files.push((format!("/{name}"), bytes));
    }
    files.push(("/Packages".to_owned(), index.into_bytes()));
    files
}

/// An index, signed by a new key; and that key.
fn sign(index: &[u8]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("Packages"), index).unwrap();
    let date = run(at, "date", &["--utc", "+%a, %d %b %Y %H:%M:%S UTC"]);
    let release = format!("Date: {date}SHA256:\n {} {} Packages\n", hash(at, "Packages"), index.len());
    fs::write(at.join("Release"), release).unwrap();
    let home = at.to_str().unwrap();
    let gpg = |args: &[&str]| {
        run(at, "gpg", &[&["--homedir", home, "--batch", "--quiet", "--passphrase", ""], args].concat())
    };
    gpg(&["--quick-generate-key", "Nobody <nobody@example.org>", "ed25519", "sign", "never"]);
    let signed = gpg(&["--clearsign", "--output", "-", "Release"]);
    let key = gpg(&["--armor", "--export"]);
    run(at, "gpgconf", &["--homedir", home, "--kill", "gpg-agent"]);
    (signed, key)
}

fn hash(folder: &Path, name: &str) -> String {
    run(folder, "sha256sum", &[name]).split(' ').next().unwrap().to_owned()
}

/// What a program says that ends well.
fn run(folder: &Path, program: &str, args: &[&str]) -> String {
    let done = Command::new(program).args(args).current_dir(folder).env("LC_ALL", "C").output().unwrap();
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
