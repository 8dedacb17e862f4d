//! Files of rules, and what of them is in force.
//!
//! In: paths, and whatever lies there at each [`RuleFiles::load`]. Out: [`Loaded`]: the rules in force, what became of
//! each file, and every mistake of all of them. It never waits, watches or logs: whoever owns it calls again.
//!
//! A bad edit never takes rules away. The unit is the file: one with a mistake is refused as a whole, and what it last
//! said without one stays in force; so do the rules of a file that was emptied, of one that cannot be read, of a path
//! that is gone, and of a directory without files of rules. Only a file that is gone from a directory that has others
//! takes its rules along.
//!
//! What is in force together never has a name twice, nor too many regexes:
//!
//! ```text
//! claim names first    files that stay as they are: unchanged, or refused for themselves
//! then, in order       files with new content, without a mistake of their own
//! a claim fails        the file is refused, what it last said claims with the first group, and all begins anew
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};
use std::str;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::compile::{Claim, Compiled, Context, MOST_REGEXES, compile};
use super::diagnostic::{Diagnostic, Severity};
use super::overlap::Placed;
use super::{Kind, RuleSet};
use crate::yaml::Position;

mod storage;
#[cfg(test)]
mod tests;

pub use storage::{Disk, Storage};

/// The largest file of rules, in bytes: 100,000 rules of 300. A `ConfigMap` holds at most 1 MiB.
pub const LARGEST_FILE: u64 = 32 << 20;
/// The largest size of all files of rules together, in bytes.
pub const LARGEST_TOTAL: u64 = 64 << 20;
/// What a file in a directory must be called to be read.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// The files at some paths, with what each of them last said without a mistake.
pub struct RuleFiles {
    paths: Vec<PathBuf>,
    files: Vec<RuleFile>,
    in_force: Option<Arc<RuleSet>>,
    /// What the last load said, to know what is new.
    told: Option<(Vec<FileReport>, Vec<Diagnostic>)>,
    hasher: RandomState,
}

/// What is in force after a look at the files, and what there is to say about them.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The rules in force; `None` only if no file has ever been good.
    pub rules: Option<Arc<RuleSet>>,
    /// Whether other rules are in force than after the last load.
    pub rules_changed: bool,
    /// Whether anything here is other than after the last load.
    pub changed: bool,
    /// Every file, in the order of the paths and their names.
    pub files: Vec<FileReport>,
    /// Files whose rules are in force no more, since they are gone from their directory.
    pub removed: Vec<String>,
    /// Every mistake of all files, in their order.
    pub mistakes: Vec<Diagnostic>,
    /// What is right in the files and may surprise.
    pub warnings: Vec<Diagnostic>,
}

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// The file, or a path at which there is none.
    pub file: String,
    /// What of it is in force.
    pub status: FileStatus,
    /// How many of its rules are in force.
    pub rules: usize,
}

/// What of a file is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileStatus {
    /// What it says.
    InForce,
    /// What it said before it was spoiled.
    LastGood,
    /// Nothing: it has never been good.
    Refused,
}

struct RuleFile {
    path: PathBuf,
    /// The path as people see it.
    name: String,
    /// Which of the paths led to it.
    origin: usize,
    /// What its content says and the content's hash, as of the last time that it could be read.
    latest: Option<(u64, Arc<Compiled>)>,
    /// Whether that time is now.
    is_readable: bool,
    in_force: Option<Arc<Compiled>>,
}

/// The names that are taken, and by whom.
#[derive(Default)]
struct Claims<'f> {
    names: HashMap<(Kind, Option<&'f str>, &'f str), (&'f str, Position)>,
    regexes: usize,
}

