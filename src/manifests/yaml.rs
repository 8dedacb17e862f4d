//! Manifests as text.

use serde_saphyr::{ser_options, to_string_with_options};

use super::Manifest;

/// The YAML could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the manifests as YAML")]
pub struct Unwritable(#[from] serde_saphyr::ser_error::Error);

/// One document a manifest, each below its comment. Texts that YAML 1.1 or 1.2 would take for something else are quoted,
/// texts of several lines are blocks.
pub fn yaml(manifests: &[Manifest]) -> Result<String, Unwritable> {
    let documents: Result<Vec<_>, _> = manifests.iter().map(document).collect();
    Ok(documents?.join("---\n"))
}

fn document(manifest: &Manifest) -> Result<String, Unwritable> {
    // Long texts stay on one line: they are expressions and base64.
    let options = ser_options! { folded_wrap_chars: usize::MAX };
    let comment = manifest
        .comment
        .lines()
        .map(|line| format!("# {line}").trim_end().to_owned() + "\n");
    Ok(comment.collect::<String>() + &to_string_with_options(&manifest.object, options)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::yaml::parse;

    fn written(object: Value) -> String {
        let comment = String::new();
        yaml(&[Manifest { comment, object }]).unwrap()
    }

    #[test]
    fn comments_stand_in_front_of_their_documents() {
        let manifest = |comment: &str| Manifest {
            comment: comment.to_owned(),
            object: json!({"b": [1], "a": true}),
        };
        assert_eq!(
            yaml(&[manifest("one\n\nline"), manifest("two")]).unwrap(),
            "# one\n#\n# line\na: true\nb:\n- 1\n---\n# two\na: true\nb:\n- 1\n"
        );
    }

    #[test]
    fn texts_that_any_reader_could_take_for_something_else_are_quoted() {
        for text in [
            "",
            "~",
            "null",
            "true",
            "yes",
            "Off",
            "n",
            "1",
            "0777",
            "0x1F",
            "1_000",
            "1e3",
            ".5",
            "1:30",
            ".inf",
            "2024-01-01",
            "<<",
            "=",
            "- a",
            "# a",
            "a: b",
            "*",
            "&a",
            "!a",
            "@a",
            "`a`",
            "%a",
            "[a",
            "{a",
        ] {
            let line = written(json!({"key": text}));
            assert!(line.starts_with("key: \"") || line.starts_with("key: '"), "{line}");
        }
    }

    #[test]
    fn texts_of_several_lines_are_blocks() {
        assert_eq!(written(json!({"k": "a\n  b # c\n"})), "k: |\n  a\n    b # c\n");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_what_it_was(
            texts in proptest::collection::vec("[ -~\n\té]{0,40}|\\PC{0,120}", 0..4),
            key in "[a-z./-]{1,8}|\\PC{1,8}",
        ) {
            let object = json!({key: texts, "nested": {"list": [[], {}, [texts.first()]]}});
            let text = written(object.clone());
            let read = parse(&text).unwrap();
            prop_assert_eq!(read.iter().map(crate::yaml::Node::to_json).collect::<Vec<_>>(), [object], "{}", text);
        }
    }
}
