//! The four files of a certificate authority and its serving certificate, in one directory.
//!
//! In: a directory, and what was made. Out: `ca.crt`, `ca.key`, `tls.crt`, `tls.key`, each written aside and renamed
//! into place, keys readable by their owner only. Refuses to replace a file unless told to; looks at all four before
//! the first is written.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

use super::judge::{self, Unusable};
use super::load::{Files, LoadError, read};
use super::make::{Authority, MakeError, Names, Pair};

const AUTHORITY_CERTIFICATE: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
/// All of them, in the order in which they are named to people.
pub const NAMES: [&str; 4] = [AUTHORITY_CERTIFICATE, AUTHORITY_KEY, CERTIFICATE, KEY];
/// Those that a renewal replaces.
pub const SERVING_NAMES: [&str; 2] = [CERTIFICATE, KEY];

/// How long a serving certificate lives unless someone says otherwise.
pub const LIFETIME: Duration = Duration::from_hours(365 * 24);

/// What [`development`] found or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Development {
    /// There was nothing: an authority and a certificate for this machine were made.
    Made,
    /// All four files were there, the certificate's time was over: the same authority signed another.
    Renewed,
    /// A certificate and its key were there and good; whose authority it is does not matter.
    Reused,
}

/// Why the files could not be written or used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Files that would be replaced.
    #[error("`{}` already holds {}", directory.display(), list(there))]
    Exist {
        /// Where.
        directory: PathBuf,
        /// Which of [`NAMES`].
        there: Vec<&'static str>,
    },
    /// Some of the four, and not the pair to serve with: neither something to use nor an empty place.
    #[error("`{}` holds {} but not {}, expected both `{CERTIFICATE}` and `{KEY}`, or nothing", directory.display(), list(there), list(missing))]
    Incomplete {
        /// Where.
        directory: PathBuf,
        /// Which of [`NAMES`] are there.
        there: Vec<&'static str>,
        /// And which of the pair are not.
        missing: Vec<&'static str>,
    },
    /// A directory or file that cannot be made.
    #[error("cannot write `{}`", path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Files that are there and cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No certificate could be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// A certificate whose authority cannot sign another.
    #[error("cannot renew `{}`", path.display())]
    Renew {
        /// The certificate.
        path: PathBuf,
        /// Why not.
        source: MakeError,
    },
}

/// A file beside its destination, gone again unless it is moved there.
struct Aside {
    path: PathBuf,
    destination: PathBuf,
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After the move there is nothing to remove; on an error the first one is what counts.
        let _ = fs::remove_file(&self.path);
    }
}

impl FilesError {
    /// What to do about it, where the error alone does not say it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Exist { .. } => Some("choose another directory, or replace all four files with `--force`"),
            Self::Incomplete { .. } => {
                Some("name the certificate to serve with `--tls-cert` and `--tls-key`, or move these files away")
            }
            Self::Renew { .. } => Some("move `ca.crt`, `ca.key`, `tls.crt` and `tls.key` away, and new ones are made"),
            Self::Load(error) => error.hint(),
            Self::Unwritable { .. } | Self::Make(_) => None,
        }
    }
}

/// The serving pair of a directory, as files to load.
#[must_use]
pub fn serving(directory: &Path) -> Files {
    Files {
        certificate: directory.join(CERTIFICATE),
        key: directory.join(KEY),
        client_authorities: None,
    }
}

/// The certificate of a directory's authority: what a client trusts.
#[must_use]
pub fn authority(directory: &Path) -> PathBuf {
    directory.join(AUTHORITY_CERTIFICATE)
}

/// Writes the four files into `directory`, which is made if it is missing. Any of them that is there is an error
/// unless `replace`.
pub fn write(directory: &Path, authority: &Authority, serving: &Pair, replace: bool) -> Result<(), FilesError> {
    let (there, _) = inventory(directory);
    if !there.is_empty() && !replace {
        return Err(FilesError::Exist {
            directory: directory.to_owned(),
            there,
        });
    }
    fs::create_dir_all(directory).map_err(|source| FilesError::Unwritable {
        path: directory.to_owned(),
        source,
    })?;
    let authority = authority.pair();
    place(
        directory,
        &[
            (AUTHORITY_CERTIFICATE, &authority.certificate),
            (AUTHORITY_KEY, &authority.key),
            (CERTIFICATE, &serving.certificate),
            (KEY, &serving.key),
        ],
    )
}

