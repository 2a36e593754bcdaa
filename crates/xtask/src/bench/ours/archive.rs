//! The zip that is uploaded, and the form it travels in.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;

use super::super::Result;

/// The boundary between the parts of the form; does not occur in a zip by accident.
const BOUNDARY: &str = "modelyard-benchmark-6f1d0c5b9a";

/// The type of the form, with its boundary.
pub fn content_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// A form whose part `file` is a zip of the files in `folder`.
pub fn form(folder: &Path) -> Result<Vec<u8>> {
    let zip = zip_of(folder).map_err(|e| format!("{} cannot be packed: {e}", folder.display()))?;
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"package.zip\"\r\n\
         Content-Type: application/zip\r\n\r\n"
    );
    Ok([head.as_bytes(), &zip, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat())
}

fn zip_of(folder: &Path) -> std::io::Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // The floor's interpreter leaves its byte code here.
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            zip.start_file(name.to_string_lossy(), SimpleFileOptions::default())?;
            zip.write_all(&fs::read(&path)?)?;
        }
    }
    Ok(zip.finish()?.into_inner())
}
