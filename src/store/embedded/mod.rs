//! Embedded store, to come.
