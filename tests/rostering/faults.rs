//! Clever fails in every way; what is right comes out, or a clear error.

use std::time::Duration;

use proptest::prelude::*;
use roar_functions::demo::clever::{FakeClever, Fault, Kind, Options, Size, Sockless};
use roar_functions::rostering::clever::records::{DistrictState, Role};
use roar_functions::rostering::clever::{Clever, CleverError, Settings};
use tokio::time::Instant;

use crate::{Scene, context, ids};

const PASSING: [Fault; 9] = [
    Fault::Status(500),
    Fault::Status(502),
    Fault::Status(503),
    Fault::Status(504),
    Fault::Cut,
    Fault::Truncated,
    Fault::Html,
    Fault::Slow(Duration::from_secs(3600)),
    Fault::RateLimited(Duration::from_secs(7)),
];

#[tokio::test(start_paused = true)]
async fn passing_failures_are_outlasted() {
    for fault in PASSING {
        let scene = Scene::of(60, 20);
        // Each page, and the tokens, after five failures.
        for path in ["/users", "/schools", "/districts", "/oauth/tokens"] {
            scene.fake.fail(path, vec![fault.clone(); 5]);
        }
        assert_eq!(scene.clever.district_tokens().await.unwrap().len(), 1);
        assert_eq!(ids(scene.district.users(None)).await.unwrap(), scene.there.ids(Kind::User), "{fault:?}");
        assert_eq!(ids(scene.district.schools()).await.unwrap(), scene.there.ids(Kind::School));
        assert_eq!(scene.district.district().await.unwrap().state, Some(DistrictState::Running));
    }
}

