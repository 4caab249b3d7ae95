//! Pieces that schemas are made of. All are JSON Schema 2020-12, as OpenAPI 3.1 has it.

use serde_json::{Map, Value as Json, json};

/// A field: its name, its schema, and whether it must be there.
pub(super) struct Field {
    name: &'static str,
    schema: Json,
    is_required: bool,
}

/// A field that must be there.
pub(super) fn required(name: &'static str, schema: Json) -> Field {
    Field { name, schema, is_required: true }
}

/// A field of a request that may be left out, or be null, which is the same.
pub(super) fn optional(name: &'static str, schema: Json) -> Field {
    Field { name, schema: nullable(schema), is_required: false }
}

/// A field of an answer that isn't always there; where it is, it isn't null.
pub(super) fn sometimes(name: &'static str, schema: Json) -> Field {
    Field { name, schema, is_required: false }
}

/// An object with these fields, and maybe others.
pub(super) fn object(fields: Vec<Field>) -> Json {
    let required: Vec<_> = fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
    let properties: Map<String, Json> = fields.into_iter().map(|field| (field.name.to_owned(), field.schema)).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// The same object, which has no other fields.
pub(super) fn closed(mut object: Json) -> Json {
    object["additionalProperties"] = json!(false);
    object
}

/// The same schema, or null.
pub(super) fn nullable(mut schema: Json) -> Json {
    match schema.get("type").and_then(Json::as_str).map(str::to_owned) {
        Some(kind) if schema.get("enum").is_none() => {
            schema["type"] = json!([kind, "null"]);
            schema
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

/// The same schema, with a text for people.
pub(super) fn about(mut schema: Json, description: &str) -> Json {
    schema["description"] = json!(description);
    schema
}

/// Text that isn't blank.
pub(super) fn text(description: &str) -> Json {
    json!({ "type": "string", "minLength": 1, "pattern": "\\S", "description": description })
}

/// True or false.
pub(super) fn flag(description: &str) -> Json {
    json!({ "type": "boolean", "description": description })
}

/// A whole number that isn't negative.
pub(super) fn count(description: &str) -> Json {
    json!({ "type": "integer", "minimum": 0, "description": description })
}

/// An instant or a day.
pub(super) fn date(description: &str) -> Json {
    json!({ "type": "string", "format": "date-time", "description": description })
}

/// The ID of a document.
pub(super) fn id(description: &str) -> Json {
    about(shared("Id"), description)
}

/// A list.
pub(super) fn list(items: Json, description: &str) -> Json {
    json!({ "type": "array", "items": items, "description": description })
}

/// One of these words.
pub(super) fn one_of(words: &[&str], description: &str) -> Json {
    json!({ "type": "string", "enum": words, "description": description })
}

/// An object whose keys aren't known before.
pub(super) fn map(values: Json, description: &str) -> Json {
    json!({ "type": "object", "additionalProperties": values, "description": description })
}

/// A schema that several functions share.
pub(super) fn shared(name: &str) -> Json {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An answer: that it's done, and these fields.
pub(super) fn answer(fields: Vec<Field>) -> Json {
    let status = required("status", json!({ "type": "string", "const": "ok" }));
    object([status].into_iter().chain(fields).collect())
}

/// The schema of a document's ID.
pub(super) fn id_schema() -> Json {
    json!({ "type": "string", "minLength": 1, "maxLength": 1500, "pattern": "^(?!\\.{1,2}$)(?!__.*__$)[^/\\u0000]+$" })
}
