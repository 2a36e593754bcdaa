//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::settings::Given;

/// Runs models and data code as versioned, scaled and logged endpoints.
#[derive(Debug, Parser)]
#[command(name = "modelyard", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a server.
    Serve(Flags),
    /// Print the settings in force and where each came from.
    Config {
        /// Settings by flags.
        #[command(flatten)]
        flags: Flags,
        /// Print them as one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Start a server in a temporary folder, deploy a small model and send it a request.
    Demo {
        /// A settings file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Stop after the answer, instead of waiting for Ctrl-C.
        #[arg(long)]
        once: bool,
    },
    /// Print the version.
    Version,
    /// Print the OpenAPI document.
    #[command(hide = true)]
    Openapi,
}

/// Settings by flags. All others are set by environment variables or in the settings file.
#[derive(Debug, Default, Args)]
pub struct Flags {
    /// The data folder; made when it is missing [default: ./modelyard-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// The address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// A PostgreSQL database instead of a file in the data folder
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// A settings file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run user code even where this host offers weak walls
    #[arg(long)]
    unsafe_run: bool,
}

impl Flags {
    /// What these flags and the environment say.
    pub fn given(self) -> Given {
        let flags = [
            ("data", "--data", self.data),
            ("listen", "--listen", self.listen),
            ("database_url", "--database-url", self.database_url),
            ("unsafe_run", "--unsafe-run", self.unsafe_run.then(|| "true".to_owned())),
        ];
        let flags = flags.into_iter().filter_map(|(key, flag, value)| Some((key, flag, value?)));
        Given { flags: flags.collect(), file: self.config, ..Given::from_environment() }
    }
}
