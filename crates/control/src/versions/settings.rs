//! The settings of a version: defaults, ranges, and which changes need new instances.

use modelyard_store::{Deployment, Environment, Version};
use modelyard_types::batching::Batching;
use modelyard_types::versions::{DeploymentVersionCreate, DeploymentVersionUpdate, VersionStatus, defaults};
use modelyard_types::{Error, Result, Timestamp, VersionId};

use crate::audit::Changes;
use crate::instance_type_groups::Choice;

/// A version as it is created.
pub(super) fn new_version(
    deployment: &Deployment,
    environment: Environment,
    choice: Option<Choice>,
    new: DeploymentVersionCreate,
) -> Result<Version> {
    let now = Timestamp::now();
    let queue = new.maximum_queue_size.unwrap_or(defaults::MAXIMUM_QUEUE_SIZE);
    let version = Version {
        id: VersionId::new(),
        deployment_id: deployment.id,
        project_id: deployment.project_id,
        name: new.version.ok_or_else(|| Error::invalid("version is required: the name of the version"))?,
        description: new.description.unwrap_or_default(),
        labels: new.labels.unwrap_or_default(),
        environment_id: environment.id,
        base_environment_id: environment.id,
        environment_explicit: new.environment.is_some() || new.environment_name.is_some() || new.language.is_some(),
        instance_type: choice.as_ref().map_or_else(|| defaults::INSTANCE_TYPE.to_owned(), |it| it.first().name()),
        instance_type_group_id: choice.and_then(|it| it.group),
        minimum_instances: new.minimum_instances.unwrap_or(defaults::MINIMUM_INSTANCES),
        maximum_instances: new
            .maximum_instances
            .unwrap_or(defaults::MAXIMUM_INSTANCES.max(new.minimum_instances.unwrap_or(0))),
        maximum_idle_time: new.maximum_idle_time.unwrap_or(defaults::MAXIMUM_IDLE_TIME),
        instance_processes: new.instance_processes.unwrap_or(defaults::INSTANCE_PROCESSES),
        scaling_strategy: new.scaling_strategy.unwrap_or_default(),
        request_retention_mode: new.request_retention_mode.unwrap_or_default(),
        request_retention_time: new.request_retention_time.unwrap_or(defaults::RETENTION_TIME),
        maximum_queue_size: queue,
        // A version has one queue; clients that know two may give each kind a limit of its own within it.
        maximum_queue_size_express: new.maximum_queue_size_express.unwrap_or(queue),
        maximum_queue_size_batch: new.maximum_queue_size_batch.unwrap_or(queue),
        restart_request_interruption: new.restart_request_interruption.unwrap_or(false),
        monitoring: None,
        ports: Vec::new(),
        status: VersionStatus::Unavailable,
        active_revision_id: None,
        active_environment_id: None,
        active_build_id: None,
        latest_revision_id: None,
        last_file_upload: None,
        generation: 1,
        created_at: now,
        updated_at: now,
    };
    check(&version)?;
    Ok(version)
}

/// A version as it is after a change, environment aside.
pub(super) fn changed_version(
    mut version: Version,
    choice: Option<&Choice>,
    change: DeploymentVersionUpdate,
) -> Result<Version> {
    version.name = change.version.or(version.name);
    if change.description.is_sent() {
        version.description = change.description.or_clear(None).unwrap_or_default();
    }
    if change.labels.is_sent() {
        version.labels = change.labels.or_clear(None).unwrap_or_default();
    }
    if let Some(choice) = choice {
        version.instance_type = choice.first().name();
        version.instance_type_group_id = choice.group;
    }
    version.minimum_instances = change.minimum_instances.or(version.minimum_instances);
    version.maximum_instances = change.maximum_instances.or(version.maximum_instances);
    version.maximum_idle_time = change.maximum_idle_time.or(version.maximum_idle_time);
    version.instance_processes = change.instance_processes.or(version.instance_processes);
    version.scaling_strategy = change.scaling_strategy.or(version.scaling_strategy);
    version.request_retention_mode = change.request_retention_mode.or(version.request_retention_mode);
    version.request_retention_time = change.request_retention_time.or(version.request_retention_time);
    // A limit that was never set apart from that of the whole queue follows it.
    let whole = version.maximum_queue_size;
    version.maximum_queue_size = change.maximum_queue_size.or(whole);
    let follows = |limit: i64| if limit == whole { version.maximum_queue_size } else { limit };
    let (express, batch) = (follows(version.maximum_queue_size_express), follows(version.maximum_queue_size_batch));
    version.maximum_queue_size_express = change.maximum_queue_size_express.or(express);
    version.maximum_queue_size_batch = change.maximum_queue_size_batch.or(batch);
    version.restart_request_interruption = change.restart_request_interruption.or(version.restart_request_interruption);
    check(&version)?;
    Ok(version)
}

