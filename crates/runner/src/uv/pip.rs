//! Reads pip's settings of the host, as pip itself does.
//!
//! Files are read here instead of asking pip, because a host may have them without having a pip.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::index::Host;

/// pip's settings, by their names in its files.
#[derive(Debug, Default)]
pub(super) struct Settings(BTreeMap<String, String>);

impl Settings {
    pub fn one(&self, key: &str) -> Option<String> {
        self.0.get(key).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The values of a key that may have several, by spaces or lines.
    pub fn many(&self, key: &str) -> Vec<String> {
        self.0.get(key).map(|value| value.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
    }

    pub fn flag(&self, key: &str) -> bool {
        self.one(key).is_some_and(|value| matches!(value.to_lowercase().as_str(), "1" | "true" | "yes" | "on" | "y"))
    }
}

/// Merges the files, later ones over earlier ones, `[install]` over `[global]`, and `PIP_…` variables over both.
pub(super) fn read(host: &Host) -> Settings {
    let mut sections: BTreeMap<(String, String), String> = BTreeMap::new();
    for file in files(host) {
        if let Ok(text) = fs::read_to_string(file) {
            sections.extend(parse(&text));
        }
    }
    let mut merged = BTreeMap::new();
    for section in ["global", "install"] {
        let of_section = sections.iter().filter(|((name, _), _)| name == section);
        merged.extend(of_section.map(|((_, key), value)| (key.clone(), value.clone())));
    }
    for (name, value) in &host.env {
        if let Some(key) = name.strip_prefix("PIP_").filter(|_| !value.is_empty()) {
            merged.insert(normal(key), value.clone());
        }
    }
    Settings(merged)
}

/// pip's files: the system's, the user's, the interpreter's, and the one that is named.
fn files(host: &Host) -> Vec<PathBuf> {
    let named = host.get("PIP_CONFIG_FILE");
    if named == Some("/dev/null") {
        return Vec::new();
    }
    let mut files = Vec::new();
    let shared = host.get("XDG_CONFIG_DIRS").map(str::to_owned);
    let shared = shared.unwrap_or_else(|| host.etc.join("xdg").display().to_string());
    files.extend(shared.split(':').map(|folder| Path::new(folder).join("pip/pip.conf")));
    files.push(host.etc.join("pip.conf"));
    files.extend(host.get("HOME").map(|home| Path::new(home).join(".pip/pip.conf")));
    files.extend(host.config_folder().map(|folder| folder.join("pip/pip.conf")));
    files.extend(host.prefixes.iter().map(|prefix| prefix.join("pip.conf")));
    files.extend(named.map(PathBuf::from));
    files
}

fn normal(key: &str) -> String {
    key.trim().to_lowercase().replace('_', "-")
}

/// The values of an ini file by section and key; lines that are indented go on with the value above.
fn parse(text: &str) -> BTreeMap<(String, String), String> {
    let mut values: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut section = String::new();
    let mut last = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let Some(value) = last.as_ref().and_then(|key| values.get_mut(key))
        {
            value.push('\n');
            value.push_str(trimmed);
        } else if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim().to_owned();
            last = None;
        } else if let Some((key, value)) = trimmed.split_once(['=', ':']) {
            let key = (section.clone(), normal(key));
            values.insert(key.clone(), value.trim().to_owned());
            last = Some(key);
        }
    }
    values
}
