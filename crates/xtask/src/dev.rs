//! A server to try things on: scratch data, and a log that tells much.

use super::place::{self, cargo};

/// Runs it until Ctrl-C.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let mut command = cargo();
    command
        .args(["run", "--package", "modelyard-server", "--", "serve", "--data", "target/dev-data"])
        .args(arguments)
        .env(
            "MODELYARD_LOG_LEVEL",
            "info,modelyard_api=debug,modelyard_control=debug,modelyard_runner=debug,modelyard_server=debug",
        );
    place::run(&mut command)
}
