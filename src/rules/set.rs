//! All rules in force, and which of them apply to an image in a namespace.
//!
//! In: compiled rules in any order. Out: for an image and a namespace, the rules that apply, the most specific first,
//! each with the one of its patterns that says most. A rule applies when one of its patterns, its regex or a key of its
//! source covers the image, no exception of it does, and it selects the namespace. All that match apply: the kubelet
//! tries every credential.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use super::index::{Builder, Entry, Index, Part, Reach, Scope, Subject, narrow};
use super::pattern::Specificity;
use super::{ImagePattern, ImageRegex, Namespace, Rule};
use crate::credentials::{self, Key};
use crate::image::ImageReference;

/// A cluster rule that selects at most so many namespaces, all by name, is filed under each of them; one that names more
/// is looked at for every namespace. It bounds the entries of a rule to 64 times its patterns.
const MOST_SCOPES: usize = 64;

/// Rules with their index. Immutable.
#[derive(Debug, Clone)]
pub struct RuleSet {
    /// Cluster rules first, then by name.
    rules: Vec<Arc<Rule>>,
    index: Index,
}

/// A rule that covers an image.
#[derive(Debug, Clone, Copy)]
pub struct Match<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// The most specific thing of the rule that covers the image.
    pub pattern: Pattern<'r>,
    /// Its place among the matches of all images of a Pod.
    pub order: MatchOrder,
    part: Part,
}

/// What covers an image. Displays as people wrote it.
#[derive(Debug, Clone, Copy)]
pub enum Pattern<'r> {
    /// One of `images`.
    Image(&'r ImagePattern),
    /// A key of the source secret.
    Derived(&'r Key),
    /// `imageRegex`.
    Regex(&'r ImageRegex),
}

/// The order of secrets on a Pod: the most specific match first, then cluster rules before namespaced ones, then by
/// name. Comparable among the matches of one [`RuleSet`], whatever their images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MatchOrder {
    specificity: u32,
    rule: u32,
}

/// All rules that cover an image.
#[derive(Debug, Clone, Default)]
pub struct Explained<'r> {
    /// Those that apply, as from [`RuleSet::matches`].
    pub matches: Vec<Match<'r>>,
    /// Those that do not, and why not, in the same order.
    pub rejected: Vec<(Match<'r>, Rejection)>,
}

/// Why a rule that covers an image does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// It does not select the namespace. Said also where an exception covers the image: the rule is none of this
    /// namespace's business.
    Namespace,
    /// One of its exceptions covers the image, too.
    Exception,
}

impl RuleSet {
    /// Files the rules.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = impl Into<Arc<Rule>>>) -> Self {
        let mut rules: Vec<Arc<Rule>> = rules.into_iter().map(Into::into).collect();
        for rule in rules.iter_mut().filter(|rule| rule.derived.len() > 1) {
            // The order in which a keyring tries them.
            Arc::make_mut(rule)
                .derived
                .sort_by_cached_key(|key| (key.is_docker_hub_fallback(), Reverse([key.host(), key.path()].concat())));
        }
        rules.sort_by(|one, other| {
            let order = one.kind.cmp(&other.kind);
            order.then_with(|| (&one.name, &one.namespace).cmp(&(&other.name, &other.namespace)))
        });
        let index = file(&rules);
        Self { rules, index }
    }

    /// All rules: cluster rules before namespaced ones, then by name.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The rules that apply to this image in this namespace, those that are only to be counted included: one match a
    /// rule, in their order.
    #[must_use]
    pub fn matches<'r>(&'r self, image: &ImageReference<'_>, namespace: &Namespace<'_>) -> Vec<Match<'r>> {
        let subject = Subject::new(image);
        let mut found = Vec::new();
        for scope in [Scope::Everyone, Scope::Namespace(namespace.name)] {
            self.index.find(scope, &subject, &mut |entry| {
                let rule = self.rule(entry).filter(|rule| rule.namespaces.selects(namespace));
                found.extend(rule.and_then(|rule| rule.covering(entry, image)));
                false
            });
        }
        keep_best(&mut found);
        found.retain(|found| !self.is_excepted(found, image, &subject));
        found.sort_unstable_by_key(|found| found.order);
        found
    }

    /// The same, and the rules that cover the image and do not apply. Looks into what is filed for other namespaces,
    /// so its cost grows with their number.
    #[must_use]
    pub fn explain<'r>(&'r self, image: &ImageReference<'_>, namespace: &Namespace<'_>) -> Explained<'r> {
        let subject = Subject::new(image);
        let mut names: Vec<&str> = self
            .rules
            .iter()
            .flat_map(|rule| rule.filed_under().into_iter().flatten())
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut found = Vec::new();
        for scope in [Scope::Everyone]
            .into_iter()
            .chain(names.into_iter().map(Scope::Namespace))
        {
            self.index.find(scope, &subject, &mut |entry| {
                found.extend(self.rule(entry).and_then(|rule| rule.covering(entry, image)));
                false
            });
        }
        keep_best(&mut found);
        found.sort_unstable_by_key(|found| found.order);
        let mut explained = Explained::default();
        for found in found {
            if !found.rule.namespaces.selects(namespace) {
                explained.rejected.push((found, Rejection::Namespace));
            } else if self.is_excepted(&found, image, &subject) {
                explained.rejected.push((found, Rejection::Exception));
            } else {
                explained.matches.push(found);
            }
        }
        explained
    }

    fn rule(&self, entry: &Entry) -> Option<&Rule> {
        self.rules.get(entry.rule as usize).map(AsRef::as_ref)
    }

    fn is_excepted(&self, found: &Match<'_>, image: &ImageReference<'_>, subject: &Subject<'_>) -> bool {
        !found.rule.exceptions.is_empty()
            && self
                .index
                .find(Scope::ExceptionsOf(found.order.rule), subject, &mut |entry| {
                    self.rule(entry)
                        .is_some_and(|rule| rule.covering(entry, image).is_some())
                })
    }
}

