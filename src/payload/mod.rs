//! Building blocks of requests and answers. Each has its own error messages and its own schema. Null is the same as
//! absent everywhere (docs/domain/documents.md#null-and-absent). Pure.

mod ids;
pub mod kinds;
mod text;
mod value;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

pub use self::ids::{ID_LIMIT, Id, Ids, Uid, is_id};
pub use self::text::{Filled, Key, Text};
pub use self::value::{Stored, check_key, is_key, value, value_within};
pub use crate::runtime::edge::shown;
use crate::runtime::edge::{Example, SchemaOf, Signature, inline_schemas, read, schema_of};
use crate::runtime::{FunctionError, Status};

/// A parsed value, or INVALID_ARGUMENT with a message that names the field.
pub type Checked<T> = Result<T, FunctionError>;

/// The checked request of a callable, with the types of what is sent and answered. Pure.
pub trait Payload: Sized + Send + Sync + 'static {
    /// The request as it's sent. Its doc comment is the function's description in the OpenAPI document.
    type Sent: DeserializeOwned + JsonSchema;
    /// The answer, beside the status.
    type Answer: Serialize + JsonSchema;
    /// Errors of this function besides those that every function may answer with.
    const REFUSALS: &'static [(Status, &'static str)] = &[];
    /// Whether `data` may be missing, because every field is optional.
    const MAY_BE_LEFT_OUT: bool = false;

    /// Checks rules that concern several fields: INVALID_ARGUMENT with a message that names the field.
    fn check(sent: Self::Sent) -> Checked<Self>;

    /// An example of a request and of its answer.
    fn example() -> (Json, Self::Answer);

    /// The schema of a chunk of a streamed answer, for streaming callables.
    fn chunk() -> Option<SchemaOf> {
        None
    }

    /// Parses and checks a request: INVALID_ARGUMENT with a message that names the field.
    fn read(data: &Json) -> Checked<Self> {
        let nothing = Json::Object(Map::new());
        Self::check(read(if data.is_null() && Self::MAY_BE_LEFT_OUT { &nothing } else { data })?)
    }
}

/// The signature of a callable, for the OpenAPI document.
pub fn signature<R: Payload>() -> Signature {
    Signature {
        sent: schema_of::<R::Sent>(),
        may_be_left_out: R::MAY_BE_LEFT_OUT,
        given: schema_of::<Done<R::Answer>>(),
        chunk: R::chunk(),
        example: example::<R>,
        refusals: R::REFUSALS,
    }
}

fn example<R: Payload>() -> Example {
    let (sent, answer) = R::example();
    Example { sent, given: done(answer).unwrap_or_default() }
}

/// An answer as it's sent: with the status field.
pub fn done<A: Serialize>(answer: A) -> Result<Json, FunctionError> {
    serde_json::to_value(Done { status: Ok, answer }).map_err(FunctionError::internal)
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Done<A> {
    status: Ok,
    #[serde(flatten)]
    answer: A,
}

/// The status of every answer: `ok`.
struct Ok;

impl Serialize for Ok {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("ok")
    }
}

inline_schemas! {
    Ok: { "type": "string", "const": "ok" },
}

/// The answer of what has nothing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Nothing {}

/// Errors that many functions share.
pub mod refusals {
    use crate::runtime::Status::{self, AlreadyExists, NotFound};

    /// Something that the request names is missing.
    pub const GONE: (Status, &str) = (NotFound, "Something that the request names doesn't exist.");
    /// Something belongs to somebody else.
    pub const TAKEN: (Status, &str) = (AlreadyExists, "An account or a user belongs to somebody else.");
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Pieces {
        id: Option<Id<kinds::User>>,
        uid: Option<Uid<kinds::AdminAccount>>,
        ids: Option<Ids<kinds::Org>>,
        name: Option<Filled>,
        text: Option<Text>,
        stored: Option<Stored>,
    }

    #[test]
    fn pieces_are_read() {
        let nothing: Pieces = read(&json!({ "id": null, "ids": null, "text": null })).expect("all may be left out");
        assert!(nothing.id.is_none() && nothing.ids.is_none() && Text::filled(nothing.text).is_none());
        let sent = json!({
            "id": "u1", "uid": "a".repeat(ID_LIMIT), "ids": [null, "o2", "o1", "o2"], "name": " Ada ", "text": "  ",
            "stored": { "a": [1, null, { "b": 0.5 }] },
        });
        let pieces: Pieces = read(&sent).expect("it's right");
        assert_eq!(pieces.id.as_deref(), Some("u1"));
        assert_eq!(pieces.uid.map(Uid::into_string).map(|uid| uid.len()), Some(ID_LIMIT));
        assert_eq!(pieces.ids.map(|ids| ids.ids), Some(vec!["o2".to_owned(), "o1".to_owned()]));
        assert_eq!((pieces.name, Text::filled(pieces.text)), (Some(Filled(" Ada ".to_owned())), None));
        assert_eq!(pieces.stored.map(|stored| stored.0), value(&sent["stored"]).ok());
    }

    #[test]
    fn what_is_wrong_with_them_names_the_field() {
        for (field, sent, expected) in [
            ("id", json!(7), "id must be the ID of a user."),
            ("id", json!("a/b"), "id must be the ID of a user."),
            ("uid", json!(""), "uid must be the ID of an account of the admin project."),
            ("uid", json!("a".repeat(ID_LIMIT + 1)), "uid must have 128 characters at most."),
            ("ids", json!("o1"), "ids must be a list of IDs."),
            ("ids", json!(["o1", null, ".."]), "ids[2] must be the ID of an org."),
            ("name", json!("  "), "name must be text that isn't empty."),
            ("text", json!(["Jane"]), "text must be text."),
            ("stored", json!("Jane"), "stored must be an object."),
            ("stored", json!({ "a": [[1]] }), "stored.a holds a list directly in a list."),
            ("stored", json!({ "a": { "__b__": 1 } }), "stored.a has a key that can't be stored."),
            ("stored", json!({ "Jane Doe": { "": 1 } }), "stored.(…) has a key that can't be stored."),
        ] {
            let message = read::<Pieces>(&json!({ field: sent })).expect_err("it's refused").message;
            assert_eq!(message, expected, "{field}: {sent}");
        }
    }
}
