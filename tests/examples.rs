//! The examples of `config/examples` as they stand: each is good by itself and beside all others, and gives the images of
//! its case the secrets that it says. Their comments, and what is said of broken secrets, are tried in `tests/cli`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::fs;
use std::path::{Path, PathBuf};

use pullkey::image::ImageReference;
use pullkey::rules::overlap::overlaps;
use pullkey::rules::source::{Disk, Loaded, RuleFiles};
use pullkey::rules::{Context, Namespace};

/// What is expected of a file: images in a namespace, and the secrets that they get together, in order.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str, &'static [&'static str])],
);

const CASES: [Case; 8] = [
    (
        "ibm-cloud.yaml",
        &[
            ("team-a", "icr.io/acme/app", &["all-icr-io"]),
            ("team-a", "us.icr.io/acme/app:v1", &["all-icr-io"]),
            ("team-a", "jp2.icr.io/acme/app", &["all-icr-io"]),
            ("team-a", "private.icr.io/acme/app", &["all-icr-io"]),
            ("team-a", "private.us.icr.io/acme/app", &["all-icr-io"]),
            ("default", "de.icr.io/acme/app", &["all-icr-io"]),
            ("team-a", "cp.icr.io/cp/app", &[]),
            ("team-a", "a.us.icr.io/acme/app", &[]),
            ("team-a", "us.icr.io.example/acme/app", &[]),
            ("team-a", "icr.io:443/acme/app", &[]),
            ("ops", "us.icr.io/acme/app", &[]),
            ("kube-system", "icr.io/acme/app", &[]),
        ],
    ),
    (
        "ibm-cloud-regions.yaml",
        &[
            ("team-a", "us.icr.io/acme/app", &["default-us-icr-io"]),
            ("team-a", "uk.icr.io/acme/app", &["default-uk-icr-io"]),
            ("team-a", "de.icr.io/acme/app", &["default-de-icr-io"]),
            ("team-a", "au.icr.io/acme/app", &["default-au-icr-io"]),
            ("team-a", "jp.icr.io/acme/app", &["default-jp-icr-io"]),
            ("team-a", "icr.io/acme/app", &["default-icr-io"]),
            ("default", "us.icr.io/acme/app", &["default-us-icr-io"]),
            (
                "team-a",
                "uk.icr.io/acme/app icr.io/acme/app",
                &["default-icr-io", "default-uk-icr-io"],
            ),
            ("team-a", "cp.icr.io/cp/app", &[]),
            ("team-a", "br.icr.io/acme/app", &[]),
            ("ops", "us.icr.io/acme/app", &[]),
        ],
    ),
    (
        "ibm-entitled.yaml",
        &[
            (
                "integration-prod",
                "cp.icr.io/cp/appc/acme:13.0",
                &["ibm-entitlement-key"],
            ),
            ("integration-prod", "icr.io/cpopen/acme", &[]),
            ("integration-prod", "us.icr.io/acme/app", &[]),
            ("team-a", "cp.icr.io/cp/appc/acme:13.0", &[]),
        ],
    ),
    (
        "bluemix-migration.yaml",
        &[
            (
                "team-a",
                "registry.bluemix.net/acme/app",
                &["bluemix-default-secret-international"],
            ),
            (
                "team-a",
                "registry.ng.bluemix.net/acme/app",
                &["bluemix-default-secret-regional"],
            ),
            (
                "team-a",
                "registry.eu-gb.bluemix.net/acme/app",
                &["bluemix-default-secret-regional"],
            ),
            ("team-a", "us.icr.io/acme/app", &["all-icr-io"]),
            ("team-a", "icr.io/acme/app", &["all-icr-io"]),
            (
                "team-a",
                "registry.ng.bluemix.net/acme/old us.icr.io/acme/new",
                &["all-icr-io", "bluemix-default-secret-regional"],
            ),
            ("team-a", "registry.eu.gb.bluemix.net/acme/app", &[]),
            ("team-a", "bluemix.net/acme/app", &[]),
            ("team-a", "ng.bluemix.net/acme/app", &[]),
            ("team-a", "cp.icr.io/cp/app", &[]),
            ("ops", "registry.bluemix.net/acme/app", &[]),
        ],
    ),
    (
        "host-and-port.yaml",
        &[
            (
                "team-a",
                "registry.partner.example:5000/tools/scanner:2.1",
                &["partner-registry"],
            ),
            ("team-b", "registry.partner.example:5000/app", &["partner-registry"]),
            ("team-a", "registry.partner.example/tools/scanner:2.1", &[]),
            ("team-a", "registry.partner.example:443/tools/scanner", &[]),
            ("team-a", "registry.partner.example:5000", &[]), // an image of Docker Hub, with a tag
            ("team-a", "10.10.10.10:443/app", &["appliance-pull"]),
            ("team-a", "10.10.10.10:443/app/worker:v1", &["appliance-pull"]),
            ("team-a", "10.10.10.10:443/application", &[]),
            ("team-a", "10.10.10.10/app", &[]),
            ("team-b", "10.10.10.10:443/app", &[]),
        ],
    ),
    (
        "docker-hub.yaml",
        &[
            ("team-a", "nginx", &["docker-hub"]),
            ("anywhere", "acme/app:v1", &["docker-hub"]),
            ("team-a", "docker.io/acme/app", &["docker-hub"]),
            ("team-a", "index.docker.io/acme/app", &["docker-hub"]),
            ("team-a", "registry-1.docker.io/acme/app", &[]),
            ("team-a", "quay.io/acme/app", &[]),
            ("team-a", "localhost/app", &[]),
            ("kube-system", "nginx", &[]),
            ("pullkey", "nginx", &[]),
        ],
    ),
    (
        "two-registries.yaml",
        &[
            ("team-a", "ghcr.io/acme/app:v7", &["ghcr-acme"]),
            ("team-a", "quay.io/acme/migrate:v7", &["quay-acme"]),
            (
                "team-a",
                "quay.io/acme/migrate:v7 ghcr.io/acme/app:v7",
                &["ghcr-acme", "quay-acme"],
            ),
            ("team-a", "ghcr.io/acme-labs/app nginx", &[]),
            ("ops", "ghcr.io/acme/app:v7", &[]),
        ],
    ),
    (
        "legacy-dockercfg.yaml",
        &[
            ("team-a", "registry.old.example/acme/app:v1", &["legacy-registry"]),
            ("team-a", "registry.old.example:443/acme/app:v1", &[]),
            ("ops", "registry.old.example/acme/app:v1", &[]),
        ],
    ),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples")
}

