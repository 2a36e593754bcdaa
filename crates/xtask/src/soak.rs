//! What takes too long for CI: random tests again and again, each time with other cases; and lists with millions of requests
//! stored. Figures that come out of it belong into the documentation.

use std::time::{Duration, Instant};

use super::bench;
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

/// The runs that measure instead of repeating tests.
const LISTS: &str = "lists";
const FILES: &str = "files";

/// Options of `cargo xtask soak`.
#[derive(clap::Args)]
pub struct Options {
    /// For how long tests are repeated.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// `lists`: how many requests to store.
    #[arg(long, default_value_t = 10_000_000)]
    requests: u64,
    /// `lists`: which databases to fill: sqlite, postgresql or both.
    #[arg(long, default_value = "both")]
    database: String,
    /// `files`: how many MiB the file has.
    #[arg(long, default_value_t = 5 * 1024)]
    size: u64,
    /// `lists`: print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
}

/// Runs one; without a name, lists them.
pub fn run(name: Option<&str>, options: &Options) -> Result<(), String> {
    let Some(name) = name else {
        println!("Long runs, each by `cargo xtask soak NAME [--minutes N]`:\n");
        for soak in &ALL {
            println!("  {:<10} {}", soak.name, soak.about);
        }
        println!("\nAnd by `cargo xtask soak {LISTS} [--requests N] [--database sqlite|postgresql|both] [--json]`:\n");
        println!("  {LISTS:<10} how long lists take in a database with ten million requests");
        println!("\nAnd by `cargo xtask soak {FILES} [--size MIB]`:\n");
        println!("  {FILES:<10} a very large file up and down, and the memory of the server meanwhile");
        return Ok(());
    };
    if name == LISTS {
        return lists(options);
    }
    if name == FILES {
        return bench::soak_files(options.size);
    }
    let Some(soak) = ALL.iter().find(|soak| soak.name == name) else {
        let names: Vec<_> = ALL.iter().map(|soak| soak.name).chain([LISTS, FILES]).collect();
        return Err(format!("there is no long run '{name}'; there are: {}", names.join(", ")));
    };
    repeat(soak, options.minutes)
}

/// Fills databases and measures: a program of the store's, since it speaks to the database as handlers do.
fn lists(options: &Options) -> Result<(), String> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "modelyard-store", "--example", "lists", "--"]);
    command.args(["--requests", &options.requests.to_string(), "--database", &options.database]);
    if options.json {
        command.arg("--json");
    }
    place::run(&mut command)
}

/// Repeats tests until their time is up or one fails.
fn repeat(soak: &Soak, minutes: u64) -> Result<(), String> {
    let until = Instant::now() + Duration::from_secs(minutes * 60);
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < until {
        place::run(cargo().args(["test", "--quiet"]).args(soak.arguments))?;
        rounds += 1;
    }
    println!("{}: {rounds} rounds, none failed", soak.name);
    Ok(())
}
