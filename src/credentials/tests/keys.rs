//! What a key is, and which images it serves.

use super::super::{Key, counts_as_docker_hub};
use super::image;
use crate::image::ImageReference;
use proptest::prelude::*;

/// Rows of key, host and path.
fn assert_keys(rows: &[(&str, &str, &str)]) {
    for &(spelled, host, path) in rows {
        let key = Key::parse(spelled).unwrap_or_else(|| panic!("`{spelled}` is no key"));
        assert_eq!((key.host(), key.path()), (host, path), "{spelled}");
    }
}

#[test]
fn a_key_is_a_host_and_a_path() {
    assert_keys(&[
        ("ghcr.io", "ghcr.io", ""),
        ("ghcr.io/", "ghcr.io", ""),
        ("ghcr.io/acme", "ghcr.io", "/acme"),
        ("ghcr.io/acme/", "ghcr.io", "/acme/"),
        ("ghcr.io//", "ghcr.io", "//"),
        ("ghcr.io:5000/acme", "ghcr.io:5000", "/acme"),
        ("ghcr.io:", "ghcr.io", ""),
        ("GHCR.io/Acme", "GHCR.io", "/Acme"),
        ("*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com", ""),
        ("[::1]:5000/acme", "[::1]:5000", "/acme"),
        ("[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", ""),
        ("my_registry.example.com", "my_registry.example.com", ""),
        ("", "", ""),
        ("/acme", "", "/acme"),
    ]);
}

#[test]
fn the_scheme_goes_if_it_is_spelled_in_lower_case() {
    assert_keys(&[
        ("https://ghcr.io", "ghcr.io", ""),
        ("http://ghcr.io/acme", "ghcr.io", "/acme"),
        ("https://https://ghcr.io", "https", "//ghcr.io"),
        ("HTTPS://ghcr.io", "HTTPS", "//ghcr.io"),
        ("ftp://ghcr.io", "ftp", "//ghcr.io"),
        ("//ghcr.io", "", "//ghcr.io"),
    ]);
}

#[test]
fn a_version_is_cut_if_a_slash_follows_it() {
    assert_keys(&[
        ("https://index.docker.io/v1/", "index.docker.io", ""),
        ("https://index.docker.io/v1", "index.docker.io", "/v1"),
        ("ghcr.io/v2/", "ghcr.io", ""),
        ("ghcr.io/v2/acme", "ghcr.io", "/acme"),
        ("ghcr.io/v1/v1/", "ghcr.io", "/v1/"),
        ("ghcr.io/v1//", "ghcr.io", "//"),
        ("ghcr.io/v3/", "ghcr.io", "/v3/"),
        ("ghcr.io/%761/acme", "ghcr.io", "/acme"),
    ]);
}

#[test]
fn user_info_query_and_fragment_go() {
    for (spelled, shown) in [
        ("https://me:token@ghcr.io/acme", "https://ghcr.io/acme"),
        ("me@ghcr.io", "ghcr.io"),
        ("http://a:b@c@ghcr.io:5000", "http://ghcr.io:5000"),
        ("ghcr.io/acme?token=x", "ghcr.io/acme"),
        ("ghcr.io?me@x", "ghcr.io"),
        ("ghcr.io#me@x", "ghcr.io"),
        ("ghcr.io#\u{1}", "ghcr.io"),
        ("https://me:%74oken@ghcr.io/v1/a%63me", "https://ghcr.io/v1/a%63me"),
    ] {
        let key = Key::parse(spelled).unwrap_or_else(|| panic!("`{spelled}` is no key"));
        assert_eq!(key.spelled(), shown);
        assert_eq!(key.to_string(), shown);
        assert_eq!(format!("{key:?}"), format!("Key({shown:?})"));
        assert!(key.host().starts_with("ghcr.io"), "{spelled}");
    }
}

#[test]
fn the_path_is_decoded_and_read_again() {
    assert_keys(&[
        ("ghcr.io/a%63me", "ghcr.io", "/acme"),
        ("ghcr.io/acme%2Fapp", "ghcr.io", "/acme/app"),
        ("ghcr.io/acme%3Fapp", "ghcr.io", "/acme"),
        ("ghcr.io/acme%23app", "ghcr.io", "/acme"),
        ("ghcr.io/a%2563me", "ghcr.io", "/acme"),
        ("ghcr.io/acme%20x", "ghcr.io", "/acme x"),
        ("ghcr.io/é", "ghcr.io", "/é"),
        ("b%c3%bccher.example", "bücher.example", ""),
        ("a%25c3%25bcb", "aüb", ""),
    ]);
}

