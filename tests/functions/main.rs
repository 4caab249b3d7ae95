//! The functions, driven as they are in production: calls over HTTP, events from the store.

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod cost;
mod documents;
mod emulator;
mod histories;
mod killed;
mod local;
mod orgs;
mod races;
mod reconcile;
mod reconcile_started;
mod replay;
mod reports;
mod runs;
mod scenario;
mod small;
mod snapshot;
mod users;
mod world;