impl Rule {
    /// The entry's thing, if it is one of this rule's and covers the image.
    fn covering(&self, entry: &Entry, image: &ImageReference<'_>) -> Option<Match<'_>> {
        let pattern = match entry.part {
            Part::Pattern(index) => Pattern::Image(
                self.patterns
                    .get(index as usize)
                    .filter(|pattern| pattern.covers(image))?,
            ),
            Part::Exception(index) => Pattern::Image(
                self.exceptions
                    .get(index as usize)
                    .filter(|pattern| pattern.covers(image))?,
            ),
            // Another key that serves the image, too, comes before the last resort, and so is the one that is kept.
            Part::Derived(index) => Pattern::Derived(self.derived.get(index as usize).filter(|key| {
                key.serves(image) || key.is_docker_hub_fallback() && credentials::counts_as_docker_hub(image)
            })?),
            Part::Regex => Pattern::Regex(self.regex.as_ref().filter(|regex| regex.covers(image))?),
        };
        Some(Match {
            rule: self,
            pattern,
            order: MatchOrder {
                specificity: entry.specificity,
                rule: entry.rule,
            },
            part: entry.part,
        })
    }

    /// The namespaces that the rule is filed under, if not for everyone.
    fn filed_under(&self) -> Option<&[String]> {
        self.namespaces.named().filter(|names| names.len() <= MOST_SCOPES)
    }
}

impl fmt::Display for Pattern<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(pattern) => formatter.write_str(pattern.as_str()),
            Self::Derived(key) => formatter.write_str(key.spelled()),
            Self::Regex(regex) => write!(formatter, "imageRegex:{regex}"),
        }
    }
}

/// Leaves one match a rule.
fn keep_best(found: &mut Vec<Match<'_>>) {
    found.sort_unstable_by_key(|found| (found.order.rule, found.order.specificity, found.part));
    found.dedup_by_key(|found| found.order.rule);
}

/// The index over rules that are in their order.
fn file(rules: &[Arc<Rule>]) -> Index {
    let mut ranks: Vec<Specificity<'_>> = rules
        .iter()
        .flat_map(|rule| rule.patterns.iter().map(ImagePattern::specificity))
        .collect();
    ranks.extend([Specificity::Derived, Specificity::Regex, Specificity::Everything]);
    ranks.sort_unstable();
    ranks.dedup();
    let rank = |specificity| narrow(ranks.partition_point(|rank| *rank < specificity));

    let mut index = Builder::default();
    for (number, rule) in rules.iter().enumerate() {
        let number = narrow(number);
        let mut file = |scope: Scope<'_>| {
            let mut file = |part, specificity, reach| {
                let entry = Entry {
                    rule: number,
                    part,
                    specificity: rank(specificity),
                };
                index.file(scope, reach, entry);
            };
            for (part, pattern) in rule.patterns.iter().enumerate() {
                file(Part::Pattern(narrow(part)), pattern.specificity(), reach(pattern));
            }
            for (part, key) in rule.derived.iter().enumerate() {
                // Without a port, brackets are a class of characters to a keyring.
                let is_class = key.host().ends_with(']');
                let reach = if is_class {
                    Reach::Anywhere
                } else {
                    Reach::Characters(key.host(), key.path())
                };
                file(Part::Derived(narrow(part)), Specificity::Derived, reach);
            }
            if rule.regex.is_some() {
                file(Part::Regex, Specificity::Regex, Reach::Anywhere);
            }
        };
        match rule.filed_under() {
            Some(names) => names.iter().for_each(|name| file(Scope::Namespace(name))),
            None => file(Scope::Everyone),
        }
        for (part, pattern) in rule.exceptions.iter().enumerate() {
            let entry = Entry {
                rule: number,
                part: Part::Exception(narrow(part)),
                specificity: 0,
            };
            index.file(Scope::ExceptionsOf(number), reach(pattern), entry);
        }
    }
    index.build()
}

fn reach(pattern: &ImagePattern) -> Reach<'_> {
    if pattern.is_everything() {
        Reach::Anywhere
    } else {
        Reach::Segments(pattern.host(), pattern.path())
    }
}

#[cfg(test)]
mod tests;
