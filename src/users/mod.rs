//! Users: what the rules need to know from a person's document, and the effects of its changes.

pub mod administrator;
pub mod change;
pub mod consent;
pub mod imported;
pub mod person;
pub mod pid;
pub mod placement;
pub mod record;