impl RuleFiles {
    /// Files and directories in the order in which they claim names. Nothing is read yet.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            paths,
            files: Vec::new(),
            in_force: None,
            told: None,
            hasher: RandomState::default(),
        }
    }

    /// Looks at all files, compiles those that changed, and settles what is in force.
    pub fn load(&mut self, storage: &dyn Storage, context: &Context<'_>) -> Loaded {
        let before = self.contents_in_force();
        let (mut mistakes, removed) = self.look(storage, context);
        let refusals = self.settle();
        let after = self.contents_in_force();
        let rules_changed =
            before.len() != after.len() || before.iter().zip(&after).any(|(one, other)| !Arc::ptr_eq(one, other));
        if rules_changed {
            let rules = after.iter().flat_map(|content| content.rules.iter().cloned());
            self.in_force = Some(Arc::new(RuleSet::new(rules)));
        }

        mistakes.extend(self.names_of_spoiled_files(&refusals));
        let mut files = Vec::new();
        let mut warnings = Vec::new();
        for (file, refusal) in self.files.iter().zip(refusals) {
            files.push(file.report(&refusal));
            let said = file.current();
            mistakes.extend(
                said.into_iter()
                    .flat_map(|said| said.mistakes.iter().cloned())
                    .chain(refusal),
            );
            warnings.extend(said.into_iter().flat_map(|said| said.warnings.iter().cloned()));
        }
        let order: HashMap<_, _> = (0..).zip(&files).map(|(place, report)| (&report.file, place)).collect();
        mistakes.sort_by_key(|mistake| {
            (
                order.get(&mistake.file).copied().unwrap_or(usize::MAX),
                mistake.position,
            )
        });
        let told = Some((files.clone(), mistakes.clone()));
        let changed = rules_changed || !removed.is_empty() || self.told != told;
        self.told = told;
        Loaded {
            rules: self.in_force.clone(),
            rules_changed,
            changed,
            files,
            removed,
            mistakes,
            warnings,
        }
    }

    /// The rules without a mistake in all files as last read, and where their names stand.
    pub fn placed(&self) -> impl Iterator<Item = Placed<'_>> {
        let contents = self.files.iter().filter_map(|file| Some((file, file.current()?)));
        contents.flat_map(|(file, content)| {
            // Every rule has its claim, in the same order; rules with a mistake have one, too.
            let mut claims = content.claims.iter();
            content.rules.iter().filter_map(move |rule| {
                let key = (rule.kind, rule.namespace.as_deref(), rule.name.as_str());
                let claim = claims.find(|claim| claim.key() == key)?;
                Some(Placed {
                    rule,
                    place: Some((&file.name, claim)),
                })
            })
        })
    }

    fn contents_in_force(&self) -> Vec<Arc<Compiled>> {
        self.files.iter().filter_map(|file| file.in_force.clone()).collect()
    }

    /// Reads everything anew. Returns what cannot be read, and the files that are gone.
    fn look(&mut self, storage: &dyn Storage, context: &Context<'_>) -> (Vec<Diagnostic>, Vec<String>) {
        let mut mistakes = Vec::new();
        let mut known = std::mem::take(&mut self.files);
        let mut budget = LARGEST_TOTAL;
        for (origin, path) in self.paths.iter().enumerate() {
            let (mut here, elsewhere): (Vec<_>, Vec<_>) = known.into_iter().partition(|file| file.origin == origin);
            known = elsewhere;
            match list(storage, path) {
                Ok(paths) => {
                    for path in paths {
                        let place = here.iter().position(|file| file.path == path);
                        let mut file = place.map_or_else(|| RuleFile::new(path, origin), |place| here.remove(place));
                        if let Err(mistake) = file.read(storage, context, &self.hasher, &mut budget) {
                            mistakes.push(*mistake);
                        }
                        self.files.push(file);
                    }
                    known.append(&mut here);
                }
                Err(mistake) => {
                    mistakes.push(*mistake);
                    if here.is_empty() {
                        here.push(RuleFile::new(path.clone(), origin));
                    }
                    for file in &mut here {
                        file.is_readable = false;
                    }
                    self.files.append(&mut here);
                }
            }
        }
        let removed = known
            .into_iter()
            .filter(|file| file.in_force.is_some())
            .map(|file| file.name);
        (mistakes, removed.collect())
    }

    /// Puts into force what can be, and returns for each file why what it says cannot be beside the others.
    fn settle(&mut self) -> Vec<Vec<Diagnostic>> {
        loop {
            let mut refusals = vec![Vec::new(); self.files.len()];
            while self.try_to_settle(&mut refusals).is_err() {}
            let mut is_settled = true;
            for (file, refusal) in self.files.iter_mut().zip(&refusals) {
                if let Some(content) = file.coming().filter(|_| refusal.is_empty()) {
                    file.in_force = Some(Arc::clone(content));
                    is_settled = false;
                }
            }
            // What was in a refused file's way may have fallen back, too.
            if is_settled {
                return refusals;
            }
        }
    }

    /// One round of claims. It fails when a file falls back to what it last said, which happens once to each at most:
    /// what it claims then may be what another one got in this round.
    fn try_to_settle(&self, refusals: &mut [Vec<Diagnostic>]) -> Result<(), ()> {
        let mut claims = Claims::default();
        for (file, refusal) in self.files.iter().zip(refusals.iter_mut()) {
            if let Some(content) = &file.in_force
                && (file.coming().is_none() || !refusal.is_empty())
            {
                // What was in force together can be so again.
                claims.add(&file.name, content);
            }
        }
        for (file, refusal) in self.files.iter().zip(refusals) {
            let Some(content) = file.coming() else {
                continue;
            };
            if file.in_force.is_none() {
                *refusal = claims.add(&file.name, content);
            } else if refusal.is_empty() {
                *refusal = claims.add(&file.name, content);
                if !refusal.is_empty() {
                    return Err(());
                }
            }
        }
        Ok(())
    }

    /// Names that a file with a mistake of its own shares with another file. They keep nothing out of force, and they
    /// would come to light one by one when the mistake is put right.
    fn names_of_spoiled_files(&self, refusals: &[Vec<Diagnostic>]) -> Vec<Diagnostic> {
        let mut first: HashMap<_, (&RuleFile, &Compiled, &Claim)> = HashMap::new();
        let mut mistakes = Vec::new();
        for (file, refusal) in self.files.iter().zip(refusals) {
            let content = file.current().filter(|_| refusal.is_empty());
            for (content, claim) in content
                .iter()
                .flat_map(|content| content.claims.iter().map(move |claim| (content, claim)))
            {
                match first.entry(claim.key()) {
                    Entry::Vacant(entry) => {
                        entry.insert((file, content, claim));
                    }
                    Entry::Occupied(entry) => {
                        let (other, other_content, other_claim) = entry.get();
                        let is_spoiled = !content.mistakes.is_empty() || !other_content.mistakes.is_empty();
                        if is_spoiled && other.name != file.name {
                            mistakes.push(claim.taken(&file.name, &other.name, other_claim.position));
                        }
                    }
                }
            }
        }
        mistakes
    }
}

