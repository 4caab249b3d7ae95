//! The functions, driven as they are in production: calls over HTTP, events from the store.

#[path = "../support/mod.rs"]
mod support;

mod administrators;
mod archives;
mod attacks;
mod badly_written;
mod bounds;
mod calls;
mod ceilings;
mod claims;
mod clever;
mod coming_back;
mod cost;
mod documents;
mod emulator;
mod faults;
mod histories;
mod hostile;
mod instances;
mod kept;
mod killed;
mod local;
mod logs;
mod meddled;
mod merging;
mod mirrors;
mod openapi;
mod orgs;
mod published_claims;
mod races;
mod reconcile;
mod reconcile_started;
mod replay;
mod reports;
mod rights;
mod runs;
mod scenario;
mod security;
mod sign_in;
mod small;
mod snapshot;
mod suspension;
mod town;
mod users;
mod world;
