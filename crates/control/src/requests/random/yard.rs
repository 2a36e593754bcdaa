//! Two servers on one database, on which the steps of a history are taken.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use modelyard_store::{Store, outbox, requests};
use modelyard_types::requests::RequestStatus;
use modelyard_types::{RequestId, ServerId, Timestamp, VersionId};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::books::Books;
use super::node::{Node, assert_at_rest, run_a_round};
use super::process::{Deed, Process};
use super::steps::{Fate, Step};
use super::{LONG, QUEUE, SHORT};
use crate::Control;
use crate::loops::single;
use crate::requests::{BatchRequest, DirectRequest, LiveRequest, Permit};
use crate::testing::World;

/// Two servers on one database.
pub(super) struct Yard {
    world: World,
    version: VersionId,
    /// The present lives of the two servers, and those that hang.
    nodes: [Node; 2],
    hanging: Vec<Node>,
    books: Arc<Mutex<Books>>,
}

impl Yard {
    pub(super) async fn new(restarts: bool, database: Option<&str>) -> Self {
        let folder = TempDir::new().unwrap();
        let address = folder.path().join("store.db");
        let store = Store::open(database.unwrap_or(address.to_str().unwrap())).await.unwrap();
        let world = World::on(store, folder).await;
        let settings = json!({"version": "v1", "restart_request_interruption": restarts, "maximum_queue_size": QUEUE});
        let (version, _) = world.served(settings).await;
        let books = Arc::new(Mutex::new(Books::new(restarts)));
        let nodes = [
            Self::node(world.control.clone(), version.id),
            Self::node(world.another_life(ServerId::new()).await, version.id),
        ];
        Self { world, version: version.id, nodes, hanging: Vec::new(), books }
    }

    fn node(control: Control, version: VersionId) -> Node {
        let place = control.catalogue().version(version).unwrap();
        Node { control, place, processes: Vec::new(), callers: Vec::new() }
    }

    pub(super) async fn take(&mut self, at: usize, step: &Step) {
        match step {
            Step::Batch { count, priority, short } => self.batch(at, *count, *priority, *short).await,
            Step::Direct { short } => self.direct(at, *short).await,
            Step::Process => self.process(at),
            Step::Interruptions(count) => (0..*count).for_each(|_| self.interruption(at)),
            Step::Does(number, deed) => self.act(*number, *deed),
            Step::Cancel(number) => self.cancel(at, self.pick(at, *number)).await,
            Step::CancelInWork => self.cancel(at, self.in_work(at)).await,
            Step::CancelAll(status) => self.cancel_all(at, *status).await,
            Step::Delete(number) => self.delete(at, *number).await,
            Step::Feed => {
                let node = &self.nodes[at];
                node.control.0.feed(&node.place).await.unwrap();
            }
            Step::Write => self.write(at).await,
            Step::Hear => self.nodes[at].hear().await,
            Step::Sweep(late) => self.sweep(at, *late),
            Step::TurnAway => drop(self.nodes[at].place.2.lane.turn_away("It is suspended")),
            Step::NewLife(fate) => self.new_life(at, *fate).await,
            Step::Silent => self.silent(at).await,
        }
        self.look().await;
    }

    async fn batch(&mut self, at: usize, count: usize, priority: u8, short: bool) {
        let node = &self.nodes[at];
        let body = serde_json::to_vec(&vec![json!({"x": 1}); count]).unwrap().into();
        let timeout = if short { SHORT } else { LONG };
        let new = BatchRequest { body, text: false, timeout, priority, key: None, permit: Permit::default() };
        let (by, (project, deployment, version)) = (Arc::new(self.world.by.clone()), &node.place);
        let accepted = node.control.batch_request(&by, project, &deployment.name, Some(&version.name), new);
        let accepted = node.writing(accepted).await.unwrap();
        self.books.lock().unwrap().accepted.extend(accepted.requests);
    }

