use super::*;
use crate::rules::overlap::overlaps;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

const CONTEXT: Context<'_> = Context {
    own_namespace: "pullkey",
    labels: false,
    source_keys: None,
};

/// Files in memory. A directory is a path that ends in `/` or one that has files.
#[derive(Default)]
struct Shelf {
    files: BTreeMap<PathBuf, Vec<u8>>,
    unreadable: BTreeSet<PathBuf>,
    directories: BTreeSet<PathBuf>,
    reads: Cell<usize>,
}

impl Storage for Shelf {
    fn list(&self, path: &Path) -> io::Result<Option<Vec<PathBuf>>> {
        if self.files.contains_key(path) {
            return Ok(None);
        }
        let inside: Vec<_> = self
            .files
            .keys()
            .filter(|file| file.parent() == Some(path))
            .cloned()
            .collect();
        if inside.is_empty() && !self.directories.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Some(inside))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.reads.set(self.reads.get() + 1);
        if self.unreadable.contains(path) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let bytes = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        let limit = usize::try_from(limit).unwrap();
        Ok(bytes.get(..limit).unwrap_or(bytes).to_owned())
    }
}

impl Shelf {
    fn put(&mut self, path: &str, text: impl AsRef<[u8]>) {
        self.files.insert(path.into(), text.as_ref().to_owned());
    }

    fn remove(&mut self, path: &str) {
        self.files.remove(Path::new(path));
    }
}

/// A text with cluster rules of these names; the part after a `=` is the secret's name.
fn rules(names: &str) -> String {
    let documents = names.split_whitespace().map(|name| {
        let (name, secret) = name.split_once('=').unwrap_or((name, "s"));
        format!(
            "apiVersion: pullkey.dev/v1alpha1\nkind: ClusterPullSecretRule\nmetadata:\n  name: {name}\n\
             spec: {{images: [a.example], namespaces: {{include: ['*']}}, secret: {{name: {secret}}}}}\n---\n"
        )
    });
    documents.collect::<Vec<_>>().concat()
}

/// The names of the rules in force, with their secrets where they are not the usual one.
fn in_force(loaded: &Loaded) -> String {
    let names = loaded
        .rules
        .iter()
        .flat_map(|set| set.rules())
        .map(|rule| match rule.secret.as_str() {
            "s" => rule.name.clone(),
            secret => format!("{}={secret}", rule.name),
        });
    names.collect::<Vec<_>>().join(" ")
}

fn statuses(loaded: &Loaded) -> String {
    let status = |report: &FileReport| match report.status {
        FileStatus::InForce => "good",
        FileStatus::LastGood => "kept",
        FileStatus::Refused => "refused",
    };
    loaded
        .files
        .iter()
        .map(|file| format!("{}:{}", file.file, status(file)))
        .collect::<Vec<_>>()
        .join(" ")
}

fn places(loaded: &Loaded) -> Vec<String> {
    let place = |mistake: &Diagnostic| match mistake.position {
        Some(position) => format!("{}:{position} {}", mistake.file, mistake.message),
        None => format!("{} {}", mistake.file, mistake.message),
    };
    loaded.mistakes.iter().map(place).collect()
}

fn load(files: &mut RuleFiles, shelf: &Shelf) -> Loaded {
    files.load(shelf, &CONTEXT)
}

fn rule_files(paths: &[&str]) -> RuleFiles {
    RuleFiles::new(paths.iter().map(PathBuf::from).collect())
}

#[test]
fn a_directory_is_its_rules_files_in_order() {
    let mut shelf = Shelf::default();
    for (path, names) in [
        ("d/b.yml", "b"),
        ("d/a.yaml", "a"),
        ("d/c.json", "c"),
        ("d/.hidden.yaml", "x"),
        ("d/README.md", "x"),
        ("d/yaml", "x"),
        ("d/sub/x.yaml", "x"),
        ("other", "o"),
    ] {
        shelf.put(path, rules(names));
    }
    let loaded = load(&mut rule_files(&["other", "d"]), &shelf);
    assert_eq!(statuses(&loaded), "other:good d/a.yaml:good d/b.yml:good d/c.json:good");
    assert_eq!(in_force(&loaded), "a b c o");
    assert_eq!(places(&loaded), [""; 0]);
}