#[test]
fn what_can_serve_nothing_is_no_key() {
    for spelled in [
        // Refused by Go.
        "ghcr.io:x",
        "ghcr.io:1:2",
        "ghcr.io:5 000",
        "g hcr.io",
        "ghcr.io\n",
        "ghcr.io/\u{7f}",
        "ghcr.io?\t",
        "gh\\cr.io",
        "gh^cr.io",
        "gh{cr.io",
        "gh|cr.io",
        "gh`cr.io",
        "ghcr.io/%",
        "ghcr.io/%4",
        "ghcr.io/%zz",
        "ghcr.io/%é",
        "ghcr.io/%+1",
        "ghcr.io#%zz",
        "%67hcr.io",
        "ghcr%2Eio",
        "ghcr%zzio",
        "u%zz:p@ghcr.io",
        "u é@ghcr.io",
        "a[b]",
        "a[::1]",
        "[::1",
        "[]",
        "[::1]x",
        "[::1]:x",
        "[1.2.3.4]",
        "[zz]",
        "[::1]:1:2",
        "::1",
        "[[::1]]",
        // Read once, and not once more.
        "[fe80::1%25eth0]",
        "[fe80::1%25eth0]:5000",
        "ghcr.io/%00",
        "ghcr.io/%25zz",
        "a%25b",
        // For caution.
        "ghcr.io/app@sha256:0",
        "ghcr.io/app%40x",
        "HTTPS://me:token@ghcr.io",
    ] {
        assert_eq!(Key::parse(spelled), None, "{spelled:?}");
    }
}

/// Rows of key, and the images that it serves and does not serve.
type Service<'t> = (&'t str, &'t [&'t str], &'t [&'t str]);

