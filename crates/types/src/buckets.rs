//! Buckets: places for files, kept by the installation or by a provider.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::deployments::check_description;
use crate::ids::BucketId;
use crate::labels::Labels;
use crate::names::ResourceName;
use crate::patch::Patch;
use crate::time::ObjectTime;

/// The name of the bucket that every project has.
pub const DEFAULT: &str = "default";
/// A week: the time to live of files is a multiple of it.
pub const TTL_STEP: i64 = 604_800;
/// The longest time to live: a hundred years of weeks.
pub(crate) const MAX_TTL: i64 = TTL_STEP * 5_200;

/// Who keeps the files of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// The installation.
    #[default]
    Ubiops,
    /// Amazon S3, or a store that speaks its language.
    AmazonS3,
    /// Google Cloud Storage.
    GoogleCloudStorage,
    /// Azure Blob Storage.
    AzureBlobStorage,
}

impl Provider {
    const ALL: [Self; 4] = [Self::Ubiops, Self::AmazonS3, Self::GoogleCloudStorage, Self::AzureBlobStorage];

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ubiops => "ubiops",
            Self::AmazonS3 => "amazon_s3",
            Self::GoogleCloudStorage => "google_cloud_storage",
            Self::AzureBlobStorage => "azure_blob_storage",
        }
    }

    /// Reads the contract's word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// Whether somebody else keeps the files.
    pub fn is_external(self) -> bool {
        self != Self::Ubiops
    }
}

/// What a provider is told beside credentials: names and values.
pub type Settings = Map<String, Value>;

/// The body of `buckets_create`.
#[derive(Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BucketCreate {
    /// Its name, unique in the project.
    pub name: ResourceName,
    /// Who keeps its files: the installation when absent.
    pub provider: Option<Provider>,
    /// What the provider lets us in with; never shown again.
    #[schema(value_type = Option<Object>)]
    pub credentials: Option<Settings>,
    /// Where at the provider the files are.
    #[schema(value_type = Option<Object>)]
    pub configuration: Option<Settings>,
    /// Seconds after which a file is deleted, whole weeks; null to keep them. A week when absent and the installation keeps the
    /// files.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    pub ttl: Patch<i64>,
    /// What it is for.
    pub description: Option<String>,
    /// Labels.
    pub labels: Option<Labels>,
}

impl BucketCreate {
    /// The rules between fields.
    pub fn check(&self) -> Result<(), String> {
        check_description(self.description.as_deref())?;
        check_ttl(self.ttl.value().copied())
    }
}

/// The body of `buckets_update`. Name and provider stay.
#[derive(Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BucketUpdate {
    /// New credentials.
    #[schema(value_type = Option<Object>)]
    pub credentials: Patch<Settings>,
    /// A new place at the provider.
    #[schema(value_type = Option<Object>)]
    pub configuration: Patch<Settings>,
    /// A new time to live; null to keep files.
    #[schema(value_type = Option<i64>)]
    pub ttl: Patch<i64>,
    /// A new description; null empties it.
    pub description: Patch<String>,
    /// Labels; replace the old ones, null removes them.
    pub labels: Patch<Labels>,
}

impl BucketUpdate {
    /// The rules between fields.
    pub fn check(&self) -> Result<(), String> {
        check_description(self.description.value().map(String::as_str))?;
        check_ttl(self.ttl.value().copied())
    }
}

fn check_ttl(ttl: Option<i64>) -> Result<(), String> {
    match ttl {
        Some(ttl) if ttl <= 0 || ttl % TTL_STEP != 0 || ttl > MAX_TTL => Err(format!(
            "ttl must be a multiple of {TTL_STEP} (a week in seconds), or null to keep files, and is {ttl}"
        )),
        _ => Ok(()),
    }
}

/// A bucket in lists. Credentials are always empty.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct BucketList {
    pub id: BucketId,
    pub name: String,
    pub project: String,
    pub provider: Provider,
    #[schema(value_type = Object)]
    pub credentials: Settings,
    #[schema(value_type = Object)]
    pub configuration: Settings,
    pub creation_date: ObjectTime,
    pub last_updated: ObjectTime,
    pub description: String,
    pub labels: Labels,
    pub ttl: Option<i64>,
}

/// A bucket, with the size it had when it was last measured.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct BucketDetail {
    /// What lists show.
    #[serde(flatten)]
    pub bucket: BucketList,
    /// Bytes of its files; null before they were counted.
    pub size: Option<i64>,
    /// When they were counted.
    pub size_measurement_date: Option<ObjectTime>,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_live_for_whole_weeks_or_for_ever() {
        let told =
            |ttl: Value| serde_json::from_value::<BucketCreate>(json!({"name": "b", "ttl": ttl})).unwrap().check();
        for good in [json!(null), json!(TTL_STEP), json!(TTL_STEP * 5_200)] {
            assert!(told(good.clone()).is_ok(), "{good}");
        }
        for bad in [0, -TTL_STEP, 1, TTL_STEP + 1, TTL_STEP * 5_201] {
            let sentence = told(json!(bad)).unwrap_err();
            assert!(sentence.contains("multiple of 604800"), "{sentence}");
        }
    }

    #[test]
    fn providers_have_their_words() {
        for provider in Provider::ALL {
            assert_eq!(Provider::parse(provider.as_str()), Some(provider));
            assert_eq!(serde_json::to_value(provider).unwrap(), provider.as_str());
        }
    }
}
