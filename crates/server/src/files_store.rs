//! The object store in which an installation keeps the files of its own buckets, and blobs.

use std::path::Path;

use modelyard_objects::remote::{Place, Reach, Remote};
use modelyard_types::buckets::Provider;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::settings::Settings;
use crate::{Result, StartError};

/// What the file says: the words of a bucket.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    provider: Provider,
    credentials: Map<String, Value>,
    configuration: Map<String, Value>,
}

/// Opens the store that the settings name, once it has shown that it works. The operator names it, so it may be in any network.
pub(crate) async fn open(settings: &Settings) -> Result<Option<Remote>> {
    let Some(path) = &settings.files_store else { return Ok(None) };
    let refused =
        |why: String| StartError(format!("The store of files that {} names cannot be used: {why}.", path.display()));
    let mut place = read(path).await.map_err(refused)?;
    if let (Place::Gcs(place), Some(url)) = (&mut place, &settings.google_storage_url) {
        place.base_url = Some(url.0.clone());
    }
    let store = Remote::open(place, &Reach::everywhere()).map_err(|cause| refused(cause.to_string()))?;
    store.check().await.map_err(|cause| refused(cause.to_string()))?;
    Ok(Some(store))
}

async fn read(path: &Path) -> std::result::Result<Place, String> {
    let text = tokio::fs::read(path).await.map_err(|cause| cause.to_string())?;
    let mut named: Named = serde_json::from_slice(&text).map_err(|cause| match cause.is_data() {
        // It does not repeat the value, which may be a secret.
        true => format!(
            "line {} is not as it must be; the file is an object with provider, credentials and configuration",
            cause.line()
        ),
        false => format!("it is no JSON, as line {} shows", cause.line()),
    })?;
    Place::end_prefix(&mut named.configuration);
    let place =
        Place::of(named.provider, &named.credentials, &named.configuration).map_err(|cause| cause.to_string())?;
    place.ok_or_else(|| "the provider 'ubiops' is the installation itself; name the one whose store it is".into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    async fn said(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.json");
        std::fs::write(&path, text).unwrap();
        let settings = Settings { files_store: Some(path), ..Settings::default() };
        let said = open(&settings).await.unwrap_err().to_string();
        assert!(!said.contains("XXXX"), "{said}");
        said.split_once("cannot be used: ").unwrap().1.to_owned()
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_file_is_said_without_its_secrets() {
        assert_eq!(said("{\n\"credentials\": XXXX").await, "it is no JSON, as line 2 shows.");
        let shape = "is not as it must be; the file is an object with provider, credentials and configuration.";
        assert_eq!(said(r#"{"provider": "XXXX"}"#).await, format!("line 1 {shape}"));
        assert_eq!(said(r#"{"provider": "amazon_s3", "secret_key": "XXXX"}"#).await, format!("line 1 {shape}"));
        let own = r#"{"provider": "ubiops", "credentials": {}, "configuration": {}}"#;
        assert!(said(own).await.starts_with("the provider 'ubiops' is the installation itself"));
        let half = r#"{"provider": "amazon_s3", "credentials": {"secret_key": "XXXX"}, "configuration": {}}"#;
        assert_eq!(said(half).await, "credentials: access_key is needed.");
    }

    #[tokio::test]
    async fn a_file_or_a_store_that_is_not_there_is_said() {
        let settings = Settings { files_store: Some("/nowhere/store.json".into()), ..Settings::default() };
        let said_of_it = open(&settings).await.unwrap_err().to_string();
        assert_eq!(
            said_of_it,
            "The store of files that /nowhere/store.json names cannot be used: No such file or directory (os error 2)."
        );
        let away = said(
            r#"{"provider": "amazon_s3", "credentials": {"access_key": "a", "secret_key": "XXXX"},
                "configuration": {"bucket": "files", "endpoint_url": "http://127.0.0.1:1"}}"#,
        );
        let away = away.await;
        assert!(away.contains("127.0.0.1") && away.contains(" cannot be reached: "), "{away}");
    }
}
