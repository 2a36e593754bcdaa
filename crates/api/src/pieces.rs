//! Answers that hold data of requests: sent in pieces, so that large data is not copied, and not read into memory as a whole.

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt, TryStreamExt};
use modelyard_control::Data;
use modelyard_types::{Error, Result};

use crate::json::json_answer;

/// Answers up to this many bytes are put together, which is cheaper than pieces.
const COPIED: u64 = 16 << 10;
/// How much of what lies in memory is sent at a time.
const SLICE: usize = 256 << 10;
/// How long a caller may take for data that lies in memory, where it keeps room that others could use, and how much longer
/// for each MiB.
const TAKEN_WITHIN: Duration = Duration::from_secs(300);
const MORE_PER_MIB: Duration = Duration::from_secs(1);

/// A part of an answer.
pub(crate) enum Part {
    /// Text as it stands.
    Text(Bytes),
    /// JSON text.
    Json(Data),
    /// JSON text without line ends.
    Line(Data),
    /// Text that becomes a JSON string.
    Plain(Data),
}

impl Part {
    /// How many bytes it will have, if that is known.
    fn size(&self) -> Option<u64> {
        match self {
            Part::Text(text) => Some(text.len() as u64),
            Part::Json(data) | Part::Line(data) => Some(size(data)),
            Part::Plain(_) => None,
        }
    }

    fn pieces(self) -> BoxStream<'static, Result<Bytes>> {
        match self {
            Part::Text(text) => one(text).boxed(),
            Part::Json(data) => taken(data),
            Part::Line(data) => taken(data).map_ok(on_one_line).boxed(),
            Part::Plain(data) => quote().chain(taken(data).map_ok(escaped)).chain(quote()).boxed(),
        }
    }
}

/// How many bytes data has.
fn size(data: &Data) -> u64 {
    match data {
        Data::Whole(bytes) => bytes.len() as u64,
        Data::Pieces(size, _) => *size,
    }
}

/// The parts one after another, as they are taken.
pub(crate) fn stream(parts: Vec<Part>) -> impl Stream<Item = Result<Bytes>> + Send {
    stream::iter(parts).flat_map(Part::pieces)
}

/// An answer of JSON text.
pub(crate) fn answer(parts: Vec<Part>) -> Response {
    let size: Option<u64> = parts.iter().map(Part::size).sum();
    if size.is_some_and(|size| size <= COPIED)
        && let Some(text) = put_together(&parts)
    {
        return json_answer(Body::from(text));
    }
    let mut answer = json_answer(Body::from_stream(stream(parts)));
    if let Some(size) = size {
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
    answer
}

/// The text of parts that are here as they are sent.
fn put_together(parts: &[Part]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for part in parts {
        let (Part::Text(bytes) | Part::Json(Data::Whole(bytes))) = part else { return None };
        text.extend_from_slice(bytes);
    }
    Some(text)
}

fn one(text: Bytes) -> impl Stream<Item = Result<Bytes>> + Send {
    stream::once(std::future::ready(Ok(text)))
}

fn quote() -> impl Stream<Item = Result<Bytes>> + Send {
    one(Bytes::from_static(b"\""))
}

fn taken(data: Data) -> BoxStream<'static, Result<Bytes>> {
    match data {
        Data::Whole(bytes) => {
            let within = TAKEN_WITHIN + MORE_PER_MIB * (bytes.len() >> 20) as u32;
            stream::iter(slices(bytes, Instant::now() + within)).boxed()
        }
        Data::Pieces(_, pieces) => pieces,
    }
}

/// What lies in memory, in slices that are taken until a time.
fn slices(mut bytes: Bytes, until: Instant) -> impl Iterator<Item = Result<Bytes>> + Send {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let slice = bytes.split_to(bytes.len().min(SLICE));
        if Instant::now() > until {
            bytes.clear();
            return Some(Err(Error::Unavailable("The answer was taken too slowly".into())));
        }
        Some(Ok(slice))
    })
}

/// A piece of JSON text with its line ends as blanks: within strings they are escaped, elsewhere they mean as much.
fn on_one_line(piece: Bytes) -> Bytes {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !piece.iter().any(is_end) {
        return piece;
    }
    piece.iter().map(|byte| if is_end(byte) { b' ' } else { *byte }).collect::<Vec<u8>>().into()
}

/// A piece of text within a JSON string. It may begin and end in the middle of a character: only ASCII is escaped.
fn escaped(piece: Bytes) -> Bytes {
    let mut text = Vec::with_capacity(piece.len() + piece.len() / 8);
    for byte in piece {
        match byte {
            b'"' => text.extend_from_slice(br#"\""#),
            b'\\' => text.extend_from_slice(br"\\"),
            b'\n' => text.extend_from_slice(br"\n"),
            b'\r' => text.extend_from_slice(br"\r"),
            b'\t' => text.extend_from_slice(br"\t"),
            0..0x20 => text.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => text.push(byte),
        }
    }
    text.into()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    async fn sent(parts: Vec<Part>) -> (Option<String>, Bytes) {
        let answer = answer(parts);
        let length = answer.headers().get(CONTENT_LENGTH).map(|length| length.to_str().unwrap().to_owned());
        (length, axum::body::to_bytes(answer.into_body(), 1 << 24).await.unwrap())
    }

    /// Data that comes byte by byte.
    fn bytewise(text: &str) -> Data {
        let pieces: Vec<Result<Bytes>> = text.bytes().map(|byte| Ok(Bytes::copy_from_slice(&[byte]))).collect();
        Data::Pieces(text.len() as u64, stream::iter(pieces).boxed())
    }

    #[tokio::test]
    async fn text_is_escaped_as_json_wherever_it_is_cut() {
        let text: String = (0..=255u8).map(char::from).chain("\u{7f}\u{2028}é漢🦀\"\\".chars()).collect();
        let (length, json) = sent(vec![Part::Plain(bytewise(&text))]).await;
        assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
        assert_eq!(length, None);
        let (_, json) = sent(vec![Part::Plain(Data::Whole(text.clone().into()))]).await;
        assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
    }

    #[tokio::test]
    async fn answers_tell_their_length_when_it_is_known() {
        let large = format!("[{}1]", "1,\n".repeat(400_000));
        let parts = |data: Data, line: bool| {
            vec![Part::Text("{".into()), if line { Part::Line(data) } else { Part::Json(data) }, Part::Text("}".into())]
        };
        for data in [Data::Whole(large.clone().into()), bytewise(&large)] {
            let (length, text) = sent(parts(data, false)).await;
            assert_eq!((length, text), (Some((large.len() + 2).to_string()), format!("{{{large}}}").into()));
        }
        let line = format!("{{{}}}", large.replace('\n', " "));
        for data in [Data::Whole(large.clone().into()), bytewise(&large)] {
            assert_eq!(sent(parts(data, true)).await.1, line);
        }
        assert_eq!(sent(parts(Data::Whole("1".into()), false)).await.1, "{1}");
    }

    #[test]
    fn what_lies_in_memory_is_let_go_of_when_it_is_taken_too_slowly() {
        let bytes = || Bytes::from(vec![b' '; 2 * SLICE + 1]);
        let in_time = slices(bytes(), Instant::now() + TAKEN_WITHIN);
        assert_eq!(in_time.map(|slice| slice.unwrap().len()).collect::<Vec<_>>(), [SLICE, SLICE, 1]);
        let mut late = slices(bytes(), Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
        assert!(late.next().unwrap().is_err());
        assert!(late.next().is_none());
    }
}
