//! `roar-functions demo`: the main job from start to end, on an embedded store, for people to see.

pub mod district;
pub mod play;
