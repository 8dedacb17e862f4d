//! What is there: namespaces and the copies in them, as small as tens of thousands of them must be.

use std::ops::Deref;
use std::sync::Arc;

use super::Moment;
use super::identity::{Identity, ResourceVersion};
use super::intern::Interner;
use super::ownership::{Observed, Share};
use super::source::{Source, uid_of};
use crate::rules::Labels;

/// A namespace as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// `metadata.labels`.
    pub labels: Labels,
    /// Whether its phase is `Terminating`, or it has a deletion timestamp.
    pub is_terminating: bool,
}

/// What is known under the name of a namespace.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// `None` before the namespace was reported; its copies may come first.
    pub(super) facts: Option<NamespaceFacts>,
    /// In the order of their names.
    copies: Vec<Copy>,
}

/// A Secret where a copy is or could be.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    common: Arc<Common>,
    pub(super) identity: Identity,
    /// Whether a watch tells about it: that of our label, or that of its name.
    pub(super) is_watched: bool,
    /// Whether that watch has told about it since it last heard nothing.
    pub(super) is_told: bool,
    /// Whether a rule wanted it while we looked.
    pub(super) was_wanted: bool,
    /// The version that was applied when it got its resourceVersion. A second time would change as little.
    pub(super) applied: Option<Arc<str>>,
    /// When it was first seen; if it is not ours, when it last was.
    pub(super) seen: Moment,
}

/// What the copies of one rule have in common, as long as nobody meddles with them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Common {
    pub(super) name: Arc<str>,
    pub(super) share: Share,
    /// `namespace/name` of the source. Once known it is remembered, even if the copy says it no more.
    pub(super) source: Option<Arc<str>>,
    /// The version of that source, remembered likewise.
    pub(super) version: Option<Arc<str>>,
    /// Whether everything stands as we wrote it.
    pub(super) is_intact: bool,
    pub(super) meddler: Option<Box<str>>,
    pub(super) is_being_deleted: bool,
}

impl Place {
    pub(super) fn copy(&self, name: &str) -> Option<&Copy> {
        let index = self.find(name).ok()?;
        self.copies.get(index)
    }

    pub(super) fn copy_mut(&mut self, name: &str) -> Option<&mut Copy> {
        let index = self.find(name).ok()?;
        self.copies.get_mut(index)
    }

    pub(super) fn copies(&self) -> &[Copy] {
        &self.copies
    }

    pub(super) fn copies_mut(&mut self) -> &mut [Copy] {
        &mut self.copies
    }

    /// Puts a copy in the place of the one of the same name. Returns that one.
    pub(super) fn put(&mut self, copy: Copy) -> Option<Copy> {
        match self.find(&copy.name) {
            Ok(index) => self.copies.get_mut(index).map(|old| std::mem::replace(old, copy)),
            Err(index) => {
                // Most namespaces have few copies, and there are many namespaces.
                self.copies.reserve_exact(1);
                self.copies.insert(index, copy);
                None
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Copy> {
        let index = self.find(name).ok()?;
        Some(self.copies.remove(index))
    }

    /// Whether nothing is known here.
    pub(super) fn is_empty(&self) -> bool {
        self.facts.is_none() && self.copies.is_empty()
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.copies.binary_search_by(|copy| (*copy.name).cmp(name))
    }
}

impl Deref for Copy {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

impl Copy {
    /// What was observed, with what is remembered of the copy from before.
    pub(super) fn new(
        name: Arc<str>,
        observed: Observed,
        old: Option<&Self>,
        texts: &mut Interner<str>,
        alike: &mut Interner<Common>,
        now: Moment,
    ) -> Self {
        let same = old.filter(|old| old.identity.uid == observed.identity.uid);
        let (source, version) = match observed.record {
            Some(record) => (Some(texts.intern(record.source)), Some(texts.intern(record.version))),
            None => same
                .map(|old| (old.source.clone(), old.version.clone()))
                .unwrap_or_default(),
        };
        let is_ours = observed.share == Share::Ours;
        let common = Common {
            name,
            share: observed.share,
            source,
            version,
            is_intact: observed.is_intact,
            meddler: observed.meddler,
            is_being_deleted: observed.is_being_deleted,
        };
        Self {
            common: alike.intern(common),
            identity: observed.identity,
            is_watched: observed.is_labelled,
            is_told: old.is_some_and(|old| old.is_told),
            was_wanted: same.is_some_and(|old| old.was_wanted),
            applied: None,
            seen: same.filter(|_| is_ours).map_or(now, |old| old.seen),
        }
    }

    pub(super) fn is_ours(&self) -> bool {
        self.share == Share::Ours
    }

    /// Whether it stands as we wrote it.
    pub(super) fn is_settled(&self) -> bool {
        self.is_ours() && self.is_intact
    }

    /// Whether it says that it holds this version of the source, and stands as we wrote it.
    pub(super) fn is_current(&self, source: &Source) -> bool {
        self.is_intact
            && self.source.as_deref() == Some(&source.reference)
            && self.version.as_ref() == Some(&source.version)
    }

    /// Whether it was made of this very Secret. Anybody can claim that of a copy in a namespace of his, under our name,
    /// too; but nobody knows the Secret's uid who never had a copy of it.
    pub(super) fn is_made_of(&self, source: &Source) -> bool {
        self.source.as_deref() == Some(&source.reference) && self.version.as_deref().map(uid_of) == Some(source.uid())
    }

    /// Whether something with this resourceVersion comes after what is known.
    pub(super) fn is_older_than(&self, resource_version: &ResourceVersion) -> bool {
        self.identity.resource_version.is_before(resource_version)
    }
}

#[cfg(test)]
mod tests {
    use super::Copy;

    #[test]
    fn a_copy_is_as_small_as_tens_of_thousands_must_be() {
        assert!(size_of::<Copy>() <= 96, "{} bytes", size_of::<Copy>());
    }
}
