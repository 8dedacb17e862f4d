//! Passwords and registries change while Pods keep coming.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::harness::{Namespace, control_plane, unique, until};
use crate::machine::{HOST, Team, Workload as _, docker_config, node, private_pod, secret};

/// Pods that keep coming to a namespace, one after the other.
struct Stream {
    namespace: Namespace,
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    stops: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Stream {
    /// Pods with that image, which is pulled for each of them.
    fn start(namespace: &Namespace, image: &str) -> Self {
        let [begun, ended] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let stops = Arc::new(AtomicBool::new(false));
        let mut pod = private_pod(&[image]);
        pod["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
        let task = thread::spawn({
            let (begun, ended, stops) = (Arc::clone(&begun), Arc::clone(&ended), Arc::clone(&stops));
            let name = namespace.name.clone();
            move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    // A client belongs to the runtime that it is made in.
                    let api = control_plane().api().await;
                    let namespace = Namespace { name, api };
                    while !stops.load(Ordering::SeqCst) {
                        begun.fetch_add(1, Ordering::SeqCst);
                        namespace.runs(&pod).await;
                        ended.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        Self {
            namespace: namespace.clone(),
            begun,
            ended,
            stops,
            task,
        }
    }

    /// Waits until so many Pods have run that were created from now on.
    async fn goes_on(&self, pods: usize) {
        let before = self.begun.load(Ordering::SeqCst);
        until("Pods keep coming", async || {
            let all_well = !self.task.is_finished();
            assert!(all_well, "a Pod has failed");
            (self.ended.load(Ordering::SeqCst) >= before + pods).then_some(())
        })
        .await;
    }

    /// Ends it. No image has failed to be pulled.
    async fn was_well(self) {
        self.stops.store(true, Ordering::SeqCst);
        self.task.join().unwrap();
        self.namespace.has_pulled_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pod_fails_while_a_password_changes() {
    let Some(node) = node().await else { return };
    let team = node.team().await;
    let namespaces = [team.served("a").await, team.served("b").await];
    let streams = [&namespaces[0], &namespaces[1]].map(|namespace| Stream::start(namespace, &team.image));
    go_on(&streams).await;

    let prefix = format!("{}/", team.name);
    let registry = &node.servers.named;
    registry.set_user(&team.name, &[&team.password, "changed"], &prefix);
    let changed: Value = docker_config(&[(&format!("{HOST}/{}", team.name), &team.name, "changed")]);
    let changed = secret(&team.name, &changed);
    node.pullkey.source(&changed).await;
    for namespace in &namespaces {
        namespace.has_copy(&changed).await;
    }
    go_on(&streams).await;
    registry.set_user(&team.name, &["changed"], &prefix);
    go_on(&streams).await;
    for stream in streams {
        stream.was_well().await;
    }
}

async fn go_on(streams: &[Stream]) {
    for stream in streams {
        stream.goes_on(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pod_fails_while_a_registry_gets_another_name() {
    let Some(node) = node().await else { return };
    let [old, new] = ["old", "new"].map(|name| format!("{}.acme.example", unique(name)));
    let registry = &node.servers.named;
    registry.is_called(&old);
    let team = Team::new(registry, &old);
    node.serve(&team, &team.config()).await;
    let namespace = team.served("a").await;
    let before = Stream::start(&namespace, &team.image);
    before.goes_on(1).await;

    // The new name, its user and its rule come beside the old ones.
    registry.is_called(&new);
    let (name, user) = (format!("{}-new", team.name), unique("new-user"));
    registry.set_user(&user, &["new"], &format!("{}/", team.name));
    let source = secret(&name, &docker_config(&[(&new, &user, "new")]));
    node.pullkey.source(&source).await;
    let namespaces = json!({"include": [format!("{}-*", team.name)]});
    node.pullkey.copies(&name, &json!({"namespaces": namespaces})).await;
    namespace.has_copy(&source).await;
    let image = team.image.replace(&old, &new);
    node.pullkey.injects(&namespace, &image, &name).await;
    let after = Stream::start(&namespace, &image);
    after.goes_on(1).await;
    before.goes_on(1).await;

    // Nobody names the old one any more, and its user goes.
    before.was_well().await;
    registry.set_user(&team.name, &[], "");
    after.goes_on(1).await;
    after.was_well().await;
}
