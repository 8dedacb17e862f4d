//! The story of README.md on a terminal: `cargo test --features node --test demonstration`.
//!
//! In: nothing, or a file to draw a picture to: `-- tests/node/demonstration.svg`. Out: what an admin and a developer type,
//! and what a real cluster with a real node answers. It ends by itself.

#![expect(clippy::print_stdout, reason = "it talks to its terminal")]
#![expect(clippy::unwrap_used, reason = "it may fail")]

#[path = "../e2e/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "made for tests, which also need the rest"
)]
mod harness;
#[path = "machine/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "made for tests, which also need the rest"
)]
mod machine;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Instant;

use harness::{control_plane, control_plane_program};
use machine::{HOST, Node};
use tempfile::TempDir;

const RULE: &str = "apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {name: acme}
spec:
  namespaces: {include: [\"team-*\"]}
  secret:
    name: acme
    copyFrom: {namespace: pullkey-sources, name: acme}
";
/// What its images are for in a picture: points of a character's width and a line's height.
const WIDTH: usize = 8;
const HEIGHT: usize = 18;
/// Longer lines are broken.
const COLUMNS: usize = 118;

/// A line of the terminal.
enum Line {
    /// What is going on.
    Title(String),
    Typed(String),
    Answered(String),
}

/// The terminal, and who types.
struct Stage {
    folder: TempDir,
    lines: Vec<Line>,
}

#[tokio::main]
async fn main() {
    let Some(node) = machine::node_alone().await else {
        return;
    };
    let mut stage = Stage::new();
    play(&mut stage, &node);
    if let Some(picture) = env::args().nth(1) {
        fs::write(picture, stage.picture()).unwrap();
    }
}

fn play(stage: &mut Stage, node: &Node) {
    let registry = &node.servers.named;
    registry.set_user("shop", &["first"], "shop/");
    registry.push("hello", &["shop/web:1"]);
    let login = |password: &str| {
        format!(
            "kubectl create secret docker-registry acme --namespace pullkey-sources --docker-server={HOST} \
             --docker-username=shop --docker-password={password}"
        )
    };

    stage.title("A cluster with one node, a private registry, and Pullkey from its manifests");
    stage.run("kubectl get nodes");
    stage.run("kubectl get pods --namespace pullkey");
    stage.title("Without it: a namespace that no rule selects");
    stage.run("kubectl create namespace sandbox");
    stage.run(&format!(
        "kubectl create deployment web --namespace sandbox --image {HOST}/shop/web:1"
    ));
    stage.quietly("until kubectl get pods --namespace sandbox | grep --quiet ErrImagePull; do sleep 0.1; done");
    stage.run("kubectl get pods --namespace sandbox");

    stage.title("An admin makes one secret and one rule");
    stage.run(&login("first"));
    stage.run("cat rule.yaml");
    stage.run("kubectl apply --filename rule.yaml");
    stage.quietly("until kubectl wait --for condition=CopiesReady cpsr/acme 2> /dev/null; do sleep 0.1; done");
    stage.run("kubectl get cpsr");

    stage.title("A developer makes a namespace and a Deployment in the same second, and names no secret");
    let start = Instant::now();
    stage.run("kubectl create namespace team-shop");
    stage.run(&format!(
        "kubectl create deployment web --namespace team-shop --image {HOST}/shop/web:1"
    ));
    stage.quietly("kubectl rollout status --namespace team-shop deployment web");
    let took = start.elapsed().as_secs_f64();
    stage.run("kubectl get pods --namespace team-shop");
    stage.run("kubectl logs --namespace team-shop deployment/web");
    stage.run("kubectl get pods --namespace team-shop --output 'jsonpath={.items[*].spec.imagePullSecrets}{\"\\n\"}'");
    stage.run(
        "kubectl get events --namespace team-shop --field-selector involvedObject.kind=Pod \
         --output custom-columns=REASON:.reason,MESSAGE:.message",
    );
    stage.title(&format!(
        "All of that took {took:.1} s. Why did the other one get nothing?"
    ));
    stage.run(&format!(
        "pullkey explain --cluster --namespace sandbox {HOST}/shop/web:1"
    ));

    stage.title("The password changes at the registry, and once in the cluster");
    registry.set_user("shop", &["first", "second"], "shop/");
    stage.run(&format!(
        "{} --dry-run=client --output yaml | kubectl apply --server-side --force-conflicts --filename -",
        login("second")
    ));
    stage.quietly(
        "until [ \"$(kubectl get secret acme --namespace team-shop --output jsonpath={.data})\" = \
         \"$(kubectl get secret acme --namespace pullkey-sources --output jsonpath={.data})\" ]; do sleep 0.1; done",
    );
    registry.set_user("shop", &["second"], "shop/");
    stage.run(&format!(
        "kubectl run again --namespace team-shop --image {HOST}/shop/web:1 --image-pull-policy Always"
    ));
    stage.run("kubectl wait --namespace team-shop --for condition=Ready pod/again");
    stage.run("kubectl get cpsr");
}

impl Stage {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("rule.yaml"), RULE).unwrap();
        let programs = folder.path().join("bin");
        fs::create_dir(&programs).unwrap();
        symlink(control_plane_program(), programs.join("kubectl")).unwrap();
        symlink(env!("CARGO_BIN_EXE_pullkey"), programs.join("pullkey")).unwrap();
        Self {
            folder,
            lines: Vec::new(),
        }
    }

    fn title(&mut self, text: &str) {
        println!("\n\x1b[1;36m# {text}\x1b[0m");
        self.lines.push(Line::Title(format!("# {text}")));
    }

    /// Types a command, and shows what is answered.
    fn run(&mut self, command: &str) {
        println!("\x1b[32m$ {command}\x1b[0m");
        self.lines.push(Line::Typed(format!("$ {command}")));
        let answer = self.quietly(command);
        print!("{answer}");
        self.lines
            .extend(answer.lines().map(|line| Line::Answered(line.to_owned())));
    }

    /// The answer to a command, which must be a good one.
    fn quietly(&self, command: &str) -> String {
        let path = format!("{}/bin:{}", self.folder.path().display(), env::var("PATH").unwrap());
        let output = Command::new("timeout")
            .args(["60", "sh", "-ec", command])
            .current_dir(self.folder.path())
            .env("PATH", path)
            .env("KUBECONFIG", control_plane().kubeconfig())
            .output()
            .unwrap();
        let [answer, complaint] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{command}: {answer}\n{complaint}");
        answer
    }

    /// All that was seen, as SVG.
    fn picture(&self) -> String {
        let mut lines = Vec::new();
        for line in &self.lines {
            let (class, text) = match line {
                Line::Title(text) => ("title", text),
                Line::Typed(text) => ("typed", text),
                Line::Answered(text) => ("answered", text),
            };
            if class == "title" && !lines.is_empty() {
                lines.push((class, String::new()));
            }
            let characters: Vec<_> = text.chars().collect();
            lines.extend(characters.chunks(COLUMNS).map(|part| (class, part.iter().collect())));
        }
        let (width, height) = ((COLUMNS + 4) * WIDTH, (lines.len() + 2) * HEIGHT);
        let mut picture = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-size=\"13\" \
             font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\">\n\
             <style>text {{ white-space: pre }} .title {{ fill: #7dcfff; font-weight: bold }} .typed {{ fill: #9ece6a }} \
             .answered {{ fill: #c0caf5 }}</style>\n\
             <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1a1b26\"/>\n"
        );
        for (number, (class, text)) in lines.iter().enumerate() {
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let (left, top) = (2 * WIDTH, (number + 2) * HEIGHT);
            writeln!(
                picture,
                "<text class=\"{class}\" x=\"{left}\" y=\"{top}\" xml:space=\"preserve\">{text}</text>"
            )
            .unwrap();
        }
        picture + "</svg>\n"
    }
}
