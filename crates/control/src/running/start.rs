//! Starting and stopping instances: from a version's snapshot to what the runner is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use modelyard_runner::environments::{r, system_of};
use modelyard_runner::process::{Ended, Listener};
use modelyard_runner::protocol::{Maxima, TypedField};
use modelyard_runner::runner::{InstanceSpec, Load, StartError};
use modelyard_runner::ubiops_yaml::filled_in;
use modelyard_scheduler::StopReason;
use modelyard_store::Instance;
use modelyard_store::logs::LogLabels;
use modelyard_types::fields::{DataType, Field};
use modelyard_types::instance_types::InstanceType;
use modelyard_types::instances::InstanceStatus;
use modelyard_types::language::Language;
use modelyard_types::variables::MAIN_FILE;
use modelyard_types::{InstanceId, RevisionId, Timestamp};
use serde_json::{Map, Value, json};

use super::carrier::Loads;
use super::fleet::Running;
use super::instance::{Confided, InstanceListener};
use crate::Inner;
use crate::catalogue::{Code, DeploymentSnapshot, Place, ProjectSnapshot, VersionSnapshot};
use crate::instances::{History, Why};
use crate::loops::caught;
use crate::variables::Variables;

/// Where the code of a revision lies unpacked.
pub(crate) fn folder_of_package(packages: &Path, revision: RevisionId) -> PathBuf {
    packages.join(revision.to_string())
}

impl Inner {
    /// Begins to start an instance of a version, of the kind at that place among those it may have. How that goes is heard by
    /// its listener.
    pub(crate) fn start_instance(self: &Arc<Self>, place: Place, choice: usize) {
        let (project, deployment, version) = &place;
        let Some(code) = &version.code else { return };
        // A version that was given other kinds at this moment gets the first of them.
        let Some(offer) = version.offers.get(choice).or(version.offers.first()) else { return };
        let id = InstanceId::new();
        let row = row(self, id, project, deployment, version, offer.kind, code);
        let passed = version.offers.iter().take_while(|it| it.kind != offer.kind).map(|it| it.kind.name()).collect();
        let listener = Arc::new(InstanceListener {
            control: Arc::downgrade(self),
            version: version.id,
            project: project.id,
            lane: version.lane.clone(),
            labels: labels(deployment, version, code),
            history: History::begin(self.journal.clone(), row, version.instance_processes, passed),
            places: std::sync::Mutex::default(),
            confided: std::sync::OnceLock::new(),
            loads: Loads {
                control: Arc::downgrade(self),
                project: project.id,
                deployment: deployment.clone(),
                scratch: super::limits::of(offer.kind, false).scratch_bytes,
                lane: version.lane.clone(),
            },
        });
        let instance = Running::new(id, version, offer.kind, code.revision, listener.clone());
        let epoch = instance.epoch;
        self.fleet.add(version.id, instance.clone());
        let control = self.clone();
        self.loops.spawn(async move {
            listener.history.scheduled();
            let started = caught(async {
                Ok(match control.prepare_instance(&instance, &place, &listener).await {
                    Ok(spec) => control.hand_over(spec, &listener).await,
                    Err(problem) => Err(StartError::Refused(problem)),
                })
            });
            let started = started.await.unwrap_or_else(|panic| {
                tracing::error!(instance = %id, %panic, "starting an instance broke off");
                Err(StartError::Refused("The instance could not be started: the server failed".into()))
            });
            if let Err(StartError::Refused(reason)) = started {
                tracing::warn!(instance = %id, reason, "an instance cannot start");
                control.fleet.doomed(listener.version, id, reason.clone());
                listener.ended(id, epoch, Ended { reason, expected: false });
            }
        });
    }

    /// Has the runner start an instance, unless it was told to stop meanwhile.
    async fn hand_over(&self, spec: InstanceSpec, listener: &Arc<InstanceListener>) -> Result<(), StartError> {
        let (id, epoch) = (spec.instance, spec.epoch);
        if self.fleet.is_stopping(id) {
            listener.ended(id, epoch, Ended { reason: "The instance was stopped".into(), expected: true });
            return Ok(());
        }
        self.settings.runner.start(Arc::new(spec), listener.clone()).await?;
        if self.fleet.is_stopping(id) {
            // Whoever stopped it at this moment may not have found it there.
            self.settings.runner.stop(id, epoch).await;
        }
        Ok(())
    }

