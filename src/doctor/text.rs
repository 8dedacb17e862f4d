//! A [`Report`] for people: what there is, what is wrong and what to do, and in the end whether all is well.

use std::fmt::{self, Display, Formatter};

use super::{Finding, Report, Severity};

impl Display for Report {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let width = self.seen.iter().map(|row| row.what.len()).max().unwrap_or_default();
        for row in &self.seen {
            writeln!(formatter, "{:width$}  {}", row.what, row.state)?;
        }
        for finding in &self.findings {
            write!(formatter, "\n{finding}")?;
        }
        if !self.unseen.is_empty() {
            writeln!(formatter, "\nnot seen:")?;
        }
        for unseen in &self.unseen {
            writeln!(formatter, "  --> {}\n   = hint: {}", unseen.what, unseen.hint)?;
        }
        writeln!(formatter, "\n{}", self.verdict())
    }
}

impl Report {
    /// All of it in one line.
    fn verdict(&self) -> String {
        let named = [
            (Severity::Error, "error"),
            (Severity::Warning, "warning"),
            (Severity::Note, "note"),
        ];
        let counts = named.map(|(severity, name)| counted(self.count(severity), name));
        let counts: Vec<_> = counts.into_iter().flatten().collect();
        let what = match (counts.is_empty(), self.unseen.is_empty()) {
            (true, true) => return "all is well".to_owned(),
            (true, false) => "nothing is wrong with what was seen".to_owned(),
            (false, _) => counts.join(", "),
        };
        if self.unseen.is_empty() {
            what
        } else {
            let unseen = counted(self.unseen.len(), "thing").unwrap_or_default();
            format!("{what}; {unseen} could not be seen")
        }
    }
}

/// "2 errors", if there are any.
fn counted(count: usize, what: &str) -> Option<String> {
    let plural = if count == 1 { "" } else { "s" };
    (count > 0).then(|| format!("{count} {what}{plural}"))
}

impl Display for Finding {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}: {} [{}]", self.severity, self.message, self.code)?;
        for about in &self.about {
            writeln!(formatter, "  --> {about}")?;
        }
        if let Some(hint) = &self.hint {
            writeln!(formatter, "   = hint: {hint}")?;
        }
        for command in &self.commands {
            writeln!(formatter, "   = run: {command}")?;
        }
        Ok(())
    }
}

impl Display for Severity {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}
