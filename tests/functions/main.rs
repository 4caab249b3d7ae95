//! The functions, driven as they are in production: calls over HTTP, events from the store.

#[path = "../support/mod.rs"]
mod support;

mod emulator;
mod world;
