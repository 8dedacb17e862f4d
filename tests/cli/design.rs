//! The rules' format as `pullkey check` takes it, a row for each thing that is said of it: what is accepted, and for
//! what is not, at which field which mistake is found.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::program;

/// A cluster rule whose spec is `spec`, on one line each.
fn cluster(spec: &str) -> String {
    format!("apiVersion: pullkey.dev/v1alpha1\nkind: ClusterPullSecretRule\nmetadata: {{name: r}}\nspec: {{{spec}}}\n")
}

/// A namespaced rule whose spec is `spec`.
fn namespaced(spec: &str) -> String {
    format!(
        "apiVersion: pullkey.dev/v1alpha1\nkind: PullSecretRule\nmetadata: {{name: r, namespace: team-a}}\nspec: {{{spec}}}\n"
    )
}

/// A cluster rule for these images.
fn images(images: &str) -> String {
    cluster(&format!(
        "images: {images}, namespaces: {{include: [team-a]}}, secret: {{name: s}}"
    ))
}

/// A cluster rule for these namespaces.
fn namespaces(namespaces: &str) -> String {
    cluster(&format!(
        "images: [ghcr.io], namespaces: {namespaces}, secret: {{name: s}}"
    ))
}

/// The answer of `check` to what is in `path`.
fn check(directory: &Path, path: &str) -> Value {
    let output = program(directory, &["check", "-o", "json", "--rules", path])
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let is_good = answer["mistakes"].as_array().unwrap().is_empty();
    assert_eq!(output.status.code(), Some(i32::from(!is_good)));
    answer
}

/// The fields with a mistake.
fn wrong_fields(answer: &Value) -> Vec<String> {
    let mistakes = answer["mistakes"].as_array().unwrap().iter();
    mistakes
        .map(|mistake| mistake["field"].as_str().unwrap_or("(the file)").to_owned())
        .collect()
}

fn assert_rows(rows: &[(&str, String, &[&str])]) {
    let directory = tempfile::tempdir().unwrap();
    for (sentence, text, expected) in rows {
        fs::write(directory.path().join("r.yaml"), text).unwrap();
        let answer = check(directory.path(), "r.yaml");
        assert_eq!(wrong_fields(&answer), *expected, "{sentence}\n{text}\n{answer:#}");
    }
}

#[test]
fn what_says_which_images_a_rule_covers() {
    let source = "namespaces: {include: [a]}, secret: {name: s, copyFrom: {namespace: sources, name: x}}";
    let rest = "namespaces: {include: [a]}, secret: {name: s}";
    assert_rows(&[
        (
            "a regex may stand beside images",
            cluster(&format!("images: [ghcr.io], imageRegex: 'a.*', {rest}")),
            &[],
        ),
        ("and alone", cluster(&format!("imageRegex: 'a.*', {rest}")), &[]),
        (
            "of at most 512 characters",
            cluster(&format!("imageRegex: '{}', {rest}", "a".repeat(512))),
            &[],
        ),
        (
            "and no more",
            cluster(&format!("imageRegex: '{}', {rest}", "a".repeat(513))),
            &["spec.imageRegex"],
        ),
        (
            "its compiled size is limited",
            cluster(&format!("imageRegex: '(\\pL{{1000}}){{1000}}', {rest}")),
            &["spec.imageRegex"],
        ),
        (
            "it must be one",
            cluster(&format!("imageRegex: '(', {rest}")),
            &["spec.imageRegex"],
        ),
        (
            "images may stand beside a source",
            cluster(&format!("images: [ghcr.io], {source}")),
            &[],
        ),
        (
            "they are left out in the cluster only",
            cluster(source),
            &["spec.images"],
        ),
        (
            "without a source something must say which",
            cluster(rest),
            &["spec.images"],
        ),
    ]);
}

#[test]
fn what_only_one_kind_has() {
    let rest = "namespaces: {include: [a]}, secret: {name: s}";
    assert_rows(&[
        (
            "copyFrom is for cluster rules",
            namespaced("images: [a.b], secret: {name: s, copyFrom: {namespace: n, name: x}}"),
            &["spec.secret.copyFrom"],
        ),
        (
            "so is namespaces",
            namespaced(&format!("images: [a.b], {rest}")),
            &["spec.namespaces"],
        ),
        (
            "so is imageRegex",
            namespaced("images: [a.b], imageRegex: a, secret: {name: s}"),
            &["spec.imageRegex"],
        ),
        (
            "a namespaced rule needs images",
            namespaced("secret: {name: s}"),
            &["spec.images"],
        ),
        (
            "64 at most",
            namespaced(&format!("images: [{}], secret: {{name: s}}", "a.b,".repeat(64))),
            &[],
        ),
        (
            "and no more",
            namespaced(&format!("images: [{}], secret: {{name: s}}", "a.b,".repeat(65))),
            &["spec.images"],
        ),
        (
            "of 255 characters",
            namespaced(&format!("images: [a.b/{}], secret: {{name: s}}", "c".repeat(251))),
            &[],
        ),
        (
            "and no more",
            namespaced(&format!("images: [a.b/{}], secret: {{name: s}}", "c".repeat(252))),
            &["spec.images[0]"],
        ),
        (
            "a namespaced rule has a namespace",
            namespaced("images: [a.b], secret: {name: s}").replace(", namespace: team-a", ""),
            &["metadata.namespace"],
        ),
        (
            "a cluster rule has none",
            images("[a.b]").replace("{name: r}", "{name: r, namespace: n}"),
            &["metadata.namespace"],
        ),
    ]);
}

