//! Clever: the rosters of districts, from its Data API, versions 3.0 and 3.1
//! (docs/domain/wire-formats.md#clevers-data-api).
//!
//! A [`Clever`] is the app. It finds out which districts are connected, each with a token; a [`District`] reads one
//! of them, page by page, within the token's rate limit. What Clever says passes through [`records`], which keeps
//! what ROAR uses. Nothing that Clever says is in an error or a log.

pub mod answer;
mod budget;
pub(crate) mod callable;
mod district;
mod error;
pub(crate) mod link;
pub mod map;
mod pages;
pub mod records;
mod request;
mod settings;
pub(crate) mod sign_in;
mod source;
mod transport;

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;

pub use self::callable::sync_clever_orgs;
pub use self::district::District;
pub use self::error::CleverError;
pub use self::pages::{Page, Pages};
pub use self::settings::{API, OAUTH, PAGE_LIMIT, REQUESTS_A_MINUTE, Settings, Version};
pub use self::sign_in::sync_clever_user;
pub use self::transport::{Http, Lost, Request, Response, Transport};

use self::budget::Budget;
use self::link::Link;
use self::records::User;
use self::request::{Requests, Who, json};
use crate::context::Context;

/// The provider's name in documents.
pub const PROVIDER: &str = "clever";

/// The result of asking Clever.
pub type Result<T> = std::result::Result<T, CleverError>;

/// Clever, as the app sees it. Cheap to clone.
#[derive(Clone)]
pub struct Clever(Arc<App>);

struct App {
    settings: Settings,
    context: Context,
    requests: Requests,
    /// What is left of each district's token, as long as somebody uses it.
    budgets: Mutex<HashMap<String, Weak<Budget>>>,
}

/// A district that is connected, and the token that opens it.
#[derive(Clone)]
pub struct DistrictToken {
    /// The district's ID.
    pub district: String,
    /// Its token.
    pub token: SecretString,
}

/// What `/oauth/tokens` answers, as far as it matters. One entry that can't be read fails them all: a district that's
/// left out would be taken for disconnected.
#[derive(Deserialize)]
struct Tokens {
    data: Vec<Token>,
}

#[derive(Deserialize)]
struct Token {
    owner: Owner,
    access_token: String,
}

#[derive(Deserialize)]
struct Owner {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: String,
}

/// What `/me` answers, as far as it matters.
#[derive(Deserialize)]
struct Me {
    /// `user`, for people (docs/domain/wire-formats.md#tokens-at-clever).
    #[serde(rename = "type")]
    kind: String,
    data: Myself,
    links: Vec<Link>,
}

#[derive(Deserialize)]
struct Myself {
    id: String,
}

impl Clever {
    /// Clever by HTTP. Fails when no client can be made.
    pub fn new(settings: Settings, context: Context) -> Result<Clever> {
        let transport = Arc::new(Http::new(&settings)?);
        Ok(Clever::by(transport, settings, context))
    }

    /// Clever by another way: tests have one without sockets, so that they can pause time.
    pub fn by(transport: Arc<dyn Transport>, settings: Settings, context: Context) -> Clever {
        let requests = Requests::new(transport, &settings, context.clone());
        Clever(Arc::new(App { settings, context, requests, budgets: Mutex::default() }))
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The districts that are connected, with their tokens (docs/domain/wire-formats.md#tokens-at-clever). None at all
    /// is a normal answer.
    pub async fn district_tokens(&self) -> Result<Vec<DistrictToken>> {
        self.tokens(None).await
    }

    /// The token of one district, fetched anew; `None` when it's connected no more.
    pub async fn refresh(&self, district: &str) -> Result<Option<DistrictToken>> {
        let tokens = self.tokens(Some(district)).await?;
        Ok(tokens.into_iter().find(|token| token.district == district))
    }

    async fn tokens(&self, district: Option<&str>) -> Result<Vec<DistrictToken>> {
        let settings = self.settings();
        let mut url = link::append(&settings.oauth, ["oauth", "tokens"])?;
        url.query_pairs_mut().append_pair("owner_type", "district");
        if let Some(district) = district {
            url.query_pairs_mut().append_pair("district", district);
        }
        let app = Who::App(&settings.client_id, &settings.client_secret);
        let tokens: Tokens = self.0.requests.get(&url, &app, None, json).await?;
        let of_districts = tokens.data.into_iter().filter(|token| token.owner.kind == "district");
        let tokens =
            of_districts.map(|token| DistrictToken { district: token.owner.id, token: token.access_token.into() });
        Ok(tokens.filter(|token| !token.district.is_empty()).collect())
    }

    /// Whoever signed in with that token: not what `/me` says, which has no roles, but the user it links to. As read, with
    /// what was passed over, and as Clever has it.
    ///
    /// [`CleverError::Unauthorized`] when the token isn't taken, [`CleverError::NotFound`] when it's a district's or
    /// the user isn't shared.
    pub async fn me(&self, access_token: &SecretString) -> Result<(User, Vec<records::Unread>, serde_json::Value)> {
        let bearer = Who::Bearer(access_token);
        let url = self.path(["me"])?;
        let me: Me = self.0.requests.get(&url, &bearer, None, json).await?;
        if me.kind != "user" {
            return Err(CleverError::NotFound);
        }
        let link = me.links.iter().find(|link| link.rel == "canonical");
        let link = link.ok_or(CleverError::Malformed("/me has no canonical link"))?;
        let url = link::follow(&url, &link.uri)?;
        let (user, unread, raw) = self.0.requests.get(&url, &bearer, None, records::single_with_raw::<User>).await?;
        if user.id != me.data.id {
            return Err(CleverError::Malformed("/me links to somebody else"));
        }
        Ok((user, unread, raw))
    }

    /// The URL of that path, below the version.
    fn path<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Result<Url> {
        let version = self.settings().version.as_str();
        link::append(&self.settings().api, std::iter::once(version).chain(segments))
    }
}
