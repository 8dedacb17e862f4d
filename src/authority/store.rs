//! The Secret of the authorities: what it holds, and what is left of it when somebody damaged it.
//!
//! `ca.crt` and `ca.key` are those of the authority that signs, `next.crt` and `next.key` those of the one that will, and
//! `old.crt` holds the certificates of those whose leaves may still be served, and `retired.crt` of those that are to be
//! believed no longer.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use super::Contents;
use crate::certs::bundle::{pem, readable};
use crate::certs::make::Authority;

const OLD: &str = "old.crt";
const RETIRED: &str = "retired.crt";

/// The authorities.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// The one that signs.
    pub(super) current: Option<Authority>,
    /// The one that will.
    pub(super) next: Option<Authority>,
    /// Those that sign no more.
    pub(super) old: Vec<CertificateDer<'static>>,
    /// Those that are to be taken out wherever they are found.
    pub(super) retired: Vec<CertificateDer<'static>>,
}

impl Store {
    /// Reads what can be used at `now`. The certificate of an authority that was ours and cannot sign, be it for its key
    /// or its time, counts as an old one.
    pub(super) fn read(contents: &Contents, now: SystemTime) -> Self {
        let mut store = Self::default();
        let mut read = |certificate, key| {
            let (certificate, key) = (contents.get(certificate), contents.get(key));
            let authority = Authority::from_pem(certificate, key, now).ok();
            if authority.is_none() {
                let left = readable(certificate).into_iter().filter(Authority::has_made);
                left.for_each(|certificate| store.add_old(certificate));
            }
            authority
        };
        let (current, next) = (read("ca.crt", "ca.key"), read("next.crt", "next.key"));
        for certificate in readable(contents.get(OLD)) {
            store.add_old(certificate);
        }
        store.retired = readable(contents.get(RETIRED));
        let signs = |certificate: &CertificateDer<'_>| {
            let mut signing = [&current, &next].into_iter().flatten();
            signing.any(|authority| authority.certificate() == certificate)
        };
        store.old.retain(|old| !signs(old));
        let old = store.old;
        store
            .retired
            .retain(|retired| !signs(retired) && !old.contains(retired));
        let retired = store.retired;
        Self {
            current,
            next,
            old,
            retired,
        }
    }

    /// As they are kept.
    pub(super) fn contents(&self) -> Contents {
        let [current, next] = [&self.current, &self.next].map(|authority| {
            let pair = authority.as_ref().map(Authority::pair);
            pair.map_or(("", ""), |pair| (&*pair.certificate, &*pair.key))
        });
        Contents::of([
            ("ca.crt", current.0),
            ("ca.key", current.1),
            ("next.crt", next.0),
            ("next.key", next.1),
            (OLD, &pem(&self.old)),
            (RETIRED, &pem(&self.retired)),
        ])
    }

    /// All that must be believed.
    pub(super) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let signing = [&self.current, &self.next].into_iter().flatten();
        let signing = signing.map(Authority::certificate);
        signing.chain(&self.old).cloned().collect()
    }

    /// Takes one in that must go on being believed, unless it is there.
    pub(super) fn add_old(&mut self, certificate: CertificateDer<'static>) {
        if !self.certificates().contains(&certificate) && !self.retired.contains(&certificate) {
            self.old.push(certificate);
        }
    }

    /// Lets the next one sign.
    pub(super) fn promote(&mut self) {
        let next = self.next.take();
        if let Some(before) = std::mem::replace(&mut self.current, next) {
            self.old.push(before.certificate().clone());
        }
    }
}
