//! `pullkey certs`: a CA and a serving certificate as files, the `caBundle` on standard output.

use std::time::{Duration, SystemTime};

use pullkey::certs::files::{self, FilesError};
use pullkey::certs::make::{AUTHORITY_LIFETIME, Authority, Names};
use pullkey::certs::rfc3339;
use serde_json::json;

use super::{ExitStatus, Failure, print, print_json, tell};
use crate::cli::{CertsArgs, OutputFormat};

pub(super) fn run(args: CertsArgs) -> Result<ExitStatus, Failure> {
    let names = Names {
        dns: args.dns,
        addresses: args.ip,
    };
    let shown: Vec<String> = names
        .dns
        .iter()
        .map(ToString::to_string)
        .chain(names.addresses.iter().map(ToString::to_string))
        .collect();
    if shown.is_empty() {
        let failure = Failure::new(ExitStatus::InputWrong, "a serving certificate needs a name");
        return Err(failure.with_hint(Some(
            "give `--dns` or `--ip`, such as `--dns pullkey-webhook.pullkey.svc`",
        )));
    }
    let now = SystemTime::now();
    let lifetime = Duration::from_hours(24) * u32::from(args.days);
    let authority = Authority::new(now).map_err(FilesError::from)?;
    let pair = authority.issue(&names, lifetime, now).map_err(FilesError::from)?;
    files::write(&args.out, &authority, &pair, args.force)?;

    let (not_after, authority_not_after) = (rfc3339(now + lifetime), rfc3339(now + AUTHORITY_LIFETIME));
    let bundle = authority.bundle();
    match args.output.format {
        OutputFormat::Text => {
            tell(&format!(
                "wrote {} to `{}`\n\
                 the certificate stands for {} until {not_after}, its CA lives until {authority_not_after}\n\
                 the `caBundle` of the webhook configuration:\n",
                files::NAMES.map(|name| format!("`{name}`")).join(", "),
                args.out.display(),
                shown.join(", "),
            ));
            print(format!("{bundle}\n").as_bytes())?;
        }
        OutputFormat::Json => {
            let answer = json!({
                "caBundle": bundle,
                "caNotAfter": authority_not_after,
                "directory": args.out.display().to_string(),
                "names": shown,
                "notAfter": not_after,
            });
            print_json(&answer)?;
        }
    }
    Ok(ExitStatus::Fine)
}
