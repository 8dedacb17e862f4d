//! How much is kept of the rules of a namespace.
//!
//! Tenants make as many as they like. In: the rules of one namespace. Out: which take effect, the oldest
//! [`MOST_OF_A_NAMESPACE`] of the good ones. Of the others nothing is kept but their age: one that moves up is read again.

use std::sync::Arc;

use super::Key;
use super::rules::RuleObject;
use crate::rules::Rule;

/// How many `PullSecretRule`s of a namespace take effect.
pub const MOST_OF_A_NAMESPACE: usize = 100;

/// What a rule object says.
#[derive(Debug, Clone)]
pub enum Content {
    /// Nothing that can be used.
    Bad,
    /// This rule.
    Good(Arc<Rule>),
    /// A rule beyond the limit, of which nothing is kept.
    Beyond,
    /// A rule that was beyond the limit, and is not any more once it is read again.
    Awaited,
}

/// What became of the rules of a namespace.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// These are to be read again.
    pub awaited: Vec<Key>,
    /// These took effect, or would have, and are beyond the limit now.
    pub beyond: Vec<Key>,
}

impl Content {
    /// The rule, if it is at hand.
    #[must_use]
    pub fn rule(&self) -> Option<&Arc<Rule>> {
        match self {
            Self::Good(rule) => Some(rule),
            Self::Bad | Self::Beyond | Self::Awaited => None,
        }
    }

    /// Whether there is a rule without a mistake.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !matches!(self, Self::Bad)
    }

    /// Whether it is a good rule of which nothing is kept.
    #[must_use]
    pub fn is_left_out(&self) -> bool {
        matches!(self, Self::Beyond | Self::Awaited)
    }
}

/// Settles which rules of a namespace take effect.
pub fn settle<'a>(rules: impl Iterator<Item = (&'a Key, &'a mut RuleObject)>) -> Settled {
    let mut good: Vec<_> = rules.filter(|(_, object)| object.content.is_good()).collect();
    let within = good.len().min(MOST_OF_A_NAMESPACE);
    if within < good.len() {
        good.select_nth_unstable_by(within, |(one_key, one), (key, object)| {
            (&one.created, *one_key).cmp(&(&object.created, *key))
        });
    }
    let mut settled = Settled::default();
    for (index, (key, object)) in good.into_iter().enumerate() {
        match &object.content {
            Content::Beyond if index < within => {
                object.content = Content::Awaited;
                settled.awaited.push(key.clone());
            }
            Content::Good(_) | Content::Awaited if index >= within => {
                object.content = Content::Beyond;
                settled.beyond.push(key.clone());
            }
            _ => {}
        }
    }
    settled
}

/// Leaves out of a list what is beyond the limit, whatever else will be in it. `of` gives the rule of what is listed.
pub fn thin<T>(listed: &mut [(Key, T)], of: impl Fn(&mut T) -> &mut RuleObject) {
    for namespace in listed.chunk_by_mut(|(one, _), (other, _)| one.namespace == other.namespace) {
        if namespace.len() > MOST_OF_A_NAMESPACE {
            settle(namespace.iter_mut().map(|(key, listed)| (&*key, of(listed))));
        }
    }
}
