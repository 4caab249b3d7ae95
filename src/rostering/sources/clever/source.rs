//! Clever as a provider of rosters: what syncs ask, in terms of Clever's lists and records.

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};

use super::pages::Pages as CleverPages;
use super::records::{DistrictState, Record, Role, School, Section, User};
use super::{Clever, CleverError, District, PROVIDER, map};
use crate::rostering::model::{Member, RosterClass, RosterDistrict, RosterOrg, Unread};
use crate::rostering::source::{Noted, Page, Pages, Provider, Source, SourceError};
use crate::store::Timestamp;

impl From<CleverError> for SourceError {
    fn from(error: CleverError) -> Self {
        let is_refused = matches!(error, CleverError::Unauthorized | CleverError::Disconnected);
        SourceError { text: error.to_string(), is_refused }
    }
}

#[async_trait]
impl Provider for Clever {
    fn name(&self) -> &'static str {
        PROVIDER
    }

    async fn sources(&self, only: Option<&str>) -> Result<Vec<Box<dyn Source>>, SourceError> {
        let tokens = match only {
            None => self.district_tokens().await?,
            Some(id) => self.refresh(id).await?.into_iter().collect(),
        };
        Ok(tokens.into_iter().map(|token| Box::new(self.district(token)) as Box<dyn Source>).collect())
    }
}

#[async_trait]
impl Source for District {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn id(&self) -> &str {
        District::id(self)
    }

    async fn district(&self, now: Timestamp) -> Result<Noted<RosterDistrict>, SourceError> {
        let (info, unread) = self.district_noting().await?;
        if info.id != self.id() {
            return Err(CleverError::Malformed("the token opens another district").into());
        }
        let is_running = matches!(info.state, None | Some(DistrictState::Running | DistrictState::Success));
        let is_complete = is_running && !map::is_paused(&info, now);
        let org = with_unread(map::district(&info), &unread);
        Ok(Noted { record: RosterDistrict { org, name: info.name, is_complete }, unread })
    }

    fn schools(&self) -> Pages<RosterOrg> {
        let id = self.id().to_owned();
        pages(District::schools(self).counted(), move |school: School, unread| {
            with_unread(map::school(&school, &id), unread)
        })
    }

    fn classes(&self) -> Pages<RosterClass> {
        let id = self.id().to_owned();
        pages(self.sections().counted(), move |section: Section, unread| {
            let class = map::class(section, &id);
            RosterClass { org: class.org.map(|org| with_unread(org, unread)), ..class }
        })
    }

    fn people(&self) -> Pages<Member> {
        let id = self.id().to_owned();
        pages(self.users(None).counted(), move |user: User, unread| {
            let mut member = map::member(&user, &id);
            if let Some(person) = &mut member.person {
                person.unread = map::unread_of_person(unread);
            }
            member
        })
    }

    async fn count_students(&self) -> Result<Option<u64>, SourceError> {
        let page = self.users(Some(Role::Student)).of(1).counted().next().await?;
        Ok(page.and_then(|page| page.total))
    }
}

fn with_unread(org: RosterOrg, unread: &[Unread]) -> RosterOrg {
    let unread = map::unread_of_org(unread, &org);
    org.with_unread(unread)
}

/// Clever's pages, of which each record is mapped when it's read.
fn pages<R: Record, T: 'static>(
    pages: CleverPages<R>,
    map: impl Fn(R, &[Unread]) -> T + Clone + Send + 'static,
) -> Pages<T> {
    let page = move |page: super::Page<R>| {
        let map = map.clone();
        let number = page.records.len();
        let records = page.records.into_noting().map(move |read| {
            let (record, unread) = read?;
            Ok(Noted { record: map(record, &unread), unread })
        });
        Page {
            number,
            records: Box::new(records),
            total: page.total,
            is_last: page.next_after.is_none(),
            is_cut_short: page.is_doubtful,
        }
    };
    pages.into_stream().map_ok(page).map_err(SourceError::from).boxed()
}
