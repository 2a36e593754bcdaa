//! Input and output fields of deployments: their types, and the check of a payload against them (semantics 1.7).

use std::fmt;

use memchr::memchr2_iter;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::names::FieldName;

mod certain;

/// Whether payloads have fields or are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PayloadType {
    /// A dictionary with declared fields.
    Structured,
    /// Text.
    Plain,
}

impl PayloadType {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            PayloadType::Structured => "structured",
            PayloadType::Plain => "plain",
        }
    }
}

/// The type of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the contract's word")]
pub enum DataType {
    Int,
    String,
    Double,
    Bool,
    Dict,
    File,
    Blob,
    ArrayInt,
    ArrayDouble,
    ArrayString,
    ArrayFile,
}

impl DataType {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            DataType::Int => "int",
            DataType::String => "string",
            DataType::Double => "double",
            DataType::Bool => "bool",
            DataType::Dict => "dict",
            DataType::File => "file",
            DataType::Blob => "blob",
            DataType::ArrayInt => "array_int",
            DataType::ArrayDouble => "array_double",
            DataType::ArrayString => "array_string",
            DataType::ArrayFile => "array_file",
        }
    }

    /// Whether values are files: of buckets, or blobs by their ids.
    pub fn is_file(self) -> bool {
        matches!(self, DataType::File | DataType::ArrayFile | DataType::Blob)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an interface shows a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Widget {
    /// The kind of widget.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its settings, kept as they are.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub configuration: serde_json::Value,
}

/// A field as clients declare it and as the database keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name, unique among the fields of one side.
    pub name: FieldName,
    /// The type of its values.
    pub data_type: DataType,
    /// How an interface shows it.
    #[serde(default, deserialize_with = "read_widget", skip_serializing_if = "Option::is_none")]
    pub widget: Option<Widget>,
}

/// Reads a widget; `{}`, as answers show it when unset, counts as none, so that what was read can be sent back.
fn read_widget<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Widget>, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Raw {
        #[serde(rename = "type")]
        kind: Option<String>,
        #[serde(default)]
        configuration: serde_json::Value,
    }
    match Option::<Raw>::deserialize(from)? {
        Some(Raw { kind: Some(kind), configuration }) => Ok(Some(Widget { kind, configuration })),
        Some(Raw { kind: None, configuration }) if !configuration.is_null() => Err(D::Error::missing_field("type")),
        _ => Ok(None),
    }
}

/// A field in answers about one object: `widget` is `{}` when unset.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FieldDetail {
    /// Its name.
    pub name: FieldName,
    /// The type of its values.
    pub data_type: DataType,
    /// How an interface shows it.
    #[schema(value_type = Object)]
    pub widget: serde_json::Value,
}

impl From<&Field> for FieldDetail {
    fn from(field: &Field) -> Self {
        let widget = match &field.widget {
            Some(widget) => {
                serde_json::json!({ "type": widget.kind, "configuration": widget.configuration })
            }
            None => serde_json::json!({}),
        };
        Self { name: field.name.clone(), data_type: field.data_type, widget }
    }
}

/// A field in lists: without its widget.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FieldBrief {
    /// Its name.
    pub name: FieldName,
    /// The type of its values.
    pub data_type: DataType,
}

impl From<&Field> for FieldBrief {
    fn from(field: &Field) -> Self {
        Self { name: field.name.clone(), data_type: field.data_type }
    }
}

const INPUT_WIDGETS: [&str; 7] = ["textbox", "numberbox", "slider", "dropdown", "switch", "button", "image_preview"];
const OUTPUT_WIDGETS: [&str; 3] = ["textbox", "button", "image_preview"];
/// The most fields on one side of a deployment.
pub const MAX_FIELDS: usize = 250;

/// Checks declared fields: names unique, widgets known. `side` is `input` or `output`.
pub fn check_fields(side: &str, fields: &[Field]) -> Result<(), String> {
    if fields.len() > MAX_FIELDS {
        return Err(format!("{side}_fields: at most {MAX_FIELDS} fields are allowed"));
    }
    let known: &[&str] = if side == "input" { &INPUT_WIDGETS } else { &OUTPUT_WIDGETS };
    let mut names = std::collections::HashSet::new();
    for field in fields {
        if !names.insert(field.name.as_str()) {
            return Err(format!("{side}_fields: the name '{}' is used twice", field.name));
        }
        if let Some(widget) = &field.widget
            && !known.contains(&widget.kind.as_str())
        {
            return Err(format!(
                "{side}_fields: '{}' has the unknown widget '{}'; known are {}",
                field.name,
                widget.kind,
                known.join(", ")
            ));
        }
    }
    Ok(())
}

