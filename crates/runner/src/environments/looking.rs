//! Looks into the index, when a build failed, for what could be had instead. It goes by the same uv and the same index
//! as the build, from the lines of which the answer is one locked version.

use super::{
    build::Build,
    doctor::{Look, names},
};

/// Pythons that are tried for wheels.
const MOST_PYTHONS: usize = 4;

/// A look into the index on behalf of a build.
pub(super) struct Looking<'a> {
    pub build: &'a Build<'a>,
}

impl Looking<'_> {
    /// What goes behind the sentence; nothing when nothing is found.
    pub async fn look(&self, look: &Look) -> Option<String> {
        match look {
            Look::Nearest { wanted } => self.nearest(wanted).await,
            Look::ForThisPython { package } => {
                // With what it needs: which Pythons a version is for may stand in its own file alone, read only then.
                let version = self.locked(package, &["--no-build"], Some(package)).await?;
                Some(format!("; or take {package}=={version}, the newest for this Python"))
            }
            Look::Wheels { wanted } => self.wheels(wanted).await,
        }
    }

    /// The versions below and above the one that does not exist.
    async fn nearest(&self, wanted: &str) -> Option<String> {
        let end = wanted.find(['=', '<', '>', '~', '!', '[', ' ', ';']).unwrap_or(wanted.len());
        let (package, specifier) = wanted.split_at(end);
        let exact = specifier.rsplit("==").next().filter(|_| specifier.contains("==") && !specifier.contains(','));
        let exact = exact.map(|version| version.trim_start_matches('=').trim_end_matches(".*"));
        let Some(exact) = exact else {
            let newest = self.version(package, &[]).await?;
            return Some(format!("; the newest that can be had is {newest}"));
        };
        let below = self.version(&format!("{package}<{exact}"), &[]).await;
        let above = self.version(&format!("{package}>{exact}"), &["--resolution", "lowest"]).await;
        match (below, above) {
            (Some(below), Some(above)) => Some(format!("; the nearest that do are {below} and {above}")),
            (Some(newest), None) => Some(format!("; the newest that can be had is {newest}")),
            (None, Some(oldest)) => Some(format!("; the oldest that can be had is {oldest}")),
            (None, None) => None,
        }
    }

    /// The Pythons on offer for which this version has wheels.
    async fn wheels(&self, wanted: &str) -> Option<String> {
        let spec = self.build.spec;
        let mut found = Vec::new();
        for minor in spec.offered.iter().filter(|minor| **minor != spec.interpreter.minor).take(MOST_PYTHONS) {
            if self.version(wanted, &["--python-version", minor]).await.is_some() {
                found.push(minor.as_str());
            }
        }
        if found.is_empty() {
            return None;
        }
        Some(format!("; it has wheels for Python {}: take such a base environment", names::either(&found)))
    }

    /// The version that a requirement stands for, of those that need not be built.
    async fn version(&self, requirement: &str, more: &[&str]) -> Option<String> {
        let options: Vec<&str> = ["--no-deps", "--no-build"].iter().chain(more).copied().collect();
        self.locked(requirement, &options, None).await
    }

    /// The version that a lock of a requirement has for a package, or for the first there is.
    async fn locked(&self, requirement: &str, options: &[&str], package: Option<&str>) -> Option<String> {
        let done = self.build.look_up(requirement, options).await?;
        let output = String::from_utf8_lossy(&done.output).into_owned();
        let pins = output.lines().filter_map(|line| line.split_whitespace().next()?.split_once("=="));
        let mut wanted = pins.filter(|(name, _)| package.is_none_or(|package| package == *name));
        wanted.next().map(|(_, version)| version.to_owned())
    }
}
