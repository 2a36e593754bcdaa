//! Instances as processes of this host.

pub(crate) mod clean;
mod control;
mod ending;
mod network;
mod plan;
mod records;
mod replacing;
mod scratch;
mod settings;
mod spawner;
mod supervisor;
mod worker;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use modelyard_types::ids::InstanceId;
use tokio::sync::{mpsc, watch};

pub use network::block::Block;
pub use network::{Guest, Visit};
pub use settings::LocalSettings;

use crate::cgroup::Cgroups;
use crate::process::{Ended, Listener};
use crate::runner::{InstanceSpec, Runner, StartError};
use crate::walls::{self, Host, Reach, Walls};
use network::Network;
use spawner::Spawner;
use supervisor::{Signal, Supervisor};

/// The runner of this host.
#[derive(Clone)]
pub struct LocalRunner {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for LocalRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalRunner").field("walls", &self.shared.walls).finish_non_exhaustive()
    }
}

type Key = (InstanceId, u64);

struct Entry {
    signals: mpsc::UnboundedSender<Signal>,
    over: watch::Receiver<bool>,
}

pub(crate) struct Shared {
    settings: LocalSettings,
    walls: Walls,
    network: Network,
    cgroups: Cgroups,
    host: Host,
    spawner: Spawner,
    instances: Mutex<HashMap<Key, Entry>>,
    slots: Mutex<BTreeSet<u32>>,
}

impl LocalRunner {
    /// Ends what an earlier life left, and finds out what walls the host offers. Blocks for some milliseconds.
    pub fn open(settings: LocalSettings) -> io::Result<Self> {
        let cgroups = Cgroups::find(&settings.installation);
        fs::create_dir_all(settings.scratch())?;
        fs::create_dir_all(settings.records())?;
        records::end_all(&settings.records());
        cgroups.clear();
        cgroups.clear_earlier(&records::parents(&settings.folder));
        records::write_parents(&settings.folder, &cgroups.folders())?;
        clean::empty(&settings.scratch());
        let walls =
            walls::probe(&settings.launcher, &settings.scratch(), settings.uid_base, &cgroups, settings.at_most)?;
        let network = Network::open(&settings, &walls)?;
        let walls = walls.with_network(&network.reach);
        let shared = Shared {
            settings,
            walls,
            network,
            cgroups,
            host: Host::look(),
            spawner: Spawner::start()?,
            instances: Mutex::default(),
            slots: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The walls around the instances of this runner.
    #[must_use]
    pub fn walls(&self) -> &Walls {
        &self.shared.walls
    }

    /// How far instances reach into the network.
    #[must_use]
    pub fn reach(&self) -> &Reach {
        &self.shared.network.reach
    }

    /// The program that instances are started with.
    #[must_use]
    pub fn launcher(&self) -> &Path {
        &self.shared.settings.launcher
    }

    /// The cgroups of this installation, for others who run programs of users.
    #[must_use]
    pub fn cgroups(&self) -> &Cgroups {
        &self.shared.cgroups
    }

    /// Stops all instances, and leaves nothing behind.
    pub async fn shut_down(&self) {
        let all: Vec<Key> = self.shared.instances().keys().copied().collect();
        let stops = all.into_iter().map(|(instance, epoch)| {
            let runner = self.clone();
            tokio::spawn(async move { runner.stop(instance, epoch).await })
        });
        for stop in stops.collect::<Vec<_>>() {
            let _ = stop.await;
        }
        let shared = self.shared.clone();
        let closed = tokio::task::spawn_blocking(move || {
            // Steps of builds have groups of their own beside those of instances, and end now as well.
            shared.cgroups.clear();
            shared.cgroups.remove();
            shared.network.close(&shared.settings.folder);
        });
        if closed.await.is_err() {
            tracing::error!("taking down what instances had on this host failed");
        }
    }
}

#[async_trait]
impl Runner for LocalRunner {
    async fn start(&self, spec: Arc<InstanceSpec>, listener: Arc<dyn Listener>) -> Result<(), StartError> {
        let shared = &self.shared;
        if shared.walls.level < shared.settings.required_level && !shared.settings.unsafe_run || shared.walls.level == 0
        {
            return Err(StartError::Refused(shared.walls.refusal(shared.settings.required_level)));
        }
        shared.network.reach.of(spec.egress).map_err(StartError::Refused)?;
        plan::check(&spec)?;
        let key = (spec.instance, spec.epoch);
        let (signals, inbox) = mpsc::unbounded_channel();
        let (over, is_over) = watch::channel(false);
        {
            let mut instances = shared.instances();
            if instances.contains_key(&key) {
                return Ok(());
            }
            instances.insert(key, Entry { signals: signals.clone(), over: is_over });
        }
        let slot = Slot::take(shared.clone());
        let supervisor = Supervisor::new(shared.clone(), spec, listener.clone(), signals, slot.number);
        let shared = shared.clone();
        tokio::spawn(async move {
            let ended: Ended = supervisor.run(inbox).await;
            drop(slot);
            shared.instances().remove(&key);
            listener.ended(key.0, key.1, ended);
            let _ = over.send(true);
        });
        Ok(())
    }

    async fn stop(&self, instance: InstanceId, epoch: u64) {
        let mut over = {
            let instances = self.shared.instances();
            let Some(entry) = instances.get(&(instance, epoch)) else { return };
            let _ = entry.signals.send(Signal::Stop);
            entry.over.clone()
        };
        let _ = over.wait_for(|over| *over).await;
    }

    async fn list(&self) -> Vec<(InstanceId, u64)> {
        self.shared.instances().keys().copied().collect()
    }
}

impl Shared {
    fn instances(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user id of an instance: one of its own where that is possible.
    fn uid(&self, slot: u32) -> Option<u32> {
        self.walls.means.own_ids.then(|| self.settings.uid_base + slot)
    }

    fn scratch_of(&self, spec: &InstanceSpec) -> PathBuf {
        self.settings.scratch().join(spec.name())
    }
}

/// A number no other living instance has.
struct Slot {
    shared: Arc<Shared>,
    number: u32,
}

impl Slot {
    fn take(shared: Arc<Shared>) -> Self {
        let mut taken = shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (0..).find(|number| !taken.contains(number)).unwrap_or_default();
        taken.insert(number);
        drop(taken);
        Self { shared, number }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}
