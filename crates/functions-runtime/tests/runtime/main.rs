//! The runtime over real HTTP: what clients, Google's services and operators see of it.

mod budget;
mod callable;
mod callers;
mod cloud_tasks;
mod deliveries;
mod events;
mod forged;
mod limits;
mod local;
mod metrics;
mod overload;
mod server;
mod stream;
mod support;
mod tasks;
