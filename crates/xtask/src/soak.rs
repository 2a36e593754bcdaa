//! What takes too long for CI: random tests again and again, each time with other cases. Figures that come out of it belong
//! into the documentation.

use std::time::{Duration, Instant};

use super::place::{self, cargo};

/// Tests to repeat.
struct Soak {
    name: &'static str,
    about: &'static str,
    /// Of `cargo test`.
    arguments: &'static [&'static str],
}

const ALL: [Soak; 5] = [
    Soak {
        name: "protocol",
        about: "random and damaged frames against the server's reader of worker processes",
        arguments: &["--package", "modelyard-runner", "--lib", "protocol::"],
    },
    Soak {
        name: "packages",
        about: "random and damaged zips against the inspection of packages",
        arguments: &["--package", "modelyard-runner", "--lib", "package::property_tests"],
    },
    Soak {
        name: "lanes",
        about: "random histories of lanes against their rules",
        arguments: &["--package", "modelyard-dispatch", "--lib", "tests::"],
    },
    Soak {
        name: "requests",
        about: "random histories of requests over two servers against their rules",
        arguments: &["--package", "modelyard-control", "--lib", "requests::random"],
    },
    Soak {
        name: "scaling",
        about: "random worlds that carry out what the scheduler plans",
        arguments: &["--package", "modelyard-scheduler", "--lib", "tests::random"],
    },
];

/// Repeats one until its time is up or it fails; without a name, lists them.
pub fn run(name: Option<&str>, minutes: u64) -> Result<(), String> {
    let Some(name) = name else {
        println!("Long runs, each by `cargo xtask soak NAME [--minutes N]`:\n");
        for soak in &ALL {
            println!("  {:<10} {}", soak.name, soak.about);
        }
        return Ok(());
    };
    let Some(soak) = ALL.iter().find(|soak| soak.name == name) else {
        let names: Vec<_> = ALL.iter().map(|soak| soak.name).collect();
        return Err(format!("there is no long run '{name}'; there are: {}", names.join(", ")));
    };
    let until = Instant::now() + Duration::from_secs(minutes * 60);
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < until {
        place::run(cargo().args(["test", "--quiet"]).args(soak.arguments))?;
        rounds += 1;
    }
    println!("{name}: {rounds} rounds, none failed");
    Ok(())
}
