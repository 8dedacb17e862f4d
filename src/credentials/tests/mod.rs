//! Every row below that could be asked of the kubelet's own code was answered by it, too.

mod configs;
mod files;
mod keyring;
mod keys;
mod markers;

use super::{ConfigForm, DockerConfig, Malformed};
use crate::image::ImageReference;

fn image(text: &str) -> ImageReference<'_> {
    ImageReference::parse(text).unwrap_or_else(|fault| panic!("`{text}`: {fault}"))
}

fn docker_config(text: &str) -> Result<DockerConfig, Malformed> {
    DockerConfig::parse(ConfigForm::DockerConfigJson, text.as_bytes())
}

/// A config with these keys, whose usernames are the keys as given.
fn with_keys(keys: &[&str]) -> DockerConfig {
    let entries = keys.iter().map(|key| {
        let entry = serde_json::json!({"username": key, "password": "x"});
        ((*key).to_owned(), entry)
    });
    let auths: serde_json::Map<_, _> = entries.collect();
    docker_config(&serde_json::json!({"auths": auths}).to_string()).expect("a good config")
}
