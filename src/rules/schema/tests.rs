//! That the schema speaks of the fields that the reader knows, and describes all of them.

use serde_json::Value;

use super::custom_resource_definitions;
use crate::rules::Kind;
use crate::rules::spec::{EXPRESSION_FIELDS, FIELDS, NAMESPACES_FIELDS, SECRET_FIELDS, SELECTOR_FIELDS, SOURCE_FIELDS};

fn schema_of(kind: Kind) -> Value {
    let definitions = custom_resource_definitions();
    let definition = definitions
        .iter()
        .find(|definition| definition["spec"]["names"]["kind"] == kind.as_str());
    definition.unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

#[test]
fn the_schema_has_the_fields_that_the_reader_knows() {
    let cluster = schema_of(Kind::ClusterPullSecretRule);
    for (below, known) in [
        ("", FIELDS.as_slice()),
        ("/secret", &SECRET_FIELDS),
        ("/secret/copyFrom", &SOURCE_FIELDS),
        ("/namespaces", &NAMESPACES_FIELDS),
        ("/namespaces/selector", &SELECTOR_FIELDS),
        ("/namespaces/selector/matchExpressions/items", &EXPRESSION_FIELDS),
    ] {
        let pointer = format!("/spec{below}")
            .replace('/', "/properties/")
            .replace("properties/items", "items");
        let fields = cluster
            .pointer(&format!("{pointer}/properties"))
            .and_then(Value::as_object);
        let fields: Vec<_> = fields
            .unwrap_or_else(|| panic!("{pointer}"))
            .keys()
            .map(String::as_str)
            .collect();
        let mut known = known.to_vec();
        known.sort_unstable();
        assert_eq!(fields, known, "{below}");
    }
    let namespaced = schema_of(Kind::PullSecretRule);
    let fields: Vec<_> = namespaced["properties"]["spec"]["properties"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(fields, ["exceptImages", "images", "mode", "secret"]);
    let fields = &namespaced["properties"]["spec"]["properties"]["secret"]["properties"];
    assert_eq!(fields.as_object().unwrap().keys().collect::<Vec<_>>(), ["name"]);
}

#[test]
fn every_field_is_described_and_every_list_of_a_spec_is_bounded() {
    for kind in [Kind::ClusterPullSecretRule, Kind::PullSecretRule] {
        let schema = schema_of(kind);
        for_each(&schema, "", &mut |path, schema| {
            let described = schema["description"].as_str().is_some_and(|text| text.len() > 3);
            assert!(
                described || path.starts_with("/status/") && path.ends_with("/*"),
                "{kind}{path}"
            );
            let bound = match schema["type"].as_str().unwrap() {
                "array" => "maxItems",
                "string" if schema.get("enum").is_none() => "maxLength",
                "object" if schema.get("additionalProperties").is_some() => "maxProperties",
                _ => return,
            };
            assert!(
                !path.starts_with("/spec") || schema[bound].is_u64(),
                "{kind}{path}: {bound}"
            );
        });
    }
}

/// The schema and all below it, each with the way to it.
fn for_each(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        for_each(below, &format!("{path}/{name}"), visit);
    }
    for below in [&schema["items"], &schema["additionalProperties"]] {
        if below.is_object() {
            for_each(below, &format!("{path}/*"), visit);
        }
    }
}
