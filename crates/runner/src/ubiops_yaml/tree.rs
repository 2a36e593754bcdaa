//! The file as a tree with line numbers. Of YAML it knows texts, lists and keys; what is cleverer is refused.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::Refused;

/// Deeper files are none of ours.
const DEEPEST: usize = 8;

/// A part of the file.
#[derive(Debug)]
pub(super) struct Item {
    pub line: usize,
    pub kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Text(String),
    Empty,
    List(Vec<Item>),
    Map(Vec<(String, usize, Item)>),
}

/// Reads the file; `None` when it has only comments.
pub(super) fn read(text: &str) -> Result<Option<Item>, Refused> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(line) = text.lines().position(|line| line.contains('\t')) {
        return Err((line + 1, "the line has a tab, which YAML does not take; use spaces".to_owned()));
    }
    let mut reader = Reader { parser: Parser::new_from_str(text), root: None };
    reader.read()?;
    Ok(reader.root.filter(|root| !matches!(root.kind, Kind::Empty)))
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    root: Option<Item>,
}

impl<'a> Reader<'a> {
    fn read(&mut self) -> Result<(), Refused> {
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                _ if self.root.is_some() => {
                    return Err((span.start.line(), "the file has a second document; keep one of them".to_owned()));
                }
                event => self.root = Some(self.item(event, span, 0)?),
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Refused> {
        match self.parser.next() {
            None => Ok(None),
            Some(Ok(next)) => Ok(Some(next)),
            Some(Err(error)) => Err((error.marker().line(), format!("this is not YAML: {}", error.info()))),
        }
    }

    fn inner(&mut self, line: usize) -> Result<(Event<'a>, Span), Refused> {
        self.next()?.ok_or_else(|| (line, "the file ends in the middle of this".to_owned()))
    }

    fn item(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Item, Refused> {
        let line = span.start.line();
        if depth > DEEPEST {
            return Err((line, "this is nested too deeply".to_owned()));
        }
        let kind = match event {
            Event::Scalar(text, style, 0, None) => match text.as_ref() {
                "" | "~" | "null" if style == ScalarStyle::Plain => Kind::Empty,
                text => Kind::Text(text.to_owned()),
            },
            Event::SequenceStart(0, None) => self.list(line, depth)?,
            Event::MappingStart(0, None) => self.map(line, depth)?,
            _ => return Err((line, "anchors, aliases and tags are not taken here; write the text itself".to_owned())),
        };
        Ok(Item { line, kind })
    }

    fn list(&mut self, line: usize, depth: usize) -> Result<Kind, Refused> {
        let mut items = Vec::new();
        loop {
            match self.inner(line)? {
                (Event::SequenceEnd, _) => return Ok(Kind::List(items)),
                (event, span) => items.push(self.item(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, line: usize, depth: usize) -> Result<Kind, Refused> {
        let mut entries: Vec<(String, usize, Item)> = Vec::new();
        loop {
            let (event, span) = self.inner(line)?;
            if event == Event::MappingEnd {
                return Ok(Kind::Map(entries));
            }
            let key = self.item(event, span, depth + 1)?;
            let Kind::Text(name) = key.kind else { return Err((key.line, "a key is a word".to_owned())) };
            if entries.iter().any(|(known, ..)| *known == name) {
                return Err((key.line, format!("the key '{}' is there twice; keep one of them", super::cut(&name))));
            }
            let (event, span) = self.inner(key.line)?;
            let value = self.item(event, span, depth + 1)?;
            entries.push((name, key.line, value));
        }
    }
}
