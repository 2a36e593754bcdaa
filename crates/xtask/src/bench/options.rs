//! What can be chosen on the command line of a benchmark.

use std::path::PathBuf;

use super::work::Work;

/// Options of `cargo xtask bench`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Rounds per measurement; figures are medians over them.
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Seconds of load per cell, at most 20.
    #[arg(long)]
    pub seconds: Option<f64>,
    /// One second of load per cell and fewer rounds, to see whether everything works.
    #[arg(long)]
    pub quick: bool,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    pub json: bool,
    /// Connections of the load cells.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    pub connections: Vec<usize>,
    /// Which user code to measure.
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = [Work::Echo, Work::Iris])]
    pub work: Vec<Work>,
    /// Measure the floor alone; no server is needed.
    #[arg(long)]
    pub floor_only: bool,
    /// Measure what is built in this profile instead of building for release first. For work on the benchmark only.
    #[arg(long)]
    pub this_profile: bool,
    /// The server binary to measure, instead of the one cargo builds.
    #[arg(long, value_name = "FILE")]
    pub server: Option<PathBuf>,
    /// A further argument for `modelyard serve`; may be repeated.
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub serve_arg: Vec<String>,
    /// The interpreter of both sides; a virtual environment is made from it.
    #[arg(long, value_name = "FILE", default_value = "python3")]
    pub python: PathBuf,
    /// Arguments of the floor's own process.
    #[arg(hide = true)]
    pub floor: Vec<String>,
}

impl Options {
    /// Those of a run that nothing was chosen for.
    pub fn usual() -> Self {
        #[derive(clap::Parser)]
        struct Usual {
            #[command(flatten)]
            options: Options,
        }
        <Usual as clap::Parser>::parse_from(["bench"]).options
    }

    /// Seconds of load in one cell.
    pub fn seconds(&self) -> f64 {
        let default = if self.quick { 1.0 } else { 3.0 };
        self.seconds.unwrap_or(default).clamp(0.1, 20.0)
    }

    /// Rounds of a measurement that takes `usual` rounds when nothing is chosen.
    pub fn rounds(&self, usual: usize) -> usize {
        let default = if self.quick { usual.min(2) } else { usual };
        self.rounds.unwrap_or(default).max(1)
    }
}
