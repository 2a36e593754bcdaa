//! `ubiops.yaml`: the variables and system packages that a package or an environment asks for.
//!
//! It is read strictly: what is not understood is refused with its line, and never passed over.

mod references;
mod tree;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests;

use modelyard_types::variables::{MAIN_FILE, MAX_LEVEL, OLD_MAIN_FILE, OVERHEAD, is_of_platform};

use self::tree::{Item, Kind};

pub use references::{filled_in, unset};

/// Names that the builder sets.
const OURS: [&str; 7] = ["PATH", "HOME", "TMPDIR", "LANG", "NO_COLOR", "SSL_CERT_FILE", "SSL_CERT_DIR"];
/// How the names of more of them begin or end.
const OUR_PREFIXES: [&str; 4] = ["UV_", "PIP_", "MODELYARD_", "SSL_CLIENT_"];
const OUR_SUFFIX: &str = "_PROXY";
/// Longer values cannot be handed to a process together with others.
const LONGEST_VALUE: usize = 64 << 10;
const MOST_VARIABLES: usize = 1000;

/// What the file asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UbiopsYaml {
    /// Names and values in their order; values may refer to other variables, see [`filled_in`].
    pub variables: Vec<(String, String)>,
    /// The system packages.
    pub apt: Option<Apt>,
}

/// System packages, and where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apt {
    /// The line that the wish stands in.
    pub line: usize,
    /// Names of packages, each with `=version` or `:architecture` if wanted; at least one.
    pub packages: Vec<Lined>,
    /// Keys that sources are signed with.
    pub keys: Origins,
    /// Lists of packages beside those of the distribution.
    pub sources: Origins,
}

/// Things given by address or in full.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// Addresses to fetch them from.
    pub urls: Vec<Lined>,
    /// Their text.
    pub items: Vec<Lined>,
}

/// A text of the file, and the line it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lined {
    /// The text.
    pub text: String,
    /// The line.
    pub line: usize,
}

/// Reads the file; the sentence names the line and what to do.
pub fn parse(text: &str) -> Result<UbiopsYaml, String> {
    read(text).map_err(|(line, why)| format!("ubiops.yaml line {line}: {why}"))
}

/// Why a line is not taken.
type Refused = (usize, String);

fn read(text: &str) -> Result<UbiopsYaml, Refused> {
    let mut file = UbiopsYaml::default();
    let Some(root) = tree::read(text)? else { return Ok(file) };
    for (name, line, item) in map(root, "the file", "environment_variables: and apt:")? {
        match name.as_str() {
            "environment_variables" => file.variables = variables(item)?,
            "apt" => file.apt = Some(apt(line, item)?),
            _ => return Err(unknown(line, &name, "environment_variables and apt")),
        }
    }
    Ok(file)
}

fn variables(item: Item) -> Result<Vec<(String, String)>, Refused> {
    let mut all: Vec<(String, String)> = Vec::new();
    for (text, line) in texts(item, "environment_variables", "- NAME=value")? {
        let split = text.split_once('=');
        let (name, value) = split.ok_or_else(|| (line, format!("'{}' has no '='; write - NAME=value", cut(&text))))?;
        check_name(name).map_err(|why| (line, why))?;
        if all.iter().any(|(known, _)| known == name) {
            return Err((line, format!("the variable {name} is there twice; keep one of them")));
        }
        if value.len() > LONGEST_VALUE {
            return Err((line, format!("the value of {name} has more than {LONGEST_VALUE} bytes; put it into a file")));
        }
        if value.contains('\0') {
            return Err((line, format!("the value of {name} has a NUL character; leave it out")));
        }
        if all.len() == MOST_VARIABLES {
            return Err((line, format!("there are more than {MOST_VARIABLES} variables; put values into a file")));
        }
        all.push((name.to_owned(), value.to_owned()));
        check_size(&all).map_err(|why| (line, why))?;
        references::check(&all).map_err(|why| (line, why))?;
    }
    Ok(all)
}

