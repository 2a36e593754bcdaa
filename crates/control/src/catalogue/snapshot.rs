//! What the catalogue holds of a project: enough to check, place and run a request, and nothing secret.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use modelyard_dispatch::{Grouping, Lane, LaneSettings};
use modelyard_store::catalogue::{ProjectState, VersionState};
use modelyard_store::{Bucket, Environment, Version};
use modelyard_types::batching::Batching;
use modelyard_types::buckets::Provider;
use modelyard_types::fields::{Field, PayloadType};
use modelyard_types::instance_type_groups::Member;
use modelyard_types::instance_types::InstanceType;
use modelyard_types::language::{InterpreterKey, Language};
use modelyard_types::network::Egress;
use modelyard_types::versions::{RetentionMode, ScalingStrategy, VersionStatus};
use modelyard_types::{
    BucketId, ContainerId, DeploymentId, EnvironmentBuildId, EnvironmentId, InstanceTypeGroupId, OrganizationId,
    ProjectId, RevisionId, Timestamp, VersionId,
};

use crate::lanes::Lanes;

/// The members of groups of kinds of instances.
type Groups = HashMap<InstanceTypeGroupId, Vec<Member>>;

/// A project at one moment.
pub struct ProjectSnapshot {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// The organization that owns it.
    pub organization: OrganizationId,
    /// The name of that organization.
    pub organization_name: String,
    /// Why it takes no requests, if it does not.
    pub suspended: Option<String>,
    /// What its instances may reach in the network, if that was chosen.
    pub egress: Option<Egress>,
    /// Its deployments by name.
    pub deployments: HashMap<String, Arc<DeploymentSnapshot>>,
    /// Its buckets by name.
    pub buckets: HashMap<String, BucketSnapshot>,
    versions: HashMap<VersionId, (Arc<DeploymentSnapshot>, Arc<VersionSnapshot>)>,
    /// The versions that want instances even without requests.
    kept_warm: Vec<VersionId>,
}

/// A bucket at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketSnapshot {
    /// Its id.
    pub id: BucketId,
    /// Who keeps its files.
    pub provider: Provider,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A deployment at one moment.
pub struct DeploymentSnapshot {
    /// Its id.
    pub id: DeploymentId,
    /// Its name.
    pub name: Arc<str>,
    /// Whether requests carry fields or text.
    pub input_type: PayloadType,
    /// Whether results carry fields or text.
    pub output_type: PayloadType,
    /// The fields of requests.
    pub input_fields: Vec<Field>,
    /// The fields of results.
    pub output_fields: Vec<Field>,
    /// Whether any input field takes files.
    pub has_input_files: bool,
    /// Whether any output field gives files.
    pub has_output_files: bool,
    /// The version that requests without one go to.
    pub default_version: Option<String>,
    /// Its versions by name.
    pub versions: HashMap<String, Arc<VersionSnapshot>>,
}

/// A version at one moment.
pub struct VersionSnapshot {
    /// Its id.
    pub id: VersionId,
    /// Its name.
    pub name: Arc<str>,
    /// Where it stands.
    pub status: VersionStatus,
    /// The revision that takes its requests.
    pub active_revision: Option<RevisionId>,
    /// What is kept of ended requests.
    pub retention_mode: RetentionMode,
    /// Seconds that ended requests are kept.
    pub retention_time: i64,
    /// Whether a request whose process died is run again.
    pub restart_request_interruption: bool,
    /// Instances kept running without requests.
    pub minimum_instances: u32,
    /// Instances at the most.
    pub maximum_instances: u32,
    /// Seconds without a request after which an instance is stopped.
    pub maximum_idle_time: u32,
    /// Worker processes of an instance.
    pub instance_processes: u32,
    /// How eagerly instances are added.
    pub scaling_strategy: ScalingStrategy,
    /// The kinds of instances it may have, in the order in which they are tried: at least one.
    pub offers: Vec<Offer>,
    /// Counts the changes that need new instances.
    pub generation: u64,
    /// What its instances run.
    pub code: Option<Code>,
    /// Whether requests are put together into one call.
    pub(crate) groups: bool,
    /// Where its requests wait.
    pub(crate) lane: Arc<Lane>,
}

