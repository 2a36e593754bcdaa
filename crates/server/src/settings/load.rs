//! Reads the settings: flags over environment over file over defaults. What is not known is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Entry, PREFIX, Settings, TABLE};

/// Where the path of the settings file can be set besides the flag.
const FILE_VARIABLE: &str = "MODELYARD_CONFIG";

/// What was said outside of the file.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Flags: the key of a setting, the flag's name and its value.
    pub flags: Vec<(&'static str, &'static str, String)>,
    /// The file named by a flag.
    pub file: Option<PathBuf>,
    /// The environment, or what tests put in its place.
    pub environment: Vec<(String, String)>,
}

impl Given {
    /// Takes our variables from the process's environment.
    pub fn from_environment() -> Self {
        let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(PREFIX));
        let environment = ours.map(|(name, value)| (lossy(name), lossy(value))).collect();
        Self { environment, ..Self::default() }
    }
}

fn lossy(text: std::ffi::OsString) -> String {
    text.to_string_lossy().into_owned()
}

/// The settings in force, and where each came from.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The settings.
    pub settings: Settings,
    /// By key: `default`, the file's path, the variable or the flag.
    pub origins: BTreeMap<&'static str, String>,
}

/// Reads the settings. The error is a sentence that says what is wrong and where.
pub fn load(given: &Given) -> Result<InForce, String> {
    let origins = TABLE.iter().map(|entry| (entry.key, "default".to_owned())).collect();
    let mut in_force = InForce { settings: Settings::default(), origins };
    if let Some(path) = file(given) {
        for (key, value) in read_file(&path)? {
            let entry = known(&key).ok_or_else(|| unknown(&format!("The file {}", path.display()), &key))?;
            in_force.set(entry, &value, path.display().to_string())?;
        }
    }
    for (variable, value) in &given.environment {
        if let Some(key) = variable.strip_prefix(PREFIX).filter(|_| variable != FILE_VARIABLE) {
            let entry = known(&key.to_lowercase()).filter(|entry| entry.variable() == *variable);
            let entry = entry.ok_or_else(|| unknown_variable(variable))?;
            in_force.set(entry, value, variable.clone())?;
        }
    }
    for (key, flag, value) in &given.flags {
        let entry = known(key).ok_or_else(|| unknown("The command line", key))?;
        in_force.set(entry, value, (*flag).to_owned())?;
    }
    Ok(in_force)
}

impl InForce {
    fn set(&mut self, entry: &'static Entry, value: &str, origin: String) -> Result<(), String> {
        (entry.set)(&mut self.settings, value.trim())
            .map_err(|rule| format!("The setting {} (from {origin}) is not valid: it must be {rule}.", entry.key))?;
        self.origins.insert(entry.key, origin);
        Ok(())
    }
}

fn known(key: &str) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.key == key)
}

fn file(given: &Given) -> Option<PathBuf> {
    let variable = given.environment.iter().find(|(name, value)| name == FILE_VARIABLE && !value.is_empty());
    given.file.clone().or_else(|| variable.map(|(_, path)| PathBuf::from(path)))
}

fn read_file(path: &Path) -> Result<Vec<(String, String)>, String> {
    let place = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| format!("The file {place} cannot be read: {e}."))?;
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| format!("The file {place} is not valid TOML: {}", e.to_string().trim_end()))?;
    table
        .into_iter()
        .map(|(key, value)| {
            let text = written(&value).ok_or_else(|| {
                format!(
                    "The setting {key} in the file {place} must be a text, a number, true, false, or a list of texts."
                )
            })?;
            Ok((key, text))
        })
        .collect()
}

/// A value of the file as one would write it in a variable.
fn written(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<_>> =
                items.iter().map(|item| item.as_str().filter(|item| !item.contains(','))).collect();
            Some(items?.join(","))
        }
        _ => None,
    }
}

fn unknown(place: &str, key: &str) -> String {
    match nearest(key, TABLE.iter().map(|entry| entry.key.to_owned())) {
        Some(near) => format!("{place} sets {key}, which is not a setting. Did you mean {near}?"),
        None => format!("{place} sets {key}, which is not a setting. `modelyard config` lists those there are."),
    }
}

fn unknown_variable(variable: &str) -> String {
    let variables = TABLE.iter().map(Entry::variable).chain([FILE_VARIABLE.to_owned()]);
    match nearest(variable, variables) {
        Some(near) => format!("The environment sets {variable}, which is not a setting. Did you mean {near}?"),
        None => format!(
            "The environment sets {variable}, which is not a setting. `modelyard config` lists those there are."
        ),
    }
}

fn nearest(text: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let distances = known.map(|name| (strsim::damerau_levenshtein(text, &name), name));
    distances.filter(|(distance, _)| *distance <= 3).min().map(|(_, name)| name)
}
