//! One step after the other.

use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::super::{Contents, Keeper, Life, Names, Seen, Settings, Step, Unfit};
use super::world::*;
use crate::certs::bundle::readable;
use crate::certs::make::Authority;
use crate::certs::trust::{is_believed, is_signed_by};

const HOUR: Duration = Duration::from_hours(1);

/// The certificate under a key.
fn certificate(contents: Option<&Contents>, key: &str) -> CertificateDer<'static> {
    readable(contents.unwrap().get(key)).remove(0)
}

fn leaf(world: &World) -> CertificateDer<'static> {
    certificate(world.serving.as_ref(), "tls.crt")
}

/// A world whose authority has to be replaced.
fn old_world() -> World {
    let mut world = World::settled();
    world.pass(AUTHORITY * 2 / 3);
    // The leaf has ended long ago.
    assert_eq!(world.look_on(), ["NextAuthorityMade", "publish", "serve"]);
    world.follow_all();
    world
}

#[test]
fn a_fresh_installation_needs_three_writes() {
    let mut world = World::new();
    assert_eq!(world.look_on(), ["AuthorityMade", "publish", "serve"]);
    assert_eq!(world.rest(), [""; 0]);
    world.is_in_order();
}

#[test]
fn the_serving_certificate_is_renewed_after_two_thirds_of_its_life_by_the_same_authority() {
    let mut world = World::settled();
    let (first, believed) = (leaf(&world), world.believed());
    world.pass((LEAF * 2 / 3).saturating_sub(HOUR));
    assert_eq!(world.look_on(), [""; 0]);
    world.pass(2 * HOUR);
    assert_eq!(world.look_on(), ["serve"]);
    assert_ne!(leaf(&world), first);
    assert_eq!(world.believed(), believed);
}

#[test]
fn the_next_authority_is_published_for_a_margin_before_it_signs_and_the_old_one_while_it_is_served() {
    let mut world = old_world();
    let before = world.believed();
    assert_eq!(before.len(), 2);
    assert!(is_signed_by(
        &leaf(&world),
        &certificate(world.authorities.as_ref(), "ca.crt")
    ));
    assert_eq!(world.for_a_margin(), ["AuthoritySigns", "serve"]);
    assert!(is_signed_by(
        &leaf(&world),
        &certificate(world.authorities.as_ref(), "ca.crt")
    ));
    assert_eq!(world.believed(), before, "the old one is believed as the new one is");

    world.follow(0);
    assert_eq!(
        [world.for_a_margin(), world.for_a_margin()].concat(),
        [""; 0],
        "replica 1 still serves it"
    );
    world.follow(1);
    let silent = world.replicas[0].take();
    assert_eq!(
        [world.for_a_margin(), world.for_a_margin()].concat(),
        [""; 0],
        "replica 0 cannot be asked"
    );
    world.replicas[0] = silent;
    assert_eq!(
        [world.for_a_margin(), world.for_a_margin()].concat(),
        ["AuthorityRetired", "publish"]
    );
    world.is_in_order();
}

#[test]
fn a_rotation_goes_on_wherever_the_controller_is_cut_off() {
    // After how many steps of its life each controller ends.
    for life in 1..4 {
        let mut world = World::settled();
        world.pass(AUTHORITY * 2 / 3);
        let mut steps = Vec::new();
        for number in 0..60 {
            for _ in 0..life {
                steps.push(world.look());
                world.check().unwrap();
            }
            if number % 2 == 0 {
                world.restart();
            }
            world.follow_all();
            world.pass(MARGIN);
        }
        steps.retain(|step| *step != "rest");
        world.is_in_order();
        for expected in ["NextAuthorityMade", "AuthoritySigns", "AuthorityRetired"] {
            assert_eq!(
                steps.iter().filter(|step| **step == expected).count(),
                1,
                "{life}: {steps:?}"
            );
        }
    }
}

#[test]
fn a_controller_that_begins_anew_waits_anew() {
    let mut world = old_world();
    world.pass(MARGIN.saturating_sub(LOOK));
    world.restart();
    assert_eq!(world.look_on(), [""; 0]);
    world.pass(MARGIN.saturating_sub(LOOK));
    assert_eq!(world.look_on(), [""; 0]);
    world.pass(LOOK);
    assert_eq!(world.look_on(), ["AuthoritySigns", "serve"]);
}

#[test]
fn what_is_lost_while_the_next_authority_waits_is_signed_by_the_one_that_everybody_knows() {
    let mut world = old_world();
    world.serving = None;
    assert_eq!(world.look_on(), ["serve"]);
    assert!(is_signed_by(
        &leaf(&world),
        &certificate(world.authorities.as_ref(), "ca.crt")
    ));
}

