//! One district, read with its token.

use std::fmt;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::Url;
use secrecy::SecretString;

use super::budget::Budget;
use super::records::{self, DistrictInfo, Record, School, Section, Unread, User};
use super::request::Who;
use super::{Clever, CleverError, DistrictToken, Result};

/// One district, read with its token. Cheap to clone; clones share the token and its rate limit.
#[derive(Clone)]
pub struct District(Arc<Reader>);

struct Reader {
    clever: Clever,
    id: String,
    budget: Arc<Budget>,
    token: Mutex<Current>,
    /// Held while a token is fetched anew, so that many who are refused at once fetch one.
    renewing: tokio::sync::Mutex<()>,
}

/// The token in use. `serial` counts how often it was fetched anew.
#[derive(Clone)]
struct Current {
    token: SecretString,
    serial: u64,
}

impl fmt::Debug for District {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "District({})", self.0.id)
    }
}

impl Clever {
    /// One district, read with that token. All that are made of one district share its rate limit.
    pub fn district(&self, token: DistrictToken) -> District {
        let mut budgets = self.0.budgets.lock();
        budgets.retain(|_, budget| budget.strong_count() > 0);
        let known = budgets.get(&token.district).and_then(Weak::upgrade);
        let budget = known.unwrap_or_else(|| {
            let settings = self.settings();
            let context = self.0.context.clone();
            let budget = Arc::new(Budget::new(context, settings.requests_a_minute, settings.longest_wait));
            budgets.insert(token.district.clone(), Arc::downgrade(&budget));
            budget
        });
        drop(budgets);
        District::new(self.clone(), token, budget)
    }
}

impl District {
    fn new(clever: Clever, token: DistrictToken, budget: Arc<Budget>) -> District {
        let DistrictToken { district: id, token } = token;
        let token = Mutex::new(Current { token, serial: 0 });
        District(Arc::new(Reader { clever, id, budget, token, renewing: tokio::sync::Mutex::default() }))
    }

    /// The district's ID.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The district's own record. A paused one answers still, and so does one with an error: look at its state.
    pub async fn district(&self) -> Result<DistrictInfo> {
        self.single(&self.0.id).await
    }

    /// As [`District::district`], with what of the record was passed over.
    pub(super) async fn district_noting(&self) -> Result<(DistrictInfo, Vec<Unread>)> {
        self.single_noting(&self.0.id).await
    }

    /// One school; [`CleverError::NotFound`] when there's none, or it isn't shared.
    pub async fn school(&self, id: &str) -> Result<School> {
        self.single(id).await
    }

    /// One section; [`CleverError::NotFound`] when there's none, or it isn't shared.
    pub async fn section(&self, id: &str) -> Result<Section> {
        self.single(id).await
    }

    /// One user; [`CleverError::NotFound`] when there's none, or they aren't shared.
    pub async fn user(&self, id: &str) -> Result<User> {
        self.single(id).await
    }

    async fn single<T: Record>(&self, id: &str) -> Result<T> {
        self.single_noting(id).await.map(|(record, _)| record)
    }

    async fn single_noting<T: Record>(&self, id: &str) -> Result<(T, Vec<Unread>)> {
        let url = self.0.clever.path([T::LIST, id])?;
        let found: (T, _) = self.get(&url, records::single).await?;
        if found.0.id() == id { Ok(found) } else { Err(CleverError::Malformed("it's another record")) }
    }

    pub(super) fn clever(&self) -> &Clever {
        &self.0.clever
    }

    /// Asks with the token. When it's refused, it's fetched anew, once.
    pub(super) async fn get<T>(&self, url: &Url, read: impl Fn(&Bytes) -> Result<T>) -> Result<T> {
        let current = self.0.token.lock().clone();
        match self.get_with(&current.token, url, &read).await {
            Err(CleverError::Unauthorized) => {
                let fresh = self.renewed(current.serial).await?;
                self.get_with(&fresh, url, &read).await
            }
            outcome => outcome,
        }
    }

    async fn get_with<T>(&self, token: &SecretString, url: &Url, read: impl Fn(&Bytes) -> Result<T>) -> Result<T> {
        self.0.clever.0.requests.get(url, &Who::Bearer(token), Some(&self.0.budget), read).await
    }

    /// A token that is younger than the one of that serial number.
    async fn renewed(&self, serial: u64) -> Result<SecretString> {
        let _alone = self.0.renewing.lock().await;
        let current = self.0.token.lock().clone();
        if current.serial > serial {
            return Ok(current.token);
        }
        tracing::info!(district = self.0.id, "the token is refused, and fetched anew");
        let fresh = self.0.clever.refresh(&self.0.id).await?.ok_or(CleverError::Disconnected)?;
        *self.0.token.lock() = Current { token: fresh.token.clone(), serial: serial + 1 };
        Ok(fresh.token)
    }
}