#[test]
fn which_fields_there_are() {
    let rest = "namespaces: {include: [a]}, secret: {name: s}";
    let listed = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}",
        images("[ghcr.io]").trim_end().replace('\n', "\n  ")
    );
    assert_rows(&[
        (
            "an unknown field of the spec is an error",
            cluster(&format!("images: [a.b], image: x, {rest}")),
            &["spec.image"],
        ),
        (
            "of the secret, too",
            images("[a.b]").replace("name: s", "name: s, key: k"),
            &["spec.secret.key"],
        ),
        (
            "other metadata and status are ignored",
            images("[a.b]").replace("{name: r}", "{name: r, uid: 5, labels: [x]}") + "status: {x: [1]}\n",
            &[],
        ),
        (
            "any other field at the top is not",
            images("[a.b]") + "data: {}\n",
            &["data"],
        ),
        ("a List is accepted", listed.clone(), &[]),
        (
            "and its mistakes have their place",
            listed.replace("name: r", "name: R"),
            &["items[0].metadata.name"],
        ),
        (
            "mode is Enforce",
            images("[a.b]").replace("spec: {", "spec: {mode: Enforce, "),
            &[],
        ),
        (
            "or Shadow",
            images("[a.b]").replace("spec: {", "spec: {mode: Shadow, "),
            &[],
        ),
        (
            "and nothing else",
            images("[a.b]").replace("spec: {", "spec: {mode: shadow, "),
            &["spec.mode"],
        ),
        (
            "a secret's name is one",
            images("[a.b]").replace("name: s", "name: S_"),
            &["spec.secret.name"],
        ),
    ]);
}

#[test]
fn what_is_told_of_a_whole_file() {
    assert_rows(&[
        (
            "names are there once",
            images("[a.b]") + "---\n" + &images("[c.d]"),
            &["metadata.name"],
        ),
        (
            "for each kind",
            images("[a.b]") + "---\n" + &namespaced("images: [a.b], secret: {name: s}"),
            &[],
        ),
        (
            "and each namespace",
            namespaced("images: [a.b], secret: {name: s}")
                + "---\n"
                + &namespaced("images: [a.b], secret: {name: s}").replace("team-a", "team-b"),
            &[],
        ),
        (
            "a syntax error is told once",
            "a: [\n---\nb: [\n".to_owned(),
            &["(the file)"],
        ),
        (
            "all else at once",
            cluster("images: [a.b:v1, c/], mode: x, secrets: {}"),
            &[
                "spec.secret",
                "spec.namespaces",
                "spec.images[0]",
                "spec.images[1]",
                "spec.mode",
                "spec.secrets",
            ],
        ),
    ]);
}

#[test]
fn which_namespaces_a_rule_may_select() {
    assert_rows(&[
        ("names and globs", namespaces("{include: [a, team-*, '*-x-*']}"), &[]),
        ("all of them", namespaces("{include: ['*']}"), &[]),
        (
            "less those excluded",
            namespaces("{include: ['*'], exclude: [a, b-*, kube-system]}"),
            &[],
        ),
        (
            "they are required",
            cluster("images: [a.b], secret: {name: s}"),
            &["spec.namespaces"],
        ),
        ("`{}` says nothing", namespaces("{}"), &["spec.namespaces"]),
        (
            "nor does exclude alone",
            namespaces("{exclude: [a]}"),
            &["spec.namespaces"],
        ),
        (
            "nor an empty include",
            namespaces("{include: []}"),
            &["spec.namespaces.include"],
        ),
        ("nor null", namespaces("~"), &["spec.namespaces"]),
        (
            "selectors need the cluster",
            namespaces("{selector: {matchLabels: {a: b}}}"),
            &["spec.namespaces.selector"],
        ),
        (
            "kube-system is the node's business",
            namespaces("{include: [kube-system]}"),
            &["spec.namespaces.include[0]"],
        ),
        (
            "so is kube-public",
            namespaces("{include: [a, kube-public]}"),
            &["spec.namespaces.include[1]"],
        ),
        (
            "so is kube-node-lease",
            namespaces("{include: [kube-node-lease]}"),
            &["spec.namespaces.include[0]"],
        ),
        (
            "Pullkey's own is never selected",
            namespaces("{include: [pullkey]}"),
            &["spec.namespaces.include[0]"],
        ),
        (
            "a name must be one",
            namespaces("{include: [A, a.b, '']}"),
            &[
                "spec.namespaces.include[0]",
                "spec.namespaces.include[1]",
                "spec.namespaces.include[2]",
            ],
        ),
        (
            "in exclude, too",
            namespaces("{include: [a], exclude: [B]}"),
            &["spec.namespaces.exclude[0]"],
        ),
        (
            "and a string",
            namespaces("{include: [1, true]}"),
            &["spec.namespaces.include[0]", "spec.namespaces.include[1]"],
        ),
    ]);
}

