//! What the files of an environment ask for, together with those of the environment it stands on.

use std::collections::BTreeMap;

use modelyard_runner::environments::r::RFile;
use modelyard_runner::environments::{Given, Log};
use modelyard_runner::ubiops_yaml::{self, Apt, UbiopsYaml, filled_in, unset};
use modelyard_store::EnvironmentRevision;
use modelyard_types::language::{InterpreterKey, Language};

use super::{Below, Target};

/// What is asked for.
pub(super) struct Asked {
    /// What is to be installed.
    pub requirements: String,
    /// The files for R, in the order in which they are to be installed.
    pub r: Vec<RFile>,
    /// The variables of `ubiops.yaml`: of those of one name the last counts.
    variables: Vec<(String, String)>,
    /// The system packages that are asked for, by the environment below and by its own file.
    pub apt: Vec<Apt>,
}

impl Asked {
    /// Reads the files; refuses those that are not understood.
    pub(super) fn of(target: &Target, log: Log<'_>) -> Result<Self, String> {
        let mut own = UbiopsYaml::default();
        let language = InterpreterKey::of(&target.environment.interpreter).language;
        for file in target.made_of.dependency_files.iter().flatten() {
            match file.name.as_str() {
                "environment.yaml" => log("The file environment.yaml is passed over"),
                "ubiops.yaml" => own = ubiops_yaml::parse(&file.content)?,
                name => check_language(name, language)?,
            }
        }
        let r = r_of(&target.made_of)?;
        check_any(&target.made_of, language)?;
        let requirements = target.made_of.requirements.clone();
        match &target.below {
            Below::Base => Ok(Self {
                requirements,
                r: r.into_iter().collect(),
                variables: own.variables,
                apt: own.apt.into_iter().collect(),
            }),
            Below::Build(_, below) => {
                let file = below.ubiops_yaml().map(ubiops_yaml::parse).transpose()?.unwrap_or_default();
                Ok(Self {
                    r: r_of(below)?.into_iter().chain(r).collect(),
                    // Own lines first, so that what is told of a line names it as its writer knows it.
                    requirements: format!("{requirements}\n{}", below.requirements),
                    variables: [file.variables, own.variables].concat(),
                    apt: file.apt.into_iter().chain(own.apt).collect(),
                })
            }
            Below::NotAvailable(name) => Err(format!("Environment '{name}' is not available")),
        }
    }

    /// The variables of the build: those of the files, and over them those that were made for the environment.
    pub(super) fn given(&self, target: &Target, log: Log<'_>) -> Result<Given, String> {
        let mut given = target.given.clone()?;
        let over: BTreeMap<&str, &str> =
            given.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        for name in unset(&self.variables, &over) {
            log(&format!(
                "ubiops.yaml: no variable {name} is known to the build, so ${{{name}}} stands for nothing in it"
            ));
        }
        let files = filled_in(&self.variables, &over)?;
        // As they were written: what they refer to is marked by itself, and may be secret.
        let counted: BTreeMap<_, _> = self.variables.iter().map(|(name, text)| (name, text)).collect();
        let seen: Vec<_> = files.iter().map(|(name, _)| (name, counted.get(name))).collect();
        if !seen.is_empty() {
            given.mark.push_str(&format!("ubiops.yaml {seen:?}"));
        }
        given.env.extend(files);
        Ok(given)
    }
}

/// Refuses a file that is for the other language.
fn check_language(name: &str, language: Language) -> Result<(), String> {
    let is_for = if RFile::NAMES.contains(&name) { Language::R } else { Language::Python };
    if is_for == language {
        return Ok(());
    }
    let (is_for, language) = (is_for.title(), language.title());
    Err(format!("The file {name} is for {is_for}, and the environment is one of {language}; remove it"))
}

/// Refuses files of an environment of which none says what is to be in it.
fn check_any(made_of: &EnvironmentRevision, language: Language) -> Result<(), String> {
    let any = |names: &[&str]| {
        let files = made_of.dependency_files.as_deref();
        files.is_none_or(|files| files.iter().any(|file| names.contains(&file.name.as_str())))
    };
    match language {
        Language::Python if !any(&["requirements.txt", "ubiops.yaml"]) => {
            Err("Could not find the requirements file".into())
        }
        Language::R if !any(&["install_packages.R", "renv.lock", "ubiops.yaml"]) => {
            Err("Could not find install_packages.R or renv.lock".into())
        }
        _ => Ok(()),
    }
}

/// The file for R among those of an environment.
fn r_of(made_of: &EnvironmentRevision) -> Result<Option<RFile>, String> {
    RFile::among(made_of.dependency_files.iter().flatten().map(|file| (file.name.as_str(), file.content.as_str())))
}
