//! The object store in which an installation keeps the files of its own buckets, and blobs.

use std::convert::Infallible;
use std::path::Path;

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use modelyard_objects::remote::{LARGEST_WRITE, Place, Reach, Remote, RemoteError};
use modelyard_store::{Store, installation};
use modelyard_types::buckets::Provider;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::settings::Settings;
use crate::{Result, StartError};

/// What tells whose the store is.
const MARKER: &str = "modelyard-installation";

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
    if settings.file_size_limit.0 > LARGEST_WRITE {
        let largest = LARGEST_WRITE / 1_000_000_000;
        return Err(refused(format!("a file in it has at most {largest} GB, and file_size_limit is larger")));
    }
    let store = Remote::open(place, &Reach::everywhere()).map_err(|cause| refused(cause.to_string()))?;
    store.check().await.map_err(|cause| refused(cause.to_string()))?;
    Ok(Some(store))
}

/// Makes sure that the store is this installation's and nobody else's, and that files can be written, read and removed there.
pub(crate) async fn claim(store: &Remote, database: &Store) -> Result<()> {
    let refused = |why: String| StartError(format!("The store of files cannot be used: {why}."));
    let said = |cause: RemoteError| refused(cause.to_string());
    let known = installation::get(database).await.map_err(|cause| refused(cause.to_string()))?;
    let known = known.ok_or_else(|| refused("the database has no installation yet".into()))?;
    let own = format!("Files of the Modelyard installation {}\n", known.created_at.0);
    match store.get(MARKER).await.map_err(said)? {
        None => write(store, MARKER, &own).await.map_err(said)?,
        Some(about) => {
            // What has another size is not read.
            let is_own =
                about.size == own.len() as u64 && read_all(store, MARKER).await.map_err(said)? == own.as_bytes();
            if !is_own {
                return Err(refused(format!(
                    "'{MARKER}' there says that it is another installation's, whose files would be removed; name another prefix"
                )));
            }
        }
    }
    let probe = format!("check-{}", Uuid::new_v4().simple());
    write(store, &probe, "").await.map_err(said)?;
    store.delete(&probe).await.map_err(said)?;
    Ok(())
}

async fn read_all(store: &Remote, name: &str) -> std::result::Result<Vec<u8>, RemoteError> {
    let (_, bytes) = store.read(name, None).await?;
    Ok(bytes.try_collect::<Vec<_>>().await?.concat())
}

async fn write(store: &Remote, name: &str, text: &str) -> std::result::Result<(), RemoteError> {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    store.write(name, Some("text/plain"), stream::iter([Ok::<_, Infallible>(bytes)])).await.map(drop)
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
    async fn files_are_not_larger_than_it_takes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.json");
        std::fs::write(
            &path,
            r#"{"provider": "amazon_s3", "credentials": {"access_key": "a", "secret_key": "s"},
                "configuration": {"bucket": "files", "endpoint_url": "http://127.0.0.1:1"}}"#,
        )
        .unwrap();
        let file_size_limit = crate::settings::Size(1 << 40);
        let settings = Settings { files_store: Some(path), file_size_limit, ..Settings::default() };
        let said = open(&settings).await.unwrap_err().to_string();
        assert!(said.ends_with("a file in it has at most 167 GB, and file_size_limit is larger."), "{said}");
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
