//! A large district takes no more memory than a small one.

use std::time::Duration;

use roar_functions::demo::clever::{FakeClever, Options, Size};
use roar_functions::rostering::clever::records::Record;
use roar_functions::rostering::clever::{Clever, Settings};

use crate::context;

/// The most memory that this process ever had, in MiB; `None` where that can't be told.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

/// Client and fake are one process here, over a real connection; each has a page of 10,000 users at a time.
#[tokio::test]
async fn a_hundred_thousand_users_are_streamed() {
    let size = Size { contacts: false, ..Size::of(100_000) };
    let fake = FakeClever::new(Options::of(size), context());
    let served = fake.serve().await.unwrap();
    let settings = Settings { timeout: Duration::from_secs(120), ..served.settings() };
    let clever = Clever::new(settings, context()).unwrap();
    let mut pages = clever.district(fake.district(0).token().unwrap()).users(None);
    let before = peak();
    let (mut users, mut prints) = (0, 0_u64);
    while let Some(page) = pages.next().await.unwrap() {
        users += page.records.len();
        prints += page.records.iter().map(|user| user.expect("readable").fingerprint().len() as u64).sum::<u64>();
    }
    assert!(users > 100_000 && prints > 0);
    let (Some(before), Some(after)) = (before, peak()) else { return };
    assert!(after - before < 40, "{before} MiB became {after} MiB");
    eprintln!("{} MiB more for {users} users", after - before);
}
