//! The package that the demo uploads.

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::Step;

const FILES: [(&str, &str); 2] = [
    ("deployment.py", include_str!("model/deployment.py")),
    ("requirements.txt", include_str!("model/requirements.txt")),
];

/// A zip of the model.
pub(super) fn model() -> Step<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in FILES {
        let path = format!("deployment_package/{name}");
        zip.start_file(path, SimpleFileOptions::default()).map_err(|e| e.to_string())?;
        zip.write_all(text.as_bytes()).map_err(|e| e.to_string())?;
    }
    Ok(zip.finish().map_err(|e| e.to_string())?.into_inner())
}
