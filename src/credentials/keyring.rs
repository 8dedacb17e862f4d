//! All credentials of a Pod, and which of them the kubelet offers for an image.

use super::config::{DockerConfig, Entry};
use super::key::{Key, counts_as_docker_hub};
use crate::image::ImageReference;
use std::cmp::Reverse;

/// The credentials of several configs, in the kubelet's order.
#[derive(Debug, Clone)]
pub struct Keyring<'c> {
    /// By descending normal form of the key, then in the order of the configs.
    candidates: Vec<Candidate<'c>>,
}

/// One credential that the kubelet may offer.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'c> {
    source: usize,
    entry: &'c Entry,
}

impl<'c> Keyring<'c> {
    /// Joins configs, in the order in which a Pod names their secrets. The kubelet builds no keyring at all, and pulls
    /// nothing, where one of a Pod's secrets is [`Malformed`](super::Malformed).
    #[must_use]
    pub fn new(configs: impl IntoIterator<Item = &'c DockerConfig>) -> Self {
        let mut candidates: Vec<_> = configs
            .into_iter()
            .enumerate()
            .flat_map(|(source, config)| config.entries().iter().map(move |entry| Candidate { source, entry }))
            .collect();
        candidates.sort_by_key(|candidate| Reverse(candidate.key().stored()));
        Self { candidates }
    }

    /// The credentials for an image in the order in which the kubelet tries them; without any it pulls anonymously.
    #[must_use]
    pub fn lookup(&self, image: &ImageReference<'_>) -> Vec<Candidate<'c>> {
        let select = |is_wanted: &dyn Fn(&Key) -> bool| -> Vec<_> {
            let candidates = self.candidates.iter();
            candidates
                .filter(|candidate| is_wanted(candidate.key()))
                .copied()
                .collect()
        };
        let matching = select(&|key| key.serves(image));
        if matching.is_empty() && counts_as_docker_hub(image) {
            return select(&Key::is_docker_hub_fallback);
        }
        matching
    }
}

impl<'c> Candidate<'c> {
    /// Which of the keyring's configs it comes from, counted from 0.
    #[must_use]
    pub fn source(&self) -> usize {
        self.source
    }

    /// The key that it stands under.
    #[must_use]
    pub fn key(&self) -> &'c Key {
        self.entry.key()
    }

    /// Its username, which may be empty.
    #[must_use]
    pub fn username(&self) -> &'c str {
        self.entry.username()
    }
}
