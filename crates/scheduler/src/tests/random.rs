//! What must hold in any world.

use std::collections::HashSet;

use proptest::prelude::*;

use super::world::{GIB, World, seconds, takes, version};
use crate::{Action, InstanceState, StopReason, Strategy as Scaling, VersionLoad};

#[derive(Clone, Debug)]
enum Step {
    Arrive(usize, usize),
    Turn(u64),
    Revise(usize),
    Allow(usize, bool),
    Limits(usize, u32, u32),
    Resize(usize, u64),
    Host(u64),
    Fail(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..4, 1usize..12).prop_map(|(place, requests)| Step::Arrive(place, requests)),
        8 => (1u64..8).prop_map(Step::Turn),
        1 => (100u64..400).prop_map(Step::Turn),
        1 => (0usize..4).prop_map(Step::Revise),
        1 => (0usize..4, any::<bool>()).prop_map(|(place, yes)| Step::Allow(place, yes)),
        1 => (0usize..4, 0u32..3, 0u32..5).prop_map(|(place, minimum, maximum)| Step::Limits(place, minimum, maximum)),
        1 => (0usize..4, 1u64..4).prop_map(|(place, gib)| Step::Resize(place, gib)),
        1 => (2u64..12).prop_map(Step::Host),
        1 => any::<bool>().prop_map(Step::Fail),
    ]
}

fn world() -> impl Strategy<Value = World> {
    let one = (0u32..3, 1u32..5, 1u32..4, prop::collection::vec(1u64..4, 1..4), any::<bool>());
    (prop::collection::vec(one, 4), 2u64..12, 1u32..4).prop_map(|(versions, gib, cpus)| {
        let versions =
            versions.into_iter().zip('a'..).map(|((minimum, maximum, processes, choices, moderate), letter)| {
                let strategy = if moderate { Scaling::Moderate } else { Scaling::Default };
                let choices = choices.into_iter().map(|gib| takes(gib * GIB)).collect();
                VersionLoad { minimum, maximum, processes, choices, strategy, ..version(letter) }
            });
        let mut world = World::new(gib, versions);
        world.host.cpus = cpus;
        world.run = seconds(3);
        world
    })
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:#?}", self.host, self.versions)
    }
}

fn take(world: &mut World, step: &Step) {
    match *step {
        Step::Arrive(place, requests) => world.arrive(place, requests),
        Step::Turn(by) => world.turn(seconds(by)),
        Step::Revise(place) => world.versions[place].generation += 1,
        Step::Allow(place, yes) => world.versions[place].available = yes,
        Step::Limits(place, minimum, maximum) => {
            world.versions[place].minimum = minimum;
            world.versions[place].maximum = maximum;
        }
        Step::Resize(place, gib) => {
            world.versions[place].choices[0] = takes(gib * GIB);
            world.versions[place].generation += 1;
        }
        Step::Host(gib) => world.host.memory = gib * GIB,
        Step::Fail(yes) => world.fails = yes,
    }
}

fn memory(world: &World) -> u64 {
    world.versions.iter().flat_map(|version| &version.instances).map(|instance| instance.memory).sum()
}

/// Plans and acts until nothing is left to do at this moment, checking each plan.
fn settle(world: &mut World) {
    let mut started = HashSet::new();
    for _ in 0..6 {
        let before = world.versions.clone();
        let mut turned = before.clone();
        turned.reverse();
        let actions = world.step();
        assert_eq!(actions, crate::plan(world.now, &world.host, &turned), "the order of the loads does not matter");
        let starts = actions.iter().filter(|action| matches!(action, Action::Start { .. })).count();
        assert!(starts == 0 || memory(world) <= world.host.memory, "never past the host's memory");
        check_limits(world, &before, &actions);
        for action in &actions {
            if let Action::Stop { instance, .. } = action {
                assert!(!started.contains(instance), "what was just started is not stopped");
            }
        }
        let known: HashSet<_> = before.iter().flat_map(|version| &version.instances).map(|i| i.id).collect();
        started.extend(world.versions.iter().flat_map(|v| &v.instances).map(|i| i.id).filter(|id| !known.contains(id)));
        if !actions.iter().any(|action| matches!(action, Action::Start { .. } | Action::Stop { .. })) {
            return;
        }
    }
    panic!("the plan does not come to rest");
}

fn check_limits(world: &World, before: &[VersionLoad], actions: &[Action]) {
    for (version, before) in world.versions.iter().zip(before) {
        let started =
            actions.iter().any(|action| matches!(action, Action::Start { version: v, .. } if *v == version.version));
        assert!(!started || version.available, "nothing is started that may not run");
        assert!(!version.available || version.alive() <= version.maximum, "never past the maximum");
        let spared = before.current(InstanceState::Running).filter(|instance| {
            actions.iter().any(|action| {
                matches!(action, Action::Stop { instance: id, reason: StopReason::Idle | StopReason::MakeRoom } if *id == instance.id)
            })
        });
        let ready = before.current(InstanceState::Running).count();
        let spared = spared.count();
        assert!(spared == 0 || ready - spared >= version.floor() as usize, "idle ones go only above the minimum");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_keep_the_limits_and_come_to_rest(mut world in world(), steps in prop::collection::vec(step(), 1..60)) {
        for step in &steps {
            take(&mut world, step);
            settle(&mut world);
        }
        world.fails = false;
        for _ in 0..250 {
            world.turn(seconds(4));
            settle(&mut world);
        }
        for version in world.versions.iter().filter(|version| version.available && version.failures < 3) {
            let has = version.current(InstanceState::Running).count();
            let free = world.host.memory.saturating_sub(memory(&world));
            let fits = version.choices.iter().any(|choice| choice.memory <= free);
            prop_assert!(has >= version.floor() as usize || !fits, "the minimum is there if there is room");
            prop_assert!(has <= version.floor() as usize || version.minimum > 0 || version.waiting > 0 || has == 0, "what idles is gone");
            prop_assert!(has == 0 || version.waiting == 0, "what waits is served");
            prop_assert_eq!(version.outdated().count() > 0 && has > 0, false, "what is outdated is replaced");
        }
    }
}
