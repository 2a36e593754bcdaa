//! The steps, one by one.

use std::path::Path;
use std::process::Stdio;

use modelyard_testkit::azurite::find_or_install;
use modelyard_testkit::postgres::{PrivatePostgres, SHARED};

use super::counts::Counts;
use super::outcome::watch;
use crate::openapi;
use crate::place::{built, cargo, program, root, run};

/// Installs what the following steps need of the toolchain, and says so.
pub fn tools(_: &mut Counts) -> Result<(), String> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if has(subcommand) {
            println!("cargo {subcommand} is there");
            continue;
        }
        println!("cargo {subcommand} is missing; installing the component {component}");
        run(program("rustup").args(["component", "add", component]))?;
    }
    match has("nextest") {
        true => println!("cargo nextest is there and runs the tests"),
        false => println!("cargo nextest is not there; cargo test runs the tests"),
    }
    rules();
    r();
    signer();
    azurite();
    Ok(())
}

/// Installs nftables, by which the networks of instances are filtered. Where that cannot be, the tests see to it that it is
/// refused.
fn rules() {
    let places = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"];
    if places.iter().any(|place| Path::new(place).exists()) {
        return println!("nft is there");
    }
    println!("nft is not there; installing the package nftables");
    if !installed(&["nftables"]) {
        println!("nftables cannot be installed; that filtered networks work is not tested here");
    }
}

/// Installs R with what code in R is served with. Its tests fail without.
fn r() {
    let mut asked = program("Rscript");
    asked.args(["--vanilla", "-e", "library(jsonlite)"]).stdout(Stdio::null()).stderr(Stdio::null());
    if asked.status().is_ok_and(|status| status.success()) {
        return println!("R is there");
    }
    println!("R with jsonlite is not there; installing the packages r-base-core and r-cran-jsonlite");
    if !installed(&["r-base-core", "r-cran-jsonlite"]) {
        println!("they cannot be installed; the tests of R will fail");
    }
}

/// Installs what signs the repository of packages in the tests of system packages. They fail without.
fn signer() {
    if program("gpg").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return println!("gpg is there");
    }
    println!("gpg is not there; installing the package gnupg");
    if !installed(&["gnupg"]) {
        println!("it cannot be installed; tests of system packages will fail");
    }
}

/// Installs the emulator of Azure Blob Storage, and npm for that. The tests of files in Azure fail without.
fn azurite() {
    if program("npm").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("npm is not there; installing the packages nodejs and npm");
        if !installed(&["nodejs", "npm"]) {
            println!("they cannot be installed");
        }
    }
    match find_or_install() {
        Ok(program) => println!("Azurite is there: {}", program.display()),
        Err(cause) => println!("Azurite cannot be installed; the tests of files in Azure will fail: {cause}"),
    }
}

/// Installs packages of Debian; false when that cannot be.
fn installed(packages: &[&str]) -> bool {
    let run = |words: &[&str]| {
        let mut command = program("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(words).stdout(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let install = || run(&[&["install", "--yes", "--no-install-recommends"], packages].concat());
    install() || run(&["update"]) && install()
}

fn has(subcommand: &str) -> bool {
    let mut command = cargo();
    command.args([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// All Rust code is formatted.
pub fn formats(_: &mut Counts) -> Result<(), String> {
    run(cargo().args(["fmt", "--all", "--check"]))
}

/// No lint has anything to say.
pub fn lints(_: &mut Counts) -> Result<(), String> {
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]))
}

/// The document and the list of what is missing are up to date, and nothing went missing.
pub fn contract(_: &mut Counts) -> Result<(), String> {
    openapi::check()
}

/// All Rust tests, those of the database and of the API on SQLite and on one private PostgreSQL.
pub fn tests(counts: &mut Counts) -> Result<(), String> {
    let postgres = PrivatePostgres::start()?;
    println!("a private PostgreSQL runs for the tests");
    let mut command = cargo();
    match has("nextest") {
        true => command.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]),
        false => command.args(["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"]),
    };
    command.env(SHARED, postgres.url());
    watch(command, counts)
}

/// The tests of the worker package, in Python, with the libraries whose values it understands.
pub fn worker(counts: &mut Counts) -> Result<(), String> {
    let folder = built().join("worker-tests");
    let python = folder.join("bin/python");
    if !has_module(&python, "numpy") || !has_module(&python, "pandas") {
        println!("installing numpy and pandas into {}", folder.display());
        run(program("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        run(program(&python).args(["-m", "pip", "install", "--quiet", "numpy", "pandas"]))?;
    }
    let mut command = program(&python);
    command.args(["-m", "unittest", "discover", "worker/tests"]);
    watch(command, counts)
}

fn has_module(python: &Path, module: &str) -> bool {
    let mut command = program(python);
    command.args(["-c", &format!("import {module}")]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The stock clients against a server of ours.
pub fn clients(counts: &mut Counts) -> Result<(), String> {
    let suite = Path::new("tests/clients/run.py");
    if !root().join(suite).exists() {
        println!("{} is not there yet", suite.display());
        return Ok(());
    }
    // With the whole workspace, as the tests are built: nothing that it needs is built again.
    run(cargo().args(["build", "--workspace", "--bin", "modelyard", "--example", "stores", "--locked"]))?;
    let mut command = program("python3");
    command.arg(suite).arg("--binary").arg(built().join("modelyard"));
    command.arg("--stores").arg(built().join("examples/stores"));
    watch(command, counts)
}
