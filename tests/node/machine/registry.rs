//! Registries with passwords.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde_json::json;

use super::enter::{OWN, program};
use super::servers::start;
use crate::harness::{get, until};

/// The name by which images name the first registry.
pub(crate) const HOST: &str = "registry.acme.example";
/// Whoever pushes.
const ADMIN: (&str, &str) = ("admin", "admin");

/// A registry that keeps images in memory.
pub(crate) struct Registry {
    pub(crate) address: String,
    file: PathBuf,
    users: Mutex<BTreeMap<String, User>>,
}

/// What a user may do: pull from repositories whose names begin so.
struct User {
    passwords: Vec<String>,
    prefix: String,
}

impl Registry {
    pub(super) fn start(port: u16) -> Self {
        let address = format!("127.0.0.1:{port}");
        let file = Path::new(OWN).join(format!("users-{port}"));
        let registry = Self {
            address,
            file,
            users: Mutex::default(),
        };
        registry.set_user(ADMIN.0, &[ADMIN.1], "");
        start(
            &format!("registry-{port}"),
            Command::new(program("programs"))
                .args(["serve-registry", &registry.address])
                .arg(&registry.file),
        );
        registry
    }

    pub(super) async fn is_there(&self) {
        let address = self.address.parse().unwrap();
        until("the registry answers", async || get(address, "/v2/").await).await;
    }

    /// Lets a user in with these passwords and no others.
    pub(crate) fn set_user(&self, name: &str, passwords: &[&str], prefix: &str) {
        let mut users = self.users.lock().unwrap();
        let user = User {
            passwords: passwords.iter().map(|&password| password.to_owned()).collect(),
            prefix: prefix.to_owned(),
        };
        users.insert(name.to_owned(), user);
        let users: Vec<_> = users
            .iter()
            .map(|(name, user)| json!({"name": name, "passwords": user.passwords, "prefix": user.prefix}))
            .collect();
        let next = self.file.with_extension("next");
        fs::write(&next, json!(users).to_string()).unwrap();
        fs::rename(&next, &self.file).unwrap();
    }

    /// Makes an image of a program for each of these names, `REPOSITORY:TAG`.
    pub(crate) fn push(&self, file: impl AsRef<Path>, names: &[&str]) {
        let output = Command::new(program("programs"))
            .args(["push", &self.address, &format!("{}:{}", ADMIN.0, ADMIN.1)])
            .arg(program("").join(file))
            .args(names)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Has images with that host, too, pulled from here.
    pub(crate) fn is_called(&self, host: &str) {
        let folder = Path::new(OWN).join("hosts").join(host);
        fs::create_dir_all(&folder).unwrap();
        let hosts = format!("server = \"http://{}\"\n", self.address);
        fs::write(folder.join("hosts.toml"), hosts).unwrap();
    }
}
