//! `demo --clever`: syncs a district's roster from a made-up Clever, changes the roster there, and syncs again.

use std::time::Instant;

use serde_json::{Value as Json, json};

use super::clever::{FakeDistrict, Kind};
use super::district::administration;
use super::report::Report;
use super::{DemoError, Stage, bar};
use crate::documents::user::user_path;
use crate::fields;
use crate::rights::Claims;
use crate::store::{Value, Write};

/// The Auth UID of the super admin who starts the syncs.
pub const SUPER_UID: &str = "super-okafor";

/// The changes of the roster over the summer.
struct Summer {
    moved: String,
    left: String,
    promoted: String,
    born: String,
    added: String,
}

impl Stage<'_> {
    /// Runs the demonstration with the given district of a fake Clever; `settled` resolves when no event and no task is
    /// pending.
    pub async fn show_clever(&self, there: &FakeDistrict, settled: impl AsyncFn()) -> Result<(), DemoError> {
        self.appoint().await?;
        let roster = there.roster();
        println!("\n1. A district shares its roster through Clever\n");
        println!(
            "  {} schools, {} sections, {} people, {} of them students. All of it is made up.\n",
            roster.size.schools,
            roster.sections(),
            roster.users(),
            roster.size.students,
        );
        println!("2. A super admin presses \"sync\", and hears how far it is\n");
        self.sync().await?;
        settled().await;
        println!("\n3. The whole district gets an administration\n");
        let id = self.assign(there).await?;
        settled().await;
        println!("  {} assignments.\n", self.assignments(&id).await?);
        println!("4. In Clever, things change\n");
        let summer = change(there);
        println!(
            "  {} moves to another class, {} leaves, {} is promoted to grade 8,",
            summer.moved, summer.left, summer.promoted
        );
        println!("  {}'s date of birth is mended, {} is new.\n", summer.born, summer.added);
        self.sync().await?;
        settled().await;
        println!("\n  Their assignments have followed: {} now.\n", self.assignments(&id).await?);
        println!("5. Nothing changes, and a sync writes nothing but its own record\n");
        self.sync().await?;
        settled().await;
        println!("\n6. The counts, beside a recount over all assignments\n");
        let report = Report::read(&self.service.app.stores.admin, &id).await?;
        println!("{}\n", report.by_school(&[]));
        if !report.agrees() {
            return Err(DemoError::Counts);
        }
        println!("  Every counter of every org agrees with the recount of {} assignments.\n", report.assignments);
        Ok(())
    }

    /// Gives the user [`SUPER_UID`] the rights of a super admin.
    async fn appoint(&self) -> Result<(), DemoError> {
        let claims = fields! { "super_admin" => true, "role" => "super_admin", "roarUid" => SUPER_UID };
        let user = fields! {
            "userType" => "admin", "archived" => false,
            "adminData" => fields! { "administrationsCreated" => Vec::<Value>::new() },
        };
        let claims = fields! { "claims" => claims, "lastUpdated" => self.service.app.now().as_millisecond() };
        let writes = vec![Write::set(Claims::path(SUPER_UID)?, claims), Write::set(user_path(SUPER_UID)?, user)];
        self.service.app.stores.admin.commit(writes).await?;
        Ok(())
    }

    async fn assign(&self, there: &FakeDistrict) -> Result<String, DemoError> {
        let now = self.service.app.now();
        let day = jiff::SignedDuration::from_hours(24);
        let mut body = administration(now - day, now + day * 60);
        body["orgs"] = json!({ "districts": [there.id()] });
        let answer = self.post("createAdministration", &body).await?.json::<Json>().await?;
        match answer["result"]["administrationId"].as_str() {
            Some(id) => Ok(id.to_owned()),
            None => Err(DemoError::Call(answer.to_string())),
        }
    }

    async fn assignments(&self, id: &str) -> Result<u64, DemoError> {
        let assignments = crate::documents::assignment::of_administration(id);
        Ok(self.service.app.stores.admin.count(assignments).await?)
    }

    async fn post(&self, function: &str, data: &Json) -> Result<reqwest::Response, DemoError> {
        let now = self.service.app.now();
        let token = self.key.token(self.project, SUPER_UID, None, Default::default(), now);
        let http = reqwest::Client::builder().build()?;
        let accept = if function == "syncCleverOrgs" { "text/event-stream" } else { "application/json" };
        let request = http.post(format!("{}/{function}", self.url)).header("accept", accept);
        Ok(request.bearer_auth(token.map_err(DemoError::Call)?).json(&json!({ "data": data })).send().await?)
    }

    /// Calls `syncCleverOrgs` like the client SDK's `stream()`, and shows the streamed progress.
    async fn sync(&self) -> Result<(), DemoError> {
        let before = self.service.app.stores.admin.cost();
        let began = Instant::now();
        println!("  POST {}/syncCleverOrgs {{\"shallow\": false}}", self.url);
        let mut answer = self.post("syncCleverOrgs", &json!({ "shallow": false })).await?;
        let bar = bar("syncing", 0);
        let mut waiting = Vec::new();
        let mut result = Json::Null;
        while let Some(chunk) = answer.chunk().await? {
            waiting.extend_from_slice(&chunk);
            while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = waiting.drain(..=end).collect();
                let Some(frame) = line.strip_prefix(b"data: ") else { continue };
                let frame: Json = serde_json::from_slice(frame).unwrap_or_default();
                if let Some(message) = frame.get("message") {
                    bar.set_length(message["total"].as_u64().or(message["done"].as_u64()).unwrap_or(0));
                    bar.set_position(message["done"].as_u64().unwrap_or(0));
                    bar.set_message(message["phase"].as_str().unwrap_or_default().replace('_', " "));
                }
                if let Some(error) = frame.get("error") {
                    return Err(DemoError::Call(error.to_string()));
                }
                if let Some(done) = frame.get("result") {
                    result = done.clone();
                }
            }
        }
        bar.finish();
        let took = began.elapsed().as_secs_f64();
        let spent = self.service.app.stores.admin.cost() - before;
        let mut records = 0;
        for kind in ["schools", "classes", "users"] {
            let of = |what: &str| result["counts"][kind][what].as_u64().unwrap_or(0);
            records += of("created") + of("updated") + of("unchanged");
            println!(
                "  {kind:8} {:6} new, {:6} changed, {:6} as they were, {:4} gone",
                of("created"),
                of("updated"),
                of("unchanged"),
                of("removed"),
            );
        }
        println!(
            "  {records} records in {took:.2} s; {} reads, {} writes so far, with what follows of them.",
            spent.reads, spent.writes
        );
        Ok(())
    }
}

/// Changes the roster: one student moves, one leaves, one is promoted, one's date of birth is corrected, and one is
/// new.
fn change(there: &FakeDistrict) -> Summer {
    let sections = there.ids(Kind::Section);
    let students = there.users("student");
    let from = sections.iter().find(|section| !there.students_of(section).is_empty());
    let from = from.cloned().unwrap_or_default();
    let moved = there.students_of(&from).first().cloned().unwrap_or_default();
    let to = sections.iter().find(|section| !there.students_of(section).contains(&moved)).cloned();
    let to = to.unwrap_or_else(|| from.clone());
    there.move_student(&moved, &from, &to);
    let mut others = students.into_iter().filter(|student| *student != moved);
    let mut next = || others.next().unwrap_or_else(|| moved.clone());
    let (left, promoted, born) = (next(), next(), next());
    there.remove(&left);
    there.promote(&promoted, "8");
    there.set_dob(&born, "3/20/2015");
    let added = there.add_students(1, &to).pop().unwrap_or_default();
    Summer { moved, left, promoted, born, added }
}
