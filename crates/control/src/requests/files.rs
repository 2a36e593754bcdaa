//! The files that payloads name, and whether whoever names them may read them.

use std::fmt;

use modelyard_types::fields::{DataType, Field};
use modelyard_types::files::{FileUri, URI};
use modelyard_types::permissions::{Permission, can};
use modelyard_types::{BlobId, Error, Kind, Result};
use serde_json::{Map, Value};

use super::inputs::is_list;
use crate::Control;
use crate::access::{Actor, Scope, allows};
use crate::catalogue::{DeploymentSnapshot, ProjectSnapshot};

/// The most files that one call has, in all its payloads.
pub(crate) const MAX_FILES: usize = modelyard_runner::protocol::MOST_FILES;

/// A file that a payload names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The field that has it.
    pub(crate) field: String,
    /// The file.
    pub(crate) what: Source,
}

/// What is brought as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file of a bucket.
    Bucket(FileUri),
    /// A blob of the project.
    Blob(BlobId),
}

impl Named {
    /// Reads a value of a field.
    fn read(field: &Field, text: &str) -> Result<Self, String> {
        let what = match field.data_type {
            DataType::Blob => match text.parse() {
                Ok(id) => Source::Blob(id),
                Err(_) => {
                    return Err(format!("The input field '{}': '{text:.200}' is not the id of a blob", field.name));
                }
            },
            _ => {
                let uri = FileUri::parse(text).map_err(|why| format!("The input field '{}': {why}", field.name))?;
                Source::Bucket(uri)
            }
        };
        Ok(Self { field: field.name.to_string(), what })
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Source::Bucket(uri) => write!(f, "The file {uri} of the input field '{}'", self.field),
            Source::Blob(id) => write!(f, "The blob {id} of the input field '{}'", self.field),
        }
    }
}

/// The files that a payload, or a list of them, names: payloads in order, fields as they are declared, items in order. That is
/// the order in which a worker expects them. The error is a sentence.
pub(crate) fn named(fields: &[Field], body: &[u8]) -> Result<Vec<Named>, String> {
    let unreadable = |cause: serde_json::Error| format!("The body is not valid JSON: {cause}");
    let payloads: Vec<Map<String, Value>> = match is_list(body) {
        true => serde_json::from_slice(body).map_err(unreadable)?,
        false => vec![serde_json::from_slice(body).map_err(unreadable)?],
    };
    let mut found = Vec::new();
    for payload in &payloads {
        for field in fields.iter().filter(|field| field.data_type.is_file()) {
            for text in texts(payload.get(field.name.as_str())) {
                found.push(Named::read(field, text)?);
            }
        }
    }
    match found.len() {
        count if count > MAX_FILES => Err(format!("A request has at most {MAX_FILES} files, and this has {count}")),
        _ => Ok(found),
    }
}

/// The texts of a value: itself, or those in a list.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match value {
        Some(Value::Array(items)) => (None, items.as_slice()),
        one => (one, &[][..]),
    };
    one.into_iter().chain(many).filter_map(Value::as_str)
}

impl Control {
    /// Refuses a payload that names files which are not there, or which `by` may not read. `all` looks for each; else only the
    /// buckets are looked at, since the files may come until the request runs.
    pub(super) async fn may_read_files(
        &self,
        by: &Actor,
        project: &ProjectSnapshot,
        deployment: &DeploymentSnapshot,
        body: &[u8],
        all: bool,
    ) -> Result<()> {
        for file in named(&deployment.input_fields, body).map_err(Error::Invalid)? {
            let found = match &file.what {
                Source::Bucket(uri) => {
                    let bucket = project.buckets.get(&uri.bucket).copied().ok_or_else(|| no_bucket(&file, uri))?;
                    let scope = Scope::Bucket(project.id, bucket.id);
                    require(&file, allows(by, scope, <can::FilesGet as Permission>::NAME))?;
                    if !all {
                        continue;
                    }
                    let storage = self.storage(bucket).await?;
                    self.get_file(&storage, &uri.file).await.map(drop)
                }
                Source::Blob(id) => {
                    require(&file, allows(by, Scope::Project(project.id), <can::BlobsGet as Permission>::NAME))?;
                    if !all {
                        continue;
                    }
                    self.blob(project.id, *id).await.map(drop)
                }
            };
            found.map_err(|cause| not_there(&file, cause))?;
        }
        Ok(())
    }
}

fn require(file: &Named, allowed: bool) -> Result<()> {
    if allowed { Ok(()) } else { Err(Error::Invalid(format!("{file} may not be read by you"))) }
}

/// What is said of a file that cannot be had.
pub(crate) fn not_there(file: &Named, cause: Error) -> Error {
    match cause {
        Error::NotFound(Kind::File | Kind::Blob) => Error::Invalid(format!("{file} was not found")),
        cause => cause,
    }
}

/// What is said of a file whose bucket is not there.
pub(crate) fn no_bucket(file: &Named, uri: &FileUri) -> Error {
    Error::Invalid(format!("{file} was not found: there is no bucket '{}'", uri.bucket))
}

/// Whether a text is the address of a file.
pub(crate) fn is_uri(text: &str) -> bool {
    text.starts_with(URI)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use modelyard_types::names::FieldName;

    use super::*;

    fn fields(list: &[(&str, DataType)]) -> Vec<Field> {
        let field = |(name, data_type): &(&str, DataType)| Field {
            name: FieldName::try_from(*name).unwrap(),
            data_type: *data_type,
            widget: None,
        };
        list.iter().map(field).collect()
    }

    #[test]
    fn files_come_in_the_order_in_which_workers_expect_them() {
        let fields = fields(&[("one", DataType::File), ("x", DataType::String), ("many", DataType::ArrayFile)]);
        let body =
            br#"[{"many":["ubiops-file://b/2","ubiops-file://b/3"],"x":"ubiops-file://b/no","one":"ubiops-file://b/1"},
            {"one":null,"many":null,"x":"y"},{"many":[],"x":"y","one":"ubiops-file://c/4 \u00fc"}]"#;
        let found = named(&fields, body).unwrap();
        let shown: Vec<_> = found.iter().map(|file| file.to_string()).collect();
        let expected = [("b/1", "one"), ("b/2", "many"), ("b/3", "many"), ("c/4 ü", "one")];
        let expected =
            expected.map(|(file, field)| format!("The file ubiops-file://{file} of the input field '{field}'"));
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_field() {
        let fields = fields(&[("one", DataType::File), ("many", DataType::ArrayFile), ("blob", DataType::Blob)]);
        let told = |body: &str| named(&fields, body.as_bytes()).unwrap_err();
        insta::assert_snapshot!(told(r#"{"one":"x.png"}"#), @"The input field 'one': 'x.png' is not the address of a file: it must be ubiops-file://<bucket>/<file>");
        insta::assert_snapshot!(told(r#"{"many":["ubiops-file://b/../x"]}"#), @"The input field 'many': The file name is not valid: '.' and '..' cannot be parts of it");
        insta::assert_snapshot!(told(r#"{"blob":"ubiops-file://b/x"}"#), @"The input field 'blob': 'ubiops-file://b/x' is not the id of a blob");
        let many = vec!["\"ubiops-file://b/x\""; MAX_FILES + 1].join(",");
        insta::assert_snapshot!(told(&format!(r#"{{"many":[{many}]}}"#)), @"A request has at most 1000 files, and this has 1001");
    }
}
