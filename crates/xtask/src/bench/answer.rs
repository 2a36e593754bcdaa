//! Reading an HTTP answer at the least cost: the head is searched once, then recognised by where things stood.

/// Where things stood in the last answer of this server: nearly always they stand there again.
#[derive(Debug, Default, Clone, Copy)]
pub struct Shape {
    head: usize,
    length: usize,
    proof: usize,
}

/// A complete answer at the start of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where its body begins.
    pub body: usize,
    /// Where it ends.
    pub end: usize,
    /// Status 200, and the proof stands in the body.
    pub good: bool,
}

const NAME: &[u8] = b"content-length:";
const BLANK: &[u8] = b"\r\n\r\n";

/// The answer at the start of `buffer`, or `None` while it is incomplete.
pub fn read(buffer: &[u8], proof: &[u8], shape: &mut Shape) -> Result<Option<Answer>, String> {
    if !shape.fits(buffer) && !shape.learn(buffer)? {
        return Ok(None);
    }
    let length = number(buffer.get(shape.length..).unwrap_or_default())?;
    let end = shape.head + length;
    let Some(body) = buffer.get(shape.head..end) else {
        return Ok(None);
    };
    let good = buffer.get(9..12) == Some(b"200") && shape.proves(body, proof);
    Ok(Some(Answer { body: shape.head, end, good }))
}

/// The number that follows `content-length:`.
fn number(text: &[u8]) -> Result<usize, String> {
    let digits = text.iter().skip_while(|b| **b == b' ').take_while(|b| b.is_ascii_digit());
    let mut value: usize = 0;
    for digit in digits {
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(usize::from(digit - b'0')))
            .ok_or("an answer states a content-length beyond all bounds")?;
    }
    Ok(value)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|w| w.eq_ignore_ascii_case(what))
}

impl Shape {
    fn fits(&self, buffer: &[u8]) -> bool {
        let blank = self.head.checked_sub(BLANK.len()).and_then(|at| buffer.get(at..self.head));
        let name = self.length.checked_sub(NAME.len()).and_then(|at| buffer.get(at..self.length));
        blank == Some(BLANK) && name.is_some_and(|n| n.eq_ignore_ascii_case(NAME))
    }

    /// Searches the head; false while it is incomplete.
    fn learn(&mut self, buffer: &[u8]) -> Result<bool, String> {
        let Some(blank) = find(buffer, BLANK) else {
            return Ok(false);
        };
        let head = &buffer[..blank];
        if !head.starts_with(b"HTTP/1.1 ") {
            return Err("the answer is not HTTP/1.1".into());
        }
        let Some(name) = find(head, NAME) else {
            return Err("the answer has no content-length, so the load generator cannot read it".into());
        };
        self.head = blank + BLANK.len();
        self.length = name + NAME.len();
        Ok(true)
    }

    fn proves(&mut self, body: &[u8], proof: &[u8]) -> bool {
        if body.get(self.proof..).is_some_and(|rest| rest.starts_with(proof)) {
            return true;
        }
        match find(body, proof) {
            Some(at) => {
                self.proof = at;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\ndate: x\r\n\r\n{\"y\":42}";

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let mut shape = Shape::default();
        for cut in 0..GOOD.len() {
            assert_eq!(read(&GOOD[..cut], b"\"y\":42", &mut shape), Ok(None), "cut at {cut}");
        }
        let answer = read(GOOD, b"\"y\":42", &mut shape).unwrap().unwrap();
        assert!(answer.good);
        assert_eq!((answer.end, answer.end - answer.body), (GOOD.len(), 8));
    }

    #[test]
    fn an_answer_of_another_shape_is_searched_again() {
        let mut shape = Shape::default();
        read(GOOD, b"\"y\":42", &mut shape).unwrap();
        let other = b"HTTP/1.1 200 OK\r\nserver: z\r\ncontent-length: 10\r\n\r\n{ \"y\":42 }";
        assert!(read(other, b"\"y\":42", &mut shape).unwrap().unwrap().good);
        assert!(read(GOOD, b"\"y\":42", &mut shape).unwrap().unwrap().good);
    }

    #[test]
    fn another_status_or_another_body_is_not_good() {
        let mut shape = Shape::default();
        let failed = b"HTTP/1.1 500 No\r\ncontent-length: 8\r\n\r\n{\"y\":42}";
        assert!(!read(failed, b"\"y\":42", &mut shape).unwrap().unwrap().good);
        assert!(!read(GOOD, b"\"success\":true", &mut shape).unwrap().unwrap().good);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(read(chunked, b"", &mut Shape::default()).unwrap_err().contains("content-length"));
        assert!(read(b"junk\r\n\r\n", b"", &mut Shape::default()).unwrap_err().contains("HTTP/1.1"));
    }
}
