//! Rules that get in each other's way as objects of a cluster.
//!
//! In: rules without a mistake, of files or of the cluster, and where they stand. Out: a warning for every rule that would
//! copy another source to a secret that one before it copies, too. Each is told once, beside the first such rule.

use std::collections::HashMap;

use super::Rule;
use super::compile::Claim;
use super::diagnostic::{Diagnostic, Severity};

/// A rule, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// The file, and the rule's name there; `None` for an object of the cluster.
    pub place: Option<(&'r str, &'r Claim)>,
}

/// A warning for every rule with a rival before it, in their order.
#[must_use]
pub fn overlaps<'r>(rules: impl IntoIterator<Item = Placed<'r>>) -> Vec<Diagnostic> {
    let mut by_secret: HashMap<&str, Vec<Placed<'_>>> = HashMap::new();
    let mut warnings = Vec::new();
    let copying = rules.into_iter().filter(|placed| placed.rule.copy_from.is_some());
    for placed in copying {
        let others = by_secret.entry(&placed.rule.secret).or_default();
        let rival = others.iter().find(|other| placed.rule.is_rival_of(other.rule));
        warnings.extend(rival.map(|rival| placed.overlaps_with(rival)));
        others.push(placed);
    }
    warnings
}

impl Placed<'_> {
    /// A warning about this rule.
    #[must_use]
    pub fn warning(&self, message: impl std::fmt::Display) -> Diagnostic {
        let mut warning = if let Some((file, claim)) = self.place {
            Diagnostic::new(Severity::Warning, file, message).at(claim.position, &claim.field("metadata.name"))
        } else {
            let subject = format!("{} {}", self.rule.kind, self.rule.qualified_name());
            Diagnostic::new(Severity::Warning, &subject, message)
        };
        warning.value = self.place.map(|_| self.rule.name.clone());
        warning
    }

    fn overlaps_with(&self, first: &Self) -> Diagnostic {
        let message = format_args!(
            "this rule and another one copy different sources to a secret `{}` of the same namespaces",
            self.rule.secret
        );
        let place = match first.place {
            Some((file, claim)) => format!("at {file}:{}", claim.position),
            None => "of the cluster".to_owned(),
        };
        self.warning(message).hinting(format_args!(
            "the other is `{}` {place}; where both apply, the rule that is older in the cluster wins, so give one of them \
             another secret name or other namespaces",
            first.rule.name
        ))
    }
}