/// A kind that instances of a version may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The kind.
    pub kind: InstanceType,
    /// For how long it is tried before the next one is, too.
    pub timeout: Duration,
}

/// The code of a revision, ready to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The revision.
    pub revision: RevisionId,
    /// Which interpreter, as `3.11` or `r4.2`.
    pub interpreter: String,
    /// The name of the environment, for logs.
    pub environment: String,
    /// The built environment; none in a base environment.
    pub content_key: Option<String>,
    /// The build of it, whose files may ask for variables.
    pub build: Option<EnvironmentBuildId>,
}

impl Code {
    /// What the code is written in.
    pub(crate) fn language(&self) -> Language {
        InterpreterKey::of(&self.interpreter).language
    }
}

impl ProjectSnapshot {
    pub(super) fn of(state: ProjectState, organization_name: String, lanes: &Lanes) -> Self {
        let environments: HashMap<EnvironmentId, Environment> =
            state.environments.into_iter().map(|(environment, _)| (environment.id, environment)).collect();
        let groups: Groups = state.groups.into_iter().map(|group| (group.id, group.members)).collect();
        let mut by_deployment: HashMap<DeploymentId, Vec<VersionState>> = HashMap::new();
        for version in state.versions {
            by_deployment.entry(version.version.deployment_id).or_default().push(version);
        }
        let mut deployments = HashMap::with_capacity(state.deployments.len());
        let mut versions = HashMap::new();
        for deployment in state.deployments {
            let own = by_deployment.remove(&deployment.id).unwrap_or_default();
            let default = own.iter().find(|it| Some(it.version.id) == deployment.default_version_id);
            let has_files = [&deployment.input_fields, &deployment.output_fields]
                .into_iter()
                .any(|fields| fields.iter().any(|field| field.data_type.is_file()));
            let snapshot = Arc::new(DeploymentSnapshot {
                id: deployment.id,
                name: deployment.name.as_str().into(),
                input_type: deployment.input_type.unwrap_or(PayloadType::Plain),
                output_type: deployment.output_type.unwrap_or(PayloadType::Plain),
                has_input_files: deployment.input_fields.iter().any(|field| field.data_type.is_file()),
                has_output_files: deployment.output_fields.iter().any(|field| field.data_type.is_file()),
                input_fields: deployment.input_fields,
                output_fields: deployment.output_fields,
                default_version: default.map(|it| it.version.name.to_string()),
                versions: own
                    .into_iter()
                    .map(|it| {
                        let name = it.version.name.to_string();
                        (name, Arc::new(VersionSnapshot::of(it, has_files, &groups, &environments, lanes)))
                    })
                    .collect(),
            });
            versions.extend(snapshot.versions.values().map(|it| (it.id, (snapshot.clone(), it.clone()))));
            deployments.insert(deployment.name.to_string(), snapshot);
        }
        let project = state.project;
        Self {
            id: project.id,
            name: project.name.to_string(),
            organization: project.organization_id,
            organization_name,
            suspended: project
                .suspended
                .then(|| project.suspended_reason.unwrap_or_else(|| "The project is suspended".to_owned())),
            egress: project.egress,
            deployments,
            buckets: state.buckets.iter().map(|it| (it.name.to_string(), BucketSnapshot::of(it))).collect(),
            kept_warm: versions.values().filter(|(_, it)| it.minimum_instances > 0).map(|(_, it)| it.id).collect(),
            versions,
        }
    }

    /// The version of an id, with its deployment.
    pub fn version(&self, id: VersionId) -> Option<(Arc<DeploymentSnapshot>, Arc<VersionSnapshot>)> {
        self.versions.get(&id).cloned()
    }

