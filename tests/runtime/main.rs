//! The runtime over real HTTP: what clients, Google's services and operators see of it.

mod budget;
mod callable;
mod callers;
mod cli;
mod cli_rosters;
mod cli_users;
mod cloud_tasks;
mod deliveries;
mod emulator;
mod events;
mod forged;
mod killed_rosters;
mod limits;
mod local;
mod metrics;
mod overload;
mod server;
#[path = "../support/mod.rs"]
mod shared;
mod stream;
mod support;
mod tasks;
mod traces;
