//! A [`Report`] for people: one block an image or Pod, what is added first, why below it.

use std::fmt::{self, Display, Formatter};

use super::{CredentialsReport, ImageReport, MatchReport, PodReport, Report};

impl Display for Report {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut blocks = self
            .images
            .iter()
            .map(|image| image as &dyn Display)
            .chain(self.pods.iter().map(|pod| pod as _));
        if let Some(first) = blocks.next() {
            write!(formatter, "{first}")?;
        }
        blocks.try_for_each(|block| write!(formatter, "\n{block}"))
    }
}

impl Display for PodReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("(name to be generated)");
        write!(
            formatter,
            "{} {}/{name}  ({}, document {}",
            self.kind, self.namespace, self.file, self.document
        )?;
        if let Some(item) = self.item {
            write!(formatter, ", item {item}")?;
        }
        writeln!(formatter, ")")?;
        match &self.skip_message {
            Some(message) => writeln!(formatter, "  adds nothing: {message}")?,
            None => writeln!(formatter, "  adds {}", self.add.join(", "))?,
        }
        if !self.existing.is_empty() {
            writeln!(formatter, "  has {}", self.existing.join(", "))?;
        }
        self.images.iter().try_for_each(|image| write!(formatter, "{image}"))
    }
}

impl Display for ImageReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => writeln!(formatter, "  {} at {path}", self.image)?,
            None => writeln!(formatter, "{}", self.image)?,
        }
        match (&self.reference, &self.error) {
            (Some(reference), _) => {
                write!(formatter, "    is {}", reference.name)?;
                if let Some(tag) = &reference.tag {
                    write!(formatter, ", tag {tag}")?;
                }
                if let Some(digest) = &reference.digest {
                    write!(formatter, ", digest {digest}")?;
                }
                writeln!(formatter)?;
            }
            (None, error) => writeln!(
                formatter,
                "    is no image reference: {}",
                error.as_deref().unwrap_or_default()
            )?,
        }
        if self.reference.is_some() && self.matches.is_empty() && self.rejected.is_empty() {
            writeln!(formatter, "    no rule has a pattern for it")?;
        }
        for found in &self.matches {
            let verb = if found.mode == "Shadow" { "would get" } else { "gets" };
            writeln!(formatter, "    {verb} {}: {found}", found.secret)?;
        }
        for rejected in &self.rejected {
            let why = match rejected.why {
                "exception" => "exceptImages names the image",
                _ => "the rule does not select this namespace",
            };
            writeln!(
                formatter,
                "    not {}: {}, but {why}",
                rejected.rule.secret, rejected.rule
            )?;
        }
        match &self.credentials {
            None => Ok(()),
            Some(CredentialsReport::Refused { error }) => {
                writeln!(formatter, "    the kubelet refuses the Pod: {error}")
            }
            Some(CredentialsReport::Candidates(candidates)) if candidates.is_empty() => {
                writeln!(formatter, "    the kubelet pulls it without credentials")
            }
            Some(CredentialsReport::Candidates(candidates)) => candidates.iter().try_for_each(|candidate| {
                let (key, file, user) = (&candidate.key, &candidate.file, &candidate.username);
                writeln!(formatter, "    the kubelet tries {key} of {file} as {user}")
            }),
        }
    }
}

impl Display for MatchReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let namespace = self
            .rule_namespace
            .as_ref()
            .map(|namespace| format!("{namespace}/"))
            .unwrap_or_default();
        write!(formatter, "{} {namespace}{} by {}", self.kind, self.rule, self.pattern)?;
        if self.mode == "Shadow" {
            formatter.write_str(" (Shadow)")
        } else {
            Ok(())
        }
    }
}