#[test]
fn at_start_good_files_come_into_force_and_bad_ones_are_named() {
    let mut shelf = Shelf::default();
    shelf.put("good", rules("a"));
    shelf.put("bad", "a: [");
    shelf.put("empty", "");
    shelf.put("bytes", b"a: 1\nb: \xff");
    shelf.directories.insert("none".into());
    let mut files = rule_files(&["good", "bad", "empty", "gone", "none", "bytes"]);
    let loaded = load(&mut files, &shelf);
    assert_eq!(
        statuses(&loaded),
        "good:good bad:refused empty:refused gone:refused none:refused bytes:refused"
    );
    assert_eq!(in_force(&loaded), "a");
    assert_eq!(
        places(&loaded),
        [
            "bad:2:1 this is no YAML or JSON: while parsing a node, did not find expected node content",
            "empty there is no rule in this file",
            "gone this cannot be read: entity not found",
            "none there is no file of rules in this directory",
            "bytes:2:4 this is no UTF-8 text",
        ]
    );
    assert!(load(&mut rule_files(&["bad", "gone"]), &shelf).rules.is_none());
}

#[test]
fn a_bad_edit_keeps_what_the_file_said() {
    let too_large = "#".repeat((32 << 20) + 1);
    let misspelled = rules("a").replace("secret", "sekret");
    for (name, edit) in [
        ("syntax", Some("a: [")),
        ("mistake", Some(misspelled.as_str())),
        ("emptied", Some("")),
        ("only comments", Some("# a\n---\n")),
        ("too large", Some(too_large.as_str())),
        ("unreadable", None),
    ] {
        let mut shelf = Shelf::default();
        shelf.put("d/a.yaml", rules("a"));
        shelf.put("d/b.yaml", rules("b"));
        let mut files = rule_files(&["d"]);
        assert_eq!(in_force(&load(&mut files, &shelf)), "a b", "{name}");

        match edit {
            Some(text) => shelf.put("d/a.yaml", text),
            None => _ = shelf.unreadable.insert("d/a.yaml".into()),
        }
        shelf.put("d/b.yaml", rules("b2"));
        let loaded = load(&mut files, &shelf);
        assert_eq!(in_force(&loaded), "a b2", "{name}");
        assert_eq!(statuses(&loaded), "d/a.yaml:kept d/b.yaml:good", "{name}");
        assert!(!loaded.mistakes.is_empty() && loaded.rules_changed, "{name}");

        let again = load(&mut files, &shelf);
        assert_eq!(
            (again.rules_changed, again.changed, &again.mistakes),
            (false, false, &loaded.mistakes),
            "{name}"
        );

        shelf.unreadable.clear();
        shelf.put("d/a.yaml", rules("a2"));
        let loaded = load(&mut files, &shelf);
        assert_eq!(
            (in_force(&loaded).as_str(), loaded.mistakes.len()),
            ("a2 b2", 0),
            "{name}"
        );
    }
}

#[test]
fn a_path_that_is_gone_or_left_without_files_keeps_its_rules() {
    let mut shelf = Shelf::default();
    shelf.put("file", rules("f"));
    shelf.put("d/a.yaml", rules("a"));
    shelf.put("d/b.yaml", rules("b"));
    let mut files = rule_files(&["file", "d"]);
    assert_eq!(in_force(&load(&mut files, &shelf)), "a b f");

    let full = shelf.files.clone();
    for directory_stays in [true, false] {
        shelf.files.clear();
        shelf.directories.clear();
        if directory_stays {
            shelf.directories.insert("d".into());
        }
        let loaded = load(&mut files, &shelf);
        assert_eq!(in_force(&loaded), "a b f");
        assert_eq!(statuses(&loaded), "file:kept d/a.yaml:kept d/b.yaml:kept");
        assert_eq!(
            (loaded.mistakes.len(), loaded.rules_changed, loaded.changed),
            (2, false, true)
        );
        assert_eq!(loaded.removed, [""; 0]);
    }

    shelf.files = full;
    let loaded = load(&mut files, &shelf);
    assert_eq!(
        (loaded.mistakes.len(), loaded.rules_changed, loaded.changed),
        (0, false, true)
    );
}

#[test]
fn a_file_gone_from_a_directory_that_has_others_takes_its_rules_along() {
    let mut shelf = Shelf::default();
    shelf.put("d/a.yaml", rules("a"));
    shelf.put("d/b.yaml", rules("b"));
    let mut files = rule_files(&["d"]);
    load(&mut files, &shelf);
    shelf.remove("d/a.yaml");
    let loaded = load(&mut files, &shelf);
    assert_eq!(
        (in_force(&loaded).as_str(), loaded.removed.as_slice()),
        ("b", ["d/a.yaml".to_owned()].as_slice())
    );
    assert!(loaded.rules_changed && loaded.mistakes.is_empty());
    assert!(!load(&mut files, &shelf).changed);
}

