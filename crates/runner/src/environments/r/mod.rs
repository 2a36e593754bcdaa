//! R environments: a library of R packages, filled by an `install_packages.R` that is run or a `renv.lock` that is restored.

mod build;

use std::path::{Path, PathBuf};

pub use build::RSpec;

/// The variable by which R finds the library of an environment.
pub const LIBRARIES: &str = "R_LIBS";

/// The library of an environment in this folder.
pub fn library_in(environment: &Path) -> PathBuf {
    environment.join("library")
}

/// A file that says which R packages are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RFile {
    /// One of [`RFile::NAMES`].
    pub name: &'static str,
    /// Its text.
    pub content: String,
}

impl RFile {
    /// What such files are called.
    pub const NAMES: [&str; 2] = ["install_packages.R", "renv.lock"];

    /// The one among these files, names and texts; two are refused.
    pub fn among<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Option<Self>, String> {
        let mut found = None;
        for (name, content) in files {
            let Some(name) = Self::NAMES.into_iter().find(|known| *known == name) else { continue };
            if found.replace(Self { name, content: content.to_owned() }).is_some() {
                return Err("There are both install_packages.R and renv.lock; keep one of them".to_owned());
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_are_refused() {
        let files = [("install_packages.R", "x"), ("ubiops.yaml", ""), ("renv.lock", "{}")];
        assert!(RFile::among(files.into_iter()).is_err());
        assert_eq!(
            RFile::among(files.into_iter().take(2)).map(|file| file.map(|file| file.name)),
            Ok(Some("install_packages.R"))
        );
    }
}
