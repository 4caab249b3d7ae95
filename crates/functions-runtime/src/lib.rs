//! What Google runs for functions elsewhere: the server, the callable protocol, document events,
//! tasks and the verification of callers. Knows no word of ROAR.

mod address;
pub mod auth;
pub mod budget;
pub(crate) mod callable;
mod capacity;
mod chunks;
mod connections;
mod counted;
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
pub use engine::{DatabaseName, Options, Runtime, RuntimeError};
pub use error::{FunctionError, Status};
pub use events::Dispatch;
pub use function::{Call, Caller, DocumentEvent, DocumentEventType, Function, HandlerError, Trigger};
pub use local::LocalOnly;
pub use observe::FunctionCost;
pub use registry::{Registry, RegistryError};
pub use server::{Server, ServerOptions};
pub use tasks::{
    CloudError, CloudOptions, CloudTasks, LocalQueue, NewTask, QueueOptions, RemoteQueue, Task, TaskOutcome, TaskQueue,
};
