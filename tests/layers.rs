//! Which module of `src/` may mention what. The pure core decides and knows no socket, clock or environment; the two
//! halves of the program meet only in its commands.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Modules that only compute, each with the modules of ours that it may use.
const PURE: [(&str, &[&str]); 12] = [
    ("duration", &[]),
    ("glob", &[]),
    ("image", &[]),
    ("printable", &[]),
    ("yaml", &[]),
    ("credentials", &["glob", "image", "yaml"]),
    ("rules", &["credentials", "glob", "image", "printable", "yaml"]),
    ("admission", &["image", "printable", "rules"]),
    ("controller", &["credentials", "printable", "rules"]),
    (
        "doctor",
        &[
            "admission",
            "controller",
            "image",
            "manifests",
            "printable",
            "rules",
            "server",
        ],
    ),
    (
        "explain",
        &[
            "admission",
            "credentials",
            "glob",
            "image",
            "printable",
            "rules",
            "yaml",
        ],
    ),
    (
        "manifests",
        &[
            "admission",
            "certs",
            "controller",
            "credentials",
            "duration",
            "health",
            "image",
            "rules",
            "server",
            "yaml",
        ],
    ),
];

/// What no pure module mentions.
const IMPURE: [&str; 21] = [
    "arc_swap",
    "axum",
    "clap",
    "http_body",
    "hyper",
    "hyper_util",
    "k8s_openapi",
    "kube",
    "prometheus_client",
    "rcgen",
    "rustls",
    "std::env",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
    "tower",
];

/// The one part of the pure core that reads files: those of rules.
const READS_FILES: &str = "src/rules/source";

/// The part of the controller that does what the pure one decides.
const LIVE: &str = "src/controller/live";

#[test]
fn the_pure_core_mentions_no_runtime_no_clock_and_no_environment() {
    for file in sources().iter().filter(|file| pure(file).is_some()) {
        for path in paths(&file.code) {
            let impure = IMPURE.iter().any(|impure| within(&path, impure));
            let reads = within(&path, "std::fs") && !file.path.with_extension("").starts_with(READS_FILES);
            assert!(!impure && !reads, "{} mentions `{path}`", file.path.display());
        }
    }
}

#[test]
fn pure_modules_use_only_those_below_them() {
    for file in sources() {
        let Some(allowed) = pure(&file) else { continue };
        for used in own_modules(&file) {
            let below = used == file.module || allowed.contains(&used.as_str());
            assert!(below, "{} uses `crate::{used}`", file.path.display());
        }
    }
}

#[test]
fn server_certs_and_cluster_do_not_know_each_other() {
    for file in sources() {
        let used = own_modules(&file);
        let is_allowed = |used: &str| match file.module.as_str() {
            "authority" => ["authority", "certs"].contains(&used),
            "certs" => used == "certs",
            "cluster" => ["cluster", "credentials", "metrics", "printable", "rules"].contains(&used),
            "server" => !["certs", "cluster"].contains(&used),
            "controller" => !["certs", "server"].contains(&used),
            _ => true,
        };
        let forbidden: Vec<_> = used.iter().filter(|used| !is_allowed(used)).collect();
        assert!(forbidden.is_empty(), "{} uses {forbidden:?}", file.path.display());
    }
}

/// It knows certificates, which no pure module does, but calls nobody and takes the time as it is told.
#[test]
fn who_decides_about_certificates_calls_nobody() {
    let files = sources();
    let mut decides = files.iter().filter(|file| file.module == "authority").peekable();
    assert!(decides.peek().is_some());
    for file in decides {
        let impure = ["hyper", "k8s_openapi", "kube", "std::fs", "std::time::Instant", "tokio"];
        let mentions = paths(&file.code)
            .into_iter()
            .find(|path| impure.iter().any(|impure| within(path, impure)));
        assert_eq!(mentions, None, "{}", file.path.display());
        assert!(!file.code.contains("SystemTime::now"), "{}", file.path.display());
    }
}

/// Only what calls the API server mentions its client; all else is told.
#[test]
fn the_client_of_the_api_server_is_known_to_its_callers_only() {
    let callers = ["call", "follow", "list", "look", "watch"].map(|name| format!("src/cluster/{name}.rs"));
    let callers = |path: &Path| {
        path.starts_with("src/commands")
            || path.starts_with(LIVE)
            || callers.iter().any(|caller| path == caller)
            || path.ends_with("mock.rs")
    };
    for file in sources().iter().filter(|file| !callers(&file.path)) {
        let mentions = paths(&file.code).into_iter().find(|path| within(path, "kube"));
        assert_eq!(mentions, None, "{}", file.path.display());
    }
}

