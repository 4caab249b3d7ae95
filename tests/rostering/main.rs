//! Rosters from Clever: the client before a fake Clever that fails in every way, and the fake before Clever's own
//! published schema.

mod faults;
mod memory;
mod paging;
mod rate;
mod records;
mod schema;
mod secrets;
mod tokens;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use roar_functions::context::{Clock, Context, CountingIds, SystemRandom};
use roar_functions::demo::clever::{FakeClever, FakeDistrict, Options, Size, Sockless};
use roar_functions::rostering::clever::records::Record;
use roar_functions::rostering::clever::{Clever, CleverError, District, Pages, Settings};
use tokio::time::Instant;

/// A clock that goes with tokio's time, so that a test which pauses that holds both still.
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-09-01T08:00:00Z".parse().unwrap();
        start + SignedDuration::try_from(self.0.elapsed()).unwrap()
    }
}

fn context() -> Context {
    Context {
        clock: Arc::new(TokioClock(Instant::now())),
        ids: Arc::new(CountingIds::default()),
        random: Arc::new(SystemRandom),
    }
}

/// A fake Clever with one district, and a client of it without sockets.
struct Scene {
    fake: FakeClever,
    there: FakeDistrict,
    clever: Clever,
    district: District,
}

impl Scene {
    fn new(options: Options, settings: Settings) -> Scene {
        let context = context();
        let fake = FakeClever::new(options, context.clone());
        let clever = Clever::by(Arc::new(fake.transport()), settings, context);
        let there = fake.district(0);
        let district = clever.district(there.token().unwrap());
        Scene { fake, there, clever, district }
    }

    /// With that many students, and pages of that many.
    fn of(students: u64, page_limit: u32) -> Scene {
        Scene::new(Options::of(Size::of(students)), Settings { page_limit, ..Sockless::settings() })
    }
}

/// All records that are left, which must all be readable.
async fn all<T: Record>(mut pages: Pages<T>) -> Result<Vec<T>, CleverError> {
    let mut records = Vec::new();
    while let Some(page) = pages.next().await? {
        records.extend(page.records.iter().map(|record| record.expect("readable")));
    }
    Ok(records)
}

/// The IDs of all records that are left.
async fn ids<T: Record>(pages: Pages<T>) -> Result<Vec<String>, CleverError> {
    Ok(all(pages).await?.iter().map(|record| record.id().to_owned()).collect())
}
