//! The program: reads the command line, and runs what it asks for.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use modelyard_server::cli::{Cli, Command};
use modelyard_server::settings::{self, Given, InForce};
use modelyard_server::{Result, StartError, console, demo, openapi, serve};

fn main() -> ExitCode {
    // The first process of an instance is this program too; it must not have made a thread.
    modelyard_runner::run_init_if_asked();
    modelyard_server::host::keep_memory_small();
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("modelyard: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve(flags) => {
            let settings = settings::load(&flags.given())?.settings;
            modelyard_server::logging::start(settings.log_format, &settings.log_level)?;
            runtime()?.block_on(serve::run(settings))
        }
        Command::Config { flags, json } => print_settings(&settings::load(&flags.given())?, json),
        Command::Demo { config, once } => {
            let settings = demo_settings(config)?;
            modelyard_server::logging::start(settings.log_format, &settings.log_level)?;
            runtime()?.block_on(demo::run(settings, once))
        }
        Command::Version => {
            console::line(concat!("modelyard ", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
        Command::Openapi => openapi::print(),
    }
}

fn print_settings(in_force: &InForce, json: bool) -> Result<()> {
    if json {
        console::line(format_args!("{:#}", settings::as_json(in_force)));
    } else {
        console::line(settings::as_text(in_force).trim_end());
    }
    Ok(())
}

/// The demo speaks for itself: unless somebody asks for more, only warnings are logged.
fn demo_settings(file: Option<PathBuf>) -> Result<settings::Settings> {
    let mut in_force = settings::load(&Given { file, ..Given::from_environment() })?;
    if in_force.origins["log_level"] == "default" {
        in_force.settings.log_level = "warn".into();
    }
    Ok(in_force.settings)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    // Half of the processors: the other half is for the user's code and the database. Threads that wake
    // each other for single requests spend more on that than on the requests: docs/decisions/0006-threads.md.
    let threads = (modelyard_server::host::processors() / 2).max(1);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(threads)
        .thread_name("modelyard")
        .build()
        .map_err(|e| StartError(format!("Threads cannot be started: {e}.")))
}
