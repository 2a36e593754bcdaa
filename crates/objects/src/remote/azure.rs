//! Azure Blob Storage: from what users give to a container.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use url::Url;

use super::container::Container;
use super::http::Http;
use super::place::Azure;
use super::s3::{below, checked_url};
use super::sas::AccountKey;
use super::{Reach, RemoteError, names};

/// The fields of a connection string that are about blobs.
#[derive(Default)]
struct Connection<'a> {
    protocol: Option<&'a str>,
    account: Option<&'a str>,
    key: Option<&'a str>,
    suffix: Option<&'a str>,
    endpoint: Option<&'a str>,
    has_signature: bool,
}

/// The container of a place.
pub(super) fn open(place: Azure, reach: &Reach) -> Result<Container, RemoteError> {
    let connection = Connection::read(&place.connection_string)?;
    names::check_prefix(&place.prefix)?;
    check_container(&place.container)?;
    let (account, key) = connection.credentials()?;
    let url = below(connection.url(account)?, &place.container)?;
    let key_text = connection.key.unwrap_or_default().to_owned();
    let http = Http { client: reach.client(&url, true)?, hidden: [key_text].into() };
    let key = AccountKey { account: account.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, &key) };
    Ok(Container { http, key, url, name: place.container, prefix: place.prefix })
}

impl<'a> Connection<'a> {
    fn read(text: &'a str) -> Result<Self, RemoteError> {
        let mut connection = Self::default();
        for field in text.split(';').map(str::trim).filter(|field| !field.is_empty()) {
            let Some((name, value)) = field.split_once('=') else {
                return Err(RemoteError::place("connection_string has a field without '='"));
            };
            let value = Some(value).filter(|value| !value.is_empty());
            match name.to_ascii_lowercase().as_str() {
                "defaultendpointsprotocol" => connection.protocol = value,
                "accountname" => connection.account = value,
                "accountkey" => connection.key = value,
                "endpointsuffix" => connection.suffix = value,
                "blobendpoint" => connection.endpoint = value,
                "sharedaccesssignature" => connection.has_signature = value.is_some(),
                "usedevelopmentstorage" if value.is_some_and(|it| it.eq_ignore_ascii_case("true")) => {
                    return Err(RemoteError::place(
                        "connection_string has UseDevelopmentStorage=true, which names the machine of its user; give the account, its key and a BlobEndpoint",
                    ));
                }
                // Of other services of the account.
                _ => {}
            }
        }
        Ok(connection)
    }

    fn credentials(&self) -> Result<(&'a str, Vec<u8>), RemoteError> {
        if self.key.is_none() && self.has_signature {
            return Err(RemoteError::place(
                "connection_string has a SharedAccessSignature and no AccountKey, without which no URLs can be signed",
            ));
        }
        let (Some(account), Some(key)) = (self.account, self.key) else {
            return Err(RemoteError::place("connection_string needs AccountName and AccountKey"));
        };
        if !account.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            return Err(RemoteError::place("AccountName in connection_string has lower-case letters and digits only"));
        }
        match BASE64_STANDARD.decode(key) {
            Ok(key) => Ok((account, key)),
            Err(_) => Err(RemoteError::place("AccountKey in connection_string is not base64")),
        }
    }

    fn url(&self, account: &str) -> Result<Url, RemoteError> {
        if let Some(endpoint) = self.endpoint {
            return checked_url("BlobEndpoint in connection_string", endpoint);
        }
        let protocol = self.protocol.unwrap_or("https").to_ascii_lowercase();
        if !matches!(protocol.as_str(), "http" | "https") {
            return Err(RemoteError::place("DefaultEndpointsProtocol in connection_string is neither https nor http"));
        }
        let suffix = self.suffix.unwrap_or("core.windows.net");
        if !suffix.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')) {
            return Err(RemoteError::place("EndpointSuffix in connection_string is not the name of a host"));
        }
        checked_url("connection_string", &format!("{protocol}://{account}.blob.{suffix}"))
    }
}

fn check_container(name: &str) -> Result<(), RemoteError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fine = (3..=63).contains(&name.len())
        && name.chars().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    match fine {
        true => Ok(()),
        false => Err(RemoteError::place(
            "this cannot be the name of a container: those have 3 to 63 lower-case letters, digits and single '-' between them",
        )),
    }
}
