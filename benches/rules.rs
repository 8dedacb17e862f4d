//! What a decision costs against the number of rules.
//!
//! ```text
//! cargo bench --bench rules --no-default-features                   # time, build time and resident memory
//! cargo bench --bench rules --no-default-features -- instructions   # instructions, which repeat (needs valgrind)
//! ```
//!
//! For each way in which rules can differ (their hosts, their paths, where the star stands, their namespaces) the same
//! few images are decided over 10, 1,000 and 100,000 rules. Every measurement is a process of its own, so that none
//! profits from the memory of another. The last column is what decides: the cost over 100,000 rules in that over 10.
#![expect(clippy::print_stdout, reason = "a bench talks to the terminal")]

use std::env;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use pullkey::credentials::Key;
use pullkey::image::ImageReference;
use pullkey::rules::namespaces::NamespaceTerms;
use pullkey::rules::{ImagePattern, Kind, Mode, Namespace, NamespaceSelection, Rule, RuleSet};

type Outcome<T> = Result<T, Box<dyn Error>>;

const COUNTS: [usize; 3] = [10, 1_000, 100_000];
/// The namespace of all decisions; in every set some rule is for it.
const NAMESPACE: &str = "team-7";
/// Decisions of an instruction count, each over all images of the shape.
const COUNTED: usize = 200;

/// One way in which rules differ.
struct Shape {
    name: &'static str,
    /// What the rule of a number covers.
    pattern: fn(usize) -> String,
    /// An image that only this rule covers.
    image: fn(usize) -> String,
    made: Made,
}

/// What else the rules are.
#[derive(PartialEq)]
enum Made {
    /// Cluster rules for all namespaces.
    Cluster,
    /// The same, from the keys of a source.
    Derived,
    /// Cluster rules, each for one namespace.
    ClusterForOne,
    /// Namespaced rules.
    Namespaced,
}

const SHAPES: &[Shape] = &[
    cluster(
        "hosts",
        |n| format!("registry-{n}.example.com"),
        |n| format!("registry-{n}.example.com/acme/app"),
    ),
    cluster(
        "paths of one host",
        |n| format!("ghcr.io/team-{n}"),
        |n| format!("ghcr.io/team-{n}/app/sub"),
    ),
    cluster(
        "deep paths",
        |n| format!("ghcr.io/acme/team-{n}/app"),
        |n| format!("ghcr.io/acme/team-{n}/app/sub"),
    ),
    cluster(
        "*.zone-N",
        |n| format!("*.zone-{n}.example.com"),
        |n| format!("a.zone-{n}.example.com/app"),
    ),
    cluster(
        "zone-N.*",
        |n| format!("zone-{n}.*.example.com"),
        |n| format!("zone-{n}.a.example.com/app"),
    ),
    cluster(
        "team-N-*",
        |n| format!("team-{n}-*.example.com"),
        |n| format!("team-{n}-a.example.com/app"),
    ),
    cluster(
        "*-N",
        |n| format!("*-{n}.example.com"),
        |n| format!("team-{n}.example.com/app"),
    ),
    cluster(
        "*-N-*",
        |n| format!("*-{n}-*.example.com"),
        |n| format!("team-{n}-a.example.com/app"),
    ),
    cluster(
        "last label",
        |n| format!("a.example.zone{n}-*"),
        |n| format!("a.example.zone{n}-x/app"),
    ),
    cluster("stars everywhere", stars_everywhere, |n| {
        format!("a-{n}-b.zone-{n}.example.com/app")
    }),
    Shape {
        made: Made::Derived,
        ..cluster(
            "keys of sources",
            |n| format!("ghcr.io/team-{n}/"),
            |n| format!("ghcr.io/team-{n}/app"),
        )
    },
    Shape {
        made: Made::ClusterForOne,
        ..cluster(
            "namespaces",
            |_| "ghcr.io".to_owned(),
            |n| format!("ghcr.io/team-{n}/app"),
        )
    },
    Shape {
        made: Made::Namespaced,
        ..cluster("tenants", |_| "ghcr.io".to_owned(), |n| format!("ghcr.io/team-{n}/app"))
    },
];

const fn cluster(name: &'static str, pattern: fn(usize) -> String, image: fn(usize) -> String) -> Shape {
    Shape {
        name,
        pattern,
        image,
        made: Made::Cluster,
    }
}

fn stars_everywhere(number: usize) -> String {
    match number % 5 {
        0 => format!("*.zone-{number}.example.com"),
        1 => format!("a-{number}-*.*.example.com"),
        2 => format!("*-{number}-b.*.example.com"),
        3 => format!("*-{number}-*.zone-*.example.com"),
        _ => format!("a-{number}-b.zone-*.*.com"),
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => table("ns per image | build ms | rules MiB | index MiB", |shape, count| {
            run(&mut this()?, "measure", shape, count)
        }),
        ["instructions"] => table("instructions per image", instructions),
        ["measure", shape, count] => measure(shape.parse()?, count.parse()?),
        ["count", shape, count] => {
            let (rules, images) = (
                RuleSet::new(rules(shape.parse()?, count.parse()?)?),
                images(shape.parse()?)?,
            );
            let decided: usize = (0..COUNTED).map(|_| decide(&rules, &images)).sum();
            println!("{decided}");
            Ok(())
        }
        _ => Err("either nothing or `instructions`".into()),
    }
}

