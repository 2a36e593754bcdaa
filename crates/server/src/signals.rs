//! SIGTERM and SIGINT: the first asks to stop, the second means at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Result, StartError};

/// Listens for requests to stop.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on: from here no signal ends the process by itself.
    pub fn listen() -> Result<Self> {
        let on = |kind| signal(kind).map_err(|e| StartError(format!("Signals cannot be listened for: {e}.")));
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    /// Waits for one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
