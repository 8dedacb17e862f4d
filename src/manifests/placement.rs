//! Where Pods may run, and whose network they have.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::options::Unfit;
use crate::rules::selector::{check_key, check_value};

/// `dnsPolicy` of a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum DnsPolicy {
    /// Names of the cluster are found, but for Pods on the network of their node.
    ClusterFirst,
    /// Names of the cluster are found.
    ClusterFirstWithHostNet,
    /// The node's names are found.
    Default,
}

/// A taint of nodes that keeps Pods away, and not ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Toleration {
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<Effect>,
    key: String,
    operator: Operator,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Effect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Operator {
    Exists,
    Equal,
}

impl DnsPolicy {
    /// All that can be chosen.
    pub const ALL: [Self; 3] = [Self::ClusterFirst, Self::ClusterFirstWithHostNet, Self::Default];
}

impl fmt::Display for DnsPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ClusterFirst => "ClusterFirst",
            Self::ClusterFirstWithHostNet => "ClusterFirstWithHostNet",
            Self::Default => "Default",
        })
    }
}

impl FromStr for DnsPolicy {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let policy = Self::ALL.into_iter().find(|policy| policy.to_string() == text);
        policy.ok_or(Unfit("`ClusterFirst`, `ClusterFirstWithHostNet` or `Default`"))
    }
}

impl FromStr for Toleration {
    type Err = Unfit;

    /// `KEY[=VALUE][:EFFECT]`, as `kubectl taint` has it: without a value any will do, without an effect each. Brackets
    /// around it are left out: in a variable they keep it together.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unfit = Unfit(
            "`KEY[=VALUE][:EFFECT]`: a label's key and value, and `NoSchedule`, `PreferNoSchedule` or `NoExecute`",
        );
        let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let text = inside.unwrap_or(text);
        let (taint, effect) = match text.split_once(':') {
            Some((taint, effect)) => (taint, Some(effect.parse().map_err(|()| unfit)?)),
            None => (text, None),
        };
        let (key, value) = match taint.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (taint, None),
        };
        if check_key(key).is_some() || value.is_some_and(|value| check_value(value).is_some()) {
            return Err(unfit);
        }
        Ok(Self {
            effect,
            key: key.to_owned(),
            operator: if value.is_some() {
                Operator::Equal
            } else {
                Operator::Exists
            },
            value: value.map(str::to_owned),
        })
    }
}

impl FromStr for Effect {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "NoSchedule" => Ok(Self::NoSchedule),
            "PreferNoSchedule" => Ok(Self::PreferNoSchedule),
            "NoExecute" => Ok(Self::NoExecute),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn taints_are_tolerated_as_kubectl_writes_them() {
        for (text, expected) in [
            (
                "node-role.kubernetes.io/control-plane:NoSchedule",
                json!({"effect": "NoSchedule", "key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}),
            ),
            (
                "dedicated=infra:NoExecute",
                json!({"effect": "NoExecute", "key": "dedicated", "operator": "Equal", "value": "infra"}),
            ),
            (
                "[a=:PreferNoSchedule]",
                json!({"effect": "PreferNoSchedule", "key": "a", "operator": "Equal", "value": ""}),
            ),
            (
                "CriticalAddonsOnly",
                json!({"key": "CriticalAddonsOnly", "operator": "Exists"}),
            ),
        ] {
            let toleration = text
                .parse::<Toleration>()
                .map(|toleration| serde_json::to_value(toleration).unwrap());
            assert_eq!(toleration, Ok(expected), "{text}");
        }
        for text in [
            "",
            ":NoSchedule",
            "=a",
            "a:",
            "a:noschedule",
            "a b",
            "a=b c",
            "a=b:NoSchedule:",
            "a/b/c",
        ] {
            assert!(text.parse::<Toleration>().is_err(), "{text}");
        }
    }

    #[test]
    fn policies_are_those_of_kubernetes() {
        for policy in DnsPolicy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
            assert_eq!(json!(policy), Value::from(policy.to_string()));
        }
        assert!("clusterfirst".parse::<DnsPolicy>().is_err());
    }
}
