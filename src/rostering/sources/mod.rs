//! The providers of rosters that there are: how each is asked, and what its records mean.

pub mod clever;
