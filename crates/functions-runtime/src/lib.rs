//! A runtime for Firebase backends in Rust, in place of Google's for Cloud Functions: an HTTP server for Firebase's
//! callable protocol, document triggers, task queues, and authentication of callers.
//!
//! A backend is a table of [`Function`]s over a state of its own. A [`Runtime`] runs them: each run has a time limit,
//! a log span, a meter of billed reads and writes, and its outcome in the metrics; a panic ends only its own run. A
//! [`Server`] answers clients (`httpsCallable` of Firebase's SDKs), Eventarc and the Firestore emulator, and Cloud
//! Tasks. Over a store with an outbox, the runtime itself is the [`document_store::ChangeSink`] of its triggers.
//!
//! ```
//! use functions_runtime::{Call, Function, FunctionError, Registry};
//! use serde_json::{Value, json};
//!
//! async fn greet(name: &'static str, call: Call) -> Result<Value, FunctionError> {
//!     let caller = call.signed_in()?;
//!     Ok(json!({ "greeting": format!("{name} greets {}", caller.uid) }))
//! }
//!
//! let table = vec![Function::callable("greet", "Greets whoever is signed in.", greet)];
//! let registry = Registry::new(table)?;
//! assert_eq!(registry.find("GREET").map(|function| function.name), Some("greet"));
//! # Ok::<(), functions_runtime::RegistryError>(())
//! ```
//!
//! `examples/guestbook.rs` is a whole backend, with a document trigger, on an embedded store.

mod address;
pub mod auth;
pub mod budget;
pub(crate) mod callable;
mod capacity;
mod chunks;
mod connections;
mod counted;
pub mod edge;
mod engine;
pub mod error;
pub(crate) mod events;
pub mod function;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;
mod local;
pub mod observe;
pub mod registry;
pub mod server;
pub mod sign_in;
pub mod tasks;

pub use capacity::Capacity;
pub use chunks::Chunks;
pub use document_store::DatabaseName;
pub use engine::{HEARTBEAT, Options, Runtime, RuntimeError};
pub use error::{FunctionError, Status};
pub use events::{DispatchOutcome, outbox_triggers};
pub use function::{Call, Caller, DocumentEvent, DocumentEventType, Function, HandlerError, Trigger};
pub use local::{LocalHints, LocalOnly};
pub use observe::FunctionCost;
pub use registry::{Registry, RegistryError};
pub use server::{Server, ServerOptions};
pub use tasks::{
    CloudError, CloudOptions, CloudTasks, Job, LocalQueue, NewTask, PayloadError, QueueOptions, RemoteQueue,
    StoredTimestamp, Task, TaskOutcome, TaskQueue, stored_payload,
};
