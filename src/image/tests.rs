//! The grammar sentence by sentence. Every row was answered by the distribution project's own parser, too.

use super::{DOCKER_HUB, ImageReference, InvalidImage, LONGEST_REPOSITORY};
use proptest::prelude::*;

const HEX_32: &str = "0123456789abcdef0123456789abcdef";

fn hex(characters: usize) -> String {
    HEX_32.repeat(characters / HEX_32.len())
}

fn parse(text: &str) -> ImageReference<'_> {
    ImageReference::parse(text).unwrap_or_else(|fault| panic!("`{text}`: {fault}"))
}

/// What an image without a digest is: registry, repository, tag.
fn assert_parts(rows: &[(&str, &str, &str, Option<&str>)]) {
    for &(text, registry, repository, tag) in rows {
        let reference = parse(text);
        let parts = (reference.registry(), reference.repository(), reference.tag());
        assert_eq!(parts, (registry, repository, tag), "{text}");
        assert_eq!(reference.digest(), None, "{text}");
        let name = if registry.is_empty() {
            repository.to_owned()
        } else {
            format!("{registry}/{repository}")
        };
        assert_eq!(reference.name(), name, "{text}");
        let suffix = tag.map_or_else(String::new, |tag| format!(":{tag}"));
        assert_eq!(reference.to_string(), format!("{name}{suffix}"), "{text}");
    }
}

fn assert_fault(rows: &[(&str, &str)]) {
    for &(text, expected) in rows {
        let fault = match ImageReference::parse(text) {
            Ok(reference) => panic!("`{text}` is {reference}"),
            Err(fault) => fault,
        };
        assert_eq!(fault.to_string(), expected, "{text}");
    }
}

#[test]
fn an_image_without_a_slash_is_official_on_docker_hub() {
    assert_parts(&[
        ("nginx", DOCKER_HUB, "library/nginx", None),
        ("nginx:1.27", DOCKER_HUB, "library/nginx", Some("1.27")),
        ("localhost", DOCKER_HUB, "library/localhost", None),
        ("localhost:5000", DOCKER_HUB, "library/localhost", Some("5000")),
        ("example.com", DOCKER_HUB, "library/example.com", None),
        ("example.com:5000", DOCKER_HUB, "library/example.com", Some("5000")),
        ("192.168.1.1:5000", DOCKER_HUB, "library/192.168.1.1", Some("5000")),
        ("docker.io", DOCKER_HUB, "library/docker.io", None),
        ("index.docker.io", DOCKER_HUB, "library/index.docker.io", None),
        ("library", DOCKER_HUB, "library/library", None),
        ("a", DOCKER_HUB, "library/a", None),
        ("0", DOCKER_HUB, "library/0", None),
        ("nginx:Latest", DOCKER_HUB, "library/nginx", Some("Latest")),
    ]);
}

#[test]
fn the_first_segment_is_a_host_by_its_look() {
    assert_parts(&[
        ("library/nginx", DOCKER_HUB, "library/nginx", None),
        ("acme/app", DOCKER_HUB, "acme/app", None),
        ("acme/team/app:v1", DOCKER_HUB, "acme/team/app", Some("v1")),
        ("a_b/app", DOCKER_HUB, "a_b/app", None),
        ("local/app", DOCKER_HUB, "local/app", None),
        ("localhost-1/app", DOCKER_HUB, "localhost-1/app", None),
        ("localhost/app", "localhost", "app", None),
        ("localhost:5000/app", "localhost:5000", "app", None),
        ("ghcr.io/acme/app", "ghcr.io", "acme/app", None),
        ("ghcr.io/app", "ghcr.io", "app", None),
        ("a.b/c", "a.b", "c", None),
        ("registry:5000/app", "registry:5000", "app", None),
        ("registry:5000/app:5000", "registry:5000", "app", Some("5000")),
        ("registry:0/app", "registry:0", "app", None),
        ("registry:99999999/app", "registry:99999999", "app", None),
        ("192.168.1.1:5000/app", "192.168.1.1:5000", "app", None),
        ("MyOrg/app", "MyOrg", "app", None),
        ("LOCALHOST/app", "LOCALHOST", "app", None),
        ("GHCR.io/acme/app", "GHCR.io", "acme/app", None),
        ("xn--bcher-kva.example/app", "xn--bcher-kva.example", "app", None),
        ("a--b.example/app", "a--b.example", "app", None),
    ]);
}