#[test]
fn content_that_is_the_same_is_not_compiled_again() {
    let mut shelf = Shelf::default();
    shelf.put("a", rules("a"));
    let mut files = rule_files(&["a"]);
    let first = load(&mut files, &shelf);
    assert!(first.rules_changed && first.changed);
    let second = load(&mut files, &shelf);
    assert!(!second.rules_changed && !second.changed && shelf.reads.get() == 2);
    assert!(Arc::ptr_eq(
        first.rules.as_ref().unwrap(),
        second.rules.as_ref().unwrap()
    ));
    assert!(Arc::ptr_eq(
        files.files[0].in_force.as_ref().unwrap(),
        files.files[0].current().unwrap()
    ));
}

#[test]
fn of_two_files_with_one_name_the_later_is_refused() {
    let mut shelf = Shelf::default();
    shelf.put("a", rules("x a"));
    shelf.put("b", rules("b x=other"));
    let loaded = load(&mut rule_files(&["a", "b"]), &shelf);
    assert_eq!(
        (in_force(&loaded).as_str(), statuses(&loaded).as_str()),
        ("a x", "a:good b:refused")
    );
    let [mistake] = loaded.mistakes.as_slice() else {
        panic!()
    };
    assert_eq!(
        mistake.to_string(),
        "error: there is another ClusterPullSecretRule of this name
  --> b:10:9
   = field: metadata.name
   = value: `x`
   = hint: the first one is at a:4:9"
    );
}

/// Each row: files as they were, as they are edited all at once, and what is in force then.
#[test]
fn what_stays_in_force_has_every_name_once() {
    for (case, before, after, expected, expected_statuses) in [
        (
            "a rule moves to a later file",
            ["a x", "b", "c"],
            ["a", "b x=n", "c"],
            "a b c x=n",
            "good good good",
        ),
        (
            "a rule moves to an earlier file",
            ["a", "b x", "c"],
            ["a x=n", "b", "c"],
            "a b c x=n",
            "good good good",
        ),
        (
            "two rules change places",
            ["a", "b", ""],
            ["b=n", "a=n", ""],
            "a=n b=n",
            "good good refused",
        ),
        (
            "a file that stays has the name",
            ["a", "b", "c"],
            ["a b=n", "b", "c"],
            "a b c",
            "kept good good",
        ),
        (
            "a bad file keeps the name it had",
            ["x", "b", "c"],
            ["!", "b x=n", "c"],
            "b c x",
            "kept kept good",
        ),
        (
            "a file that falls back takes others along",
            ["a", "b", "c"],
            // The third takes the first's name only because the second gave up the third's.
            ["b=n", "c=n", "!"],
            "a b c",
            "kept kept kept",
        ),
        (
            "others go on",
            ["a", "b", "c"],
            ["a2", "c=n", "c"],
            "a2 b c",
            "good kept good",
        ),
        (
            "new files that clash with new content",
            ["", "b", ""],
            ["x", "x=n", "y"],
            "b x y",
            "good kept good",
        ),
    ] {
        let mut shelf = Shelf::default();
        let mut files = rule_files(&["1", "2", "3"]);
        for texts in [before, after] {
            for (path, names) in ["1", "2", "3"].into_iter().zip(texts) {
                let text = if names == "!" { "a: [".to_owned() } else { rules(names) };
                shelf.put(path, text);
            }
            let loaded = load(&mut files, &shelf);
            if texts == after {
                let statuses = statuses(&loaded)
                    .split(' ')
                    .map(|part| part.split(':').nth(1).unwrap())
                    .collect::<Vec<_>>()
                    .join(" ");
                assert_eq!(
                    (in_force(&loaded).as_str(), statuses.as_str()),
                    (expected, expected_statuses),
                    "{case}"
                );
            }
        }
    }
}

#[test]
fn a_refused_name_comes_into_force_once_it_is_free() {
    let mut shelf = Shelf::default();
    shelf.put("a", rules("x"));
    shelf.put("b", rules("b"));
    let mut files = rule_files(&["a", "b"]);
    load(&mut files, &shelf);
    shelf.put("b", rules("b x=n"));
    assert_eq!(in_force(&load(&mut files, &shelf)), "b x");
    shelf.put("a", rules("a"));
    let loaded = load(&mut files, &shelf);
    assert_eq!((in_force(&loaded).as_str(), loaded.mistakes.len()), ("a b x=n", 0));
}

