//! Signatures of version 4, as S3 and Google Cloud Storage understand them: in headers for what we ask ourselves, in URLs for what
//! others are to do.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use jiff::Timestamp;
use jiff::fmt::strtime;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use ring::{digest, hmac};
use url::Url;

use super::http::{Pairs, host_of};
use super::{RemoteError, names};

/// What stands for a payload that is not known when a URL is signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// How long a URL may be valid.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the URLs of our own calls are valid: longer than the slowest of them takes.
const OWN_CALLS: Duration = Duration::from_secs(3600);
const ALGORITHM_S3: &str = "AWS4-HMAC-SHA256";

/// Whose signature it is.
#[derive(Clone)]
pub(super) enum Signer {
    /// An access key of S3 and its secret.
    S3 { access_key: String, secret_key: String, region: String },
    /// A service account of Google Cloud and its private key.
    Google { email: String, key: Arc<RsaKeyPair> },
}

impl Signer {
    /// Signs a URL: whoever has it can make this one call, and any body goes.
    pub fn url(
        &self,
        method: &Method,
        url: &Url,
        query: &[(&str, String)],
        valid: Duration,
        now: Timestamp,
    ) -> Result<Url, RemoteError> {
        let (algorithm, prefix) = self.words();
        let seconds = valid.clamp(Duration::from_secs(1), LONGEST).as_secs();
        let (moment, scope) = self.moment(now)?;
        let fields = ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders"].map(|it| format!("{prefix}-{it}"));
        let values = [
            algorithm.to_owned(),
            format!("{}/{scope}", self.name()),
            moment.clone(),
            seconds.to_string(),
            "host".to_owned(),
        ];
        let mut pairs = query.to_vec();
        pairs.extend(fields.iter().map(String::as_str).zip(values));
        let query = names::query(&pairs);
        let canonical = format!("{method}\n{}\n{query}\nhost:{}\n\nhost\n{UNSIGNED}", url.path(), host_of(url));
        let signature = self.sign(&moment, &scope, &canonical)?;
        let mut url = url.clone();
        url.set_query(Some(&format!("{query}&{prefix}-Signature={signature}")));
        Ok(url)
    }

    /// Signs a call of our own: its URL, and the headers to add to these. Google takes its signed URLs for everything; not
    /// all who speak S3 do, so those calls are signed in their headers, with the body.
    pub fn call(
        &self,
        method: &Method,
        url: &Url,
        query: &[(&str, String)],
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<(Url, Pairs), RemoteError> {
        let now = Timestamp::now();
        match self {
            Signer::Google { .. } => Ok((self.url(method, url, query, OWN_CALLS, now)?, Vec::new())),
            Signer::S3 { .. } => {
                let mut asked = url.clone();
                asked.set_query((!query.is_empty()).then(|| names::query(query)).as_deref());
                Ok((asked, self.headers(method, url, query, headers, body, now)?))
            }
        }
    }

    fn headers(
        &self,
        method: &Method,
        url: &Url,
        query: &[(&str, String)],
        headers: &[(&'static str, String)],
        body: &[u8],
        now: Timestamp,
    ) -> Result<Pairs, RemoteError> {
        let (moment, scope) = self.moment(now)?;
        let payload = hex::encode(digest::digest(&digest::SHA256, body));
        let mut added = vec![("x-amz-content-sha256", payload.clone()), ("x-amz-date", moment.clone())];
        let mut signed: Vec<_> = headers.iter().chain(&added).cloned().collect();
        signed.push(("host", host_of(url)));
        signed.sort();
        let list = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let canonical = format!("{method}\n{}\n{}\n{lines}\n{list}\n{payload}", url.path(), names::query(query));
        let signature = self.sign(&moment, &scope, &canonical)?;
        let credential = format!("{}/{scope}", self.name());
        let proof = format!("{ALGORITHM_S3} Credential={credential}, SignedHeaders={list}, Signature={signature}");
        added.push(("authorization", proof));
        Ok(added)
    }

    fn sign(&self, moment: &str, scope: &str, canonical: &str) -> Result<String, RemoteError> {
        let hash = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        let text = format!("{}\n{moment}\n{scope}\n{hash}", self.words().0);
        match self {
            Signer::S3 { secret_key, .. } => {
                let mut key = format!("AWS4{secret_key}").into_bytes();
                for part in scope.split('/') {
                    key = keyed(&key, part).as_ref().to_vec();
                }
                Ok(hex::encode(keyed(&key, &text)))
            }
            Signer::Google { key, .. } => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
                    .map_err(|_| RemoteError::place("the private key of the service account cannot sign"))?;
                Ok(hex::encode(signature))
            }
        }
    }

    fn moment(&self, now: Timestamp) -> Result<(String, String), RemoteError> {
        let moment = strtime::format("%Y%m%dT%H%M%SZ", now)
            .map_err(|cause| RemoteError::failed("signing", format!("the host's clock: {cause}")))?;
        let day = &moment[..8];
        let scope = match self {
            Signer::S3 { region, .. } => format!("{day}/{region}/s3/aws4_request"),
            Signer::Google { .. } => format!("{day}/auto/storage/goog4_request"),
        };
        Ok((moment, scope))
    }

    fn name(&self) -> &str {
        match self {
            Signer::S3 { access_key, .. } => access_key,
            Signer::Google { email, .. } => email,
        }
    }

    /// The algorithm, and what the fields in URLs begin with.
    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Signer::S3 { .. } => (ALGORITHM_S3, "X-Amz"),
            Signer::Google { .. } => ("GOOG4-RSA-SHA256", "X-Goog"),
        }
    }
}

fn keyed(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
