//! Tickets: what a signed address carries. Whoever shows one may do one thing to one file until it expires.
//!
//! A ticket is its content and an HMAC-SHA256 over it, in the alphabet of URLs. It holds all that it allows, so that it needs no
//! row, and pins no header. Keys are derived from those of the installation: the first signs, all are accepted, so that a
//! ticket outlives the change of a key as long as the old one stays in the key file.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use modelyard_types::files::FileName;
use modelyard_types::{ContainerId, Error, FileId, Result, TicketId, Timestamp};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

/// How long addresses are good for.
pub(crate) const VALID: Duration = Duration::from_secs(3600);
/// The form of the content.
const VERSION: u8 = 1;
/// What signs at the end of a ticket.
const SEAL: usize = 32;
/// The longest ticket worth a look.
const MAX_TICKET: usize = 4096;

const GET: u8 = 0;
const PUT: u8 = 1;
const PUT_PART: u8 = 2;

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read the file, whatever it is by then.
    Get,
    /// Write the file, once.
    Put,
    /// Send a part of an upload, as often as one likes.
    PutPart {
        /// The upload.
        upload: FileId,
        /// The number of the part.
        number: i64,
    },
}

/// What a ticket allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Names the ticket.
    pub id: TicketId,
    /// What may be done.
    pub action: Action,
    /// Where the file is.
    pub container: ContainerId,
    /// What it is called.
    pub name: FileName,
    /// How many bytes may be sent.
    pub limit: u64,
    /// Until when.
    pub expires_at: Timestamp,
}

/// The keys that tickets are signed with.
pub struct Signer(Vec<Zeroizing<[u8; 32]>>);

impl Signer {
    /// Derived from the keys of the installation, in their order.
    pub(crate) fn new(keys: Vec<Zeroizing<[u8; 32]>>) -> Self {
        Self(keys)
    }

    fn mac(key: &[u8; 32]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        Hmac::<Sha256>::new_from_slice(key).expect("32 bytes are a key")
    }

    /// Signs some content.
    fn seal(&self, content: &[u8]) -> Result<String> {
        let key = self.0.first().ok_or_else(|| Error::Internal("the installation has no key".into()))?;
        let seal = Self::mac(key).chain_update(content).finalize().into_bytes();
        Ok(URL_SAFE_NO_PAD.encode([content, &seal].concat()))
    }

    /// The content that was signed; nothing when it was not by us. Takes as long whatever is wrong with the seal.
    fn open(&self, text: &str) -> Option<Vec<u8>> {
        let mut bytes = URL_SAFE_NO_PAD.decode(text.get(..MAX_TICKET).unwrap_or(text)).ok()?;
        let seal = bytes.split_off(bytes.len().checked_sub(SEAL)?);
        let ours = self.0.iter().any(|key| Self::mac(key).chain_update(&bytes).verify_slice(&seal).is_ok());
        ours.then_some(bytes)
    }

    /// Signs a grant.
    pub(crate) fn sign(&self, grant: &Grant) -> Result<String> {
        self.seal(&grant.written())
    }

    /// What a ticket allows, if it is ours and not over.
    pub fn check(&self, ticket: &str, now: Timestamp) -> Result<Grant> {
        let forged = || Error::Unsigned("This address was not signed by this installation, or was changed".into());
        let grant = self.open(ticket).and_then(|content| Grant::read(&content)).ok_or_else(forged)?;
        if grant.expires_at <= now {
            return Err(Error::Unsigned("This address has expired; ask for a new one".into()));
        }
        Ok(grant)
    }

    /// Signs where a list goes on, for that list alone.
    pub(crate) fn sign_place(&self, list: &[u8], place: &str) -> Result<String> {
        self.seal(&place_in(list, place))
    }

    /// Where a list goes on; nothing when the token is not of this list.
    pub(crate) fn place(&self, list: &[u8], token: &str) -> Option<String> {
        let content = self.open(token)?;
        let place = content.strip_prefix(place_in(list, "").as_slice())?;
        String::from_utf8(place.to_vec()).ok()
    }
}

/// A token is told from a ticket by its first byte, and one list from another by its hash.
fn place_in(list: &[u8], place: &str) -> Vec<u8> {
    use sha2::Digest;
    [&[0xFF], &Sha256::digest(list)[..16], place.as_bytes()].concat()
}

impl Grant {
    /// A fresh grant, good from now on.
    pub(crate) fn new(action: Action, container: ContainerId, name: FileName, limit: u64) -> Self {
        let expires_at = Timestamp::now().plus(VALID);
        Self { id: TicketId::new(), action, container, name, limit, expires_at }
    }

