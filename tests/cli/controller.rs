//! How `pullkey controller` ends.

use std::fs;
use std::future::pending;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use crate::program::program;

/// An API server that has nothing and takes everything, until it falls silent.
async fn answer(State(is_silent): State<Arc<AtomicBool>>, method: Method, body: Bytes) -> (StatusCode, Bytes) {
    if is_silent.load(Ordering::SeqCst) {
        pending().await
    } else if method == Method::POST {
        (StatusCode::CREATED, body)
    } else {
        (StatusCode::NOT_FOUND, Bytes::new())
    }
}

#[tokio::test]
async fn a_second_signal_ends_a_controller_that_cannot_give_its_lease_back() {
    let is_silent = Arc::new(AtomicBool::new(false));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(Arc::clone(&is_silent));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "users": [{"name": "test", "user": {}}],
    });
    fs::write(directory.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
    let mut child = program(directory.path(), &["controller", "--health-listen", "none"])
        .env("KUBECONFIG", "kubeconfig")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let process = child.id();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said = tokio::task::spawn_blocking(move || {
        let leads = lines.find(|line| line.contains("this replica leads"));
        assert!(leads.is_some(), "it never leads");
        is_silent.store(true, Ordering::SeqCst);
        let signals = format!("kill -TERM {process}; kill -INT {process}");
        assert!(Command::new("sh").args(["-c", &signals]).status().unwrap().success());
        lines.collect::<Vec<_>>().join("\n")
    });
    let said = said.await;
    if said.is_err() {
        child.kill().unwrap();
    }
    let said = said.unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert!(
        said.contains(" again: the Lease runs out by itself"),
        "the second signal counts for nothing: {said}"
    );
}