/// Makes sure that `directory` holds a certificate for a server on this machine: makes one if none of the four files
/// is there, and renews it if its time is over at `now` and its authority is there, too. Any other pair that can serve
/// is used as it is.
pub fn development(directory: &Path, now: SystemTime) -> Result<Development, FilesError> {
    let (there, mut missing) = inventory(directory);
    if there.is_empty() {
        let authority = Authority::new(now)?;
        let pair = authority.issue(&Names::this_machine(), LIFETIME, now)?;
        write(directory, &authority, &pair, false)?;
        return Ok(Development::Made);
    }
    let has_authority = ![AUTHORITY_CERTIFICATE, AUTHORITY_KEY]
        .iter()
        .any(|name| missing.contains(name));
    missing.retain(|name| [CERTIFICATE, KEY].contains(name));
    if !missing.is_empty() {
        return Err(FilesError::Incomplete {
            directory: directory.to_owned(),
            there,
            missing,
        });
    }
    let files = serving(directory);
    let (certificate, key) = (read(&files.certificate)?, read(&files.key)?);
    match judge::judge(&certificate, &key, now) {
        Ok(_) => Ok(Development::Reused),
        Err(Unusable::Expired { .. }) if has_authority => {
            renew(directory, None, LIFETIME, now)?;
            Ok(Development::Renewed)
        }
        Err(source) => Err(LoadError::Pair { files, source }.into()),
    }
}

/// Replaces the serving certificate of `directory` with another by the authority that is there, for these names or, if
/// none are told, for the same. Gives the authority and the names.
pub fn renew(
    directory: &Path,
    names: Option<Names>,
    lifetime: Duration,
    now: SystemTime,
) -> Result<(Authority, Names), FilesError> {
    let files = serving(directory);
    let names = match names {
        Some(names) => names,
        None => match judge::read(&read(&files.certificate)?, &read(&files.key)?) {
            Ok(pair) => Names::of(&pair.facts),
            Err(source) => return Err(LoadError::Pair { files, source }.into()),
        },
    };
    let (certificate, key) = (read(&authority(directory))?, read(&directory.join(AUTHORITY_KEY))?);
    let signed = Authority::from_pem(&certificate, &key, now).and_then(|authority| {
        let pair = authority.issue(&names, lifetime, now)?;
        Ok((authority, pair))
    });
    let (authority, pair) = signed.map_err(|source| FilesError::Renew {
        path: files.certificate,
        source,
    })?;
    place(directory, &[(CERTIFICATE, &pair.certificate), (KEY, &pair.key)])?;
    Ok((authority, names))
}

/// Which of the four are in the directory, and which are not. A link to nowhere is something too.
fn inventory(directory: &Path) -> (Vec<&'static str>, Vec<&'static str>) {
    NAMES
        .into_iter()
        .partition(|name| fs::symlink_metadata(directory.join(name)).is_ok())
}

/// Writes all files aside before the first takes its place: a full disk leaves everything as it was.
fn place(directory: &Path, files: &[(&str, &String)]) -> Result<(), FilesError> {
    let asides: Vec<Aside> = files
        .iter()
        .map(|(name, content)| Aside::write(directory, name, content))
        .collect::<Result<_, _>>()?;
    for aside in asides {
        fs::rename(&aside.path, &aside.destination).map_err(|source| FilesError::Unwritable {
            path: aside.destination.clone(),
            source,
        })?;
    }
    Ok(())
}

impl Aside {
    fn write(directory: &Path, name: &str, content: &str) -> Result<Self, FilesError> {
        let path = directory.join(format!(".{name}.{}", process::id()));
        let destination = directory.join(name);
        let unwritable = |source| FilesError::Unwritable {
            path: destination.clone(),
            source,
        };
        let mode = if [AUTHORITY_KEY, KEY].contains(&name) {
            0o600
        } else {
            0o644
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .map_err(unwritable)?;
        let aside = Self {
            path,
            destination: destination.clone(),
        };
        file.write_all(content.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(unwritable)?;
        Ok(aside)
    }
}

/// Names in backticks, for a sentence.
fn list(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests;
