//! From a review to a decision: which secrets the Pod gets, or why it gets none.
//!
//! In: a [`Review`], what is known of its namespace, and the [`RuleSet`] in force. Out: a [`Decision`]. Nothing else
//! is looked at, so the same three things always give the same decision, and there is no input for which there is
//! none: what cannot be used is a [`SkipReason`].
//!
//! What is asked, in this order, until one answers:
//!
//! | question | if so |
//! |---|---|
//! | is it anything but the creation of a Pod? | [`SkipReason::NotPods`], [`SkipReason::NotCreate`] |
//! | can the object not be read as a Pod? | [`SkipReason::Undecodable`] |
//! | is it a mirror Pod? | [`SkipReason::MirrorPod`] |
//! | does the Pod, or its namespace, opt out? | [`SkipReason::PodOptedOut`], [`SkipReason::NamespaceOptedOut`] |
//! | has it no image at all? | [`SkipReason::NoImages`] |
//! | does no rule apply to any image? | [`SkipReason::NoRule`], or [`SkipReason::ShadowOnly`] |
//! | does it name all the secrets already? | [`SkipReason::AlreadyNamed`] |
//! | does its service account forbid others? | [`SkipReason::MountableSecrets`], by [`Decision::of_strict_account`] |
//! | otherwise | [`Outcome::Inject`] |

use std::collections::BTreeMap;
use std::fmt;

use super::review::{Fault, Object, Origin, Pod, Review};
use super::{OPT_OUT, OPT_OUT_LABEL};
use crate::image::{ImageReference, InvalidImage};
use crate::rules::{MatchOrder, Mode, Namespace, Rule, RuleSet};

/// What is done with one review.
#[derive(Debug)]
pub struct Decision<'r> {
    /// Inject or skip.
    pub outcome: Outcome<'r>,
    /// What rules in [`Mode::Shadow`] would have added on top, in the order in which they would have.
    pub shadow: Vec<Addition<'r>>,
    /// All rules that apply to an image of the Pod, best first: also those that add nothing, whatever the reason.
    pub matching: Vec<&'r Rule>,
    /// The images that are no image references. The kubelet will report them; the others are served all the same.
    pub invalid_images: Vec<(Origin, InvalidImage)>,
}

/// The one choice of a decision.
#[derive(Debug)]
pub enum Outcome<'r> {
    /// The Pod gets these secrets.
    Inject(InjectionPlan<'r>),
    /// The Pod is left as it is.
    Skip(SkipReason),
}

/// Secrets to add, at least one, none of which the Pod names already.
#[derive(Debug)]
pub struct InjectionPlan<'r> {
    /// In the order in which the Pod is to name them.
    pub additions: Vec<Addition<'r>>,
    /// Whether the Pod has a list with at least one entry, to which they are appended.
    pub appends: bool,
}

/// One secret, and the rule that first asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Addition<'r> {
    /// The rule; its `secret` is the name that is added.
    pub rule: &'r Rule,
}

impl Decision<'_> {
    /// The decision for the same Pod under a service account that enforces its own list of secrets (annotation
    /// `kubernetes.io/enforce-mountable-secrets`). A Pod that would get nothing gets nothing for the reason it had.
    #[must_use]
    pub fn of_strict_account(mut self) -> Self {
        if let Outcome::Inject(_) = self.outcome {
            self.outcome = Outcome::Skip(SkipReason::MountableSecrets);
        }
        self
    }
}

impl<'r> Addition<'r> {
    /// The name that the Pod's `imagePullSecrets` gets.
    #[must_use]
    pub fn secret(&self) -> &'r str {
        &self.rule.secret
    }
}

/// Why a Pod is left as it is. The codes are metric labels and part of `explain`'s output: a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The review is not about `pods`, or about a subresource of them.
    NotPods,
    /// The operation is not `CREATE`: `imagePullSecrets` cannot change later.
    NotCreate,
    /// The object is not a Pod that this program can read.
    Undecodable(Fault),
    /// The kubelet made it from a file; the API server refuses a mirror Pod that names a secret.
    MirrorPod,
    /// The Pod carries the opt-out label.
    PodOptedOut,
    /// The namespace carries the opt-out label.
    NamespaceOptedOut,
    /// No container and no volume has an image.
    NoImages,
    /// No rule applies to any of the images in this namespace.
    NoRule,
    /// Only rules in Shadow mode apply.
    ShadowOnly,
    /// Every secret that applies is named already.
    AlreadyNamed,
    /// The service account enforces its own list of secrets: the API server refuses its Pods with any other.
    MountableSecrets,
}

impl SkipReason {
    /// Every code that [`SkipReason::code`] gives.
    pub const CODES: [&'static str; 11] = [
        "not_pods",
        "not_create",
        "undecodable",
        "mirror_pod",
        "pod_opted_out",
        "namespace_opted_out",
        "no_images",
        "no_rule",
        "shadow_only",
        "already_named",
        "mountable_secrets",
    ];

