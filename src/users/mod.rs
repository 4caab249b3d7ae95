//! Users: what rules need to know about a person's document.

pub mod age;
pub mod grade;
