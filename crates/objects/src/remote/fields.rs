//! From the names and values that users give to a place. What is wrong is said without the value, which may be a secret.

use modelyard_types::buckets::Provider;
use serde_json::{Map, Value};

use super::RemoteError;
use super::place::{Azure, Gcs, Place, S3};

type Fields = Map<String, Value>;

impl Place {
    /// The place of a provider; none when it is our own.
    pub fn of(provider: Provider, credentials: &Fields, configuration: &Fields) -> Result<Option<Self>, RemoteError> {
        match provider {
            Provider::Ubiops => Ok(None),
            Provider::AmazonS3 => Self::s3(credentials, configuration).map(Some),
            Provider::GoogleCloudStorage => Self::gcs(credentials, configuration).map(Some),
            Provider::AzureBlobStorage => Self::azure(credentials, configuration).map(Some),
        }
    }

    /// Ends the prefix in a configuration, if there is one, with a slash: it is a folder.
    pub fn end_prefix(configuration: &mut Fields) {
        if let Some(Value::String(prefix)) = configuration.get_mut("prefix")
            && !prefix.is_empty()
            && !prefix.ends_with('/')
        {
            prefix.push('/');
        }
    }

    /// A bucket of S3: `access_key` and `secret_key`; `bucket`, and `prefix`, `region`, `endpoint_url`, `signature_version`, `verify`,
    /// `use_ssl`.
    pub fn s3(credentials: &Fields, configuration: &Fields) -> Result<Self, RemoteError> {
        let credentials = Given::new("credentials", credentials, &["access_key", "secret_key"])?;
        let configuration = Given::new(
            "configuration",
            configuration,
            &["bucket", "prefix", "region", "endpoint_url", "signature_version", "verify", "use_ssl"],
        )?;
        Ok(Place::S3(S3 {
            access_key: credentials.needed("access_key")?,
            secret_key: credentials.needed("secret_key")?,
            bucket: configuration.needed("bucket")?,
            prefix: configuration.text("prefix")?.unwrap_or_default(),
            region: configuration.text("region")?,
            endpoint_url: configuration.text("endpoint_url")?,
            signature_version: configuration.text("signature_version")?,
            verify: configuration.value("verify").map(|value| flag(value).map_or_else(|| value.clone(), Value::Bool)),
            use_ssl: configuration.flag("use_ssl")?,
        }))
    }

    /// A bucket of Google Cloud Storage: `json_key_file`; `bucket`, and `prefix`.
    pub fn gcs(credentials: &Fields, configuration: &Fields) -> Result<Self, RemoteError> {
        let credentials = Given::new("credentials", credentials, &["json_key_file"])?;
        let configuration = Given::new("configuration", configuration, &["bucket", "prefix"])?;
        let Some(json_key_file) = credentials.value("json_key_file").cloned() else {
            return Err(credentials.refused("json_key_file", "is needed"));
        };
        Ok(Place::Gcs(Gcs {
            json_key_file,
            bucket: configuration.needed("bucket")?,
            prefix: configuration.text("prefix")?.unwrap_or_default(),
            base_url: None,
        }))
    }

    /// A container of Azure Blob Storage: `connection_string`; `container`, and `prefix`.
    pub fn azure(credentials: &Fields, configuration: &Fields) -> Result<Self, RemoteError> {
        let credentials = Given::new("credentials", credentials, &["connection_string"])?;
        let configuration = Given::new("configuration", configuration, &["container", "prefix"])?;
        Ok(Place::Azure(Azure {
            connection_string: credentials.needed("connection_string")?,
            container: configuration.needed("container")?,
            prefix: configuration.text("prefix")?.unwrap_or_default(),
        }))
    }
}

/// Fields that were given, and what they are called together. One that is null was not given.
struct Given<'a> {
    name: &'static str,
    fields: &'a Fields,
}

