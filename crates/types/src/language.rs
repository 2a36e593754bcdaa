//! The languages that code may be written in, and the names of what runs it.

use serde::{Deserialize, Serialize};

/// The language of a package's main file, and of what runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// `.py`
    Python,
    /// `.R`
    R,
}

impl Language {
    /// The name the contract uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::R => "r",
        }
    }

    /// The name that people use.
    pub fn title(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::R => "R",
        }
    }

    /// What the names of its files end with, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Python => "py",
            Self::R => "R",
        }
    }
}

/// What environments remember of their interpreter: `3.11` of a Python, `r4.2` of an R.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterpreterKey<'a> {
    /// What it runs.
    pub language: Language,
    /// Its version, without the last part.
    pub minor: &'a str,
}

impl<'a> InterpreterKey<'a> {
    /// Reads what an environment remembers.
    pub fn of(key: &'a str) -> Self {
        match key.strip_prefix('r') {
            Some(minor) => Self { language: Language::R, minor },
            None => Self { language: Language::Python, minor: key },
        }
    }

    /// As people write it: `Python 3.11`, `R 4.2`.
    pub fn title(self) -> String {
        format!("{} {}", self.language.title(), self.minor)
    }

    /// As the first clients know it: `python3.11`, `r4.2`.
    pub fn language_name(self) -> String {
        format!("{}{}", self.language.name(), self.minor)
    }
}

impl std::fmt::Display for InterpreterKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.language {
            Language::Python => f.write_str(self.minor),
            Language::R => write!(f, "r{}", self.minor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_what_they_are() {
        for (key, title, name) in [("3.11", "Python 3.11", "python3.11"), ("r4.2", "R 4.2", "r4.2")] {
            let read = InterpreterKey::of(key);
            assert_eq!((read.title().as_str(), read.language_name().as_str()), (title, name));
            assert_eq!(read.to_string(), key);
        }
    }
}
