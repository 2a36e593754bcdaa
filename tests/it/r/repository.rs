//! A repository of R packages in the form of CRAN, in a folder of its own, served over HTTP.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A repository that is served as long as this is there.
pub struct Repository {
    pub folder: TempDir,
    address: SocketAddr,
}

impl Repository {
    /// Serves an empty one.
    pub fn serve() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("src/contrib")).unwrap();
        fs::write(folder.path().join("src/contrib/PACKAGES"), "").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let root = folder.path().to_owned();
        // Ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let root = root.clone();
                std::thread::spawn(move || answer(&stream, &root));
            }
        });
        Self { folder, address }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds the present version of a package: its dependencies, and its files below the package's folder.
    pub fn add(&self, name: &str, version: &str, imports: &str, files: &[(&str, &str)]) {
        let about = self.pack(name, version, imports, files, &self.contrib());
        let index = self.contrib().join("PACKAGES");
        fs::write(&index, fs::read_to_string(&index).unwrap() + &about + "\n").unwrap();
    }

    /// Adds a version that was replaced by another.
    pub fn archive(&self, name: &str, version: &str, files: &[(&str, &str)]) {
        let place = self.contrib().join("Archive").join(name);
        fs::create_dir_all(&place).unwrap();
        self.pack(name, version, "", files, &place);
    }

    fn contrib(&self) -> PathBuf {
        self.folder.path().join("src/contrib")
    }

    fn pack(&self, name: &str, version: &str, imports: &str, files: &[(&str, &str)], place: &Path) -> String {
        let work = tempfile::tempdir().unwrap();
        let folder = work.path().join(name);
        let imports_line = if imports.is_empty() { String::new() } else { format!("Imports: {imports}\n") };
        let about = format!("Package: {name}\nVersion: {version}\n{imports_line}License: MIT\nNeedsCompilation: no\n");
        let description = format!(
            "{about}Title: Test\nDescription: For a test.\nAuthor: Nobody\nMaintainer: Nobody <n@example.org>\n"
        );
        let mut all = vec![("DESCRIPTION", description.as_str())];
        all.extend(files);
        for (path, text) in all {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let archive = place.join(format!("{name}_{version}.tar.gz"));
        let packed =
            Command::new("tar").arg("-czf").arg(archive).arg("-C").arg(work.path()).arg(name).status().unwrap();
        assert!(packed.success());
        about
    }
}

/// Answers one request for a file, and closes.
fn answer(mut stream: &TcpStream, root: &Path) {
    let mut lines = BufReader::new(stream).lines();
    let Some(Ok(first)) = lines.next() else { return };
    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
    let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let (status, body) = match fs::read(root.join(path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // A client that has gone needs no answer.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}
