//! What the kubelet's own code says of images and pull secrets, and that ours says the same.
//!
//! The program of the control plane answers, with the packages that the kubelet of its version is built from. Every row
//! of the tables is asked of both sides, and so are thousands of generated cases, the same ones each time. The first
//! difference among these shrinks to a small one. `PROPTEST_CASES` asks for another number of cases, and
//! `PROPTEST_RNG_SEED` for others.

mod generate;
mod tables;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullkey::credentials::file::{self, Source};
use pullkey::credentials::{DockerConfig, Keyring};
use pullkey::image::ImageReference;
use pullkey::rules::{Kind, Mode, Namespace, NamespaceSelection, Rule, RuleSet};
use serde::Deserialize;
use serde_json::{Value, json};

use self::generate::Secret;
use crate::generated::{Extent, compare_generated};
use crate::harness;

/// From the seed that every run begins with unless it is told another.
const fn extent(cases: u32) -> Extent {
    Extent {
        cases,
        seed: 4,
        shrinks: 20_000,
    }
}

/// A conversation with the kubelet's code.
struct Oracle {
    program: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What it says.
#[derive(Debug, Deserialize)]
struct Answer {
    /// Why no image is pulled at all.
    refusal: Option<String>,
    #[serde(default)]
    images: Vec<ImageAnswer>,
}

/// What it says of one image.
#[derive(Debug, Deserialize)]
struct ImageAnswer {
    /// Why it is none.
    refusal: Option<String>,
    #[serde(flatten)]
    form: Option<NormalForm>,
    #[serde(default)]
    credentials: Vec<Candidate>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct NormalForm {
    name: String,
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// One credential that the kubelet tries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Candidate {
    /// The index of the Secret.
    secret: String,
    #[serde(deserialize_with = "username")]
    username: String,
    #[serde(default, rename = "blank")]
    is_blank: bool,
}

/// On what two sides differ.
struct Difference(String);

impl From<Difference> for String {
    fn from(Difference(difference): Difference) -> Self {
        difference
    }
}

impl Oracle {
    fn start() -> Self {
        let program = harness::control_plane_program();
        let mut program = Command::new(program)
            .arg("oracle")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            questions: program.stdin.take().unwrap(),
            answers: BufReader::new(program.stdout.take().unwrap()),
            program,
        }
    }

    fn ask(&mut self, question: &Value) -> Answer {
        self.questions.write_all(format!("{question}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(!answer.is_empty(), "the oracle ended at {question}");
        serde_json::from_str(&answer).unwrap()
    }

    /// The normal form of a text, if it is an image to both sides.
    fn normalise(&mut self, text: &str) -> Result<Option<NormalForm>, Difference> {
        let answer = self.ask(&json!({"images": [text]})).images.remove(0);
        let ours = ImageReference::parse(text);
        let form = ours.as_ref().ok().map(NormalForm::of);
        if form == answer.form {
            return Ok(form);
        }
        Err(Difference(format!("{text:?}: we say {ours:?}, the kubelet {answer:?}")))
    }

    /// What is tried for each image, `None` for what is no image; or nothing, if the Secrets make the kubelet refuse
    /// the Pod.
    fn credentials(&mut self, secrets: &[Secret], images: &[String]) -> Result<Option<Vec<Tried>>, Difference> {
        let secrets: Vec<_> = secrets.iter().enumerate().map(object).collect();
        let answer = self.ask(&json!({"secrets": secrets, "images": images}));

        let manifest = json!({"apiVersion": "v1", "kind": "List", "items": secrets}).to_string();
        let sources = file::read("secrets.json", manifest.as_bytes()).unwrap().sources;
        let configs: Result<Vec<_>, _> = sources.iter().map(|source| source.config.clone()).collect();
        let configs = match (configs, answer.refusal) {
            (Ok(configs), None) => configs,
            (Err(_), Some(_)) => return Ok(None),
            (ours, theirs) => {
                let ours = ours.err().map(|malformed| malformed.to_string());
                let difference = format!("we refuse the Pod for {ours:?}, the kubelet for {theirs:?}");
                return Err(Difference(difference));
            }
        };
        let (keyring, rules) = (Keyring::new(&configs), rules(&sources));
        let images = images.iter().zip(answer.images);
        let tried = images.map(|(text, answer)| {
            let ours = ImageReference::parse(text);
            match (ours, answer.refusal) {
                (Ok(image), None) => {
                    compare_candidates(&image, &sources, &configs, &keyring, &answer.credentials)?;
                    compare_rules(&image, &rules, &answer.credentials)?;
                    Ok(Some(answer.credentials))
                }
                (Err(_), Some(_)) => Ok(None),
                (ours, theirs) => Err(Difference(format!(
                    "{text:?} is {ours:?} to us, to the kubelet {theirs:?}"
                ))),
            }
        });
        tried.collect::<Result<_, _>>().map(Some)
    }
}

/// What is tried for an image, if it is one.
type Tried = Option<Vec<Candidate>>;

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl NormalForm {
    fn of(image: &ImageReference<'_>) -> Self {
        Self {
            name: image.name().to_owned(),
            registry: image.registry().to_owned(),
            repository: image.repository().to_owned(),
            tag: image.tag().map(str::to_owned),
            digest: image.digest().map(str::to_owned),
        }
    }
}

impl Debug for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The Secret as the API server has it.
fn object((index, secret): (usize, &Secret)) -> Value {
    let mut data = json!({});
    data[secret.key] = json!(STANDARD.encode(&secret.payload));
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": index.to_string()},
        "type": secret.form,
        "data": data,
    })
}

fn username<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let encoded = String::deserialize(deserializer)?;
    let bytes = STANDARD.decode(encoded).map_err(serde::de::Error::custom)?;
    Ok(without_repeats(&String::from_utf8_lossy(&bytes)))
}

