//! Files in containers: their names, and what clients send and receive of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::ObjectTime;

/// The longest name of a file, in bytes: as much as object stores take.
pub const MAX_FILE_NAME: usize = 1024;
/// The most files that one answer lists.
pub const MAX_LISTED: i64 = 1000;
/// The most parts of an upload.
pub const MAX_PARTS: i64 = 10_000;

/// The name of a file: parts separated by slashes, any characters but control characters.
///
/// One slash at the beginning is dropped, so `/a/b` and `a/b` are the same file. There are no empty parts, and none is `.` or
/// `..`, not even between backslashes: nothing that is done with a name leads anywhere else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName(String);

impl FileName {
    /// Reads a name, decoded; the error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix('/').unwrap_or(text);
        let refused = |why: &str| Err(format!("The file name is not valid: {why}"));
        if name.is_empty() {
            return refused("it is empty");
        }
        if name.len() > MAX_FILE_NAME {
            return Err(format!("The file name is too long: it must have at most {MAX_FILE_NAME} bytes"));
        }
        if name.contains(char::is_control) {
            return refused("it contains a control character");
        }
        if name.split('/').any(str::is_empty) {
            return refused("a part between its slashes is empty");
        }
        if name.split(['/', '\\']).any(|part| matches!(part, "." | "..")) {
            return refused("'.' and '..' cannot be parts of it");
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part behind its last slash.
    pub fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an URI of a file begins with.
pub const URI: &str = "ubiops-file://";

/// The address of a file in a bucket, as requests carry it: `ubiops-file://<bucket>/<file>`, split at the first slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileUri {
    /// The name of the bucket.
    pub bucket: String,
    /// The name of the file.
    pub file: FileName,
}

impl FileUri {
    /// Reads an address; the error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shape = || format!("'{text:.200}' is not the address of a file: it must be {URI}<bucket>/<file>");
        let (bucket, file) = text.strip_prefix(URI).and_then(|rest| rest.split_once('/')).ok_or_else(shape)?;
        if bucket.is_empty() {
            return Err(shape());
        }
        Ok(Self { bucket: bucket.to_owned(), file: FileName::parse(file)? })
    }
}

impl fmt::Display for FileUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{URI}{}/{}", self.bucket, self.file)
    }
}

/// A file in answers.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FileItem {
    /// Its name.
    pub file: String,
    /// Its bytes.
    pub size: i64,
    /// When it was written.
    pub time_created: ObjectTime,
}

/// A page of the files of a bucket.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FileDetail {
    /// Where the next page begins; null on the last one.
    pub continuation_token: Option<String>,
    /// The files.
    pub files: Vec<FileItem>,
    /// What names have in common up to the delimiter, each once.
    pub prefixes: Vec<String>,
}

/// Where bytes can be sent to or fetched from.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FileUploadResponse {
    /// The address, valid for a while for one method.
    pub url: String,
    /// Who keeps the files of the bucket.
    pub provider: String,
}

/// An upload in parts.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FileMultipartUpload {
    /// Its id.
    pub upload_id: Option<String>,
    /// Who keeps the files of the bucket.
    pub provider: String,
}

/// The body of `files_complete_multipart_upload`.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileCompleteMultipartUpload {
    /// The upload.
    pub upload_id: Option<String>,
    /// Its parts.
    pub parts: Vec<UploadedPart>,
}

impl FileCompleteMultipartUpload {
    /// The rules between fields.
    pub fn check(&self) -> Result<(), String> {
        match i64::try_from(self.parts.len()) {
            Ok(0) => Err("parts: at least one part is needed".into()),
            Ok(count) if count <= MAX_PARTS => Ok(()),
            _ => Err(format!("parts: an upload has at most {MAX_PARTS} parts")),
        }
    }
}

/// A part of an upload, as whoever sent it knows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "RawPart")]
pub enum UploadedPart {
    /// By its number and the `ETag` that its upload was answered with.
    Tag {
        /// Its number, from 1.
        number: i64,
        /// The `ETag`, with or without its quotes.
        etag: String,
    },
    /// By the id of its block.
    Block(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPart {
    #[serde(rename = "ETag")]
    etag: Option<String>,
    #[serde(rename = "PartNumber")]
    number: Option<serde_json::Value>,
    #[serde(rename = "BlockId")]
    block: Option<String>,
}

impl TryFrom<RawPart> for UploadedPart {
    type Error = String;

    fn try_from(raw: RawPart) -> Result<Self, String> {
        // Clients that take all values for texts send the number as one.
        let number = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text.parse().ok(),
            value => value.as_i64(),
        };
        match (raw.etag, raw.number, raw.block) {
            (None, None, Some(block)) => Ok(Self::Block(block)),
            (Some(etag), Some(value), None) => match number(value) {
                Some(number) if (1..=MAX_PARTS).contains(&number) => Ok(Self::Tag { number, etag }),
                _ => Err(format!("PartNumber must be a whole number from 1 to {MAX_PARTS}")),
            },
            _ => Err("a part is named by ETag and PartNumber, or by BlockId".into()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_nearly_everything() {
        for name in ["a", "a b/ü漢🦀.txt", "%2e%2e/x", "a%2Fb", "...", "a..b/.c", "c:\\d", "a?b#c&d=e+f", "\"'"] {
            assert_eq!(FileName::parse(name).unwrap().as_str(), name);
            assert_eq!(FileName::parse(&format!("/{name}")).unwrap().as_str(), name);
        }
        assert!(FileName::parse(&"x".repeat(MAX_FILE_NAME)).is_ok());
        assert_eq!(FileName::parse("a/b/c").unwrap().last(), "c");
    }

    #[test]
    fn names_that_could_lead_elsewhere_are_refused() {
        let long = "ü".repeat(MAX_FILE_NAME / 2) + "x";
        for name in [
            "",
            "/",
            "//a",
            "a//b",
            "a/",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/./b",
            "a/..",
            "..\\a",
            "a\\..\\b",
            "a\\.",
            "a\0b",
            "a\nb",
            "\u{85}",
            &long,
            &"x".repeat(10_000),
        ] {
            assert!(FileName::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn addresses_are_split_at_the_first_slash() {
        let uri = FileUri::parse("ubiops-file://default/a/b c.txt").unwrap();
        assert_eq!((uri.bucket.as_str(), uri.file.as_str()), ("default", "a/b c.txt"));
        assert_eq!(uri.to_string(), "ubiops-file://default/a/b c.txt");
        for text in ["", "a", "ubiops-file://", "ubiops-file://a", "ubiops-file:///a", "ubiops-file://a/../b"] {
            assert!(FileUri::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parts_are_read_in_both_forms() {
        let part = |text: &str| serde_json::from_str::<UploadedPart>(text).map_err(|cause| cause.to_string());
        let tag = UploadedPart::Tag { number: 2, etag: "\"x\"".into() };
        assert_eq!(part(r#"{"ETag":"\"x\"","PartNumber":2}"#).unwrap(), tag);
        assert_eq!(part(r#"{"ETag":"\"x\"","PartNumber":"2"}"#).unwrap(), tag);
        assert_eq!(part(r#"{"BlockId":"YQ=="}"#).unwrap(), UploadedPart::Block("YQ==".into()));
        for bad in ["{}", r#"{"ETag":"x"}"#, r#"{"ETag":"x","PartNumber":0}"#, r#"{"ETag":"x","PartNumber":10001}"#] {
            assert!(part(bad).is_err(), "{bad}");
        }
    }
}