#[test]
fn docker_hub_has_two_names_and_no_more() {
    assert_parts(&[
        ("docker.io/nginx", DOCKER_HUB, "library/nginx", None),
        ("docker.io/nginx:1", DOCKER_HUB, "library/nginx", Some("1")),
        ("docker.io/library/nginx", DOCKER_HUB, "library/nginx", None),
        ("docker.io/acme/app", DOCKER_HUB, "acme/app", None),
        ("index.docker.io/nginx", DOCKER_HUB, "library/nginx", None),
        ("index.docker.io/acme/app:v1", DOCKER_HUB, "acme/app", Some("v1")),
        ("docker.io:443/nginx", "docker.io:443", "nginx", None),
        ("index.docker.io:443/nginx", "index.docker.io:443", "nginx", None),
        ("Docker.io/nginx", "Docker.io", "nginx", None),
        ("Index.docker.io/nginx", "Index.docker.io", "nginx", None),
        ("registry-1.docker.io/nginx", "registry-1.docker.io", "nginx", None),
        ("hub.docker.com/nginx", "hub.docker.com", "nginx", None),
    ]);
}

#[test]
fn an_ipv6_host_is_not_checked_to_be_an_address() {
    assert_parts(&[
        ("[::1]/app", "[::1]", "app", None),
        ("[::1]:5000/app:v1", "[::1]:5000", "app", Some("v1")),
        ("[2001:DB8::aB]:443/acme/app", "[2001:DB8::aB]:443", "acme/app", None),
        ("[:]/app", "[:]", "app", None),
        ("[1:2:3]:1/app", "[1:2:3]:1", "app", None),
    ]);
    let not_a_host = "is not a registry host: labels of letters, digits and inner `-` joined by `.`, or `[IPv6]`, then an optional `:port`";
    for host in [
        "[]:1",
        "[::1",
        "::1]",
        "::1",
        "[::1]a",
        "[::1]:",
        "[::1]:a",
        "[::1%25eth0]",
        "[fe80::1%eth0]",
        "[::ffff:1.2.3.4]",
        "[[::1]]",
        "[::g]",
    ] {
        assert_fault(&[(&format!("{host}/app"), &format!("`{host}` {not_a_host}"))]);
    }
    // Brackets alone look like a path, since nothing in them looks like a host.
    assert!(matches!(
        ImageReference::parse("[cafe]/app"),
        Err(InvalidImage::Segment(_))
    ));
}

#[test]
fn a_host_with_an_underscore_is_a_path_without_a_registry() {
    assert_parts(&[
        (
            "my_registry.example.com/app:v1",
            "",
            "my_registry.example.com/app",
            Some("v1"),
        ),
        ("a.b__c/d", "", "a.b__c/d", None),
    ]);
    assert_eq!(
        parse("my_registry.example.com/acme/app").host_and_path(),
        ("my_registry.example.com", "acme/app")
    );
    for host in [
        "my_registry.example.com:5000",
        "a._b",
        "a.b_",
        "_a.b",
        "a___b.c",
        "My_registry.example.com",
    ] {
        let text = format!("{host}/app");
        assert_eq!(ImageReference::parse(&text), Err(InvalidImage::Host(host.to_owned())));
    }
}

