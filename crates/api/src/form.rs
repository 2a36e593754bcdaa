//! Forms with a file: streamed to disk as they come, never held in memory.

use axum::body::HttpBody;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::CONTENT_TYPE;
use modelyard_objects::Staged;
use modelyard_types::Error;

use crate::App;
use crate::error::{Refusal, Result, invalid};

/// The longest value of a field that is not the file.
const MAX_TEXT: usize = 1024;

const NO_FORM: &str = "The body must be a form of the type multipart/form-data, with its boundary";

/// A file of a form.
pub(crate) struct Sent {
    pub(crate) staged: Staged,
    pub(crate) name: String,
    pub(crate) content_type: Option<String>,
}

/// What a form holds: a file, and texts by the names of their fields.
#[derive(Default)]
pub(crate) struct Form {
    pub(crate) file: Option<Sent>,
    texts: Vec<(String, String)>,
}

impl Form {
    /// The text of a field, if it has one.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().rev().find(|(field, _)| field == name).map(|(_, text)| text.as_str())
    }

    /// Reads a form of a file of at most `limit` bytes, which is called `unnamed` when it has no name, and of the texts `known`.
    pub(crate) async fn read(app: &App, request: Request, unnamed: &str, known: &[&str], limit: u64) -> Result<Self> {
        let mut form = Self::default();
        let kind = request.headers().get(CONTENT_TYPE);
        if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/")) {
            // Old clients with nothing to send send no form either.
            return if request.body().is_end_stream() { Ok(form) } else { Err(invalid(NO_FORM)) };
        }
        let parts = Multipart::from_request(with_own_limit(request), &()).await;
        let mut parts = parts.map_err(|_| invalid(NO_FORM))?;
        while let Some(part) = parts.next_field().await.map_err(broken)? {
            let name = part.name().unwrap_or_default().to_owned();
            match name.as_str() {
                "file" if form.file.is_some() => return Err(invalid("The form has two files; only one is taken")),
                "file" => form.file = Some(stage(app, part, unnamed, limit).await?),
                name if known.contains(&name) => {
                    let text = text(part, name).await?;
                    form.texts.extend(text.map(|text| (name.to_owned(), text)));
                }
                _ => return Err(invalid(format!("The field '{name}' is not known here"))),
            }
        }
        Ok(form)
    }
}

/// Files have a limit of their own, checked while they are written to disk.
fn with_own_limit(mut request: Request) -> Request {
    use axum::extract::DefaultBodyLimit;
    DefaultBodyLimit::disable().apply(&mut request);
    request
}

fn broken(cause: axum::extract::multipart::MultipartError) -> Refusal {
    invalid(format!("The form cannot be read: {}", cause.body_text()))
}

/// Writes a file to disk as it comes; nothing of it stays when that fails or is refused later.
async fn stage(app: &App, mut part: Field<'_>, unnamed: &str, limit: u64) -> Result<Sent> {
    let name = part.file_name().unwrap_or(unnamed).chars().take(MAX_TEXT).collect();
    let content_type = part.content_type().filter(|kind| kind.len() <= MAX_TEXT).map(str::to_owned);
    let mut staging = app.control().objects().stage(limit);
    while let Some(bytes) = part.chunk().await.map_err(broken)? {
        staging.write(bytes).await?;
    }
    Ok(Sent { staged: staging.finish().await?, name, content_type })
}

/// A short text. Some clients write `None` for what they do not want to say.
async fn text(mut part: Field<'_>, name: &str) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    while let Some(piece) = part.chunk().await.map_err(broken)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_TEXT {
            return Err(invalid(format!("{name} must have at most {MAX_TEXT} characters")));
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::invalid(format!("{name} is not valid UTF-8 text")))?;
    Ok(Some(text).filter(|text| !text.is_empty() && text != "None"))
}
