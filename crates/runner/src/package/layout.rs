//! Finds the package inside the zip: its root folder and its main file.

use std::collections::BTreeSet;

use super::{Language, Refusal, directory::Entry, names::shown};

/// The root used when the zip holds several folders.
const PREFERRED_ROOT: &str = "deployment_package";
/// What operating systems add to a zip on their own.
const JUNK: [&str; 4] = ["__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"];
const LONGEST_MAIN_FILE: usize = 255;

#[derive(Debug)]
pub(super) struct Layout {
    pub root: String,
    pub main_file: String,
    pub language: Language,
    /// Whether there is a main file in the other language too.
    pub bilingual: bool,
}

/// Finds the root and the main file.
///
/// The zip's own top is the root when the main file lies there. Else the only folder is, or, of several, the one
/// called `deployment_package`. Of two main files that in the language `wanted` counts.
pub(super) fn find(entries: &[Entry], main_file: &str, wanted: Language) -> Result<Layout, Refusal> {
    let names = candidates(main_file)?;
    let all = |root: &str| {
        let is_there = |name: &str| entries.iter().any(|entry| !entry.folder && below(root, &entry.name) == Some(name));
        names.iter().filter(|(name, _)| is_there(name)).collect::<Vec<_>>()
    };
    let has = |root: &str| {
        let all = all(root);
        all.iter().find(|(_, language)| *language == wanted).or(all.first()).copied()
    };
    let root = match has("") {
        Some(_) => String::new(),
        None => only_folder(entries),
    };
    let Some((main_file, language)) = has(&root) else {
        let names: Vec<String> = names.iter().map(|(name, _)| shown(name.as_bytes())).collect();
        let place = if root.is_empty() { String::new() } else { format!(" in its folder {}", shown(root.as_bytes())) };
        return Err(Refusal::content(format!("The package has no file {}{place}", names.join(" or "))));
    };
    let bilingual = all(&root).len() > 1;
    Ok(Layout { main_file: main_file.clone(), language: *language, bilingual, root })
}

/// The name of `path` below `root`, or `None` when it lies elsewhere.
pub(super) fn below<'a>(root: &str, path: &'a str) -> Option<&'a str> {
    if root.is_empty() {
        let junk = JUNK.iter().any(|junk| path == *junk || path.strip_prefix(junk).is_some_and(|p| p.starts_with('/')));
        return (!junk).then_some(path);
    }
    path.strip_prefix(root)?.strip_prefix('/')
}

/// The only folder at the top, or the preferred one of several; empty when there is none.
fn only_folder(entries: &[Entry]) -> String {
    let folders: BTreeSet<&str> = entries
        .iter()
        .filter_map(|entry| match entry.name.split_once('/') {
            Some((folder, _)) => Some(folder),
            None => entry.folder.then_some(entry.name.as_str()),
        })
        .filter(|folder| !JUNK.contains(folder))
        .collect();
    match folders.len() {
        1 => folders.first().copied().unwrap_or_default().to_owned(),
        _ if folders.contains(PREFERRED_ROOT) => PREFERRED_ROOT.to_owned(),
        _ => String::new(),
    }
}

/// The file names that `main_file` stands for.
fn candidates(main_file: &str) -> Result<Vec<(String, Language)>, Refusal> {
    let name = if main_file.is_empty() { "deployment" } else { main_file };
    if name.contains(['/', '\\']) || name.chars().any(char::is_control) || name.len() > LONGEST_MAIN_FILE {
        return Err(Refusal::content(format!("{} is not a name for a main file", shown(name.as_bytes()))));
    }
    Ok(match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("py") => vec![(name.to_owned(), Language::Python)],
        Some("R") => vec![(name.to_owned(), Language::R)],
        _ => vec![(format!("{name}.py"), Language::Python), (format!("{name}.R"), Language::R)],
    })
}
