//! What the files of an environment ask for, together with those of the environment it stands on.

use std::collections::BTreeMap;

use modelyard_runner::environments::{Given, Log};
use modelyard_runner::ubiops_yaml::{self, UbiopsYaml, filled_in, unset};

use super::{Below, Target};

/// What is asked for.
pub(super) struct Asked {
    /// What is to be installed.
    pub requirements: String,
    /// The variables of `ubiops.yaml`: of those of one name the last counts.
    variables: Vec<(String, String)>,
}

impl Asked {
    /// Reads the files; refuses those that are not understood, and what cannot be given.
    pub(super) fn of(target: &Target, log: Log<'_>) -> Result<Self, String> {
        let mut own = UbiopsYaml::default();
        for file in target.made_of.dependency_files.iter().flatten() {
            match file.name.as_str() {
                "environment.yaml" => log("The file environment.yaml is passed over"),
                "ubiops.yaml" => own = read(&file.content)?,
                "install_packages.R" | "renv.lock" => {
                    return Err(format!(
                        "The file {} is for R, and the environment is one of Python; remove it",
                        file.name
                    ));
                }
                _ => {}
            }
        }
        let files = target.made_of.dependency_files.as_deref();
        if files.is_some_and(|files| !files.iter().any(|it| it.name == "requirements.txt" || it.name == "ubiops.yaml"))
        {
            return Err("Could not find the requirements file".into());
        }
        let requirements = target.made_of.requirements.clone();
        match &target.below {
            Below::Base => Ok(Self { requirements, variables: own.variables }),
            Below::Build(_, below) => Ok(Self {
                // Own lines first, so that what is told of a line names it as its writer knows it.
                requirements: format!("{requirements}\n{}", below.requirements),
                variables: [below.ubiops_yaml().map(read).transpose()?.unwrap_or_default().variables, own.variables]
                    .concat(),
            }),
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

/// Reads a `ubiops.yaml`, and refuses what cannot be given.
fn read(content: &str) -> Result<UbiopsYaml, String> {
    let file = ubiops_yaml::parse(content)?;
    match &file.apt {
        None => Ok(file),
        Some(apt) => Err(format!(
            "ubiops.yaml line {}: this server does not install system packages (apt); remove apt, and ask the operator for \
             the packages {}",
            apt.line,
            apt.packages.join(", ")
        )),
    }
}
