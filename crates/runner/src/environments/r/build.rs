//! Builds a library of R packages. All of it is code of users that runs, so nothing is shared between scopes.

use std::{ffi::OsString, path::Path, sync::Arc};

use uuid::Uuid;

use super::{
    super::{
        BuildError, Builder, Environment, Given, Log,
        build::hold,
        digest, doctor, environment,
        shelf::{self, Record, Shelf},
        steps::{Place, Steps},
        system::Layer,
    },
    RFile, library_in,
};
use crate::{interpreters::Interpreter, ubiops_yaml::Apt};
use tokio_util::sync::CancellationToken;

/// Part of each key: changes when this builder would build something else from the same files.
const BUILDER: &str = "modelyard R environment 1";
/// The program that fills a library.
const INSTALL: &str = include_str!("install.R");
/// How it tells what failed.
const FAILED: &str = "modelyard: ";

/// A library to build.
#[derive(Debug, Clone)]
pub struct RSpec<'a> {
    /// What is to be installed, in this order.
    pub files: &'a [RFile],
    /// The R to build for.
    pub interpreter: &'a Interpreter,
    /// Whose build it is.
    pub scope: &'a str,
    /// Build anew, even when there is one of these files.
    pub refresh: bool,
    /// What the code of packages finds in its environment.
    pub given: &'a Given,
    /// The system packages that are asked for: by the environment below, then by its own file.
    pub apt: &'a [Apt],
}

impl Builder {
    /// The environment for `spec`: the one that is there, or a new one. Two builds of one key wait for each other.
    pub async fn build_r(
        &self,
        spec: &RSpec<'_>,
        log: Log<'_>,
        cancel: &CancellationToken,
    ) -> Result<Environment, BuildError> {
        let settings = &self.settings;
        let steps = self.steps(spec.interpreter, spec.given, cancel, settings.time_limit);
        let built = async {
            let system = self.asking(&steps, spec.apt, spec.scope, spec.refresh, log).layer().await?;
            let layer = system.as_ref().map(|layer| layer.path.clone());
            let steps = Steps { layer, ..steps.clone() };
            let build = RBuild { shelf: &self.shelf, steps, spec, system, repository: &settings.r_repository, log };
            build.run().await
        };
        built.await.map_err(|error| self.told(error))
    }
}

/// One build on its way.
struct RBuild<'a> {
    shelf: &'a Arc<Shelf>,
    steps: Steps<'a>,
    spec: &'a RSpec<'a>,
    /// The system packages under the library.
    system: Option<Layer>,
    repository: &'a str,
    log: Log<'a>,
}

