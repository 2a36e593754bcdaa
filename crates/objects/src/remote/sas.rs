//! Signed URLs of Azure Blob Storage: a shared access signature for one blob or one container.
//!
//! What is signed is the name as it is, not as it stands in the URL. Written ourselves because others sign the encoded name, and
//! Azure then refuses every name with a blank.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use jiff::fmt::strtime;
use ring::hmac;
use url::Url;

use super::{RemoteError, names};

/// The version of the service: that which clients name in their calls.
pub(super) const VERSION: &str = "2020-04-08";
/// How long a URL may be valid.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// The key of an account.
pub(super) struct AccountKey {
    pub account: String,
    pub key: hmac::Key,
}

/// What a URL is for.
pub(super) struct Grant<'a> {
    pub container: &'a str,
    /// A blob's name; none for the container itself.
    pub blob: Option<&'a str>,
    /// By letters, in Azure's order: `r`, `c`, `w`, `d`, `l`.
    pub permissions: &'static str,
    pub valid: Duration,
}

impl AccountKey {
    /// Signs a URL; `query` is what it asks beside the signature.
    pub fn url(
        &self,
        url: Url,
        query: &[(&str, String)],
        grant: &Grant<'_>,
        now: Timestamp,
    ) -> Result<Url, RemoteError> {
        let until = expiry(grant.valid, now)?;
        let kind = if grant.blob.is_some() { "b" } else { "c" };
        let mut pairs = query.to_vec();
        pairs.extend([
            ("sp", grant.permissions.to_owned()),
            ("se", until.clone()),
            ("sv", VERSION.to_owned()),
            ("sr", kind.to_owned()),
            ("sig", self.sign(&self.text(grant, kind, &until))),
        ]);
        let mut url = url;
        url.set_query(Some(&names::query(&pairs)));
        Ok(url)
    }

    /// What is signed: a line for each field, most of them empty.
    fn text(&self, grant: &Grant<'_>, kind: &str, until: &str) -> String {
        let mut resource = format!("/blob/{}/{}", self.account, grant.container);
        if let Some(blob) = grant.blob {
            resource = format!("{resource}/{blob}");
        }
        let (start, identifier, address, protocol, snapshot) = ("", "", "", "", "");
        let answered_headers = ["", "", "", "", ""];
        let fields =
            [grant.permissions, start, until, &resource, identifier, address, protocol, VERSION, kind, snapshot];
        [&fields[..], &answered_headers].concat().join("\n")
    }

    fn sign(&self, text: &str) -> String {
        BASE64_STANDARD.encode(hmac::sign(&self.key, text.as_bytes()))
    }
}

/// Whole seconds, and never less than was asked for.
fn expiry(valid: Duration, now: Timestamp) -> Result<String, RemoteError> {
    let failed = |cause: jiff::Error| RemoteError::failed("signing", format!("the host's clock: {cause}"));
    let valid = valid.clamp(Duration::from_secs(1), LONGEST);
    let until = now.checked_add(valid).and_then(|until| until.checked_add(Duration::from_millis(999)));
    strtime::format("%Y-%m-%dT%H:%M:%SZ", until.map_err(failed)?).map_err(failed)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_signed_as_it_is_and_sent_encoded() {
        let key = AccountKey { account: "acc".into(), key: hmac::Key::new(hmac::HMAC_SHA256, b"secret") };
        let grant = Grant { container: "c", blob: Some("a b/ü"), permissions: "r", valid: Duration::from_secs(60) };
        let now = "2026-01-02T03:04:05.5Z".parse().unwrap();
        let text = key.text(&grant, "b", "2026-01-02T03:05:06Z");
        assert_eq!(text, "r\n\n2026-01-02T03:05:06Z\n/blob/acc/c/a b/ü\n\n\n\n2020-04-08\nb\n\n\n\n\n\n");
        let url = Url::parse("https://acc.blob.core.windows.net/c/a%20b/%C3%BC").unwrap();
        let signed = key.url(url, &[("comp", "block".into())], &grant, now).unwrap();
        let start = "https://acc.blob.core.windows.net/c/a%20b/%C3%BC?comp=block&se=2026-01-02T03%3A05%3A06Z&sig=";
        assert!(signed.as_str().starts_with(start), "{signed}");
        assert!(signed.as_str().ends_with("&sp=r&sr=b&sv=2020-04-08"), "{signed}");
    }
}
