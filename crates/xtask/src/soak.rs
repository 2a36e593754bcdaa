//! What takes too long for CI. Figures that come out of it belong into the documentation.

use super::place::{self, cargo};

/// Name, what it does, and the cargo arguments and variables that do it.
struct Soak {
    name: &'static str,
    about: &'static str,
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
}

const ALL: [Soak; 3] = [
    Soak {
        name: "protocol",
        about: "random and damaged frames against the reader of worker processes, 200,000 cases each",
        arguments: &["test", "--package", "modelyard-runner", "--lib", "protocol::"],
        variables: &[("PROPTEST_CASES", "200000")],
    },
    Soak {
        name: "packages",
        about: "random and damaged zips against the inspection of packages, 50,000 cases each",
        arguments: &["test", "--package", "modelyard-runner", "--lib", "package::property_tests"],
        variables: &[("PROPTEST_CASES", "50000")],
    },
    Soak {
        name: "lanes",
        about: "random histories of lanes and of scaling against their rules, 100,000 cases each",
        arguments: &["test", "--package", "modelyard-dispatch", "--package", "modelyard-scheduler", "--lib", "random"],
        variables: &[("PROPTEST_CASES", "100000")],
    },
];

/// Runs one, or lists them.
pub fn run(name: Option<&str>) -> Result<(), String> {
    let Some(name) = name else {
        println!("Long runs, each by `cargo xtask soak NAME`:\n");
        for soak in &ALL {
            println!("  {:<10} {}", soak.name, soak.about);
        }
        return Ok(());
    };
    let Some(soak) = ALL.iter().find(|soak| soak.name == name) else {
        let names: Vec<_> = ALL.iter().map(|soak| soak.name).collect();
        return Err(format!("there is no long run '{name}'; there are: {}", names.join(", ")));
    };
    place::run(cargo().args(soak.arguments).envs(soak.variables.iter().copied()))
}
