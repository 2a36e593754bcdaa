//! Why no set of versions meets the requirements, from uv's proof of it.
//!
//! The proof is sentences of the form `Because A and B, we can conclude that C`. What counts are the premises: what the
//! index has, what packages need, what the requirements ask for. The conclusions follow from them and are left out.

use std::collections::BTreeSet;

use super::{Case, Explained, Look, names, package_of};
use crate::environments::requirements::normal;

/// The longest chain of packages that is told.
const LONGEST_CHAIN: usize = 6;
const CONCLUSIONS: [&str; 2] = [", we can conclude that ", " we can conclude that "];

/// One premise of the proof. Names of packages come with what is wanted of them: `six>=2`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Premise<'a> {
    NoVersion(&'a str),
    NoPackage(&'a str),
    NoFiles(&'a str),
    Only(&'a str),
    Needs { who: &'a str, what: &'a str },
    Asked(&'a str),
    Python { who: &'a str, needs: &'a str },
    NoWheel(&'a str),
}

/// Explains the proof.
pub(super) fn explain(because: &str, hints: &[String], case: &Case<'_>) -> Explained {
    let premises = premises(because);
    let proof = Proof { premises: &premises, case };
    let found = proof.refused(hints).or_else(|| proof.missing()).or_else(|| proof.python());
    let found = found.or_else(|| proof.wheel(hints)).or_else(|| proof.conflict());
    found.unwrap_or_else(|| Explained::plain(proof.unknown(because)))
}

fn premises(because: &str) -> Vec<Premise<'_>> {
    let mut all = Vec::new();
    for sentence in because.split(". And because ") {
        let sentence = sentence.trim_start_matches("Because ").trim_end_matches('.');
        let end = CONCLUSIONS.iter().filter_map(|words| sentence.find(words)).min().unwrap_or(sentence.len());
        let sentence = sentence[..end].trim_end_matches([',', ' ']);
        for part in sentence.trim_end_matches(", which are incompatible").split(" and ") {
            let premise = premise(part.trim()).or_else(|| continued(all.last()?, part.trim()));
            all.extend(premise.filter(|premise| !all.contains(premise)));
        }
    }
    all
}

fn premise(text: &str) -> Option<Premise<'_>> {
    if let Some(wanted) = text.strip_prefix("there is no version of ") {
        return Some(Premise::NoVersion(wanted));
    }
    if let Some(package) = text.strip_prefix("there are no versions of ") {
        return Some(Premise::NoFiles(package));
    }
    if let Some((package, _)) = text.split_once(" was not found in the ") {
        return Some(Premise::NoPackage(package));
    }
    if let Some(rest) = text.strip_prefix("only ") {
        return rest.strip_suffix(" is available").map(Premise::Only).or(Some(Premise::Only(rest)));
    }
    if let Some(wanted) = text.strip_prefix("you require ") {
        return Some(Premise::Asked(wanted.trim_start_matches("one of: ")));
    }
    if let Some((who, needs)) = text.split_once(" requires Python ").or_else(|| text.split_once(" require Python ")) {
        return Some(Premise::Python { who: one(who), needs });
    }
    if let Some((who, needs)) = text.split_once(" depends on Python") {
        return Some(Premise::Python { who: one(who), needs });
    }
    if let Some((who, _)) = text.split_once(" has no wheels with ").or_else(|| text.split_once(" have no wheels with "))
    {
        return Some(Premise::NoWheel(one(who)));
    }
    if let Some((who, _)) = text.split_once(" has no usable wheels") {
        return Some(Premise::NoWheel(one(who)));
    }
    let (who, what) = text.split_once(" depends on ").or_else(|| text.split_once(" depend on "))?;
    Some(Premise::Needs { who: one(who), what })
}

/// What goes on with the premise before it: `you require a and b`.
fn continued<'a>(before: &Premise<'a>, text: &'a str) -> Option<Premise<'a>> {
    if text.contains(' ') {
        return None;
    }
    match before {
        Premise::Asked(_) => Some(Premise::Asked(text)),
        Premise::Needs { who, .. } => Some(Premise::Needs { who, what: text }),
        _ => None,
    }
}

/// `all versions of a` means `a` here.
fn one(who: &str) -> &str {
    who.strip_prefix("all versions of ").unwrap_or(who)
}

struct Proof<'a> {
    premises: &'a [Premise<'a>],
    case: &'a Case<'a>,
}

/// How the requirements come to ask for a package.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    /// The line that it begins with.
    line: Option<usize>,
    /// What the line asks for, what that needs, and so on.
    steps: Vec<String>,
}

impl Way {
    fn place(&self) -> String {
        self.line.map_or_else(String::new, |line| format!("requirements.txt line {line}: "))
    }

