//! Tables for people: counts beside their recount.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, Table, presets};
use futures::TryStreamExt;

use super::district::School;
use crate::assignments::counts::{Contribution, CountsDelta};
use crate::assignments::recount::Counts;
use crate::assignments::tasks::Tasks;
use crate::documents::administration::{Administration, administration_path};
use crate::documents::assignment;
use crate::documents::stats::TOTAL;
use crate::store::{Database, Query, Result, Value};

/// An administration's stored counts, and a recount of its assignments.
pub struct Report {
    stored: Counts,
    recounted: Counts,
    /// How many assignments there are.
    pub assignments: u64,
}

impl Report {
    /// Reads the counts, and all assignments one at a time.
    pub async fn read(database: &Database, administration: &str) -> Result<Report> {
        let stats = database.query(Query::collection(format!("administrations/{administration}/stats"))).await?;
        let document = database.get(&administration_path(administration)?).await?;
        let tasks = document.map(|document| Tasks::of(&Administration::from_document(&document))).unwrap_or_default();
        let mut assignments = database.stream(assignment::of_administration(administration));
        let (mut delta, mut count) = (CountsDelta::default(), 0);
        while let Some(assignment) = assignments.try_next().await? {
            delta.step(None, Some(&Contribution::of(&assignment.fields, &tasks)));
            count += 1;
        }
        Ok(Report { stored: Counts::of_documents(&stats), recounted: Counts::from(&delta), assignments: count })
    }

    /// True when every counter of every org equals the recount.
    pub fn agrees(&self) -> bool {
        self.stored.differences(&self.recounted).is_empty()
    }

    /// A table of the assigned, started and completed assignments by school, and in all.
    pub fn by_school(&self, schools: &[School]) -> Table {
        let mut table = table(["School", "assigned", "started", "completed", "recount"]);
        let rows = schools.iter().map(|school| (school.name.as_str(), school.id.as_str()));
        for (name, key) in rows.chain([("All schools", TOTAL)]) {
            self.row(&mut table, name, key, "assignment");
        }
        table
    }

    /// A table of the same counts by task, over all orgs.
    pub fn by_task(&self, tasks: &[&str]) -> Table {
        let mut table = table(["Task", "assigned", "started", "completed", "recount"]);
        for task in tasks {
            self.row(&mut table, task, TOTAL, task);
        }
        table
    }

    fn row(&self, table: &mut Table, name: &str, key: &str, block: &str) {
        let (stored, recounted) = (self.stored.get(key, block), self.recounted.get(key, block));
        let number = |number: i64| Cell::new(number).set_alignment(CellAlignment::Right);
        let verdict = if stored == recounted {
            "agrees".to_owned()
        } else {
            format!("{} / {} / {}", recounted.assigned, recounted.started, recounted.completed)
        };
        table.add_row([
            Cell::new(name),
            number(stored.assigned),
            number(stored.started),
            number(stored.completed),
            Cell::new(verdict),
        ]);
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    table
}

/// One student's assignment as a short text, for people who want to see a document.
pub fn sketch(assignment: &BTreeMap<String, Value>) -> String {
    let assessments = assignment.get("assessments").and_then(Value::as_array).unwrap_or_default();
    let tasks: Vec<String> = assessments
        .iter()
        .filter_map(Value::as_map)
        .filter_map(|assessment| {
            let task = assessment.get("taskId")?.as_str()?;
            let optional = assessment.get("optional").and_then(Value::as_bool) == Some(true);
            Some(if optional { format!("{task} (optional)") } else { task.to_owned() })
        })
        .collect();
    tasks.join(", ")
}
