//! Patterns against references, sentence by sentence of the pattern language.

use super::{ImagePattern, ImageReference};

fn pattern(text: &str) -> ImagePattern {
    ImagePattern::parse(text)
        .unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
        .pattern
}

#[test]
fn a_pattern_covers_what_its_sentence_says() {
    for (name, text, image, expected) in [
        (
            "a host covers all of its images",
            "ghcr.io",
            "ghcr.io/acme/app:v1",
            true,
        ),
        (
            "a host is no prefix of another",
            "ghcr.io",
            "ghcr.io.evil.example/app",
            false,
        ),
        ("a host is no suffix of another", "ghcr.io", "x.ghcr.io/app", false),
        (
            "a host is no part of a path",
            "ghcr.io",
            "mirror.example/ghcr.io/app",
            false,
        ),
        ("a path covers itself", "ghcr.io/acme", "ghcr.io/acme", true),
        (
            "a path covers what is below",
            "ghcr.io/acme",
            "ghcr.io/acme/app/sub",
            true,
        ),
        (
            "a path covers whole segments",
            "ghcr.io/acme",
            "ghcr.io/acme-private/app",
            false,
        ),
        (
            "a path does not cover what is above",
            "ghcr.io/acme/app",
            "ghcr.io/acme",
            false,
        ),
        (
            "tag and digest do not matter",
            "ghcr.io/acme/app",
            &format!("ghcr.io/acme/app:v1@sha256:{}", "0".repeat(64)),
            true,
        ),
        (
            "a port must be there",
            "registry.example:5000",
            "registry.example/app",
            false,
        ),
        (
            "no port matches no port",
            "registry.example",
            "registry.example:5000/app",
            false,
        ),
        (
            "a port must be equal",
            "registry.example:5000",
            "registry.example:50/app",
            false,
        ),
        (
            "an equal port",
            "registry.example:5000",
            "registry.example:5000/app",
            true,
        ),
        (
            "the default port is a port",
            "registry.example:443",
            "registry.example/app",
            false,
        ),
        (
            "an address with a port",
            "10.10.10.10:443/app",
            "10.10.10.10:443/app:v1",
            true,
        ),
        (
            "a registry port is not a tag",
            "localhost:5000",
            "localhost:5000/app:v1",
            true,
        ),
        ("localhost needs no dot", "localhost", "localhost/app", true),
        (
            "localhost alone is an official image",
            "localhost",
            "localhost:5000",
            false,
        ),
        (
            "a star is a run within a label",
            "*.example.com",
            "a.example.com/app",
            true,
        ),
        (
            "a star never crosses a dot",
            "*.example.com",
            "a.b.example.com/app",
            false,
        ),
        (
            "labels must be equal in number",
            "*.example.com",
            "example.com/app",
            false,
        ),
        (
            "a star may be an empty run",
            "team*.example.com",
            "team.example.com/app",
            true,
        ),
        (
            "stars in several labels",
            "*.dkr.ecr.*.amazonaws.com",
            "123.dkr.ecr.eu-west-1.amazonaws.com/app",
            true,
        ),
        ("stars in one label", "a*b*c.example.com", "aXbYc.example.com/app", true),
        (
            "stars in one label, in order",
            "a*b*c.example.com",
            "aXcYb.example.com/app",
            false,
        ),
        (
            "stars do not overlap",
            "*ab*ab.example.com",
            "ab.example.com/app",
            false,
        ),
        (
            "a glob host with a port",
            "*.example.com:5000",
            "a.example.com:5000/app",
            true,
        ),
        (
            "a glob host wants its port",
            "*.example.com:5000",
            "a.example.com/app",
            false,
        ),
        (
            "a glob host without a port",
            "*.example.com",
            "a.example.com:5000/app",
            false,
        ),
        (
            "a glob host with a path",
            "*.example.com/acme",
            "a.example.com/acme/app",
            true,
        ),
        (
            "a glob host with a path by segments",
            "*.example.com/acme",
            "a.example.com/acme2/app",
            false,
        ),
        ("a star label on a port", "*:5000", "localhost:5000/app", true),
        ("a single label with a capital", "team-*", "team-A/app", true),
        ("case counts in hosts", "ghcr.io", "GHCR.io/app", false),
        ("an upper-case host", "GHCR.io", "GHCR.io/app", true),
        ("a capital makes a host", "MyOrg", "MyOrg/app", true),
        ("an IPv6 host", "[::1]:5000", "[::1]:5000/app", true),
        ("an IPv6 host without port", "[fd00::1]/x", "[fd00::1]/x/y", true),
        ("an IPv6 host is not normalised", "[0::1]:5000", "[::1]:5000/app", false),
        ("IPv6 hosts only literally", "*:5000", "[::1]:5000/app", false),
        (
            "a host that the grammar takes for a path",
            "my_registry.example.com",
            "my_registry.example.com/app",
            true,
        ),
        (
            "the same with a star",
            "my_*.example.com/app",
            "my_registry.example.com/app",
            true,
        ),
        ("everything", "*", "nginx", true),
        ("everything, IPv6", "*", "[::1]:5000/app", true),
        ("an image without host is on Docker Hub", "docker.io", "nginx", true),
        ("and below library", "docker.io/library/nginx", "nginx:1.27", true),
        (
            "an organisation is no official image",
            "docker.io/nginx",
            "nginx",
            false,
        ),
        ("an organisation", "docker.io/nginx", "nginx/nginx-ingress", true),
        ("the legacy alias", "index.docker.io", "nginx", true),
        ("the legacy alias with a path", "index.docker.io/acme", "acme/app", true),
        (
            "the alias in the image",
            "docker.io/acme",
            "index.docker.io/acme/app",
            true,
        ),
        (
            "the key of docker login",
            "https://index.docker.io/v1/",
            "acme/app",
            true,
        ),
        ("no other alias", "registry-1.docker.io", "nginx", false),
        (
            "a host of its own",
            "registry-1.docker.io",
            "registry-1.docker.io/library/nginx",
            true,
        ),
        ("a port is another host", "docker.io", "docker.io:443/acme/app", false),
        ("a glob is no alias", "index.docker.*", "acme/app", false),
        ("a glob covers the normal form", "*.io", "acme/app", true),
    ] {
        let reference = ImageReference::parse(image).unwrap();
        assert_eq!(pattern(text).covers(&reference), expected, "{name}: {text} on {image}");
    }
}

