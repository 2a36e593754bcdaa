//! What is asked for, by one file or by two that stand on each other.

use crate::ubiops_yaml::{Apt, Lined, Origins};

/// All of it as one text, without the lines it stands in.
pub(super) fn text_of(wanted: &[Apt]) -> String {
    let texts = |all: &[Lined]| all.iter().map(|it| it.text.clone()).collect::<Vec<_>>();
    let origins = |all: &Origins| (texts(&all.urls), texts(&all.items));
    let all: Vec<_> =
        wanted.iter().map(|apt| (texts(&apt.packages), origins(&apt.keys), origins(&apt.sources))).collect();
    format!("{all:?}")
}

/// The names of all packages, each once.
pub(super) fn packages(wanted: &[Apt]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for package in wanted.iter().flat_map(|apt| &apt.packages) {
        if !names.contains(&package.text.as_str()) {
            names.push(&package.text);
        }
    }
    names
}

/// The line of a package, as the file that asks for it counts; the last file is the environment's own.
pub(super) fn line_of(wanted: &[Apt], name: &str) -> Option<usize> {
    let plain = |text: &str| text.split(['=', ':']).next().unwrap_or_default().to_owned();
    let mut all = wanted.iter().rev().flat_map(|apt| &apt.packages);
    all.find(|package| package.text == name || plain(&package.text) == plain(name)).map(|package| package.line)
}
