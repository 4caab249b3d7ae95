//! `roar-functions demo`: the main job from start to end, on an embedded store, for people to see.

pub mod clever;
pub mod district;
pub mod play;
pub mod report;
pub mod roster;

use std::time::{Duration, Instant};

use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use thiserror::Error;

use crate::documents::administration::administration_path;
use crate::runtime::auth::DevelopmentKey;
use crate::service::Service;
use crate::store::{DocPath, StoreError, Value};
use district::{ADMIN_UID, DISTRICT, District, Size, administration};
use report::Report;

/// The number of documents in each commit when the district is written.
const BATCH: usize = 400;
/// The number of students who work at the same time.
const AT_WORK: usize = 32;
/// The interval at which progress is checked.
const LOOK: Duration = Duration::from_millis(50);
/// The tasks of the demonstration, in order.
const TASKS: [&str; 5] = ["letter", "pa", "swr", "sre", "roar-inference"];

/// Why a demonstration failed.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server couldn't be called.
    #[error("the server doesn't answer: {0}")]
    Http(#[from] reqwest::Error),
    /// The call failed.
    #[error("the call failed: {0}")]
    Call(String),
    /// The counts differ from the recount.
    #[error("the counts differ from the recount")]
    Counts,
}

/// What a demonstration needs from its service.
pub struct Stage<'a> {
    /// The running service.
    pub service: &'a Service,
    /// The address at which the service listens.
    pub url: &'a str,
    /// Makes the tokens that the service accepts.
    pub key: &'a DevelopmentKey,
    /// The admin project.
    pub project: &'a str,
    /// How many students the district has.
    pub students: usize,
}