#[test]
fn a_pattern_that_never_matches_says_what_to_write_instead() {
    let no_host = "no image has the host";
    for (text, message, instead) in [
        ("", "the pattern is empty", ""),
        (&"a".repeat(513), "513 characters long, at most 512", ""),
        (" ghcr.io/acme", "no white space", "ghcr.io/acme"),
        ("ghcr.io/acme\n", "no white space", "ghcr.io/acme"),
        ("ghcr.io/acme:v1", "no tag", "ghcr.io/acme"),
        ("ghcr.io/acme:*", "no tag", "ghcr.io/acme"),
        ("ghcr.io/acme/*:*", "no tag", "ghcr.io/acme"),
        ("nginx:latest", "no tag", "docker.io/library/nginx"),
        ("localhost:5000/app:v1", "no tag", "localhost:5000/app"),
        ("ghcr.io/acme@sha256:00", "no digest", "ghcr.io/acme"),
        ("ghcr.io/acme:v1@sha256:00", "no digest", "ghcr.io/acme"),
        ("ghcr.io/acme/*", "a path has no `*`", "ghcr.io/acme"),
        ("ghcr.io/acme/**", "a path has no `*`", "ghcr.io/acme"),
        ("ghcr.io/*/*", "a path has no `*`", "ghcr.io"),
        ("*/*", "a path has no `*`", "*"),
        (
            "ghcr.io/acme-*",
            "a path has no `*`",
            "+list the paths by name, or use `imageRegex` in a ClusterPullSecretRule",
        ),
        (
            "ghcr.io/*/app",
            "a path has no `*`",
            "+list the paths by name, or use `imageRegex` in a ClusterPullSecretRule",
        ),
        ("hub.docker.com", "is a web site", "docker.io"),
        ("hub.docker.com/r/acme/app", "is a web site", "docker.io/acme/app"),
        ("https://hub.docker.com/_/nginx", "no scheme", "docker.io/library/nginx"),
        ("registry.hub.docker.com/acme", "is a web site", "docker.io/acme"),
        ("https://ghcr.io", "no scheme", "ghcr.io"),
        ("http://user:token@ghcr.io/acme/", "no scheme", "ghcr.io/acme"),
        ("oci://ghcr.io/acme", "no scheme", "ghcr.io/acme"),
        ("docker://nginx", "no scheme", "docker.io/library/nginx"),
        ("https://registry.example/v2/", "no scheme", "registry.example"),
        ("https://index.docker.io/v1", "no scheme", "index.docker.io"),
        (
            "index.docker.io/v1/",
            "neither begins nor ends with `/`",
            "index.docker.io/v1",
        ),
        ("ghcr.io/", "neither begins nor ends with `/`", "ghcr.io"),
        ("/acme", "neither begins nor ends with `/`", "docker.io/library/acme"),
        ("ghcr.io//acme", "no empty segment", "ghcr.io/acme"),
        ("ghcr..io", "no empty label", "ghcr.io"),
        ("ghcr.io.", "no empty label", "ghcr.io"),
        (".example.com", "no empty label", "*.example.com"),
        ("**.example.com", "a `*` stays within one host label", "*.example.com"),
        ("**", "a `*` stays within one host label", "*"),
        ("registry.example:*", "a port has no `*`", ""),
        ("*:*", "a port has no `*`", ""),
        ("[fd00::*]:5000", "an IPv6 host has no `*`", ""),
        ("nginx", no_host, "docker.io/library/nginx"),
        ("acme/app", no_host, "docker.io/acme/app"),
        ("acme/sub/app", no_host, "docker.io/acme/sub/app"),
        ("registry.example:", no_host, ""),
        ("registry.example:port/app", no_host, ""),
        ("-registry.example", no_host, ""),
        ("*-.example.com", no_host, ""),
        ("my_registry.example.com:5000", no_host, ""),
        ("My_registry.example.com", no_host, ""),
        ("::1/app", no_host, ""),
        ("ghcr.io/Acme", "a capital in its path", "ghcr.io/acme"),
        ("ghcr.io/acme..app", "`acme..app` is not a path segment", ""),
        (&format!("ghcr.io/{}", "a".repeat(256)), "at most 255 are allowed", ""),
    ] {
        let mistake = ImagePattern::parse(text).expect_err(text);
        assert!(mistake.message.contains(message), "{text}: {mistake}");
        let hint = mistake.hint.unwrap_or_default();
        let expected = match instead {
            "" => String::new(),
            _ if instead.starts_with('+') => instead[1..].to_owned(),
            _ => format!("write `{instead}`"),
        };
        assert_eq!(hint, expected, "{text}");
    }
}

