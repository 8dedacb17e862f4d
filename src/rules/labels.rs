//! The labels of a namespace, in as little room as they take: a cluster has thousands of namespaces.
//!
//! In: names and values. Out: the value of a name. All of them are one text, which is read from its beginning for each
//! look-up: a namespace has a handful.

use std::fmt;

/// Stands behind each name and each value; neither the API server nor a command line takes one with it.
const END: char = '\0';

/// Names and values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Labels(Box<str>);

impl Labels {
    /// The value of the label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(other, value)| (other == name).then_some(value))
    }

    /// Names and values, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut texts = self.0.split_terminator(END);
        std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
    }
}

/// Names must differ: of two that are the same the first counts.
impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(labels: I) -> Self {
        let mut text = String::new();
        for (name, value) in labels {
            text.extend([name.as_ref(), "\0", value.as_ref(), "\0"]);
        }
        Self(text.into())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Labels;

    #[test]
    fn a_label_is_found_by_its_whole_name() {
        let given = [("team", "a"), ("tea", ""), ("a", "team"), ("x", "")];
        let labels: Labels = given.into_iter().collect();
        for (name, value) in [
            ("team", Some("a")),
            ("tea", Some("")),
            ("a", Some("team")),
            ("te", None),
            ("", None),
        ] {
            assert_eq!(labels.get(name), value, "{name}");
        }
        assert!(labels.iter().eq(given));
        assert_eq!(Labels::default().get("team"), None);
        assert_eq!(
            format!("{labels:?}"),
            r#"{"team": "a", "tea": "", "a": "team", "x": ""}"#
        );
    }
}
