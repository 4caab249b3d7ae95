//! A server with functions made for tests, and the world around it.

pub mod keys;
pub mod memory;
pub mod world;

pub use keys::{KeyServer, SigningKey};
pub use memory::Memory;
pub use world::{Setup, TestServer};