    /// Reads what an instance is given, and puts together what the runner is told.
    async fn prepare_instance(
        &self,
        instance: &Running,
        place: &Place,
        listener: &InstanceListener,
    ) -> Result<InstanceSpec, String> {
        let (project, deployment, version) = place;
        let read = self.variables_of(project.id, deployment.id, version.id).await;
        let variables = read.map_err(|cause| {
            tracing::error!(%cause, instance = %instance.id, "the environment variables of an instance cannot be read");
            "The instance could not be started: its environment variables cannot be read".to_owned()
        })?;
        let files = match version.code.as_ref().and_then(|code| code.build) {
            Some(build) => self.variables_of_files(build).await?,
            None => Vec::new(),
        };
        let token = self.catalogue.instance_tokens.issue(deployment);
        let confided = Confided { masks: variables.masks(&[&token.text]).await, token: token.hash };
        if listener.confided.set(confided).is_err() {
            return Err("The instance could not be started: it was started before".to_owned());
        }
        let env = env(self, place, &files, &variables, &token.text)?;
        spec(self, instance, place, variables.main_file(), env)
    }

    /// Begins to stop an instance; false when it is gone or stopping already.
    pub(crate) fn begin_to_stop(self: &Arc<Self>, id: InstanceId, why: Why) -> bool {
        let Some(instance) = self.fleet.stopping(id) else { return false };
        instance.history().stopping(&why);
        let control = self.clone();
        self.loops.spawn(async move { control.stop_instance(instance, why).await });
        true
    }

    /// Stops an instance: its processes get no more calls, finish what they began, and go.
    ///
    /// Every request has a time limit of its own, so none is cut short because its instance is replaced; only when its
    /// version is gone or may not run does it have to end within the limit for that. A process that begins with nothing, or
    /// does not end, is ended by the sweep of the lane, so this does not wait for ever.
    async fn stop_instance(&self, instance: Running, why: Why) {
        tracing::info!(instance = %instance.id, ?why, "stopping an instance");
        let lane = &instance.listener.lane;
        let drained: Vec<_> = instance.seats().into_iter().map(|seat| lane.retire(seat)).collect();
        let drained = async {
            for seat in drained {
                seat.wait().await;
            }
        };
        if why == Why::Planned(StopReason::Unavailable) {
            // Past the limit the runner's own grace begins, and then the processes are killed.
            let _ = tokio::time::timeout(self.settings.drain_limit, drained).await;
        } else {
            drained.await;
        }
        self.settings.runner.stop(instance.id, instance.epoch).await;
    }
}

fn row(
    control: &Inner,
    id: InstanceId,
    project: &ProjectSnapshot,
    deployment: &DeploymentSnapshot,
    version: &VersionSnapshot,
    kind: InstanceType,
    code: &Code,
) -> Instance {
    let (now, life) = (Timestamp::now(), control.settings.life);
    Instance {
        id,
        project_id: project.id,
        deployment_id: deployment.id,
        version_id: version.id,
        revision_id: code.revision,
        instance_type: kind.name(),
        status: InstanceStatus::Pending,
        server_id: life.server,
        life: life.number,
        stop_wanted_by: None,
        created_at: now,
        updated_at: now,
        ended_at: None,
    }
}

/// The labels of lines about a version and its code.
pub(crate) fn labels(deployment: &DeploymentSnapshot, version: &VersionSnapshot, code: &Code) -> LogLabels {
    LogLabels {
        deployment_id: Some(deployment.id),
        deployment_name: Some(deployment.name.to_string()),
        deployment_version_id: Some(version.id),
        deployment_version: Some(version.name.to_string()),
        deployment_version_revision_id: Some(code.revision),
        environment_name: Some(code.environment.clone()),
        ..LogLabels::default()
    }
}