impl<'a> Given<'a> {
    fn new(name: &'static str, fields: &'a Fields, known: &[&str]) -> Result<Self, RemoteError> {
        match fields.keys().find(|field| !known.contains(&field.as_str())) {
            Some(other) => {
                let (other, known) = (other.escape_default(), known.join(", "));
                Err(RemoteError::place(format!("{name} has the field '{other}'; those of this provider are: {known}")))
            }
            None => Ok(Self { name, fields }),
        }
    }

    fn value(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    fn text(&self, field: &str) -> Result<Option<String>, RemoteError> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.refused(field, "is a text")),
        }
    }

    fn needed(&self, field: &str) -> Result<String, RemoteError> {
        let text = self.text(field)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| self.refused(field, "is needed"))
    }

    fn flag(&self, field: &str) -> Result<Option<bool>, RemoteError> {
        match self.value(field).map(flag) {
            None => Ok(None),
            Some(Some(flag)) => Ok(Some(flag)),
            Some(None) => Err(self.refused(field, "is true or false")),
        }
    }

    fn refused(&self, field: &str, why: &str) -> RemoteError {
        RemoteError::place(format!("{}: {field} {why}", self.name))
    }
}

/// A boolean. Clients that take all values for texts write it as one.
fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn places_are_read_and_what_is_null_was_not_given() {
        let credentials = fields(json!({"access_key": "a", "secret_key": "s"}));
        let configuration =
            fields(json!({"bucket": "b", "prefix": null, "region": "r", "verify": true, "use_ssl": null}));
        let Place::S3(place) = Place::s3(&credentials, &configuration).unwrap() else { panic!("it is S3") };
        assert_eq!((place.bucket.as_str(), place.prefix.as_str(), place.use_ssl), ("b", "", None));
        assert_eq!((place.region.as_deref(), place.verify), (Some("r"), Some(json!(true))));
        let key = fields(json!({"json_key_file": {"type": "service_account"}}));
        assert!(Place::gcs(&key, &fields(json!({"bucket": "b"}))).is_ok());
        let connection = fields(json!({"connection_string": "AccountName=a"}));
        assert!(Place::azure(&connection, &fields(json!({"container": "c", "prefix": "p/"}))).is_ok());
    }

    #[test]
    fn booleans_may_be_texts() {
        let credentials = fields(json!({"access_key": "a", "secret_key": "s"}));
        let configuration = fields(json!({"bucket": "b", "verify": "True", "use_ssl": "false"}));
        let Place::S3(place) = Place::s3(&credentials, &configuration).unwrap() else { panic!("it is S3") };
        assert_eq!((place.verify, place.use_ssl), (Some(json!(true)), Some(false)));
    }

    #[test]
    fn what_is_wrong_is_said_without_its_value() {
        let said = |credentials, configuration| {
            let refused = Place::s3(&fields(credentials), &fields(configuration)).unwrap_err().to_string();
            assert!(!refused.contains("XXXX"), "{refused}");
            refused
        };
        let good = json!({"access_key": "XXXX", "secret_key": "XXXX"});
        assert_eq!(said(json!({"access_key": "XXXX"}), json!({"bucket": "b"})), "credentials: secret_key is needed");
        assert_eq!(said(good.clone(), json!({"bucket": ""})), "configuration: bucket is needed");
        assert_eq!(said(good.clone(), json!({"bucket": ["XXXX"]})), "configuration: bucket is a text");
        assert_eq!(
            said(good.clone(), json!({"bucket": "b", "use_ssl": "XXXX"})),
            "configuration: use_ssl is true or false"
        );
        assert_eq!(
            said(json!({"token": "XXXX"}), json!({})),
            "credentials has the field 'token'; those of this provider are: access_key, secret_key"
        );
        let misplaced = said(good, json!({"bucket": "b", "secret_key": "XXXX"}));
        assert!(misplaced.starts_with("configuration has the field 'secret_key'; "), "{misplaced}");
    }
}
