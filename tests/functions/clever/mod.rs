//! A district that comes from Clever: its orgs and people, before a fake Clever that changes and fails.

mod archiving;
mod confirming;
mod doubles;
mod early;
mod faults;
mod gaps;
mod given;
mod linking;
mod moving;
mod refusals;
mod rights;
mod runs;
mod safety;
mod shown;
mod sign_in;
mod sync;

use std::collections::BTreeMap;
use std::sync::Arc;

use roar_functions::context::Context;
use roar_functions::demo::clever::{FakeClever, FakeDistrict, Options as Fake, Size, Sockless};
use roar_functions::fields;
use roar_functions::orgs::OrgLists;
use roar_functions::rostering::Rosters;
use roar_functions::rostering::clever::map::{self, Enrolments};
use roar_functions::rostering::clever::records::{Record, Section, User};
use roar_functions::rostering::clever::{Clever, District, Settings, Version};
use roar_functions::rostering::doubles::{self as pairs, Double};
use roar_functions::rostering::person::{self, Before, Said};
use roar_functions::rostering::report::{Progress, Report};
use roar_functions::rostering::sync::{Monitor, Options, Outcome, SyncError, sync_district};
use roar_functions::runtime::FunctionError;
use roar_functions::store::{DocPath, Document, Fields, Query, Value, lookup};
use serde_json::{Value as Json, json};

use crate::local::LocalWorld;
use crate::town::lists;
use crate::world::{open_administration, set};

const STUDENTS: u64 = 120;

struct Scene {
    world: LocalWorld,
    fake: FakeClever,
    there: FakeDistrict,
    client: District,
}

const DEEP: Options = Options::DEEP;

impl Scene {
    async fn open() -> Scene {
        Scene::of(LocalWorld::with_clever(Default::default(), Fake::of(Size::of(STUDENTS))).await)
    }

    /// About the first of that Clever's districts.
    fn of(world: LocalWorld) -> Scene {
        let (fake, clever) = (world.fake.clone(), Rosters::of(&world.service.app).clever.clone().expect("it's set up"));
        let there = fake.district(0);
        let client = clever.district(there.token().expect("it's connected"));
        Scene { world, fake, there, client }
    }

    /// Asks Clever by that version of its API.
    fn speak(&mut self, version: Version) {
        let settings = Settings { version, page_limit: 50, ..Sockless::settings() };
        let clever = Clever::by(Arc::new(self.fake.transport()), settings, Context::system());
        self.client = clever.district(self.there.token().expect("it's connected"));
    }

