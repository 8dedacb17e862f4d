//! The replicas of the webhook: whatever addresses the name of a Service without one of its own has at the moment.
//!
//! So the controller needs no right to read endpoints, and knows also of replicas that are not ready.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::health;
use crate::rules::{ACCEPTED_NAME, is_name};

/// How long a name may take to be resolved.
const DEADLINE: Duration = Duration::from_secs(5);
/// How many replicas are known at most.
const MOST: usize = 64;

/// A name of replicas, with their port for probes and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaName {
    host: String,
    port: u16,
}

/// Why a text is no [`ReplicaName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a DNS name and, behind `:`, a port unless it is {default}; of a name: {ACCEPTED_NAME}", default = health::PORT)]
pub struct NoReplicaName;

/// What names are resolved to.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) addresses: BTreeSet<SocketAddr>,
    /// Why there are no more.
    pub(super) troubles: Vec<String>,
}

impl FromStr for ReplicaName {
    type Err = NoReplicaName;

    /// Brackets around it are left out: in a variable they keep name and port together.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let text = inside.unwrap_or(text);
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| NoReplicaName)?),
            None => (text, health::PORT),
        };
        if !is_name(host) || port == 0 {
            return Err(NoReplicaName);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

/// All addresses that these names have now.
pub(super) async fn resolve(names: &[ReplicaName]) -> Resolved {
    let mut resolved = Resolved::default();
    for ReplicaName { host, port } in names {
        match timeout(DEADLINE, lookup_host((host.as_str(), *port))).await {
            Ok(Ok(found)) => resolved.addresses.extend(found),
            Ok(Err(error)) => resolved.troubles.push(format!("`{host}` cannot be resolved: {error}")),
            Err(_) => resolved
                .troubles
                .push(format!("`{host}` is not resolved within {DEADLINE:?}")),
        }
    }
    if let Some(beyond) = resolved.addresses.iter().nth(MOST).copied() {
        resolved.addresses.split_off(&beyond);
        resolved.troubles.push(format!(
            "there are more than {MOST} replicas, and the others are left out"
        ));
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_a_port() {
        let name = |host: &str, port| {
            let host = host.to_owned();
            Ok(ReplicaName { host, port })
        };
        for (text, expected) in [
            ("pullkey-webhook-replicas", name("pullkey-webhook-replicas", 8_080)),
            ("a.pullkey.svc:9090", name("a.pullkey.svc", 9_090)),
            ("[a.pullkey.svc:9090]", name("a.pullkey.svc", 9_090)),
            ("127.0.0.1:1", name("127.0.0.1", 1)),
            ("", Err(NoReplicaName)),
            ("a:", Err(NoReplicaName)),
            ("a:0", Err(NoReplicaName)),
            ("a:65536", Err(NoReplicaName)),
            ("a:b:1", Err(NoReplicaName)),
            ("http://a", Err(NoReplicaName)),
            ("A_b", Err(NoReplicaName)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn every_address_is_a_replica_and_a_name_without_one_is_told() {
        let names = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:1", "nobody.invalid"];
        let resolved = resolve(&names.map(|name| name.parse().unwrap())).await;
        let expected = ["127.0.0.1:1", "127.0.0.1:2"].map(|address| address.parse().unwrap());
        assert_eq!(resolved.addresses, expected.into());
        assert_eq!(resolved.troubles.len(), 1, "{:?}", resolved.troubles);
        let many: Vec<_> = (1..=100)
            .map(|port| format!("127.0.0.1:{port}").parse().unwrap())
            .collect();
        let resolved = resolve(&many).await;
        assert_eq!((resolved.addresses.len(), resolved.troubles.len()), (MOST, 1));
    }
}