impl Stage<'_> {
    /// Gives the demonstration; `settled` resolves when no event and no task is left.
    pub async fn show(&self, settled: impl AsyncFn()) -> Result<(), DemoError> {
        let district = District::new(Size::of(self.students));
        self.enrol(&district).await?;
        settled().await;
        let (id, began) = self.create().await?;
        self.watch(&id, began).await?;
        settled().await;
        let cost = self.service.app.stores.admin.cost();
        self.study(&district, &id).await?;
        settled().await;
        let spent = self.service.app.stores.admin.cost() - cost;
        println!("  Students' work and the counts that follow it: {} reads, {} writes.\n", spent.reads, spent.writes);
        self.report(&district, &id).await
    }

    async fn enrol(&self, district: &District) -> Result<(), DemoError> {
        let size = district.size();
        println!("\n1. A district enrols\n");
        println!(
            "  Willow Creek Unified: {} schools, {} classes, {} groups, {} students from kindergarten to grade 5.\n",
            size.schools,
            size.schools * size.classes_a_school,
            size.groups,
            size.students
        );
        let bar = bar("writing documents", district.documents());
        for batch in district.batches(BATCH) {
            let batch = batch?;
            bar.inc(batch.len() as u64);
            self.service.app.stores.admin.commit(batch).await?;
        }
        bar.finish();
        Ok(())
    }

    /// Calls `createAdministration` over HTTP as the client SDK does.
    async fn create(&self) -> Result<(String, Instant), DemoError> {
        println!("\n2. An administrator creates an administration for the whole district\n");
        let now = self.service.app.now();
        let day = jiff::SignedDuration::from_hours(24);
        let token = self.key.token(self.project, ADMIN_UID, Some("dana.rivera@example.org"), Default::default(), now);
        let token = token.map_err(DemoError::Call)?;
        let body = administration(now - day, now + day * 60);
        println!("  POST {}/createAdministration", self.url);
        println!("  name {}, tasks {}, orgs districts: [{DISTRICT}]", body["name"], TASKS.join(" "));
        let http = reqwest::Client::builder().timeout(Duration::from_secs(70)).build()?;
        let began = Instant::now();
        let answer = http
            .post(format!("{}/createAdministration", self.url))
            .bearer_auth(token)
            .json(&serde_json::json!({ "data": body }))
            .send()
            .await?;
        let (status, answer) = (answer.status(), answer.json::<serde_json::Value>().await?);
        println!("  {status} {answer}   ({:.1} ms)\n", began.elapsed().as_secs_f64() * 1000.0);
        match answer["result"]["administrationId"].as_str() {
            Some(id) => Ok((id.to_owned(), began)),
            None => Err(DemoError::Call(answer.to_string())),
        }
    }

    /// Shows the fan-out as the dashboard could: from the administration's own progress.
    async fn watch(&self, id: &str, began: Instant) -> Result<(), DemoError> {
        println!("3. Every student gets an assignment\n");
        let database = &self.service.app.stores.admin;
        let path = administration_path(id)?;
        let bar = bar("assigning, in chunks", 1);
        let before = database.cost();
        let mut looks = 0;
        loop {
            let document = database.get(&path).await?;
            looks += 1;
            let field = |name: &str| document.as_ref().and_then(|document| document.fields.get(name).cloned());
            let number = |name: &str| field(name).and_then(|value| value.as_i64()).unwrap_or(0).unsigned_abs();
            bar.set_length(number("syncChunksTotal").max(1));
            bar.set_position(number("syncChunksCompleted"));
            match field("syncStatus").as_ref().and_then(Value::as_str) {
                Some("complete") => break,
                Some("failed") => return Err(DemoError::Call("the sync failed".to_owned())),
                _ => tokio::time::sleep(LOOK).await,
            }
        }
        bar.finish();
        let took = began.elapsed().as_secs_f64();
        let spent = database.cost() - before;
        let students = self.students as f64;
        println!(
            "  {} students in {took:.2} s: {:.0} assignments a second, {:.2} reads and {:.2} writes a student.",
            self.students,
            students / took,
            (spent.reads - looks) as f64 / students,
            spent.writes as f64 / students,
        );
        for grade in [0, 3] {
            if let Some((student, tasks)) = self.example(id, grade).await? {
                println!("  {student}: {tasks}");
            }
        }
        Ok(())
    }

    async fn example(&self, id: &str, n: usize) -> Result<Option<(String, String)>, DemoError> {
        let student = District::student_id(n);
        let path = DocPath::in_collection(&format!("users/{student}/assignments"), id)?;
        let Some(assignment) = self.service.app.stores.admin.get(&path).await? else { return Ok(None) };
        let grade = crate::store::lookup(&assignment.fields, "userData.grade").and_then(Value::as_str);
        let who = format!("{student} (grade {})", grade.unwrap_or("unknown"));
        Ok(Some((who, report::sketch(&assignment.fields))))
    }

    /// Students start and finish tasks, each step as the client writes it.
    async fn study(&self, district: &District, id: &str) -> Result<(), DemoError> {
        println!("\n4. Students start and finish their tasks\n");
        let bar = bar("students at work", district.size().students);
        let database = &self.service.app.stores.admin;
        let work = (0..district.size().students).map(|n| {
            let (bar, database, id, context) =
                (bar.clone(), database.clone(), id.to_owned(), self.service.app.context.clone());
            async move {
                let path = DocPath::in_collection(&format!("users/{}/assignments", District::student_id(n)), &id)?;
                for step in play::steps(n, TASKS.len()) {
                    play::play(&database, &path, step, context.now()).await?;
                }
                bar.inc(1);
                Ok::<_, StoreError>(())
            }
        });
        let mut at_work = futures::stream::iter(work).buffer_unordered(AT_WORK);
        while let Some(done) = at_work.next().await {
            done?;
        }
        bar.finish();
        Ok(())
    }

    async fn report(&self, district: &District, id: &str) -> Result<(), DemoError> {
        println!("5. The counts, beside a recount over all assignments\n");
        let report = Report::read(&self.service.app.stores.admin, id).await?;
        let schools = district.schools();
        let shown = &schools[..schools.len().min(10)];
        println!("{}\n", report.by_school(shown));
        println!("{}\n", report.by_task(&TASKS));
        if !report.agrees() {
            return Err(DemoError::Counts);
        }
        println!("  Every counter of every org agrees with the recount of {} assignments.", report.assignments);
        Ok(())
    }
}

/// A progress bar on standard error; hidden when that isn't a terminal.
pub fn bar(what: &str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("  {msg:22} [{bar:40}] {pos}/{len}  {elapsed}");
    let bar = ProgressBar::new(length as u64).with_message(what.to_owned());
    match style {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}
