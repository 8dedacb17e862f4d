//! An image string that is read writes a normal form, which reads as the same reference and is normal again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pullkey::image::ImageReference;

fuzz_target!(|text: &str| {
    let Ok(reference) = ImageReference::parse(text) else {
        return;
    };
    let normal = reference.to_string();
    assert_eq!(ImageReference::parse(&normal).as_ref(), Ok(&reference), "{text:?}");
    let (host, path) = reference.host_and_path();
    assert_eq!(
        format!("{host}/{path}").trim_end_matches('/'),
        reference.name(),
        "{text:?}"
    );
    let tag = reference.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = reference
        .digest()
        .map(|digest| format!("@{digest}"))
        .unwrap_or_default();
    assert_eq!(format!("{}{tag}{digest}", reference.name()), normal, "{text:?}");
});