fn assert_service(rows: &[Service<'_>]) {
    for &(spelled, served, others) in rows {
        let key = Key::parse(spelled).unwrap_or_else(|| panic!("`{spelled}` is no key"));
        for text in served {
            assert!(key.serves(&image(text)), "{spelled} serves {text}");
        }
        for text in others {
            assert!(!key.serves(&image(text)), "{spelled} does not serve {text}");
        }
    }
}

#[test]
fn a_path_is_compared_by_characters() {
    assert_service(&[
        (
            "ghcr.io",
            &["ghcr.io/app", "ghcr.io/acme/app:v1"],
            &["ghcr.example/app", "GHCR.io/app", "nginx"],
        ),
        (
            "ghcr.io/acme",
            &["ghcr.io/acme", "ghcr.io/acme/app", "ghcr.io/acme-private/app"],
            &["ghcr.io/acm", "ghcr.io/x/acme"],
        ),
        (
            "ghcr.io/acme/",
            &["ghcr.io/acme/app"],
            &["ghcr.io/acme", "ghcr.io/acme-private/app"],
        ),
        ("ghcr.io/v1/", &["ghcr.io/app"], &[]),
        ("ghcr.io/v1/acme", &["ghcr.io/acme/app"], &["ghcr.io/v1/acme"]),
        ("ghcr.io/acme/app:v1", &[], &["ghcr.io/acme/app:v1", "ghcr.io/acme/app"]),
        ("ghcr.io/*", &[], &["ghcr.io/app", "ghcr.io/acme/app"]),
        ("ghcr.io/Acme", &[], &["ghcr.io/acme/app"]),
        ("/acme", &[], &["acme/app", "localhost/acme/app"]),
    ]);
}

#[test]
fn a_star_stays_inside_its_label() {
    assert_service(&[
        (
            "*.io",
            &["ghcr.io/app", "docker.io/acme/app", "nginx"],
            &["a.ghcr.io/app", "localhost/app"],
        ),
        (
            "*",
            &["localhost/app", "MyOrg/app", "[::1]/app"],
            &["ghcr.io/app", "nginx", "localhost:5000/app"],
        ),
        ("g*r.i*", &["ghcr.io/app", "gr.i/app", "gcr.io/app"], &["hcr.io/app"]),
        (
            "*.dkr.ecr.*.amazonaws.com",
            &["1.dkr.ecr.eu-west-1.amazonaws.com/app"],
            &["dkr.ecr.eu.amazonaws.com/app"],
        ),
        (
            "*.*.*.4:5000",
            &["1.2.3.4:5000/app"],
            &["1.2.3.4/app", "1.2.3.4:5001/app", "1.2.3.5:5000/app"],
        ),
    ]);
}

#[test]
fn ports_are_equal_texts() {
    assert_service(&[
        (
            "ghcr.io:5000",
            &["ghcr.io:5000/app"],
            &["ghcr.io/app", "ghcr.io:05000/app", "ghcr.io:500/app"],
        ),
        ("ghcr.io:443", &["ghcr.io:443/app"], &["ghcr.io/app"]),
        ("ghcr.io:", &["ghcr.io/app"], &["ghcr.io:443/app"]),
        (
            "localhost:5000/acme",
            &["localhost:5000/acme/app"],
            &["localhost/acme/app", "localhost:5000/app"],
        ),
    ]);
}

#[test]
fn an_ipv6_host_matches_with_a_port_only() {
    assert_service(&[
        (
            "[::1]:5000",
            &["[::1]:5000/app"],
            &["[::1]/app", "[::2]:5000/app", "[0:0:0:0:0:0:0:1]:5000/app"],
        ),
        // A class of characters.
        ("[::1]", &[], &["[::1]/app", "[::1]:5000/app", "localhost/app"]),
        ("[::A]", &["A/app"], &["[::A]/app", "B/app", "AA/app"]),
        ("[::ffff:1.2.3.4]", &[], &["1.2.3.4/app"]),
        ("*:5000", &["[::1]:5000/app", "localhost:5000/app"], &[]),
        ("*]", &["[::1]/app"], &["[::1]:5000/app"]),
        ("[::A]:", &[], &["A/app", "[::A]/app"]),
        // No address, although the image's grammar takes it.
        ("*", &[], &["[:]/app"]),
    ]);
}

#[test]
fn a_host_that_the_grammar_takes_for_a_path_is_still_a_host() {
    assert_service(&[("my_registry.example.com", &["my_registry.example.com/app"], &[])]);
}

#[test]
fn docker_hub_is_matched_by_its_own_name() {
    assert_service(&[
        (
            "docker.io",
            &["nginx", "acme/app", "index.docker.io/acme/app"],
            &["docker.io:443/app", "MyOrg/app"],
        ),
        ("docker.io/library", &["nginx"], &["acme/app"]),
        ("index.docker.io", &[], &["nginx", "acme/app"]),
        ("registry-1.docker.io", &["registry-1.docker.io/app"], &["nginx"]),
        ("hub.docker.com", &["hub.docker.com/app"], &["nginx"]),
    ]);
}

#[test]
fn one_stored_key_is_docker_hubs_fallback() {
    for (spelled, expected) in [
        ("index.docker.io", true),
        ("https://index.docker.io/v1/", true),
        ("http://me@index.docker.io/v2/?x", true),
        ("https://index.docker.io/", true),
        ("https://index.docker.io/v1", false),
        ("index.docker.io/acme", false),
        ("index.docker.io:", false),
        ("index.docker.io:443", false),
        ("Index.docker.io", false),
        ("*.docker.io", false),
        ("docker.io", false),
        ("registry-1.docker.io", false),
    ] {
        let key = Key::parse(spelled).expect(spelled);
        assert_eq!(key.is_docker_hub_fallback(), expected, "{spelled}");
    }
}

#[test]
fn an_image_whose_first_segment_is_no_host_counts_as_docker_hubs() {
    for (text, expected) in [
        ("nginx", true),
        ("acme/app", true),
        ("docker.io/acme/app", true),
        ("index.docker.io/acme/app", true),
        ("localhost/app", true),
        ("MyOrg/app", true),
        ("localhost:5000/app", false),
        ("ghcr.io/app", false),
        ("[::1]/app", false),
        ("docker.io:443/app", false),
        ("registry-1.docker.io/app", false),
        ("my_registry.example.com/app", false),
    ] {
        assert_eq!(counts_as_docker_hub(&image(text)), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn never_panics(spelled in any::<String>()) {
        let _ = Key::parse(&spelled);
    }

    #[test]
    fn never_panics_on_what_urls_are_made_of(
        spelled in r"(https?://)?([a-z:%@4]{0,6}@)?[\[\]a-z0-9.:*%é]{0,12}(/[a-z0-9%@/?#]{0,12})?",
        text in r"(\[[0-9:a-f]{1,6}\]|[A-Z]|[a-z]{1,3}\.[a-z]{1,3}|localhost)(:[0-9]{1,3})?/[a-z]{1,3}",
    ) {
        if let (Some(key), Ok(image)) = (Key::parse(&spelled), ImageReference::parse(&text)) {
            let _ = key.serves(&image);
            prop_assert!(key.path().is_empty() || key.path().starts_with('/'));
            prop_assert!(!key.spelled().contains('@'));
        }
    }

    #[test]
    fn an_images_own_host_and_the_beginning_of_its_path_serve_it(
        host in r"[a-z0-9]{1,5}\.[a-z]{1,5}(:[0-9]{1,5})?",
        path in r"[a-z]{1,5}(/[a-z]{1,5}){0,3}",
        length in 0..20_usize,
    ) {
        let text = format!("{host}/{path}");
        let (beginning, _) = path.split_at(length.min(path.len()));
        let key = Key::parse(&format!("{host}/{beginning}")).expect("a key");
        prop_assert!(key.serves(&image(&text)));
    }

    #[test]
    fn the_spelling_shown_is_the_same_key(spelled in r"(https?://)?(a:b@)?[a-z0-9.:*]{1,12}(/[a-z0-9%/?#]{0,12})?") {
        if let Some(key) = Key::parse(&spelled) {
            let again = Key::parse(key.spelled()).expect("still a key");
            prop_assert_eq!((again.host(), again.path()), (key.host(), key.path()));
        }
    }
}
