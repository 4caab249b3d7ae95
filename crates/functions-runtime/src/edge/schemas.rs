//! Schemas of types, gathered for one document: JSON Schema 2020-12, as OpenAPI 3.1 has it.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value as Json};

use crate::Status;

/// Makes the schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// How the schema of a type is made, in place: not as a reference.
pub fn schema_of<T: JsonSchema>() -> SchemaOf {
    T::json_schema
}

/// Writes down the schemas of types that read themselves: `inline_schemas! { Size: { "type": "integer" }, }`.
#[macro_export]
macro_rules! inline_schemas {
    ($($name:ident: $schema:tt,)*) => {$(
        impl $crate::edge::schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut $crate::edge::schemars::SchemaGenerator) -> $crate::edge::schemars::Schema {
                $crate::edge::schemars::json_schema!($schema)
            }
        }
    )*};
}

/// What a callable takes and gives, for its documentation.
#[derive(Clone, Copy)]
pub struct Signature {
    /// The schema of what is sent. Its description is the function's.
    pub sent: SchemaOf,
    /// Whether nothing at all may be sent.
    pub may_be_left_out: bool,
    /// The schema of what is answered.
    pub given: SchemaOf,
    /// The schema of a chunk of a streamed answer, where there are any.
    pub chunk: Option<SchemaOf>,
    /// An example.
    pub example: fn() -> Example,
    /// Refusals besides those that every function may answer with.
    pub refusals: &'static [(Status, &'static str)],
}

/// An example of a call.
#[derive(Clone, Debug)]
pub struct Example {
    /// What is sent.
    pub sent: Json,
    /// What is answered.
    pub given: Json,
}

/// Gathers schemas. Types that aren't inline are referred to, and described once, in the definitions.
pub struct Schemas {
    sent: SchemaGenerator,
    given: SchemaGenerator,
}

impl Schemas {
    /// None yet. `definitions` is the pointer to where they will be: `/components/schemas`.
    pub fn new(definitions: &'static str) -> Schemas {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = definitions.into();
                settings.meta_schema = None;
            })
        };
        Schemas {
            sent: settings().for_deserialize().into_generator(),
            given: settings().for_serialize().into_generator(),
        }
    }

    /// The schema of what is sent.
    pub fn sent(&mut self, of: SchemaOf) -> Json {
        tidied(of(&mut self.sent))
    }

    /// The schema of what is answered.
    pub fn given(&mut self, of: SchemaOf) -> Json {
        tidied(of(&mut self.given))
    }

    /// The schemas that others refer to, by name.
    pub fn definitions(&mut self) -> Map<String, Json> {
        let all = [self.sent.take_definitions(true), self.given.take_definitions(true)];
        let tidied = |(name, schema): (String, Json)| match Schema::try_from(schema) {
            Ok(schema) => (name, tidied(schema)),
            Err(_) => (name, Json::Bool(true)),
        };
        all.into_iter().flatten().map(tidied).collect()
    }
}

/// Without formats that are Rust's own (`uint64`), and with descriptions in one line a paragraph.
fn tidied(mut schema: Schema) -> Json {
    let mut tidy = RecursiveTransform(|schema: &mut Schema| {
        let is_number = schema.get("type").is_some_and(|kind| {
            [kind]
                .into_iter()
                .chain(kind.as_array().into_iter().flatten())
                .any(|kind| kind == "integer" || kind == "number")
        });
        if is_number {
            schema.remove("format");
        }
        if let Some(Json::String(text)) = schema.get("description") {
            let paragraphs: Vec<String> = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
            let text = paragraphs.join("\n\n");
            schema.insert("description".to_owned(), Json::String(text));
        }
    });
    tidy.transform(&mut schema);
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;

    /// A thing, of which
    /// there are many.
    #[derive(Deserialize, Serialize, JsonSchema)]
    #[schemars(inline)]
    struct Thing {
        /// How many.
        count: Option<u64>,
        part: Part,
    }

    /// A part.
    #[derive(Deserialize, Serialize, JsonSchema)]
    struct Part {
        format: String,
    }

    #[test]
    fn what_is_sent_may_lack_what_is_always_answered() {
        let mut schemas = Schemas::new("/components/schemas");
        let expected = |required: Json| {
            json!({
                "type": "object", "title": "Thing", "description": "A thing, of which there are many.", "required": required,
                "properties": {
                    "count": { "type": ["integer", "null"], "minimum": 0, "description": "How many." },
                    "part": { "$ref": "#/components/schemas/Part" },
                },
            })
        };
        let without_title = |mut schema: Json| {
            schema.as_object_mut().map(|schema| schema.remove("title"));
            schema
        };
        assert_eq!(schemas.sent(schema_of::<Thing>()), without_title(expected(json!(["part"]))));
        assert_eq!(schemas.given(schema_of::<Thing>()), without_title(expected(json!(["count", "part"]))));
        let part = json!({
            "type": "object", "description": "A part.", "required": ["format"],
            "properties": { "format": { "type": "string" } },
        });
        assert_eq!(schemas.definitions(), Map::from_iter([("Part".to_owned(), part)]));
    }
}
