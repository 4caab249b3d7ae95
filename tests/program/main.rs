//! The program, as people start it: commands, settings, what it serves and what it leaves.

mod cli;
mod cli_rosters;
mod cli_users;
mod embedded;
mod emulator;
mod killed_rosters;
#[allow(dead_code, unused_imports, reason = "the runtime's own tests use the rest")]
#[path = "../../crates/functions-runtime/tests/runtime/support/mod.rs"]
mod support;
mod traces;
