//! The conditions of an assessment, as callers send them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};

use crate::documents::conditions::normalise;
use crate::payload::value_within;
use crate::runtime::edge::{Wrong, by_value};
use crate::store::Fields;

/// Conditions, as they are stored.
pub(super) struct Conditions(pub(super) Fields);

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| {
            let sent = sent.as_object().ok_or_else(|| Wrong::new("must be an object"))?;
            let mut stored = Fields::new();
            for (name, sent) in sent.iter().filter(|(_, sent)| !sent.is_null()) {
                if !matches!(name.as_str(), "assigned" | "optional") {
                    return Err(Wrong::new("is neither assigned nor optional").below(name));
                }
                // The condition language has its own limit on depth, with its own message.
                let condition = value_within(sent, usize::MAX).map_err(|wrong| wrong.below(name))?;
                stored.insert(name.clone(), normalise(&condition, &format!(".{name}")).map_err(Wrong::at)?);
            }
            Ok(Conditions(stored))
        })
    }
}

impl JsonSchema for Conditions {
    fn schema_name() -> Cow<'static, str> {
        "Conditions".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let condition = generator.subschema_for::<Option<Condition>>();
        json_schema!({
            "type": "object", "additionalProperties": false,
            "properties": { "assigned": condition, "optional": condition },
        })
    }
}

/// The schema of a condition, in any of its forms.
struct Condition;

impl JsonSchema for Condition {
    fn schema_name() -> Cow<'static, str> {
        "Condition".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let nested = generator.subschema_for::<Vec<Condition>>();
        let comparisons =
            ["LESS_THAN", "GREATER_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN_OR_EQUAL", "EQUAL", "NOT_EQUAL"];
        let object = |properties: Json, required: &[&str]| json!({ "type": "object", "properties": properties, "required": required });
        json_schema!({
            "description": "Who it holds of: everybody, who meets all or any of some conditions, or who has a field like this.",
            "anyOf": [
                { "type": "boolean", "const": true },
                object(
                    json!({ "op": { "type": "string", "enum": ["AND", "OR"] }, "conditions": nested }),
                    &["op", "conditions"],
                ),
                object(
                    json!({
                        "field": { "type": "string", "minLength": 1, "pattern": "\\S", "example": "studentData.grade" },
                        "op": { "type": "string", "enum": comparisons },
                        "value": { "type": ["boolean", "number", "string"] },
                    }),
                    &["field", "op", "value"],
                ),
                object(json!({ "AND": nested }), &["AND"]),
                object(json!({ "OR": nested }), &["OR"]),
                object(
                    json!({
                        "type": { "const": "const" },
                        "value": { "type": "boolean", "description": "Everybody, or nobody." },
                    }),
                    &["type", "value"],
                ),
            ],
        })
    }
}
