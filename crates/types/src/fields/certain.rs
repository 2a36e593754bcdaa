//! The quick look at a payload: one reading that keeps nothing and explains nothing.

use super::{DataType, Field, MAX_DEPTH};
use crate::json::Scanner;

/// One bit for each kind of JSON value.
const NULL: u8 = 1;
const BOOL: u8 = 2;
const INT: u8 = 4;
const FLOAT: u8 = 8;
const TEXT: u8 = 16;
const LIST: u8 = 32;
const DICT: u8 = 64;

/// Whether a text certainly is valid JSON and fits the fields. False says nothing: it is to be looked at closely.
pub(super) fn fits(fields: &[Field], body: &[u8]) -> bool {
    Scanner::new(body).is_some_and(|text| Look { text, depth: 0 }.payload(fields).is_some())
}

struct Look<'a> {
    text: Scanner<'a>,
    depth: usize,
}

/// A value that went by: its kind, and the kinds of its items if it is a list.
struct Seen {
    kind: u8,
    items: u8,
}

impl Seen {
    fn fits(&self, data_type: DataType) -> bool {
        let list_of = |kinds: u8| self.kind == LIST && self.items & !kinds == 0;
        self.kind == NULL
            || match data_type {
                DataType::Int => self.kind == INT,
                DataType::Double => self.kind & (INT | FLOAT) != 0,
                DataType::Bool => self.kind == BOOL,
                DataType::String | DataType::File | DataType::Blob => self.kind == TEXT,
                DataType::Dict => self.kind == DICT,
                DataType::ArrayInt => list_of(INT),
                DataType::ArrayDouble => list_of(INT | FLOAT),
                DataType::ArrayString | DataType::ArrayFile => list_of(TEXT),
            }
    }
}

impl Look<'_> {
    fn payload(mut self, fields: &[Field]) -> Option<()> {
        let mut seen = vec![false; fields.len()];
        self.dict(|look| {
            let key = look.text.string()?;
            let at = fields.iter().position(|field| field.name.as_str().as_bytes() == &*key)?;
            look.text.take(b':')?;
            let fits = look.value()?.fits(fields[at].data_type);
            (fits && !std::mem::replace(&mut seen[at], true)).then_some(())
        })?;
        let complete = fields.iter().zip(&seen).all(|(field, seen)| *seen || field.data_type.is_file());
        (complete && self.text.peek().is_none()).then_some(())
    }

    fn value(&mut self) -> Option<Seen> {
        let kind = match self.text.peek()? {
            b'"' => {
                self.text.skip_string()?;
                TEXT
            }
            b'[' => return self.list(),
            b'{' => {
                self.dict(Self::entry)?;
                DICT
            }
            b't' => self.word(b"true", BOOL)?,
            b'f' => self.word(b"false", BOOL)?,
            b'n' => self.word(b"null", NULL)?,
            _ if self.text.skip_number()? => INT,
            _ => FLOAT,
        };
        Some(Seen { kind, items: 0 })
    }

    fn word(&mut self, word: &[u8], kind: u8) -> Option<u8> {
        self.text.word(word).map(|()| kind)
    }

    fn entry(&mut self) -> Option<()> {
        self.text.skip_string()?;
        self.text.take(b':')?;
        self.value().map(drop)
    }

    fn list(&mut self) -> Option<Seen> {
        let mut items = 0;
        self.between(b'[', b']', |look| {
            items |= look.value()?.kind;
            Some(())
        })?;
        Some(Seen { kind: LIST, items })
    }

    fn dict(&mut self, entry: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.between(b'{', b'}', entry)
    }

    /// Takes items with commas between them.
    fn between(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.text.take(open)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        if self.text.peek()? != close {
            item(self)?;
            while self.text.peek()? == b',' {
                self.text.take(b',')?;
                item(self)?;
            }
        }
        self.depth -= 1;
        self.text.take(close)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check_closely;
    use super::super::{Side, tests::fields};
    use super::*;

    const TYPES: [DataType; 11] = [
        DataType::Int,
        DataType::String,
        DataType::Double,
        DataType::Bool,
        DataType::Dict,
        DataType::File,
        DataType::Blob,
        DataType::ArrayInt,
        DataType::ArrayDouble,
        DataType::ArrayString,
        DataType::ArrayFile,
    ];

    /// Text that is JSON often, and nearly JSON else.
    fn any_text() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            prop::sample::select(vec![
                "null",
                "true",
                "false",
                "0",
                "-1",
                "1.5",
                "1e999",
                "01",
                "-",
                "\"\"",
                "\"a\\n\"",
                "\"\\ud800\"",
                "tru",
                "\"\\x\"",
                "\"\u{1}\"",
                ""
            ])
            .prop_map(str::to_owned),
            "[0-9]{1,25}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{0,3})?",
            "\"[a-zé\\\\\"u0-9]{0,6}\"",
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let space = prop::sample::select(vec!["", " ", "\n\t", ","]);
            let item = (inner.clone(), space.clone()).prop_map(|(item, space)| format!("{space}{item}"));
            let entry = ("[xyz]", inner, space).prop_map(|(key, value, space)| format!("\"{key}\":{space}{value}"));
            prop_oneof![
                prop::collection::vec(item, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec(entry, 0..4).prop_map(|entries| format!("{{{}}}", entries.join(","))),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_fits_at_a_glance_fits_when_looked_at_closely(text in any_text(), one in 0..10_usize, other in 0..10_usize) {
            let fields = fields(&[("x", TYPES[one]), ("y", TYPES[other])]);
            let close = check_closely(Side::Input, &fields, text.as_bytes());
            prop_assert!(!super::fits(&fields, text.as_bytes()) || close.is_ok(), "{close:?}");
        }
    }

    #[test]
    fn what_usually_comes_fits_at_a_glance() {
        let fields = fields(&[("x", DataType::ArrayDouble), ("y", DataType::Dict), ("z", DataType::File)]);
        let body = r#" {"x" : [1, 2.5, -3e7],"y":{"a":[true,null,"\u00e9"], "b":{}}} "#;
        assert!(super::fits(&fields, body.as_bytes()));
        let open = |levels: usize| format!(r#"{{"x":[],"y":{{"a":{}1{}}}}}"#, "[".repeat(levels), "]".repeat(levels));
        assert!(super::fits(&fields, open(MAX_DEPTH - 2).as_bytes()));
        assert!(!super::fits(&fields, open(MAX_DEPTH - 1).as_bytes()));
        assert!(check_closely(Side::Input, &fields, open(MAX_DEPTH - 1).as_bytes()).is_err());
    }

    #[test]
    fn an_invalid_encoding_does_not_fit() {
        assert!(!super::fits(&fields(&[("x", DataType::String)]), b"{\"x\":\"\xff\"}"));
    }
}
