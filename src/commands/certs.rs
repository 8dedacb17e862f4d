//! `pullkey certs`: a CA and a serving certificate as files, the `caBundle` on standard output.

use std::time::{Duration, SystemTime};

use pullkey::certs::files::{self, FilesError};
use pullkey::certs::make::{Authority, Names};
use pullkey::certs::rfc3339;
use serde_json::json;

use super::{ExitStatus, Failure, print, print_json, tell};
use crate::cli::{CertsArgs, OutputFormat};

pub(super) fn run(args: CertsArgs) -> Result<ExitStatus, Failure> {
    let names = Names {
        dns: args.dns,
        addresses: args.ip,
    };
    let has_names = !names.dns.is_empty() || !names.addresses.is_empty();
    let now = SystemTime::now();
    let lifetime = Duration::from_hours(24) * u32::from(args.days);
    let (authority, names, written) = if args.renew {
        let (authority, names) = files::renew(&args.out, has_names.then_some(names), lifetime, now)?;
        (authority, names, &files::SERVING_NAMES[..])
    } else if has_names {
        let authority = Authority::new(now).map_err(FilesError::from)?;
        let pair = authority.issue(&names, lifetime, now).map_err(FilesError::from)?;
        files::write(&args.out, &authority, &pair, args.force)?;
        (authority, names, &files::NAMES[..])
    } else {
        let failure = Failure::new(ExitStatus::InputWrong, "a serving certificate needs a name");
        return Err(failure.with_hint(Some(
            "give `--dns` or `--ip`, such as `--dns pullkey-webhook.pullkey.svc`",
        )));
    };

    let dns = names.dns.iter().map(ToString::to_string);
    let addresses = names.addresses.iter().map(ToString::to_string);
    let shown: Vec<String> = dns.chain(addresses).collect();
    let (not_after, authority_not_after) = (rfc3339(now + lifetime), rfc3339(authority.not_after()));
    let bundle = authority.bundle();
    match args.output.format {
        OutputFormat::Text => {
            let written: Vec<_> = written.iter().map(|name| format!("`{name}`")).collect();
            tell(&format!(
                "wrote {} to `{}`\n\
                 the certificate stands for {} until {not_after}, its CA lives until {authority_not_after}\n\
                 the `caBundle` of the webhook configuration:\n",
                written.join(", "),
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
