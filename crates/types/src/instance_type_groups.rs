//! Groups of kinds of instances: what an instance of a version may be, in the order in which that is tried.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceTypeGroupId, VersionId};
use crate::instance_types::{InstanceType, InstanceTypeList};
use crate::patch::Patch;
use crate::time::ObjectTime;

/// For how many seconds a kind is tried before the next one is, unless the group says otherwise.
pub const SCHEDULE_TIMEOUT: i64 = 3600;
/// The largest priority.
const MAX_PRIORITY: i64 = 1000;
/// The longest time for which a kind is tried: a day.
const MAX_TIMEOUT: i64 = 86_400;
/// The longest name, in characters.
const MAX_NAME: usize = 256;

/// A kind in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The name of the kind, such as `512mb`.
    pub instance_type: String,
    /// When it is tried: lower ones come first.
    pub priority: i64,
    /// For how many seconds it is tried before the next one is, too.
    pub schedule_timeout: i64,
}

impl Member {
    /// The only member of the group that every project has for a kind.
    pub fn only(kind: InstanceType) -> Self {
        Self { instance_type: kind.name(), priority: 0, schedule_timeout: SCHEDULE_TIMEOUT }
    }

    /// The kind.
    pub fn kind(&self) -> InstanceType {
        InstanceType::of_name(&self.instance_type)
    }
}

/// The members of a group: at least one, each kind once, those that are tried first first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<InstanceTypeItemCreate>")]
pub struct Members(pub Vec<Member>);

/// A kind for a group, by id or by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct InstanceTypeItemCreate {
    pub id: Option<String>,
    pub name: Option<String>,
    /// Lower ones are tried first; the place in the list when absent.
    pub priority: Option<i64>,
    /// Seconds for which it is tried before the next one is, too: 3600 when absent.
    pub schedule_timeout: Option<i64>,
}

impl InstanceTypeItemCreate {
    fn kind(&self) -> Result<InstanceType, String> {
        let by_id = |id: &str| InstanceType::all().find(|kind| id.eq_ignore_ascii_case(&kind.id().to_string()));
        let unknown = |what: &str, value: &str| {
            let known: Vec<_> = InstanceType::all().map(InstanceType::name).collect();
            format!("no instance type has the {what} '{value}'; there are {}", known.join(", "))
        };
        let of_id = self.id.as_deref().map(|id| by_id(id).ok_or_else(|| unknown("id", id))).transpose()?;
        let of_name = self.name.as_deref();
        let of_name = of_name.map(|name| InstanceType::parse(name).map_err(|_| unknown("name", name))).transpose()?;
        match (of_id, of_name) {
            (Some(id), Some(name)) if id != name => {
                Err(format!("the id is that of instance type {}, and the name is {}", id.name(), name.name()))
            }
            (Some(kind), _) | (None, Some(kind)) => Ok(kind),
            (None, None) => Err("each instance type needs an id or a name".into()),
        }
    }
}

impl TryFrom<Vec<InstanceTypeItemCreate>> for Members {
    type Error = String;

    fn try_from(items: Vec<InstanceTypeItemCreate>) -> Result<Self, String> {
        if items.is_empty() {
            return Err("a group needs at least one instance type".into());
        }
        let mut members = Vec::with_capacity(items.len().min(16));
        let mut kinds = HashSet::new();
        for (place, item) in (0..).zip(&items) {
            let kind = item.kind()?;
            if !kinds.insert(kind) {
                return Err(format!("instance type {} is given twice", kind.name()));
            }
            let priority = item.priority.unwrap_or(place);
            within("priority", priority, MAX_PRIORITY)?;
            let schedule_timeout = item.schedule_timeout.unwrap_or(SCHEDULE_TIMEOUT);
            within("schedule_timeout", schedule_timeout, MAX_TIMEOUT)?;
            members.push(Member { instance_type: kind.name(), priority, schedule_timeout });
        }
        members.sort_by_key(|member| member.priority);
        Ok(Self(members))
    }
}

fn within(what: &str, value: i64, most: i64) -> Result<(), String> {
    if (0..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("{what} must be between 0 and {most}, and is {value}"))
}

/// The name of a group; several may have the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct GroupName(String);

impl TryFrom<String> for GroupName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("The name must not be empty".into());
        }
        if text.chars().count() > MAX_NAME {
            return Err(format!("The name must have at most {MAX_NAME} characters"));
        }
        if text.chars().any(char::is_control) {
            return Err("The name must be one line of text, without control characters".into());
        }
        Ok(Self(text))
    }
}

