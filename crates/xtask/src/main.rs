//! Our commands: `cargo xtask ci | openapi | dev | bench NAME | soak`.

mod bench;
mod ci;
mod dev;
mod openapi;
mod place;
mod soak;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Our commands.")]
enum Command {
    /// Run everything that CI runs: formats, lints, contract, licences, all tests.
    Ci,
    /// Write openapi.json and contract/missing.txt.
    Openapi,
    /// Run a server that logs much, in target/dev-data.
    Dev {
        /// Further arguments of `modelyard serve`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure ours beside the floor: `direct`, `cold-start`, `batching`, `big`, `queue`, `stream`, `files` or `idle`.
    Bench {
        /// Which benchmark.
        name: String,
        #[command(flatten)]
        options: bench::Options,
    },
    /// Run what takes too long for CI; without a name, list what there is.
    Soak {
        /// Which run.
        name: Option<String>,
        #[command(flatten)]
        options: soak::Options,
    },
}

fn main() {
    let done = match Command::parse() {
        Command::Ci => ci::run(),
        Command::Openapi => openapi::write(),
        Command::Dev { arguments } => dev::run(&arguments),
        Command::Bench { name, options } => bench::run(&name, &options),
        Command::Soak { name, options } => soak::run(name.as_deref(), &options),
    };
    if let Err(reason) = done {
        eprintln!("{reason}");
        std::process::exit(1);
    }
}
