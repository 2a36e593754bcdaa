//! References of variables to others: `${NAME}`.

use std::collections::BTreeMap;

/// Deeper references are refused, and those that lead back to themselves with them.
const DEEPEST: usize = 16;
/// No value may grow beyond this by what is put into it.
const LONGEST: usize = 64 << 10;

/// The variables with what they refer to put in. A name finds its value among `over`, which win, or else among the
/// variables themselves; one that nobody set stands for nothing.
pub fn filled_in(variables: &[(String, String)], over: &BTreeMap<&str, &str>) -> Vec<(String, String)> {
    let own = by_name(variables);
    let value = |value: &str| {
        fill(value, &|name| over.get(name).map(|it| (*it, true)).or_else(|| own.get(name).map(|it| (*it, false))), 0)
    };
    // Files with endless references are refused when they come in.
    variables.iter().map(|(name, text)| (name.clone(), value(text).unwrap_or_else(|_| text.clone()))).collect()
}

/// Refuses references that never end, or grow too much.
pub(super) fn check(variables: &[(String, String)]) -> Result<(), String> {
    let own = by_name(variables);
    for (name, value) in variables {
        fill(value, &|name| own.get(name).map(|it| (*it, false)), 0)
            .map_err(|why| format!("the variable {name} {why}"))?;
    }
    Ok(())
}

/// A value, and whether it is meant as it stands.
type Found<'a> = Option<(&'a str, bool)>;

fn fill<'a>(text: &str, find: &dyn Fn(&str) -> Found<'a>, depth: usize) -> Result<String, String> {
    if depth > DEEPEST {
        return Err("refers to itself, or too deeply; write its value out".to_owned());
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, name, after)) = reference(rest) {
        filled.push_str(before);
        match find(name) {
            None => {}
            Some((value, true)) => filled.push_str(value),
            Some((value, false)) => filled.push_str(&fill(value, find, depth + 1)?),
        }
        if filled.len() > LONGEST {
            return Err(format!("becomes longer than {LONGEST} bytes by what it refers to"));
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The first reference of a text, with what stands before and behind it.
fn reference(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(at) = text[from..].find("${").map(|at| from + at) {
        let inner = &text[at + 2..];
        let end = inner.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')?;
        if end > 0 && inner[end..].starts_with('}') {
            return Some((&text[..at], &inner[..end], &inner[end + 1..]));
        }
        from = at + 2;
    }
    None
}

fn by_name(variables: &[(String, String)]) -> BTreeMap<&str, &str> {
    variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
