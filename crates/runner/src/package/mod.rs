//! Looks into an uploaded zip and unpacks it, trusting nothing that it says about itself.
//!
//! The reader is our own (about 300 lines) rather than a crate's: it must refuse what a lenient reader repairs, such
//! as two entries of one name, entries that share their bytes, or a directory that is not where its end record says.
//! [`inspect`] and [`extract`] share that reader, so what was judged is what is unpacked. Both block: call them from a
//! blocking thread. Memory is bounded by [`Limits::directory_bytes`], time by the limits on what is unpacked.

mod contents;
mod directory;
mod environment;
mod extract;
mod layout;
mod names;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod crafted;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod nasty_tests;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod property_tests;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests;

use std::{fs::File, io, path::Path};

use sha2::{Digest, Sha256};

pub use environment::inspect_environment;
pub use extract::extract;
pub(crate) use extract::extract_one;
pub use modelyard_types::language::Language;

/// How large and how deep a package may be.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of the zip itself.
    pub zip_bytes: u64,
    /// Bytes of all files together once unpacked.
    pub unpacked_bytes: u64,
    /// How many times larger than the zip the unpacked files may be, once they pass [`Limits::ratio_from`].
    pub ratio: u64,
    /// Unpacked bytes up to which the ratio does not matter: small packages compress well.
    pub ratio_from: u64,
    /// Entries of the zip, and folders they lie in.
    pub entries: u64,
    /// Bytes of the zip's directory, which is held in memory.
    pub directory_bytes: u64,
    /// Folders inside each other.
    pub depth: usize,
    /// Bytes of one path.
    pub path_bytes: usize,
    /// Bytes of one dependency file.
    pub dependency_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            zip_bytes: 2 << 30,
            unpacked_bytes: 8 << 30,
            ratio: 200,
            ratio_from: 64 << 20,
            entries: 100_000,
            directory_bytes: 64 << 20,
            depth: 32,
            path_bytes: 1024,
            dependency_bytes: 1 << 20,
        }
    }
}

/// Why a package is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The package is at fault; the sentence is for the person who sent it.
    #[error("{0}")]
    Content(String),
    /// Our side is at fault: a file could not be read or written.
    #[error("The package could not be read or written: {0}")]
    Io(#[from] io::Error),
}

impl Refusal {
    fn content(sentence: impl Into<String>) -> Self {
        Self::Content(sentence.into())
    }
}

/// A file that says what the package needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its text.
    pub content: String,
}

/// What a package holds.
#[derive(Debug, Clone)]
pub struct Package {
    /// The folder inside the zip that is the package; empty when that is the zip's own top.
    pub root: String,
    /// Files below the root.
    pub files: u64,
    /// Bytes of these files, counted while unpacking.
    pub unpacked_bytes: u64,
    /// The main file's name, with its extension.
    pub main_file: String,
    /// The main file's language.
    pub language: Language,
    /// Whether there is a main file in the other language too.
    pub bilingual: bool,
    /// The dependency files in the root, in the order of [`DEPENDENCY_FILES`].
    pub dependencies: Vec<DependencyFile>,
    /// SHA-256 of the zip, in hexadecimal.
    pub sha256: String,
}

impl Package {
    /// The text of the dependency file called `name`.
    pub fn dependency(&self, name: &str) -> Option<&str> {
        self.dependencies.iter().find(|file| file.name == name).map(|file| file.content.as_str())
    }
}

/// The names of dependency files, which stand in the package's root.
pub const DEPENDENCY_FILES: [&str; 5] =
    ["requirements.txt", "ubiops.yaml", "environment.yaml", "install_packages.R", "renv.lock"];

/// Looks into the zip at `path` and says what it holds, or why it is refused.
///
/// Every file of the package is unpacked once, into nothing, so that a package that passes can be extracted.
/// `main_file` is the main file's name with or without extension; empty means `deployment`. Where there is one in each
/// language, that in `wanted` counts.
pub fn inspect(path: &Path, limits: &Limits, main_file: &str, wanted: Language) -> Result<Package, Refusal> {
    let file = File::open(path)?;
    let zip_bytes = file.metadata()?.len();
    let entries = directory::read(&file, limits)?;
    names::check_collisions(&entries, limits)?;
    let layout = layout::find(&entries, main_file, wanted)?;

    let mut budget = contents::Budget::new(limits, zip_bytes);
    let mut dependencies = Vec::new();
    let mut files = 0;
    for entry in entries.iter().filter(|entry| !entry.folder) {
        let Some(name) = layout::below(&layout.root, &entry.name) else { continue };
        files += 1;
        if DEPENDENCY_FILES.contains(&name) {
            let content = contents::text(&file, entry, &mut budget, limits.dependency_bytes)?;
            dependencies.push(DependencyFile { name: name.to_owned(), content });
        } else {
            contents::unpack(&file, entry, &mut budget, &mut io::sink())?;
        }
    }
    dependencies.sort_by_key(|file| DEPENDENCY_FILES.iter().position(|name| *name == file.name));
    Ok(Package {
        root: layout.root,
        files,
        unpacked_bytes: budget.spent(),
        main_file: layout.main_file,
        language: layout.language,
        bilingual: layout.bilingual,
        dependencies,
        sha256: hash(file)?,
    })
}

fn hash(mut file: File) -> Result<String, Refusal> {
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut HashWriter(&mut hasher))?;
    Ok(hex::encode(hasher.finalize()))
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
