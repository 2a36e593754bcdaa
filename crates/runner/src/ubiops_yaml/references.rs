//! References of variables to others: `${NAME}`.

use std::collections::BTreeMap;

/// Deeper references are refused, and those that lead back to themselves with them.
const DEEPEST: usize = 16;
/// No value may grow beyond this by what is put into it.
const LONGEST: usize = 64 << 10;

/// What counts of the variables, with what they refer to put in. Of those of one name the last counts, and none that
/// is also among `over`. A reference finds its value among `over`, which is meant as it stands, or else among the
/// variables; one that nobody set stands for nothing.
pub fn filled_in(variables: &[(String, String)], over: &BTreeMap<&str, &str>) -> Result<Vec<(String, String)>, String> {
    let own = by_name(variables);
    let find = |name: &str| over.get(name).map(|it| (*it, true)).or_else(|| own.get(name).map(|it| (*it, false)));
    let filled = own.iter().filter(|(name, _)| !over.contains_key(*name)).map(|(name, text)| {
        let value = fill(text, &find, 0).map_err(|why| format!("ubiops.yaml: the variable {name} {why}"))?;
        Ok(((*name).to_owned(), value))
    });
    let filled: Vec<_> = filled.collect::<Result<_, String>>()?;
    super::check_size(&filled).map_err(|why| format!("ubiops.yaml: {why}"))?;
    Ok(filled)
}

/// The names that variables refer to and nobody set.
pub fn unset<'a>(variables: &'a [(String, String)], over: &BTreeMap<&str, &str>) -> Vec<&'a str> {
    let own = by_name(variables);
    let mut names = Vec::new();
    for mut rest in own.values().copied() {
        while let Some((_, name, after)) = reference(rest) {
            rest = after;
            if !own.contains_key(name) && !over.contains_key(name) && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
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
