//! The keys of a docker config: which images one serves.
//!
//! In: a key as spelled in the file, an image. Out: whether the kubelet offers the key's credential for the image, as
//! `pkg/credentialprovider/keyring.go` of Kubernetes 1.37 decides it. User info goes no further than this module.

use super::url::{self, Url};
use crate::glob;
use crate::image::{DOCKER_HUB, DOCKER_HUB_LEGACY, ImageReference};
use std::fmt;

/// The key of a credential after the kubelet's normalisation: a host and the beginning of a path.
///
/// ```
/// use pullkey::credentials::Key;
/// use pullkey::image::ImageReference;
///
/// let key = Key::parse("https://user:token@ghcr.io/v1/acme").unwrap();
/// assert_eq!((key.host(), key.path()), ("ghcr.io", "/acme"));
/// assert_eq!(key.spelled(), "https://ghcr.io/v1/acme");
/// // Paths are compared by characters.
/// assert!(key.serves(&ImageReference::parse("ghcr.io/acme-private/app")?));
/// # Ok::<(), pullkey::image::InvalidImage>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    spelled: String,
    stored: String,
    host: String,
    path: String,
}

impl Key {
    /// Reads a key. `None` where it can never serve an image: the kubelet skips what its URL parser refuses, and finds
    /// nothing by a key whose normal form it cannot read again. A path with an `@` is left out for caution: no image
    /// has one, and behind a scheme in upper case it could be the end of a password.
    #[must_use]
    pub fn parse(spelled: &str) -> Option<Self> {
        let (scheme, rest) = ["https://", "http://"]
            .into_iter()
            .find_map(|scheme| Some((scheme, spelled.strip_prefix(scheme)?)))
            .unwrap_or(("", spelled));
        let url = Url::parse(rest)?;
        if url.path.contains('@') {
            return None;
        }
        let is_versioned = url.path.starts_with("/v1/") || url.path.starts_with("/v2/");
        let path = url
            .path
            .get(if is_versioned { "/v1".len() } else { 0 }..)
            .unwrap_or_default();
        let stored = format!("{}{}", url.host, if path == "/" { "" } else { path });
        // The kubelet keeps host and path as one decoded text, and takes it for a URL once more at every look-up.
        let Url { mut host, path, .. } = Url::parse(&stored)?;
        if host.ends_with(':') && !host.starts_with('[') {
            host.pop(); // an empty port is none; behind brackets it is what tells an address from a class
        }
        let spelled = format!("{scheme}{}{}", url.spelled_host, url.spelled_path);
        Some(Self {
            spelled,
            stored,
            host,
            path,
        })
    }

    /// The host with its port; a `*` in it stands for any run of characters within one label.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What the path of an image begins with, compared by characters: empty, or with a leading `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The key as in the file, without user info, query and fragment.
    #[must_use]
    pub fn spelled(&self) -> &str {
        &self.spelled
    }

    /// Whether the key itself matches the image; see [`Key::is_docker_hub_fallback`] for the other way.
    #[must_use]
    pub fn serves(&self, image: &ImageReference<'_>) -> bool {
        let (image_host, image_path) = image.host_and_path();
        if url::decode_host(image_host).is_none() {
            return false; // in brackets, and no address
        }
        let (name, port) = url::split_port(&self.host);
        let (image_name, image_port) = url::split_port(image_host);
        let is_path_covered = self
            .path
            .strip_prefix('/')
            .is_none_or(|prefix| image_path.starts_with(prefix));
        port == image_port
            && is_path_covered
            && name.split('.').count() == image_name.split('.').count()
            && name
                .split('.')
                .zip(image_name.split('.'))
                .all(|(pattern, label)| covers(pattern, label))
    }

    /// Whether the key is used for Docker Hub's images where no key matches: it is exactly `index.docker.io`, however
    /// spelled. See [`counts_as_docker_hub`].
    #[must_use]
    pub fn is_docker_hub_fallback(&self) -> bool {
        self.stored == DOCKER_HUB_LEGACY
    }

    /// What the kubelet files and orders credentials by.
    pub(super) fn stored(&self) -> &str {
        &self.stored
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.spelled)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({:?})", self.spelled)
    }
}

/// Whether the kubelet falls back to Docker Hub's credentials for this image: its first segment is `docker.io`, or
/// looks like no host. So `localhost/app` and `MyOrg/app` count, though neither is pulled from there.
#[must_use]
pub fn counts_as_docker_hub(image: &ImageReference<'_>) -> bool {
    let (first, _) = image.host_and_path();
    matches!(first, DOCKER_HUB | DOCKER_HUB_LEGACY) || !first.contains(['.', ':'])
}

/// Whether a piece of a key's host covers one of an image's. Only an IPv6 address without a port still has its brackets
/// here, and these are a class of characters to the kubelet's matcher: `[::1]` covers `1`, and not itself.
fn covers(pattern: &str, label: &str) -> bool {
    match pattern.strip_prefix('[') {
        Some(class) => class
            .strip_suffix(']')
            .is_some_and(|class| label.chars().count() == 1 && class.contains(label)),
        None => glob::matches(pattern, label),
    }
}