#[tokio::test(start_paused = true)]
async fn failures_that_stay_are_told_after_so_many_attempts() {
    for (fault, error) in [
        (Fault::Status(500), CleverError::Unavailable("HTTP 500")),
        (Fault::Status(502), CleverError::Unavailable("HTTP 502")),
        (Fault::Status(503), CleverError::Unavailable("HTTP 503")),
        (Fault::Cut, CleverError::Unavailable("the connection broke")),
        (Fault::Truncated, CleverError::Unavailable("the answer isn't JSON, or breaks off")),
        (Fault::Html, CleverError::Unavailable("the answer isn't JSON, or breaks off")),
        (Fault::Slow(Duration::from_secs(3600)), CleverError::Unavailable("no answer in time")),
        (Fault::RateLimited(Duration::from_secs(7)), CleverError::RateLimited),
    ] {
        let scene = Scene::of(60, 20);
        scene.fake.fail("/users", vec![fault; 6]);
        let began = Instant::now();
        assert_eq!(ids(scene.district.users(None)).await, Err(error));
        assert!(error.may_pass());
        assert_eq!(scene.fake.asked("/users"), 6);
        // Pauses grow: from half a second to eight at most, beside what Clever asks for.
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(250 * 31), "{error}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_clever_refuses_is_asked_once() {
    for (status, error) in [
        (400, CleverError::Refused(400)),
        (404, CleverError::NotFound),
        (301, CleverError::Refused(301)),
        (501, CleverError::Refused(501)),
    ] {
        let scene = Scene::of(60, 20);
        scene.fake.fail("/users", [Fault::Status(status)]);
        assert_eq!(ids(scene.district.users(None)).await, Err(error));
        assert!(!error.may_pass());
        assert_eq!(scene.fake.asked("/users"), 1);
    }
    let scene = Scene::of(60, 20);
    // Longer than anybody waits.
    scene.fake.fail("/users", [Fault::RateLimited(Duration::from_secs(3600))]);
    assert_eq!(ids(scene.district.users(None)).await, Err(CleverError::RateLimited));
    assert_eq!(scene.fake.asked("/users"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_stop_waiting() {
    let scene = Scene::of(60, 20);
    scene.fake.fail("/users", vec![Fault::RateLimited(Duration::from_secs(60)); 3]);
    let deadline = Duration::from_secs(30);
    assert!(tokio::time::timeout(deadline, ids(scene.district.users(None))).await.is_err());
    assert_eq!(scene.fake.asked("/users"), 1);
    // Whoever comes next isn't held up by who left.
    assert_eq!(ids(scene.district.users(None)).await.unwrap(), scene.there.ids(Kind::User));
}

#[tokio::test(start_paused = true)]
async fn a_district_answers_whatever_its_state_is() {
    let scene = Scene::of(20, 20);
    for (state, read) in [
        ("paused", Some(DistrictState::Paused)),
        ("pending", Some(DistrictState::Pending)),
        ("error", Some(DistrictState::Error)),
        ("success", Some(DistrictState::Success)),
        ("", None),
        ("new", Some(DistrictState::Unknown)),
    ] {
        scene.there.set_state(state);
        let district = scene.district.district().await.unwrap();
        assert_eq!((district.state, district.pause_start.is_some()), (read, state == "paused"));
        assert_eq!(ids(scene.district.schools()).await.unwrap().len(), 1);
    }
}

/// One list by one process, with many failures, some of them more in a row than there are attempts.
async fn list_with_failures(
    seed: u64,
    per_mille: u64,
    at_most: u32,
) -> (Result<Vec<String>, CleverError>, Vec<String>) {
    let options = Options { seed, short_pages: seed.is_multiple_of(2), ..Options::of(Size::of(150)) };
    let scene = Scene::new(options, Settings { page_limit: 10, ..Sockless::settings() });
    scene.fake.fail_at_random(&Fault::PASSING, seed, per_mille, at_most);
    if seed.is_multiple_of(3) {
        let there = scene.there.clone();
        scene.fake.after("/users", 5, move |_| there.replace_token());
    }
    (ids(scene.district.users(Some(Role::Student))).await, scene.there.users("student"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_failures_that_end_in_time_change_nothing(seed: u64, per_mille in 0_u64..700) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (found, expected) = runtime.block_on(list_with_failures(seed, per_mille, 5));
        prop_assert_eq!(found, Ok(expected));
    }

    #[test]
    fn random_failures_end_in_the_right_records_or_a_clear_error(seed: u64, per_mille in 500_u64..1000) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (found, expected) = runtime.block_on(list_with_failures(seed, per_mille, u32::MAX));
        match found {
            Ok(found) => prop_assert_eq!(found, expected),
            Err(error) => prop_assert!(error.may_pass(), "{}", error),
        }
    }
}

/// The same over real connections, which can really break.
#[tokio::test]
async fn connections_that_break_are_made_again() {
    let fake = FakeClever::new(Options::of(Size::of(200)), context());
    let served = fake.serve().await.unwrap();
    let settings = Settings {
        page_limit: 50,
        pause: Duration::from_millis(2),
        timeout: Duration::from_millis(400),
        ..served.settings()
    };
    let clever = Clever::new(settings, context()).unwrap();
    let there = fake.district(0);
    let district = clever.district(there.token().unwrap());
    let slow = Fault::Slow(Duration::from_secs(3));
    for fault in [Fault::Cut, Fault::Truncated, Fault::Html, Fault::Status(502), slow] {
        fake.fail("/users", vec![fault; 2]);
        assert_eq!(ids(district.users(None)).await.unwrap(), there.ids(Kind::User));
    }
    fake.fail("/users", vec![Fault::Cut; 6]);
    assert_eq!(ids(district.users(None)).await, Err(CleverError::Unavailable("the connection broke")));
    drop(served);
    // Nobody listens there.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nowhere}");
    let settings = Settings::at(&url, &url, "app", "secret".into()).unwrap();
    let settings = Settings { pause: Duration::from_millis(2), ..settings };
    let clever = Clever::new(settings, context()).unwrap();
    assert_eq!(clever.district_tokens().await.err(), Some(CleverError::Unavailable("no connection")));
}
