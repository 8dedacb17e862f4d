//! A [`Report`] for people: one block an image or Pod, what is added first, why below it. One fact a line, so that lines
//! stay short; each line by itself is made fit for a terminal, whatever a manifest says.

use std::fmt::{self, Arguments, Display, Formatter};

use super::{CandidateReport, CredentialsReport, ImageReport, MatchReport, PodReport, Report, SecretReport};
use crate::printable::printable;

impl Display for Report {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut blocks = self
            .images
            .iter()
            .map(|image| image as &dyn Display)
            .chain(self.pods.iter().map(|pod| pod as _))
            .chain(self.secrets.iter().flatten().map(|secret| secret as _));
        if let Some(first) = blocks.next() {
            write!(formatter, "{first}")?;
        }
        blocks.try_for_each(|block| write!(formatter, "\n{block}"))
    }
}

impl Display for PodReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (kind, namespace) = (&self.kind, &self.namespace);
        match &self.name {
            Some(name) => line(formatter, 0, format_args!("{kind} {namespace}/{name}"))?,
            None => line(formatter, 0, format_args!("{kind} without a name in {namespace}"))?,
        }
        let document = self.document;
        match (&self.file, self.item) {
            (None, _) => line(formatter, 1, format_args!("in the cluster"))?,
            (Some(file), None) => line(formatter, 1, format_args!("in {file}, document {document}"))?,
            (Some(file), Some(item)) => line(
                formatter,
                1,
                format_args!("in {file}, document {document}, item {item}"),
            )?,
        }
        let add = self.add.join(", ");
        match &self.skip_message {
            Some(message) => line(formatter, 1, format_args!("adds nothing: {message}"))?,
            None if self.file.is_none() && kind == "Pod" => {
                line(
                    formatter,
                    1,
                    format_args!("lacks {add}, which a Pod gets only as it is created"),
                )?;
            }
            None => line(formatter, 1, format_args!("adds {add}"))?,
        }
        if !self.existing.is_empty() {
            let existing = self.existing.join(", ");
            match &self.from_account {
                Some(account) => line(
                    formatter,
                    1,
                    format_args!("has {existing} already, of the service account {account}"),
                )?,
                None => line(formatter, 1, format_args!("has {existing} already"))?,
            }
        }
        self.images
            .iter()
            .try_for_each(|image| write_image(formatter, 1, image))
    }
}

impl Display for ImageReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write_image(formatter, 0, self)
    }
}

impl Display for SecretReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(formatter, 0, format_args!("secret {}/{}", self.namespace, self.name))?;
        if let Some(message) = &self.message {
            line(formatter, 1, format_args!("{message}"))?;
        }
        if !self.keys.is_empty() {
            line(formatter, 1, format_args!("has {}", self.keys.join(", ")))?;
        }
        Ok(())
    }
}

impl Display for MatchReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "by {} of the {} ", self.pattern, self.kind)?;
        if let Some(namespace) = &self.rule_namespace {
            write!(formatter, "{namespace}/")?;
        }
        formatter.write_str(&self.rule)
    }
}

fn write_image(formatter: &mut Formatter<'_>, depth: usize, image: &ImageReport) -> fmt::Result {
    let mut fact = |deeper: usize, fact: Arguments<'_>| line(formatter, depth + deeper, fact);
    fact(0, format_args!("image {}", image.image))?;
    if let Some(path) = &image.path {
        fact(1, format_args!("at {path}"))?;
    }
    if let Some(reference) = &image.reference {
        match &reference.tag {
            Some(tag) => fact(1, format_args!("is {}, tag {tag}", reference.name))?,
            None => fact(1, format_args!("is {}", reference.name))?,
        }
        if let Some(digest) = &reference.digest {
            fact(1, format_args!("digest {digest}"))?;
        }
        if image.matches.is_empty() && image.rejected.is_empty() {
            fact(1, format_args!("no rule has a pattern for it"))?;
        }
    }
    if let Some(error) = &image.error {
        fact(1, format_args!("is no image reference: {error}"))?;
    }
    for found in &image.matches {
        match found.mode {
            "Shadow" => fact(1, format_args!("secret {}, but the rule is Shadow", found.secret))?,
            _ => fact(1, format_args!("secret {}", found.secret))?,
        }
        fact(2, format_args!("{found}"))?;
    }
    for rejected in &image.rejected {
        let why = match rejected.why {
            "exception" => "exceptImages names the image",
            _ => "the rule does not select the namespace",
        };
        fact(1, format_args!("not secret {}: {why}", rejected.rule.secret))?;
        fact(2, format_args!("{}", rejected.rule))?;
    }
    match &image.credentials {
        None => Ok(()),
        Some(CredentialsReport::Unknown { unknown }) => {
            fact(1, format_args!("what the kubelet tries is not known: {unknown}"))
        }
        Some(CredentialsReport::Refused { error }) => fact(1, format_args!("the kubelet refuses the Pod: {error}")),
        Some(CredentialsReport::Candidates(candidates)) if candidates.is_empty() => {
            fact(1, format_args!("the kubelet pulls it without credentials"))
        }
        Some(CredentialsReport::Candidates(candidates)) => candidates.iter().try_for_each(|candidate| {
            let CandidateReport {
                file,
                secret,
                key,
                username,
            } = candidate;
            match username.as_str() {
                "" => fact(1, format_args!("the kubelet tries {key} without a user name"))?,
                _ => fact(1, format_args!("the kubelet tries {key} as {username}"))?,
            }
            match (secret, file) {
                (Some(secret), _) => fact(2, format_args!("of the secret {secret}")),
                (None, file) => fact(2, format_args!("of {}", file.as_deref().unwrap_or_default())),
            }
        }),
    }
}

fn line(formatter: &mut Formatter<'_>, depth: usize, text: Arguments<'_>) -> fmt::Result {
    writeln!(formatter, "{:1$}{2}", "", depth * 2, printable(&text.to_string()))
}
