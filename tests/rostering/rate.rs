//! The rate limit of each token, under paused time.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use roar_functions::demo::clever::{FakeClever, Fault, Kind, Options, Size, Sockless};
use roar_functions::rostering::clever::{Clever, Settings};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::{Scene, context, ids};

/// The most requests in any minute.
fn busiest_minute(arrivals: &[Timestamp]) -> usize {
    let within =
        |from: &Timestamp| arrivals.iter().filter(|at| *at >= from && at.duration_since(*from).as_secs() < 60).count();
    arrivals.iter().map(within).max().unwrap_or(0)
}

fn token(scene: &Scene) -> SecretString {
    scene.there.token().unwrap().token
}

#[tokio::test(start_paused = true)]
async fn no_minute_has_more_requests_than_the_budget() {
    let settings = Settings { page_limit: 1, requests_a_minute: 50, ..Sockless::settings() };
    let scene = Scene::new(Options::of(Size::of(100)), settings);
    let began = Instant::now();
    let users = scene.there.ids(Kind::User);
    assert_eq!(ids(scene.district.users(None)).await.unwrap(), users);
    let arrivals = scene.fake.arrivals(&token(&scene));
    assert_eq!(arrivals.len(), users.len());
    assert_eq!(busiest_minute(&arrivals), 50);
    // And no slower than that.
    let minutes = (users.len() as u64 - 1) / 50;
    assert_eq!(began.elapsed().as_secs(), minutes * 60);
    assert_eq!(scene.fake.over_rate(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_clever_says_is_left_counts_too() {
    // Clever takes fewer than we think; it says so.
    let options = Options { rate: 20, ..Options::of(Size::of(100)) };
    let scene = Scene::new(options, Settings { page_limit: 2, ..Sockless::settings() });
    assert_eq!(ids(scene.district.users(None)).await.unwrap(), scene.there.ids(Kind::User));
    assert_eq!(scene.fake.over_rate(), 0);
    assert!(busiest_minute(&scene.fake.arrivals(&token(&scene))) <= 20);
}

#[tokio::test(start_paused = true)]
async fn streams_of_one_token_share_its_budget() {
    for (rate, requests_a_minute) in [(1200, 30), (30, 1200), (30, 30)] {
        let options = Options { rate, ..Options::of(Size::of(100)) };
        let scene = Scene::new(options, Settings { page_limit: 3, requests_a_minute, ..Sockless::settings() });
        // Also those that don't know of each other.
        let other = scene.clever.district(scene.there.token().unwrap());
        let lists = [&scene.district, &other, &scene.district, &other].map(|district| ids(district.users(None)));
        for found in join_all(lists).await {
            assert_eq!(found.unwrap(), scene.there.ids(Kind::User));
        }
        assert!(busiest_minute(&scene.fake.arrivals(&token(&scene))) <= 30, "{rate} {requests_a_minute}");
        assert_eq!(scene.fake.over_rate(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn districts_do_not_share() {
    let size = Size::of(100);
    let options = Options { districts: vec![size; 3], ..Options::default() };
    let settings = Settings { page_limit: 2, requests_a_minute: 30, ..Sockless::settings() };
    let context = context();
    let fake = FakeClever::new(options, context.clone());
    let clever = Clever::by(Arc::new(fake.transport()), settings, context);
    let time = async |numbers: std::ops::Range<usize>| {
        let began = Instant::now();
        let lists = numbers.map(|number| {
            let district = clever.district(fake.district(number).token().unwrap());
            async move { ids(district.users(None)).await.unwrap() }
        });
        join_all(lists).await;
        // The next ones begin with nothing used up.
        let took = began.elapsed();
        tokio::time::sleep(Duration::from_secs(60)).await;
        took
    };
    let alone = time(0..1).await;
    assert!(alone >= Duration::from_secs(60));
    assert_eq!(time(0..3).await, alone);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_somebody_else_uses_too_is_waited_for() {
    let options = Options { rate: 40, ..Options::of(Size::of(100)) };
    let scene = Scene::new(options, Settings { page_limit: 5, ..Sockless::settings() });
    // Another process has its own idea of what is left.
    let clock = context();
    let elsewhere = Clever::by(Arc::new(scene.fake.transport()), scene.clever.settings().clone(), clock);
    let elsewhere = elsewhere.district(scene.there.token().unwrap());
    let lists = [&scene.district, &elsewhere].map(|district| async {
        let one = ids(district.users(None)).await;
        (one, ids(district.users(None)).await)
    });
    for (one, other) in join_all(lists).await {
        assert_eq!(one.unwrap(), scene.there.ids(Kind::User));
        assert_eq!(other.unwrap(), scene.there.ids(Kind::User));
    }
    assert!(busiest_minute(&scene.fake.arrivals(&token(&scene))) <= 80, "in any window");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_used_up_is_noticed() {
    let options = Options { rate: 40, ..Options::of(Size::of(100)) };
    let scene = Scene::new(options, Settings { page_limit: 3, ..Sockless::settings() });
    let clock = context();
    let elsewhere = Clever::by(Arc::new(scene.fake.transport()), scene.clever.settings().clone(), clock);
    let elsewhere = elsewhere.district(scene.there.token().unwrap());
    for _ in 0..25 {
        elsewhere.district().await.unwrap();
    }
    // The first answer says that fourteen are left.
    let found = ids(scene.district.users(None)).await.unwrap();
    assert_eq!(found, scene.there.ids(Kind::User));
    assert!(found.len() > 3 * 15);
    assert_eq!(scene.fake.over_rate(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_refusal_stops_all_streams_of_the_token() {
    let scene = Scene::of(100, 10);
    scene.fake.fail("/users", [Fault::RateLimited(Duration::from_secs(30))]);
    let began = Instant::now();
    let later = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.district.district().await.map(|_| began.elapsed().as_secs())
    };
    let (users, later) = futures::future::join(ids(scene.district.users(None)), later).await;
    assert_eq!(users.unwrap(), scene.there.ids(Kind::User));
    assert_eq!(later, Ok(30));
}

#[tokio::test(start_paused = true)]
async fn who_gave_up_takes_nothing_away() {
    let settings = Settings { page_limit: 1, requests_a_minute: 10, ..Sockless::settings() };
    let scene = Scene::new(Options::of(Size::of(100)), settings);
    let _ = tokio::time::timeout(Duration::from_secs(1), ids(scene.district.users(None))).await;
    // Many wait in line, and leave it.
    let lists = (0..20).map(|_| tokio::time::timeout(Duration::from_secs(20), scene.district.district()));
    assert!(join_all(lists).await.iter().all(Result::is_err));
    tokio::time::sleep(Duration::from_secs(39)).await;
    let began = Instant::now();
    join_all((0..10).map(|_| scene.district.district())).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}