    /// `a needs b, which needs`; nothing when the line itself asks.
    fn through(&self) -> String {
        match self.steps.len() {
            0 | 1 => String::new(),
            steps => format!("{} needs ", self.steps[..steps - 1].join(" needs ")),
        }
    }

    fn last(&self) -> &str {
        self.steps.last().map_or("", String::as_str)
    }
}

impl Proof<'_> {
    /// The index did not let anybody look.
    fn refused(&self, hints: &[String]) -> Option<Explained> {
        self.premises.iter().find(|premise| matches!(premise, Premise::NoPackage(_) | Premise::NoFiles(_)))?;
        hints.iter().find_map(|hint| super::index::refused(hint)).map(Explained::plain)
    }

    /// A package or a version that does not exist.
    fn missing(&self) -> Option<Explained> {
        for premise in self.premises {
            match premise {
                Premise::NoPackage(package) => {
                    let near = names::near(package).map(|near| format!("; did you mean {near}?"));
                    return Some(self.of(package, |way| {
                        let end = near.clone().unwrap_or_else(|| "; check its name".to_owned());
                        match way.through() {
                            through if through.is_empty() => {
                                format!("the package {package} was not found in the package index{end}")
                            }
                            through => format!("{through}{package}, which was not found in the package index"),
                        }
                    }));
                }
                Premise::NoFiles(package) if self.demands(package).len() < 2 => {
                    return Some(self.of(package, |way| {
                        format!("{}{package}, of which the package index has no files", way.through())
                    }));
                }
                _ => {}
            }
        }
        self.missing_version()
    }

    fn missing_version(&self) -> Option<Explained> {
        let wanted = match self.premises {
            [Premise::Only(has), Premise::Asked(wanted)] if package_of(has) == package_of(wanted) => wanted,
            [Premise::NoVersion(wanted), ..] if self.demands(package_of(wanted)).len() < 2 => wanted,
            _ => return None,
        };
        let mut explained = self.of(wanted, |way| {
            let wanted = if way.steps.len() > 1 { way.last() } else { wanted };
            format!("{}{wanted}{}does not exist", way.through(), if way.steps.len() > 1 { ", which " } else { " " })
        });
        explained.look = Some(Look::Nearest { wanted: (*wanted).to_owned() });
        Some(explained)
    }

    /// A package that is not for this Python.
    fn python(&self) -> Option<Explained> {
        let (who, needs) = self.premises.iter().find_map(|premise| match premise {
            Premise::Python { who, needs } => Some((*who, *needs)),
            _ => None,
        })?;
        let (python, offered) = (self.case.python, self.case.offered);
        let fits: Vec<&str> = offered.iter().map(String::as_str).filter(|it| names::fits(it, needs)).collect();
        let advice = match fits.as_slice() {
            [] => "this server offers no such Python".to_owned(),
            fits => format!("take a base environment with Python {}", names::either(fits)),
        };
        let mut explained = self.of(who, |way| {
            format!("{}{who} needs Python {needs}, and this environment has {python}; {advice}", self.before(&way))
        });
        explained.look = Some(Look::ForThisPython { package: package_of(who).to_owned() });
        Some(explained)
    }

    /// A package without a wheel for this Python or this kind of machine.
    fn wheel(&self, hints: &[String]) -> Option<Explained> {
        let who = self.premises.iter().find_map(|premise| match premise {
            Premise::NoWheel(who) => Some(*who),
            _ => None,
        })?;
        let tags: Vec<&str> = hints.iter().flat_map(|hint| names::quoted(hint)).collect();
        let pythons: BTreeSet<(u32, u32)> = tags.iter().filter_map(|tag| names::python_of(tag)).collect();
        let minors = pythons.iter().rev().map(|(major, minor)| format!("{major}.{minor}"));
        let minors: Vec<String> = minors.filter(|it| it != self.case.python).collect();
        let missing =
            format!("has no wheel for Python {} on this server and no source to build it from", self.case.python);
        let advice = if minors.is_empty() {
            let platforms: Vec<&str> =
                tags.into_iter().filter(|tag| tag.contains('_') && !tag.contains("==")).collect();
            match platforms.as_slice() {
                [] => "take another version of it".to_owned(),
                platforms => format!("its wheels are for {}; take another version of it", names::either(platforms)),
            }
        } else {
            names::wheels_for(&minors, self.case.offered)
        };
        let mut explained = self.of(who, |way| format!("{}{who} {missing}; {advice}", self.before(&way)));
        explained.look = Some(Look::ForThisPython { package: package_of(who).to_owned() });
        Some(explained)
    }

    /// What leads to a package that is told of by itself.
    fn before(&self, way: &Way) -> String {
        match way.steps.len() {
            0 | 1 => String::new(),
            _ => format!("{}{}; ", way.through(), way.last()),
        }
    }

    /// Two demands on one package that exclude each other.
    fn conflict(&self) -> Option<Explained> {
        let packages = self.premises.iter().filter_map(|premise| match premise {
            Premise::Needs { what, .. } | Premise::Asked(what) => Some(package_of(what)),
            _ => None,
        });
        let demands = packages.map(|package| self.demands(package)).find(|ways| ways.len() > 1)?;
        let [one, two, ..] = demands.as_slice() else { return None };
        let package = package_of(one.last());
        if one.line == two.line && one.steps.len() == 1 && two.steps.len() == 1 {
            return Some(Explained::plain(format!(
                "{}{} and {} exclude each other; leave one of them out",
                one.place(),
                one.last(),
                two.last()
            )));
        }
        let lines = match (one.line, two.line) {
            (Some(one), Some(two)) if one != two => {
                format!("requirements.txt lines {one} and {two} cannot both be met")
            }
            _ => "The requirements cannot be met".to_owned(),
        };
        let told = |way: &Way| {
            let place = way
                .line
                .map_or_else(|| "the requirements ask for ".to_owned(), |line| format!("line {line} asks for "));
            format!("{place}{}", way.steps.join(", which needs "))
        };
        Some(Explained::plain(format!(
            "{lines}: {}, and {}; change the version of one of them, so that both accept the same {package}",
            told(one),
            told(two)
        )))
    }

    /// All different demands on a package, with the way to each.
    fn demands(&self, package: &str) -> Vec<Way> {
        let mut ways: Vec<Way> = Vec::new();
        let mut taken = BTreeSet::new();
        for premise in self.premises {
            let way = match premise {
                Premise::Asked(wanted) if same(wanted, package) => {
                    let requirements = self.case.requirements;
                    let line = requirements.line_asking(wanted, &taken).or_else(|| requirements.line_of(package));
                    taken.extend(line);
                    Way { line, steps: vec![(*wanted).to_owned()] }
                }
                Premise::Needs { who, what } if same(what, package) => {
                    let mut way = self.way_to(who, 0);
                    way.steps.push((*what).to_owned());
                    way
                }
                _ => continue,
            };
            if !ways.iter().any(|known| known.last() == way.last() && known.line == way.line) {
                ways.push(way);
            }
        }
        ways
    }

    /// How the requirements come to ask for a package.
    fn way_to(&self, who: &str, depth: usize) -> Way {
        let asked = self.premises.iter().find_map(|premise| match premise {
            Premise::Asked(wanted) if same(wanted, who) => Some(*wanted),
            _ => None,
        });
        let line = self.case.requirements.line_asking(asked.unwrap_or(who), &BTreeSet::new());
        let above = self.premises.iter().find_map(|premise| match premise {
            Premise::Needs { who: above, what } if same(what, who) && !same(above, who) => Some((*above, *what)),
            _ => None,
        });
        match above {
            Some((above, what)) if asked.is_none() && line.is_none() && depth < LONGEST_CHAIN => {
                let mut way = self.way_to(above, depth + 1);
                way.steps.push(what.to_owned());
                way
            }
            _ => Way { line, steps: vec![asked.unwrap_or(who).to_owned()] },
        }
    }

    /// A sentence about a package behind the line that leads to it.
    fn of(&self, who: &str, sentence: impl Fn(Way) -> String) -> Explained {
        let way = self.way_to(who, 0);
        let place = way.place();
        Explained::plain(format!("{place}{}", sentence(way)))
    }

    /// A proof of a form that is not known: the lines that have a part in it, and its first words.
    fn unknown(&self, because: &str) -> String {
        let lines = self.premises.iter().filter_map(|premise| match premise {
            Premise::Asked(wanted) => self.case.requirements.line_asking(wanted, &BTreeSet::new()),
            _ => None,
        });
        let lines: BTreeSet<usize> = lines.collect();
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let place = match lines.as_slice() {
            [] => "The requirements cannot be met".to_owned(),
            [line] => format!("requirements.txt line {line} cannot be met"),
            [first @ .., last] => {
                format!("requirements.txt lines {} and {last} cannot be met together", first.join(", "))
            }
        };
        let reason = because
            .replace(", we can conclude that your requirements are unsatisfiable", "")
            .replace(", we can conclude that ", ", so ")
            .replace(". And because ", "; and ");
        format!("{place}: {}", reason.trim_start_matches("Because ").trim_end_matches('.'))
    }
}

fn same(one: &str, other: &str) -> bool {
    normal(package_of(one)) == normal(package_of(other))
}
