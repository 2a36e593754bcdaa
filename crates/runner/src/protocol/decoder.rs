//! Frames out of bytes as they arrive.

use bytes::BufMut;
use bytes::buf::Limit;

use super::messages::FromWorker;
use super::payload::Payload;
use super::{Broken, Maxima};

/// Bytes of the length and the kind.
const HEAD: usize = 5;
/// Bytes of the buffer that serves all small frames of a process.
const SMALL: usize = 64 << 10;
/// Bytes a large frame's own buffer starts with.
const FIRST: usize = 256 << 10;

/// Takes bytes, gives frames. Small frames are read out of one buffer that is never exchanged; a larger one gets a buffer of
/// its own, which grows as its bytes arrive and never past what its kind allows.
#[derive(Debug)]
pub struct Decoder {
    maxima: Maxima,
    small: Vec<u8>,
    /// Bytes of `small` that are read already.
    done: usize,
    large: Option<Large>,
}

#[derive(Debug)]
struct Large {
    kind: u8,
    need: usize,
    bytes: Vec<u8>,
}

impl Decoder {
    /// A decoder at the start of a connection.
    #[must_use]
    pub fn new(maxima: Maxima) -> Self {
        Self { maxima, small: Vec::with_capacity(SMALL), done: 0, large: None }
    }

    /// Where the next bytes are to be read into. Never empty once [`Decoder::next`] gave `None`.
    pub fn room(&mut self) -> Limit<&mut Vec<u8>> {
        if let Some(Large { need, bytes, .. }) = &mut self.large {
            if bytes.len() == bytes.capacity() {
                bytes.reserve_exact(bytes.len().max(FIRST).min(*need - bytes.len()));
            }
            let room = (*need).min(bytes.capacity()) - bytes.len();
            return bytes.limit(room);
        }
        self.small.drain(..self.done);
        self.done = 0;
        let room = SMALL - self.small.len();
        (&mut self.small).limit(room)
    }

    /// The next frame, if all of it is there. After an error the connection is of no more use.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: more may come after `None`")]
    pub fn next(&mut self) -> Result<Option<FromWorker>, Broken> {
        if let Some(large) = &self.large {
            if large.bytes.len() < large.need {
                return Ok(None);
            }
            let Some(Large { kind, bytes, .. }) = self.large.take() else { return Ok(None) };
            return Payload::Large(bytes.into()).read(kind).map(Some);
        }
        let here = &self.small[self.done..];
        let Some(head) = here.first_chunk::<HEAD>() else { return Ok(None) };
        let [a, b, c, d, kind] = *head;
        let payload = self.check(u32::from_be_bytes([a, b, c, d]) as usize, kind)?;
        if HEAD + payload > SMALL {
            self.begin_large(kind, payload);
            return Ok(None);
        }
        let Some(bytes) = here.get(HEAD..HEAD + payload) else { return Ok(None) };
        let frame = Payload::Small(bytes).read(kind)?;
        self.done += HEAD + payload;
        Ok(Some(frame))
    }

    /// True when a frame has begun and is not complete.
    #[must_use]
    pub fn in_the_middle(&self) -> bool {
        self.large.is_some() || self.done < self.small.len()
    }

    fn check(&self, length: usize, kind: u8) -> Result<usize, Broken> {
        let Some(payload) = length.checked_sub(1) else {
            return Err(Broken::new("a frame of length 0"));
        };
        match self.maxima.payload(kind) {
            None => Err(Broken::new(format!("a worker does not send frames of kind {kind:#04x}"))),
            Some(most) if payload > most => {
                Err(Broken::new(format!("a frame of kind {kind:#04x} has {payload} bytes, {most} are allowed")))
            }
            Some(_) => Ok(payload),
        }
    }

    /// Moves what is there of a large frame into a buffer of its own. That cannot be all of it, since it is larger than `small`.
    fn begin_large(&mut self, kind: u8, need: usize) {
        let mut bytes = Vec::with_capacity(need.min(FIRST));
        bytes.extend_from_slice(&self.small[self.done + HEAD..]);
        self.small.clear();
        self.done = 0;
        self.large = Some(Large { kind, need, bytes });
    }
}
