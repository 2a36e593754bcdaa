//! A life of a server, with its processes and callers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use modelyard_store::Life;
use modelyard_types::Result;
use tokio::task::JoinHandle;

use super::QUEUE;
use super::books::Books;
use super::process::{Deed, Process};
use crate::catalogue::Place;
use crate::loops::single;
use crate::requests::{Among, Answer};
use crate::{Control, Inner};

/// A life of a server.
pub(super) struct Node {
    pub(super) control: Control,
    pub(super) place: Place,
    pub(super) processes: Vec<Arc<Process>>,
    pub(super) callers: Vec<JoinHandle<Result<Answer>>>,
}

impl Node {
    pub(super) fn life(&self) -> Life {
        self.control.settings().life
    }

    /// Does something while rows are written, and until all is.
    pub(super) async fn writing<T>(&self, work: impl Future<Output = T>) -> T {
        let (inner, same) = (self.control.0.clone(), self.control.0.clone());
        let recorder = tokio::spawn(async move { inner.recorder.run(&inner.store, &inner.nudges.cleaning).await });
        let acceptor = tokio::spawn(async move { same.acceptor.run(&same).await });
        let done = work.await;
        self.control.0.recorder.catch_up().await.unwrap();
        for task in [recorder, acceptor] {
            task.abort();
            let _ = task.await;
        }
        done
    }

    /// Hears of what was called off through other servers.
    pub(super) async fn hear(&self) {
        self.writing(single::cancelled_elsewhere(&self.control)).await;
    }

    pub(super) fn among(&self) -> Among {
        Among { deployment: self.place.1.id, version: None }
    }
}

/// A server claims what it can, and its processes do what they should.
pub(super) async fn run_a_round(node: &mut Node, books: &Arc<Mutex<Books>>) {
    single::count(&node.control).await;
    node.hear().await;
    node.control.0.feed(&node.place).await.unwrap();
    for process in &node.processes {
        process.act(Deed::Obey);
        if process.is_killed() && !process.is_gone() {
            process.crash();
        }
    }
    if !node.processes.iter().any(|process| process.is_idle()) {
        node.processes.push(Process::new(&node.control, &node.place.2.lane, books));
    }
    for deed in [Deed::Obey, Deed::Start, Deed::Finish] {
        node.processes.iter().filter(|process| !process.is_gone()).for_each(|process| process.act(deed));
    }
    node.writing(async {}).await;
}

/// Nothing is held any more: no place in the queue, no room in memory, no caller.
pub(super) async fn assert_at_rest(node: Node) {
    let Inner { live, room, .. } = &*node.control.0;
    assert!(live.is_empty());
    let lost = single::lost(&node.control, &Default::default()).await;
    assert!(lost.is_empty(), "nobody knows of {lost:?}");
    assert!(room.is_free(), "room in memory is not given back");
    let lane = &node.place.2.lane;
    single::count(&node.control).await;
    let load = lane.load();
    let counts = (load.waiting_direct, load.waiting_batch, load.running, load.ahead, load.outside);
    assert_eq!(counts, (0, 0, 0, 0, 0), "the lane counts what is not there");
    lane.reserve(QUEUE).expect("the whole queue is free");
    lane.reserve(1).expect_err("and no more than that");
    for caller in node.callers {
        let answer = tokio::time::timeout(Duration::from_secs(10), caller).await.expect("a caller is answered");
        assert!(answer.unwrap().unwrap().ended.status.is_final());
    }
}