#[test]
fn a_host_is_labels_and_a_port() {
    for host in [
        ".",
        "a.",
        ".a",
        "a..b",
        "-a.b",
        "a-.b",
        "a.-b",
        "a.b-",
        "a:",
        "a:b",
        "a.b:",
        "a.b:x",
        "a:1:2",
        ":5000",
        "a.b:5 ",
        "a b.c",
        "a!.b",
        "é.example",
        "É",
        "https:",
        "*.example.com",
        "user@host.example:5",
    ] {
        let text = format!("{host}/app");
        let fault = ImageReference::parse(&text).expect_err(&text);
        match host {
            // The `@` comes first: what follows it is read as a digest.
            "user@host.example:5" => assert!(matches!(fault, InvalidImage::Digest(_)), "{text}: {fault}"),
            _ => assert_eq!(fault, InvalidImage::Host(host.to_owned()), "{text}"),
        }
    }
}

#[test]
fn a_segment_is_words_and_separators() {
    assert_parts(&[
        ("a.b", DOCKER_HUB, "library/a.b", None),
        ("a_b__c-d--e---f.g0", DOCKER_HUB, "library/a_b__c-d--e---f.g0", None),
        ("x/a/b/c/d/e", DOCKER_HUB, "x/a/b/c/d/e", None),
    ]);
    for segment in [
        "", ".", "..", "a.", ".a", "a..b", "a_", "_a", "a___b", "a-", "-a", "a.-b", "a-.b", "a._b", "a__.b", "a-_b",
        "a b", " a", "a ", "é", "a\0", "a\n", "a\r", "\ta", "a%20b", "a*", "a?", "a#b", "a+b", "a~b", "日本", "[::1]",
    ] {
        // The colon of an address would begin a tag.
        let segment = segment.split(':').next().expect("the first piece");
        let text = format!("ghcr.io/x/{segment}/y");
        let found = ImageReference::parse(&text);
        assert_eq!(found, Err(InvalidImage::Segment(segment.to_owned())), "{text:?}");
    }
}

#[test]
fn the_reason_is_precise() {
    assert_fault(&[
        ("", "the image name is empty"),
        (":v1", "the image name is empty"),
        ("@sha256:", "the image name is empty"),
        ("ghcr.io/", "the image name is empty"),
        ("ghcr.io/:v1", "the image name is empty"),
        ("Nginx", "the repository `Nginx` has an upper-case letter"),
        ("acme/App:v1", "the repository `acme/App` has an upper-case letter"),
        (
            "docker.io/Acme/app",
            "the repository `Acme/app` has an upper-case letter",
        ),
        ("MyOrg/App", "the repository `App` has an upper-case letter"),
        (
            "acme/é",
            "`é` is not a path segment: lower-case letters and digits, joined by `.`, `_`, `__` or `-`",
        ),
        ("acme/É", "the repository `acme/É` has an upper-case letter"),
        (
            "/nginx",
            "`` is not a path segment: lower-case letters and digits, joined by `.`, `_`, `__` or `-`",
        ),
        (
            "acme//app",
            "`` is not a path segment: lower-case letters and digits, joined by `.`, `_`, `__` or `-`",
        ),
        (
            "acme/app/",
            "`` is not a path segment: lower-case letters and digits, joined by `.`, `_`, `__` or `-`",
        ),
        (
            "nginx:",
            "`` is not a tag: a letter, digit or `_`, then at most 127 of these, `.` and `-`",
        ),
        (
            "a:b:c",
            "`b:c` is not a tag: a letter, digit or `_`, then at most 127 of these, `.` and `-`",
        ),
        (
            "a/b:c/d",
            "`c/d` is not a tag: a letter, digit or `_`, then at most 127 of these, `.` and `-`",
        ),
        (
            "nginx:1\n",
            "`1\n` is not a tag: a letter, digit or `_`, then at most 127 of these, `.` and `-`",
        ),
        (
            "nginx@",
            "`` is not a digest: `sha256:`, `sha384:` or `sha512:` and 64, 96 or 128 lower-case hex digits",
        ),
        (
            "https://ghcr.io/acme/app",
            "`https:` is not a registry host: labels of letters, digits and inner `-` joined by `.`, or `[IPv6]`, then an optional `:port`",
        ),
    ]);
}

