//! Query semantics, to come.
