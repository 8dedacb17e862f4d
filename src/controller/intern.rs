//! Texts that many things share, kept once: names, and versions of sources on tens of thousands of copies.

use std::collections::HashSet;
use std::sync::Arc;

/// The texts in use.
#[derive(Debug, Default)]
pub(super) struct Interner {
    texts: HashSet<Arc<str>>,
}

impl Interner {
    /// The text, shared with all who asked for the same one.
    pub(super) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&new));
        new
    }

    /// Drops the texts that nobody else holds: every rotation leaves a version behind.
    pub(super) fn sweep(&mut self) {
        self.texts.retain(|text| Arc::strong_count(text) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_and_leave_when_nobody_holds_them() {
        let mut interner = Interner::default();
        let one = interner.intern("team-a");
        assert!(Arc::ptr_eq(&one, &interner.intern("team-a")));
        interner.intern("team-b");
        interner.sweep();
        assert_eq!(interner.texts.len(), 1);
    }
}