/// Checks a structured payload, given as JSON text, against the fields of one side.
///
/// Every key must be declared; a declared key may be null, and may be missing only for files (semantics 1.7).
/// Reads each value once and keeps nothing of it. Errors are sentences that name the field.
pub fn check_payload(fields: &[Field], body: &[u8]) -> Result<(), String> {
    check_side(Side::Input, fields, body)
}

/// Checks a structured result, given as JSON text, against the output fields, by the rules of [`check_payload`].
pub fn check_result(fields: &[Field], body: &[u8]) -> Result<(), String> {
    check_side(Side::Output, fields, body)
}

#[derive(Clone, Copy)]
enum Side {
    Input,
    Output,
}

impl Side {
    fn field(self) -> &'static str {
        match self {
            Side::Input => "input field",
            Side::Output => "output field",
        }
    }

    fn whole(self) -> &'static str {
        match self {
            Side::Input => "request data",
            Side::Output => "result",
        }
    }
}

fn check_side(side: Side, fields: &[Field], body: &[u8]) -> Result<(), String> {
    if certain::fits(fields, body) {
        return Ok(());
    }
    check_closely(side, fields, body)
}

/// As [`check_side`], for the sentences.
fn check_closely(side: Side, fields: &[Field], body: &[u8]) -> Result<(), String> {
    check_depth(body)?;
    let mut seen = vec![false; fields.len()];
    let mut reader = serde_json::Deserializer::from_slice(body);
    let check = PayloadCheck { side, fields, seen: &mut seen };
    let outcome = serde::de::DeserializeSeed::deserialize(check, &mut reader).and_then(|problem| {
        reader.end()?;
        Ok(problem)
    });
    match outcome {
        Ok(Some(problem)) => return Err(problem),
        Ok(None) => {}
        Err(cause) if cause.is_data() => {
            return Err(format!("The {} must be a dictionary of fields", side.whole()));
        }
        Err(cause) => return Err(format!("The body is not valid JSON: {cause}")),
    }
    let missing = fields.iter().zip(&seen).find(|(field, seen)| !**seen && !field.data_type.is_file());
    match missing {
        Some((field, _)) => Err(format!("The {} '{}' is missing", side.field(), field.name)),
        None => Ok(()),
    }
}

/// The deepest nesting of lists and dictionaries in a payload.
pub const MAX_DEPTH: usize = 128;

/// Refuses JSON text that is nested deeper than any interpreter should be asked to follow.
pub fn check_depth(body: &[u8]) -> Result<(), String> {
    // Most bodies have fewer brackets than may be nested, and finding that out is quick.
    if body.len() <= 2 * MAX_DEPTH || memchr2_iter(b'[', b'{', body).nth(MAX_DEPTH).is_none() {
        return Ok(());
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("The body is nested deeper than {MAX_DEPTH} levels"));
        }
    }
    Ok(())
}

struct PayloadCheck<'a> {
    side: Side,
    fields: &'a [Field],
    seen: &'a mut [bool],
}

impl<'de> serde::de::DeserializeSeed<'de> for PayloadCheck<'_> {
    type Value = Option<String>;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> serde::de::Visitor<'de> for PayloadCheck<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a dictionary of fields")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut problem = None;
        let what = self.side.field();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let value: &RawValue = map.next_value()?;
            if problem.is_some() {
                continue;
            }
            match self.fields.iter().position(|field| field.name.as_str() == key) {
                None => problem = Some(format!("The {what} '{key}' does not exist in this deployment")),
                Some(at) if self.seen[at] => problem = Some(format!("The {what} '{key}' is given twice")),
                Some(at) => {
                    self.seen[at] = true;
                    problem = check_value(what, &self.fields[at], value.get()).err();
                }
            }
        }
        Ok(problem)
    }
}

/// Checks one value, as JSON text, against its field; null fits every type.
fn check_value(what: &str, field: &Field, text: &str) -> Result<(), String> {
    let fits = match field.data_type {
        _ if text == "null" => true,
        DataType::Int => is_int(text),
        DataType::Double => is_number(text),
        DataType::Bool => matches!(text, "true" | "false"),
        DataType::String | DataType::File | DataType::Blob => text.starts_with('"'),
        DataType::Dict => text.starts_with('{'),
        DataType::ArrayInt => all_items(text, is_int),
        DataType::ArrayDouble => all_items(text, is_number),
        DataType::ArrayString | DataType::ArrayFile => all_items(text, |item| item.starts_with('"')),
    };
    if fits {
        return Ok(());
    }
    Err(format!("The {what} '{}' must be of type {}, but got {}", field.name, field.data_type, kind_of(text)))
}

