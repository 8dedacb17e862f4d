//! Whatever happens, and wherever the controller is cut off: what is served is believed.

use std::time::Duration;

use proptest::prelude::*;

use super::world::*;
use crate::certs::make::Authority;

/// What may happen.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// The controller takes a step.
    Step,
    /// It ends, and another begins.
    Restart,
    /// A replica's volume follows.
    Follow(usize),
    /// A replica begins anew, and serves nothing until its volume is there.
    Begin(usize),
    /// Seconds go by.
    Seconds(u64),
    /// Days go by.
    Days(u64),
    /// The clock is set.
    SetClock(i64),
    DeleteAuthorities,
    DamageAuthorities(&'static str),
    ReplaceAuthorities,
    DeleteServing,
    DamageServing(&'static str),
    EmptyBundle,
    AddToBundle,
}

fn event() -> impl Strategy<Value = Event> {
    let keys = prop::sample::select(vec!["ca.crt", "ca.key", "next.crt", "next.key", "old.crt"]);
    prop_oneof![
        12 => Just(Event::Step),
        2 => Just(Event::Restart),
        4 => (0..2_usize).prop_map(Event::Follow),
        1 => (0..2_usize).prop_map(Event::Begin),
        6 => (1..25_u64).prop_map(Event::Seconds),
        2 => (1..200_u64).prop_map(Event::Days),
        1 => (-400..400_i64).prop_map(Event::SetClock),
        1 => Just(Event::DeleteAuthorities),
        2 => keys.prop_map(Event::DamageAuthorities),
        1 => Just(Event::ReplaceAuthorities),
        1 => Just(Event::DeleteServing),
        1 => prop::sample::select(vec!["tls.crt", "tls.key"]).prop_map(Event::DamageServing),
        1 => Just(Event::EmptyBundle),
        1 => Just(Event::AddToBundle),
    ]
}

fn happen(world: &mut World, event: Event) {
    match event {
        Event::Step => _ = world.look(),
        Event::Restart => world.restart(),
        Event::Follow(replica) => world.follow(replica),
        Event::Begin(replica) => world.replicas[replica] = None,
        Event::Seconds(seconds) => world.pass(Duration::from_secs(seconds)),
        Event::Days(days) => world.pass(DAY * u32::try_from(days).unwrap()),
        Event::SetClock(days) if days < 0 => world.now -= DAY * days.unsigned_abs().try_into().unwrap(),
        Event::SetClock(days) => world.now += DAY * days.unsigned_abs().try_into().unwrap(),
        Event::DeleteAuthorities => world.authorities = None,
        Event::DamageAuthorities(key) => {
            world.authorities = world
                .authorities
                .as_ref()
                .map(|contents| with(contents, key, Some(b"damaged")));
        }
        Event::ReplaceAuthorities => world.authorities = Some(another(world.now)),
        Event::DeleteServing => world.serving = None,
        Event::DamageServing(key) => {
            world.serving = world
                .serving
                .as_ref()
                .map(|contents| with(contents, key, Some(b"damaged")));
        }
        Event::EmptyBundle => {
            (world.is_excused, world.is_broken) = (true, true);
            world.set_bundle(Vec::new());
        }
        Event::AddToBundle => {
            let text = beside(world.bundle(), &Authority::new(world.now).unwrap());
            world.set_bundle(text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_served_is_believed_and_in_the_end_all_is_in_order(events in prop::collection::vec(event(), 1..60)) {
        let mut world = World::settled();
        for (number, event) in events.iter().enumerate() {
            happen(&mut world, *event);
            let believed = world.check();
            prop_assert!(believed.is_ok(), "after {number} {event:?}: {}", believed.unwrap_err());
        }
        world.rest();
        world.is_in_order();
    }
}
