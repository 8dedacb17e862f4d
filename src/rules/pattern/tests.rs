//! Patterns against references, sentence by sentence of the pattern language.

use super::{ImagePattern, ImageReference};

fn pattern(text: &str) -> ImagePattern {
    ImagePattern::parse(text)
        .unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
        .pattern
}

/// What a row shows | the pattern | whether it covers | the image.
const COVERED: &str = "
a host covers all of its images          | ghcr.io                     | yes | ghcr.io/acme/app:v1
a host is no prefix of another           | ghcr.io                     | no  | ghcr.io.evil.example/app
a host is no suffix of another           | ghcr.io                     | no  | x.ghcr.io/app
a host is no part of a path              | ghcr.io                     | no  | mirror.example/ghcr.io/app
a path covers itself                     | ghcr.io/acme                | yes | ghcr.io/acme
a path covers what is below              | ghcr.io/acme                | yes | ghcr.io/acme/app/sub
a path covers whole segments             | ghcr.io/acme                | no  | ghcr.io/acme-private/app
a path does not cover what is above      | ghcr.io/acme/app            | no  | ghcr.io/acme
tag and digest do not matter             | ghcr.io/acme/app            | yes | ghcr.io/acme/app:v1@sha256:0000000000000000000000000000000000000000000000000000000000000000
a port must be there                     | registry.example:5000       | no  | registry.example/app
no port matches no port                  | registry.example            | no  | registry.example:5000/app
a port must be equal                     | registry.example:5000       | no  | registry.example:50/app
an equal port                            | registry.example:5000       | yes | registry.example:5000/app
the default port is a port               | registry.example:443        | no  | registry.example/app
an address with a port                   | 10.10.10.10:443/app         | yes | 10.10.10.10:443/app:v1
a registry port is not a tag             | localhost:5000              | yes | localhost:5000/app:v1
localhost needs no dot                   | localhost                   | yes | localhost/app
localhost alone is an official image     | localhost                   | no  | localhost:5000
a star is a run within a label           | *.example.com               | yes | a.example.com/app
a star never crosses a dot               | *.example.com               | no  | a.b.example.com/app
labels must be equal in number           | *.example.com               | no  | example.com/app
a star may be an empty run               | team*.example.com           | yes | team.example.com/app
stars in several labels                  | *.dkr.ecr.*.amazonaws.com   | yes | 123.dkr.ecr.eu-west-1.amazonaws.com/app
stars in one label                       | a*b*c.example.com           | yes | aXbYc.example.com/app
stars in one label, in order             | a*b*c.example.com           | no  | aXcYb.example.com/app
stars do not overlap                     | *ab*ab.example.com          | no  | ab.example.com/app
a glob host with a port                  | *.example.com:5000          | yes | a.example.com:5000/app
a glob host wants its port               | *.example.com:5000          | no  | a.example.com/app
a glob host without a port               | *.example.com               | no  | a.example.com:5000/app
a glob host with a path                  | *.example.com/acme          | yes | a.example.com/acme/app
a glob host with a path by segments      | *.example.com/acme          | no  | a.example.com/acme2/app
a star label on a port                   | *:5000                      | yes | localhost:5000/app
a single label with a capital            | team-*                      | yes | team-A/app
case counts in hosts                     | ghcr.io                     | no  | GHCR.io/app
an upper-case host                       | GHCR.io                     | yes | GHCR.io/app
a capital makes a host                   | MyOrg                       | yes | MyOrg/app
an IPv6 host                             | [::1]:5000                  | yes | [::1]:5000/app
an IPv6 host without port                | [fd00::1]/x                 | yes | [fd00::1]/x/y
an IPv6 host is not normalised           | [0::1]:5000                 | no  | [::1]:5000/app
IPv6 hosts only literally                | *:5000                      | no  | [::1]:5000/app
a host that the grammar takes for a path | my_registry.example.com     | yes | my_registry.example.com/app
the same with a star                     | my_*.example.com/app        | yes | my_registry.example.com/app
everything                               | *                           | yes | nginx
everything, IPv6                         | *                           | yes | [::1]:5000/app
an image without host is on Docker Hub   | docker.io                   | yes | nginx
and below library                        | docker.io/library/nginx     | yes | nginx:1.27
an organisation is no official image     | docker.io/nginx             | no  | nginx
an organisation                          | docker.io/nginx             | yes | nginx/nginx-ingress
the legacy alias                         | index.docker.io             | yes | nginx
the legacy alias with a path             | index.docker.io/acme        | yes | acme/app
the alias in the image                   | docker.io/acme              | yes | index.docker.io/acme/app
the key of docker login                  | https://index.docker.io/v1/ | yes | acme/app
no other alias                           | registry-1.docker.io        | no  | nginx
a host of its own                        | registry-1.docker.io        | yes | registry-1.docker.io/library/nginx
a port is another host                   | docker.io                   | no  | docker.io:443/acme/app
a glob is no alias                       | index.docker.*              | no  | acme/app
a glob covers the normal form            | *.io                        | yes | acme/app
";

#[test]
fn a_pattern_covers_what_its_sentence_says() {
    for [name, text, expected, image] in rows(COVERED) {
        let reference = ImageReference::parse(image).unwrap();
        let covers = if pattern(text).covers(&reference) { "yes" } else { "no" };
        assert_eq!(covers, expected, "{name}: {text} on {image}");
    }
}