impl RuleFile {
    fn new(path: PathBuf, origin: usize) -> Self {
        Self {
            name: path.display().to_string(),
            path,
            origin,
            latest: None,
            is_readable: false,
            in_force: None,
        }
    }

    /// Reads the file, and compiles it if its content is another.
    fn read(
        &mut self,
        storage: &dyn Storage,
        context: &Context<'_>,
        hasher: &RandomState,
        budget: &mut u64,
    ) -> Result<(), Box<Diagnostic>> {
        self.is_readable = false;
        let bytes = storage.read(&self.path, LARGEST_FILE + 1);
        let bytes = bytes.map_err(|error| cannot_be_read(&self.name, &error))?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if size > LARGEST_FILE {
            let message = format_args!("the file is larger than {} MiB", LARGEST_FILE >> 20);
            return Err(Box::new(Diagnostic::new(Severity::Error, &self.name, message)));
        }
        *budget = budget.checked_sub(size).ok_or_else(|| {
            let message = format_args!(
                "the files of rules are larger than {} MiB together",
                LARGEST_TOTAL >> 20
            );
            Box::new(Diagnostic::new(Severity::Error, &self.name, message))
        })?;
        self.is_readable = true;
        let hash = hasher.hash_one(&bytes);
        if self.latest.as_ref().is_none_or(|(latest, _)| *latest != hash) {
            let compiled = match str::from_utf8(&bytes) {
                Ok(text) => compile(text, &self.name, context),
                Err(error) => not_text(&self.name, bytes.get(..error.valid_up_to()).unwrap_or_default()),
            };
            self.latest = Some((hash, Arc::new(compiled)));
        }
        Ok(())
    }

