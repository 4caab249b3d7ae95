//! Good tokens changed at random.

use functions_runtime::auth::{AppTokens, IdTokens, KeySource};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use super::apps::app_claims;
use super::{Forge, claims};
use crate::support::world::{NOW, PROJECT, http};

/// One change of a token's bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    /// Another character of a token's alphabet: the changes that get furthest.
    Replace(Index, Index),
    Cut(Index, u8),
    Insert(Index, u8),
    Repeat(Index, u8),
    Swap(Index, Index),
    Truncate(Index),
}

const ALPHABET: &[u8; 65] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

impl Mutation {
    fn any() -> impl Strategy<Value = Mutation> {
        let index = any::<Index>;
        prop_oneof![
            (index(), 0_u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
            (index(), index()).prop_map(|(at, letter)| Mutation::Replace(at, letter)),
            (index(), 1_u8..40).prop_map(|(at, length)| Mutation::Cut(at, length)),
            (index(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
            (index(), 1_u8..40).prop_map(|(at, length)| Mutation::Repeat(at, length)),
            (index(), index()).prop_map(|(one, other)| Mutation::Swap(one, other)),
            index().prop_map(Mutation::Truncate),
        ]
    }

    fn apply(&self, token: &mut Vec<u8>) {
        if token.is_empty() {
            return;
        }
        let length = token.len();
        let until = |start: usize, count: u8| (start + usize::from(count)).min(length);
        match self {
            Mutation::Flip(at, bit) => token[at.index(length)] ^= 1 << bit,
            Mutation::Replace(at, letter) => token[at.index(length)] = *letter.get(ALPHABET),
            Mutation::Cut(at, count) => drop(token.drain(at.index(length)..until(at.index(length), *count))),
            Mutation::Insert(at, byte) => token.insert(at.index(length + 1), *byte),
            Mutation::Repeat(at, count) => {
                let start = at.index(length);
                let repeated = token[start..until(start, *count)].to_vec();
                token.splice(start..start, repeated);
            }
            Mutation::Swap(one, other) => token.swap(one.index(length), other.index(length)),
            Mutation::Truncate(at) => token.truncate(at.index(length)),
        }
    }
}

#[test]
fn a_changed_token_never_holds() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (forge, keys) = tokio.block_on(async {
        let forge = Forge::new().await;
        let keys = forge.issuer().await;
        (forge, keys)
    });
    let source = || KeySource::new(&keys.url, http());
    let projects = vec![PROJECT.to_owned()];
    let id_tokens = IdTokens { projects: projects.clone(), keys: source(), allow_unsigned: false, development: None };
    // Where unsigned tokens count, a signed one is no less pinned.
    let lenient = IdTokens { projects: projects.clone(), keys: source(), allow_unsigned: true, development: None };
    let app_tokens = AppTokens { projects, apps: Vec::new(), keys: source() };
    let now = Timestamp::from_second(NOW).unwrap();
    let good = forge.good();
    // Without a key ID, every key is tried.
    let app = forge.key.sign_with(&json!({"alg": "RS256", "typ": "JWT"}), &app_claims());
    assert_eq!(forge.key.sign(&claims()), good, "signatures are as random as their message");

    let holds = async |token: &[u8], is_app: bool| {
        // What is no text is refused with its header.
        let Ok(token) = std::str::from_utf8(token) else { return false };
        if is_app {
            return app_tokens.verify(token, now).await.is_ok();
        }
        let strict = id_tokens.verify(token, now).await.is_ok();
        assert_eq!(lenient.verify(token, now).await.is_ok(), strict);
        strict
    };
    assert!(tokio.block_on(holds(good.as_bytes(), false)) && tokio.block_on(holds(app.as_bytes(), true)));
    let mutations = proptest::collection::vec(Mutation::any(), 1..4);
    let config = Config { cases: 4000, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(mutations, any::<bool>()), |(mutations, is_app)| {
        let good = if is_app { app.as_bytes() } else { good.as_bytes() };
        let mut token = good.to_vec();
        mutations.iter().for_each(|mutation| mutation.apply(&mut token));
        prop_assert_eq!(tokio.block_on(holds(&token, is_app)), token == good);
        Ok(())
    });
    outcome.unwrap();
}
