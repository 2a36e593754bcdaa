//! Benchmarks: what the platform reaches beside the least that any server must spend, measured in the same run.
//!
//! Every cell of ours follows a cell of the floor within the same seconds, because absolute figures of a shared
//! machine mean nothing. Nothing here asserts a time: a run fails only when something could not be measured.

mod answer;
mod batching;
mod big;
mod build;
mod child;
mod cold_start;
mod direct;
mod environments;
mod figures;
mod files;
mod floor;
mod http;
mod idle;
mod interrupt;
mod load;
mod machine;
mod options;
mod ours;
mod processes;
mod python;
mod queue;
mod report;
mod stream;
mod work;

pub use files::soak as soak_files;
pub use options::Options;

/// Why a benchmark could not be carried out: a sentence for the person who started it.
pub type Result<T> = std::result::Result<T, String>;

/// Runs the benchmark `name` and prints what it found.
///
/// All are for people but `floor`, which is how a benchmark starts its own floor as a process of its own.
pub fn run(name: &str, options: &Options) -> Result<()> {
    if name == "floor" {
        return floor::serve(&options.floor);
    }
    let benchmark: fn(&Options, &build::Binaries) -> Result<report::Report> = match name {
        "direct" => direct::run,
        "cold-start" => cold_start::run,
        "env-cold" => environments::cold,
        "env-warm" => environments::warm,
        "batching" => batching::run,
        "big" => big::run,
        "queue" => queue::run,
        "stream" => stream::run,
        "files" => files::run,
        "idle" => idle::run,
        _ => {
            let all = "direct, cold-start, env-cold, env-warm, batching, big, queue, stream, files, idle";
            return Err(format!("there is no benchmark '{name}'; there are: {all}"));
        }
    };
    interrupt::watch()?;
    let Some(binaries) = build::prepare(options)? else {
        return build::hand_over_to_release();
    };
    let report = benchmark(options, &binaries)?;
    if options.json {
        println!("{}", report.to_json()?);
    } else {
        print!("{}", report.to_text());
    }
    match report.failures() {
        0 => Ok(()),
        n => Err(format!("{n} measurements failed; the reasons stand in the report")),
    }
}
