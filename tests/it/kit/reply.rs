//! An answer of the server.

use std::fmt;
use std::ops::Index;

use reqwest::header::HeaderMap;
use serde_json::Value;

/// What the server answered. Shown as status and body.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub bytes: Vec<u8>,
    json: Value,
}

impl Reply {
    /// Reads a whole answer.
    pub async fn read(answer: reqwest::Response) -> Self {
        Self::try_read(answer).await.expect("the answer is whole")
    }

    /// Reads an answer that may break off.
    pub async fn try_read(answer: reqwest::Response) -> Option<Self> {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await.ok()?.to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Some(Self { status, headers, bytes, json })
    }

    /// This answer, which has to be a success.
    #[track_caller]
    pub fn fine(self) -> Self {
        assert!((200..300).contains(&self.status), "{self}");
        self
    }

    /// The sentence of a refusal.
    #[track_caller]
    pub fn error(&self) -> &str {
        self.json["error"].as_str().unwrap_or_else(|| panic!("no refusal: {self}"))
    }

    /// The body as JSON.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// A field of the body that is text.
    #[track_caller]
    pub fn str(&self, field: &str) -> String {
        self.json[field].as_str().unwrap_or_else(|| panic!("no text in {field}: {self}")).to_owned()
    }

    /// Some fields of the body as JSON, for small snapshots.
    pub fn only(&self, fields: &[&str]) -> String {
        let shown: serde_json::Map<_, _> = fields.iter().map(|&key| (key.to_owned(), self.json[key].clone())).collect();
        Value::Object(shown).to_string()
    }

    /// One field of each item of a list, as JSON.
    #[track_caller]
    pub fn each(&self, field: &str) -> String {
        let items = self.json.as_array().unwrap_or_else(|| panic!("no list: {self}"));
        Value::Array(items.iter().map(|item| item[field].clone()).collect()).to_string()
    }

    /// How a request went: its status, its result and its error message.
    #[track_caller]
    pub fn outcome(&self) -> String {
        assert_eq!(self.status, 200, "{self}");
        let status = self.json["status"].as_str().unwrap_or("?");
        match &self.json["error_message"] {
            Value::Null => format!("{status} {}", self.json["result"]),
            message => format!("{status}: {}", message.as_str().unwrap_or("?")),
        }
    }

    /// The length of a list.
    #[track_caller]
    pub fn len(&self) -> usize {
        self.json.as_array().unwrap_or_else(|| panic!("no list: {self}")).len()
    }
}

impl Index<&str> for Reply {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.json[field]
    }
}

impl Index<usize> for Reply {
    type Output = Value;

    fn index(&self, at: usize) -> &Value {
        &self.json[at]
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if self.bytes.is_empty() { Ok(()) } else { write!(f, " {}", self.text()) }
    }
}
