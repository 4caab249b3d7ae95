//! The runtime over real HTTP: what clients, Google's services and operators see of it.

mod callable;
mod callers;
mod cli;
mod deliveries;
mod events;
mod server;
mod stream;
mod support;
mod tasks;