/// What a change changes, for its audit event.
pub(super) fn differences(old: &Version, new: &Version) -> Changes {
    let mut changes = Changes::default();
    changes.note("version", &old.name, &new.name);
    changes.note("description", &old.description, &new.description);
    changes.note_json("labels", &old.labels, &new.labels);
    changes.note("instance_type", &old.instance_type, &new.instance_type);
    changes.note("minimum_instances", old.minimum_instances, new.minimum_instances);
    changes.note("maximum_instances", old.maximum_instances, new.maximum_instances);
    changes.note("maximum_idle_time", old.maximum_idle_time, new.maximum_idle_time);
    changes.note("instance_processes", old.instance_processes, new.instance_processes);
    changes.note("scaling_strategy", old.scaling_strategy.as_str(), new.scaling_strategy.as_str());
    changes.note("request_retention_mode", old.request_retention_mode.as_str(), new.request_retention_mode.as_str());
    changes.note("request_retention_time", old.request_retention_time, new.request_retention_time);
    changes.note("maximum_queue_size", old.maximum_queue_size, new.maximum_queue_size);
    changes.note("maximum_queue_size_express", old.maximum_queue_size_express, new.maximum_queue_size_express);
    changes.note("maximum_queue_size_batch", old.maximum_queue_size_batch, new.maximum_queue_size_batch);
    let restart = (old.restart_request_interruption, new.restart_request_interruption);
    changes.note("restart_request_interruption", restart.0, restart.1);
    changes
}

/// Whether running instances were started with something that changed.
pub(super) fn needs_new_instances(old: &Version, new: &Version) -> bool {
    old.instance_type != new.instance_type || old.instance_processes != new.instance_processes || old.name != new.name
}

/// The ranges of semantics 1.10 and 4.4.
fn check(version: &Version) -> Result<()> {
    let within = |what: &str, value: i64, least: i64, most: i64| {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        Err(Error::Invalid(format!("{what} must be between {least} and {most}, and is {value}")))
    };
    within("minimum_instances", version.minimum_instances, 0, 20)?;
    within("maximum_instances", version.maximum_instances, 0, 20)?;
    within("maximum_idle_time", version.maximum_idle_time, 10, 3600)?;
    within("instance_processes", version.instance_processes, 1, 32)?;
    within("request_retention_time", version.request_retention_time, 1, 2_419_200)?;
    // First, since it is the other one as well for clients that know two queues.
    within("maximum_queue_size", version.maximum_queue_size, 1, 1_000_000)?;
    within("maximum_queue_size_express", version.maximum_queue_size_express, 1, 1_000_000)?;
    within("maximum_queue_size_batch", version.maximum_queue_size_batch, 1, 1_000_000)?;
    Batching::of(&version.labels).map_err(Error::Invalid)?;
    if version.minimum_instances > version.maximum_instances {
        return Err(Error::Invalid(format!(
            "minimum_instances ({}) must not be larger than maximum_instances ({})",
            version.minimum_instances, version.maximum_instances
        )));
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn ranges_are_kept_by_creation_and_change() {
        let world = World::new().await;
        let deployment = world.deployment("d").await;
        let version = world.version(deployment, json!({"version": "v1"})).await;
        let ranges = [
            ("minimum_instances", -1, 0, 20, 21),
            ("maximum_instances", -1, 1, 20, 21),
            ("maximum_idle_time", 9, 10, 3600, 3601),
            ("instance_processes", 0, 1, 32, 33),
            ("request_retention_time", 0, 1, 2_419_200, 2_419_201),
            ("maximum_queue_size", 0, 1, 1_000_000, 1_000_001),
            ("maximum_queue_size_express", 0, 1, 1_000_000, 1_000_001),
            ("maximum_queue_size_batch", 0, 1, 1_000_000, 1_000_001),
        ];
        world.update(&version, json!({"maximum_instances": 20})).await.unwrap();
        for (name, below, least, most, above) in ranges {
            for bad in [below, above, i64::MIN, i64::MAX] {
                let refused = world.update(&version, json!({name: bad})).await.unwrap_err().to_string();
                assert!(refused.starts_with(name), "{name}: {refused}");
                let new = crate::testing::of(json!({"version": "v2", name: bad}));
                let (control, project) = (&world.control, world.project);
                assert!(control.create_version(&world.by, project, deployment, new, None).await.is_err(), "{name}");
            }
            for good in [most, least] {
                world.update(&version, json!({name: good})).await.unwrap();
            }
            if name == "maximum_instances" {
                world.update(&version, json!({name: 20})).await.unwrap();
            }
        }
        let refused = world.update(&version, json!({"minimum_instances": 3, "maximum_instances": 2})).await;
        let told = refused.unwrap_err().to_string();
        assert_eq!(told, "minimum_instances (3) must not be larger than maximum_instances (2)");
        for kind in ["4096", "100000000mb", "16384mb_t4", "-1mb", ""] {
            let refused = world.update(&version, json!({"instance_type": kind})).await.unwrap_err().to_string();
            assert!(refused.starts_with("instance_type"), "{kind}: {refused}");
        }
        assert!(world.update(&version, json!({"memory_allocation": i64::MIN})).await.is_err());
    }

    #[tokio::test]
    async fn a_minimum_alone_raises_the_maximum_of_a_new_version() {
        let world = World::new().await;
        let deployment = world.deployment("d").await;
        let version = world.version(deployment, json!({"version": "v1", "minimum_instances": 8})).await;
        assert_eq!((version.minimum_instances, version.maximum_instances), (8, 8));
    }
}