#[test]
fn which_patterns_can_match() {
    let wrong: &[&str] = &["spec.images[0]"];
    assert_rows(&[
        ("a host", images("[ghcr.io]"), &[]),
        ("with a port", images("['harbor.example:8443']"), &[]),
        ("with a path", images("[ghcr.io/acme/app]"), &[]),
        (
            "stars in labels",
            images("['*.dkr.ecr.*.amazonaws.com', 'a*b*.example']"),
            &[],
        ),
        ("no star in a port", images("['a.example:*']"), wrong),
        ("an address", images("['10.10.10.10:443/app']"), &[]),
        ("IPv6 literally", images("['[::1]:5000/a']"), &[]),
        ("and not with a star", images("['[*::1]:5000/a']"), wrong),
        ("every image", images("['*']"), &[]),
        (
            "aliases of docker.io",
            images("[docker.io, index.docker.io, 'https://index.docker.io/v1/']"),
            &[],
        ),
        ("no other scheme", images("['https://ghcr.io']"), wrong),
        ("a path of docker.io", images("[docker.io/library/nginx]"), &[]),
        ("no tag", images("['ghcr.io/acme:v1']"), wrong),
        (
            "no digest",
            images(&format!("['ghcr.io/acme@sha256:{}']", "a".repeat(64))),
            wrong,
        ),
        ("no glob in the path", images("['ghcr.io/*']"), wrong),
        ("no web site", images("[hub.docker.com]"), wrong),
        ("nor the other", images("[registry.hub.docker.com/library]"), wrong),
        ("no trailing slash", images("[ghcr.io/acme/]"), wrong),
        ("no empty label", images("[a..example]"), wrong),
        ("a first segment that can be a host", images("[acme/app]"), wrong),
        ("localhost is one", images("[localhost/app]"), &[]),
        ("not an empty text", images("['']"), wrong),
        ("not a number", images("[5000]"), wrong),
        (
            "an exception is a pattern, too",
            images("[ghcr.io], exceptImages: ['ghcr.io/acme:v1']"),
            &["spec.exceptImages[0]"],
        ),
    ]);
}

#[test]
fn what_may_surprise_draws_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    for (text, field) in [
        (images("[registry-1.docker.io]"), "spec.images[0]"),
        (images("[docker.io/nginx]"), "spec.images[0]"),
        (
            cluster("images: [a.b], namespaces: {include: [a]}, secret: {name: s, copyFrom: {namespace: n, name: x}}"),
            "spec.secret.copyFrom",
        ),
    ] {
        fs::write(directory.path().join("r.yaml"), &text).unwrap();
        let answer = check(directory.path(), "r.yaml");
        assert_eq!(
            (&answer["rules"], wrong_fields(&answer).len()),
            (&Value::from(1), 0),
            "{text}"
        );
        assert_eq!(answer["warnings"][0]["field"], field, "{answer:#}");
    }
}

#[test]
fn a_directory_is_read_by_name_and_without_what_is_below_it() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str| {
        fs::write(
            directory.path().join(name),
            images("[a.b]").replace("name: r", &format!("name: n{}", name.len())),
        )
        .unwrap();
    };
    fs::create_dir_all(directory.path().join("d/sub.yaml")).unwrap();
    fs::create_dir(directory.path().join("d/..data")).unwrap();
    for name in [
        "d/b.yaml",
        "d/a.long.yml",
        "d/c.json",
        "d/.hidden.yaml",
        "d/notes.txt",
        "d/sub.yaml/x.yaml",
        "d/..data/real.yaml",
    ] {
        put(name);
    }
    fs::write(directory.path().join("d/c.json"), r#"{"apiVersion":"pullkey.dev/v1alpha1","kind":"PullSecretRule","metadata":{"name":"j","namespace":"a"},"spec":{"images":["a.b"],"secret":{"name":"s"}}}"#).unwrap();
    std::os::unix::fs::symlink("..data/real.yaml", directory.path().join("d/linked.yaml")).unwrap();
    let answer = check(directory.path(), "d");
    assert_eq!(
        answer["files"],
        serde_json::json!(["d/a.long.yml", "d/b.yaml", "d/c.json", "d/linked.yaml"])
    );
    assert_eq!(answer["rules"], 4, "{answer:#}");
}