    /// Makes `super` a super admin.
    async fn appoint_super_admin(&self) {
        let claims = fields! { "super_admin" => true, "roarUid" => "super" };
        set(self.world.admin(), "userClaims/super", fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    }

    /// Calls `syncCleverOrgs` as a super admin.
    async fn call(&self, data: Json) -> Result<Json, FunctionError> {
        self.appoint_super_admin().await;
        self.world.call_function("syncCleverOrgs", "super", data).await
    }

    /// The IDs in one of a user's lists: `classes`.
    async fn current(&self, id: &str, plural: &str) -> Vec<String> {
        let user = self.user(id).await;
        lookup(&user, &format!("{plural}.current")).and_then(Value::as_string_list).unwrap_or_default()
    }

    async fn sync(&self, options: Options) -> Result<Report, SyncError> {
        let progress = tokio::sync::watch::Sender::new(Progress::default());
        let monitor = Monitor { progress: &progress, run: None, enrolled_before: None, knows_notes: true };
        let mut outcome = Outcome::default();
        sync_district(&self.world.service.app, &self.client, options, &monitor, &mut outcome).await?;
        Ok(outcome.report)
    }

    /// Syncs, and lets everything follow.
    async fn settle(&self) -> Report {
        let report = self.sync(DEEP).await.expect("synced");
        self.world.settle().await;
        report
    }

    async fn all(&self, collection: &str) -> BTreeMap<String, Fields> {
        let found = self.world.admin().query(Query::collection(collection)).await.expect("documents");
        found.into_iter().map(|document: Document| (document.id().to_owned(), document.fields)).collect()
    }

    /// The pairs of users who may be one person, and wait for somebody's yes.
    async fn pairs(&self) -> Vec<Double> {
        pairs::waiting(self.world.admin(), &self.there.id(), None).await.expect("pairs").pairs
    }

    /// The users document of a person of Clever's.
    async fn user(&self, id: &str) -> Fields {
        let entry = self.entry(id).await;
        let roar_uid = entry.get("roarUid").and_then(Value::as_str).expect("a user").to_owned();
        let path = DocPath::in_collection("users", &roar_uid).expect("a path");
        self.world.admin().get(&path).await.expect("readable").expect("a user").fields
    }

    async fn entry(&self, id: &str) -> Fields {
        let path = DocPath::in_collection("identityProviderIds", &format!("clever-{id}")).expect("a path");
        self.world.admin().get(&path).await.expect("readable").expect("an entry").fields
    }

    /// ROAR has what Clever has, once each, and nobody else is enrolled.
    async fn assert_right(&self, what: &str) {
        let mut enrolments = Enrolments::default();
        let mut classes = Vec::new();
        let mut pages = self.client.sections();
        while let Some(page) = pages.next().await.expect("sections") {
            for section in page.records.iter() {
                let section: Section = section.expect("readable");
                classes.push(section.id().to_owned());
                enrolments.add(&map::class(section, &self.there.id()));
            }
        }
        let mut schools = Vec::new();
        let mut pages = self.client.schools();
        while let Some(page) = pages.next().await.expect("schools") {
            schools.extend(page.records.iter().map(|school| school.expect("readable").id().to_owned()));
        }
        let stored = self.all("classes").await;
        for (kind, there, here) in
            [("schools", &mut schools, &self.all("schools").await), ("classes", &mut classes, &stored)]
        {
            there.sort();
            let living = here.iter().filter(|(_, org)| org.get("archived") == Some(&Value::Boolean(false)));
            assert_eq!(
                living.map(|(id, _)| id).collect::<Vec<_>>(),
                there.iter().collect::<Vec<_>>(),
                "{what}: {kind}"
            );
        }
        let living = lists(&json!({"districts": [self.there.id()], "schools": schools, "classes": classes}));
        let living = OrgLists::from_value(Some(&living)).to_set();
        let owned = lists(&json!({
            "districts": [self.there.id()], "classes": stored.keys().collect::<Vec<_>>(),
            "schools": self.all("schools").await.keys().collect::<Vec<_>>(),
        }));
        let owned = roar_functions::orgs::OrgLists::from_value(Some(&owned)).to_set();
        let before = Before { owned: &owned, said: Said::all(), email: None, was_admin: false, is_back: true };
        let users = self.all("users").await;
        let entries = self.all("identityProviderIds").await;
        let mut present = 0;
        let mut pages = self.client.users(None);
        while let Some(page) = pages.next().await.expect("users") {
            for user in page.records.noting() {
                let (user, unread): (User, _) = user.expect("readable");
                let sections = enrolments.sections_of(user.id());
                let Some(mut wanted) = map::person(&user, &self.there.id(), &sections) else { continue };
                wanted.unread = map::unread_of_person(&unread);
                // A record may name a school that isn't shared.
                wanted.orgs = wanted.orgs.intersection(&living);
                let entry = entries.get(&format!("clever-{}", user.id())).unwrap_or_else(|| panic!("{what}: nobody"));
                let roar_uid = entry.get("roarUid").and_then(Value::as_str).expect("a user");
                let change = person::change(&users[roar_uid], &wanted, &before, self.world.now());
                assert_eq!(change, None, "{what}");
                present += 1;
            }
        }
        let enrolled = |user: &&Fields| user.get("archived") == Some(&Value::Boolean(false));
        // Contacts are in no org, so that nothing archives them.
        let rostered = users.values().filter(|user| user.contains_key("ssoType")).filter(enrolled).count();
        assert_eq!(rostered, present, "{what}");
        assert_eq!(entries.len(), users.values().filter(|user| user.contains_key("ssoType")).count(), "{what}");
    }

    /// The fingerprints that earlier versions made of people, by their IDs.
    async fn former_fingerprints(&self) -> BTreeMap<String, String> {
        let mut enrolments = Enrolments::default();
        let mut pages = self.client.sections();
        while let Some(page) = pages.next().await.expect("sections") {
            let sections = page.records.iter().map(|section: Result<Section, _>| section.expect("readable"));
            sections.for_each(|section| enrolments.add(&map::class(section, &self.there.id())));
        }
        let ids = async |collection: &str| self.all(collection).await.into_keys().collect::<Vec<_>>();
        let living = lists(&json!({
            "districts": [self.there.id()], "schools": ids("schools").await, "classes": ids("classes").await,
        }));
        let living = OrgLists::from_value(Some(&living)).to_set();
        let mut all = BTreeMap::new();
        let mut pages = self.client.users(None);
        while let Some(page) = pages.next().await.expect("users") {
            for user in page.records.noting() {
                let (user, unread): (User, _) = user.expect("readable");
                let sections = enrolments.sections_of(user.id());
                let Some(mut person) = map::person(&user, &self.there.id(), &sections) else { continue };
                person.unread = map::unread_of_person(&unread);
                person.orgs = person.orgs.intersection(&living);
                let taught = enrolments.taught_by(user.id());
                let rights = map::admin_orgs(&user, &self.there.id(), &taught).intersection(&living);
                all.insert(user.id().to_owned(), person.former_fingerprint(&rights));
            }
        }
        all
    }

    async fn administer(&self) -> String {
        self.appoint_super_admin().await;
        let mut administration = open_administration(self.world.now());
        administration["orgs"] = json!({"districts": [self.there.id()]});
        for assessment in administration["assessments"].as_array_mut().expect("assessments") {
            assessment["conditions"] = json!(null);
        }
        let id = self.world.create("super", administration).await;
        self.world.settle().await;
        id
    }
}