#[test]
fn names_shared_with_a_spoiled_file_are_named_at_once() {
    let mut shelf = Shelf::default();
    shelf.put("a", rules("x").replace("secret", "sekret"));
    shelf.put("b", rules("x"));
    let loaded = load(&mut rule_files(&["a", "b"]), &shelf);
    assert_eq!(
        (in_force(&loaded).as_str(), statuses(&loaded).as_str()),
        ("x", "a:refused b:good")
    );
    assert_eq!(
        loaded
            .mistakes
            .iter()
            .map(|mistake| mistake.file.as_str())
            .collect::<Vec<_>>(),
        ["a", "a", "b"]
    );
}

#[test]
fn regexes_are_counted_over_all_files() {
    let with_regexes = |prefix: &str, count: usize| -> String {
        let names: Vec<_> = (0..count).map(|index| format!("{prefix}{index}")).collect();
        rules(&names.join(" ")).replace("images: [a.example]", "imageRegex: a")
    };
    let mut shelf = Shelf::default();
    shelf.put("a", with_regexes("a", 600));
    shelf.put("b", with_regexes("b", 400));
    shelf.put("c", rules("c"));
    let mut files = rule_files(&["a", "b", "c"]);
    assert_eq!(statuses(&load(&mut files, &shelf)), "a:good b:good c:good");
    shelf.put("c", with_regexes("c", 1));
    let loaded = load(&mut files, &shelf);
    assert_eq!(statuses(&loaded), "a:good b:good c:kept");
    assert_eq!(places(&loaded), ["c:5:20 too many rules have an `imageRegex`"]);
    shelf.put("a", with_regexes("a", 599));
    assert_eq!(statuses(&load(&mut files, &shelf)), "a:good b:good c:good");
}

#[test]
fn the_size_of_all_files_is_limited() {
    let mut shelf = Shelf::default();
    for path in ["a", "b", "c"] {
        shelf.put(path, vec![0xff; 30 << 20]);
    }
    shelf.put("d", rules("d"));
    let loaded = load(&mut rule_files(&["a", "b", "c", "d"]), &shelf);
    assert_eq!(in_force(&loaded), "d");
    assert_eq!(
        places(&loaded),
        [
            "a:1:1 this is no UTF-8 text",
            "b:1:1 this is no UTF-8 text",
            "c the files of rules are larger than 64 MiB together",
        ]
    );
}

#[test]
fn mistakes_of_several_files_come_together() {
    let mut shelf = Shelf::default();
    shelf.put("d/a.yaml", rules("A b").replace("a.example", "a.example/x:v1"));
    shelf.put("d/b.yaml", "{");
    shelf.put("d/c.yaml", rules("c"));
    let loaded = load(&mut rule_files(&["d", "gone"]), &shelf);
    let files: Vec<_> = loaded.mistakes.iter().map(|mistake| mistake.file.as_str()).collect();
    assert_eq!(files, ["d/a.yaml", "d/a.yaml", "d/a.yaml", "d/b.yaml", "gone"]);
    assert_eq!(in_force(&loaded), "c");
}

/// A mounted volume: real files in a directory of their own, reached by two links, changed by exchanging one of them.
#[cfg(unix)]
#[test]
fn a_volume_is_read_through_its_links() {
    use std::os::unix::fs::symlink;

    let volume = tempfile::tempdir().unwrap();
    let write = |version: &str, text: &str| {
        std::fs::create_dir(volume.path().join(version)).unwrap();
        std::fs::write(volume.path().join(version).join("rules.yaml"), text).unwrap();
        symlink(version, volume.path().join("..data_tmp")).unwrap();
        std::fs::rename(volume.path().join("..data_tmp"), volume.path().join("..data")).unwrap();
    };
    write("..1", &rules("one"));
    symlink("..data/rules.yaml", volume.path().join("rules.yaml")).unwrap();
    std::fs::create_dir(volume.path().join("folder.yaml")).unwrap();
    let mut files = RuleFiles::new(vec![volume.path().to_owned()]);
    assert_eq!(in_force(&files.load(&Disk, &CONTEXT)), "one");
    write("..2", &rules("two"));
    assert_eq!(in_force(&files.load(&Disk, &CONTEXT)), "two");
    std::fs::remove_dir_all(volume.path().join("..2")).unwrap();
    let loaded = files.load(&Disk, &CONTEXT);
    assert_eq!(
        (in_force(&loaded).as_str(), loaded.files[0].status),
        ("two", FileStatus::LastGood)
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
        let mut shelf = Shelf::default();
        shelf.put("a", bytes);
        prop_assert!(load(&mut rule_files(&["a"]), &shelf).rules.is_none());
    }

    /// Whatever is edited in whatever order: names are unique, good files alone are in force as they are, and a file
    /// that was ever good is never without rules.
    #[test]
    fn no_history_of_edits_breaks_what_is_in_force(
        edits in prop::collection::vec(
            prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "a b", "b c", "c a", "d", "!", ""]), 3),
            1..8,
        )
    ) {
        let mut shelf = Shelf::default();
        let mut files = rule_files(&["1", "2", "3"]);
        let mut was_good = [false; 3];
        for texts in edits {
            for (path, names) in ["1", "2", "3"].into_iter().zip(&texts) {
                shelf.put(path, if *names == "!" { "a: [".to_owned() } else { rules(names) });
            }
            let loaded = load(&mut files, &shelf);
            let names = in_force(&loaded);
            let unique: BTreeSet<_> = names.split_whitespace().collect();
            prop_assert_eq!(unique.len(), names.split_whitespace().count());
            let total: usize = loaded.files.iter().map(|file| file.rules).sum();
            prop_assert_eq!(unique.len(), total);
            for (report, was_good) in loaded.files.iter().zip(&mut was_good) {
                prop_assert!(!*was_good || report.rules > 0);
                *was_good |= report.rules > 0;
            }
            let is_all_good = loaded.files.iter().all(|file| file.status == FileStatus::InForce);
            prop_assert_eq!(is_all_good, loaded.mistakes.is_empty());
            prop_assert!(!load(&mut files, &shelf).changed);
        }
    }
}

