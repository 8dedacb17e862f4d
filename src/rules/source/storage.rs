//! Where files of rules are read from: the disk, or a test's idea of one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A place with files and directories.
pub trait Storage {
    /// What lies in a directory and is no directory itself, links followed; `None` if the path is no directory.
    fn list(&self, path: &Path) -> io::Result<Option<Vec<PathBuf>>>;

    /// The first `limit` bytes of a file.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;
}

/// The disk.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl Storage for Disk {
    fn list(&self, path: &Path) -> io::Result<Option<Vec<PathBuf>>> {
        if !fs::metadata(path)?.is_dir() {
            return Ok(None);
        }
        let paths = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
        // A link to nothing stays in the list: it is a file that cannot be read.
        let is_file = |path: &PathBuf| !fs::metadata(path).is_ok_and(|metadata| metadata.is_dir());
        paths
            .filter(|path| path.as_ref().map_or(true, is_file))
            .collect::<io::Result<_>>()
            .map(Some)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