    /// What the file says now.
    fn current(&self) -> Option<&Arc<Compiled>> {
        self.latest
            .as_ref()
            .filter(|_| self.is_readable)
            .map(|(_, content)| content)
    }

    /// What the file says now, if that is without a mistake and not in force.
    fn coming(&self) -> Option<&Arc<Compiled>> {
        let is_in_force = |content: &Arc<Compiled>| self.in_force.as_ref().is_some_and(|old| Arc::ptr_eq(old, content));
        self.current()
            .filter(|content| content.mistakes.is_empty() && !is_in_force(content))
    }

    fn report(&self, refusal: &[Diagnostic]) -> FileReport {
        let is_good = self
            .current()
            .is_some_and(|content| content.mistakes.is_empty() && refusal.is_empty());
        FileReport {
            file: self.name.clone(),
            status: match &self.in_force {
                Some(_) if is_good => FileStatus::InForce,
                Some(_) => FileStatus::LastGood,
                None => FileStatus::Refused,
            },
            rules: self.in_force.as_ref().map_or(0, |content| content.rules.len()),
        }
    }
}

impl<'f> Claims<'f> {
    /// Takes all names of a file, or none and says why.
    fn add(&mut self, file: &'f str, content: &'f Compiled) -> Vec<Diagnostic> {
        let regexes: Vec<_> = content
            .claims
            .iter()
            .filter_map(|claim| Some((claim, claim.regex?)))
            .collect();
        let too_many = regexes.get(MOST_REGEXES.saturating_sub(self.regexes));
        let too_many = too_many.map(|(claim, position)| claim.too_many_regexes(file, *position));
        let taken = content.claims.iter().filter_map(|claim| {
            let (first_file, first) = self.names.get(&claim.key())?;
            Some(claim.taken(file, first_file, *first))
        });
        let refusal: Vec<_> = taken.chain(too_many).collect();
        if refusal.is_empty() {
            self.names
                .extend(content.claims.iter().map(|claim| (claim.key(), (file, claim.position))));
            self.regexes += regexes.len();
        }
        refusal
    }
}

/// The files that a path stands for, in order: itself, or those in the directory.
fn list(storage: &dyn Storage, path: &Path) -> Result<Vec<PathBuf>, Box<Diagnostic>> {
    let name = path.display().to_string();
    let Some(mut paths) = storage.list(path).map_err(|error| cannot_be_read(&name, &error))? else {
        return Ok(vec![path.to_owned()]);
    };
    paths.retain(|path| is_rules_file(path));
    paths.sort_unstable();
    if paths.is_empty() {
        let mistake = Diagnostic::new(Severity::Error, &name, "there is no file of rules in this directory");
        return Err(Box::new(
            mistake.accepting("files called `*.yaml`, `*.yml` or `*.json`, with no dot in front"),
        ));
    }
    Ok(paths)
}

/// Whether a file of a directory is looked at, by its name.
#[must_use]
pub fn is_rules_file(path: &Path) -> bool {
    let is_hidden = path
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden
        && path
            .extension()
            .is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
}

fn cannot_be_read(name: &str, error: &io::Error) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(
        Severity::Error,
        name,
        format_args!("this cannot be read: {error}"),
    ))
}

/// What a file says that is no text from the end of `before` on.
fn not_text(name: &str, before: &[u8]) -> Compiled {
    let before = String::from_utf8_lossy(before);
    let last_line = before.rsplit('\n').next().unwrap_or_default();
    let position = Position {
        line: before.matches('\n').count() + 1,
        column: last_line.chars().count() + 1,
    };
    let mistake = Diagnostic::new(Severity::Error, name, "this is no UTF-8 text").at(position, &"");
    Compiled {
        mistakes: vec![mistake],
        ..Compiled::default()
    }
}
