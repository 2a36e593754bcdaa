//! What an environment is made of: a zip with dependency files, or a bare `requirements.txt`.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    io::Read,
    path::Path,
};

use super::{DEPENDENCY_FILES, DependencyFile, Limits, Refusal, contents, directory, layout, names};

/// The folder that counts when several have dependency files.
const PREFERRED_ROOT: &str = "environment_package";
/// How a zip begins: with an entry, or empty.
const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// The dependency file that may come without a zip around it.
const BARE: &str = "requirements.txt";

/// The dependency files in the file at `path`, which was uploaded as `name`; none when a zip has no such file.
///
/// A zip keeps the same rules as a deployment package: each file in it is unpacked once, into nothing.
pub fn inspect_environment(path: &Path, name: &str, limits: &Limits) -> Result<Vec<DependencyFile>, Refusal> {
    let file = File::open(path)?;
    if begins_as_zip(&file)? || name.to_lowercase().ends_with(".zip") {
        return in_zip(&file, limits);
    }
    if !name.to_lowercase().ends_with(".txt") {
        return Err(Refusal::content("The file is neither a zip nor a requirements.txt"));
    }
    if file.metadata()?.len() > limits.dependency_bytes {
        return Err(Refusal::content(format!(
            "The file {BARE} is larger than the {} bytes that are allowed",
            limits.dependency_bytes
        )));
    }
    let content = contents::decode(&fs::read(path)?);
    let content = content.ok_or_else(|| Refusal::content(format!("The file {BARE} is not text in UTF-8")))?;
    Ok(vec![DependencyFile { name: BARE.to_owned(), content }])
}

fn begins_as_zip(file: &File) -> Result<bool, Refusal> {
    let mut start = Vec::new();
    file.take(4).read_to_end(&mut start)?;
    Ok(ZIP.contains(&start.as_slice()))
}

fn in_zip(file: &File, limits: &Limits) -> Result<Vec<DependencyFile>, Refusal> {
    let entries = directory::read(file, limits)?;
    names::check_collisions(&entries, limits)?;
    let root = root_of(&entries)?;
    let mut budget = contents::Budget::new(limits, file.metadata()?.len());
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.folder) {
        match layout::below(&root, &entry.name).filter(|name| DEPENDENCY_FILES.contains(name)) {
            Some(name) => {
                let content = contents::text(file, entry, &mut budget, limits.dependency_bytes)?;
                found.push(DependencyFile { name: name.to_owned(), content });
            }
            None => contents::unpack(file, entry, &mut budget, &mut io::sink())?,
        }
    }
    found.sort_by_key(|file| DEPENDENCY_FILES.iter().position(|name| *name == file.name));
    Ok(found)
}

/// The place of the dependency files: the zip's top (empty), or a folder there.
fn root_of(entries: &[directory::Entry]) -> Result<String, Refusal> {
    let files = entries.iter().filter(|entry| !entry.folder);
    let split = files.map(|entry| entry.name.rsplit_once('/').unwrap_or(("", &entry.name)));
    let places: BTreeSet<&str> = split
        .filter(|(folder, name)| !folder.contains('/') && DEPENDENCY_FILES.contains(name))
        .map(|(folder, _)| folder)
        .filter(|folder| layout::below("", folder).is_some())
        .collect();
    match places.len() {
        0 | 1 => Ok(places.first().copied().unwrap_or_default().to_owned()),
        _ if places.contains(PREFERRED_ROOT) && !places.contains("") => Ok(PREFERRED_ROOT.to_owned()),
        _ => {
            let shown = |folder: &&str| match *folder {
                "" => "at its top".to_owned(),
                folder => format!("in {}", names::shown(folder.as_bytes())),
            };
            let shown: Vec<String> = places.iter().take(5).map(shown).collect();
            Err(Refusal::content(format!(
                "The zip has dependency files in several places: {}; keep those of one",
                shown.join(", ")
            )))
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests {
    //! Which files are found, and what is refused.

    use std::io::Write;

    use super::*;

    fn zip(files: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, text) in files {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn look(bytes: &[u8], name: &str) -> Result<Vec<(String, String)>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        let found =
            inspect_environment(file.path(), name, &Limits::default()).map_err(|refusal| refusal.to_string())?;
        Ok(found.into_iter().map(|file| (file.name, file.content)).collect())
    }

    fn names_of(found: Result<Vec<(String, String)>, String>) -> Vec<String> {
        found.unwrap().into_iter().map(|(name, content)| format!("{name}={content}")).collect()
    }

    #[test]
    fn dependency_files_stand_at_the_top_or_in_one_folder() {
        let top = zip(&[("requirements.txt", "six"), ("notes.md", "x"), ("deep/down/requirements.txt", "no")]);
        assert_eq!(names_of(look(&top, "a.zip")), ["requirements.txt=six"]);
        let folder = zip(&[("any/ubiops.yaml", "a"), ("any/requirements.txt", "six"), ("other/code.py", "x")]);
        assert_eq!(names_of(look(&folder, "without an ending")), ["requirements.txt=six", "ubiops.yaml=a"]);
        let preferred = zip(&[("a/requirements.txt", "no"), ("environment_package/requirements.txt", "six")]);
        assert_eq!(names_of(look(&preferred, "a.zip")), ["requirements.txt=six"]);
        let junk = zip(&[("__MACOSX/requirements.txt", "no"), ("e/requirements.txt", "six")]);
        assert_eq!(names_of(look(&junk, "a.zip")), ["requirements.txt=six"]);
    }

    #[test]
    fn a_zip_without_any_has_none() {
        for files in [&[][..], &[("readme.md", "x")], &[("Requirements.txt", "x")], &[("a/b/requirements.txt", "x")]] {
            assert_eq!(look(&zip(files), "a.zip"), Ok(vec![]), "{files:?}");
        }
    }

    #[test]
    fn two_places_are_refused() {
        let two = zip(&[("requirements.txt", "a"), ("x/requirements.txt", "b")]);
        let told = look(&two, "a.zip").unwrap_err();
        assert_eq!(told, "The zip has dependency files in several places: at its top, in 'x'; keep those of one");
    }

    #[test]
    fn a_bare_file_is_text() {
        assert_eq!(names_of(look(b"\xEF\xBB\xBFsix\n", "requirements.txt")), ["requirements.txt=six\n"]);
        assert_eq!(names_of(look(b"", "requirements.TXT")), ["requirements.txt="]);
        for (bytes, name, told) in [
            (&b"\xff\xff\xff"[..], "requirements.txt", "The file requirements.txt is not text in UTF-8"),
            (b"six", "image.tar", "The file is neither a zip nor a requirements.txt"),
            (b"six", "a.ZIP", "The file is not a zip"),
            (b"", "a.zip", "The file is not a zip"),
            (
                &vec![b' '; (1 << 20) + 1],
                "r.txt",
                "The file requirements.txt is larger than the 1048576 bytes that are allowed",
            ),
        ] {
            assert_eq!(look(bytes, name), Err(told.to_owned()));
        }
    }
}