fn spec(
    control: &Inner,
    instance: &Running,
    (project, deployment, version): &Place,
    main_file: &str,
    mut env: Vec<(String, String)>,
) -> Result<InstanceSpec, String> {
    let settings = &control.settings;
    let code = version.code.as_ref().ok_or("The version has no code")?;
    let interpreter = settings.interpreter(&code.interpreter)?;
    let mut readable = vec![interpreter.base_prefix.clone()];
    let mut system = None;
    let program = match &code.content_key {
        Some(key) => {
            let folder = settings.environments.join("shared/environments").join(key);
            system = system_of(&folder).map_err(|cause| {
                tracing::error!(%cause, key, "the system packages of an environment cannot be looked for");
                "The instance could not be started: the server failed".to_owned()
            })?;
            readable.push(folder.clone());
            match interpreter.language {
                Language::Python => folder.join("bin/python"),
                Language::R => {
                    let mut libraries = r::library_in(&folder).display().to_string();
                    // The user's own, if there are any, come after that of the environment.
                    for (_, more) in env.extract_if(.., |(name, _)| name == r::LIBRARIES) {
                        libraries = format!("{libraries}:{more}");
                    }
                    env.push((r::LIBRARIES.to_owned(), libraries));
                    interpreter.path.clone()
                }
            }
        }
        None => interpreter.path.clone(),
    };
    Ok(InstanceSpec {
        instance: instance.id,
        epoch: instance.epoch,
        processes: version.instance_processes,
        language: interpreter.language,
        program,
        readable,
        system,
        package: folder_of_package(&settings.packages, code.revision),
        load: Load {
            main_file: main_file.to_owned(),
            context: context(project, deployment, version, interpreter.language, &env),
            input_type: deployment.input_type.as_str().to_owned(),
            output_type: deployment.output_type.as_str().to_owned(),
            output_fields: deployment.output_fields.iter().map(typed_field).collect(),
            input_files: deployment
                .input_fields
                .iter()
                .filter(|field| field.data_type.is_file())
                .map(typed_field)
                .collect(),
        },
        env,
        limits: super::limits::of(instance.kind, settings.hard_cpu_limit),
        egress: project.egress,
        maxima: Maxima::default(),
        init_limit: settings.init_limit,
        stop_grace: settings.stop_grace,
    })
}

/// What the processes of an instance find in their environment: the variables of files, those that the user set over them,
/// and over all those of the platform.
fn env(
    control: &Inner,
    (project, deployment, version): &Place,
    files: &[(String, String)],
    variables: &Variables,
    token: &str,
) -> Result<Vec<(String, String)>, String> {
    let own = [
        (MAIN_FILE, variables.main_file()),
        ("INT_API_URL", &control.settings.api_url),
        ("INT_API_TOKEN", token),
        ("UBIOPS_PROJECT", &project.name),
        ("UBIOPS_DEPLOYMENT", &deployment.name),
        ("UBIOPS_VERSION", &version.name),
    ];
    let others = variables.pairs().filter(|(name, _)| own.iter().all(|(own, _)| own != name));
    let own = own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut env: Vec<(String, String)> = others.chain(own).collect();
    let over = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let files = filled_in(files, &over)?;
    env.extend(files);
    Ok(env)
}

fn typed_field(field: &Field) -> TypedField {
    // A worker has files only; which are blobs is our business.
    let data_type = if field.data_type == DataType::Blob { DataType::File } else { field.data_type };
    TypedField { name: field.name.to_string(), data_type: data_type.as_str().to_owned() }
}

/// The context of the constructor (semantics 1.3); the runner adds the number of the process.
fn context(
    project: &ProjectSnapshot,
    deployment: &DeploymentSnapshot,
    version: &VersionSnapshot,
    language: Language,
    env: &[(String, String)],
) -> Map<String, Value> {
    let fields = |fields: &[Field]| -> Value {
        fields.iter().map(|field| json!({ "name": field.name, "data_type": field.data_type })).collect()
    };
    let variables: Map<String, Value> = env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let context = json!({
        "project": project.name,
        "project_id": project.id,
        "deployment": deployment.name.as_ref(),
        "deployment_id": deployment.id,
        "version": version.name.as_ref(),
        "version_id": version.id,
        "input_type": deployment.input_type,
        "output_type": deployment.output_type,
        "input_fields": fields(&deployment.input_fields),
        "output_fields": fields(&deployment.output_fields),
        "language": language.name(),
        "environment_variables": variables,
    });
    match context {
        Value::Object(context) => context,
        _ => Map::new(),
    }
}
