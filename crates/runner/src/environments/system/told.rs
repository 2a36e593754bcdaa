//! What `apt-get` says when it fails, as a sentence for the person who wrote the `ubiops.yaml`.

use std::path::Path;

use super::wanted::line_of;
use crate::{
    environments::{
        doctor::{self, shorten, without_credentials},
        run::Done,
    },
    ubiops_yaml::{Apt, Lined},
};

/// Whose failure it is.
pub(super) struct Case<'a> {
    pub wanted: &'a [Apt],
    /// The texts of the sources that were asked for, and the lines they stand in.
    pub sources: &'a [Lined],
    /// The folder that builds fill.
    pub folder: &'a Path,
    /// Bytes of memory that a step may take.
    pub memory: u64,
}

/// What is told of a package, by how the complaint of `apt-get` begins; the package's name follows in it.
const OF_PACKAGES: [(&str, &str); 4] = [
    ("E: Unable to locate package ", "was not found; check its name, or add the source that has it to apt.sources"),
    (
        "E: Couldn't find any package by glob '",
        "was not found; check its name, or add the source that has it to apt.sources",
    ),
    ("E: Package '", "cannot be had; check its name, or add the source that has it to apt.sources"),
    ("E: Can't find a source to download version ", "cannot be had in this version; take another one"),
];

/// Explains what a step left that failed.
pub(super) fn explain(done: &Done, case: &Case<'_>) -> String {
    let sentence = doctor::lacked(done, case.folder, case.memory, "ask for fewer packages")
        .or_else(|| of_a_version(done, case))
        .or_else(|| of_a_package(done, case))
        .or_else(|| of_a_source(done, case))
        .or_else(|| of_a_script(done))
        .unwrap_or_else(|| plain(done));
    shorten(&sentence)
}

fn of_a_package(done: &Done, case: &Case<'_>) -> Option<String> {
    done.errors.iter().find_map(|line| {
        let (rest, why) = OF_PACKAGES.iter().find_map(|(begin, why)| Some((line.strip_prefix(begin)?, why)))?;
        let name = rest.split(['\'', ' ']).next().unwrap_or_default();
        Some(format!("{}the system package {name} {why}", at(line_of(case.wanted, name))))
    })
}

/// `E: Version '9' for 'hello' was not found`.
fn of_a_version(done: &Done, case: &Case<'_>) -> Option<String> {
    done.errors.iter().find_map(|line| {
        let (version, rest) = line.strip_prefix("E: Version '")?.split_once("' for '")?;
        let name = rest.split('\'').next()?;
        let place = at(line_of(case.wanted, name));
        Some(format!(
            "{place}the system package {name} has no version {version}; leave the version out to get the newest"
        ))
    })
}

/// A source that is not there, or not signed.
fn of_a_source(done: &Done, case: &Case<'_>) -> Option<String> {
    if let Some((address, why)) = not_reached(&done.errors, |_| true) {
        return Some(source_told(&address, &why, case));
    }
    done.errors.iter().find_map(|line| {
        if line.contains("NO_PUBKEY") || line.contains("is not signed") || line.contains("public key is not available")
        {
            let address = address_in(line);
            return Some(format!(
                "{}the source {address} is not signed by a key that is known; add its key to apt.keys",
                at(line_of_source(case, &address))
            ));
        }
        if line.contains("signatures were invalid") || line.contains("BADSIG") || line.contains("EXPKEYSIG") {
            let address = address_in(line);
            return Some(format!(
                "{}the signature of the source {address} is not valid",
                at(line_of_source(case, &address))
            ));
        }
        let malformed = line.strip_prefix("E: Malformed ").or_else(|| line.strip_prefix("E: Type "))?;
        Some(format!("ubiops.yaml: a text of apt.sources is not understood: {malformed}"))
    })
}

/// A script of a package that failed.
fn of_a_script(done: &Done) -> Option<String> {
    let name = done.errors.iter().find_map(|line| {
        line.trim_start().strip_prefix("dpkg: error processing ")?.trim_start_matches("package ").split(' ').next()
    })?;
    Some(format!(
        "The system package {name} could not be installed: a script of it failed, or the files of two packages contradict each \
         other; see the log of the build. Scripts run without a network and without services"
    ))
}

