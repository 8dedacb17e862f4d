//! A cluster as far as certificates go: Secrets, a registration, API servers that hear late of it, and replicas whose
//! volumes follow late.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;

use super::super::*;
use crate::certs::bundle::{pem, readable};
use crate::certs::judge::{self, judge};
use crate::certs::make::Authority;
use crate::certs::trust::is_believed;

pub(super) const NAME: &str = "pullkey-webhook.pullkey.svc";
pub(super) const DAY: Duration = Duration::from_hours(24);
pub(super) const MARGIN: Duration = Duration::from_secs(30);
pub(super) const LOOK: Duration = Duration::from_secs(10);
pub(super) const LEAF: Duration = Duration::from_hours(15 * 24);
pub(super) const AUTHORITY: Duration = Duration::from_hours(365 * 24);

pub(super) struct World {
    pub(super) now: SystemTime,
    pub(super) moment: Duration,
    pub(super) authorities: Option<Contents>,
    pub(super) serving: Option<Contents>,
    /// What the registration said, and since when; the last is in force.
    bundles: Vec<(Duration, Vec<u8>)>,
    /// What each replica serves.
    pub(super) replicas: Vec<Option<CertificateDer<'static>>>,
    pub(super) keeper: Keeper,
    /// Whether somebody else took away what works: then API servers that hear late cannot be spared until all is well.
    pub(super) is_excused: bool,
    /// Whether somebody else took away what is believed: then nobody can be spared until all is well.
    pub(super) is_broken: bool,
}

pub(super) fn settings() -> Settings {
    let names = Names {
        dns: vec![NAME.parse().unwrap()],
        addresses: Vec::new(),
    };
    Settings::new(names, LEAF, AUTHORITY, MARGIN).unwrap()
}

impl World {
    /// Nothing but a registration and two replicas without a certificate.
    pub(super) fn new() -> Self {
        Self {
            now: UNIX_EPOCH + Duration::from_hours(500_000),
            moment: Duration::ZERO,
            authorities: None,
            serving: None,
            bundles: vec![(Duration::ZERO, Vec::new())],
            replicas: vec![None, None],
            keeper: Keeper::new(settings()),
            is_excused: true,
            is_broken: true,
        }
    }

    /// One that has come to rest.
    pub(super) fn settled() -> Self {
        let mut world = Self::new();
        world.rest();
        world.check().unwrap();
        assert!(!world.is_excused && !world.is_broken);
        world
    }

    pub(super) fn bundle(&self) -> &[u8] {
        &self.bundles.last().unwrap().1
    }

