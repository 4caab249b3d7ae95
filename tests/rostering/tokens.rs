//! Tokens: found, replaced, gone; and who signed in.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use roar_functions::demo::clever::{CLIENT_ID, Fault, Kind, Options, Size, Sockless};
use roar_functions::rostering::clever::records::Role;
use roar_functions::rostering::clever::{Clever, CleverError, Settings};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::secrets::Says;
use crate::{Scene, context, ids};

#[tokio::test(start_paused = true)]
async fn connected_districts_are_found() {
    let options = Options { districts: vec![Size::of(10); 3], ..Options::default() };
    let scene = Scene::new(options, Sockless::settings());
    let connected = async || {
        let tokens = scene.clever.district_tokens().await.unwrap();
        tokens.into_iter().map(|token| token.district).collect::<Vec<_>>()
    };
    let all = [0, 1, 2].map(|number| scene.fake.district(number).id());
    assert_eq!(connected().await, all);
    scene.fake.district(1).disconnect();
    assert_eq!(connected().await, [all[0].as_str(), &all[2]]);
    assert!(scene.clever.refresh(&all[1]).await.unwrap().is_none());
    for number in [0, 2] {
        let found = scene.clever.refresh(&all[number]).await.unwrap().unwrap();
        let there = scene.fake.district(number).token().unwrap();
        assert_eq!(found.token.expose_secret(), there.token.expose_secret());
    }
    scene.fake.district(0).disconnect();
    scene.fake.district(2).disconnect();
    assert_eq!(connected().await, Vec::<String>::new());
    let wrong = Settings { client_secret: "wrong".into(), ..Sockless::settings() };
    assert_eq!(wrong.client_id, CLIENT_ID);
    let scene = Scene::new(Options::default(), wrong);
    assert_eq!(scene.clever.district_tokens().await.err(), Some(CleverError::Unauthorized));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_fetched_anew_once() {
    let scene = Scene::of(60, 10);
    let there = scene.there.clone();
    scene.fake.after("/users", 3, move |_| there.replace_token());
    assert_eq!(ids(scene.district.users(None)).await.unwrap(), scene.there.ids(Kind::User));
    assert_eq!(scene.fake.asked("/oauth/tokens"), 1);
    // However many are refused at once: all are asked for before the first is answered.
    scene.there.replace_token();
    scene.fake.fail("/districts", vec![Fault::Slow(Duration::from_millis(5)); 20]);
    let found = join_all((0..20).map(|_| scene.district.district())).await;
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(scene.fake.asked("/oauth/tokens"), 2);
    // A new one that is refused, too, isn't followed by another.
    scene.there.replace_token();
    let there = scene.there.clone();
    scene.fake.after("/oauth/tokens", 1, move |_| there.replace_token());
    assert_eq!(ids(scene.district.users(None)).await, Err(CleverError::Unauthorized));
    assert_eq!(scene.fake.asked("/oauth/tokens"), 3);
    // But the next request has its chance.
    assert!(scene.district.district().await.is_ok());
    scene.there.disconnect();
    assert_eq!(scene.district.district().await.err(), Some(CleverError::Disconnected));
    assert!(!CleverError::Disconnected.may_pass());
    scene.there.connect();
    assert!(scene.district.district().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_signed_in_is_known_with_all_their_roles() {
    let scene = Scene::of(400, 100);
    for role in Role::ALL {
        for id in scene.there.users(role.as_str()).into_iter().take(5) {
            let token = scene.there.sign_in(&id);
            let (user, _, raw) = scene.clever.me(&token).await.unwrap();
            assert_eq!((user.id.as_str(), raw["id"].as_str()), (id.as_str(), Some(id.as_str())));
            assert!(user.roles.held().contains(&role));
            assert_eq!(user, scene.district.user(&id).await.unwrap());
        }
    }
    let both = scene.there.users("teacher").into_iter().find(|id| scene.there.users("staff").contains(id)).unwrap();
    let (user, _, _) = scene.clever.me(&scene.there.sign_in(&both)).await.unwrap();
    assert_eq!(user.roles.held(), [Role::Teacher, Role::Staff]);

    assert_eq!(scene.clever.me(&"nonsense".into()).await.err(), Some(CleverError::Unauthorized));
    assert_eq!(scene.clever.me(&"not\na header".into()).await.err(), Some(CleverError::Unauthorized));
    let district = scene.there.token().unwrap().token;
    assert_eq!(scene.clever.me(&district).await.err(), Some(CleverError::NotFound));
    // A district's own `/me`, as some versions had it, is nobody's.
    let own =
        json!({"type": "district", "data": {"id": "d1"}, "links": [{"rel": "canonical", "uri": "/v3.1/districts/d1"}]});
    let clever = Clever::by(Arc::new(Says(200, own.to_string())), Sockless::settings(), context());
    assert_eq!(clever.me(&district).await.err(), Some(CleverError::NotFound));
    let token = scene.there.sign_in(&both);
    scene.there.remove(&both);
    assert_eq!(scene.clever.me(&token).await.err(), Some(CleverError::NotFound));
}
