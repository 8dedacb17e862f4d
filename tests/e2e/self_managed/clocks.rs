//! Clocks that jump while certificates are made and served.

use super::*;
use crate::harness::{Clocks, Load};

/// What the clocks of the webhook and of the controller are off by, in seconds: to the past by less than an hour, since
/// everything begins an hour early, the API server's own certificate included; to the future by less than what a
/// certificate has left when it is renewed.
const JUMPS: [[i32; 2]; 3] = [[3_000, -3_000], [-3_000, 4 * 86_400], [4 * 86_400, 86_400]];

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_jump_cost_no_call_and_the_api_servers_counts() {
    let Some(clocks) = Clocks::find() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "clocks cannot be set without Debian's package `faketime`"
        );
        eprintln!("SKIPPED: clocks cannot be set without Debian's package `faketime`");
        return;
    };
    let cluster = crate::harness::self_managed::installed(&Wishes {
        controller: &["--authority-margin=1s"],
        environment: &clocks.environment(),
        ..Wishes::default()
    })
    .await;
    let (mut authority, _) = in_order(&cluster).await;
    let load = Load::dry(&team(&cluster), 2);
    for [webhook, controller] in JUMPS {
        clocks.set(webhook, controller, &cluster).await;
        cluster
            .run("kubectl delete secret pullkey-webhook-ca --namespace pullkey")
            .await;
        let (next, serving) = in_order(&cluster).await;
        assert_ne!(next, authority, "another authority signs");
        authority = next;
        let facts = pullkey::certs::judge::facts_of(&serving).unwrap();
        let now = std::time::SystemTime::now();
        let begun = now.duration_since(facts.not_before).unwrap();
        assert!(
            (3_600..4_200).contains(&begun.as_secs()),
            "by whose clock does it begin: {begun:?}"
        );
    }
    let [tally] = load.stop().await;
    tally.is_whole("while clocks jump", "load");
}
