//! What is taken, and what is refused with which words.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Apt, Lined, Origins, UbiopsYaml, filled_in, parse, unset};

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn lined(text: &str, line: usize) -> Lined {
    Lined { text: text.to_owned(), line }
}

#[test]
fn all_that_the_file_can_ask_for_is_read() {
    let text = "\u{feff}# ours
environment_variables:
  - MODE=fast
  - \"QUOTED=a = b: c\"
  - _EMPTY=
apt:
  keys:
    urls:
      - https://example.org/key.asc
    items: ['a key']
  packages:
  - ffmpeg
  - libgl1:amd64
  - nginx=1.18.0-0ubuntu1~a*
  sources:
    items:
      - deb https://example.org/apt stable main
";
    let apt = Apt {
        line: 6,
        packages: vec![lined("ffmpeg", 12), lined("libgl1:amd64", 13), lined("nginx=1.18.0-0ubuntu1~a*", 14)],
        keys: Origins { urls: vec![lined("https://example.org/key.asc", 9)], items: vec![lined("a key", 10)] },
        sources: Origins { urls: vec![], items: vec![lined("deb https://example.org/apt stable main", 17)] },
    };
    let variables = pairs(&[("MODE", "fast"), ("QUOTED", "a = b: c"), ("_EMPTY", "")]);
    assert_eq!(parse(text), Ok(UbiopsYaml { variables, apt: Some(apt) }));
    for nothing in ["", "# nothing\n", "---\n", "---\n# x\n...\n", "~", "{}"] {
        assert_eq!(parse(nothing), Ok(UbiopsYaml::default()), "{nothing:?}");
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    let list = "is not a list of texts; write each one in a line of its own as";
    for (text, line, why) in [
        ("environment_variables:\n\t- A=1", 2, "the line has a tab, which YAML does not take; use spaces"),
        ("a: 1\n", 1, "the key 'a' is not known here; the keys are environment_variables and apt"),
        ("- a\n", 1, "the file is not a list of keys; write environment_variables: and apt: with what belongs to it"),
        ("# c\nenvironment_variables: A=1", 2, &format!("environment_variables {list} - NAME=value")),
        ("environment_variables:\n  A: 1", 2, &format!("environment_variables {list} - NAME=value")),
        ("environment_variables:\n  - A=1\n  - B: 1", 3, &format!("environment_variables {list} - NAME=value")),
        ("environment_variables:\n  - A", 2, "'A' has no '='; write - NAME=value"),
        ("environment_variables:\n  - A=1\n  - A=2", 3, "the variable A is there twice; keep one of them"),
        (
            "environment_variables: []\nenvironment_variables: []",
            2,
            "the key 'environment_variables' is there twice; keep one of them",
        ),
        ("apt:\n  packages: []", 1, "apt has no packages; list at least one below packages:, or remove apt"),
        ("apt:\n  keys:\n    urls: []", 1, "apt has no packages; list at least one below packages:, or remove apt"),
        ("apt:", 1, "apt is not a list of keys; write packages: with what belongs to it"),
        (
            "apt:\n  packages:\n  - a\n  extra: 1",
            4,
            "the key 'extra' is not known here; the keys are packages, keys and sources",
        ),
        (
            "apt:\n  packages: [a]\n  keys:\n    files: []",
            4,
            "the key 'files' is not known here; the keys are urls and items",
        ),
        (
            "apt:\n  packages:\n  - --allow-unauthenticated",
            3,
            "'--allow-unauthenticated' is no name of a system package",
        ),
        ("apt:\n  packages:\n  - a b", 3, "'a b' is no name of a system package"),
        (
            "apt:\n  packages: [a]\n  sources:\n    urls: ['file:///etc/x']",
            4,
            "'file:///etc/x' is no http: or https: address",
        ),
        ("environment_variables: &x []", 1, "anchors, aliases and tags are not taken here; write the text itself"),
        ("environment_variables: !!seq []", 1, "anchors, aliases and tags are not taken here; write the text itself"),
        ("apt: {packages: [a]}\n---\napt: {}", 3, "the file has a second document; keep one of them"),
        ("[[[[[[[[[[[[[1]]]]]]]]]]]]]", 1, "this is nested too deeply"),
    ] {
        assert_eq!(parse(text), Err(format!("ubiops.yaml line {line}: {why}")), "{text}");
    }
    let broken = parse("apt:\n  packages: [a\n").unwrap_err();
    assert!(broken.starts_with("ubiops.yaml line ") && broken.contains("this is not YAML: "), "{broken}");
}

#[test]
fn names_are_checked_and_those_of_the_platform_refused() {
    let told = |name: &str| parse(&format!("environment_variables:\n  - \"{name}=1\"")).map(drop).unwrap_err();
    for name in ["a", "Mode", "1A", "A-B", "", "A B", "É"] {
        assert!(told(name).contains(&format!("line 2: '{name}' is no name of a variable")), "{}", told(name));
    }
    for name in [
        "PATH",
        "HOME",
        "UV_INDEX_URL",
        "PIP_INDEX_URL",
        "HTTPS_PROXY",
        "INT_API_TOKEN",
        "SSL_CERT_FILE",
        "MODELYARD_RUN",
        "UBIOPS_VERSION",
    ] {
        let wanted =
            format!("ubiops.yaml line 2: the variable {name} is set by the platform and cannot be set here; remove it");
        assert_eq!(told(name), wanted);
    }
    let main = "ubiops.yaml line 2: SYS_DEPLOYMENT_FILE_NAME names the main file of code before its environment is known; \
                make it a variable of the version, its deployment or project";
    assert_eq!(told("SYS_DEPLOYMENT_FILE_NAME"), main);
    let long = format!("environment_variables:\n  - A={}", "x".repeat((64 << 10) + 1));
    assert!(parse(&long).unwrap_err().contains("more than 65536 bytes"));
    let many: String = (0..5).map(|at| format!("\n  - A{at}={}", "x".repeat(60_000))).collect();
    let told = parse(&format!("environment_variables:{many}")).unwrap_err();
    assert_eq!(
        told,
        "ubiops.yaml line 6: environment_variables take more than 262144 bytes together; put values into files"
    );
}

#[test]
fn references_are_filled_in_from_what_counts() {
    let file =
        pairs(&[("A", "1"), ("B", "${A}-${C}"), ("C", "${A}${NOBODY}"), ("D", "$A ${} ${A ${A}${Ä}"), ("E", "${P}")]);
    let over = BTreeMap::from([("P", "literally ${A}"), ("C", "c")]);

    let filled = filled_in(&file, &over);

    let wanted = pairs(&[("A", "1"), ("B", "1-c"), ("D", "$A ${} ${A 1${Ä}"), ("E", "literally ${A}")]);
    assert_eq!(filled, Ok(wanted));
    assert_eq!(unset(&file, &over), ["NOBODY"]);
    assert_eq!(unset(&file, &BTreeMap::from([("NOBODY", "x")])), ["P"]);
}

#[test]
fn of_several_files_the_last_counts() {
    let (below, own) = ([("A", "${B}"), ("B", "1"), ("C", "c")], [("B", "2"), ("D", "${A}${C}")]);
    let both = pairs(&[&below[..], &own].concat());
    assert_eq!(filled_in(&both, &BTreeMap::new()), Ok(pairs(&[("A", "2"), ("B", "2"), ("C", "c"), ("D", "2c")])));

    let crossed = pairs(&[("A", "${B}"), ("B", "1"), ("B", "${A}")]);
    let told = filled_in(&crossed, &BTreeMap::new());
    assert_eq!(told.unwrap_err(), "ubiops.yaml: the variable A refers to itself, or too deeply; write its value out");
    assert_eq!(filled_in(&crossed, &BTreeMap::from([("B", "3")])), Ok(pairs(&[("A", "3")])));
    let long = "x".repeat(60_000);
    let many = pairs(&[("A", "${L}"), ("B", "${L}"), ("C", "${L}"), ("D", "${L}"), ("E", "${L}")]);
    let told = filled_in(&many, &BTreeMap::from([("L", long.as_str())])).unwrap_err();
    assert_eq!(told, "ubiops.yaml: environment_variables take more than 262144 bytes together; put values into files");
}

#[test]
fn endless_references_are_refused() {
    let told = parse("environment_variables:\n  - A=${B}\n  - B=x${A}").unwrap_err();
    assert_eq!(told, "ubiops.yaml line 3: the variable A refers to itself, or too deeply; write its value out");
    let mut bomb = String::from("environment_variables:\n  - A0=xxxxxxxxxx\n");
    for at in 1..10 {
        bomb.push_str(&format!("  - A{at}={}\n", format!("${{A{}}}", at - 1).repeat(10)));
    }
    assert!(parse(&bomb).unwrap_err().contains("becomes longer than 65536 bytes"), "{bomb}");
}

proptest! {
    /// Nothing that a user sends makes it panic or fall silent.
    #[test]
    fn any_text_is_read_or_refused_in_one_line(text in "[ \\-:A-Z=a-z\n\\[\\]{}'\"$#&*!|>%@`,?\u{e9}0-9]{0,200}") {
        if let Err(why) = parse(&text) {
            prop_assert!(why.starts_with("ubiops.yaml line ") && !why.contains('\n'), "{why}");
        }
    }
}
