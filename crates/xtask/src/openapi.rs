//! The document that our code generates, and the list of the contract's operations that do not exist yet.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::place::{cargo, output, program, root};

const DOCUMENT: &str = "openapi.json";
const OPERATIONS: &str = "contract/operations.txt";
const MISSING: &str = "contract/missing.txt";
const HEAD: &str = "# The contract's operations that do not exist yet: operation id, method, path, tier. Written by `cargo xtask \
                    openapi`; only shrinks.\n";

/// Writes both files, unless operations would be lost.
pub fn write() -> Result<(), String> {
    let made = Made::by_the_code()?;
    refuse_growth(&made.missing, "HEAD")?;
    for (path, text) in [(DOCUMENT, &made.document), (MISSING, &made.missing)] {
        fs::write(root().join(path), text).map_err(|e| format!("{path} cannot be written: {e}"))?;
    }
    println!("{DOCUMENT} and {MISSING} are written; {} operations are missing", operations(&made.missing).len());
    Ok(())
}

/// Checks that both files are as the code makes them, and that no operation was lost since the last commit.
pub fn check() -> Result<(), String> {
    let made = Made::by_the_code()?;
    for (path, text) in [(DOCUMENT, &made.document), (MISSING, &made.missing)] {
        if fs::read_to_string(root().join(path)).ok().as_ref() != Some(text) {
            return Err(format!("{path} is not what the code makes: run `cargo xtask openapi` and commit the file"));
        }
    }
    refuse_growth(&made.missing, "HEAD^")?;
    println!("{DOCUMENT} and {MISSING} are up to date; {} operations are missing", operations(&made.missing).len());
    Ok(())
}

struct Made {
    document: String,
    missing: String,
}

impl Made {
    fn by_the_code() -> Result<Self, String> {
        let document = output(cargo().args(["run", "--quiet", "--package", "modelyard-server", "--", "openapi"]))?;
        let value: Value = serde_json::from_str(&document).map_err(|e| format!("the document is not JSON: {e}"))?;
        let contract = fs::read_to_string(root().join(OPERATIONS)).map_err(|e| format!("{OPERATIONS}: {e}"))?;
        let missing = missing(&contract, &offered(&value));
        Ok(Self { document, missing })
    }
}

/// `id METHOD path` of all operations in a document.
fn offered(document: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            if let Some(id) = operation["operationId"].as_str() {
                all.insert(format!("{id} {} {path}", method.to_uppercase()));
            }
        }
    }
    all
}

/// The lines of the contract that nothing offered answers to.
fn missing(contract: &str, offered: &BTreeSet<String>) -> String {
    let lines = contract.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let absent =
        lines.filter(|line| line.rsplit_once(' ').is_none_or(|(operation, _tier)| !offered.contains(operation)));
    absent.fold(HEAD.to_owned(), |text, line| text + line + "\n")
}

fn operations(missing: &str) -> BTreeSet<&str> {
    missing.lines().filter(|line| !line.starts_with('#')).collect()
}

/// An operation that the contract had at `commit` must not be missing if it was not missing then.
fn refuse_growth(missing: &str, commit: &str) -> Result<(), String> {
    let at = |path: &str| output(program("git").args(["show", &format!("{commit}:{path}")]));
    let (Ok(old_missing), Ok(old_contract)) = (at(MISSING), at(OPERATIONS)) else {
        println!("nothing to compare {MISSING} with at {commit}");
        return Ok(());
    };
    let lost = lost(missing, &old_missing, &old_contract);
    if lost.is_empty() {
        return Ok(());
    }
    Err(format!("{MISSING} only shrinks, but these operations were there at {commit}:\n{}", lost.join("\n")))
}

fn lost<'a>(missing: &'a str, old_missing: &str, old_contract: &str) -> Vec<&'a str> {
    let (old_missing, promised) = (operations(old_missing), operations(old_contract));
    operations(missing).into_iter().filter(|line| promised.contains(line) && !old_missing.contains(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = "# head\na_list GET /as latest\na_get GET /as/{a} seed\n";

    fn document() -> Value {
        serde_json::json!({ "paths": { "/as": { "get": { "operationId": "a_list" }, "parameters": [] } } })
    }

    #[test]
    fn what_the_document_lacks_is_missing() {
        assert_eq!(missing(CONTRACT, &offered(&document())), format!("{HEAD}a_get GET /as/{{a}} seed\n"));
    }

    #[test]
    fn an_operation_that_was_there_must_stay() {
        let old_missing = "# head\n";
        assert_eq!(lost("a_get GET /as/{a} seed\n", old_missing, CONTRACT), ["a_get GET /as/{a} seed"]);
        assert!(lost("a_new GET /new latest\n", old_missing, CONTRACT).is_empty());
    }
}