fn load(path: PathBuf) -> (RuleFiles, Loaded) {
    let context = Context {
        own_namespace: "pullkey",
        labels: false,
        source_keys: None,
    };
    let mut files = RuleFiles::new(vec![path]);
    let loaded = files.load(&Disk, &context);
    (files, loaded)
}

/// The secrets of a Pod with these images.
fn secrets(loaded: &Loaded, namespace: &str, images: &str) -> Vec<String> {
    let namespace = Namespace {
        name: namespace,
        labels: None,
    };
    let rules = loaded.rules.as_ref().unwrap();
    let mut matches: Vec<_> = images
        .split(' ')
        .flat_map(|image| rules.matches(&ImageReference::parse(image).unwrap(), &namespace))
        .collect();
    matches.sort_by_key(|found| found.order);
    let mut secrets: Vec<_> = matches.iter().map(|found| found.rule.secret.clone()).collect();
    secrets.dedup();
    secrets
}

#[test]
fn every_example_has_its_case() {
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "secrets")
        .collect();
    files.sort();
    let mut cases = CASES.map(|(file, _)| file);
    cases.sort_unstable();
    assert_eq!(files, cases);
}

#[test]
fn every_example_gives_its_images_their_secrets() {
    for (file, rows) in CASES {
        let (_, loaded) = load(folder().join(file));
        assert_eq!(loaded.mistakes, [], "{file}");
        for (namespace, images, expected) in rows {
            assert_eq!(
                secrets(&loaded, namespace, images),
                *expected,
                "{file}: {images} in {namespace}"
            );
        }
    }
}

#[test]
fn every_warning_is_that_files_make_no_copies() {
    for (file, _) in CASES {
        let (_, loaded) = load(folder().join(file));
        let rules = loaded.rules.unwrap();
        let copying = rules.rules().iter().filter(|rule| rule.copy_from.is_some()).count();
        let fields: Vec<_> = loaded.warnings.iter().map(|warning| warning.field.as_str()).collect();
        assert_eq!(fields, vec!["spec.secret.copyFrom"; copying], "{file}");
    }
}

#[test]
fn all_examples_can_be_in_force_together() {
    let (files, loaded) = load(folder());
    assert_eq!(loaded.mistakes, []);
    assert_eq!(overlaps(files.placed()), []);
    for (namespace, images, expected) in [
        // A literal host comes before one with a star.
        ("team-a", "us.icr.io/acme/app", &["default-us-icr-io", "all-icr-io"][..]),
        ("team-a", "cp.icr.io/cp/app", &[]),
        (
            "integration-prod",
            "cp.icr.io/cp/app nginx",
            &["ibm-entitlement-key", "docker-hub"],
        ),
        (
            "team-a",
            "registry.bluemix.net/acme/app",
            &["bluemix-default-secret-international"],
        ),
    ] {
        assert_eq!(secrets(&loaded, namespace, images), expected, "{images} in {namespace}");
    }
}