#[test]
fn sixty_four_hex_digits_alone_are_an_identifier() {
    let identifier = hex(64);
    assert_eq!(ImageReference::parse(&identifier), Err(InvalidImage::Identifier));
    assert_fault(&[(&identifier, "64 hex digits alone are an image identifier, not a name")]);
    let digest = format!("sha256:{identifier}");
    for text in [
        format!("{identifier}:v1"),
        format!("{identifier}@{digest}"),
        format!("ghcr.io/{identifier}"),
        format!("acme/{identifier}"),
        format!("{identifier}/app"),
        identifier.replace('f', "g"),
        format!("{identifier}0"),
        hex(32),
    ] {
        assert!(ImageReference::parse(&text).is_ok(), "{text}");
    }
    let upper = identifier.to_uppercase();
    assert_eq!(
        ImageReference::parse(&upper),
        Err(InvalidImage::UpperCase(upper.clone()))
    );
}

#[test]
fn a_tag_has_at_most_128_characters_of_ascii() {
    let longest = "t".repeat(128);
    for tag in [
        "1",
        "_",
        "_x",
        "v1.2.3-rc.4",
        "A",
        "a..b--c",
        longest.as_str(),
        &hex(64),
    ] {
        let text = format!("ghcr.io/acme/app:{tag}");
        assert_eq!(parse(&text).tag(), Some(tag));
    }
    for tag in [
        "",
        ".a",
        "-a",
        "a b",
        "é",
        "aé",
        "a+b",
        "a:b",
        "a/b",
        "1\n",
        &"t".repeat(129),
    ] {
        let text = format!("ghcr.io/acme/app:{tag}");
        assert_eq!(
            ImageReference::parse(&text),
            Err(InvalidImage::Tag(tag.to_owned())),
            "{text}"
        );
    }
}

#[test]
fn a_digest_is_of_three_algorithms_in_lower_case() {
    for digest in [
        format!("sha256:{}", hex(64)),
        format!("sha384:{}", hex(96)),
        format!("sha512:{}", hex(128)),
    ] {
        for (name, normal, tag) in [
            ("nginx", "docker.io/library/nginx", None),
            ("nginx:1", "docker.io/library/nginx:1", Some("1")),
            ("ghcr.io/acme/app", "ghcr.io/acme/app", None),
            ("[::1]:5000/app:v1", "[::1]:5000/app:v1", Some("v1")),
        ] {
            let text = format!("{name}@{digest}");
            let reference = parse(&text);
            assert_eq!(
                (reference.tag(), reference.digest()),
                (tag, Some(digest.as_str())),
                "{text}"
            );
            assert_eq!(reference.to_string(), format!("{normal}@{digest}"));
        }
    }
    let good = format!("sha256:{}", hex(64));
    for digest in [
        String::new(),
        "sha256".to_owned(),
        "sha256:".to_owned(),
        hex(64),
        format!("sha256:{}", hex(32)),
        format!("sha256:{}", hex(96)),
        format!("sha384:{}", hex(64)),
        format!("sha512:{}", hex(64)),
        format!("sha256:{}", hex(64).to_uppercase()),
        format!("SHA256:{}", hex(64)),
        format!("sha1:{}", hex(64)),
        format!("md5:{}", hex(32)),
        format!("sha256:{}", hex(64).replace('f', "g")),
        format!("sha256+b64:{}", hex(64)),
        format!("{good}:v1"),
        format!("{good}@{good}"),
        format!("{good}/app"),
        format!("{good}\n"),
    ] {
        let text = format!("ghcr.io/acme/app@{digest}");
        assert_eq!(
            ImageReference::parse(&text),
            Err(InvalidImage::Digest(digest)),
            "{text}"
        );
    }
}

