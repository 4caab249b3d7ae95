//! What Google runs for functions elsewhere: the server, the callable protocol, document events,
//! tasks and the verification of callers. Knows no word of ROAR.

pub mod error;
pub mod function;
pub mod tasks;

pub use error::{FunctionError, Status};
pub use function::{Call, Caller, DocumentEvent, DocumentEventType, Function, HandlerError, Trigger};
pub use tasks::{NewTask, Task, TaskOutcome, TaskQueue};
