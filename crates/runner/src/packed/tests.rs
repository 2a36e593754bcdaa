//! What is packed, what is not, and what forged bytes come to.
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

const MOST: usize = 512 << 20;

#[test]
fn what_gains_nothing_stays_json() {
    let words = |count: usize| format!("[{}]", vec![r#""word""#; count].join(","));
    assert_eq!(pack(words(3).as_bytes()), None);
    assert_eq!(pack(words(100_000).as_bytes()), None);
    assert!(pack(format!("[{},{}]", words(3), "1,2,3,4").as_bytes()).is_some());
    assert!(pack(format!("\"{}\"", "x".repeat(1000)).as_bytes()).is_some());
}

#[test]
fn what_is_no_json_is_never_packed() {
    for text in [
        "",
        "[1",
        "[1,]",
        "[1 2]",
        "{\"a\" 1}",
        "{\"a\":1,}",
        "{1:1}",
        "[1]]",
        "1 2",
        "nul",
        "NaN",
        "[Infinity]",
        "\u{feff}1",
        "[\"\\ud800\"]",
        "'a'",
    ] {
        assert_eq!(pack(text.as_bytes()), None, "{text}");
    }
    assert_eq!(pack(b"[1,\"\xff\"]"), None);
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    assert!(pack(nested(129).as_bytes()).is_some());
    assert_eq!(pack(nested(130).as_bytes()), None);
    assert_eq!(pack(nested(1_000_000).as_bytes()), None);
}

#[test]
fn forged_bytes_are_refused() {
    use Unpackable::*;
    let deep = |levels: usize| [b"(\x01\0\0\0".repeat(levels), b"N".to_vec()].concat();
    assert_eq!(unpack(&deep(128), MOST).unwrap().len(), 2 * 128 + 4);
    for (bytes, refusal) in [
        (&b""[..], Malformed),
        (b"NN", Malformed),
        (b"i\0\0\0", Malformed),
        (b"[\xff\xff\xff\xff", Malformed),
        (b"[\xff\xff\xff\x7f", Malformed),
        (b"[\x02\0\0\0N", Malformed),
        (b"u\x05\0\0\0abc", Malformed),
        (b"u\x01\0\0\0\xff", Malformed),
        // A lone surrogate, as `marshal` lets it pass.
        (b"u\x03\0\0\0\xed\xa0\x80", Malformed),
        (b"{i\x01\0\0\0N0", Malformed),
        (b"{u\x01\0\0\0a", Malformed),
        (b"{u\x01\0\0\0a0", Malformed),
        (b"{NN0", Malformed),
        (b"0", Malformed),
        (b"g\0\0\0\0\0\0\xf8\x7f", Malformed),
        (b"g\0\0\0\0\0\0\xf0\xff", Malformed),
        (b"l\x09\0\0\0\x01\0\x01\0\x01\0\x01\0\x01\0\x01\0\x01\0\x01\0\x01\0", Malformed),
        (b"l\0\0\0\x80", Malformed),
        (b"l\x01\0\0\0\xff\xff", Malformed),
        // References, and types that JSON lacks.
        (b"[\x02\0\0\0\xe9\x01\0\0\0r\0\0\0\0", Malformed),
        (b"r\0\0\0\0", Malformed),
        (b"s\x01\0\0\0a", Malformed),
        (b"<\0\0\0\0", Malformed),
        (b".", Malformed),
        (b"c\0\0\0\0", Malformed),
        (&deep(129), TooDeep),
        (&deep(1_000_000), TooDeep),
    ] {
        assert_eq!(unpack(bytes, MOST), Err(refusal), "{:?}", bytes.iter().take(30).collect::<Vec<_>>());
    }
}

#[test]
fn the_text_is_bounded_whatever_the_bytes_are() {
    let smallest = [&b"[\xe8\x03\0\0"[..], &b"g\xff\xff\xff\xff\xff\xff\xef\xff".repeat(1000)].concat();
    let text = unpack(&smallest, MOST).unwrap();
    assert_eq!(unpack(&smallest, text.len()), Ok(text.clone()));
    assert_eq!(unpack(&smallest, text.len() - 1), Err(Unpackable::TooLarge));
    let controls = [&b"u\xe8\x03\0\0"[..], &[1; 1000]].concat();
    assert_eq!(unpack(&controls, 6001), Err(Unpackable::TooLarge));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes_are_refused_or_are_json(bytes in prop::collection::vec(prop_oneof![
        prop::sample::select(b"[({uNTFigl0\0\0\0\0\0\x01\x02".to_vec()), any::<u8>()
    ], 0..60)) {
        if let Ok(text) = unpack(&bytes, MOST) {
            prop_assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&text).is_ok());
        }
    }

    #[test]
    fn any_text_is_refused_or_packed(text in ".{0,40}|[\\[\\]{}\",:0-9a-z.\\\\ -]{0,40}") {
        if pack(text.as_bytes()).is_some() {
            prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok(), "{text}");
        }
    }
}
