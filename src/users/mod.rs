//! Users: the data that the rules read from a user's document, and the effects of its changes.

pub mod administrator;
pub mod change;
pub mod consent;
pub mod imported;
pub mod person;
pub mod pid;
pub mod placement;
pub mod record;
