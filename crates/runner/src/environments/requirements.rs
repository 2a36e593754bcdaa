//! Judges a `requirements.txt` before uv sees it.
//!
//! A line must name a package of the index, or one at an `https:`, `http:` or `git+https:` address. Options are
//! refused but for `--hash`, and those that name an index which the operator allows: a package must not choose where
//! the packages of others come from, nor hand options to uv.

use std::collections::BTreeSet;

const MOST_LINES: usize = 10_000;
const LONGEST_LINE: usize = 4 << 10;
const SCHEMES: [&str; 3] = ["https", "http", "git+https"];
const ARCHIVES: [&str; 6] = [".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"];
/// Options that name an index, with uv's names for them.
const INDEX_OPTIONS: [(&str, &str); 5] = [
    ("--extra-index-url", "--extra-index-url"),
    ("--index-url", "--default-index"),
    ("--find-links", "--find-links"),
    ("-i", "--default-index"),
    ("-f", "--find-links"),
];

/// Requirements that passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Requirements {
    /// Their text, line by line as it was, without index options.
    pub text: String,
    /// The index options among them, in uv's words.
    pub options: Vec<String>,
}

impl Requirements {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.text.lines().all(|line| without_comment(line).is_empty())
    }

    /// The packages that are asked for by their names, in one spelling.
    pub fn packages(&self) -> Vec<String> {
        let names = self.text.lines().filter(|line| !line.contains("://") || line.contains('@')).map(name);
        names.filter(|name| !name.is_empty()).map(normal).collect()
    }

    /// The number of the line that asks for just this (`six>=2`), or else for the package at all; not one of `taken`.
    pub fn line_asking(&self, wanted: &str, taken: &BTreeSet<usize>) -> Option<usize> {
        let package = normal(name(wanted));
        let spec = specifiers(wanted);
        let lines = || {
            self.text.lines().zip(1..).filter(|(line, number)| normal(name(line)) == package && !taken.contains(number))
        };
        let exactly = lines().find(|(line, _)| specifiers(line) == spec);
        exactly.or_else(|| lines().next()).map(|(_, number)| number)
    }

    /// The number of the line that asks for `package`.
    pub fn line_of(&self, package: &str) -> Option<usize> {
        let wanted = normal(package);
        self.text.lines().position(|line| normal(name(line)) == wanted).map(|line| line + 1)
    }
}

/// Checks the text; the sentence names the line and what to do.
pub(super) fn check(text: &str, allowed: &[String]) -> Result<Requirements, String> {
    check_lines(text, allowed, MOST_LINES)
}

/// Whether locked requirements have none but lines of these kinds. Code that ran while uv locked could have added some.
pub(super) fn is_clean(lock: &str) -> bool {
    check_lines(lock, &[], usize::MAX).is_ok()
}

/// Whether each package of a lock has a hash. Those at addresses of git have none, and some files of a folder.
pub(super) fn all_hashed(lock: &str) -> bool {
    let mut packages = lock.lines().filter(|line| !line.starts_with([' ', '#']) && !line.is_empty());
    packages.all(|line| line.ends_with('\\') || line.contains(" --hash="))
}

fn check_lines(text: &str, allowed: &[String], most_lines: usize) -> Result<Requirements, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut checked = Requirements { text: String::with_capacity(text.len()), options: Vec::new() };
    let mut whole = String::new();
    let mut first = 1;
    for (line, number) in text.lines().zip(1..) {
        if number > most_lines {
            return Err(format!("requirements.txt has more than {most_lines} lines; list only what the code needs"));
        }
        if line.len() > LONGEST_LINE {
            return Err(format!("requirements.txt line {number} is longer than {LONGEST_LINE} bytes; split it"));
        }
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(format!("requirements.txt line {number} has control characters; save the file as plain text"));
        }
        if whole.is_empty() {
            first = number;
        }
        let option = index_option(line, allowed).map_err(|why| format!("requirements.txt line {number}: {why}"))?;
        if let Some(option) = option.filter(|_| whole.is_empty()) {
            checked.options.extend(option);
            checked.text.push('\n');
            continue;
        }
        checked.text.push_str(line);
        checked.text.push('\n');
        match line.strip_suffix('\\') {
            Some(start) => whole.push_str(start),
            None => {
                whole.push_str(line);
                check_line(&whole).map_err(|why| format!("requirements.txt line {first}: {why}"))?;
                whole.clear();
            }
        }
    }
    check_line(&whole).map_err(|why| format!("requirements.txt line {first}: {why}"))?;
    Ok(checked)
}

