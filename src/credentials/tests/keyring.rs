//! The order in which the kubelet tries credentials.

use super::super::{Candidate, DockerConfig, Keyring};
use super::{docker_config, image, with_keys};
use proptest::prelude::*;

/// Source and key as spelled of each candidate.
fn found<'c>(configs: &'c [DockerConfig], text: &str) -> Vec<(usize, &'c str)> {
    let candidates = Keyring::new(configs).lookup(&image(text));
    candidates
        .iter()
        .map(|candidate| (candidate.source(), candidate.key().spelled()))
        .collect()
}

#[test]
fn keys_are_tried_in_descending_order_of_their_bytes() {
    let configs = [with_keys(&[
        "ghcr.io",
        "ghcr.io/acme",
        "ghcr.io/acme/app",
        "*.io",
        "g*.io",
        "ghcr.io/",
        "https://ghcr.io/v2/acme/",
        "gitlab.example",
    ])];
    let expected = [
        "ghcr.io/acme/app",
        "https://ghcr.io/v2/acme/",
        "ghcr.io/acme",
        "ghcr.io",
        "ghcr.io/",
        "g*.io",
        "*.io",
    ];
    let keys: Vec<_> = found(&configs, "ghcr.io/acme/app")
        .into_iter()
        .map(|(_, key)| key)
        .collect();
    assert_eq!(keys, expected);
}

#[test]
fn a_longer_path_does_not_precede_a_star_that_sorts_later() {
    let configs = [with_keys(&["ghcr.io/acme", "ghcr*.io", "ghcr.*"])];
    let keys: Vec<_> = found(&configs, "ghcr.io/acme/app")
        .into_iter()
        .map(|(_, key)| key)
        .collect();
    assert_eq!(keys, ["ghcr.io/acme", "ghcr.*", "ghcr*.io"]);
}

#[test]
fn under_one_key_the_secrets_keep_their_order() {
    let configs = [
        with_keys(&["ghcr.io"]),
        with_keys(&["ghcr.io/acme", "https://ghcr.io/"]),
        with_keys(&["http://ghcr.io/v1/"]),
        with_keys(&["ghcr.io"]),
    ];
    let expected = [
        (1, "ghcr.io/acme"),
        (0, "ghcr.io"),
        (1, "https://ghcr.io/"),
        (2, "http://ghcr.io/v1/"),
        (3, "ghcr.io"),
    ];
    assert_eq!(found(&configs, "ghcr.io/acme/app"), expected);
}

#[test]
fn the_fallback_is_for_docker_hub_and_without_a_match_only() {
    let hub = with_keys(&["https://index.docker.io/v1/", "index.docker.io/acme"]);
    let fallback = [(0, "https://index.docker.io/v1/")];
    for text in ["nginx", "acme/app", "docker.io/acme/app", "localhost/app", "MyOrg/app"] {
        assert_eq!(found(std::slice::from_ref(&hub), text), fallback, "{text}");
    }
    for text in ["ghcr.io/app", "localhost:5000/app", "registry-1.docker.io/app"] {
        assert_eq!(found(std::slice::from_ref(&hub), text), [], "{text}");
    }
    let configs = [hub, with_keys(&["docker.io/acme", "index.docker.io"])];
    assert_eq!(found(&configs, "acme/app"), [(1, "docker.io/acme")]);
    assert_eq!(
        found(&configs, "nginx"),
        [(0, "https://index.docker.io/v1/"), (1, "index.docker.io")]
    );
}

#[test]
fn a_blank_credential_counts_as_found() {
    let configs = [
        docker_config(r#"{"auths":{"docker.io":{}}}"#).expect("a good config"),
        with_keys(&["index.docker.io"]),
    ];
    assert_eq!(found(&configs, "nginx"), [(0, "docker.io")]);
}

#[test]
fn candidates_carry_their_username() {
    let configs = [with_keys(&["https://ghcr.io"])];
    let candidates = Keyring::new(&configs).lookup(&image("ghcr.io/app"));
    assert_eq!(
        candidates.iter().map(Candidate::username).collect::<Vec<_>>(),
        ["https://ghcr.io"]
    );
    assert!(Keyring::new([]).lookup(&image("nginx")).is_empty());
}

proptest! {
    #[test]
    fn every_candidate_serves_the_image_or_is_the_fallback(
        keys in proptest::collection::vec(r"(ghcr|\*|index\.docker|docker)\.(io|\*)(/acme)?(/)?", 0..8),
        text in r"(ghcr\.io/|docker\.io/|a\.b/)?(acme/)?app",
    ) {
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        let configs = [with_keys(&keys), with_keys(&keys)];
        let image = image(&text);
        let candidates = Keyring::new(&configs).lookup(&image);
        let serving = candidates.iter().filter(|candidate| candidate.key().serves(&image)).count();
        prop_assert!(serving == candidates.len() || serving == 0);
        if serving == 0 {
            prop_assert!(candidates.iter().all(|candidate| candidate.key().is_docker_hub_fallback()));
        }
        let all = configs.iter().flat_map(DockerConfig::keys).filter(|key| key.serves(&image)).count();
        prop_assert_eq!(serving, all);
    }
}
