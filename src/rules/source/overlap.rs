//! Rules of files that get in each other's way as objects of a cluster.
//!
//! In: the rules without a mistake in all files, as last read. Out: a warning for every rule that would copy another
//! source to a secret that one before it copies, too. Each is told once, beside the first such rule.

use std::collections::HashMap;

use super::RuleFiles;
use crate::rules::Rule;
use crate::rules::compile::Claim;
use crate::rules::diagnostic::{Diagnostic, Severity};

/// A rule that copies, and where its name stands.
#[derive(Clone, Copy)]
struct Copying<'f> {
    file: &'f str,
    rule: &'f Rule,
    claim: &'f Claim,
}

impl RuleFiles {
    /// A warning for every rule with a rival before it, in the order of the files.
    #[must_use]
    pub fn overlaps(&self) -> Vec<Diagnostic> {
        let mut by_secret: HashMap<&str, Vec<Copying<'_>>> = HashMap::new();
        let mut warnings = Vec::new();
        for copying in self.copying() {
            let others = by_secret.entry(&copying.rule.secret).or_default();
            let rival = others.iter().find(|other| copying.rule.is_rival_of(other.rule));
            warnings.extend(rival.map(|rival| copying.overlaps_with(rival)));
            others.push(copying);
        }
        warnings
    }

    fn copying(&self) -> impl Iterator<Item = Copying<'_>> {
        let contents = self.files.iter().filter_map(|file| Some((file, file.current()?)));
        contents.flat_map(|(file, content)| {
            // Every rule has its claim, in the same order; rules with a mistake have one, too.
            let mut claims = content.claims.iter();
            let rules = content.rules.iter().filter_map(move |rule| {
                let key = (rule.kind, rule.namespace.as_deref(), rule.name.as_str());
                let claim = claims.find(|claim| claim.key() == key)?;
                Some(Copying {
                    file: &file.name,
                    rule,
                    claim,
                })
            });
            rules.filter(|copying| copying.rule.copy_from.is_some())
        })
    }
}

impl Copying<'_> {
    fn overlaps_with(&self, first: &Self) -> Diagnostic {
        let message = format_args!(
            "this rule and another one copy different sources to a secret `{}` of the same namespaces",
            self.rule.secret
        );
        let hint = format_args!(
            "the other is `{}` at {}:{}; where both apply, the rule that is older in the cluster wins, so give one of them \
             another secret name or other namespaces",
            first.rule.name, first.file, first.claim.position,
        );
        let mut warning = Diagnostic::new(Severity::Warning, self.file, message)
            .at(self.claim.position, &self.claim.field("metadata.name"))
            .hinting(hint);
        warning.value = Some(self.rule.name.clone());
        warning
    }
}
