//! Any text compiles to rules or to mistakes, which draw nothing on a terminal; the rules match and explain the same.
//!
//! The same command as for `review`, with `fuzz/seeds/rules` for seeds and no dictionary.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pullkey::image::ImageReference;
use pullkey::rules::compile::{Context, compile};
use pullkey::rules::{Match, Namespace, RuleSet};

fuzz_target!(|text: &str| {
    let context = Context {
        own_namespace: "pullkey-system",
        labels: true,
        source_keys: None,
    };
    let compiled = compile(text, "rules.yaml", &context);
    for finding in compiled.mistakes.iter().chain(&compiled.warnings) {
        let shown = finding.to_string();
        assert!(
            !shown
                .chars()
                .any(|character| character.is_control() && character != '\n'),
            "{shown:?}"
        );
    }
    let rules = RuleSet::new(compiled.rules);
    let namespace = Namespace {
        name: "team-a",
        labels: None,
    };
    for image in ["nginx", "ghcr.io/acme/app:v1", "10.0.0.1:5000/a/b", "[::1]:5000/a"] {
        let image = ImageReference::parse(image).unwrap();
        let names = |matches: Vec<Match<'_>>| matches.iter().map(|found| found.rule.name.clone()).collect::<Vec<_>>();
        let explained = rules.explain(&image, &namespace).matches;
        assert_eq!(names(rules.matches(&image, &namespace)), names(explained), "{image}");
    }
});