/// The index option that the line is, when the operator allows it; `None` when it is something else.
fn index_option(line: &str, allowed: &[String]) -> Result<Option<[String; 2]>, String> {
    let line = without_comment(line);
    let Some((option, uv)) = INDEX_OPTIONS.iter().find(|(option, _)| line.starts_with(option)) else { return Ok(None) };
    let address = line[option.len()..].trim_start_matches(['=', ' ', '\t']).trim_end();
    let below = |base: &String| {
        let rest = address.strip_prefix(base.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && !address.contains("..")
    };
    if address.contains(char::is_whitespace) || !allowed.iter().any(below) {
        return Err(format!(
            "the option {option} is not taken from a package; remove it, or ask the operator to allow this index"
        ));
    }
    Ok(Some([(*uv).to_owned(), address.to_owned()]))
}

/// Checks one line, with the lines that go on with it.
fn check_line(line: &str) -> Result<(), String> {
    let line = without_comment(line);
    if line.is_empty() {
        return Ok(());
    }
    if line.contains("${") {
        return Err("variables are not filled in; write the value itself".to_owned());
    }
    let mut words = line.split_whitespace();
    let option = words.find(|word| word.starts_with('-') && !word.starts_with("--hash="));
    if let Some(option) = option {
        let option: String = option.split('=').next().unwrap_or(option).chars().take(40).collect();
        return Err(format!("the option {option} is not supported; list packages only"));
    }
    if line.starts_with("--") {
        return Err("a hash stands behind the package that it belongs to".to_owned());
    }
    check_origin(line)
}

/// Refuses local files and addresses of other kinds.
fn check_origin(line: &str) -> Result<(), String> {
    let local =
        || "files are not installed from the package or this machine; put Python code into libraries/".to_owned();
    let bare_address = line.split_once("://").is_some_and(|(scheme, _)| scheme.bytes().all(is_scheme));
    let address = match line.split_once('@') {
        _ if bare_address => Some(line),
        Some((_, address)) => Some(address.trim_start()),
        None => None,
    };
    if let Some(address) = address {
        return match address.split_once(':') {
            Some((scheme, rest)) if SCHEMES.contains(&scheme.to_lowercase().as_str()) && rest.starts_with("//") => {
                Ok(())
            }
            Some((scheme, _)) if scheme.bytes().all(is_scheme) && scheme.to_lowercase() != "file" => {
                Err(format!("addresses that start with {scheme}: are not supported; use https: or git+https:"))
            }
            _ => Err(local()),
        };
    }
    let named = line.split(';').next().unwrap_or(line).trim_end().to_lowercase();
    let path = named.contains(['/', '\\']) || ARCHIVES.iter().any(|ending| named.ends_with(ending));
    if path || !named.starts_with(|c: char| c.is_ascii_alphanumeric()) || named.starts_with("file:") {
        return Err(local());
    }
    Ok(())
}

fn is_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// The line without a comment, which starts the line or follows a space.
fn without_comment(line: &str) -> &str {
    let starts = line.match_indices('#').map(|(at, _)| at);
    let comment = starts.into_iter().find(|&at| at == 0 || line[..at].ends_with([' ', '\t']));
    line[..comment.unwrap_or(line.len())].trim()
}

/// The name that a requirement starts with.
fn name(line: &str) -> &str {
    let line = without_comment(line);
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'));
    &line[..end.unwrap_or(line.len())]
}

/// What a requirement wants of the package's version, in one form.
fn specifiers(line: &str) -> Vec<String> {
    let line = without_comment(line);
    let rest = line[name(line).len()..].split(';').next().unwrap_or_default();
    let rest = rest.split_once(']').map_or(rest, |(_, rest)| rest);
    let rest = rest.split(" --hash").next().unwrap_or_default();
    let mut all: Vec<String> = rest.split(',').map(|part| part.split_whitespace().collect()).collect();
    all.sort();
    all
}

/// A package's name as indexes compare it.
pub(super) fn normal(name: &str) -> String {
    let lower = name.to_lowercase();
    lower.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests {
    //! Which lines pass.

    use super::{Requirements, all_hashed, check, is_clean};

    fn refusal(text: &str) -> String {
        check(text, &[]).unwrap_err()
    }

    #[test]
    fn packages_of_the_index_and_at_addresses_pass() {
        let text = "\
# what we need
six
numpy == 1.26.0 ; python_version < '3.13' # not newer
Some_Package[extra,other]>=1.0,<2
a-b.c~=1.0 \\
    --hash=sha256:00 \\
    --hash=sha256:11

pkg @ https://example.org/pkg-1.0.whl
git-pkg@git+https://example.org/x.git@v1#egg=x
https://user@example.org/pkg-1.0.whl
";
        let checked = check(text, &[]).unwrap();
        assert_eq!(checked.text, text);
        assert_eq!(checked.line_of("some-package"), Some(4));
        assert_eq!(checked.line_of("numpy"), Some(3));
        assert_eq!(checked.line_of("num"), None);
        assert!(!checked.is_empty() && check("# nothing\n\n", &[]).unwrap().is_empty());
        assert_eq!(check("\u{feff}six\r\n", &[]).unwrap().text, "six\n");
    }

    #[test]
    fn options_are_refused_with_their_line() {
        for (text, option) in [
            ("six\n-e .", "-e"),
            ("six\n--editable=x", "--editable"),
            ("six\n-r more.txt", "-r"),
            ("six\n-c limits.txt", "-c"),
            ("six\n--pre", "--pre"),
            ("six\n--trusted-host x", "--trusted-host"),
            ("# c\nsix --global-option=x", "--global-option"),
            ("# c\nsix \\\n --config-settings x", "--config-settings"),
        ] {
            assert_eq!(
                refusal(text),
                format!("requirements.txt line 2: the option {option} is not supported; list packages only")
            );
        }
        assert!(refusal("--hash=sha256:00").ends_with("a hash stands behind the package that it belongs to"));
    }

    #[test]
    fn index_options_are_taken_only_when_allowed() {
        let allowed = ["https://wheels.example/whl/".to_owned()];
        let checked = check("--extra-index-url https://wheels.example/whl/cpu\nsix\n", &allowed).unwrap();
        let options = ["--extra-index-url", "https://wheels.example/whl/cpu"].map(str::to_owned).to_vec();
        assert_eq!(checked, Requirements { text: "\nsix\n".to_owned(), options });
        assert_eq!(check("-i=https://wheels.example/whl # x", &allowed).unwrap().options[0], "--default-index");

        for line in [
            "--index-url https://elsewhere.example/simple",
            "--extra-index-url https://wheels.example/whlx",
            "--find-links https://wheels.example/whl/../other",
            "-f /root",
            "-i https://wheels.example/whl --pre",
        ] {
            assert!(check(line, &allowed).unwrap_err().contains("is not taken from a package"), "{line}");
        }
    }

    #[test]
    fn local_files_and_other_addresses_are_refused() {
        for line in [
            ".",
            "./x.whl",
            "../x",
            "/etc/passwd",
            "~/x",
            "libs/x.whl",
            "x.whl",
            "file:///etc",
            "file:x",
            "x @ file:///etc/x",
            "x @ ./x",
            "x@/etc/x",
            "X.TAR.GZ",
            "c:\\x",
        ] {
            assert!(refusal(line).contains("files are not installed from the package"), "{line}: {}", refusal(line));
        }
        for line in ["x @ git+ssh://git@example.org/x", "git+file:///x", "x @ svn+https://e.org/x", "ftp://e.org/x.whl"]
        {
            assert!(
                refusal(line).ends_with("are not supported; use https: or git+https:"),
                "{line}: {}",
                refusal(line)
            );
        }
        assert!(refusal("x @ https://e.org/${TOKEN}/x").contains("variables are not filled in"));
    }

    #[test]
    fn a_lock_holds_packages_and_hashes_only() {
        assert!(is_clean(&"six==1.17.0 \\\n    --hash=sha256:00\n".repeat(10_000)));
        assert!(!is_clean("six==1.17.0 \\\n    --hash=sha256:00\n--index-url https://elsewhere.example\n"));
        assert!(!is_clean("x @ file:///etc/x\n"));
        assert!(all_hashed("six==1.17.0 \\\n    --hash=sha256:00\na==1 --hash=sha256:00\n") && all_hashed(""));
        assert!(!all_hashed("six==1.17.0 \\\n    --hash=sha256:00\na==1\n"));
    }

    #[test]
    fn files_that_are_too_large_are_refused() {
        assert!(check(&"six\n".repeat(10_000), &[]).is_ok());
        assert!(refusal(&"six\n".repeat(10_001)).starts_with("requirements.txt has more than 10000 lines"));
        assert!(
            refusal(&format!("six\n{}", "a".repeat(4097))).starts_with("requirements.txt line 2 is longer than 4096")
        );
        assert!(refusal("six\n\x1b[31mred").contains("control characters"));
    }
}