/// How many U+FFFD stand for bytes that are no UTF-8 is a matter of taste.
fn without_repeats(text: &str) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    characters.dedup_by(|one, other| *one == '\u{fffd}' && one == other);
    characters.into_iter().collect()
}

/// One rule for each source, with its keys.
fn rules(sources: &[Source]) -> RuleSet {
    let rules = sources.iter().map(|source| {
        let name = &source.secret.as_ref().unwrap().name;
        let config = source.config.as_ref().unwrap();
        Rule {
            kind: Kind::PullSecretRule,
            name: name.clone(),
            namespace: Some("team-a".to_owned()),
            secret: name.clone(),
            mode: Mode::Enforce,
            patterns: Vec::new(),
            exceptions: Vec::new(),
            regex: None,
            derived: config.keys().cloned().collect(),
            namespaces: NamespaceSelection::only("team-a"),
            copy_from: None,
            last_match: None,
        }
    });
    RuleSet::new(rules)
}

fn compare_candidates(
    image: &ImageReference<'_>,
    sources: &[Source],
    configs: &[DockerConfig],
    keyring: &Keyring<'_>,
    theirs: &[Candidate],
) -> Result<(), Difference> {
    let found = keyring.lookup(image);
    let ours = found.iter().map(|candidate| {
        let entries = configs[candidate.source()].entries();
        let entry = entries
            .iter()
            .find(|entry| std::ptr::eq(entry.key(), candidate.key()))
            .unwrap();
        Candidate {
            secret: sources[candidate.source()].secret.as_ref().unwrap().name.clone(),
            username: without_repeats(entry.username()),
            is_blank: entry.is_blank(),
        }
    });
    let mut ours: Vec<_> = ours.collect();
    let mut compared = theirs.to_vec();
    // Spellings of one key in one Secret are to the kubelet in no order, since Go's maps have none.
    let mut start = 0;
    for same in found.chunk_by(|one, other| {
        let place = |candidate: &pullkey::credentials::Candidate<'_>| {
            let key = candidate.key();
            (candidate.source(), key.host().to_owned(), key.path().to_owned())
        };
        place(one) == place(other)
    }) {
        let end = start + same.len();
        for candidates in [&mut ours, &mut compared] {
            if let Some(candidates) = candidates.get_mut(start..end) {
                candidates.sort();
            }
        }
        start = end;
    }
    if ours == compared {
        return Ok(());
    }
    Err(Difference(format!(
        "for {image} we try {ours:?}, the kubelet {theirs:?}"
    )))
}

