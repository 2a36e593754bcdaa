//! What is asked of the builder: to make an environment, or to look whether it can be made.

use std::sync::Arc;
use std::time::Duration;

use modelyard_runner::environments::r::{RFile, RSpec};
use modelyard_runner::environments::{BuildError, Builder, Given, Log, Spec};
use modelyard_runner::interpreters::Interpreter;
use modelyard_runner::ubiops_yaml::Apt;
use modelyard_store::EnvironmentBuild;
use modelyard_store::logs::Level;
use modelyard_types::language::Language;
use tokio_util::sync::CancellationToken;

use super::asked::Asked;
use super::{Made, Target, log};
use crate::Control;
use crate::environments::REBUILD;

/// Makes an environment; the error is for the user.
pub(super) async fn try_make(
    control: &Control,
    build: &EnvironmentBuild,
    target: &Target,
    called_off: &CancellationToken,
) -> Made {
    let log = |line: &str| log(control, build, target, Level::Info, line);
    let prepared = prepare(control, target, &log, called_off).await?;
    let made = match prepared.interpreter.language {
        Language::Python => prepared.builder.build(&prepared.spec(build), &log, called_off).await,
        Language::R => prepared.builder.build_r(&prepared.r_spec(build), &log, called_off).await,
    };
    made.map_err(|error| match error {
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
    let log = |line: &str| log(control, build, target, Level::Info, line);
    let prepared = prepare(control, target, &log, called_off).await?;
    if prepared.interpreter.language == Language::R {
        // Only a build can tell: the file is a program.
        return Ok(());
    }
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
struct Prepared {
    builder: Arc<Builder>,
    interpreter: Interpreter,
    offered: Vec<String>,
    requirements: String,
    r: Vec<RFile>,
    scope: String,
    given: Given,
    apt: Vec<Apt>,
}

impl Prepared {
    fn spec(&self, build: &EnvironmentBuild) -> Spec<'_> {
        Spec {
            requirements: &self.requirements,
            interpreter: &self.interpreter,
            offered: &self.offered,
            scope: &self.scope,
            refresh: build.build_trigger == REBUILD,
            given: &self.given,
            apt: &self.apt,
        }
    }

    fn r_spec(&self, build: &EnvironmentBuild) -> RSpec<'_> {
        RSpec {
            files: &self.r,
            interpreter: &self.interpreter,
            scope: &self.scope,
            refresh: build.build_trigger == REBUILD,
            given: &self.given,
            apt: &self.apt,
        }
    }
}

async fn prepare(
    control: &Control,
    target: &Target,
    log: Log<'_>,
    called_off: &CancellationToken,
) -> Result<Prepared, String> {
    let asked = Asked::of(target, log)?;
    let given = asked.given(target, log)?;
    let settings = control.settings();
    let builder = tokio::select! {
        builder = settings.builder() => builder?,
        () = called_off.cancelled() => return Err(BuildError::Cancelled.to_string()),
    };
    let interpreter = settings.interpreter(&target.environment.interpreter)?;
    Ok(Prepared {
        builder,
        interpreter: interpreter.clone(),
        offered: settings
            .interpreters
            .iter()
            .filter(|it| it.language == Language::Python)
            .map(|it| it.minor.clone())
            .collect(),
        requirements: asked.requirements,
        r: asked.r,
        scope: target.organization.to_string(),
        given,
        apt: asked.apt,
    })
}
