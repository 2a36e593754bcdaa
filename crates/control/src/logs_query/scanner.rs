//! Takes a log query apart, a word at a time.

use modelyard_types::{Error, Result};

/// The rest of a query that is being read.
pub(super) struct Scanner<'a> {
    whole: &'a str,
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(query: &'a str) -> Self {
        Self { whole: query, rest: query.trim_start() }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn advance(&mut self, by: usize) {
        self.rest = self.rest[by..].trim_start();
    }

    /// Takes this sign if it comes next.
    pub(super) fn take(&mut self, sign: &str) -> bool {
        let comes = self.rest.starts_with(sign);
        if comes {
            self.advance(sign.len());
        }
        comes
    }

    /// Takes this word, in any letter case, if it comes next.
    pub(super) fn take_word(&mut self, wanted: &str) -> bool {
        let word = &self.rest[..self.word_length()];
        let comes = word.eq_ignore_ascii_case(wanted);
        if comes {
            self.advance(wanted.len());
        }
        comes
    }

    /// Takes the word that comes next.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        let word = &self.rest[..self.word_length()];
        self.advance(word.len());
        (!word.is_empty()).then_some(word)
    }

    fn word_length(&self) -> usize {
        self.rest.bytes().take_while(|c| c.is_ascii_alphanumeric() || *c == b'_').count()
    }

    /// Takes the value that comes next: back-quoted as it is, double-quoted with escapes.
    pub(super) fn quoted(&mut self) -> Result<String> {
        if let Some(inside) = self.rest.strip_prefix('`') {
            let end = inside.find('`').ok_or_else(|| self.refuse("a back-quote is not closed"))?;
            let text = inside[..end].to_owned();
            self.advance(end + 2);
            return Ok(text);
        }
        let Some(inside) = self.rest.strip_prefix('"') else {
            return Err(self.refuse("expected a value in back-quotes or double quotes"));
        };
        let mut text = String::new();
        let mut chars = inside.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.advance(at + 2);
                    return Ok(text);
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some(c @ ('"' | '\\' | '`')) => text.push(c),
                    _ => return Err(self.refuse("a backslash must be followed by one of \" \\ ` n t r")),
                },
                c => text.push(c),
            }
        }
        Err(self.refuse("a double quote is not closed"))
    }

    /// The sentence for a query that cannot be understood here.
    pub(super) fn refuse(&self, problem: &str) -> Error {
        let at = self.whole[..self.whole.len() - self.rest.len()].chars().count() + 1;
        Error::Invalid(format!("query: {problem}, at character {at}"))
    }
}
