use std::os::unix::fs::{MetadataExt, symlink};

use super::super::fixtures::{DAY, client, handshake, named, pair, put};
use super::super::make::AUTHORITY_LIFETIME;
use super::super::watch::Watch;
use super::*;

fn content(directory: &Path) -> Vec<String> {
    NAMES
        .iter()
        .map(|name| fs::read_to_string(directory.join(name)).unwrap())
        .collect()
}

/// Every file of the directory, with the low bits of its mode.
fn modes(directory: &Path) -> Vec<(String, u32)> {
    let mut modes: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                entry.metadata().unwrap().mode() & 0o077,
            )
        })
        .collect();
    modes.sort();
    modes
}

fn made(now: SystemTime) -> (Authority, Pair) {
    let authority = Authority::new(now).unwrap();
    let pair = authority.issue(&named("a.example"), LIFETIME, now).unwrap();
    (authority, pair)
}

#[test]
fn four_files_are_written_and_keys_are_their_owners() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("deep/er");
    let (authority, pair) = made(SystemTime::now());
    write(&directory, &authority, &pair, false).unwrap();
    let modes = modes(&directory);
    assert_eq!(modes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), NAMES);
    for key in ["ca.key", "tls.key"] {
        assert!(modes.contains(&(key.to_owned(), 0)), "{modes:?}");
    }
    let own = authority.pair();
    assert_eq!(
        content(&directory),
        [&own.certificate, &own.key, &pair.certificate, &pair.key].map(String::clone)
    );
}

#[test]
fn no_file_is_replaced_without_force() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("ca.key"), "precious").unwrap();
    symlink("nowhere", directory.path().join("tls.crt")).unwrap();
    let (authority, pair) = made(SystemTime::now());
    let error = write(directory.path(), &authority, &pair, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{}` already holds `ca.key`, `tls.crt`", directory.path().display())
    );
    assert_eq!(fs::read_to_string(directory.path().join("ca.key")).unwrap(), "precious");
    assert_eq!(modes(directory.path()).len(), 2);

    write(directory.path(), &authority, &pair, true).unwrap();
    assert_eq!(content(directory.path())[1], authority.pair().key);
    assert_eq!(modes(directory.path()).len(), 4);
    assert!(!directory.path().join("nowhere").exists());
}

#[test]
fn a_file_that_cannot_be_written_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, pair) = made(SystemTime::now());
    // The last of the four cannot be written aside: something sits there already.
    fs::create_dir(directory.path().join(format!(".tls.key.{}", process::id()))).unwrap();
    let error = write(directory.path(), &authority, &pair, false).unwrap_err();
    assert!(matches!(error, FilesError::Unwritable { path, .. } if path.ends_with("tls.key")));
    assert_eq!(modes(directory.path()).len(), 1);
}

#[test]
fn development_makes_what_is_missing_and_keeps_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    assert_eq!(development(directory.path(), now).unwrap(), Development::Made);
    let first = content(directory.path());
    assert_eq!(development(directory.path(), now).unwrap(), Development::Reused);
    assert_eq!(content(directory.path()), first);
    let watch = Watch::start(serving(directory.path()), &[], now).unwrap();
    for name in ["localhost", "127.0.0.1", "::1"] {
        assert!(
            handshake(&watch.config().load(), client(&first[0], None), name).is_ok(),
            "{name}"
        );
    }
}

#[test]
fn development_uses_a_pair_whose_authority_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), &pair("a.example"));
    let before = modes(directory.path());
    assert_eq!(
        development(directory.path(), SystemTime::now()).unwrap(),
        Development::Reused
    );
    assert_eq!(modes(directory.path()), before);

    let error = development(directory.path(), SystemTime::now() + 2 * DAY).unwrap_err();
    let expired = |error: &FilesError| {
        matches!(
            error,
            FilesError::Load(LoadError::Pair {
                source: Unusable::Expired { .. },
                ..
            })
        )
    };
    assert!(expired(&error) && error.hint().is_some(), "{error}");
    assert_eq!(modes(directory.path()), before);
}

#[test]
fn development_renews_an_expired_certificate_for_the_same_names_by_the_same_authority() {
    let directory = tempfile::tempdir().unwrap();
    let past = SystemTime::now() - LIFETIME - DAY;
    let (authority, pair) = made(past);
    write(directory.path(), &authority, &pair, false).unwrap();
    let old = content(directory.path());
    assert_eq!(
        development(directory.path(), SystemTime::now()).unwrap(),
        Development::Renewed
    );
    let new = content(directory.path());
    assert_eq!(old[..2], new[..2]);
    assert!(old[2] != new[2] && old[3] != new[3]);
    let watch = Watch::start(serving(directory.path()), &[], SystemTime::now()).unwrap();
    assert!(handshake(&watch.config().load(), client(&old[0], None), "a.example").is_ok());
    assert!(modes(directory.path()).contains(&("tls.key".to_owned(), 0)));
}

#[test]
fn development_refuses_what_it_cannot_use_and_leaves_it_there() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("ca.key"), "precious").unwrap();
    fs::write(directory.path().join("tls.crt"), pair("a.example").certificate).unwrap();
    let error = development(directory.path(), SystemTime::now()).unwrap_err();
    let path = directory.path().display();
    let incomplete = "holds `ca.key`, `tls.crt` but not `tls.key`, expected both `tls.crt` and `tls.key`, or nothing";
    assert_eq!(error.to_string(), format!("`{path}` {incomplete}"));
    assert!(error.hint().is_some());
    assert_eq!(modes(directory.path()).len(), 2);

    let (authority, _) = made(SystemTime::now());
    write(
        directory.path(),
        &authority,
        &Pair {
            certificate: pair("a.example").certificate,
            key: String::new(),
        },
        true,
    )
    .unwrap();
    let before = content(directory.path());
    let error = development(directory.path(), SystemTime::now()).unwrap_err();
    assert!(
        matches!(
            error,
            FilesError::Load(LoadError::Pair {
                source: Unusable::NoKey,
                ..
            })
        ),
        "{error}"
    );
    assert_eq!(content(directory.path()), before);

    let past = SystemTime::now() - AUTHORITY_LIFETIME - DAY;
    let (authority, pair) = made(past);
    write(directory.path(), &authority, &pair, true).unwrap();
    let error = development(directory.path(), SystemTime::now()).unwrap_err();
    assert!(
        matches!(
            error,
            FilesError::Renew {
                source: MakeError::Unusable(Unusable::Expired { .. }),
                ..
            }
        ),
        "{error}"
    );
    assert!(error.hint().is_some());
}
