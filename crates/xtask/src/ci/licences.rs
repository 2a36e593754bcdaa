//! What we depend on must not bind those who use us: no dependency may come under the GPL or AGPL alone.

use serde_json::Value;

use super::counts::Counts;
use crate::place::{cargo, output};

/// Words in the names of licences that we cannot take.
const REFUSED: [&str; 3] = ["GPL", "SSPL", "BUSL"];

/// Checks all dependencies.
pub fn check(_: &mut Counts) -> Result<(), String> {
    let text = output(cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"))?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let others: Vec<_> = packages.iter().filter(|package| !package["source"].is_null()).collect();
    let bad: Vec<_> = others.iter().filter(|package| !acceptable(package)).map(|package| named(package)).collect();
    if !bad.is_empty() {
        return Err(format!("dependencies with licences that we cannot take: {}", bad.join(", ")));
    }
    println!("{} dependencies, all under licences that we can take", others.len());
    Ok(())
}

/// A package that names no licence has to bring the text of one; a person looked at it when it was added.
fn acceptable(package: &Value) -> bool {
    match package["license"].as_str() {
        Some(expression) => Words::of(expression).alternatives(),
        None => package["license_file"].is_string(),
    }
}

fn named(package: &Value) -> String {
    let text = |key: &str| package[key].as_str().unwrap_or("?").to_owned();
    format!("{} ({})", text("name"), text("license"))
}

/// An SPDX expression, word by word. Older crates write `/` for `OR`.
struct Words(std::iter::Peekable<std::vec::IntoIter<String>>);

impl Words {
    fn of(expression: &str) -> Self {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<_> = spaced.split_whitespace().map(str::to_owned).collect();
        Self(words.into_iter().peekable())
    }

    /// One acceptable side of an `OR` is enough.
    fn alternatives(&mut self) -> bool {
        let mut fine = self.all();
        while self.0.next_if(|word| word == "OR").is_some() {
            fine |= self.all();
        }
        fine
    }

    /// Both sides of an `AND` must be acceptable.
    fn all(&mut self) -> bool {
        let mut fine = self.licence();
        while self.0.next_if(|word| word == "AND").is_some() {
            fine &= self.licence();
        }
        fine
    }

    fn licence(&mut self) -> bool {
        let Some(word) = self.0.next() else { return false };
        if word == "(" {
            let fine = self.alternatives();
            return self.0.next_if(|word| word == ")").is_some() && fine;
        }
        if self.0.next_if(|word| word == "WITH").is_some() {
            self.0.next();
        }
        !REFUSED.iter().any(|refused| word.contains(refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine(expression: &str) -> bool {
        Words::of(expression).alternatives()
    }

    #[test]
    fn one_acceptable_alternative_is_enough() {
        for good in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-2.0 OR MIT",
            "MIT AND (LGPL-2.1 OR BSD-3-Clause)",
            "Apache-2.0 WITH LLVM-exception",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
        ] {
            assert!(fine(good), "{good}");
        }
        for bad in [
            "GPL-3.0",
            "AGPL-3.0-only",
            "MIT AND GPL-2.0",
            "GPL-2.0 AND (MIT OR Apache-2.0)",
            "LGPL-3.0 WITH x",
            "",
            "(MIT",
        ] {
            assert!(!fine(bad), "{bad}");
        }
    }
}
