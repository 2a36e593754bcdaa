//! Room on the host: what is free, what is about to be, and what is promised.

use crate::load::{Capacity, Choice, InstanceLoad, InstanceState, VersionLoad};

/// An amount of what the host has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) memory: u64,
    pub(crate) accelerators: u32,
}

/// What is left on the host while a plan is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Nobody has it.
    pub(crate) free: Size,
    /// Instances that stop still have it.
    pub(crate) coming: Size,
    /// So much more is in use than there is, because the host shrank; what stops makes up for that first.
    debt: Size,
}

impl Size {
    /// What a new instance takes.
    pub(crate) fn of_new(choice: &Choice) -> Self {
        Self { memory: choice.memory, accelerators: choice.accelerators }
    }

    /// What an instance takes.
    pub(crate) fn of(instance: &InstanceLoad) -> Self {
        Self { memory: instance.memory, accelerators: instance.accelerators }
    }

    /// What the host has.
    pub(crate) fn of_host(host: &Capacity) -> Self {
        Self { memory: host.memory, accelerators: host.accelerators }
    }

    /// Whether that much is in it.
    pub(crate) fn holds(self, need: Self) -> bool {
        self.memory >= need.memory && self.accelerators >= need.accelerators
    }

    /// Whether both have some of the same.
    pub(crate) fn shares(self, other: Self) -> bool {
        (self.memory > 0 && other.memory > 0) || (self.accelerators > 0 && other.accelerators > 0)
    }

    /// Both together.
    pub(crate) fn plus(self, more: Self) -> Self {
        Self {
            memory: self.memory.saturating_add(more.memory),
            accelerators: self.accelerators.saturating_add(more.accelerators),
        }
    }

    /// What is left without that.
    pub(crate) fn minus(self, less: Self) -> Self {
        Self {
            memory: self.memory.saturating_sub(less.memory),
            accelerators: self.accelerators.saturating_sub(less.accelerators),
        }
    }

    /// The smaller of each.
    fn least(self, other: Self) -> Self {
        Self { memory: self.memory.min(other.memory), accelerators: self.accelerators.min(other.accelerators) }
    }
}

impl Room {
    /// What the loads leave of the host.
    pub(crate) fn left(host: &Capacity, loads: &[&VersionLoad]) -> Self {
        let instances = || loads.iter().flat_map(|version| &version.instances);
        let used = instances().fold(Size::default(), |used, instance| used.plus(Size::of(instance)));
        let all = Size::of_host(host);
        let mut room = Self { free: all.minus(used), coming: Size::default(), debt: used.minus(all) };
        for instance in instances().filter(|instance| instance.state == InstanceState::Stopping) {
            room.release(instance);
        }
        room
    }

    /// Counts on the room of an instance that stops. One that still works on requests may take hours.
    pub(crate) fn release(&mut self, instance: &InstanceLoad) {
        if instance.running > 0 {
            return;
        }
        let size = Size::of(instance);
        self.coming = self.coming.plus(size.minus(self.debt));
        self.debt = self.debt.minus(size);
    }

    /// Takes room for an instance that starts now.
    pub(crate) fn take(&mut self, need: Size) {
        self.free = self.free.minus(need);
    }

    /// Keeps room for an instance that starts once others are gone, so that nobody smaller slips in.
    pub(crate) fn reserve(&mut self, need: Size) {
        let from_coming = self.coming.least(need);
        self.coming = self.coming.minus(from_coming);
        self.free = self.free.minus(need.minus(from_coming));
    }

    /// What there will be when all that stops is gone.
    pub(crate) fn soon(&self) -> Size {
        self.free.plus(self.coming)
    }
}