/// The pattern | what the message says | the hint.
const REFUSED: &str = "
ghcr.io/acme:v1                 | no tag                            | write `ghcr.io/acme`
ghcr.io/acme:*                  | no tag                            | write `ghcr.io/acme`
ghcr.io/acme/*:*                | no tag                            | write `ghcr.io/acme`
nginx:latest                    | no tag                            | write `docker.io/library/nginx`
localhost:5000/app:v1           | no tag                            | write `localhost:5000/app`
ghcr.io/acme@sha256:00          | no digest                         | write `ghcr.io/acme`
ghcr.io/acme:v1@sha256:00       | no digest                         | write `ghcr.io/acme`
ghcr.io/acme/*                  | a path has no `*`                 | write `ghcr.io/acme`
ghcr.io/acme/**                 | a path has no `*`                 | write `ghcr.io/acme`
ghcr.io/*/*                     | a path has no `*`                 | write `ghcr.io`
*/*                             | a path has no `*`                 | write `*`
ghcr.io/acme-*                  | a path has no `*`                 | list the paths by name, or use `imageRegex` in a ClusterPullSecretRule
ghcr.io/*/app                   | a path has no `*`                 | list the paths by name, or use `imageRegex` in a ClusterPullSecretRule
hub.docker.com                  | is a web site                     | write `docker.io`
hub.docker.com/r/acme/app       | is a web site                     | write `docker.io/acme/app`
https://hub.docker.com/_/nginx  | no scheme                         | write `docker.io/library/nginx`
registry.hub.docker.com/acme    | is a web site                     | write `docker.io/acme`
https://ghcr.io                 | no scheme                         | write `ghcr.io`
http://user:token@ghcr.io/acme/ | no scheme                         | write `ghcr.io/acme`
oci://ghcr.io/acme              | no scheme                         | write `ghcr.io/acme`
docker://nginx                  | no scheme                         | write `docker.io/library/nginx`
https://registry.example/v2/    | no scheme                         | write `registry.example`
https://index.docker.io/v1      | no scheme                         | write `index.docker.io`
index.docker.io/v1/             | neither begins nor ends with `/`  | write `index.docker.io`
ghcr.io/                        | neither begins nor ends with `/`  | write `ghcr.io`
/acme                           | neither begins nor ends with `/`  | write `docker.io/library/acme`
ghcr.io//acme                   | no empty segment                  | write `ghcr.io/acme`
ghcr..io                        | no empty label                    | write `ghcr.io`
ghcr.io.                        | no empty label                    | write `ghcr.io`
.example.com                    | no empty label                    | write `*.example.com`
**.example.com                  | a `*` stays within one host label | write `*.example.com`
**                              | a `*` stays within one host label | write `*`
registry.example:*              | a port has no `*`                 | -
*:*                             | a port has no `*`                 | -
[fd00::*]:5000                  | an IPv6 host has no `*`           | -
nginx                           | no image has the host             | write `docker.io/library/nginx`
acme/app                        | no image has the host             | write `docker.io/acme/app`
acme/sub/app                    | no image has the host             | write `docker.io/acme/sub/app`
registry.example:               | no image has the host             | -
registry.example:port/app       | no image has the host             | -
-registry.example               | no image has the host             | -
*-.example.com                  | no image has the host             | -
my_registry.example.com:5000    | no image has the host             | -
My_registry.example.com         | no image has the host             | -
::1/app                         | no image has the host             | -
ghcr.io/Acme                    | a capital in its path             | write `ghcr.io/acme`
ghcr.io/acme..app               | `acme..app` is not a path segment | -
";

#[test]
fn a_pattern_that_never_matches_says_what_to_write_instead() {
    for [text, message, hint] in rows(REFUSED) {
        assert_refused(text, message, hint);
    }
    assert_refused("", "the pattern is empty", "-");
    assert_refused(" ghcr.io/acme", "no white space", "write `ghcr.io/acme`");
    assert_refused("ghcr.io/acme\n", "no white space", "write `ghcr.io/acme`");
    assert_refused(&"a".repeat(513), "513 characters long, at most 512", "-");
    assert_refused(&format!("ghcr.io/{}", "a".repeat(256)), "at most 255 are allowed", "-");
}

fn assert_refused(text: &str, message: &str, hint: &str) {
    let mistake = ImagePattern::parse(text).expect_err(text);
    assert!(mistake.message.contains(message), "{text}: {mistake}");
    assert_eq!(mistake.hint.as_deref().unwrap_or("-"), hint, "{text}");
}

/// The rows of a table, cell by cell.
fn rows<const CELLS: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; CELLS]> {
    let rows = table.lines().filter(|line| !line.is_empty());
    rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>().try_into().expect(row))
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

/// Each of these once looked for ever for what to write instead.
#[test]
fn a_repair_that_repairs_nothing_ends() {
    for text in [":5000/a", ":5000", ":", "*:", ".:5000", "..", "@", "://", "/:/"] {
        assert!(ImagePattern::parse(text).is_err(), "{text}");
    }
}

proptest::proptest! {
    /// Also where one mistake is on top of another; and a hint is only given for what then passes.
    #[test]
    fn no_text_is_too_odd(text in "[:/.*@\\[\\]aA0_ -]{0,24}|(https?://)?(hub\\.|index\\.)?docker\\.(com|io)[:/.*@a0]{0,8}") {
        if let Err(mistake) = ImagePattern::parse(&text)
            && let Some(instead) = mistake.hint.as_deref().and_then(|hint| hint.strip_prefix("write `"))
        {
            proptest::prop_assert!(ImagePattern::parse(instead.trim_end_matches('`')).is_ok(), "{} for {}", instead, text);
        }
    }
}