/// Prints what is measured for every shape and count, and the ratio of the first numbers.
fn table(heading: &str, mut measure: impl FnMut(usize, usize) -> Outcome<String>) -> Outcome<()> {
    println!("{:<18} {:>8}  {heading}", "shape", "rules");
    for (index, shape) in SHAPES.iter().enumerate() {
        let mut costs: Vec<f64> = Vec::new();
        for count in COUNTS {
            let row = measure(index, count)?;
            costs.extend(row.split_whitespace().next().map(str::parse::<f64>).transpose()?);
            println!("{:<18} {count:>8}  {row}", shape.name);
        }
        if let (Some(few), Some(many)) = (costs.first(), costs.last()) {
            println!("{:<18} {:>8}  {:.2}", shape.name, "ratio", many / few);
        }
    }
    Ok(())
}

fn this() -> Outcome<Command> {
    Ok(Command::new(env::current_exe()?))
}

fn run(command: &mut Command, mode: &str, shape: usize, count: usize) -> Outcome<String> {
    let output = command.args([mode, &shape.to_string(), &count.to_string()]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

/// Counts what [`decide`] executes, and nothing else.
fn instructions(shape: usize, count: usize) -> Outcome<String> {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=*decide*",
        ])
        .arg(env::current_exe()?);
    let output = run(&mut valgrind, "count", shape, count)?;
    let collected = output
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .ok_or("valgrind says no count")?
        .1;
    let images = images(shape)?.len();
    Ok((collected.trim().parse::<usize>()? / COUNTED / images).to_string())
}

/// Prints one row of the table of times.
fn measure(shape: usize, count: usize) -> Outcome<()> {
    let images = images(shape)?;
    let empty = resident()?;
    let rules = rules(shape, count)?;
    let unfiled = resident()?;
    let start = Instant::now();
    let rules = RuleSet::new(rules);
    let build = start.elapsed();
    let filed = resident()?;
    let mut batches: Vec<Duration> = (0..101).map(|_| time(&rules, &images)).collect();
    batches.sort_unstable();
    let median = batches.get(batches.len() / 2).ok_or("no batch")?.as_nanos() / (100 * images.len() as u128);
    let mib = |pages: usize| format!("{}.{}", pages / 256, pages % 256 * 10 / 256);
    println!(
        "{median} | {:.1} | {} | {}",
        build.as_secs_f64() * 1e3,
        mib(unfiled - empty),
        mib(filed - unfiled)
    );
    Ok(())
}

fn time(rules: &RuleSet, images: &[ImageReference<'_>]) -> Duration {
    let start = Instant::now();
    for _ in 0..100 {
        black_box(decide(rules, images));
    }
    start.elapsed()
}

/// How many rules apply to the images.
#[inline(never)]
fn decide(rules: &RuleSet, images: &[ImageReference<'_>]) -> usize {
    let namespace = Namespace {
        name: NAMESPACE,
        labels: None,
    };
    images
        .iter()
        .map(|image| rules.matches(black_box(image), &namespace).len())
        .sum()
}

/// The rules of a shape, as many as wanted.
fn rules(shape: usize, count: usize) -> Outcome<Vec<Rule>> {
    let shape = SHAPES.get(shape).ok_or("no such shape")?;
    (0..count).map(|number| rule(shape, number)).collect()
}

fn rule(shape: &Shape, number: usize) -> Outcome<Rule> {
    let pattern = (shape.pattern)(number);
    let team = format!("team-{number}");
    let namespace = (shape.made == Made::Namespaced).then(|| team.clone());
    let included = if shape.made == Made::ClusterForOne { &team } else { "*" };
    let terms = NamespaceTerms {
        include: Some(vec![included.to_owned()]),
        ..NamespaceTerms::default()
    };
    let cluster = || NamespaceSelection::new(terms, "pullkey").map_err(|problems| format!("{problems:?}"));
    let is_derived = shape.made == Made::Derived;
    Ok(Rule {
        kind: if namespace.is_some() {
            Kind::PullSecretRule
        } else {
            Kind::ClusterPullSecretRule
        },
        name: format!("rule-{number}"),
        secret: format!("secret-{number}"),
        mode: Mode::Enforce,
        patterns: if is_derived {
            vec![]
        } else {
            vec![ImagePattern::parse(&pattern)?.pattern]
        },
        exceptions: vec![],
        regex: None,
        derived: if is_derived {
            Key::parse(&pattern).into_iter().collect()
        } else {
            vec![]
        },
        namespaces: namespace
            .as_deref()
            .map_or_else(cluster, |own| Ok(NamespaceSelection::only(own)))?,
        namespace,
        copy_from: None,
        last_match: None,
    })
}

/// Three images that a rule of every count covers, one that only some rule of the largest does or none, and three that
/// look like nothing in the rules.
fn images(shape: usize) -> Outcome<Vec<ImageReference<'static>>> {
    let shape = SHAPES.get(shape).ok_or("no such shape")?;
    let mut texts: Vec<String> = [3, 5, 7, 123_456].into_iter().map(shape.image).collect();
    texts.extend(
        [
            "nginx:1.27",
            "10.10.10.10:5000/acme/app",
            "quay.io/acme/team-3/app@sha256:",
        ]
        .map(str::to_owned),
    );
    texts
        .iter_mut()
        .filter(|text| text.ends_with(':'))
        .for_each(|text| text.push_str(&"0".repeat(64)));
    let leaked = texts.into_iter().map(|text| ImageReference::parse(text.leak()));
    Ok(leaked.collect::<Result<_, _>>()?)
}

/// Pages of 4 KiB that the process holds.
fn resident() -> Outcome<usize> {
    Ok(fs::read_to_string("/proc/self/statm")?
        .split_whitespace()
        .nth(1)
        .ok_or("no resident size")?
        .parse()?)
}