    fn written(&self) -> Vec<u8> {
        let (kind, upload, number) = match self.action {
            Action::Get => (GET, Uuid::nil(), 0),
            Action::Put => (PUT, Uuid::nil(), 0),
            Action::PutPart { upload, number } => (PUT_PART, upload.0, number),
        };
        let mut content = vec![VERSION, kind];
        content.extend_from_slice(self.id.0.as_bytes());
        content.extend_from_slice(self.container.0.as_bytes());
        content.extend_from_slice(upload.as_bytes());
        content.extend_from_slice(&number.to_be_bytes());
        content.extend_from_slice(&self.limit.to_be_bytes());
        content.extend_from_slice(&self.expires_at.0.to_be_bytes());
        content.extend_from_slice(self.name.as_str().as_bytes());
        content
    }

    fn read(content: &[u8]) -> Option<Self> {
        let (&[version, kind], rest) = content.split_first_chunk::<2>()?;
        let mut rest = rest;
        let mut id = || {
            let (bytes, more) = rest.split_first_chunk::<16>()?;
            rest = more;
            Some(Uuid::from_bytes(*bytes))
        };
        let (ticket, container, upload) = (id()?, id()?, id()?);
        let mut number = || {
            let (bytes, more) = rest.split_first_chunk::<8>()?;
            rest = more;
            Some(i64::from_be_bytes(*bytes))
        };
        let (part, limit, expires_at) = (number()?, number()?, number()?);
        let action = match kind {
            GET => Action::Get,
            PUT => Action::Put,
            PUT_PART => Action::PutPart { upload: FileId(upload), number: part },
            _ => return None,
        };
        (version == VERSION).then_some(())?;
        Some(Self {
            id: TicketId(ticket),
            action,
            container: ContainerId(container),
            name: FileName::parse(std::str::from_utf8(rest).ok()?).ok()?,
            limit: limit.cast_unsigned(),
            expires_at: Timestamp(expires_at),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signer(keys: &[u8]) -> Signer {
        Signer::new(keys.iter().map(|key| Zeroizing::new([*key; 32])).collect())
    }

    fn grant(action: Action) -> Grant {
        Grant::new(action, ContainerId::new(), FileName::parse("a b/ü.txt").unwrap(), 7)
    }

    #[test]
    fn a_ticket_tells_what_it_was_signed_for() {
        let signer = signer(&[1]);
        for action in [Action::Get, Action::Put, Action::PutPart { upload: FileId::new(), number: 10_000 }] {
            let grant = grant(action);
            let ticket = signer.sign(&grant).unwrap();
            assert!(ticket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
            assert_eq!(signer.check(&ticket, Timestamp::now()).unwrap(), grant);
        }
    }

    #[test]
    fn a_ticket_expires() {
        let (signer, grant) = (signer(&[1]), grant(Action::Get));
        let ticket = signer.sign(&grant).unwrap();
        assert!(signer.check(&ticket, Timestamp(grant.expires_at.0 - 1)).is_ok());
        let late = signer.check(&ticket, grant.expires_at).unwrap_err();
        assert_eq!(late.to_string(), "This address has expired; ask for a new one");
    }

    #[test]
    fn keys_can_be_replaced() {
        let ticket = signer(&[1]).sign(&grant(Action::Get)).unwrap();
        assert!(signer(&[2, 1]).check(&ticket, Timestamp::now()).is_ok());
        assert!(signer(&[2]).check(&ticket, Timestamp::now()).is_err());
    }

    #[test]
    fn no_bit_of_a_ticket_can_be_changed() {
        let signer = signer(&[1]);
        let ticket = signer.sign(&grant(Action::Put)).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&ticket).unwrap();
        for at in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[at / 8] ^= 1 << (at % 8);
            assert!(signer.check(&URL_SAFE_NO_PAD.encode(forged), Timestamp::now()).is_err(), "bit {at}");
        }
        assert!(signer.check(&format!("{ticket}A"), Timestamp::now()).is_err());
        assert!(signer.check(&ticket[..ticket.len() - 1], Timestamp::now()).is_err());
    }

    #[test]
    fn a_token_belongs_to_its_list_and_is_no_ticket() {
        let signer = signer(&[1]);
        let token = signer.sign_place(b"list", "b").unwrap();
        assert_eq!(signer.place(b"list", &token).as_deref(), Some("b"));
        assert_eq!(signer.place(b"another", &token), None);
        assert_eq!(signer.place(b"list", &signer.sign(&grant(Action::Get)).unwrap()), None);
        assert!(signer.check(&token, Timestamp::now()).is_err());
    }

    proptest! {
        #[test]
        fn what_nobody_signed_is_refused(text in "[A-Za-z0-9_-]{0,300}|\\PC{0,50}") {
            let signer = signer(&[1]);
            prop_assert!(signer.check(&text, Timestamp::now()).is_err());
            prop_assert_eq!(signer.place(b"list", &text), None);
        }

        #[test]
        fn signed_rubbish_is_refused_quietly(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            let signer = signer(&[1]);
            let _ = signer.check(&signer.seal(&content).unwrap(), Timestamp::now());
        }
    }
}
