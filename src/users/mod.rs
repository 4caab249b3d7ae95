//! Users: what rules need to know about a person's document, and what a change of it means.

pub mod administrator;
pub mod change;
pub mod consent;
pub mod imported;
pub mod person;
pub mod pid;
pub mod placement;
pub mod record;