    /// The code, one of [`SkipReason::CODES`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotPods => "not_pods",
            Self::NotCreate => "not_create",
            Self::Undecodable(_) => "undecodable",
            Self::MirrorPod => "mirror_pod",
            Self::PodOptedOut => "pod_opted_out",
            Self::NamespaceOptedOut => "namespace_opted_out",
            Self::NoImages => "no_images",
            Self::NoRule => "no_rule",
            Self::ShadowOnly => "shadow_only",
            Self::AlreadyNamed => "already_named",
            Self::MountableSecrets => "mountable_secrets",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPods => formatter.write_str("the review is not about Pods themselves"),
            Self::NotCreate => formatter.write_str("imagePullSecrets can only be set when a Pod is created"),
            Self::Undecodable(fault) => write!(formatter, "the object cannot be read as a Pod: {fault}"),
            Self::MirrorPod => formatter.write_str("a mirror Pod must not name secrets"),
            Self::PodOptedOut => write!(formatter, "the Pod opts out by the label {OPT_OUT_LABEL}={OPT_OUT}"),
            Self::NamespaceOptedOut => {
                write!(
                    formatter,
                    "the namespace opts out by the label {OPT_OUT_LABEL}={OPT_OUT}"
                )
            }
            Self::NoImages => formatter.write_str("the Pod has no image"),
            Self::NoRule => formatter.write_str("no rule applies to any of the images in this namespace"),
            Self::ShadowOnly => formatter.write_str("only rules in Shadow mode apply"),
            Self::AlreadyNamed => formatter.write_str("the Pod already names every secret that applies"),
            Self::MountableSecrets => formatter.write_str("the service account admits only secrets that it lists"),
        }
    }
}

/// The fault of a creation without an object.
const NO_OBJECT: Fault = Fault {
    field: "object",
    expected: "an object",
};

/// Decides one review. Total: whatever the review holds, there is a decision.
#[must_use]
pub fn decide<'r>(review: &Review<'_>, namespace: &Namespace<'_>, rules: &'r RuleSet) -> Decision<'r> {
    match injectable(review, namespace) {
        Ok(pod) => plan(pod, namespace, rules),
        Err(reason) => Decision {
            outcome: Outcome::Skip(reason),
            shadow: Vec::new(),
            matching: Vec::new(),
            invalid_images: Vec::new(),
        },
    }
}

/// The Pod of the review, if it depends on the namespace and the rules what it gets; otherwise why it is left alone
/// whatever they are.
pub fn candidate<'p, 'a>(review: &'p Review<'a>) -> Result<&'p Pod<'a>, SkipReason> {
    let resource = &review.resource;
    if (&*resource.group, &*resource.version, &*resource.resource) != ("", "v1", "pods")
        || !review.sub_resource.is_empty()
    {
        return Err(SkipReason::NotPods);
    }
    if review.operation != "CREATE" {
        return Err(SkipReason::NotCreate);
    }
    let pod = match &review.object {
        Object::Pod(pod) => pod,
        Object::Undecodable(fault) => return Err(SkipReason::Undecodable(*fault)),
        Object::Absent => return Err(SkipReason::Undecodable(NO_OBJECT)),
    };
    if pod.mirror {
        return Err(SkipReason::MirrorPod);
    }
    if pod.opted_out {
        return Err(SkipReason::PodOptedOut);
    }
    Ok(pod)
}

/// The Pod, if its images are to be looked at.
fn injectable<'p, 'a>(review: &'p Review<'a>, namespace: &Namespace<'_>) -> Result<&'p Pod<'a>, SkipReason> {
    let pod = candidate(review)?;
    if namespace
        .labels
        .is_some_and(|labels| labels.get(OPT_OUT_LABEL) == Some(OPT_OUT))
    {
        return Err(SkipReason::NamespaceOptedOut);
    }
    if pod.images.is_empty() {
        return Err(SkipReason::NoImages);
    }
    Ok(pod)
}

fn plan<'r>(pod: &Pod<'_>, namespace: &Namespace<'_>, rules: &'r RuleSet) -> Decision<'r> {
    let mut invalid_images = Vec::new();
    // Each rule by its best match, so that a Pod of very many images takes no more memory than there are rules.
    let mut matching: BTreeMap<*const Rule, (MatchOrder, &'r Rule)> = BTreeMap::new();
    for image in &pod.images {
        match ImageReference::parse(&image.reference) {
            Ok(reference) => {
                for found in rules.matches(&reference, namespace) {
                    let best = matching.entry(found.rule).or_insert((found.order, found.rule));
                    best.0 = best.0.min(found.order);
                }
            }
            Err(reason) => invalid_images.push((image.origin, reason)),
        }
    }
    let mut matching: Vec<_> = matching.into_values().collect();
    matching.sort_unstable_by_key(|(order, _)| *order);
    let matching: Vec<_> = matching.into_iter().map(|(_, rule)| rule).collect();

    let mut named: Vec<&str> = pod.pull_secrets.iter().map(AsRef::as_ref).collect();
    let enforced = new_names(&matching, Mode::Enforce, &mut named);
    let shadow = new_names(&matching, Mode::Shadow, &mut named);
    let outcome = if !enforced.is_empty() {
        Outcome::Inject(InjectionPlan {
            additions: enforced,
            appends: pod.has_pull_secrets,
        })
    } else if matching.iter().any(|rule| rule.mode == Mode::Enforce) {
        Outcome::Skip(SkipReason::AlreadyNamed)
    } else if matching.is_empty() {
        Outcome::Skip(SkipReason::NoRule)
    } else {
        Outcome::Skip(SkipReason::ShadowOnly)
    };
    Decision {
        outcome,
        shadow,
        matching,
        invalid_images,
    }
}

/// The rules of one mode whose secret is not yet named, best first; their secrets join the names.
fn new_names<'n, 'r: 'n>(matching: &[&'r Rule], mode: Mode, named: &mut Vec<&'n str>) -> Vec<Addition<'r>> {
    let mut additions = Vec::new();
    for rule in matching.iter().filter(|rule| rule.mode == mode) {
        if !named.contains(&rule.secret.as_str()) {
            named.push(&rule.secret);
            additions.push(Addition { rule });
        }
    }
    additions
}
