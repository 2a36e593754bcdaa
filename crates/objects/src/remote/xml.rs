//! The answers of providers as trees of names and texts: small, and with limits.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// How deep an answer may be. Those we know have five levels.
const DEEPEST: usize = 16;

/// An element, without its namespace.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub name: String,
    pub text: String,
    /// Whether an attribute says that the text is percent-encoded.
    pub encoded: bool,
    children: Vec<Element>,
}

impl Element {
    /// The root of a document.
    pub fn read(document: &[u8]) -> Result<Self, String> {
        let mut reader = Reader::from_reader(document);
        reader.config_mut().check_end_names = true;
        // The first holds the root.
        let mut open = vec![Element::default()];
        loop {
            match reader.read_event().map_err(|cause| cause.to_string())? {
                Event::Start(_) if open.len() > DEEPEST => return Err("the document is too deep".into()),
                Event::Start(start) => open.push(Element::begin(&start)?),
                Event::Empty(start) => add(&mut open, Element::begin(&start)?)?,
                Event::End(_) => {
                    let done = open.pop().ok_or("an end without a start")?;
                    add(&mut open, done)?;
                }
                Event::Text(text) => push(&mut open, &text.decode().map_err(|cause| cause.to_string())?),
                Event::CData(text) => push(&mut open, &text.decode().map_err(|cause| cause.to_string())?),
                Event::GeneralRef(reference) => push(&mut open, &resolve(&reference)?),
                Event::Eof => break,
                _ => {}
            }
        }
        match (open.pop().and_then(|mut document| document.children.pop()), open.is_empty()) {
            (Some(root), true) => Ok(root),
            _ => Err("the document is not whole".into()),
        }
    }

    fn begin(start: &BytesStart<'_>) -> Result<Self, String> {
        let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
        let encoded = start.attributes().flatten().any(|it| it.key.as_ref() == b"Encoded" && &*it.value == b"true");
        Ok(Self { name, encoded, ..Self::default() })
    }

    /// All children of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of a name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of a name, unless it is empty.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str()).filter(|text| !text.is_empty())
    }
}

fn add(open: &mut [Element], done: Element) -> Result<(), String> {
    open.last_mut().ok_or("an end without a start")?.children.push(done);
    Ok(())
}

fn push(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(character) = reference.resolve_char_ref().map_err(|cause| cause.to_string())? {
        return Ok(character.to_string());
    }
    let name = reference.decode().map_err(|cause| cause.to_string())?;
    resolve_predefined_entity(&name).map(str::to_owned).ok_or_else(|| format!("the unknown entity '{name}'"))
}

/// A text as it stands in a document.
pub(super) fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_with_their_escapes() {
        let document = br#"<?xml version="1.0"?><List xmlns="http://a/b"><Key>a &amp; &lt;b&gt; &#x1F980; &quot;</Key>
            <Key/><x:Key xmlns:x="y"><![CDATA[<c>]]></x:Key><Name Encoded="true">a%01</Name></List>"#;
        let root = Element::read(document).unwrap();
        assert_eq!(root.name, "List");
        let keys: Vec<_> = root.all("Key").map(|key| key.text.as_str()).collect();
        assert_eq!(keys, ["a & <b> 🦀 \"", "", "<c>"]);
        assert!(root.child("Name").unwrap().encoded && !root.child("Key").unwrap().encoded);
        assert_eq!(root.text_of("Nothing"), None);
        assert_eq!(escape("a<b & \"c\""), "a&lt;b &amp; &quot;c&quot;");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_answered_is_read_or_refused(bytes: Vec<u8>, text in "(<[a-z/!?& ]{0,4}>?|[a-z&;]{0,3}){0,40}") {
            let _ = Element::read(&bytes);
            if let Ok(root) = Element::read(text.as_bytes()) {
                assert!(!root.name.is_empty() || text.contains("<"));
            }
        }
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let deep = "<a>".repeat(100_000);
        for bad in ["", "text", "<a>", "<a></b>", "<a>&unknown;</a>", &deep] {
            assert!(Element::read(bad.as_bytes()).is_err(), "{}", &bad[..bad.len().min(20)]);
        }
    }
}
