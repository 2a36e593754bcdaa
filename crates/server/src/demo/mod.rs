//! `modelyard demo`: from nothing to a prediction, with the commands to try next.

mod archive;
mod client;
mod progress;
mod steps;

use std::path::{Path, PathBuf};
use std::process::exit;
use std::time::Duration;

use tempfile::TempDir;

use crate::settings::{Address, Settings};
use crate::signals::Signals;
use crate::{Result, Running, StartError, console, start};

/// What a step of the demo gives, or a sentence that says why not.
type Step<T> = std::result::Result<T, String>;

/// Runs the demo in a temporary folder, which is gone afterwards. Unless `once`, it goes on until Ctrl-C.
pub async fn run(settings: Settings, once: bool) -> Result<()> {
    let mut signals = Signals::listen()?;
    let folder = tempfile::Builder::new().prefix("modelyard-demo-").tempdir();
    let folder = folder.map_err(|e| StartError(format!("No temporary folder can be made: {e}.")))?;
    console::line(format_args!("Modelyard {}: a demo in {}", env!("CARGO_PKG_VERSION"), folder.path().display()));

    let running = progress::step("start a server", start(here(settings, folder.path()))).await?;
    let shown = tokio::select! {
        shown = steps::all(&running) => shown,
        () = signals.next() => Err("it was interrupted".to_owned()),
    };
    if shown.is_ok() && !once {
        let commands = steps::what_to_try(&running);
        console::line(format_args!("\n{commands}\n\nThe server goes on until Ctrl-C; then the folder is removed."));
        signals.next().await;
    }
    end(running, folder, signals).await;
    shown.map_err(|e| StartError(format!("The demo failed: {e}.")))
}

/// The settings of the host, in a place of our own. The code that runs is ours, so weak walls are good enough.
fn here(settings: Settings, folder: &Path) -> Settings {
    Settings {
        data: folder.join("data"),
        listen: Address("127.0.0.1:0".into()),
        database_url: None,
        unsafe_run: true,
        ..settings
    }
}

/// Stops the server and removes the folder, at once if another signal comes.
async fn end(running: Running, folder: TempDir, mut signals: Signals) {
    let hurried = tokio::select! {
        () = running.stop() => false,
        () = signals.next() => true,
    };
    let path = folder.path().to_owned();
    console::line(format_args!("\nRemoving {}", path.display()));
    if let Err(e) = remove(folder.keep()).await {
        eprintln!("The folder {} could not be removed: {e}.", path.display());
    }
    if hurried {
        exit(1);
    }
}

/// How often a folder is tried to be removed: a tool that was just ended may still be writing its last file.
const TRIES: u32 = 50;

async fn remove(folder: PathBuf) -> std::io::Result<()> {
    for _ in 1..TRIES {
        match std::fs::remove_dir_all(&folder) {
            Err(e) if e.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            removed => return removed,
        }
    }
    std::fs::remove_dir_all(&folder)
}