fn plain(done: &Done) -> String {
    let said = done.errors.iter().find_map(|line| line.strip_prefix("E: "));
    let said = said.or(done.errors.last().map(String::as_str)).unwrap_or("apt-get ended without a word");
    format!("The system packages could not be installed: {said}")
}

/// Refuses when a source that was asked for was not reached: `apt-get` goes on without it.
pub(super) fn unreachable(done: &Done, case: &Case<'_>) -> Result<(), String> {
    let own = |address: &str| line_of_source(case, address).is_some();
    match not_reached(&done.errors, own) {
        Some((address, why)) => Err(shorten(&source_told(&address, &why, case))),
        None => Ok(()),
    }
}

fn source_told(address: &str, why: &str, case: &Case<'_>) -> String {
    let address = without_credentials(address);
    let place = at(line_of_source(case, &address));
    format!("{place}the source {address} cannot be reached or has not what is asked of it: {why}; check its address")
}

/// What could not be fetched, and why.
fn not_reached(lines: &[String], counts: impl Fn(&str) -> bool) -> Option<(String, String)> {
    lines.iter().find_map(|line| {
        let rest = line.strip_prefix("W: ").or_else(|| line.strip_prefix("E: "))?;
        let (address, why) = match rest.strip_prefix("Failed to fetch ") {
            Some(rest) => rest.split_once("  ")?,
            // `E: The repository 'http://… stable Release' does not have a Release file.`
            None => rest
                .strip_prefix("The repository '")?
                .split_once("' does not have a Release file")
                .map(|(address, _)| (address, "it has no Release file"))?,
        };
        let address = address.split(' ').next().unwrap_or_default();
        counts(address).then(|| (address.to_owned(), why.trim().to_owned()))
    })
}

/// What is told of an address that nothing was got from.
pub(super) fn not_fetched(done: &Done, url: &Lined) -> String {
    let why = not_reached(&done.errors, |_| true).map(|(_, why)| why);
    let why = why.or_else(|| done.errors.iter().find_map(|line| line.strip_prefix("E: ").map(str::to_owned)));
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    shorten(&format!("ubiops.yaml line {}: {} cannot be fetched{why}", url.line, url.text))
}

/// How the file of a key has to end; refuses what is none.
pub(super) fn kind_of_key(bytes: &[u8], line: usize) -> Result<&'static str, String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    if text.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----") && text.ends_with("-----END PGP PUBLIC KEY BLOCK-----")
    {
        return Ok("asc");
    }
    let public_key = |first: u8| {
        first & 0x80 != 0 && (first & 0x40 != 0 && first & 0x3f == 6 || first & 0x40 == 0 && (first >> 2) & 0xf == 6)
    };
    if bytes.first().is_some_and(|first| public_key(*first)) {
        return Ok("gpg");
    }
    Err(format!(
        "ubiops.yaml line {line}: this is no key; give the address or the text of a public OpenPGP key, which begins with \
         -----BEGIN PGP PUBLIC KEY BLOCK-----"
    ))
}

fn at(line: Option<usize>) -> String {
    line.map_or_else(|| "ubiops.yaml: ".to_owned(), |line| format!("ubiops.yaml line {line}: "))
}

/// The line of the source that an address belongs to.
fn line_of_source(case: &Case<'_>, address: &str) -> Option<usize> {
    let of = |source: &Lined| {
        let mut words = source.text.split_whitespace().filter(|word| word.contains("://"));
        words.any(|word| address.starts_with(word.trim_end_matches('/')))
    };
    case.sources.iter().find(|source| of(source)).map(|source| source.line)
}

fn address_in(line: &str) -> String {
    let word = line.split([' ', '\'']).find(|word| word.contains("://")).unwrap_or("that was asked for");
    without_credentials(word)
}

#[cfg(test)]
mod tests;
