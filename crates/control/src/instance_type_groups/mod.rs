//! The rules of groups of kinds of instances.
//!
//! Every project has a group for each kind alone, which nobody makes and nobody changes: it has no row. Who changes a group
//! locks the project, then the group, then the versions that use it.

mod choice;

use modelyard_store::instance_type_groups::{self as groups};
use modelyard_store::instances::Cut;
use modelyard_store::{InstanceTypeGroup, Refusal, Tx, Version, deployments, projects, versions};
use modelyard_types::audit::AuditAction;
use modelyard_types::instance_type_groups::{InstanceTypeGroupCreate, InstanceTypeGroupUpdate, Member};
use modelyard_types::instance_types::InstanceType;
use modelyard_types::{Error, InstanceTypeGroupId, Kind, Patch, ProjectId, Result, Timestamp};

use crate::Control;
use crate::access::Actor;
use crate::audit::{self, Changes, Place};

pub(crate) use choice::{Asked, Choice, choose, kinds_of, name_of};

/// The kind of object in audit events.
const OBJECT: &str = "instance_type_group";
/// The most versions that a refusal names.
const MOST_NAMED: usize = 5;

impl Control {
    /// Groups of a project in the order of their ids: those of each kind alone, then those that users made.
    pub async fn list_instance_type_groups(
        &self,
        project: ProjectId,
        cut: Cut,
        limit: i64,
    ) -> Result<Vec<InstanceTypeGroup>> {
        let since = self.project_made_at(project).await?;
        let mut found = groups::list(self.store(), project, cut, limit).await?;
        found.extend(InstanceType::all().map(|kind| of_kind(project, kind, since)).filter(|group| match cut {
            Cut::Below(id) => group.id.0 < id,
            Cut::Above(id) => group.id.0 > id,
        }));
        found.sort_by_key(|group| group.id);
        if matches!(cut, Cut::Below(_)) {
            found.reverse();
        }
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    /// A group of a project.
    pub async fn get_instance_type_group(
        &self,
        project: ProjectId,
        id: InstanceTypeGroupId,
    ) -> Result<InstanceTypeGroup> {
        if let Some(kind) = InstanceType::of_group(id) {
            return Ok(of_kind(project, kind, self.project_made_at(project).await?));
        }
        let found = groups::get(self.store(), id).await?.filter(|group| group.project_id == project);
        found.ok_or(Error::NotFound(Kind::InstanceTypeGroup))
    }

    /// Versions that use a group, in the order of their ids.
    pub async fn instance_type_group_usage(
        &self,
        group: &InstanceTypeGroup,
        cut: Cut,
        limit: i64,
    ) -> Result<Vec<Version>> {
        Ok(match InstanceType::of_group(group.id) {
            Some(kind) => versions::list_of_kind(self.store(), group.project_id, &kind.name(), cut, limit).await?,
            None => versions::list_of_group(self.store(), group.id, cut, limit).await?,
        })
    }

    /// Creates a group.
    pub async fn create_instance_type_group(
        &self,
        by: &Actor,
        project: ProjectId,
        new: InstanceTypeGroupCreate,
    ) -> Result<InstanceTypeGroup> {
        let now = Timestamp::now();
        let members = new.instance_types.0;
        let group = InstanceTypeGroup {
            id: InstanceTypeGroupId::new(),
            project_id: project,
            name: new.name.map_or_else(|| name_of_kinds(&members), String::from),
            members,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.store().begin().await?;
        groups::insert(&mut tx, &group).await.missing("Project was not found")?;
        let event = format!("Created instance type group {}", group.name);
        let subject = (OBJECT, group.name.as_str());
        audit::record(&mut tx, by, Place::project(project), AuditAction::Create, subject, event).await?;
        self.commit(tx, Some(project)).await?;
        Ok(group)
    }

    /// Changes a group. Instances of versions that use it are replaced if their kind is no longer in it, or its first kind is
    /// another one.
    pub async fn update_instance_type_group(
        &self,
        by: &Actor,
        project: ProjectId,
        id: InstanceTypeGroupId,
        change: InstanceTypeGroupUpdate,
    ) -> Result<InstanceTypeGroup> {
        let mut tx = self.store().begin().await?;
        let old = lock_group(&mut tx, project, id).await?;
        let mut new = old.clone();
        if let Patch::Set(name) = change.name {
            new.name = name.into();
        }
        if let Patch::Set(members) = change.instance_types {
            new.members = members.0;
        }
        let mut changes = Changes::default();
        changes.note("name", &old.name, &new.name);
        changes.note_json("instance_types", &old.members, &new.members);
        if changes.is_empty() {
            return Ok(old);
        }
        new.updated_at = Timestamp::now();
        groups::update(&mut tx, &new).await?;
        take_to_versions(&mut tx, &old, &new).await?;
        let event = changes.sentence(&format!("instance type group {}", old.name));
        let subject = (OBJECT, new.name.as_str());
        audit::record(&mut tx, by, Place::project(project), AuditAction::Update, subject, event).await?;
        self.commit(tx, Some(project)).await?;
        self.nudge_scaling();
        Ok(new)
    }

    /// Deletes a group that no version uses.
    pub async fn delete_instance_type_group(
        &self,
        by: &Actor,
        project: ProjectId,
        id: InstanceTypeGroupId,
    ) -> Result<()> {
        let mut tx = self.store().begin().await?;
        let group = lock_group(&mut tx, project, id).await?;
        let users = versions::of_group(&mut tx, id).await?;
        if !users.is_empty() {
            return Err(in_use(&mut tx, &group, &users).await?);
        }
        groups::delete(&mut tx, id).await?;
        // Another group of the same name keeps it in the events of both.
        if groups::first_of_name(&mut tx, project, &group.name).await?.is_none() {
            modelyard_store::audit::forget_in_project(&mut tx, project, OBJECT, &group.name).await?;
        }
        let event = format!("Deleted instance type group {}", group.name);
        audit::record(&mut tx, by, Place::project(project), AuditAction::Delete, (OBJECT, ""), event).await?;
        self.commit(tx, Some(project)).await
    }

    async fn project_made_at(&self, project: ProjectId) -> Result<Timestamp> {
        let found = projects::get(self.store(), project).await?;
        found.map(|project| project.created_at).ok_or(Error::NotFound(Kind::Project))
    }
}

/// The group that a project has for a kind alone, since it was made.
fn of_kind(project: ProjectId, kind: InstanceType, since: Timestamp) -> InstanceTypeGroup {
    InstanceTypeGroup {
        id: kind.group_id(),
        project_id: project,
        name: kind.group_name(),
        members: vec![Member::only(kind)],
        created_at: since,
        updated_at: since,
    }
}

/// The name of a group that was given none.
fn name_of_kinds(members: &[Member]) -> String {
    members.iter().map(|member| member.kind().group_name()).collect::<Vec<_>>().join(", ")
}

/// A group that users made, kept with its project from other changes until the transaction ends.
async fn lock_group(tx: &mut Tx, project: ProjectId, id: InstanceTypeGroupId) -> Result<InstanceTypeGroup> {
    if let Some(kind) = InstanceType::of_group(id) {
        return Err(Error::Invalid(format!(
            "Instance type group '{}' is one that every project has: it can be neither changed nor deleted; create one of \
             your own",
            kind.group_name()
        )));
    }
    projects::lock(tx, project).await?.ok_or(Error::NotFound(Kind::Project))?;
    let found = groups::lock(tx, id).await?.filter(|group| group.project_id == project);
    found.ok_or(Error::NotFound(Kind::InstanceTypeGroup))
}

/// Tells the versions that use a group of its new kinds.
async fn take_to_versions(tx: &mut Tx, old: &InstanceTypeGroup, new: &InstanceTypeGroup) -> Result<()> {
    let (old, new) = (Choice::of_group(old), Choice::of_group(new));
    if old.kinds == new.kinds {
        return Ok(());
    }
    for version in versions::of_group(&mut *tx, new.group_id()).await? {
        // Read again under its lock: it may have been given another group at this moment.
        let Some(mut version) = versions::lock(tx, version.id).await? else { continue };
        if version.instance_type_group_id != new.group {
            continue;
        }
        version.instance_type = new.first().name();
        version.generation += i64::from(!new.keeps(&old.kinds));
        versions::update(tx, &version).await?;
    }
    Ok(())
}

/// Why a group cannot be deleted.
async fn in_use(tx: &mut Tx, group: &InstanceTypeGroup, users: &[Version]) -> Result<Error> {
    let mut named = Vec::new();
    for version in users.iter().take(MOST_NAMED) {
        let deployment = deployments::get(&mut *tx, version.deployment_id).await?;
        let deployment = deployment.map(|it| it.name.to_string()).unwrap_or_default();
        named.push(format!("version {} of deployment {deployment}", version.name));
    }
    if users.len() > MOST_NAMED {
        named.push(format!("{} more", users.len() - MOST_NAMED));
    }
    Ok(Error::Conflict(format!("instance type group '{}' is in use by {}", group.name, named.join(", "))))
}