/// A cluster rule that copies the secret `secret` from the source `source` to the namespaces `include`.
fn copying(name: &str, secret: &str, source: &str, include: &str) -> String {
    format!(
        "apiVersion: pullkey.dev/v1alpha1\nkind: ClusterPullSecretRule\nmetadata:\n  name: {name}\nspec: {{images: [a.example], \
         namespaces: {{include: [{include}]}}, secret: {{name: {secret}, copyFrom: {{namespace: sources, name: {source}}}}}}}\n---\n"
    )
}

#[test]
fn rules_that_copy_different_sources_to_one_secret_are_told() {
    let a = || copying("a", "s", "x", "'team-*'");
    for (claim, texts, expected) in [
        (
            "once, with both places",
            vec![a(), copying("b", "s", "y", "team-a")],
            vec!["1.yaml:4:9 b, as a at 0.yaml:4:9"],
        ),
        (
            "in one file, too",
            vec![a() + &copying("b", "s", "y", "team-a")],
            vec!["0.yaml:10:9 b, as a at 0.yaml:4:9"],
        ),
        (
            "not of the same source",
            vec![a(), copying("b", "s", "x", "team-a")],
            vec![],
        ),
        (
            "not of another name",
            vec![a(), copying("b", "t", "y", "team-a")],
            vec![],
        ),
        ("nor elsewhere", vec![a(), copying("b", "s", "y", "ops")], vec![]),
        ("nor where nothing is copied", vec![a(), rules("b=s")], vec![]),
        (
            "each rule beside the first that it meets",
            vec![
                copying("a", "s", "x", "team-a"),
                copying("b", "s", "y", "team-b") + &rules("c=s"),
                copying("d", "s", "z", "'*'") + &copying("e", "s", "y", "team-a"),
            ],
            vec!["2.yaml:4:9 d, as a at 0.yaml:4:9", "2.yaml:10:9 e, as a at 0.yaml:4:9"],
        ),
        (
            "whatever else is wrong with the files",
            vec![
                "kind: Nothing\n---\n".to_owned() + &a(),
                rules("B") + &copying("b", "s", "y", "team-a"),
                "kind: [".to_owned(),
            ],
            vec!["1.yaml:10:9 b, as a at 0.yaml:6:9"],
        ),
    ] {
        let mut shelf = Shelf::default();
        for (number, text) in texts.iter().enumerate() {
            shelf.put(&format!("{number}.yaml"), text);
        }
        let mut files = RuleFiles::new((0..texts.len()).map(|number| format!("{number}.yaml").into()).collect());
        files.load(&shelf, &CONTEXT);
        let told: Vec<_> = overlaps(files.placed())
            .iter()
            .map(|warning| {
                assert_eq!(
                    (warning.severity, warning.field.as_str()),
                    (Severity::Warning, "metadata.name")
                );
                let hint = warning.hint.as_deref().unwrap();
                let other = hint.strip_prefix("the other is ").unwrap().split(';').next().unwrap();
                let (file, position) = (&warning.file, warning.position.unwrap());
                let value = warning.value.as_deref().unwrap();
                format!("{file}:{position} {value}, as {}", other.replace('`', ""))
            })
            .collect();
        assert_eq!(told, expected, "{claim}");
    }
}