/// A rule made of a Secret's keys has to apply where the kubelet would use the Secret; and where it would use none, no
/// rule applies. (Beside a better Secret the kubelet needs no fallback to Docker Hub's, but a rule knows its own only.)
fn compare_rules(image: &ImageReference<'_>, rules: &RuleSet, theirs: &[Candidate]) -> Result<(), Difference> {
    let namespace = Namespace {
        name: "team-a",
        labels: None,
    };
    let matches = rules.matches(image, &namespace);
    let ours: BTreeSet<_> = matches.iter().map(|found| found.rule.secret.as_str()).collect();
    let used: BTreeSet<_> = theirs.iter().map(|candidate| candidate.secret.as_str()).collect();
    if used.is_subset(&ours) && used.is_empty() == ours.is_empty() {
        return Ok(());
    }
    let difference = format!("for {image} rules add the Secrets {ours:?}, the kubelet uses {used:?}");
    Err(Difference(difference))
}

#[test]
fn images_normalise_as_the_kubelet_does() {
    let oracle = RefCell::new(Oracle::start());
    for &(text, expected) in tables::IMAGES {
        let form = oracle.borrow_mut().normalise(text).unwrap();
        let name = form
            .as_ref()
            .map(|form| (form.registry.as_str(), form.repository.as_str()));
        assert_eq!(name, expected, "{text:?}");
    }
    for (text, is_valid) in tables::long_images() {
        let form = oracle.borrow_mut().normalise(&text).unwrap();
        assert_eq!(form.is_some(), is_valid, "{text:?}");
    }

    let (images, rest) = (RefCell::new(0), RefCell::new(0));
    compare_generated(&extent(10_000), generate::image(), |text| {
        let form = oracle.borrow_mut().normalise(&text)?;
        *if form.is_some() { &images } else { &rest }.borrow_mut() += 1;
        Ok(())
    });
    assert_both_kinds("images", images.take(), rest.take());
}

#[test]
fn pull_secrets_are_used_as_the_kubelet_does() {
    let oracle = RefCell::new(Oracle::start());
    for &(key, served, others) in tables::KEYS {
        let secret = tables::with_keys(&[key]);
        let images: Vec<_> = served.iter().chain(others).map(|&image| image.to_owned()).collect();
        let tried = oracle.borrow_mut().credentials(&[secret], &images).unwrap().unwrap();
        for (index, (image, tried)) in images.iter().zip(tried).enumerate() {
            let is_served = !tried.expect("an image").is_empty();
            assert_eq!(is_served, index < served.len(), "{key:?} and {image:?}");
        }
    }
    for (claim, secrets, image, expected) in tables::secrets() {
        let tried = oracle.borrow_mut().credentials(&secrets, &[image.to_owned()]).unwrap();
        let tried = tried.map(|mut images| images.remove(0).expect("an image"));
        let usernames = tried
            .as_ref()
            .map(|tried| tried.iter().map(|candidate| candidate.username.as_str()).collect());
        assert_eq!(usernames, expected, "{claim}: {secrets:?}");
    }

    let (refused, read) = (RefCell::new(0), RefCell::new(0));
    let (served, unserved) = (RefCell::new(0), RefCell::new(0));
    let cases = (
        generate::secrets(),
        proptest::collection::vec(generate::pulled_image(), 1..=6),
    );
    compare_generated(&extent(5_000), cases, |(secrets, images)| {
        let Some(tried) = oracle.borrow_mut().credentials(&secrets, &images)? else {
            *refused.borrow_mut() += 1;
            return Ok(());
        };
        *read.borrow_mut() += 1;
        for tried in tried.into_iter().flatten() {
            *if tried.is_empty() { &unserved } else { &served }.borrow_mut() += 1;
        }
        Ok(())
    });
    assert_both_kinds("Pods", read.take(), refused.take());
    assert_both_kinds("images", served.take(), unserved.take());
}

/// Cases of which nearly all are of one kind would prove little.
fn assert_both_kinds(what: &str, good: u32, bad: u32) {
    println!("{good} good and {bad} bad {what}");
    assert!(good > bad / 10 && bad > good / 10, "{good} good and {bad} bad {what}");
}
