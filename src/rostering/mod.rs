//! Rosters of schools from outside: who provides them, what their records say, and what these change about orgs and
//! people.
//!
//! [`org`] and [`person`] are pure, and know no provider. Importers write orgs and users documents only; what
//! follows from that, for assignments, runs and counts, follows from the documents' events.

pub mod clever;
pub mod org;
pub mod person;
