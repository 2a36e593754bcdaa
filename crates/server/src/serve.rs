//! `modelyard serve`: runs a server until it is asked to stop, and says where everything is.

use std::process::exit;

use modelyard_runner::walls::{Reach, Walls};

use crate::running::{Running, start};
use crate::settings::Settings;
use crate::signals::Signals;
use crate::{Result, console, first_start};

/// Runs a server until SIGTERM or SIGINT; a second signal ends it at once.
pub async fn run(settings: Settings) -> Result<()> {
    let mut signals = Signals::listen()?;
    #[cfg(feature = "failpoints")]
    crate::crash_points::arm();
    let (level, unsafe_run) = (settings.walls_level.0, settings.unsafe_run);
    let running = tokio::select! {
        started = start(settings) => started?,
        () = signals.next() => return Ok(()),
    };
    console::line(
        introduction(&running) + &about_walls(running.walls(), level, unsafe_run) + &about_network(running.reach()),
    );
    signals.next().await;
    tracing::info!("stopping; a second signal stops at once");
    stop(running, signals).await;
    tracing::info!("stopped");
    Ok(())
}

/// Stops a server, at once if another signal comes.
pub(crate) async fn stop(running: Running, mut signals: Signals) {
    tokio::select! {
        () = running.stop() => {}
        () = signals.next() => {
            tracing::warn!("stopped at once");
            // The kernel ends the instances with us.
            exit(1);
        }
    }
}

fn introduction(running: &Running) -> String {
    let base = format!("http://{}", running.address);
    let token = running.admin_token();
    let made = if running.first_start { " (made now)" } else { "" };
    let mut lines = vec![
        format!("Modelyard {} listens on {base}", env!("CARGO_PKG_VERSION")),
        format!("  API            {base}/v2.1 (and /v2)"),
        format!("  documentation  {base}/docs"),
        format!("  data folder    {}", running.data().display()),
    ];
    if running.first_start {
        lines.push(format!(
            "  key            {}{made}: keep a copy where backups go",
            running.data().join("key").display()
        ));
    }
    if token.exists() {
        let who = first_start::ADMINISTRATOR;
        lines.push(format!("  admin token    {}{made}: signs {who} in", token.display()));
    }
    lines.join("\n") + "\n"
}

/// What user code reaches, or why it does not run.
fn about_network(reach: &Reach) -> String {
    match reach.of(None) {
        Ok(_) => format!("  network        {}\n", reach.describe()),
        Err(refusal) => format!("  network        {refusal}\n"),
    }
}

/// The level, and each wall that does not stand.
fn about_walls(walls: &Walls, required: u8, unsafe_run: bool) -> String {
    let standing: Vec<_> = walls.list.iter().filter(|wall| wall.used).map(|wall| wall.name).collect();
    let mut text = format!("  walls          level {}: {}\n", walls.level, standing.join(", "));
    for wall in walls.list.iter().filter(|wall| !wall.used) {
        text += &format!("                 without {}: {}\n", wall.name, wall.detail);
    }
    if walls.level < required {
        text += &match (walls.level, unsafe_run) {
            (1.., true) => "                 user code runs all the same: unsafe_run is set\n".to_owned(),
            _ => format!("                 {}\n", walls.refusal(required)),
        };
    }
    text
}
