//! Lists, page by page.

use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use reqwest::StatusCode;
use roar_functions::demo::clever::{Fault, Kind, Links, Options, Size, Sockless};
use roar_functions::rostering::clever::records::Role;
use roar_functions::rostering::clever::{
    Clever, CleverError, DistrictToken, Lost, Request, Response, Settings, Transport,
};
use serde_json::json;

use crate::{Scene, all, context, ids};

#[tokio::test(start_paused = true)]
async fn lists_are_whole_with_pages_of_any_size() {
    for page_limit in [1, 7, 100, 10_000] {
        let scene = Scene::of(260, page_limit);
        assert_eq!(ids(scene.district.schools()).await.unwrap(), scene.there.ids(Kind::School));
        assert_eq!(ids(scene.district.sections()).await.unwrap(), scene.there.ids(Kind::Section));
        let users = scene.there.ids(Kind::User);
        assert_eq!(ids(scene.district.users(None)).await.unwrap(), users);
        assert_eq!(scene.fake.asked("/users"), users.len().div_ceil(page_limit as usize) as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn users_are_told_apart_by_role() {
    let scene = Scene::of(400, 50);
    for role in Role::ALL {
        let found = all(scene.district.users(Some(role))).await.unwrap();
        assert!(found.iter().all(|user| user.roles.held().contains(&role)));
        let found: Vec<_> = found.into_iter().map(|user| user.id).collect();
        assert!(!found.is_empty());
        assert_eq!(found, scene.there.users(role.as_str()), "{role:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn single_records_are_found() {
    let scene = Scene::of(30, 100);
    let district = &scene.district;
    assert_eq!(district.district().await.unwrap().id, scene.there.id());
    for (kind, id) in [Kind::School, Kind::Section, Kind::User].map(|kind| (kind, scene.there.ids(kind).remove(0))) {
        let found = match kind {
            Kind::School => district.school(&id).await.map(|school| school.id),
            Kind::Section => district.section(&id).await.map(|section| section.id),
            _ => district.user(&id).await.map(|user| user.id),
        };
        assert_eq!(found, Ok(id.clone()));
        scene.there.remove(&id);
        assert_eq!(district.user(&id).await.err(), Some(CleverError::NotFound));
    }
    assert_eq!(district.school("nothing").await.err(), Some(CleverError::NotFound));
    assert_eq!(district.school("a/b?c").await.err(), Some(CleverError::NotFound));
    assert!(matches!(district.school("..").await, Err(CleverError::Settings(_))));
}

#[tokio::test(start_paused = true)]
async fn a_short_page_is_not_the_last() {
    let options = Options { short_pages: true, ..Options::of(Size::of(500)) };
    let scene = Scene::new(options, Settings { page_limit: 20, ..Sockless::settings() });
    let users = scene.there.ids(Kind::User);
    assert_eq!(ids(scene.district.users(None)).await.unwrap(), users);
    assert!(scene.fake.asked("/users") > users.len().div_ceil(20) as u64);
}

#[tokio::test(start_paused = true)]
async fn links_may_be_relative_or_absolute() {
    for links in [Links::Relative, Links::Absolute] {
        let options = Options { links, ..Options::of(Size::of(50)) };
        let scene = Scene::new(options, Settings { page_limit: 10, ..Sockless::settings() });
        assert_eq!(ids(scene.district.users(None)).await.unwrap(), scene.there.ids(Kind::User));
        let user = scene.there.users("student").remove(3);
        let token = scene.there.sign_in(&user);
        assert_eq!(scene.clever.me(&token).await.unwrap().0.id, user);
    }
}

#[tokio::test(start_paused = true)]
async fn no_token_goes_to_another_host() {
    let options = Options { links: Links::Elsewhere("clever.example".to_owned()), ..Options::of(Size::of(50)) };
    let scene = Scene::new(options, Settings { page_limit: 10, ..Sockless::settings() });
    assert_eq!(ids(scene.district.users(None)).await, Err(CleverError::ForeignLink));
    let token = scene.there.sign_in(&scene.there.users("student")[3]);
    assert_eq!(scene.clever.me(&token).await.err(), Some(CleverError::ForeignLink));
}

#[tokio::test(start_paused = true)]
async fn a_record_may_vanish_or_come_at_the_border_of_pages() {
    let scene = Scene::of(60, 10);
    let mut expected = scene.there.users("student");
    // The last of the first page, after which the second begins; and one of the third page.
    let (border, later) = (expected[9].clone(), expected[25].clone());
    let there = scene.there.clone();
    let gone = (border.clone(), later.clone());
    scene.fake.after("/users", 1, move |_| {
        there.remove(&gone.0);
        there.remove(&gone.1);
        there.add_students(3, &there.ids(Kind::Section)[0]);
    });
    let found = ids(scene.district.users(Some(Role::Student))).await.unwrap();
    expected.retain(|id| *id != later);
    assert!(found.contains(&border), "it was there when its page was asked for");
    expected.extend(scene.there.users("student").into_iter().rev().take(3).rev());
    assert_eq!(found, expected);
}

#[tokio::test(start_paused = true)]
async fn a_list_is_resumed_where_it_was_left() {
    let scene = Scene::of(95, 10);
    let expected = scene.there.ids(Kind::User);
    let mut found = Vec::new();
    let mut after = None;
    loop {
        // Another process, each time.
        let again = Scene::of(95, 10);
        let pages = again.district.users(None);
        let mut pages = match &after {
            Some(after) => pages.starting_after(after),
            None => pages,
        };
        let page = pages.next().await.unwrap().unwrap();
        found.extend(page.records.read().0.into_iter().map(|user| user.id));
        after = page.next_after;
        if after.is_none() {
            assert!(pages.next().await.unwrap().is_none());
            break;
        }
    }
    assert_eq!(found, expected);
}

#[tokio::test(start_paused = true)]
async fn pages_that_are_too_large_are_halved_on_the_spot() {
    let options = Options { largest_page: 30, ..Options::of(Size::of(300)) };
    let scene = Scene::new(options, Settings { page_limit: 200, ..Sockless::settings() });
    let expected = scene.there.users("student");
    assert_eq!(ids(scene.district.users(Some(Role::Student))).await.unwrap(), expected);
    // 200, 100 and 50 are refused; 25 isn't.
    assert_eq!(scene.fake.asked("/users"), 3 + expected.len().div_ceil(25) as u64);
    // In the middle, too.
    let mut pages = scene.district.users(Some(Role::Student)).of(30);
    let mut found = pages.next().await.unwrap().unwrap().records.read().0;
    scene.fake.configure(|options| options.largest_page = 10);
    while let Some(page) = pages.next().await.unwrap() {
        assert!(page.records.len() <= 10);
        found.extend(page.records.read().0);
    }
    assert_eq!(found.into_iter().map(|user| user.id).collect::<Vec<_>>(), expected);
    // Nothing is small enough.
    scene.fake.configure(|options| options.largest_page = 0);
    assert_eq!(ids(scene.district.schools()).await, Err(CleverError::TooLarge));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_failed_can_be_asked_for_again() {
    let scene = Scene::of(60, 10);
    let mut pages = scene.district.users(None);
    let mut found = pages.next().await.unwrap().unwrap().records.read().0;
    scene.fake.fail("/users", vec![Fault::Status(503); 6]);
    assert_eq!(pages.next().await.err(), Some(CleverError::Unavailable("HTTP 503")));
    while let Some(page) = pages.next().await.unwrap() {
        found.extend(page.records.read().0);
    }
    assert_eq!(found.into_iter().map(|user| user.id).collect::<Vec<_>>(), scene.there.ids(Kind::User));
}

#[tokio::test(start_paused = true)]
async fn pages_are_a_stream() {
    let scene = Scene::of(60, 10);
    let pages: Vec<_> = scene.district.users(None).into_stream().try_collect().await.unwrap();
    let found: Vec<_> = pages.into_iter().flat_map(|page| page.records.read().0).map(|user| user.id).collect();
    assert_eq!(found, scene.there.ids(Kind::User));
    scene.fake.fail("/users", [Fault::Status(400)]);
    let mut stream = std::pin::pin!(scene.district.users(None).into_stream());
    assert_eq!(stream.try_next().await.err(), Some(CleverError::Refused(400)));
    assert!(stream.try_next().await.unwrap().is_none());
}

/// A Clever whose pages lead round in a circle.
struct Circle;

#[async_trait]
impl Transport for Circle {
    async fn get(&self, request: Request) -> Result<Response, Lost> {
        let next = if request.url.query().unwrap_or_default().ends_with("5c") { "5b" } else { "5c" };
        let body = json!({
            "data": [{"data": {"id": next, "roles": {}}}],
            "links": [{"rel": "next", "uri": format!("/v3.1/users?starting_after={next}")}],
        });
        Ok(Response { status: StatusCode::OK, headers: Default::default(), body: body.to_string().into() })
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_goes_round_in_circles() {
    let clever = Clever::by(Arc::new(Circle), Sockless::settings(), context());
    let district = clever.district(DistrictToken { district: "d1".to_owned(), token: "t".into() });
    assert_eq!(ids(district.users(None)).await, Err(CleverError::Malformed("the next page doesn't lead on")));
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_is_one_empty_page() {
    let scene = Scene::of(20, 10);
    scene.fake.fail("/users", [Fault::Empty]);
    let mut pages = scene.district.users(None);
    let page = pages.next().await.unwrap().unwrap();
    assert!(page.records.is_empty() && page.next_after.is_none());
    assert!(pages.next().await.unwrap().is_none());
}