fn all_items(text: &str, fits: fn(&str) -> bool) -> bool {
    serde_json::from_str::<Vec<&RawValue>>(text).is_ok_and(|items| items.iter().all(|item| fits(item.get())))
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

fn is_int(text: &str) -> bool {
    is_number(text) && !text.contains(['.', 'e', 'E'])
}

fn kind_of(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "a dictionary",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a bool",
        _ if is_int(text) => "an int",
        _ => "a double",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    pub(super) fn fields(list: &[(&str, DataType)]) -> Vec<Field> {
        let field = |(name, data_type): &(&str, DataType)| Field {
            name: FieldName::try_from(*name).unwrap(),
            data_type: *data_type,
            widget: None,
        };
        list.iter().map(field).collect()
    }

    fn check(list: &[(&str, DataType)], body: &str) -> Result<(), String> {
        check_payload(&fields(list), body.as_bytes())
    }

    #[test]
    fn values_must_fit_their_types() {
        use DataType::*;
        for (data_type, good, bad) in [
            (Int, vec!["1", "-2", "null"], vec!["1.0", "\"1\"", "true", "1e3", "[]"]),
            (Double, vec!["1", "2.5", "1e3"], vec!["\"1\"", "false"]),
            (Bool, vec!["true", "false"], vec!["1", "\"true\""]),
            (String, vec!["\"x\""], vec!["1", "{}"]),
            (Dict, vec!["{}", "{\"a\":[1]}"], vec!["[]", "1"]),
            (ArrayInt, vec!["[]", "[1, 2]"], vec!["[1.5]", "[true]", "{}", "1"]),
            (ArrayDouble, vec!["[1, 2.5]"], vec!["[\"1\"]"]),
            (ArrayString, vec!["[\"a\"]"], vec!["[1]", "\"a\""]),
        ] {
            for value in good {
                assert_eq!(check(&[("x", data_type)], &format!("{{\"x\": {value}}}")), Ok(()), "{data_type} {value}");
            }
            for value in bad {
                assert!(check(&[("x", data_type)], &format!("{{\"x\": {value}}}")).is_err(), "{data_type} {value}");
            }
        }
    }

    #[test]
    fn refusals_name_the_field() {
        use DataType::*;
        let shape = [("x", Int), ("photo", File)];
        insta::assert_snapshot!(check(&shape, r#"{"x": 1.5}"#).unwrap_err(), @"The input field 'x' must be of type int, but got a double");
        insta::assert_snapshot!(check(&shape, r#"{}"#).unwrap_err(), @"The input field 'x' is missing");
        insta::assert_snapshot!(check(&shape, r#"{"x": 1, "y": 2}"#).unwrap_err(), @"The input field 'y' does not exist in this deployment");
        insta::assert_snapshot!(check(&shape, r#"[1]"#).unwrap_err(), @"The request data must be a dictionary of fields");
        insta::assert_snapshot!(check(&shape, r#"{"x": NaN}"#).unwrap_err(), @"The body is not valid JSON: expected value at line 1 column 7");
        assert_eq!(check(&shape, r#"{"x": null}"#), Ok(()));
        assert!(check(&shape, r#"{"x": 1, "x": 2}"#).is_err());
        assert!(check(&shape, r#"{"x": 1} {"#).is_err());
    }

    #[test]
    fn what_answers_show_can_be_sent_back() {
        let shown = FieldDetail::from(&fields(&[("x", DataType::Int)])[0]);
        let read: Field = serde_json::from_value(serde_json::to_value(shown).unwrap()).unwrap();
        assert_eq!(read.widget, None);
        let with: Field = serde_json::from_str(r#"{"name":"x","data_type":"int","widget":{"type":"slider"}}"#).unwrap();
        assert_eq!(with.widget.unwrap().kind, "slider");
        assert!(serde_json::from_str::<Field>(r#"{"name":"x","data_type":"int","colour":"red"}"#).is_err());
    }

    #[test]
    fn escaped_keys_are_the_keys_they_spell() {
        assert_eq!(check(&[("x", DataType::Int)], r#"{"\u0078": 1}"#), Ok(()));
    }

    #[test]
    fn deep_bodies_are_refused_not_followed() {
        let body = format!("{{\"x\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(check(&[("x", DataType::ArrayInt)], &body).is_err());
    }
}
