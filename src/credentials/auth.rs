//! The `auth` field of a docker config's entry, and base64 as Go reads it.

use super::config::Content;
use super::malformed::MalformedKind;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};

/// Go does not look at the bits that a last character has too many.
const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
const PADDED: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
const UNPADDED: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    CONFIG.with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Decodes `username:password`, in base64 with all of its padding or none.
pub(super) fn decode(field: &str) -> Result<Content, MalformedKind> {
    let text = without_line_breaks(field);
    let engine = if text.ends_with('=') { PADDED } else { UNPADDED };
    let decoded = engine.decode(text).map_err(|_| MalformedKind::NotBase64)?;
    let colon = decoded
        .iter()
        .position(|&byte| byte == b':')
        .ok_or(MalformedKind::NoColon)?;
    let (username, password) = decoded.split_at(colon);
    Ok(Content {
        username: String::from_utf8_lossy(username).into_owned(),
        has_password: password.len() > 1,
    })
}

/// Decodes a value of a Secret's `data`.
pub(super) fn decode_data(text: &str) -> Option<Vec<u8>> {
    PADDED.decode(without_line_breaks(text)).ok()
}

fn without_line_breaks(text: &str) -> String {
    text.replace(['\r', '\n'], "")
}
