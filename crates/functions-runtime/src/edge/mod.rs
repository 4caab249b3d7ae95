//! Typed edges of callables: one Rust type for what is sent, and one for what is answered.
//!
//! From the type that is sent come the reading ([`read`]), the field's name in each error message, and the schema
//! ([`Schemas`]); from the one that is answered, the JSON and its schema. A [`Signature`] puts both together, with an
//! example, for the OpenAPI document.
//!
//! ```
//! use functions_runtime::edge::read;
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use serde_json::json;
//!
//! /// Greets somebody.
//! #[derive(Deserialize, JsonSchema)]
//! struct Greet {
//!     /// Who is greeted.
//!     name: String,
//!     /// Whether loudly.
//!     loudly: Option<bool>,
//! }
//!
//! let greet: Greet = read(&json!({ "name": "Ada", "loudly": null })).expect("it's right");
//! assert_eq!((greet.name.as_str(), greet.loudly), ("Ada", None));
//! let refused = read::<Greet>(&json!({ "name": "Ada", "loudly": "very" })).err().expect("it's wrong");
//! assert_eq!(refused.message, "loudly must be true or false.");
//! let refused = read::<Greet>(&json!({})).err().expect("it's wrong");
//! assert_eq!(refused.message, "name must be text.");
//! ```

mod open;
mod read;
mod schemas;
mod wrong;

pub use crate::inline_schemas;
pub use open::Open;
pub use read::{by_value, read, read_part};
#[doc(hidden)]
pub use schemars;
pub use schemas::{Example, SchemaOf, Schemas, Signature, schema_of};
pub use wrong::{Wrong, shown};
