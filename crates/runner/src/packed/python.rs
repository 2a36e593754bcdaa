//! Text and numbers as Python's `json` writes them.

/// Text in quotes: only what must be escaped is, as with `ensure_ascii=False`.
pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    out.push(b'"');
    if rest.iter().fold(false, |found, byte| found | must_be_escaped(*byte)) {
        while let Some(at) = rest.iter().position(|byte| must_be_escaped(*byte)) {
            out.extend_from_slice(&rest[..at]);
            put_escape(rest[at], out);
            rest = &rest[at + 1..];
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn must_be_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn put_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        8 => b'b',
        12 => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digits[0], digits[1]]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// A finite float as `repr` has it: the shortest text that reads back as the same number; below 0.0001 and from 1e16 with an
/// exponent of two digits at least and with its sign.
pub(super) fn put_float(value: f64, out: &mut Vec<u8>) {
    let size = value.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        return out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, ""));
    let (mark, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
    let fill = if digits.len() < 2 { "0" } else { "" };
    for part in [mantissa, "e", mark, fill, digits] {
        out.extend_from_slice(part.as_bytes());
    }
}