/// Refuses more than a program can be started with, beside the variables of other levels.
fn check_size(variables: &[(String, String)]) -> Result<(), String> {
    let size: usize = variables.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD).sum();
    if size > MAX_LEVEL {
        return Err(format!("environment_variables take more than {MAX_LEVEL} bytes together; put values into files"));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    let begins = name.starts_with(|letter: char| letter.is_ascii_uppercase() || letter == '_');
    let letters = |letter: u8| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == b'_';
    if !begins || !name.bytes().all(letters) || name.len() > 255 {
        return Err(format!(
            "'{}' is no name of a variable; use capital letters, digits and underscores, without a digit in front",
            cut(name)
        ));
    }
    if name == MAIN_FILE || name == OLD_MAIN_FILE {
        return Err(format!(
            "{name} names the main file of code before its environment is known; make it a variable of \
             the version, its deployment or project"
        ));
    }
    let ours = OURS.contains(&name) || OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if ours || is_of_platform(name) || name.ends_with(OUR_SUFFIX) {
        return Err(format!("the variable {name} is set by the platform and cannot be set here; remove it"));
    }
    Ok(())
}

fn apt(line: usize, item: Item) -> Result<Apt, Refused> {
    let mut apt = Apt { line, packages: Vec::new(), keys: Origins::default(), sources: Origins::default() };
    for (name, at, item) in map(item, "apt", "packages:")? {
        match name.as_str() {
            "packages" => apt.packages = packages(item)?,
            "keys" => apt.keys = origins(item, "apt.keys")?,
            "sources" => apt.sources = origins(item, "apt.sources")?,
            _ => return Err(unknown(at, &name, "packages, keys and sources")),
        }
    }
    if apt.packages.is_empty() {
        return Err((line, "apt has no packages; list at least one below packages:, or remove apt".to_owned()));
    }
    Ok(apt)
}

fn packages(item: Item) -> Result<Vec<Lined>, Refused> {
    let mut all = Vec::new();
    for Lined { text, line } in lined(item, "apt.packages", "- name-of-a-package")? {
        let (name, version) = text.split_once('=').unwrap_or((&text, "0"));
        let name_letter =
            |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"+-.:".contains(&letter);
        let version_letter = |letter: u8| letter.is_ascii_alphanumeric() || b"+-.:~*".contains(&letter);
        let begins = name.starts_with(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit());
        if !begins || !name.bytes().all(name_letter) || version.is_empty() || !version.bytes().all(version_letter) {
            return Err((line, format!("'{}' is no name of a system package", cut(&text))));
        }
        all.push(Lined { text, line });
    }
    Ok(all)
}

fn origins(item: Item, of: &str) -> Result<Origins, Refused> {
    let mut all = Origins::default();
    for (name, line, item) in map(item, of, "urls: or items:")? {
        match name.as_str() {
            "urls" => {
                all.urls = lined(item, &format!("{of}.urls"), "- https://…")?;
                for Lined { text, line } in &all.urls {
                    let address = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
                    if address.is_none_or(|address| address.is_empty() || address.contains(char::is_whitespace)) {
                        return Err((*line, format!("'{}' is no http: or https: address", cut(text))));
                    }
                }
            }
            "items" => {
                all.items = lined(item, &format!("{of}.items"), "- …")?;
            }
            _ => return Err(unknown(line, &name, "urls and items")),
        }
    }
    Ok(all)
}

fn map(item: Item, of: &str, form: &str) -> Result<Vec<(String, usize, Item)>, Refused> {
    match item.kind {
        Kind::Map(entries) => Ok(entries),
        _ => Err((item.line, format!("{of} is not a list of keys; write {form} with what belongs to it"))),
    }
}

fn lined(item: Item, of: &str, form: &str) -> Result<Vec<Lined>, Refused> {
    Ok(texts(item, of, form)?.into_iter().map(|(text, line)| Lined { text, line }).collect())
}

fn texts(item: Item, of: &str, form: &str) -> Result<Vec<(String, usize)>, Refused> {
    let refused = |line| (line, format!("{of} is not a list of texts; write each one in a line of its own as {form}"));
    let Kind::List(items) = item.kind else { return Err(refused(item.line)) };
    let text = |item: Item| match item.kind {
        Kind::Text(text) => Ok((text, item.line)),
        _ => Err(refused(item.line)),
    };
    items.into_iter().map(text).collect()
}

fn unknown(line: usize, name: &str, known: &str) -> Refused {
    (line, format!("the key '{}' is not known here; the keys are {known}", cut(name)))
}

/// The start of a text, for a sentence.
fn cut(text: &str) -> String {
    let clean = text.chars().filter(|letter| !letter.is_control());
    clean.take(60).collect()
}
