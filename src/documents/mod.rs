//! Documents that several rooms know: where they lie, what their fields mean, and how they're edited. Pure.

pub mod archive;
pub mod doubles;
pub mod former;
pub mod history;
