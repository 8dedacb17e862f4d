//! What the probes ask: whether calls can be served, and whether the program lives.
//!
//! Readiness is held as state of its parts and judged when it is asked for. It is true once rules and a certificate have
//! been had; it turns false only at the certificate's end and while draining. What all replicas share, such as a
//! mistake in a rules file, is a note and never makes it false: an empty Service fails every call.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime};

/// How often the accept loop shows that it turns.
///
/// It is also the longest that the runtime's timers sleep, so that a request's deadline, which is later, never has to
/// wake them up.
pub(crate) const BEAT: Duration = Duration::from_millis(500);

/// After how long without a beat the program counts as dead. A starved process is slow, not dead, and a restart would
/// not give it more CPU: hence many beats.
const DEAD_AFTER: Duration = Duration::from_secs(30);

/// The state of everything that the probes ask for.
#[derive(Debug)]
pub struct Readiness {
    parts: RwLock<Parts>,
    /// What has to be had first, as the report calls it.
    first: &'static str,
    /// Whether the program serves TLS.
    needs_certificate: bool,
    started: Instant,
    /// The last beat, in milliseconds from `started`.
    beat: AtomicU64,
}

#[derive(Debug, Default)]
struct Parts {
    has_rules: bool,
    /// What there has to be before, and why it is not.
    awaited: Vec<String>,
    certificate_not_after: Option<SystemTime>,
    is_draining: bool,
    notes: BTreeMap<&'static str, Vec<String>>,
}

/// The judgement of one moment. Its `Display` lists the parts as the API server's own `/readyz?verbose` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    parts: Vec<(&'static str, Result<(), String>)>,
    notes: Vec<String>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            parts: RwLock::default(),
            first: "rules",
            needs_certificate: true,
            started: Instant::now(),
            beat: AtomicU64::new(0),
        }
    }
}

impl Readiness {
    /// Of a controller: it needs to know the cluster, and serves no TLS.
    #[must_use]
    pub fn of_controller() -> Self {
        Self {
            first: "cluster",
            needs_certificate: false,
            ..Self::default()
        }
    }

    /// Rules are in force.
    pub fn rules_loaded(&self) {
        self.write().has_rules = true;
    }

    /// What the first rules wait for, and why. Says nothing once there are some.
    pub fn awaits(&self, what: Vec<String>) {
        self.write().awaited = what;
    }

    /// What an operator should know although it does not make the program unready, such as files that were refused.
    /// Replaces the notes before `about` the same.
    pub fn set_notes(&self, about: &'static str, notes: Vec<String>) {
        self.write().notes.insert(about, notes);
    }

    /// A certificate is served that is valid until then.
    pub fn certificate_loaded(&self, not_after: SystemTime) {
        self.write().certificate_not_after = Some(not_after);
    }

    /// The program has been told to end.
    pub fn drain(&self) {
        self.write().is_draining = true;
    }

    /// Judges the parts by this wall clock.
    #[must_use]
    pub fn report(&self, now: SystemTime) -> Report {
        let parts = self.read();
        let rules = if parts.has_rules {
            Ok(())
        } else if parts.awaited.is_empty() {
            Err("no rules have been loaded yet".to_owned())
        } else {
            Err(parts.awaited.join("; "))
        };
        let certificate = match parts.certificate_not_after {
            None => Err("no certificate has been loaded yet".to_owned()),
            Some(not_after) => match now.duration_since(not_after) {
                Ok(over) => Err(format!("it ended {} seconds ago", over.as_secs())),
                Err(_) => Ok(()),
            },
        };
        let draining = if parts.is_draining {
            Err("the program is about to end".to_owned())
        } else {
            Ok(())
        };
        Report {
            parts: [
                (self.first, rules),
                ("certificate", certificate),
                ("shutdown", draining),
            ]
            .into_iter()
            .filter(|(name, _)| *name != "certificate" || self.needs_certificate)
            .collect(),
            notes: parts.notes.values().flatten().cloned().collect(),
        }
    }

    /// The accept loop has turned once more.
    pub(crate) fn beat(&self) {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat.store(since, Ordering::Relaxed);
    }

    /// Whether the accept loop still turned lately.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.is_alive_at(Instant::now())
    }

    fn is_alive_at(&self, now: Instant) -> bool {
        let beat = self.started + Duration::from_millis(self.beat.load(Ordering::Relaxed));
        now.saturating_duration_since(beat) < DEAD_AFTER
    }

    fn read(&self) -> RwLockReadGuard<'_, Parts> {
        self.parts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Parts> {
        self.parts.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    /// Whether calls can be served.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.parts.iter().all(|(_, part)| part.is_ok())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, part) in &self.parts {
            match part {
                Ok(()) => writeln!(formatter, "[+]{name} ok")?,
                Err(reason) => writeln!(formatter, "[-]{name} failed: {reason}")?,
            }
        }
        for note in &self.notes {
            writeln!(formatter, "note: {note}")?;
        }
        let result = if self.is_ready() { "passed" } else { "failed" };
        writeln!(formatter, "readyz check {result}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_what_has_rules_and_a_certificate_and_is_not_draining() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let readiness = Readiness::default();
        let expected = "[-]rules failed: no rules have been loaded yet\n\
                        [-]certificate failed: no certificate has been loaded yet\n\
                        [+]shutdown ok\nreadyz check failed\n";
        assert_eq!(readiness.report(now).to_string(), expected);

        let awaited = ["namespaces: the API server cannot be reached", "copies: not yet"];
        readiness.awaits(awaited.map(str::to_owned).to_vec());
        let expected = "[-]rules failed: namespaces: the API server cannot be reached; copies: not yet\n";
        assert!(readiness.report(now).to_string().starts_with(expected));

        readiness.rules_loaded();
        assert!(!readiness.report(now).is_ready());
        readiness.certificate_loaded(now + Duration::from_secs(1));
        assert!(readiness.report(now).is_ready());

        readiness.set_notes("files", vec!["rules.yaml was refused: 1 mistake".to_owned()]);
        readiness.set_notes("files", vec!["rules.yaml was refused: 2 mistakes".to_owned()]);
        readiness.set_notes("objects", vec!["1 object is skipped".to_owned()]);
        let expected = "[+]rules ok\n[+]certificate ok\n[+]shutdown ok\n\
                        note: rules.yaml was refused: 2 mistakes\nnote: 1 object is skipped\nreadyz check passed\n";
        assert_eq!(readiness.report(now).to_string(), expected);

        let later = readiness.report(now + Duration::from_secs(61));
        assert!(!later.is_ready());
        assert!(
            later
                .to_string()
                .contains("[-]certificate failed: it ended 60 seconds ago\n")
        );

        readiness.drain();
        let draining = readiness.report(now);
        assert!(!draining.is_ready());
        assert!(
            draining
                .to_string()
                .contains("[-]shutdown failed: the program is about to end\n")
        );
    }

    #[test]
    fn a_loop_that_stands_still_is_dead() {
        let readiness = Readiness::default();
        assert!(readiness.is_alive(), "it may just not have begun");
        readiness.beat();
        assert!(readiness.is_alive_at(Instant::now() + DEAD_AFTER / 2));
        assert!(!readiness.is_alive_at(Instant::now() + DEAD_AFTER));
    }
}