#[test]
fn a_user_in_a_pattern_is_not_repeated() {
    let mistake = ImagePattern::parse("https://user:hunter2@ghcr.io/acme").unwrap_err();
    assert!(!format!("{mistake:?}").contains("hunter2"));
}

#[test]
fn surprising_patterns_carry_a_warning() {
    for (text, expected) in [
        ("registry-1.docker.io", "is a registry of its own"),
        ("registry-1.docker.io/acme", "is a registry of its own"),
        ("docker.io/nginx", "an official image is `docker.io/library/nginx`"),
        (
            "index.docker.io/nginx",
            "an official image is `docker.io/library/nginx`",
        ),
    ] {
        let warning = ImagePattern::parse(text).unwrap().warning.unwrap_or_default();
        assert!(warning.contains(expected), "{text}: {warning}");
    }
    for text in [
        "docker.io",
        "docker.io/library",
        "docker.io/library/nginx",
        "docker.io/acme/app",
        "ghcr.io/nginx",
        "*",
    ] {
        assert_eq!(ImagePattern::parse(text).unwrap().warning, None, "{text}");
    }
}

#[test]
fn a_pattern_is_shown_as_written() {
    for text in [
        "https://index.docker.io/v1/",
        "index.docker.io/acme",
        "ghcr.io/acme",
        "*",
        "*.example.com:5000/a",
    ] {
        assert_eq!(pattern(text).to_string(), text);
    }
}

#[test]
fn the_most_specific_comes_first() {
    let ascending = [
        "b.example.com/acme/app/sub",
        "a.example.com/acme/app",
        "b.example.com/acme/app",
        "b.example.com/acme",
        "a.example.com",
        "b.example.com",
        "*.example.com/acme",
        "a*.example.com",
        "*.*.com/acme",
        "*.*.com",
        "**",
        "*",
    ];
    let patterns: Vec<ImagePattern> = ascending
        .iter()
        .filter(|text| **text != "**")
        .map(|text| pattern(text))
        .collect();
    for pair in patterns.windows(2) {
        assert!(
            pair[0].specificity() < pair[1].specificity(),
            "{} before {}",
            pair[0],
            pair[1]
        );
    }
    assert_eq!(
        pattern("ghcr.io/a").specificity(),
        pattern("ghcr.io/b").specificity(),
        "paths of equal length are equal"
    );
    assert_eq!(
        pattern("docker.io").specificity(),
        pattern("index.docker.io").specificity()
    );
    let stages = [
        super::Specificity::Derived,
        super::Specificity::Regex,
        super::Specificity::Everything,
    ];
    assert!(pattern("*.*.com").specificity() < stages[0]);
    assert!(stages.is_sorted_by(|a, b| a < b));
}
