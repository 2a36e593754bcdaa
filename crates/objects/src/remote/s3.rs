//! Amazon S3 and those who speak its language: from what users give to a bucket.

use serde_json::Value;
use url::{Host, Url};

use super::bucket::Bucket;
use super::http::Http;
use super::place::S3;
use super::v4::Signer;
use super::{Reach, RemoteError, names};

/// The region of stores that have none.
const NO_REGION: &str = "us-east-1";

/// The bucket of a place.
pub(super) fn open(place: S3, reach: &Reach) -> Result<Bucket, RemoteError> {
    if let Some(version) = place.signature_version.as_deref()
        && !matches!(version, "s3v4" | "v4")
    {
        return Err(RemoteError::place("signature_version can be 's3v4' only: other signatures are not made any more"));
    }
    for (field, value) in [("access_key", &place.access_key), ("secret_key", &place.secret_key)] {
        if value.is_empty() || !value.chars().all(|c| c.is_ascii_graphic()) {
            return Err(RemoteError::place(format!(
                "{field} is empty, or has blanks or characters that keys do not have"
            )));
        }
    }
    names::check_prefix(&place.prefix)?;
    let (url, region) = address(&place)?;
    let http = Http {
        client: reach.client(&url, checks_certificates(place.verify.as_ref())?)?,
        hidden: [place.access_key.clone(), place.secret_key.clone()].into(),
    };
    let signer = Signer::S3 { access_key: place.access_key, secret_key: place.secret_key, region };
    Ok(Bucket { http, signer, url, name: place.bucket, prefix: place.prefix })
}

fn checks_certificates(verify: Option<&Value>) -> Result<bool, RemoteError> {
    match verify {
        None | Some(Value::Null) => Ok(true),
        Some(Value::Bool(verify)) => Ok(*verify),
        Some(_) => Err(RemoteError::place(
            "verify can be true or false: files of certificates are not taken; the host's certificates are used",
        )),
    }
}

/// Where the bucket is, and the region that signatures name.
fn address(place: &S3) -> Result<(Url, String), RemoteError> {
    let region = place.region.as_deref().filter(|region| !region.is_empty());
    if let Some(region) = region
        && !region.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    {
        return Err(RemoteError::place("region has lower-case letters, digits and '-' only, as eu-central-1"));
    }
    let endpoint = place.endpoint_url.as_deref().filter(|endpoint| !endpoint.is_empty());
    match (endpoint, region) {
        (Some(endpoint), region) => {
            check_bucket(&place.bucket, false)?;
            let url = endpoint_of(endpoint, place.use_ssl)?;
            Ok((below(url, &place.bucket)?, region.unwrap_or(NO_REGION).to_owned()))
        }
        (None, Some(region)) => {
            check_bucket(&place.bucket, true)?;
            Ok((amazon(&place.bucket, region, place.use_ssl.unwrap_or(true))?, region.to_owned()))
        }
        (None, None) => Err(RemoteError::place("one of region and endpoint_url is needed")),
    }
}

/// Amazon names buckets in the host, unless a dot in their name would break its certificate.
fn amazon(bucket: &str, region: &str, tls: bool) -> Result<Url, RemoteError> {
    let scheme = if tls { "https" } else { "http" };
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let text = match bucket.contains('.') {
        true => format!("{scheme}://s3.{region}.{domain}/{bucket}"),
        false => format!("{scheme}://{bucket}.s3.{region}.{domain}/"),
    };
    Url::parse(&text).map_err(|_| RemoteError::place("bucket and region do not make an address"))
}

/// An endpoint as users write it.
fn endpoint_of(endpoint: &str, use_ssl: Option<bool>) -> Result<Url, RemoteError> {
    let text = match endpoint.contains("://") {
        true => endpoint.to_owned(),
        false if use_ssl == Some(false) => format!("http://{endpoint}"),
        false => format!("https://{endpoint}"),
    };
    let url = checked_url("endpoint_url", &text)?;
    match use_ssl {
        Some(tls) if tls != (url.scheme() == "https") => {
            Err(RemoteError::place(format!("use_ssl is {tls}, but endpoint_url begins with {}://", url.scheme())))
        }
        _ => Ok(url),
    }
}

/// A URL of http or https that names a host and nothing else but a path.
pub(super) fn checked_url(field: &str, text: &str) -> Result<Url, RemoteError> {
    let refused = |why: &str| RemoteError::place(format!("{field} {why}"));
    let url = Url::parse(text).map_err(|_| refused("is not an address, as https://storage.example.com"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("begins with neither https:// nor http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("holds a user or a password; credentials have fields of their own"));
    }
    match url.host() {
        None | Some(Host::Domain("")) => Err(refused("names no host")),
        Some(_) if url.query().is_some() || url.fragment().is_some() => Err(refused("has a query or a fragment")),
        Some(_) => Ok(url),
    }
}

/// The address of a bucket or container in a path.
pub(super) fn below(mut url: Url, bucket: &str) -> Result<Url, RemoteError> {
    let mut path = url.path().trim_end_matches('/').to_owned();
    path.push('/');
    path.push_str(&names::path(bucket));
    url.set_path(&path);
    Ok(url)
}

/// Amazon's own rules are strict; other stores have buckets with capitals and underscores.
pub(super) fn check_bucket(bucket: &str, strictly: bool) -> Result<(), RemoteError> {
    let allowed = |c: char| match strictly {
        true => c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'),
        false => c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'),
    };
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let fine = (3..=222).contains(&bucket.len())
        && bucket.chars().all(allowed)
        && edge(bucket.chars().next())
        && edge(bucket.chars().last())
        && !bucket.contains("..");
    match fine {
        true => Ok(()),
        false => Err(RemoteError::place(
            "this cannot be the name of a bucket: those have letters, digits, '-' and '.' (others than Amazon's also '_'), three at least",
        )),
    }
}
