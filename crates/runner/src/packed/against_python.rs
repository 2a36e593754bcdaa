//! The differential test: Python's own `json` and the worker's encoder against what goes through here.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{pack, unpack};

const MOST: usize = 512 << 20;

/// For each line, a command and hexadecimal data, it answers with a line.
const PYTHON: &str = r#"
import json, marshal, sys
sys.path.insert(0, sys.argv[1])
from modelyard_worker import packed
from modelyard_worker.codec import make_encode

encode = make_encode(repr)
packed.LEAST, packed.LEAST_TEXT = -10**9, 0
pack = packed.packer({"x": "array_int", "y": "array_double"})

def same(text, body):
    try:
        wanted = json.loads(text)
    except Exception as error:
        return "json: %s" % error
    return "same" if repr(marshal.loads(body)) == repr(wanted) else "%r is not %r" % (marshal.loads(body), wanted)

for line in sys.stdin:
    words = [bytes.fromhex(word) for word in line.split(",")]
    if len(words) == 2:
        print(ascii(same(*words)))
    else:
        value = json.loads(words[0])
        try:
            text = "".join(encode(value, 0)).encode()
        except ValueError:
            text = b""
        print(b"".join(pack(value)).hex() + "," + text.hex())
    sys.stdout.flush()
"#;

/// Whether the text was packed, if nothing is wrong.
type Answer = Result<bool, TestCaseError>;

struct Python {
    process: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    fn new() -> Self {
        let worker = concat!(env!("CARGO_MANIFEST_DIR"), "/../../worker");
        let mut process = Command::new("python3")
            .args(["-c", PYTHON, worker])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (asks, answers) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, asks, answers }
    }

    fn ask(&mut self, line: &str) -> String {
        writeln!(self.asks, "{line}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    /// Whether Python reads the same out of a text and its packed form, if it has one.
    fn reads_the_same(&mut self, text: &str) -> Answer {
        let Some(body) = pack(text.as_bytes()) else { return Ok(false) };
        let answer = self.ask(&format!("{},{}", hex::encode(text), hex::encode(body)));
        prop_assert_eq!(answer, "'same'", "{}", text);
        Ok(true)
    }

    /// Whether what a worker packs becomes the text it would have written, if it packs it.
    fn writes_the_same(&mut self, text: &str) -> Answer {
        let answer = self.ask(&hex::encode(text));
        let (body, wanted) = answer.split_once(',').unwrap();
        if body.is_empty() {
            return Ok(false);
        }
        let found = unpack(&hex::decode(body).unwrap(), MOST);
        let found = found.map(|text| String::from_utf8(text).unwrap()).map_err(|cause| cause.to_string());
        prop_assert_eq!(found, Ok(String::from_utf8(hex::decode(wanted).unwrap()).unwrap()));
        Ok(true)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn any_number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i32>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<i128>().prop_map(|value| (value >> 8).to_string()),
        any::<i128>().prop_map(|value| value.to_string()),
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(|value| format!("{value:?}")),
        any::<f32>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| format!("{value:e}")),
        (any::<i32>(), -30..30).prop_map(|(value, exponent)| format!("{value}e{exponent}")),
        (0..10_000_000_i64, 0..10_000_i64).prop_map(|(whole, rest)| format!("{whole}.{rest}")),
        "-?[1-9][0-9]{0,40}(\\.[0-9]{1,30})?(e-?[0-9]{1,3})?",
        prop::sample::select(vec![
            "0",
            "-0",
            "0.0",
            "-0.0",
            "1e16",
            "1e-4",
            "9999999999999998.0",
            "0.00001",
            "1e400",
            "5e-324",
            "1e22",
            "1e23"
        ])
        .prop_map(str::to_owned),
    ]
}

fn any_string() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"[a-zé€😀 ]{0,300}\"",
        prop::sample::select(vec![r#""\ud83d\ude00""#, r#""\ud800""#, r#""\u0000\u001f""#, r#""\/\b""#])
            .prop_map(str::to_owned),
    ]
}

/// JSON text; keys repeat.
fn any_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => any_number(),
        2 => any_string(),
        1 => prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        let key = prop_oneof!["\"[a-c]\"", any_string()];
        let entry = (key, inner.clone()).prop_map(|(key, value)| format!("{key}: {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec(entry, 0..6).prop_map(|entries| format!("{{{}}}", entries.join(",\n"))),
        ]
    })
}

/// Puts so many random texts to the question; says how many were packed.
fn ask(cases: u32, texts: &impl Strategy<Value = String>, question: fn(&mut Python, &str) -> Answer) -> u32 {
    let (python, packed) = (RefCell::new(Python::new()), Cell::new(0));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let asked = TestRunner::new(config).run(texts, |text| {
        let is_packed = question(&mut python.borrow_mut(), &text)?;
        packed.set(packed.get() + u32::from(is_packed));
        Ok(())
    });
    asked.unwrap();
    packed.get()
}

#[test]
fn python_reads_packed_what_it_reads_as_json() {
    let packed = ask(3000, &any_text(), Python::reads_the_same);
    assert!(packed > 1000, "only {packed} were packed");
}

#[test]
fn what_python_packs_becomes_the_text_it_would_have_written() {
    let texts = any_text().prop_map(|any| format!(r#"{{"z": {any}}}"#));
    let packed = ask(1500, &texts, Python::writes_the_same);
    assert!(packed > 500, "only {packed} were packed");
}

#[test]
fn what_python_packs_of_numbers_becomes_the_text_it_would_have_written() {
    let ints = prop_oneof![
        3 => any::<i32>().prop_map(i128::from),
        1 => any::<i128>().prop_map(|value| value >> 8),
        1 => any::<i128>().prop_map(|value| value >> 70),
    ];
    let ints = prop::collection::vec(ints, 0..40).prop_map(|items| format!("{items:?}"));
    let numbers = prop::collection::vec(any_number(), 0..40).prop_map(|items| items.join(","));
    let texts = (ints, numbers).prop_map(|(ints, numbers)| format!(r#"{{"x": {ints}, "y": [{numbers}]}}"#));
    let packed = ask(500, &texts, Python::writes_the_same);
    assert!(packed > 20, "only {packed} were packed");
}

#[test]
fn floats_have_the_text_of_repr() {
    let floats = prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 1..200).prop_map(|values| {
        let near = |value: f64| [value.rem_euclid(1e18), value.abs().sqrt().sqrt().sqrt().sqrt(), value % 1e300];
        let values = values.into_iter().flat_map(near).filter(|value| value.is_finite());
        format!(r#"{{"y": [{}]}}"#, values.map(|value| format!("{value:?}")).collect::<Vec<_>>().join(","))
    });
    let packed = ask(200, &floats, Python::writes_the_same);
    assert!(packed > 150, "only {packed} were packed");
}

#[test]
fn every_magnitude_has_the_text_of_repr() {
    let mut python = Python::new();
    for exponent in -323..300 {
        for digits in ["1", "-1.5", "9.999999999999998"] {
            let text = format!(r#"{{"y": [{digits}e{exponent}]}}"#);
            assert!(python.writes_the_same(&text).unwrap(), "{text}");
        }
    }
}