#[test]
fn certificates_of_another_origin_serve_until_their_successors_are_known() {
    let mut world = World::new();
    let given = Authority::new(world.now).unwrap();
    let pair = given.issue(&settings().names, DAY, world.now).unwrap();
    world.serving = Some(Contents::of([("tls.crt", &pair.certificate), ("tls.key", &pair.key)]));
    world.set_bundle(beside(b"", &given));
    world.follow_all();
    world.pass(2 * MARGIN);
    (world.is_excused, world.is_broken) = (false, false);
    assert_eq!(world.look_on(), ["NextAuthorityMade", "publish"]);
    let steps = world.rest();
    assert_eq!(steps, ["AuthoritySigns", "serve", "AuthorityRetired", "publish"]);
    world.check().unwrap();
    world.is_in_order();
}

#[test]
fn a_certificate_for_other_names_is_replaced() {
    let mut world = World::settled();
    let names = Names {
        dns: vec![NAME.parse().unwrap(), "more.example".parse().unwrap()],
        addresses: Vec::new(),
    };
    world.keeper = Keeper::new(Settings::new(names, LEAF, AUTHORITY, MARGIN).unwrap());
    assert_eq!(world.for_a_margin(), ["serve"]);
}

#[test]
fn an_authority_that_is_none_of_ours_is_not_believed_for_standing_in_the_secret() {
    let mut world = World::settled();
    let believed = world.believed();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let foreign = parameters.self_signed(&key).unwrap();
    world.authorities = Some(Contents::of([
        ("ca.crt", &foreign.pem()),
        ("ca.key", &key.serialize_pem()),
    ]));
    assert_eq!(world.look_on(), ["NextAuthorityMade", "publish"]);
    assert!(world.believed().contains(&believed[0]) && !world.believed().contains(foreign.der()));
}

#[test]
fn without_a_registration_certificates_are_ready_before_anybody_calls() {
    let world = World::new();
    let mut keeper = Keeper::new(settings());
    let (mut authorities, mut serving) = (None, None);
    let mut look = |authorities: &mut Option<Contents>, serving: &mut Option<Contents>| {
        let seen = Seen {
            now: world.now,
            moment: world.moment,
            authorities: authorities.as_ref(),
            serving: serving.as_ref(),
            bundles: &[],
        };
        match keeper.next(&seen).unwrap() {
            Step::Keep(contents, _) => *authorities = Some(contents),
            Step::Serve(contents) => *serving = Some(contents),
            Step::Publish(_) => panic!("nobody to tell"),
            Step::Rest { .. } => return true,
        }
        false
    };
    assert!(!look(&mut authorities, &mut serving) && !look(&mut authorities, &mut serving));
    assert!(look(&mut authorities, &mut serving));
    let ours = certificate(authorities.as_ref(), "ca.crt");
    assert!(is_believed(
        &certificate(serving.as_ref(), "tls.crt"),
        &ours,
        NAME,
        world.now
    ));
}

#[test]
fn lives_are_those_of_what_is_in_force() {
    let mut world = World::new();
    let now = world.now;
    world.look_on();
    let Step::Rest { asks: false, lives } = world.step() else {
        panic!("there is nothing to do")
    };
    let life = |end| Some(Life { begin: now, end });
    assert_eq!(lives.authority, life(now + AUTHORITY));
    assert_eq!(lives.certificate, life(now + LEAF));
}

#[test]
fn lifetimes_that_do_not_go_together_are_refused() {
    let fit = |certificate, authority| Settings::new(settings().names, certificate, authority, HOUR).map(drop);
    assert_eq!(fit(3 * HOUR, 100 * HOUR), Err(Unfit::Certificate));
    assert_eq!(fit(4 * HOUR, 14 * HOUR), Err(Unfit::Authority));
    assert_eq!(fit(4 * HOUR, 15 * HOUR), Ok(()));
}

#[test]
fn nothing_that_is_printed_holds_a_key() {
    let mut world = old_world();
    let keys = |contents: &Contents| -> Vec<String> {
        let keys = contents
            .iter()
            .filter(|(key, _)| ["ca.key", "next.key", "tls.key"].contains(key));
        let lines = keys.flat_map(|(_, value)| std::str::from_utf8(value).unwrap().lines().skip(1).take(1));
        lines.map(str::to_owned).collect()
    };
    let mut secrets = keys(world.authorities.as_ref().unwrap());
    world.serving = None;
    let step = world.step();
    let Step::Serve(contents) = &step else {
        panic!("{step:?}")
    };
    secrets.extend(keys(contents));
    assert_eq!(secrets.len(), 3);
    let printed = format!(
        "{step:?} {:?} {:?} {:?}",
        world.keeper, world.authorities, world.serving
    );
    let bytes = secrets.iter().map(|secret| format!("{:?}", &secret.as_bytes()[..16]));
    for secret in secrets.iter().cloned().chain(bytes) {
        assert!(!printed.contains(secret.trim_matches(['[', ']'])));
    }
}