impl From<GroupName> for String {
    fn from(name: GroupName) -> String {
        name.0
    }
}

/// The body of `instance_type_groups_create`.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceTypeGroupCreate {
    /// Made from its kinds when absent.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    pub name: Option<GroupName>,
    /// At least one kind.
    #[schema(value_type = Vec<InstanceTypeItemCreate>)]
    pub instance_types: Members,
}

/// The body of `instance_type_groups_update`.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InstanceTypeGroupUpdate {
    /// A new name.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    pub name: Patch<GroupName>,
    /// All kinds it is to have.
    #[schema(value_type = Option<Vec<InstanceTypeItemCreate>>)]
    pub instance_types: Patch<Members>,
}

/// A kind in a group, as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct InstanceTypeItem {
    #[serde(flatten)]
    pub instance_type: InstanceTypeList,
    pub priority: i64,
    pub schedule_timeout: i64,
}

/// A group.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct InstanceTypeGroupList {
    pub id: InstanceTypeGroupId,
    pub name: String,
    pub time_created: ObjectTime,
    pub time_updated: ObjectTime,
    pub instance_types: Vec<InstanceTypeItem>,
}

/// A version that uses a group.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct InstanceTypeGroupUsage {
    pub id: VersionId,
    pub deployment: String,
    pub version: String,
    pub instance_type_group_id: InstanceTypeGroupId,
    pub instance_type_group_name: String,
}

/// A page of groups.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct InstanceTypeGroupListPaginated {
    /// The cursor of the next page.
    pub next: Option<String>,
    /// The cursor of the page before.
    pub previous: Option<String>,
    /// The groups.
    pub results: Vec<InstanceTypeGroupList>,
}

/// A page of versions that use a group.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct InstanceTypeGroupUsagePaginated {
    /// The cursor of the next page.
    pub next: Option<String>,
    /// The cursor of the page before.
    pub previous: Option<String>,
    /// The versions.
    pub results: Vec<InstanceTypeGroupUsage>,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn members(items: Value) -> Result<Members, String> {
        Members::try_from(serde_json::from_value::<Vec<InstanceTypeItemCreate>>(items).unwrap())
    }

    fn shown(items: Value) -> String {
        let one = |it: Member| format!("{} {} {}", it.instance_type, it.priority, it.schedule_timeout);
        members(items).unwrap().0.into_iter().map(one).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn the_lowest_priority_comes_first_and_of_equals_the_first_given() {
        let id = InstanceType { memory_mb: 1024 }.id().to_string();
        assert_eq!(
            shown(json!([{"name": "512mb"}, {"id": id, "priority": 0, "schedule_timeout": 5}, {"name": "256mb"}])),
            "512mb 0 3600, 1024mb 0 5, 256mb 2 3600"
        );
        assert_eq!(
            shown(json!([{"name": "512mb", "priority": 7}, {"name": "256mb", "priority": 1}])),
            "256mb 1 3600, 512mb 7 3600"
        );
    }

    #[test]
    fn groups_that_make_no_sense_are_refused() {
        let told = |items| members(items).unwrap_err();
        let other = InstanceType { memory_mb: 512 }.id().to_string();
        assert_eq!(told(json!([])), "a group needs at least one instance type");
        assert_eq!(told(json!([{}])), "each instance type needs an id or a name");
        let all = "256mb, 512mb, 1024mb, 2048mb, 4096mb, 8192mb, 12288mb, 16384mb";
        assert_eq!(told(json!([{"name": "huge"}])), format!("no instance type has the name 'huge'; there are {all}"));
        assert_eq!(told(json!([{"id": "x"}])), format!("no instance type has the id 'x'; there are {all}"));
        assert_eq!(
            told(json!([{"name": "256mb", "id": other}])),
            "the id is that of instance type 512mb, and the name is 256mb"
        );
        assert_eq!(
            told(json!([{"name": "512mb"}, {"id": other, "priority": 1}])),
            "instance type 512mb is given twice"
        );
        for (field, bad, most) in
            [("priority", -1, 1000), ("priority", 1001, 1000), ("schedule_timeout", 86_401, 86_400)]
        {
            let sentence = format!("{field} must be between 0 and {most}, and is {bad}");
            assert_eq!(told(json!([{"name": "256mb", field: bad}])), sentence);
        }
    }

    #[test]
    fn names_are_one_line_of_bounded_length() {
        let name = |text: &str| GroupName::try_from(text.to_owned());
        for good in ["a", "16384 MB + 4 vCPU", "Größe", &"ä".repeat(256)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "  ", "a\0", "a\nb", &"ä".repeat(257)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
