//! Deployments: a name, fields, and versions that do the work.

use serde::{Deserialize, Serialize};

use crate::fields::{Field, FieldBrief, FieldDetail, PayloadType, check_fields};
use crate::ids::DeploymentId;
use crate::labels::Labels;
use crate::names::ResourceName;
use crate::patch::Patch;
use crate::time::ObjectTime;

/// The longest description, in characters: clients refuse longer ones in answers.
pub const MAX_DESCRIPTION: usize = 400;

/// The body of `deployments_create`.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentCreate {
    /// Its name, unique in the project.
    pub name: ResourceName,
    /// What it is for.
    pub description: Option<String>,
    /// Whether requests carry fields or text.
    pub input_type: Option<PayloadType>,
    /// Whether results carry fields or text.
    pub output_type: Option<PayloadType>,
    /// The fields of requests; for structured input.
    pub input_fields: Option<Vec<Field>>,
    /// The fields of results; for structured output.
    pub output_fields: Option<Vec<Field>>,
    /// Labels.
    pub labels: Option<Labels>,
    /// Deployments without requests are not offered yet: refused when false.
    pub supports_request_format: Option<bool>,
}

impl DeploymentCreate {
    /// The rules between fields.
    pub fn check(&self) -> Result<(), String> {
        check_description(self.description.as_deref())?;
        if self.supports_request_format == Some(false) {
            return Err("supports_request_format: deployments without requests are not offered yet".into());
        }
        check_side("input", self.input_type, self.input_fields.as_deref())?;
        check_side("output", self.output_type, self.output_fields.as_deref())
    }
}

fn check_side(side: &str, kind: Option<PayloadType>, fields: Option<&[Field]>) -> Result<(), String> {
    let fields = fields.unwrap_or_default();
    match kind {
        None => Err(format!("{side}_type is required: structured or plain")),
        Some(PayloadType::Plain) if !fields.is_empty() => {
            Err(format!("{side}_fields must be empty, since {side}_type is plain"))
        }
        Some(PayloadType::Structured) if fields.is_empty() => {
            Err(format!("{side}_fields must name at least one field, since {side}_type is structured"))
        }
        Some(_) => check_fields(side, fields),
    }
}

/// Checks the length of a description.
pub fn check_description(text: Option<&str>) -> Result<(), String> {
    match text {
        Some(text) if text.chars().count() > MAX_DESCRIPTION => {
            Err(format!("description must have at most {MAX_DESCRIPTION} characters"))
        }
        _ => Ok(()),
    }
}

/// The body of `deployments_update`. Types cannot be changed.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeploymentUpdate {
    /// A new name.
    pub name: Patch<ResourceName>,
    /// A new description; null empties it.
    pub description: Patch<String>,
    /// The version that requests without one go to.
    pub default_version: Patch<String>,
    /// New input fields; replace the old ones.
    pub input_fields: Patch<Vec<Field>>,
    /// New output fields; replace the old ones.
    pub output_fields: Patch<Vec<Field>>,
    /// Labels; replace the old ones, null removes them.
    pub labels: Patch<Labels>,
}

impl DeploymentUpdate {
    /// The rules between fields.
    pub fn check(&self) -> Result<(), String> {
        check_description(self.description.value().map(String::as_str))?;
        check_fields("input", self.input_fields.value().map_or(&[], Vec::as_slice))?;
        check_fields("output", self.output_fields.value().map_or(&[], Vec::as_slice))
    }
}

/// A deployment in lists.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct DeploymentList {
    /// The deployment's id.
    pub id: DeploymentId,
    /// Its name.
    pub name: String,
    /// The project it belongs to.
    pub project: String,
    /// What it is for.
    pub description: String,
    /// Whether requests carry fields or text.
    pub input_type: PayloadType,
    /// Whether results carry fields or text.
    pub output_type: PayloadType,
    /// The fields of requests.
    pub input_fields: Vec<FieldBrief>,
    /// The fields of results.
    pub output_fields: Vec<FieldBrief>,
    /// Labels.
    pub labels: Labels,
    /// When it was made.
    pub creation_date: ObjectTime,
    /// When it was last changed.
    pub last_updated: ObjectTime,
    /// How many versions it has.
    pub number_of_versions: i64,
    /// Whether it takes requests.
    pub supports_request_format: bool,
}

/// A deployment in answers about it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct DeploymentDetail {
    /// The deployment's id.
    pub id: DeploymentId,
    /// Its name.
    pub name: String,
    /// The project it belongs to.
    pub project: String,
    /// What it is for.
    pub description: String,
    /// Whether requests carry fields or text.
    pub input_type: PayloadType,
    /// Whether results carry fields or text.
    pub output_type: PayloadType,
    /// The fields of requests.
    pub input_fields: Vec<FieldDetail>,
    /// The fields of results.
    pub output_fields: Vec<FieldDetail>,
    /// Labels.
    pub labels: Labels,
    /// When it was made.
    pub creation_date: ObjectTime,
    /// When it was last changed.
    pub last_updated: ObjectTime,
    /// The version that requests without one go to; absent in the answer of a creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_version: Option<Option<String>>,
    /// Whether it takes requests.
    pub supports_request_format: bool,
}
