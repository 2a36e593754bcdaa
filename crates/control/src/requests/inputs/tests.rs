//! What is let in is JSON of the right shape, and what is refused is told in a sentence. Results alike.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;

use modelyard_types::DeploymentId;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::requests::outputs;

fn deployment(kind: PayloadType, data_type: &str) -> DeploymentSnapshot {
    let fields: Vec<modelyard_types::fields::Field> = match kind {
        PayloadType::Plain => Vec::new(),
        PayloadType::Structured => crate::testing::of(json!([{"name": "x", "data_type": data_type}])),
    };
    let files = fields.iter().any(|field| field.data_type.is_file());
    DeploymentSnapshot {
        id: DeploymentId::new(),
        name: "d".into(),
        input_type: kind,
        output_type: kind,
        input_fields: fields.clone(),
        output_fields: fields,
        has_input_files: files,
        has_output_files: files,
        default_version: None,
        versions: HashMap::new(),
    }
}

fn structured() -> DeploymentSnapshot {
    deployment(PayloadType::Structured, "int")
}

fn plain() -> DeploymentSnapshot {
    deployment(PayloadType::Plain, "")
}

fn flags(on: &DeploymentSnapshot, body: &str, text: bool) -> Result<u8, String> {
    check(on, Bytes::copy_from_slice(body.as_bytes()), text).map(|(_, flags)| flags).map_err(|error| error.to_string())
}

#[test]
fn what_passes_is_marked_for_the_worker() {
    assert_eq!(flags(&structured(), r#"{"x": 1}"#, false), Ok(0));
    assert_eq!(flags(&structured(), r#" [{"x": 1}, {"x": 2}]"#, false), Ok(LIST));
    assert_eq!(flags(&plain(), "say", true), Ok(TEXT));
    assert_eq!(flags(&plain(), r#""say""#, false), Ok(0));
    assert_eq!(flags(&plain(), r#"["a", "b"]"#, false), Ok(LIST));
    assert_eq!(flags(&plain(), r#"{"a": 1}"#, false), Ok(TEXT));
    assert_eq!(flags(&deployment(PayloadType::Structured, "file"), r#"{"x": null}"#, false), Ok(0));
}

#[test]
fn what_is_refused_is_told() {
    let many = format!("[{}]", vec![r#"{"x":1}"#; 251].join(","));
    let told = [
        (structured(), "", false),
        (structured(), "[]", false),
        (structured(), r#"[{"x": 1}, {"x": "no"}]"#, false),
        (structured(), many.as_str(), false),
        (plain(), r#"["a", 1]"#, false),
        (plain(), "[]", false),
        (plain(), "", false),
        (deployment(PayloadType::Structured, "file"), r#"{"x": "default/a"}"#, false),
    ]
    .map(|(on, body, text)| flags(&on, body, text).unwrap_err());
    for sentence in &told {
        assert!(sentence.starts_with(char::is_uppercase) && sentence.len() > 15, "{sentence}");
    }
    assert!(told[2].starts_with("Item 1: "), "{}", told[2]);
}

#[test]
fn bytes_that_are_not_utf8_are_refused_everywhere() {
    let body = Bytes::from_static(b"{\"x\": \"\xff\"}");
    assert!(check(&deployment(PayloadType::Structured, "string"), body.clone(), false).is_err());
    assert!(check(&plain(), body.clone(), false).is_err());
    assert!(check(&plain(), body.clone(), true).is_err());
    assert!(outputs::check(&deployment(PayloadType::Structured, "string"), body.clone()).is_err());
    assert!(outputs::check(&plain(), body).is_err());
}

#[test]
fn results_are_checked_whatever_the_worker_said() {
    let result = |on: &DeploymentSnapshot, body: &str| outputs::check(on, Bytes::copy_from_slice(body.as_bytes()));
    for good in [r#"{"x": 1}"#, r#"[{"x": 1}]"#, r#" [{"x": 1}]"#, "[]"] {
        assert!(result(&structured(), good).is_ok(), "{good}");
    }
    for bad in ["", "nonsense", r#"{"x": 1"#, r#"[{"x": "no"}]"#, r#"{"x": 1} trailing"#, "NaN"] {
        assert!(result(&structured(), bad).is_err(), "{bad}");
    }
    assert!(result(&structured(), &"[".repeat(100_000)).is_err());
    assert!(result(&plain(), &"[".repeat(100_000)).is_err());
    assert!(result(&plain(), "3.5").is_ok());
}

#[test]
fn packed_results_are_checked_as_any_other() {
    let on = deployment(PayloadType::Structured, "int");
    let result = |body: &[u8]| outputs::check_packed(&on, body).map(|text| String::from_utf8(text.to_vec()).unwrap());
    assert_eq!(result(b"{u\x01\0\0\0xi\x07\0\0\x000").as_deref(), Ok(r#"{"x":7}"#));
    let other = result(b"{u\x01\0\0\0xg\0\0\0\0\0\0\0\x000").unwrap_err();
    assert_eq!(other, "The output field 'x' must be of type int, but got a double");
    assert_eq!(result(b"{u\x01\0\0\0yN0").unwrap_err(), "The output field 'y' does not exist in this deployment");
    assert_eq!(result(b"{NN0").unwrap_err(), "The worker process answered something that is not JSON");
    assert_eq!(result(&b"[\x01\0\0\0".repeat(500)).unwrap_err(), "The result is nested too deep");
}

#[test]
fn only_large_json_is_packed() {
    let numbers = Bytes::from(format!("[{}]", ["1"; 2000].join(",")));
    assert_eq!(packed(&numbers, LIST).unwrap().1, LIST | PACKED);
    assert_eq!(packed(&numbers, TEXT), None);
    assert_eq!(packed(&numbers.slice(..100), 0), None);
}

proptest! {
    /// What is kept and shown again is valid JSON, or text; nothing makes the checks panic.
    #[test]
    fn whatever_comes_in_is_judged(body in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        "[\\[\\]{}\",:x1e\\\\ -]{0,40}".prop_map(String::into_bytes),
    ], text: bool) {
        let body = Bytes::from(body);
        for on in [structured(), plain(), deployment(PayloadType::Structured, "dict")] {
            if let Ok((taken, flags)) = check(&on, body.clone(), text) {
                prop_assert_eq!(&taken, &body);
                prop_assert!(std::str::from_utf8(&taken).is_ok());
                prop_assert!(flags & TEXT != 0 || serde_json::from_slice::<&RawValue>(&taken).is_ok());
            }
            if let Ok(taken) = outputs::check(&on, body.clone()) {
                prop_assert!(serde_json::from_slice::<&RawValue>(&taken).is_ok());
            }
        }
    }
}
