//! Days of arrivals in a moment: what comes and goes with the load.

use std::time::Duration;

use super::world::{World, seconds, version};
use crate::{Strategy, VersionLoad};

/// Numbers that look random and are the same every time.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn throw(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }

    /// How many requests come in a second at that rate.
    pub(super) fn arrivals(&mut self, rate: f64) -> usize {
        let (bound, mut product, mut count) = ((-rate).exp(), self.throw(), 0);
        while product > bound {
            product *= self.throw();
            count += 1;
        }
        count
    }
}

#[test]
fn a_day_and_a_night() {
    let mut world = World::new(16, [VersionLoad { minimum: 1, ..version('a') }, version('b')]);
    let mut dice = Dice(1);
    let (mut came, mut most, mut at_night) = (0, 0, usize::MAX);
    for second in 0..24 * 3600 {
        let daytime = (8 * 3600..20 * 3600).contains(&second);
        for (place, rate) in [(0, if daytime { 2.5 } else { 0.001 }), (1, if daytime { 0.2 } else { 0.0 })] {
            let requests = dice.arrivals(rate);
            came += requests;
            world.arrive(place, requests);
        }
        world.step();
        world.turn(seconds(1));
        let instances = world.versions.iter().map(|version| version.instances.len()).sum();
        most = most.max(instances);
        if second > 22 * 3600 {
            at_night = at_night.min(instances);
        }
    }
    world.turn(seconds(60));
    assert_eq!((world.done, world.refused), (came, 0));
    assert!((5..=10).contains(&most), "{most} at most");
    assert_eq!(at_night, 1);
    assert!(world.starts < 200, "{} starts in a day", world.starts);
    assert!(world.longest_wait <= seconds(20), "a request waited {:?}", world.longest_wait);
}

#[test]
fn a_steady_load_starts_what_it_needs_once() {
    for strategy in [Strategy::Default, Strategy::Moderate] {
        let mut world = World::new(16, [VersionLoad { strategy, ..version('a') }]);
        world.run = seconds(4);
        for _ in 0..3 * 3600 {
            world.arrive(0, usize::from(world.now.0 / 1_000_000 % 2 == 0));
            world.step();
            world.turn(seconds(1));
        }
        assert!((2..=5).contains(&world.starts), "{} starts of {strategy:?}", world.starts);
    }
}

#[test]
fn hundreds_of_versions_share_a_host_for_some_of_them() {
    let versions = (0..200u8).map(|n| VersionLoad { maximum: 2, ..version(char::from(n)) });
    let mut world = World::new(20, versions);
    let mut dice = Dice(7);
    let mut came = 0;
    for _ in 0..1800 {
        for _ in 0..dice.arrivals(0.5) {
            came += 1;
            world.arrive((dice.throw() * 200.0) as usize, 1);
        }
        world.step();
        world.turn(seconds(1));
        let memory: u64 = world.versions.iter().flat_map(|v| &v.instances).map(|i| i.memory).sum();
        assert!(memory <= world.host.memory);
    }
    for _ in 0..120 {
        world.step();
        world.turn(seconds(1));
    }
    assert_eq!(world.done, came);
    assert!(world.longest_wait < Duration::from_secs(60), "a request waited {:?}", world.longest_wait);
}
