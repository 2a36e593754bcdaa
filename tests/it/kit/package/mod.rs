//! Deployment packages, good ones and bad ones.

pub mod forged;

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Code that gives back what it gets.
pub const ECHO: &str = "class Deployment:\n    def request(self, data):\n        return data\n";

/// A zip of these files, in one folder.
pub fn packed(files: &[(&str, &str)]) -> Vec<u8> {
    let files: Vec<_> = files.iter().map(|(name, text)| (format!("package/{name}"), dedented(text))).collect();
    zipped(&files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect::<Vec<_>>())
}

/// A zip of these entries, as they are.
pub fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Removes the indent of the first line that has text from all lines.
pub fn dedented(text: &str) -> String {
    let indent =
        text.lines().find(|line| !line.trim().is_empty()).map_or(0, |line| line.len() - line.trim_start().len());
    let lines = text.lines().map(|line| line.get(indent..).unwrap_or(line.trim_start()));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}