impl RBuild<'_> {
    async fn run(&self) -> Result<Environment, BuildError> {
        let name = self.name();
        let _lock = hold(self.shelf, &self.steps, &name).await?;
        // Which of the builds of these files counts: a script that is run again may come to another result.
        let made = self.shelf.resolved(&name);
        if let Some(made) = made.as_ref().filter(|_| !self.spec.refresh)
            && let Some(record) = self.shelf.record(made)
        {
            self.shelf.touch(made)?;
            return Ok(environment(self.shelf, made, record, true));
        }
        let key = digest(&[&name, &Uuid::new_v4().to_string()]);
        let _building = hold(self.shelf, &self.steps, &key).await?;
        let record = self.install(&key).await?;
        self.shelf.keep_resolved(&name, &key)?;
        Ok(environment(self.shelf, &key, record, false))
    }

    /// What builds of the same files have in common.
    fn name(&self) -> String {
        let (r, spec) = (self.spec.interpreter, self.spec);
        let files: Vec<&str> = spec.files.iter().flat_map(|file| [file.name, file.content.as_str()]).collect();
        let (home, files) = (r.base_prefix.to_string_lossy(), digest(&files));
        let system = self.system.as_ref().map_or("no system packages", |layer| &layer.key);
        let repository = self.repository;
        digest(&[BUILDER, &r.version, &home, &r.platform, repository, spec.scope, &spec.given.mark, &files, system])
    }

    async fn install(&self, key: &str) -> Result<Record, BuildError> {
        let path = self.shelf.blocking(key, Shelf::new_environment).await?;
        let filled = self.fill(&path, key).await;
        self.shelf.blocking(key, Shelf::remove_work).await?;
        let checked = match filled {
            Ok(()) => self.checked(key).await,
            Err(error) => Err(error),
        };
        if checked.is_err() {
            self.shelf.blocking(key, Shelf::remove_environment).await?;
        }
        checked
    }

    /// Runs the program in a fresh folder, with the environment's to write to.
    async fn fill(&self, path: &Path, key: &str) -> Result<(), BuildError> {
        let names = self.spec.files.iter().enumerate().map(|(at, file)| format!("{at}-{}", file.name));
        let names: Vec<String> = names.collect();
        let mut files = vec![("install.R", INSTALL.to_owned())];
        files.extend(names.iter().map(String::as_str).zip(self.spec.files.iter().map(|file| file.content.clone())));
        let files: Vec<(String, String)> = files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
        let work = self
            .shelf
            .blocking(key, move |shelf, key| {
                let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
                shelf.new_work(key, &files)
            })
            .await?;
        let place =
            Place { work: &work, cache: None, writes: &[path], fills: Some(path), builds_in: None, reads: None };
        // What R and compilers print belongs into the log as well.
        let mut args: Vec<OsString> = ["-c", "exec \"$0\" \"$@\" 1>&2"].map(OsString::from).to_vec();
        args.push(self.spec.interpreter.path.clone().into());
        // The host's site profile counts: it names the host's repository.
        let options = ["--no-save", "--no-restore", "--no-environ", "--no-init-file", "--no-echo"];
        args.extend(options.into_iter().chain(["--file=install.R", "--args"]).map(OsString::from));
        args.extend([library_in(path).into_os_string(), self.repository.into()]);
        args.extend(names.iter().map(OsString::from));
        let done = self.steps.run_shell(args, &place, self.log).await?;
        if done.status.success() {
            return Ok(());
        }
        let advice = "take smaller packages";
        let lacked = doctor::lacked(&done, self.shelf.root(), self.steps.limits.memory, advice);
        let told = lacked.unwrap_or_else(|| sentence(&done.errors, self.spec.files));
        Err(BuildError::Failed(doctor::shorten(&told)))
    }

    async fn checked(&self, key: &str) -> Result<Record, BuildError> {
        let (python, base_prefix) = (self.spec.interpreter.version.clone(), self.spec.interpreter.base_prefix.clone());
        let own = self.shelf.blocking(key, |shelf, key| shelf::size_of(&shelf.environment(key))).await?;
        let size = own + self.system.as_ref().map_or(0, |layer| layer.size);
        let system = self.system.as_ref().map(|layer| layer.key.clone());
        if let Some(sentence) = self.steps.limits.too_large(size) {
            return Err(BuildError::Failed(sentence));
        }
        let record = Record { python, base_prefix, size, imports: None, system };
        let completed = self.shelf.blocking(key, move |shelf, key| {
            if let Some(system) = &record.system {
                shelf.link_system(key, system)?;
            }
            shelf.complete(key, &record).map(|()| record)
        });
        Ok(completed.await?)
    }
}

/// What failed, from what was printed last.
fn sentence(lines: &[String], files: &[RFile]) -> String {
    let Some(told) = lines.iter().rev().find_map(|line| line.strip_prefix(FAILED)) else {
        let name = files.last().map_or("R", |file| file.name);
        return format!("{name}: R ended before all was installed; see the log of the build");
    };
    if !told.ends_with("could not be installed") {
        return told.to_owned();
    }
    let cause = |line: &String| {
        let line = line.trim_start();
        line.contains(" error: ") || line.starts_with("ERROR: ") || line.starts_with("Error")
    };
    match lines.iter().position(cause) {
        Some(at) => {
            // R goes on in the next line where the call it names is long.
            let more = lines.get(at + 1).filter(|_| lines[at].trim_end().ends_with(':'));
            let cause =
                [Some(&lines[at]), more].into_iter().flatten().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
            format!("{told}: {}", cause.replace(['\u{2018}', '\u{2019}'], "'"))
        }
        None => format!("{told}; see the log of the build"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> String {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        sentence(&lines, &[RFile { name: "install_packages.R", content: String::new() }])
    }

    #[test]
    fn the_cause_is_the_first_error() {
        let failed = "modelyard: install_packages.R line 1: package 'bad' could not be installed";
        assert_eq!(
            told(&[
                "gcc x.c",
                "x.c:3:5: error: no",
                "ERROR: compilation failed for package \u{2018}bad\u{2019}",
                failed
            ]),
            "install_packages.R line 1: package 'bad' could not be installed: x.c:3:5: error: no"
        );
        assert_eq!(
            told(&["* installing", failed]),
            "install_packages.R line 1: package 'bad' could not be installed; see the log of the build"
        );
        assert_eq!(
            told(&["Error in parse(outFile) : ", "  2:0: unexpected end of input", failed]),
            "install_packages.R line 1: package 'bad' could not be installed: Error in parse(outFile) : 2:0: unexpected end of input"
        );
        assert_eq!(told(&["modelyard: renv.lock: no"]), "renv.lock: no");
        assert_eq!(told(&["Killed"]), "install_packages.R: R ended before all was installed; see the log of the build");
    }
}
