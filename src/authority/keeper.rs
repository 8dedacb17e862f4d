//! What to do next.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;

use super::store::Store;
use super::{Change, Contents, Life, Lives, Seen, Settings, Step};
use crate::certs::bundle::{CaBundle, pem, readable};
use crate::certs::judge::{Facts, judge};
use crate::certs::make::{Authority, MakeError};
use crate::certs::trust::{is_believed, is_signed_by};

/// Says what to do next, and remembers since when margins run: forgetting that makes them run anew.
#[derive(Debug)]
pub struct Keeper {
    settings: Settings,
    /// Since when an authority is known to be published.
    published: Margins,
    /// Since when no replica serves anything of an old authority.
    unserved: Margins,
    /// The authorities to ask the replicas about.
    old: Vec<CertificateDer<'static>>,
}

type Margins = HashMap<CertificateDer<'static>, Duration>;

/// The serving certificate, if it could serve now.
struct Leaf {
    certificate: CertificateDer<'static>,
    facts: Facts,
}

impl Keeper {
    /// One that has not looked yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            published: Margins::new(),
            unserved: Margins::new(),
            old: Vec::new(),
        }
    }

    /// Looks at what there is. After the step, look again.
    pub fn next(&mut self, seen: &Seen<'_>) -> Result<Step, MakeError> {
        let published: Vec<_> = seen.bundles.iter().map(|bundle| readable(bundle)).collect();
        let mut store = Store::read(seen.authorities.unwrap_or(&Contents::default()), seen.now);
        self.unserved.retain(|certificate, _| store.old.contains(certificate));
        // What is believed may be served: whatever it is, it goes the way of an old one.
        for certificate in published.iter().flatten() {
            store.add_old(certificate.clone());
        }
        self.note_published(&store, &published, seen.moment);
        let leaf = self.leaf(seen);
        let works = leaf.as_ref().is_some_and(|leaf| {
            let mut believed = store.certificates().into_iter();
            believed.any(|authority| self.is_believed(leaf, &authority, seen))
        });
        let change = self.provide(&mut store, works, seen.now)?;
        let change = change.or_else(|| self.retire(&mut store, leaf.as_ref(), seen.moment));
        let contents = store.contents();
        if seen.authorities != Some(&contents) {
            // Those that nobody believes any more need not be remembered.
            store
                .retired
                .retain(|retired| published.iter().any(|there| there.contains(retired)));
            return Ok(Step::Keep(store.contents(), change.unwrap_or(Change::Found)));
        }
        let believed = store.certificates();
        if !seen
            .bundles
            .iter()
            .zip(&published)
            .all(|(text, there)| says(text, there, &believed))
        {
            return Ok(Step::Publish(CaBundle::of(&believed)));
        }
        if store.next.as_ref().is_some_and(|next| self.is_known(next, seen.moment)) {
            store.promote();
            return Ok(Step::Keep(store.contents(), Change::Signs));
        }
        if let Some(authority) = &store.current
            && self.is_due(leaf.as_ref(), authority, seen)
            && (!works || self.is_known(authority, seen.moment))
        {
            return self.issue(authority, seen);
        }
        let asks = store.current.is_some() && !store.old.is_empty();
        self.old = if asks { store.old } else { Vec::new() };
        Ok(Step::Rest {
            asks,
            lives: Lives {
                authority: store.current.as_ref().and_then(|one| Life::of(one.certificate())),
                certificate: leaf.as_ref().and_then(|leaf| Life::of(&leaf.certificate)),
            },
        })
    }

    /// Takes note of what all replicas serve, one certificate each; `None` if one of them, or all, cannot be asked.
    pub fn served(&mut self, served: Option<&[CertificateDer<'_>]>, moment: Duration) {
        let is_served = |old: &CertificateDer<'_>| {
            served.is_none_or(|served| served.iter().any(|certificate| is_signed_by(certificate, old)))
        };
        let (served, unserved): (Vec<_>, Vec<_>) = self.old.drain(..).partition(is_served);
        self.unserved
            .retain(|certificate, _| unserved.contains(certificate) && !served.contains(certificate));
        for certificate in unserved {
            self.unserved.entry(certificate).or_insert(moment);
        }
    }

    /// The serving certificate, if nothing but its issuer can be wrong with it.
    fn leaf(&self, seen: &Seen<'_>) -> Option<Leaf> {
        let contents = seen.serving?;
        let pair = judge(contents.get("tls.crt"), contents.get("tls.key"), seen.now).ok()?;
        let names = &self.settings.names;
        let stands_for = |name: &str| pair.facts.dns_names.iter().any(|known| known == name);
        let is_named = names.dns.iter().all(|name| stands_for(&name.to_string()))
            && names
                .addresses
                .iter()
                .all(|address| pair.facts.addresses.contains(address));
        let certificate = pair.certified.cert.first()?.clone();
        is_named.then_some(Leaf {
            certificate,
            facts: pair.facts,
        })
    }

    /// Whether clients that believe this authority believe the certificate.
    fn is_believed(&self, leaf: &Leaf, authority: &CertificateDer<'_>, seen: &Seen<'_>) -> bool {
        let names = &self.settings.names.dns;
        names
            .first()
            .is_some_and(|name| is_believed(&leaf.certificate, authority, &name.to_string(), seen.now))
    }

    /// Sees to it that there is an authority that signs, or will. As long as what is served works, a new one does not
    /// sign before everybody knows it; otherwise there is nothing to lose.
    fn provide(&self, store: &mut Store, works: bool, now: SystemTime) -> Result<Option<Change>, MakeError> {
        let lifetime = self.settings.authority_lifetime;
        let make = || Authority::living(lifetime, now);
        Ok(match (&store.current, &store.next) {
            (None, None) if works => {
                store.next = Some(make()?);
                Some(Change::Next)
            }
            (None, None) => {
                store.current = Some(make()?);
                Some(Change::Made)
            }
            (None, Some(_)) if !works => {
                store.promote();
                Some(Change::Signs)
            }
            (Some(current), None) if now + lifetime / 3 >= current.not_after() => {
                store.next = Some(make()?);
                Some(Change::Next)
            }
            _ => None,
        })
    }

    fn note_published(&mut self, store: &Store, published: &[Vec<CertificateDer<'static>>], moment: Duration) {
        let mut since = Margins::new();
        for certificate in store.certificates() {
            if published.iter().all(|there| there.contains(&certificate)) {
                let before = self.published.get(&certificate).copied();
                since.insert(certificate, before.unwrap_or(moment));
            }
        }
        self.published = since;
    }

    /// Whether an authority has been published for so long that every API server knows it.
    fn is_known(&self, authority: &Authority, moment: Duration) -> bool {
        let since = self.published.get(authority.certificate());
        since.is_some_and(|since| moment.saturating_sub(*since) >= self.settings.margin)
    }

    /// Whether another serving certificate is wanted.
    fn is_due(&self, leaf: Option<&Leaf>, authority: &Authority, seen: &Seen<'_>) -> bool {
        let Some(leaf) = leaf.filter(|leaf| self.is_believed(leaf, authority.certificate(), seen)) else {
            return true;
        };
        let lifetime = self.settings.certificate_lifetime;
        let end = leaf.facts.not_after;
        // Near the authority's end another one would not live longer.
        seen.now + lifetime / 3 >= end && authority.not_after() > end + lifetime / 3
    }

    fn issue(&mut self, authority: &Authority, seen: &Seen<'_>) -> Result<Step, MakeError> {
        // What the replicas serve is about to change, whatever it was.
        self.unserved.clear();
        let left = authority.not_after().duration_since(seen.now).unwrap_or_default();
        let lifetime = self.settings.certificate_lifetime.min(left);
        let pair = authority.issue(&self.settings.names, lifetime, seen.now)?;
        Ok(Step::Serve(Contents::of([
            ("tls.crt", &pair.certificate),
            ("tls.key", &pair.key),
        ])))
    }

    /// Retires those of which nothing has been served for long enough.
    fn retire(&mut self, store: &mut Store, leaf: Option<&Leaf>, moment: Duration) -> Option<Change> {
        let may_be_served = |old: &CertificateDer<'_>| leaf.is_some_and(|leaf| is_signed_by(&leaf.certificate, old));
        if store.current.is_none() || store.old.iter().any(may_be_served) {
            self.unserved.clear();
        }
        let has_rested = |since: &Duration| moment.saturating_sub(*since) >= self.settings.margin;
        let rested = |old: &CertificateDer<'_>| self.unserved.get(old).is_some_and(has_rested);
        let (retired, old): (Vec<_>, Vec<_>) = store.old.drain(..).partition(rested);
        store.old = old;
        let is_any = !retired.is_empty();
        store.retired.extend(retired);
        is_any.then_some(Change::Retired)
    }
}

/// Whether a `caBundle` says that these are believed, and nothing besides.
fn says(text: &[u8], there: &[CertificateDer<'_>], believed: &[CertificateDer<'_>]) -> bool {
    there.len() == believed.len()
        && there.iter().all(|certificate| believed.contains(certificate))
        && pem(there).as_bytes() == text
}
