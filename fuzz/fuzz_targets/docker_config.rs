//! Any bytes are a docker config or a fault of the closed list; each credential that is then offered for an image stands
//! under a key that serves it.
//!
//! The same command as for `review`, with `fuzz/seeds/docker_config` for seeds and no dictionary.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pullkey::credentials::{ConfigForm, DockerConfig, Keyring, counts_as_docker_hub};
use pullkey::image::ImageReference;

fuzz_target!(|bytes: &[u8]| {
    for form in [ConfigForm::DockerConfigJson, ConfigForm::Dockercfg] {
        match DockerConfig::parse(form, bytes) {
            Ok(config) => {
                let _verdict = config.verdict();
                let keyring = Keyring::new([&config]);
                for image in ["nginx", "ghcr.io/acme/app:v1", "10.0.0.1:5000/a/b", "[::1]:5000/a"] {
                    let image = ImageReference::parse(image).unwrap();
                    for candidate in keyring.lookup(&image) {
                        let key = candidate.key();
                        let fallback = key.is_docker_hub_fallback() && counts_as_docker_hub(&image);
                        assert!(key.serves(&image) || fallback, "{key:?} for {image}");
                    }
                }
            }
            Err(malformed) => assert!(!malformed.to_string().is_empty()),
        }
    }
});
