//! The one thread from which instances are spawned. It lives as long as the server, because the kernel ends an instance when
//! the thread that spawned it ends.

use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
pub(super) struct Spawner {
    jobs: mpsc::Sender<Job>,
}

impl Spawner {
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        thread::Builder::new().name("instances".into()).spawn(move || {
            for job in inbox {
                job();
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs something on the thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (answer, result) = oneshot::channel();
        let job = Box::new(move || {
            let _ = answer.send(job());
        });
        self.jobs.send(job).map_err(|_| io::Error::other("the spawning thread is gone"))?;
        result.await.map_err(|_| io::Error::other("the spawning thread is gone"))?
    }
}
