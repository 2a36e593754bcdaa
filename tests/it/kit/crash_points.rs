//! Servers that die at a named point, as `kill -9` would end them there.

use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt;

use super::TestServer;

impl TestServer {
    /// Starts again, to die when it comes to a point of the code for the n-th time. Says whether it came to listen before.
    pub async fn start_to_die_at(&mut self, point: &str, time: u32) -> bool {
        self.start_with_crash(&format!("{point}:{time}")).await
    }

    /// Waits until the process has died, which must be by the signal and at the point.
    pub fn died_at(&mut self, point: &str) {
        assert!(self.ends(), "{point} was not reached: the server still runs\n{}", self.log());
        let status = self.ended();
        let (killed, log) = (status.signal() == Some(Signal::SIGKILL as i32), self.log());
        let reached = log.lines().any(|line| line == format!("the server dies at {point}"));
        assert!(killed && reached, "{point} was not reached: the server ended with {status}\n{log}");
    }
}