    /// The ids of all versions.
    pub(crate) fn version_ids(&self) -> impl Iterator<Item = VersionId> + '_ {
        self.versions.keys().copied()
    }

    /// The versions that want instances even without requests.
    pub(crate) fn kept_warm(&self) -> &[VersionId] {
        &self.kept_warm
    }
}

impl BucketSnapshot {
    fn of(bucket: &Bucket) -> Self {
        Self { id: bucket.id, provider: bucket.provider, updated_at: bucket.updated_at }
    }

    /// Where its files are, if the installation keeps them.
    pub fn container(&self) -> Option<ContainerId> {
        (!self.provider.is_external()).then_some(ContainerId(self.id.0))
    }
}

impl VersionSnapshot {
    /// Whether requests can run now: it has code that works, and may have instances.
    pub(crate) fn takes_requests(&self) -> bool {
        self.code.is_some() && self.status == VersionStatus::Available && self.maximum_instances > 0
    }

    fn of(
        state: VersionState,
        has_files: bool,
        groups: &Groups,
        environments: &HashMap<EnvironmentId, Environment>,
        lanes: &Lanes,
    ) -> Self {
        let VersionState { version, active, content_key } = state;
        let has_requests = active.as_ref().is_some_and(|revision| revision.has_requests_method == Some(true));
        // Labels are checked when they are written; code without the method is called one by one.
        let batching = Batching::of(&version.labels).ok().flatten().filter(|_| has_requests);
        let grouping = batching.map(|Batching { size, wait, rerun }| Grouping { size, wait, rerun });
        let code = active.and_then(|revision| {
            let environment = environments.get(&version.active_environment_id?)?;
            let built = version.active_build_id.is_none() || content_key.is_some();
            built.then(|| Code {
                revision: revision.id,
                interpreter: environment.interpreter.clone(),
                environment: environment.name.clone(),
                content_key,
                build: version.active_build_id,
            })
        });
        let count = |number: i64| u32::try_from(number).unwrap_or(0);
        Self {
            id: version.id,
            name: version.name.as_str().into(),
            status: version.status,
            active_revision: version.active_revision_id,
            retention_mode: version.request_retention_mode,
            retention_time: version.request_retention_time,
            restart_request_interruption: version.restart_request_interruption,
            minimum_instances: count(version.minimum_instances),
            maximum_instances: count(version.maximum_instances),
            maximum_idle_time: count(version.maximum_idle_time),
            instance_processes: count(version.instance_processes).max(1),
            scaling_strategy: version.scaling_strategy,
            offers: offers(&version, groups),
            generation: u64::try_from(version.generation).unwrap_or(0),
            code,
            groups: grouping.is_some(),
            lane: lanes.of(version.id, LaneSettings { grouping, ..queue_limits(&version, has_files) }),
        }
    }
}

/// The kinds that instances of a version may be. Names are checked when they are written; one that is no longer offered runs as
/// the smallest.
fn offers(version: &Version, groups: &Groups) -> Vec<Offer> {
    let offer = |member: &Member| Offer {
        kind: member.kind(),
        timeout: Duration::from_secs(member.schedule_timeout.unsigned_abs()),
    };
    match version.instance_type_group_id.and_then(|id| groups.get(&id)) {
        Some(members) if !members.is_empty() => members.iter().map(offer).collect(),
        _ => vec![offer(&Member::only(InstanceType::of_name(&version.instance_type)))],
    }
}

/// How many requests of a version may wait: in all, and of each kind. A process gets no call ahead whose files would lie in its
/// scratch, nor before the files of the last one are safe from the next.
fn queue_limits(version: &Version, has_files: bool) -> LaneSettings {
    let count = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    let usual = LaneSettings::default();
    LaneSettings {
        read_ahead: if has_files { 0 } else { usual.read_ahead },
        max_queue: count(version.maximum_queue_size),
        max_direct: count(version.maximum_queue_size_express),
        max_batch: count(version.maximum_queue_size_batch),
        ..usual
    }
}
