//! Pull credentials as the kubelet uses them.
//!
//! In: docker configs, from Secrets or from files. Out: a [`Keyring`] that says which credentials the kubelet offers for
//! an image, or why it refuses the Pod. The rules are those of `pkg/credentialprovider` of Kubernetes 1.37, and of
//! Go's JSON, base64 and URL packages beneath it.
//!
//! No password leaves these modules, and none is kept. Errors are a closed list of places and kinds and quote no value;
//! keys have lost their user info. `Debug` shows less still.

mod auth;
mod config;
pub mod file;
mod json;
mod key;
mod keyring;
mod malformed;
mod url;

pub use config::{ConfigForm, DockerConfig, Entry, Unusable};
pub use key::{Key, counts_as_docker_hub};
pub use keyring::{Candidate, Keyring};
pub use malformed::{EntryName, Field, Malformed, MalformedKind, Place};

#[cfg(test)]
mod tests;