#[test]
fn the_repository_is_bounded_and_the_host_is_not() {
    let implied = "library/".len();
    let path = |length: usize| "a".repeat(length);
    let host = format!("{}:5000", ["a"; 300].join("."));
    for text in [
        path(LONGEST_REPOSITORY - implied),
        format!("docker.io/{}", path(LONGEST_REPOSITORY - implied)),
        format!("ghcr.io/{}", path(LONGEST_REPOSITORY)),
        format!("acme/{}", path(LONGEST_REPOSITORY - 5)),
        format!("{host}/{}:tag", path(LONGEST_REPOSITORY)),
        format!("x_y.z/{}", path(LONGEST_REPOSITORY - 6)),
    ] {
        let reference = parse(&text);
        assert_eq!(reference.repository().len(), LONGEST_REPOSITORY, "{text}");
    }
    for text in [
        path(LONGEST_REPOSITORY + 1 - implied),
        format!("docker.io/{}", path(LONGEST_REPOSITORY + 1 - implied)),
        format!("ghcr.io/{}", path(LONGEST_REPOSITORY + 1)),
        format!("acme/{}", path(LONGEST_REPOSITORY + 1 - 5)),
        format!("x_y.z/{}", path(LONGEST_REPOSITORY + 1 - 6)),
    ] {
        let fault = ImageReference::parse(&text).expect_err(&text);
        assert_eq!(fault, InvalidImage::TooLong(LONGEST_REPOSITORY + 1), "{text}");
    }
    assert_eq!(
        InvalidImage::TooLong(300).to_string(),
        "the repository is 300 characters long, at most 255 are allowed"
    );
}

#[test]
fn equal_normal_forms_are_equal_references() {
    for spelling in [
        "docker.io/nginx:1",
        "docker.io/library/nginx:1",
        "index.docker.io/nginx:1",
        "library/nginx:1",
    ] {
        assert_eq!(parse(spelling), parse("nginx:1"), "{spelling}");
    }
    assert_ne!(parse("nginx:1"), parse("nginx"));
    assert_ne!(parse("Docker.io/library/nginx"), parse("nginx"));
}

/// Strings made of what references are made of, so that a good part of them is valid.
fn reference_like() -> impl Strategy<Value = String> {
    let digest = format!("(@sha256:{}|@sha512:{})?", "[0-9a-f]{64}", "[0-9a-f]{128}");
    let host = r"([a-zA-Z0-9_-]{1,4}(\.[a-zA-Z0-9_-]{1,4}){0,3}(:[0-9]{1,5})?/|\[[0-9a-fA-F:]{1,9}\](:[0-9]{1,5})?/|docker\.io/|localhost/)?";
    let path = r"[a-z0-9]{1,4}((\.|_|__|-{1,3}|/)[a-z0-9]{1,4}){0,5}";
    let tag = r"(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,8})?";
    proptest::string::string_regex(&format!("{host}{path}{tag}{digest}")).expect("a regular expression")
}

proptest! {
    #[test]
    fn never_panics(text in any::<String>()) {
        let _ = ImageReference::parse(&text);
    }

    #[test]
    fn never_panics_on_the_grammars_own_characters(text in r"[a-zA-Z0-9./:@_\[\]é-]{0,80}") {
        let _ = ImageReference::parse(&text);
    }

    #[test]
    fn the_normal_form_is_its_own_normal_form(text in reference_like()) {
        if let Ok(reference) = ImageReference::parse(&text) {
            let normal = reference.to_string();
            let again = ImageReference::parse(&normal);
            prop_assert_eq!(again.as_ref(), Ok(&reference));
            prop_assert_eq!(again.map(|reference| reference.to_string()), Ok(normal));
        }
    }

    #[test]
    fn the_parts_add_up(text in reference_like()) {
        if let Ok(reference) = ImageReference::parse(&text) {
            let (host, path) = reference.host_and_path();
            prop_assert_eq!(format!("{host}/{path}"), reference.name());
            if !reference.registry().is_empty() {
                prop_assert_eq!((reference.registry(), reference.repository()), (host, path));
            }
            prop_assert!(reference.repository().len() <= LONGEST_REPOSITORY);
            prop_assert!(text.ends_with(reference.digest().or(reference.tag()).unwrap_or_default()));
        }
    }
}
