//! The words of a JSON text, strictly as RFC 8259 has them: for going through a large text once, without building values.

use std::borrow::Cow;

use memchr::memchr2;

/// A number as its text says it: one without fraction and exponent is an integer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer.
    Int(i128),
    /// A finite float, correctly rounded.
    Float(f64),
}

/// More digits than these are left to others; `i128` holds them safely.
const MAX_DIGITS: usize = 36;

/// The powers of ten that a float holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// A text, and how far it is read. Every function that takes something gives nothing when that is not what comes next;
/// then the scanner is of no more use.
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

/// A number's text, as it goes by.
struct Digits {
    negative: bool,
    /// The digits as one integer, if they are few enough.
    all: Option<u64>,
    whole: usize,
    fraction: usize,
    exponent: bool,
}

impl Digits {
    fn is_int(&self) -> bool {
        self.fraction == 0 && !self.exponent
    }

    /// The float, where one division gives it as exactly as any way would.
    fn simple_float(&self) -> Option<f64> {
        let all = self.all.filter(|all| *all <= 1 << 53 && !self.exponent)?;
        let value = all as f64 / POWERS.get(self.fraction)?;
        Some(if self.negative { -value } else { value })
    }
}

impl<'a> Scanner<'a> {
    /// `None` when it is not UTF-8.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Option<Self> {
        std::str::from_utf8(text).ok().map(|_| Self { text, at: 0 })
    }

    /// The next byte that is no white space; it is not taken.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes the byte, after white space.
    pub fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Takes the word.
    pub fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    /// Takes a number; none if it is infinite as a float, or an integer of very many digits.
    pub fn number(&mut self) -> Option<Number> {
        let from = self.at;
        let digits = self.digits()?;
        if !digits.is_int() {
            let parsed = || self.text_from(from)?.parse().ok().filter(|value: &f64| value.is_finite());
            return digits.simple_float().or_else(parsed).map(Number::Float);
        }
        match digits.all {
            Some(all) if digits.negative => Some(Number::Int(-i128::from(all))),
            Some(all) => Some(Number::Int(all.into())),
            None if digits.whole <= MAX_DIGITS => self.text_from(from)?.parse().ok().map(Number::Int),
            None => None,
        }
    }

    /// Takes a number of any size; says whether it is an integer.
    pub fn skip_number(&mut self) -> Option<bool> {
        self.digits().map(|digits| digits.is_int())
    }

    fn text_from(&self, from: usize) -> Option<&'a str> {
        std::str::from_utf8(&self.text[from..self.at]).ok()
    }

    fn digits(&mut self) -> Option<Digits> {
        let negative = self.text.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let mut all = 0;
        let whole = self.run_of_digits(&mut all)?;
        if whole > 1 && self.text[self.at - whole] == b'0' {
            return None;
        }
        let mut fraction = 0;
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            fraction = self.run_of_digits(&mut all)?;
        }
        let exponent = matches!(self.text.get(self.at), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            self.run_of_digits(&mut 0)?;
        }
        let all = (whole + fraction <= 18).then_some(all);
        Some(Digits { negative, all, whole, fraction, exponent })
    }

    /// Takes digits and says how many, at least one. The sum is right while they are no more than 18.
    fn run_of_digits(&mut self, sum: &mut u64) -> Option<usize> {
        let from = self.at;
        while let Some(digit) = self.text.get(self.at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            *sum = sum.wrapping_mul(10).wrapping_add(digit.into());
            self.at += 1;
        }
        (self.at > from).then(|| self.at - from)
    }

    /// Takes a string; none if it holds a lone surrogate.
    pub fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        self.take(b'"')?;
        let plain = self.plain()?;
        if self.text[self.at] == b'"' {
            self.at += 1;
            return Some(Cow::Borrowed(plain));
        }
        let mut whole = plain.to_vec();
        while self.text[self.at] == b'\\' {
            self.at += 1;
            self.escape(&mut whole)?;
            whole.extend_from_slice(self.plain()?);
        }
        self.at += 1;
        Some(Cow::Owned(whole))
    }

    /// Takes a string, of which nothing is wanted.
    pub fn skip_string(&mut self) -> Option<()> {
        self.take(b'"')?;
        self.plain()?;
        while self.text[self.at] == b'\\' {
            self.at += 1;
            match self.text.get(self.at)? {
                b'u' => drop(self.unit_after(1)?),
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                _ => return None,
            }
            self.plain()?;
        }
        self.at += 1;
        Some(())
    }

    /// Takes what stands before the next quote or backslash; none where the text ends first, or at a control character.
    fn plain(&mut self) -> Option<&'a [u8]> {
        let rest = &self.text[self.at..];
        let plain = &rest[..memchr2(b'"', b'\\', rest)?];
        self.at += plain.len();
        // All of it, because that is done many bytes at a time.
        let controls = plain.iter().fold(false, |found, byte| found | (*byte < 0x20));
        (!controls).then_some(plain)
    }

    /// Takes what follows a backslash.
    fn escape(&mut self, into: &mut Vec<u8>) -> Option<()> {
        let byte = *self.text.get(self.at)?;
        into.push(match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let found = self.escaped_char()?;
                into.extend_from_slice(found.encode_utf8(&mut [0; 4]).as_bytes());
                return Some(());
            }
            _ => return None,
        });
        self.at += 1;
        Some(())
    }

    /// Takes one unit of UTF-16, or two that belong together.
    fn escaped_char(&mut self) -> Option<char> {
        let first = self.unit_after(1)?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first.into());
        }
        if !self.text[self.at..].starts_with(b"\\u") {
            return None;
        }
        let second = self.unit_after(2)?;
        char::decode_utf16([first, second]).next()?.ok()
    }

    /// Takes four hexadecimal digits behind so many bytes.
    fn unit_after(&mut self, skip: usize) -> Option<u16> {
        let digits = self.text.get(self.at + skip..self.at + skip + 4)?;
        self.at += skip + 4;
        let value = |digit: &u8| char::from(*digit).to_digit(16);
        digits.iter().try_fold(0, |sum: u16, digit| Some(sum << 4 | u16::try_from(value(digit)?).ok()?))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<Number> {
        let mut scanner = Scanner::new(text.as_bytes()).unwrap();
        scanner.number().filter(|_| scanner.peek().is_none())
    }

    fn string(text: &str) -> Option<String> {
        let mut scanner = Scanner::new(text.as_bytes()).unwrap();
        let read = scanner.string().filter(|_| scanner.peek().is_none());
        let mut scanner = Scanner::new(text.as_bytes()).unwrap();
        let skipped = scanner.skip_string().filter(|()| scanner.peek().is_none());
        assert!(read.is_none() || skipped.is_some(), "{text} is read but not skipped");
        read.map(|read| String::from_utf8(read.into_owned()).unwrap())
    }

    #[test]
    fn numbers_are_what_they_say() {
        for (text, int) in [("0", 0), ("-0", 0), ("-17", -17), ("999999999999999999", 999_999_999_999_999_999)] {
            assert_eq!(number(text), Some(Number::Int(int)), "{text}");
        }
        assert_eq!(
            number("123456789012345678901234567890123456"),
            Some(Number::Int(123_456_789_012_345_678_901_234_567_890_123_456))
        );
        for text in [
            "0.1",
            "-0.0",
            "1e5",
            "1E-7",
            "123456789.12345678901234567890",
            "5e-324",
            "9007199254740993.0",
            "0.30000000000000004",
        ] {
            let Some(Number::Float(value)) = number(text) else { panic!("{text}") };
            assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
        for text in
            ["", "-", "01", "-01", "1.", ".5", "1e", "1e+", "+1", "0x1", "1e999", "-1e999", "NaN", &"9".repeat(37)]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn strings_are_what_they_spell() {
        for (text, spells) in
            [(r#""""#, ""), (r#""aé\n\u00e9\"\/""#, "aé\né\"/"), (r#""\ud83d\ude00!""#, "😀!"), (r#""\u0000""#, "\0")]
        {
            assert_eq!(string(text).as_deref(), Some(spells), "{text}");
        }
        for text in [
            r#"""#,
            r#""\"#,
            r#""\x""#,
            r#""\u12""#,
            r#""\u12g4""#,
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            r#""\ud800\u0041""#,
            "\"\n\"",
            "\"\\u\"",
        ] {
            assert_eq!(string(text), None, "{text}");
        }
    }
}
