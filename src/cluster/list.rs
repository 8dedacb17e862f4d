//! A complete list, page by page.
//!
//! In: which objects, and how to read one. Out: all of them, and the version that they were read at, or those of one page
//! after the other, for whoever need not hold all at once. An object that cannot be read is told as bad and never spoils
//! the others. A page that is too large is asked for again with fewer objects; those after it hold more again.

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

/// The objects of a list; all of them, unless a page follows.
#[derive(Debug)]
pub struct Listed<T> {
    /// Those that can be used.
    pub objects: Vec<(Key, T)>,
    /// Those that cannot.
    pub bad: Vec<Bad>,
    pub(super) next: Next,
}

/// What comes after the pages so far.
#[derive(Debug)]
pub(super) enum Next {
    /// The page with this token; the first one has none.
    Page(String),
    /// Nothing. The list was read at this version.
    End(String),
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

impl<T> Default for Listed<T> {
    /// No page was turned yet.
    fn default() -> Self {
        Self {
            objects: Vec::new(),
            bad: Vec::new(),
            next: Next::Page(String::new()),
        }
    }
}

impl Default for Pager {
    fn default() -> Self {
        Self { page: PAGE }
    }
}

impl Pager {
    /// Reads all pages.
    pub(super) async fn list<T>(
        &mut self,
        client: &Client,
        target: &Target,
        read: &Read<T>,
    ) -> Result<Listed<T>, Failed> {
        let mut listed = Listed::default();
        while let Next::Page(_) = listed.next {
            self.turn(client, target, read, &mut listed).await?;
        }
        Ok(listed)
    }

    /// Reads the next page, if there is one, and adds what is on it.
    pub(super) async fn turn<T>(
        &mut self,
        client: &Client,
        target: &Target,
        read: &Read<T>,
        listed: &mut Listed<T>,
    ) -> Result<(), Failed> {
        let Next::Page(token) = &listed.next else {
            return Ok(());
        };
        let body = loop {
            match target.page(client, self.page, token).await? {
                Some(body) => break body,
                None if self.page == 1 => return Err(Failed::garbled("one object is too large for any API server")),
                None => self.page /= 2,
            }
        };
        let list: List<'_> = serde_json::from_str(&body).map_err(|_| Failed::garbled("its list is no list"))?;
        for item in list.items.into_iter().flatten() {
            let key = Metadata::of(item.get()).key();
            match read(item.get()) {
                Ok(Some(object)) => listed.objects.push((key, object)),
                Ok(None) => {}
                Err(why) => listed.bad.push(Bad { key, why }),
            }
            // A page takes a while to read, and others have work to do, too.
            consume_budget().await;
        }
        // Few objects are that large, and pages of one would take long for all others.
        self.page = (2 * self.page).min(PAGE);
        listed.next = match list.metadata.r#continue.filter(|token| !token.is_empty()) {
            Some(token) => Next::Page(token),
            None if list.metadata.resource_version.is_empty() => {
                return Err(Failed::garbled("its list has no resourceVersion"));
            }
            None => Next::End(list.metadata.resource_version),
        };
        Ok(())
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
