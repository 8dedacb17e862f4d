//! A complete list, page by page.
//!
//! In: which objects, and how to read one. Out: all of them, and the version that they were read at. An object that cannot
//! be read is told as bad and never spoils the others. A page that is too large is asked for again with fewer objects; those
//! after it hold more again.

use std::borrow::Cow;

use kube::Client;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::task::consume_budget;

use super::call::{Failed, Target};
use super::{Bad, Key};

/// How many objects a page of a list holds at first, as in Kubernetes' own clients.
const PAGE: u32 = 500;

/// How an object is read from its JSON: `None` if it is not one that is looked for, or what is wrong with it.
pub type Read<T> = Box<dyn Fn(&str) -> Result<Option<T>, String> + Send + Sync>;

/// All objects there are.
#[derive(Debug)]
pub struct Listed<T> {
    /// Those that can be used.
    pub objects: Vec<(Key, T)>,
    /// Those that cannot.
    pub bad: Vec<Bad>,
    /// The version of the whole.
    pub(super) version: String,
}

/// Turns pages. It remembers how large the last one was.
pub(super) struct Pager {
    page: u32,
}

/// What every object says of itself.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) resource_version: Cow<'a, str>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(default)]
    metadata: ListMetadata,
    /// Null where metadata alone is wanted and there are none.
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    resource_version: String,
    r#continue: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Head<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

impl Default for Pager {
    fn default() -> Self {
        Self { page: PAGE }
    }
}

impl Pager {
    /// Reads all pages; `turned` is called after each, with all objects so far.
    pub(super) async fn list<T>(
        &mut self,
        client: &Client,
        target: &Target,
        read: &Read<T>,
        turned: impl Fn(&mut [(Key, T)]),
    ) -> Result<Listed<T>, Failed> {
        let (mut objects, mut bad) = (Vec::new(), Vec::new());
        let mut after = String::new();
        loop {
            let Some(body) = target.page(client, self.page, &after).await? else {
                if self.page == 1 {
                    return Err(Failed::garbled("one object is too large for any API server"));
                }
                self.page /= 2;
                continue;
            };
            let list: List<'_> = serde_json::from_str(&body).map_err(|_| Failed::garbled("its list is no list"))?;
            for item in list.items.into_iter().flatten() {
                let key = Metadata::of(item.get()).key();
                match read(item.get()) {
                    Ok(Some(object)) => objects.push((key, object)),
                    Ok(None) => {}
                    Err(why) => bad.push(Bad { key, why }),
                }
                // A page takes a while to read, and others have work to do, too.
                consume_budget().await;
            }
            turned(&mut objects);
            // Few objects are that large, and pages of one would take long for all others.
            self.page = (2 * self.page).min(PAGE);
            match list.metadata.r#continue.filter(|token| !token.is_empty()) {
                Some(token) => after = token,
                None if list.metadata.resource_version.is_empty() => {
                    return Err(Failed::garbled("its list has no resourceVersion"));
                }
                None => {
                    return Ok(Listed {
                        objects,
                        bad,
                        version: list.metadata.resource_version,
                    });
                }
            }
        }
    }
}

impl<'a> Metadata<'a> {
    /// What the object says of itself, as far as that can be read.
    pub(super) fn of(object: &'a str) -> Self {
        let head: Head<'_> = serde_json::from_str(object).unwrap_or_default();
        head.metadata
    }

    pub(super) fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }
}
