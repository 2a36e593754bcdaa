//! Uploads in parts to Azure, which has blocks of a file: each with an id that its uploader chose, and no uploads.
//!
//! Azure wants all ids of a file to have the same length, and few bytes. The ids that clients choose have not; so a block's id is a hash
//! of the client's.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac};

use super::RemoteError;
use super::http::Pairs;
use super::provider::Part;
use super::sas::AccountKey;

/// How many blocks a file may have.
const MOST_BLOCKS: usize = 50_000;
/// How many bytes of an upload's id are random; the others prove that we made it.
const RANDOM: usize = 16;

/// The id of a new upload of a file.
pub(super) fn new_upload(key: &AccountKey, container: &str, name: &str) -> Result<String, RemoteError> {
    let mut random = [0; RANDOM];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| RemoteError::failed("beginning an upload", "the host gives no random bytes"))?;
    let proof = hmac::sign(&key.key, &promise(&random, container, name));
    Ok(hex::encode([&random, proof.as_ref()].concat()))
}

/// An id that was not made for this file is refused.
pub(super) fn check_upload(key: &AccountKey, container: &str, name: &str, id: &str) -> Result<(), RemoteError> {
    let bytes = hex::decode(id).unwrap_or_default();
    let ours = bytes
        .split_at_checked(RANDOM)
        .is_some_and(|(random, proof)| hmac::verify(&key.key, &promise(random, container, name), proof).is_ok());
    match ours {
        true => Ok(()),
        false => Err(RemoteError::BadUpload("there is no such upload of this file".into())),
    }
}

/// No text that Azure has us sign begins like this.
fn promise(random: &[u8], container: &str, name: &str) -> Vec<u8> {
    [b"upload\0", random, b"\0", container.as_bytes(), b"\0", name.as_bytes()].concat()
}

/// The id that Azure gets for a block.
pub(super) fn id(chosen: &str) -> String {
    let hash = digest::digest(&digest::SHA256, chosen.as_bytes());
    BASE64_STANDARD.encode(&hash.as_ref()[..24])
}

/// What is asked to write a block.
pub(super) fn query(id: &str) -> Pairs {
    vec![("comp", "block".to_owned()), ("blockid", id.to_owned())]
}

/// The list that makes a file of blocks. Asking twice is the same as once: a block of the file counts like a new one.
pub(super) fn list(parts: &[Part]) -> Result<String, RemoteError> {
    let refused = |why: &str| RemoteError::BadUpload(why.into());
    if parts.is_empty() || parts.len() > MOST_BLOCKS {
        return Err(RemoteError::BadUpload(format!("an upload to Azure is completed with 1 to {MOST_BLOCKS} blocks")));
    }
    let mut list = String::from("<BlockList>");
    for part in parts {
        match part {
            Part::Block(chosen) => list += &format!("<Latest>{}</Latest>", id(chosen)),
            Part::Tag { .. } => return Err(refused("the parts of an upload to Azure are named by their block ids")),
        }
    }
    Ok(list + "</BlockList>")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_upload_belongs_to_one_file() {
        let key = AccountKey { account: "a".into(), key: hmac::Key::new(hmac::HMAC_SHA256, b"k") };
        let other = AccountKey { account: "a".into(), key: hmac::Key::new(hmac::HMAC_SHA256, b"l") };
        let upload = new_upload(&key, "c", "n").unwrap();
        assert_ne!(upload, new_upload(&key, "c", "n").unwrap());
        check_upload(&key, "c", "n", &upload).unwrap();
        for bad in ["", "00", "no hex", &upload[..62], &"00".repeat(48)] {
            assert!(check_upload(&key, "c", "n", bad).is_err(), "{bad}");
        }
        assert!(check_upload(&key, "c", "m", &upload).is_err());
        assert!(check_upload(&key, "d", "n", &upload).is_err());
        assert!(check_upload(&other, "c", "n", &upload).is_err());
    }

    #[test]
    fn all_ids_have_the_same_length() {
        let ids = ["a", &"long/".repeat(500), "ü"].map(id);
        assert!(ids.iter().all(|id| id.len() == 32), "{ids:?}");
        assert_eq!(
            list(&[Part::Block("a".into())]).unwrap(),
            format!("<BlockList><Latest>{}</Latest></BlockList>", ids[0])
        );
        assert!(list(&[]).is_err() && list(&[Part::Tag { number: 1, etag: "e".into() }]).is_err());
    }
}
