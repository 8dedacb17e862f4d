//! What somebody else does, and what is done about it.

use super::super::Contents;
use super::world::*;
use crate::certs::make::Authority;

/// What somebody did, what is done about it at once, and what later.
type Damage = (&'static str, fn(&mut World), Steps, Steps);

type Steps = &'static [&'static str];

/// The way to another authority, without the end that all ways have.
const NEXT: (Steps, Steps) = (&["NextAuthorityMade", "publish"], &["AuthoritySigns", "serve"]);
/// The way where nothing is left.
const ANEW: Steps = &["AuthorityMade", "publish", "serve"];
/// The end of an old one.
const END: Steps = &["AuthorityRetired", "publish"];
const NOTHING: Steps = &[];

fn set(contents: &mut Option<Contents>, key: &str, value: Option<&[u8]>) {
    *contents = contents.as_ref().map(|there| with(there, key, value));
}

fn foreign(world: &World) -> Authority {
    Authority::new(world.now).unwrap()
}

const OF_SECRETS: [Damage; 8] = [
    (
        "the authorities are gone",
        |world| world.authorities = None,
        NEXT.0,
        NEXT.1,
    ),
    (
        "the key is damaged",
        |world| set(&mut world.authorities, "ca.key", Some(b"no key")),
        NEXT.0,
        NEXT.1,
    ),
    (
        "the certificate is gone",
        |world| set(&mut world.authorities, "ca.crt", None),
        NEXT.0,
        NEXT.1,
    ),
    (
        "there is another authority",
        |world| world.authorities = Some(another(world.now)),
        &["AuthoritiesPutRight", "publish"],
        &["serve"],
    ),
    (
        "something else is in the Secret",
        |world| set(&mut world.authorities, "more", Some(b"more")),
        &["AuthoritiesPutRight"],
        NOTHING,
    ),
    (
        "the serving certificate is gone",
        |world| world.serving = None,
        &["serve"],
        NOTHING,
    ),
    (
        "its key is damaged",
        |world| set(&mut world.serving, "tls.key", Some(b"no key")),
        &["serve"],
        NOTHING,
    ),
    (
        "both are gone",
        |world| (world.authorities, world.serving) = (None, None),
        ANEW,
        END,
    ),
];

const OF_THE_REGISTRATION: [Damage; 5] = [
    (
        "nothing is published",
        |world| world.set_bundle(Vec::new()),
        &["publish"],
        NOTHING,
    ),
    (
        "nonsense is published",
        |world| world.set_bundle(b"nonsense".to_vec()),
        &["publish"],
        NOTHING,
    ),
    (
        "nonsense is published besides",
        |world| world.set_bundle([world.bundle(), b"nonsense"].concat()),
        &["publish"],
        NOTHING,
    ),
    (
        "another authority is published besides",
        |world| world.set_bundle(beside(world.bundle(), &foreign(world))),
        &["AuthoritiesPutRight"],
        END,
    ),
    (
        "another authority is published instead",
        |world| world.set_bundle(beside(b"", &foreign(world))),
        &["AuthoritiesPutRight", "publish"],
        END,
    ),
];

const OF_TIME: [Damage; 2] = [
    ("all is over", |world| world.pass(2 * AUTHORITY), ANEW, END),
    ("all is in the future", |world| world.now -= AUTHORITY, ANEW, END),
];

#[test]
fn damage_is_healed_with_what_is_left() {
    for (what, damage, at_once, later) in OF_SECRETS.iter().chain(&OF_THE_REGISTRATION).chain(&OF_TIME) {
        let mut world = World::settled();
        damage(&mut world);
        assert_eq!(&world.look_on(), at_once, "{what}");
        let mut steps = Vec::new();
        for _ in 0..3 {
            world.follow_all();
            steps.extend(world.for_a_margin());
        }
        // What no longer signs goes in the end.
        let steps = steps
            .strip_suffix(&["AuthorityRetired", "publish"])
            .filter(|_| !later.contains(&"publish"))
            .unwrap_or(&steps);
        assert_eq!(&steps, later, "{what}");
        world.is_in_order();
    }
}
