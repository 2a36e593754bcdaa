//! Which paths a zip may hold.

use std::collections::HashSet;

use super::{Limits, Refusal, directory::Entry};

/// Checks one path and says whether it is a folder; `None` for the zip's own top folder.
pub(super) fn check(raw: &[u8], limits: &Limits) -> Result<Option<(String, bool)>, Refusal> {
    let refuse = |why: &str| Err(Refusal::content(format!("The zip's entry {} {why}", shown(raw))));
    let Ok(name) = std::str::from_utf8(raw) else { return refuse("has a name that is not UTF-8") };
    if name.is_empty() {
        return refuse("has no name");
    }
    if name.len() > limits.path_bytes {
        return refuse("has a path that is too long");
    }
    if name.chars().any(char::is_control) {
        return refuse("has a name with control characters");
    }
    if name.contains('\\') {
        return refuse("has a backslash in its name; folders are separated by '/' (another zip program helps)");
    }
    if name.starts_with('/') {
        return refuse("has an absolute path");
    }
    if name.as_bytes().get(1) == Some(&b':') && name.as_bytes()[0].is_ascii_alphabetic() {
        return refuse("has a path with a drive letter");
    }
    let folder = name.ends_with('/');
    let parts: Vec<&str> = name.strip_suffix('/').unwrap_or(name).split('/').filter(|part| *part != ".").collect();
    if parts.contains(&"..") {
        return refuse("leaves the package by '..'");
    }
    if parts.contains(&"") {
        return refuse("has an empty part in its path");
    }
    if parts.len() > limits.depth {
        return refuse("lies too deep in folders");
    }
    if parts.iter().any(|part| part.len() > 255) {
        return refuse("has a name of more than 255 bytes");
    }
    if parts.is_empty() {
        return if folder { Ok(None) } else { refuse("has no name") };
    }
    Ok(Some((parts.join("/"), folder)))
}

/// A path for use in a sentence, whatever its bytes.
pub(super) fn shown(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut short: String = text.chars().take(100).flat_map(char::escape_debug).collect();
    if text.chars().nth(100).is_some() {
        short.push('…');
    }
    format!("'{short}'")
}

/// Refuses two entries of one name, and a file where another entry needs a folder.
pub(super) fn check_collisions(entries: &[Entry], limits: &Limits) -> Result<(), Refusal> {
    let mut seen = HashSet::with_capacity(entries.len());
    let mut folders = HashSet::new();
    for entry in entries {
        if !seen.insert(entry.name.as_str()) {
            return Err(Refusal::content(format!("The zip holds {} twice", shown(entry.name.as_bytes()))));
        }
        let mut path = entry.name.as_str();
        while let Some((parent, _)) = path.rsplit_once('/')
            && folders.insert(parent)
        {
            path = parent;
        }
        if folders.len() as u64 > limits.entries {
            return Err(Refusal::content("The zip holds more folders than allowed"));
        }
    }
    match entries.iter().find(|entry| !entry.folder && folders.contains(entry.name.as_str())) {
        Some(entry) => Err(Refusal::content(format!(
            "The zip holds {} both as a file and as a folder",
            shown(entry.name.as_bytes())
        ))),
        None => Ok(()),
    }
}