#[test]
fn the_command_line_is_known_to_main_and_the_commands_only() {
    for file in sources() {
        let used = own_modules(&file);
        let forbidden: &[&str] = match file.module.as_str() {
            "main" | "commands" => &[],
            "cli" => &["commands"],
            _ => &["cli", "commands"],
        };
        assert!(
            !forbidden.iter().any(|module| used.contains(*module)),
            "{} uses {used:?}",
            file.path.display()
        );
    }
}

#[test]
fn a_path_through_super_leads_to_the_crate() {
    let used = |path: &str, code: &str| {
        own_modules(&Source {
            path: path.into(),
            module: "rules".to_owned(),
            code: code.to_owned(),
        })
    };
    let image = BTreeSet::from(["image".to_owned()]);
    assert_eq!(used("src/rules/mod.rs", "use super::image::X;"), image);
    assert_eq!(used("src/rules/index.rs", "use super::super::image;"), image);
    assert_eq!(used("src/rules/index.rs", "use super::image;"), BTreeSet::new());
}

#[test]
fn paths_are_found_however_they_are_written() {
    let code = "use std::{env, net::{IpAddr, TcpStream as Stream}};\npub(super) use a::b;\n fn f(x: &hyper::Body) { c::d::<u8>(\"no use of it\"); }";
    let found: Vec<String> = paths(code).into_iter().collect();
    assert_eq!(
        found,
        [
            "a::b",
            "c::d",
            "hyper::Body",
            "std::env",
            "std::net::IpAddr",
            "std::net::TcpStream"
        ]
    );
    assert_eq!(
        stripped("a; // std::env\n/// tokio::spawn\n\"https://b\"; c\n#[cfg(test)]\nmod tests {}"),
        "a; \n\n\"https://b\"; c\n"
    );
}

/// A file of the program.
struct Source {
    path: PathBuf,
    /// The first segment of its path in the crate, such as `rules` for `src/rules/index.rs`.
    module: String,
    /// Without comments and unit tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let mut directories = vec![PathBuf::from("src")];
    let mut sources = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let path = directory.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let first = path.iter().nth(1).unwrap();
                let module = Path::new(first).file_stem().unwrap().to_str().unwrap().to_owned();
                sources.push(Source {
                    module,
                    code: stripped(&fs::read_to_string(entry.path()).unwrap()),
                    path,
                });
            }
        }
    }
    assert!(!sources.is_empty());
    sources
}

fn pure(file: &Source) -> Option<&'static [&'static str]> {
    if file.path.starts_with(LIVE) {
        return None;
    }
    PURE.iter()
        .find(|(module, _)| *module == file.module)
        .map(|(_, allowed)| *allowed)
}

/// Whether `path` is `ancestor` or something in it.
fn within(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The modules of ours that a file uses, by the first segment after the crate.
fn own_modules(file: &Source) -> BTreeSet<String> {
    let below_source = file.path.iter().skip(1).filter(|part| *part != "mod.rs").count();
    let to_the_crate = "super::".repeat(below_source);
    let from_the_crate = |path: &String| {
        let rest = ["crate::", "pullkey::", &to_the_crate]
            .into_iter()
            .find_map(|root| path.strip_prefix(root))?;
        rest.split("::").next().map(str::to_owned)
    };
    paths(&file.code).iter().filter_map(from_the_crate).collect()
}

/// The code before its unit tests, which end a file, without comments.
fn stripped(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    Regex::new(r"(?m)(^|[^:])//.*$")
        .unwrap()
        .replace_all(code, "$1")
        .into_owned()
}

/// Every path of two or more segments, those of grouped imports spelled out.
fn paths(code: &str) -> BTreeSet<String> {
    let import = Regex::new(r"(?m)^\s*(?:pub(?:\([a-z]+\))?\s+)?use\s+([^;]+);").unwrap();
    let path = Regex::new(r"\b[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)+").unwrap();
    let mut paths = BTreeSet::new();
    for imported in import.captures_iter(code) {
        spell_out("", imported.get(1).unwrap().as_str(), &mut paths);
    }
    paths.extend(
        path.find_iter(&import.replace_all(code, ""))
            .map(|found| found.as_str().to_owned()),
    );
    paths
}

/// Adds the paths of one import to `paths`: `{`, `}` and `,` at depth 0 of `tree` divide it.
fn spell_out(prefix: &str, tree: &str, paths: &mut BTreeSet<String>) {
    let tree = tree.trim();
    if let Some((before, group)) = tree.split_once('{') {
        let group = group.strip_suffix('}').unwrap();
        let mut depth = 0;
        let members = group.split(|character| {
            depth += i32::from(character == '{') - i32::from(character == '}');
            character == ',' && depth == 0
        });
        for member in members {
            spell_out(&format!("{prefix}{before}"), member, paths);
        }
    } else if !tree.is_empty() {
        let path = tree.split(" as ").next().unwrap().trim_start_matches("::");
        paths.insert(format!("{prefix}{path}"));
    }
}
