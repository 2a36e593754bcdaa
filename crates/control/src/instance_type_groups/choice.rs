//! Which kinds of instances a version asks for, and has: one, or those of a group.

use modelyard_store::{InstanceTypeGroup, Tx, Version, instance_type_groups as groups};
use modelyard_types::instance_type_groups::Member;
use modelyard_types::instance_types::InstanceType;
use modelyard_types::versions::{DeploymentVersionCreate, DeploymentVersionUpdate};
use modelyard_types::{Error, InstanceTypeGroupId, ProjectId, Result};

/// What a body says of kinds of instances.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    kind: Option<String>,
    /// What older clients say instead.
    memory: Option<i64>,
    group_id: Option<String>,
    group_name: Option<String>,
}

/// The kinds that instances of a version may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The group; none for the one of a kind alone.
    pub(crate) group: Option<InstanceTypeGroupId>,
    /// In the order in which they are tried: at least one.
    pub(crate) kinds: Vec<InstanceType>,
}

impl Asked {
    /// What the creation of a version asks for.
    pub(crate) fn of_create(new: &DeploymentVersionCreate) -> Self {
        Self {
            kind: new.instance_type.clone(),
            memory: new.memory_allocation,
            group_id: new.instance_type_group_id.clone(),
            group_name: new.instance_type_group_name.clone(),
        }
    }

    /// What the update of a version asks for.
    pub(crate) fn of_update(change: &DeploymentVersionUpdate) -> Self {
        Self {
            kind: change.instance_type.value().cloned(),
            memory: change.memory_allocation.value().copied(),
            group_id: change.instance_type_group_id.value().cloned(),
            group_name: change.instance_type_group_name.value().cloned(),
        }
    }

    fn kind(&self) -> Result<Option<InstanceType>> {
        let name = match (&self.kind, self.memory) {
            (Some(name), _) => name.clone(),
            (None, Some(memory)) => format!("{memory}mb"),
            (None, None) => return Ok(None),
        };
        InstanceType::parse(&name).map(Some).map_err(Error::Invalid)
    }
}

impl Choice {
    /// One kind.
    pub(crate) fn of_kind(kind: InstanceType) -> Self {
        Self { group: None, kinds: vec![kind] }
    }

    /// Those of a group that users made.
    pub(crate) fn of_group(group: &InstanceTypeGroup) -> Self {
        Self { group: Some(group.id), kinds: group.members.iter().map(Member::kind).collect() }
    }

    /// The one that is tried first.
    pub(crate) fn first(&self) -> InstanceType {
        self.kinds.first().copied().unwrap_or(InstanceType::of_name(""))
    }

    /// The id of its group.
    pub(crate) fn group_id(&self) -> InstanceTypeGroupId {
        self.group.unwrap_or_else(|| self.first().group_id())
    }

    /// Whether instances that were made when these were the kinds may stay.
    pub(crate) fn keeps(&self, before: &[InstanceType]) -> bool {
        before.first() == self.kinds.first() && before.iter().all(|kind| self.kinds.contains(kind))
    }
}

/// The kinds that a body asks for; nothing when it says nothing of them. A group is kept from other changes until the
/// transaction ends, so take it before the locks of versions.
pub(crate) async fn choose(tx: &mut Tx, project: ProjectId, asked: &Asked) -> Result<Option<Choice>> {
    let kind = asked.kind()?;
    let found = match (&asked.group_id, &asked.group_name) {
        (None, None) => return Ok(kind.map(Choice::of_kind)),
        (Some(id), _) => by_id(tx, project, id).await?.ok_or_else(|| unknown(id))?,
        (None, Some(name)) => by_name(tx, project, name).await?.ok_or_else(|| unknown(name))?,
    };
    let (name, choice) = found;
    if let Some(other) = asked.group_name.as_ref().filter(|other| **other != name) {
        return Err(Error::Invalid(format!(
            "the instance type group of instance_type_group_id is '{name}', and not '{other}'; give one of the two"
        )));
    }
    let first = choice.first();
    if let Some(kind) = kind.filter(|kind| *kind != first) {
        let (kind, first) = (kind.name(), first.name());
        return Err(Error::Invalid(format!(
            "instance_type '{kind}' is not the first one of instance type group '{name}', which is '{first}'; give one of \
             the two"
        )));
    }
    Ok(Some(choice))
}

fn unknown(group: &str) -> Error {
    Error::Invalid(format!(
        "Instance type group '{group}' was not found; list those of the project, or give an instance_type"
    ))
}

async fn by_id(tx: &mut Tx, project: ProjectId, id: &str) -> Result<Option<(String, Choice)>> {
    let Ok(id) = id.parse::<InstanceTypeGroupId>() else { return Ok(None) };
    if let Some(kind) = InstanceType::of_group(id) {
        return Ok(Some((kind.group_name(), Choice::of_kind(kind))));
    }
    let found = groups::lock(tx, id).await?.filter(|group| group.project_id == project);
    Ok(found.map(|group| (group.name.clone(), Choice::of_group(&group))))
}

/// The first of a name: those of kinds come first, then the oldest.
async fn by_name(tx: &mut Tx, project: ProjectId, name: &str) -> Result<Option<(String, Choice)>> {
    if let Some(kind) = InstanceType::all().find(|kind| kind.group_name() == name) {
        return Ok(Some((kind.group_name(), Choice::of_kind(kind))));
    }
    match groups::first_of_name(&mut *tx, project, name).await? {
        Some(group) => by_id(tx, project, &group.id.to_string()).await,
        None => Ok(None),
    }
}

/// The kinds that a version has.
pub(crate) async fn kinds_of(tx: &mut Tx, version: &Version) -> Result<Vec<InstanceType>> {
    let group = match version.instance_type_group_id {
        Some(id) => groups::get(tx, id).await?,
        None => None,
    };
    let alone = || vec![InstanceType::of_name(&version.instance_type)];
    Ok(group.map_or_else(alone, |group| Choice::of_group(&group).kinds))
}

/// The name of a version's group, for sentences.
pub(crate) async fn name_of(tx: &mut Tx, version: &Version) -> Result<String> {
    let group = match version.instance_type_group_id {
        Some(id) => groups::get(tx, id).await?,
        None => None,
    };
    let alone = || InstanceType::of_name(&version.instance_type).group_name();
    Ok(group.map_or_else(alone, |group| group.name))
}
