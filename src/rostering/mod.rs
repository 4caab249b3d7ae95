//! Rosters of schools from outside: who provides them, and what their records say.

pub mod clever;