    async fn direct(&mut self, at: usize, short: bool) {
        let node = &mut self.nodes[at];
        let (control, by) = (node.control.clone(), Arc::new(self.world.by.clone()));
        let (project, deployment, version) = node.place.clone();
        let timeout = if short { SHORT } else { LONG };
        let body = Bytes::from_static(br#"{"x":1}"#);
        let new = DirectRequest { body, text: false, timeout, priority: 1, key: None, permit: Permit::default() };
        let before = control.0.live.filter(|_| true).len();
        let caller = tokio::spawn(async move {
            control.direct_request(&by, &project, &deployment.name, Some(&version.name), new).await
        });
        while node.control.0.live.filter(|_| true).len() == before {
            tokio::task::yield_now().await;
        }
        node.callers.push(caller);
        let seen = node.control.0.live.filter(|live| !live.is_batch());
        self.books.lock().unwrap().direct.extend(seen.iter().map(|live| live.id));
    }

    fn process(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.processes.push(Process::new(&node.control, &node.place.2.lane, &self.books));
    }

    fn interruption(&mut self, at: usize) {
        self.process(at);
        let Some(process) = self.nodes[at].processes.last() else { return };
        process.act(Deed::Start);
        process.act(Deed::Crash);
    }

    fn act(&mut self, number: usize, deed: Deed) {
        let of = |node: &Node| node.processes.clone();
        let all: Vec<_> = self.nodes.iter().chain(&self.hanging).flat_map(of).filter(|it| !it.is_gone()).collect();
        if !all.is_empty() {
            all[number % all.len()].act(deed);
        }
    }

    /// A batch request, counted from the latest, or a direct one of this server.
    fn pick(&self, at: usize, number: usize) -> Option<RequestId> {
        let mut direct: Vec<_> = self.nodes[at].control.0.live.filter(|live| !live.is_batch());
        direct.sort_unstable_by_key(|live| live.id);
        let books = self.books.lock().unwrap();
        let all: Vec<_> = direct.iter().map(|live| live.id).chain(books.accepted.iter().rev().copied()).collect();
        all.get(number).copied()
    }

    /// The first batch request that a process of this server works on.
    fn in_work(&self, at: usize) -> Option<RequestId> {
        let works = |live: &LiveRequest| live.is_batch() && live.status() == RequestStatus::Processing;
        self.nodes[at].control.0.live.filter(works).iter().map(|live| live.id).min()
    }

    async fn cancel(&mut self, at: usize, id: Option<RequestId>) {
        let Some(id) = id else { return };
        // Before, because it may be cancelled when the call is still under way.
        let first = self.books.lock().unwrap().called_off.insert(id);
        let node = &self.nodes[at];
        let cancelled = node.writing(node.control.cancel_requests(&node.place.0, node.among(), &[id])).await;
        if cancelled.is_err() {
            if first {
                self.books.lock().unwrap().called_off.remove(&id);
            }
            return;
        }
        if self.books.lock().unwrap().deleted.contains(&id) {
            // Through the other server; this one ran it on.
            return;
        }
        let shown = node.writing(node.control.get_request(&node.place.0, node.place.1.id, None, id, true)).await;
        let status = shown.unwrap().request.status;
        let is_lost = self.books.lock().unwrap().lost.contains(&node.life());
        let allowed = if is_lost { &[RequestStatus::Failed, RequestStatus::Completed][..] } else { &[] };
        assert!(
            matches!(status, RequestStatus::Cancelled | RequestStatus::CancelledPending) || allowed.contains(&status),
            "{id} was called off and is {status:?}"
        );
        let mut books = self.books.lock().unwrap();
        match status {
            _ if is_lost => false,
            RequestStatus::Cancelled => books.cancelled.insert(id),
            _ => books.being_cancelled.insert(id),
        };
    }

    async fn cancel_all(&mut self, at: usize, status: RequestStatus) {
        let node = &self.nodes[at];
        let ids = self.books.lock().unwrap().ids();
        self.books.lock().unwrap().called_off.extend(ids);
        node.writing(node.control.cancel_all(self.version, status)).await.unwrap();
    }

    async fn delete(&mut self, at: usize, number: usize) {
        let id = self.books.lock().unwrap().accepted.iter().rev().nth(number).copied();
        let Some(id) = id else { return };
        self.books.lock().unwrap().called_off.insert(id);
        let node = &self.nodes[at];
        let (project, deployment, _) = &node.place;
        let ids = [id];
        let deleted = node.control.delete_requests(&self.world.by, project, deployment, node.among(), &ids);
        if node.writing(deleted).await.is_ok() {
            self.books.lock().unwrap().deleted.insert(id);
        }
    }

    async fn write(&self, at: usize) {
        for node in self.hanging.iter().chain([&self.nodes[at]]) {
            node.writing(async {}).await;
        }
    }

    fn sweep(&self, at: usize, late: u64) {
        let now = Timestamp::now().plus(Duration::from_secs(late));
        for node in self.hanging.iter().chain([&self.nodes[at]]) {
            let is_late = |live: &LiveRequest| live.deadline().is_some_and(|deadline| deadline <= now);
            let late = node.control.0.live.filter(is_late);
            self.books.lock().unwrap().late.extend(late.iter().map(|live| live.id));
            single::sweep(&node.control, now);
            assert!(node.control.0.live.filter(is_late).is_empty(), "a request is open past its time");
        }
    }

    async fn new_life(&mut self, at: usize, fate: Fate) {
        let life = self.nodes[at].life();
        self.books.lock().unwrap().lost.push(life);
        if matches!(fate, Fate::Stopped) {
            let node = &self.nodes[at];
            node.writing(async {
                node.control.shut_down(Duration::ZERO).await;
                node.processes.iter().filter(|process| !process.is_gone()).for_each(|process| process.crash());
            })
            .await;
            assert!(node.control.0.live.is_empty(), "a server that stopped has open requests");
        }
        let next = Self::node(self.world.another_life(life.server).await, self.version);
        single::count(&next.control).await;
        let before = std::mem::replace(&mut self.nodes[at], next);
        match fate {
            Fate::Hangs => self.hanging.push(before),
            Fate::Killed | Fate::Stopped => before.callers.iter().for_each(JoinHandle::abort),
        }
    }

    /// The other server takes this one for dead, which goes on, and comes back with its next heartbeat.
    async fn silent(&self, at: usize) {
        let other = &self.nodes[1 - at].control;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let since = Timestamp::now();
        single::beat(other).await;
        single::take_over_silent(other, since).await;
        let silent = &self.nodes[at].control;
        self.books.lock().unwrap().lost.push(silent.settings().life);
        single::beat(silent).await;
        single::return_from_silence(silent).await;
    }

    async fn look(&self) {
        let store = self.world.control.store();
        let ids = self.books.lock().unwrap().ids();
        let rows = requests::get_many(store, &ids).await.unwrap();
        let told = outbox::list_after(store, uuid::Uuid::nil(), 100_000).await.unwrap();
        self.books.lock().unwrap().look(rows, &told);
    }

    /// Everything comes to an end: what hangs dies, and what waits is run.
    pub(super) async fn end(mut self) {
        for node in std::mem::take(&mut self.hanging) {
            node.callers.iter().for_each(JoinHandle::abort);
        }
        for at in [0, 1] {
            single::beat(&self.nodes[at].control).await;
        }
        for _ in 0..100 {
            for node in &mut self.nodes {
                run_a_round(node, &self.books).await;
            }
            self.look().await;
            let open = requests::waiting(self.world.control.store()).await.unwrap();
            if open.is_empty() && self.nodes.iter().all(|node| node.control.0.live.is_empty()) {
                break;
            }
        }
        for node in &mut self.nodes {
            node.hear().await;
        }
        self.look().await;
        self.books.lock().unwrap().all_over();
        for node in self.nodes {
            assert_at_rest(node).await;
        }
    }
}
