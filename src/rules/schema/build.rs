//! The parts of a schema: `OpenAPI` v3 as far as a `CustomResourceDefinition` may use it.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// What a value may be.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub(super) struct Schema(Map<String, Value>);

impl Schema {
    fn new(form: &str, description: &str) -> Self {
        Self(Map::new()).with("type", form).with("description", description)
    }

    /// A mapping with these fields only.
    pub(super) fn object<const N: usize>(description: &str, fields: [(&str, Self); N], required: &[&str]) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, schema)| (name.to_owned(), Value::Object(schema.0)));
        let object = Self::new("object", description).with("properties", fields.collect::<Map<_, _>>());
        if required.is_empty() {
            object
        } else {
            object.with("required", required)
        }
    }

    pub(super) fn list(description: &str, items: Self) -> Self {
        Self::new("array", description).with("items", items.0)
    }

    /// A mapping from any keys.
    pub(super) fn map(description: &str, values: Self) -> Self {
        Self::new("object", description).with("additionalProperties", values.0)
    }

    pub(super) fn text(description: &str) -> Self {
        Self::new("string", description)
    }

    pub(super) fn number(description: &str) -> Self {
        Self::new("integer", description)
            .with("format", "int64")
            .with("minimum", 0)
    }

    pub(super) fn time(description: &str) -> Self {
        Self::text(description).with("format", "date-time")
    }

    /// The same with one more keyword.
    pub(super) fn with(mut self, keyword: &str, value: impl Into<Value>) -> Self {
        self.0.insert(keyword.to_owned(), value.into());
        self
    }

    /// The same where these rules hold, too.
    pub(super) fn where_all<const N: usize>(self, rules: [Rule; N]) -> Self {
        self.with(
            "x-kubernetes-validations",
            Value::from_iter(rules.map(|Rule(rule)| rule)),
        )
    }
}

/// A condition in the Common Expression Language, and what is said where it is not met.
pub(super) struct Rule(Value);

impl Rule {
    pub(super) fn new(holds: &str, message: &str, accepted: &str) -> Self {
        Self(json!({"rule": holds, "message": format!("{message}, expected {accepted}")}))
    }

    /// One with an expression for what is wrong.
    pub(super) fn with_reason(holds: &str, message: &str, reason: &str) -> Self {
        Self(json!({"rule": holds, "message": message, "messageExpression": reason}))
    }

    /// That a field must be there.
    pub(super) fn requires(holds: &str, field: &str, accepted: &str) -> Self {
        Self(json!({
            "rule": holds,
            "message": format!("expected {accepted}"),
            "reason": "FieldValueRequired",
            "fieldPath": format!(".{field}"),
        }))
    }
}