    pub(super) fn believed(&self) -> Vec<CertificateDer<'static>> {
        readable(self.bundle())
    }

    pub(super) fn set_bundle(&mut self, text: Vec<u8>) {
        self.bundles.push((self.moment, text));
    }

    /// Looks again and again for the time of a margin; the steps.
    pub(super) fn for_a_margin(&mut self) -> Vec<&'static str> {
        let mut steps = Vec::new();
        for _ in 0..=(MARGIN.as_secs() / LOOK.as_secs()) {
            steps.extend(self.look_on());
            self.pass(LOOK);
        }
        steps
    }

    /// What the keeper says now.
    pub(super) fn step(&mut self) -> Step {
        let bundles = [self.bundle().to_vec()];
        let seen = Seen {
            now: self.now,
            moment: self.moment,
            authorities: self.authorities.as_ref(),
            serving: self.serving.as_ref(),
            bundles: &bundles,
        };
        self.keeper.next(&seen).unwrap()
    }

    /// Does one step; what it was.
    pub(super) fn look(&mut self) -> &'static str {
        match self.step() {
            Step::Keep(contents, change) => {
                self.authorities = Some(contents);
                change.reason()
            }
            Step::Publish(bundle) => {
                let text = serde_json::to_value(&bundle).unwrap();
                self.set_bundle(STANDARD.decode(text.as_str().unwrap()).unwrap());
                "publish"
            }
            Step::Serve(contents) => {
                self.is_excused |= !self.works();
                self.serving = Some(contents);
                "serve"
            }
            Step::Rest { asks, .. } => {
                if asks {
                    let served: Option<Vec<_>> = self.replicas.iter().cloned().collect();
                    self.keeper.served(served.as_deref(), self.moment);
                }
                "rest"
            }
        }
    }

    /// Looks until there is nothing to do; the steps but for the rest.
    pub(super) fn look_on(&mut self) -> Vec<&'static str> {
        let mut steps = Vec::new();
        loop {
            match self.look() {
                "rest" => return steps,
                step => steps.push(step),
            }
            assert!(steps.len() < 10, "it never rests: {steps:?}");
        }
    }

    /// Whether the serving certificate is believed.
    fn works(&self) -> bool {
        let contents = self.serving.clone().unwrap_or_default();
        let judged = judge(contents.get("tls.crt"), contents.get("tls.key"), self.now);
        let mut believed = self.believed().into_iter();
        judged.is_ok_and(|pair| {
            believed.any(|authority| is_believed(&pair.certified.cert[0], &authority, NAME, self.now))
        })
    }

    /// A volume follows, and the webhook takes what can serve.
    pub(super) fn follow(&mut self, replica: usize) {
        if let Some(serving) = &self.serving
            && let Ok(pair) = judge(serving.get("tls.crt"), serving.get("tls.key"), self.now)
        {
            self.replicas[replica] = Some(pair.certified.cert[0].clone());
        }
    }

    pub(super) fn follow_all(&mut self) {
        for replica in 0..self.replicas.len() {
            self.follow(replica);
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.moment += time;
    }

    /// Lets time go by until nothing happens any more; the steps.
    pub(super) fn rest(&mut self) -> Vec<&'static str> {
        let mut steps = Vec::new();
        for _ in 0..12 {
            steps.extend(self.look_on());
            self.follow_all();
            self.pass(LOOK);
        }
        assert!(self.look_on().is_empty());
        steps
    }

    /// The controller ends, and another one begins.
    pub(super) fn restart(&mut self) {
        self.keeper = Keeper::new(settings());
    }

    pub(super) fn is_in_order(&self) {
        let believed = self.believed();
        assert_eq!(believed.len(), 1, "one authority is believed");
        for replica in &self.replicas {
            let served = replica.as_ref().expect("a certificate is served");
            assert!(
                is_believed(served, &believed[0], NAME, self.now),
                "and what is served is its own"
            );
        }
        let keys: Vec<_> = self.authorities.as_ref().unwrap().iter().map(|(key, _)| key).collect();
        assert!(
            keys.iter().all(|key| ["ca.crt", "ca.key", "retired.crt"].contains(key)),
            "{keys:?}"
        );
    }

    /// Every API server, however late it hears, believes what is served, unless there is an excuse. Once they all do for a
    /// while, there is none any more.
    pub(super) fn check(&mut self) -> Result<(), String> {
        let has_ended =
            |(next, _): &&(Duration, Vec<u8>)| self.moment.saturating_sub(*next) > MARGIN.saturating_sub(LOOK);
        let first = self.bundles.iter().skip(1).take_while(has_ended).count();
        let last = self.bundles.len() - 1;
        let (at_once, late) = (
            self.is_believed_by(last),
            (first..last).try_for_each(|number| self.is_believed_by(number)),
        );
        let is_valid = |served: &Option<_>| served.as_ref().is_some_and(|served| self.is_valid(served));
        if at_once.is_ok() && late.is_ok() && first == last && self.replicas.iter().all(is_valid) {
            (self.is_excused, self.is_broken) = (false, false);
        }
        at_once.or_else(|error| if self.is_broken { Ok(()) } else { Err(error) })?;
        late.or_else(|error| if self.is_excused { Ok(()) } else { Err(error) })
    }

    fn is_valid(&self, served: &CertificateDer<'_>) -> bool {
        judge::facts_of(served).unwrap().valid_at(self.now).is_ok()
    }

    fn is_believed_by(&self, number: usize) -> Result<(), String> {
        let believed = readable(&self.bundles[number].1);
        for (replica, served) in self.replicas.iter().enumerate() {
            let Some(served) = served else { continue };
            let is_believed = |authority| is_believed(served, authority, NAME, self.now);
            if self.is_valid(served) && !believed.iter().any(is_believed) {
                let moment = self.moment;
                return Err(format!(
                    "replica {replica} is not believed by bundle {number} at {moment:?}"
                ));
            }
        }
        Ok(())
    }
}

/// Contents with one value changed, or taken away.
pub(super) fn with(contents: &Contents, key: &str, value: Option<&[u8]>) -> Contents {
    let others = contents.iter().filter(|(known, _)| *known != key);
    let pairs = others.chain(value.map(|value| (key, value)));
    Contents::new(pairs.map(|(key, value)| (key.to_owned(), Zeroizing::new(value.to_vec()))))
}

/// The Secret of another authority.
pub(super) fn another(now: SystemTime) -> Contents {
    let authority = Authority::living(AUTHORITY, now).unwrap();
    let pair = authority.pair();
    Contents::of([("ca.crt", &pair.certificate), ("ca.key", &pair.key)])
}

/// A `caBundle` with one more authority.
pub(super) fn beside(text: &[u8], authority: &Authority) -> Vec<u8> {
    [text, pem(&[authority.certificate().clone()]).as_bytes()].concat()
}
