//! What many things share, kept once: names, versions of sources, and what tens of thousands of copies have in common.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// The values in use.
#[derive(Debug)]
pub(super) struct Interner<T: ?Sized> {
    known: HashSet<Arc<T>>,
}

impl<T: ?Sized + Eq + Hash> Interner<T> {
    /// The value, shared with all who asked for an equal one.
    pub(super) fn intern(&mut self, value: impl Borrow<T> + Into<Arc<T>>) -> Arc<T> {
        if let Some(known) = self.known.get(value.borrow()) {
            return Arc::clone(known);
        }
        let new = value.into();
        self.known.insert(Arc::clone(&new));
        new
    }

    /// Drops the values that nobody else holds: every rotation leaves a version behind.
    pub(super) fn sweep(&mut self) {
        self.known.retain(|value| Arc::strong_count(value) > 1);
    }
}

impl<T: ?Sized> Default for Interner<T> {
    fn default() -> Self {
        Self { known: HashSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_leave_when_nobody_holds_them() {
        let mut interner = Interner::<str>::default();
        let one = interner.intern("team-a");
        assert!(Arc::ptr_eq(&one, &interner.intern("team-a".to_owned())));
        interner.intern("team-b");
        interner.sweep();
        assert_eq!(interner.known.len(), 1);
    }
}
