//! roar-functions: the backend of ROAR, the Rapid Online Assessment of Reading.
//!
//! Data flows one way: a request reaches [`runtime`], which runs a function's handler, which decides
//! with the pure modules of its room and commits to a [`store`]; the commit causes document events,
//! which reach [`runtime`] again. ARCHITECTURE.md has the map.

pub mod administrations;
pub mod app;
pub mod archive;
pub mod assignments;
pub mod claims;
pub mod cli;
pub mod config;
pub mod demo;
pub mod documents;
pub mod following;
pub mod functions;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod merging;
pub mod mirror;
pub mod openapi;
pub mod orgs;
pub mod payload;
pub mod reactions;
pub mod reconcile;
pub mod reports;
pub mod rights;
pub mod rostering;
pub mod runs;
pub mod service;
pub mod users;

pub use auth_accounts as accounts;
pub use document_store as store;
pub use document_store::{context, fields};
pub use functions_runtime as runtime;

use document_store::digest;
