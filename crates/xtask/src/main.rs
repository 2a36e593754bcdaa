//! Our commands.

mod bench;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Our commands.")]
enum Command {
    /// Measure ours beside the floor: `direct` or `cold-start`.
    Bench {
        /// Which benchmark.
        name: String,
        #[command(flatten)]
        options: bench::Options,
    },
}

fn main() {
    let Command::Bench { name, options } = Command::parse();
    if let Err(reason) = bench::run(&name, &options) {
        eprintln!("{reason}");
        std::process::exit(1);
    }
}
