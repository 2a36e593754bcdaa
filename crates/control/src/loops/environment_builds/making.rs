//! What is asked of the builder: to make an environment, or to look whether it can be made.

use std::sync::Arc;
use std::time::Duration;

use modelyard_runner::environments::{BuildError, Builder, Given, Spec};
use modelyard_runner::interpreters::Interpreter;
use modelyard_runner::ubiops_yaml;
use modelyard_store::EnvironmentBuild;
use modelyard_store::logs::Level;
use tokio_util::sync::CancellationToken;

use super::{Below, Made, Target, log};
use crate::Control;
use crate::environments::REBUILD;

/// Makes an environment; the error is for the user.
pub(super) async fn try_make(
    control: &Control,
    build: &EnvironmentBuild,
    target: &Target,
    called_off: &CancellationToken,
) -> Made {
    let prepared = prepare(control, build, target, called_off).await?;
    let log = |line: &str| log(control, build, target, Level::Info, line);
    prepared.builder.build(&prepared.spec(build), &log, called_off).await.map_err(|error| match error {
        BuildError::Io(cause) => {
            tracing::error!(%cause, build = %build.id, "an environment could not be built");
            "The environment could not be built: the server failed. See the server's log for details.".to_owned()
        }
        error => error.to_string(),
    })
}

/// Looks whether a build's requirements can be met; the error is for the user. What only the build can tell is no error.
pub(super) async fn try_check(
    control: &Control,
    build: &EnvironmentBuild,
    target: &Target,
    called_off: &CancellationToken,
    time_limit: Duration,
) -> Result<(), String> {
    let prepared = prepare(control, build, target, called_off).await?;
    let log = |line: &str| log(control, build, target, Level::Info, line);
    match prepared.builder.check(&prepared.spec(build), &log, called_off, time_limit).await {
        Err(BuildError::Failed(message)) => Err(message),
        Err(error) => {
            tracing::debug!(%error, build = %build.id, "requirements could not be looked at before their build");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// What a builder is told.
struct Prepared<'a> {
    builder: Arc<Builder>,
    interpreter: Interpreter,
    offered: Vec<String>,
    requirements: String,
    scope: String,
    given: &'a Given,
}

impl Prepared<'_> {
    fn spec(&self, build: &EnvironmentBuild) -> Spec<'_> {
        Spec {
            requirements: &self.requirements,
            interpreter: &self.interpreter,
            offered: &self.offered,
            scope: &self.scope,
            refresh: build.build_trigger == REBUILD,
            given: self.given,
        }
    }
}

async fn prepare<'a>(
    control: &Control,
    build: &EnvironmentBuild,
    target: &'a Target,
    called_off: &CancellationToken,
) -> Result<Prepared<'a>, String> {
    let requirements = requirements_of(control, build, target)?;
    let settings = control.settings();
    let builder = tokio::select! {
        builder = settings.builder() => builder?,
        () = called_off.cancelled() => return Err(BuildError::Cancelled.to_string()),
    };
    let interpreter =
        settings.interpreters.iter().find(|it| it.minor == target.environment.interpreter).ok_or_else(|| {
            format!("Python {} is no longer installed on this server", target.environment.interpreter)
        })?;
    Ok(Prepared {
        builder,
        interpreter: interpreter.clone(),
        offered: settings.interpreters.iter().map(|it| it.minor.clone()).collect(),
        requirements,
        scope: target.project.to_string(),
        given: target.given.as_ref().map_err(Clone::clone)?,
    })
}

/// What is to be installed: the requirements of the environment, and below them those of the one it stands on.
pub(super) fn requirements_of(control: &Control, build: &EnvironmentBuild, target: &Target) -> Result<String, String> {
    let own = &target.made_of.requirements;
    for file in target.made_of.dependency_files.iter().flatten() {
        match file.name.as_str() {
            "environment.yaml" => {
                log(control, build, target, Level::Info, "The file environment.yaml is passed over");
            }
            "ubiops.yaml" => check_ubiops_yaml(&file.content)?,
            "install_packages.R" | "renv.lock" => {
                return Err(format!("The file {} is for R, which is not offered; remove it", file.name));
            }
            _ => {}
        }
    }
    let files = target.made_of.dependency_files.as_deref();
    if files.is_some_and(|files| !files.iter().any(|it| it.name == "requirements.txt" || it.name == "ubiops.yaml")) {
        return Err("Could not find the requirements file".into());
    }
    match &target.below {
        Below::Base => Ok(own.clone()),
        // Own lines first, so that what is told of a line names it as its writer knows it.
        Below::Build(_, below) => Ok(format!("{own}\n{below}")),
        Below::NotAvailable(name) => Err(format!("Environment '{name}' is not available")),
    }
}

/// Refuses a file that is not understood, and what cannot be given.
fn check_ubiops_yaml(content: &str) -> Result<(), String> {
    let file = ubiops_yaml::parse(content)?;
    if let Some(apt) = file.apt {
        return Err(format!(
            "ubiops.yaml line {}: this server does not install system packages (apt); remove apt, and ask the operator for \
             the packages {}",
            apt.line,
            apt.packages.join(", ")
        ));
    }
    if file.variables.is_empty() {
        return Ok(());
    }
    Err("ubiops.yaml: its environment_variables are not supported yet; make them variables of the version".to_owned())
}
