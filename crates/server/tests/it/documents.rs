//! Runs every command of the documents; CONTRIBUTING.md says how blocks are marked.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::program::{MODELYARD, Server, command, text};

/// A fenced block: the words behind the fence, and its text.
struct Block {
    info: String,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in document.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some(Block { info: info.trim().to_owned(), text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

/// The commands after `$`, with the lines that a backslash ties to them. What else stands there is shown, not run.
fn commands(block: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in block.lines() {
        if let Some(start) = line.strip_prefix("$ ") {
            commands.push(start.to_owned());
        } else if goes_on && let Some(last) = commands.last_mut() {
            *last += &format!("\n{line}");
        } else {
            continue;
        }
        goes_on = line.ends_with('\\');
    }
    commands
}

/// A document being carried out, in a folder of its own.
struct Reader {
    port: String,
    // They end before their folder goes: fields are dropped in this order.
    servers: Vec<Server>,
    folder: tempfile::TempDir,
}

impl Reader {
    fn new(port: u16) -> Self {
        Self { port: port.to_string(), servers: Vec::new(), folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `modelyard` and a virtual environment come first on PATH.
    fn shell(&self, script: &str) -> Command {
        let mut folders = vec![self.path().join("venv/bin"), Path::new(MODELYARD).parent().unwrap().to_owned()];
        folders.extend(env::split_paths(&env::var_os("PATH").unwrap()));
        let mut shell = command("bash");
        shell.args(["-euo", "pipefail", "-c", script]).current_dir(self.path());
        shell.env("PATH", env::join_paths(folders).unwrap());
        shell
    }

    fn run(&self, script: &str) {
        let output = self.shell(script).output().unwrap();
        let logs: Vec<_> = self.servers.iter().map(Server::log).collect();
        let (said, complained, logs) = (text(&output.stdout), text(&output.stderr), logs.join("\n"));
        assert!(output.status.success(), "{script}\n{}\n{said}\n{complained}\nserver:\n{logs}", output.status);
    }

    fn carry_out(&mut self, block: &Block) {
        let mut words = block.info.split_whitespace().skip(1);
        match words.next() {
            Some("run") if block.info.starts_with("python") => {
                fs::write(self.path().join("block.py"), &block.text).unwrap();
                self.run("python block.py");
            }
            Some("run") => commands(&block.text).iter().for_each(|command| self.run(command)),
            Some("serve") => {
                let commands = commands(&block.text);
                let log = self.path().join(format!("server-{}.log", self.servers.len()));
                let mut shell = self.shell(&format!("exec {}", commands.concat()));
                // For those that leave the address to the default.
                shell.env("MODELYARD_LISTEN", format!("127.0.0.1:{}", self.port));
                // The tables of the host that runs the tests are not the tests' to change.
                shell.env("MODELYARD_INSTANCE_EGRESS", "all");
                self.servers.push(Server::start(&mut shell, log));
            }
            Some(file) if file.starts_with("file=") => {
                let path: PathBuf = self.path().join(&file["file=".len()..]);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, &block.text).unwrap();
            }
            _ => {}
        }
    }
}

fn carry_out(name: &str) {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let here = document.replace("cargo run --release --", "modelyard").replace("8080", &port.to_string());
    let blocks = blocks(&here);
    let mut reader = Reader::new(port);
    if blocks.iter().any(|block| block.info == "python run") {
        let made = reader.shell("python3 -m venv venv").output().unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
    }
    assert!(blocks.iter().any(|block| block.info.ends_with(" run")), "{name} has nothing to run");
    blocks.iter().for_each(|block| reader.carry_out(block));
    for server in &mut reader.servers {
        server.signal(Signal::SIGTERM);
        assert_eq!(server.ended().code(), Some(0), "{}", server.log());
    }
}

#[test]
fn the_readme_leads_to_a_prediction() {
    carry_out("README.md");
}

#[test]
fn the_page_on_running_holds() {
    carry_out("docs/running.md");
}

#[test]
fn the_page_on_configuration_holds() {
    carry_out("docs/configuration.md");
}

#[test]
fn the_page_on_requests_holds() {
    carry_out("docs/requests.md");
}

#[test]
fn the_page_on_batching_holds() {
    carry_out("docs/batching.md");
}

#[test]
fn the_page_on_the_network_holds() {
    carry_out("docs/network.md");
}

#[test]
fn the_page_on_scaling_holds() {
    carry_out("docs/scaling.md");
}

#[test]
fn the_page_on_environments_holds() {
    carry_out("docs/environments.md");
}

/// It needs R 4 with its package jsonlite.
#[test]
fn the_page_on_r_holds() {
    carry_out("docs/r.md");
}

#[test]
fn the_page_on_variables_holds() {
    carry_out("docs/variables.md");
}

#[test]
fn the_page_on_files_holds() {
    carry_out("docs/files.md");
}

#[test]
fn commands_are_found_among_what_they_print() {
    assert_eq!(commands("$ a \\\n  b\nprinted\n$ c\n"), ["a \\\n  b", "c"]);
}
