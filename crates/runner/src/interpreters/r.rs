//! Finds the R of this host: one `Rscript`, that of a setting or the first on `PATH`.
//!
//! R is optional, so a host without one is no failure; why there is none is kept as a sentence for those who ask for it.

use std::{
    env, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use modelyard_types::language::Language;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{Interpreter, PROBE_TIME, said_by};

/// Where R is to be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// On `PATH`.
    OnPath,
    /// Nowhere.
    None,
    /// This `Rscript`.
    At(PathBuf),
}

/// The R of this host; else the sentence that says what to do to have one.
pub type Found = Result<Interpreter, String>;

/// Prints what the installation is.
const PROBE: &str = r#"cat(sprintf('{"version":"%s.%s","home":"%s","platform":"%s","jsonlite":%s}',
    R.version$major, R.version$minor, normalizePath(R.home()), R.version$platform,
    if (requireNamespace("jsonlite", quietly = TRUE)) "true" else "false"))"#;

const GET: &str =
    "install R 4 and its package jsonlite (Debian: r-base-core, r-cran-jsonlite) and start the server again";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Answer {
    version: String,
    home: PathBuf,
    platform: String,
    jsonlite: bool,
}

/// What an `Rscript` said of itself at an earlier start, when it was as large and as old as this.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    path: PathBuf,
    size: u64,
    changed: u128,
    answer: Answer,
}

/// Finds R. What it says of itself is kept in `file`, since asking it takes longer than the rest of a start.
pub async fn find(choice: &Choice, file: &Path) -> Found {
    let rscript = match choice {
        Choice::None => return Err("R is turned off on this server (setting rscript)".to_owned()),
        Choice::At(path) => path.clone(),
        Choice::OnPath => on_path().ok_or_else(|| format!("R is not installed on this server: {GET}"))?,
    };
    let shown = rscript.display();
    let answer = match known(&rscript, file) {
        Some(answer) => answer,
        None => {
            let answer = timeout(PROBE_TIME, ask(&rscript)).await.ok().flatten();
            let answer = answer.ok_or_else(|| format!("{shown} does not run R on this server: {GET}"))?;
            if answer.jsonlite
                && let Err(error) = keep(&rscript, &answer, file)
            {
                tracing::warn!(%error, file = %file.display(), "what was found of R could not be kept");
            }
            answer
        }
    };
    if !answer.version.starts_with("4.") {
        return Err(format!("{shown} is R {}, and R 4 is needed: {GET}", answer.version));
    }
    if !answer.jsonlite {
        return Err(format!(
            "R {} has no package jsonlite, which R code is served with: install it (Debian: r-cran-jsonlite) and start the \
             server again",
            answer.version
        ));
    }
    let minor: Vec<&str> = answer.version.splitn(3, '.').take(2).collect();
    Ok(Interpreter {
        language: Language::R,
        minor: minor.join("."),
        path: answer.home.join("bin/R"),
        base_prefix: answer.home,
        version: answer.version,
        platform: answer.platform,
    })
}

fn on_path() -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .filter(|folder| folder.is_absolute())
        .map(|it| it.join("Rscript"))
        .find(|it| it.is_file())
}

async fn ask(rscript: &Path) -> Option<Answer> {
    serde_json::from_slice(&said_by(rscript, &["--vanilla", "-e", PROBE]).await?).ok()
}

/// What tells that a file is the one it was.
fn stamp(rscript: &Path) -> Option<(PathBuf, u64, u128)> {
    let path = rscript.canonicalize().ok()?;
    let about = path.metadata().ok()?;
    let changed = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    Some((path, about.len(), changed))
}

fn known(rscript: &Path, file: &Path) -> Option<Answer> {
    let known: Known = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let same = stamp(rscript)? == (known.path, known.size, known.changed) && known.answer.home.is_dir();
    same.then_some(known.answer)
}

fn keep(rscript: &Path, answer: &Answer, file: &Path) -> io::Result<()> {
    let Some((path, size, changed)) = stamp(rscript) else { return Ok(()) };
    let temporary = file.with_extension("tmp");
    std::fs::write(&temporary, serde_json::to_vec(&Known { path, size, changed, answer: answer.clone() })?)?;
    std::fs::rename(&temporary, file)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program in the place of Rscript that prints this.
    fn rscript(folder: &Path, says: &str) -> Choice {
        let path = folder.join("Rscript");
        fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Choice::At(path)
    }

    async fn found(folder: &Path, says: &str) -> Found {
        find(&rscript(folder, says), &folder.join("r.json")).await
    }

    #[tokio::test]
    async fn what_an_rscript_says_of_itself_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let says = format!(
            r#"{{"version":"4.2.2","home":"{}","platform":"x86_64-pc-linux-gnu","jsonlite":true}}"#,
            folder.path().display()
        );
        let first = found(folder.path(), &says).await.unwrap();
        assert_eq!((first.key().as_str(), first.language), ("r4.2", Language::R));
        assert_eq!(first.path, folder.path().join("bin/R"));
        let rscript = folder.path().join("Rscript");
        let changed = fs::metadata(&rscript).unwrap().modified().unwrap();
        let silent = fs::read_to_string(&rscript).unwrap().replace("echo", "true");
        fs::write(&rscript, silent).unwrap();
        fs::File::options().write(true).open(&rscript).unwrap().set_modified(changed).unwrap();
        assert_eq!(find(&Choice::At(rscript), &folder.path().join("r.json")).await, Ok(first));
    }

    #[tokio::test]
    async fn what_is_missing_is_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let of = |version: &str| format!(r#"{{"version":"{version}","home":"/","platform":"x","jsonlite":false}}"#);
        for (says, told) in [
            (of("4.2.2"), "R 4.2.2 has no package jsonlite, which R code is served with: install it"),
            (of("3.6.3"), "is R 3.6.3, and R 4 is needed: install R 4"),
            ("nonsense".to_owned(), "does not run R on this server: install R 4"),
        ] {
            let problem = found(path, &says).await.unwrap_err();
            assert!(problem.contains(told), "{problem}");
        }
        assert!(!path.join("r.json").exists());
        let off = find(&Choice::None, &path.join("r.json")).await;
        assert_eq!(off, Err("R is turned off on this server (setting rscript)".to_owned()));
    }
}
