//! A hostile student and a hostile admin among the others: they write into their documents whatever the store takes, as
//! if no rule held them back. Everybody else's assignments, counts and lists must be what the rules of ROAR say, and what
//! it costs must have a bound.

use proptest::prelude::*;
use roar_functions::fields;
use roar_functions::store::{Cost, DocPath, FieldPath, Fields, Precondition, Value, Write};

use super::story::{Stage, Step, administration_id};
use crate::small::{at, copy_of, student};
use crate::world::set;

/// The hostile student's ID; the hostile admin has the school S3.
pub const STUDENT: &str = "hostile";

/// IDs that are none, or somebody else's.
const IDS: [&str; 10] = ["__x__", "--x--", "", "a/b", "..", "updatedAt", "assignment", "total", "pa", "invented"];

/// Something hostile: what, and with which of the above and of the administrations.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    what: u8,
    id: u8,
    administration: u8,
}

pub fn acts() -> impl Strategy<Value = Act> {
    (0..14_u8, 0..IDS.len() as u8, 0..3_u8).prop_map(|(what, id, administration)| Act { what, id, administration })
}

/// The steps of a history with hostile people in it.
pub fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![4 => super::story::steps(), 1 => acts().prop_map(Step::Hostile)]
}

/// The hostile student comes to C1, like others.
pub async fn enrol(stage: &Stage) {
    let fields = student(&["D1", "S1", "C1"], "4");
    set(stage.assessment(), &format!("users/{STUDENT}"), copy_of(&fields)).await;
    set(stage.admin(), &format!("users/{STUDENT}"), fields).await;
}

/// What everything has cost so far, in both databases.
pub fn spent(stage: &Stage) -> Cost {
    stage.admin().cost() + stage.assessment().cost()
}

impl Stage {
    pub async fn act(&self, act: Act) {
        let id = IDS[usize::from(act.id)];
        let assignment = format!("users/{STUDENT}/assignments/{}", administration_id(act.administration));
        let own = format!("users/{STUDENT}");
        let began = at("2026-09-14T10:00:00Z");
        let entry = |task: &str| Value::Map(fields! { "taskId" => task, "startedOn" => began, "completedOn" => began });
        let junk = |bytes: usize| Value::Map(fields! { "junk" => "x".repeat(bytes) });
        match act.what {
            0 => self.write(&assignment, fields! { "assessments" => vec![entry("pa"), entry(id), entry(id)] }).await,
            1 => {
                self.write(&assignment, fields! { "assessments" => vec![Value::Null, entry("pa"), Value::from(id)] })
                    .await
            }
            2 => self.write(&assignment, fields! { "progress" => fields! { "pa" => 7, "x" => junk(100) } }).await,
            3 => self.write(&assignment, fields! { "started" => id, "completed" => vec![Value::Null] }).await,
            4 => self.write(&assignment, fields! { "started" => true, "completed" => act.id.is_multiple_of(2) }).await,
            5 => self.write(&own, fields! { "legal" => junk(1_046_000) }).await,
            6 => self.write(&own, fields! { "legal" => Value::empty_map() }).await,
            7 => self.write(&assignment, fields! { "progress" => junk(1_040_000) }).await,
            8 => {
                let many: Vec<Value> = (0..200).map(|n| entry(&format!("{id}{n}"))).collect();
                self.write(&assignment, fields! { "assessments" => many }).await;
            }
            9 | 10 => {
                let score = fields! { "thetaSE" => id, "numAttempted" => junk(1000) };
                let raw = fields! { "composite" => fields! { "test" => score } };
                let run = fields! {
                    "taskId" => if act.what == 9 { "pa" } else { id }, "timeStarted" => id,
                    "assignmentId" => if act.what == 9 { administration_id(act.administration) } else { id.to_owned() },
                    "completed" => act.id.is_multiple_of(3), "bestRun" => true, "scores" => fields! { "raw" => raw },
                };
                let path = DocPath::new(format!("users/{STUDENT}/runs/h{}", act.id)).expect("a path");
                self.assessment().commit(vec![Write::set(path, run)]).await.expect("written");
            }
            11 => self.write("schools/S3", fields! { "classes" => Value::strings(["C1", "C2", "C3", "nobody"]) }).await,
            12 => {
                let groups = Value::strings(["G1", "__x__"]);
                self.write(
                    "schools/S3",
                    fields! { "subGroups" => groups.clone(), "schools" => groups, "archivedClasses" => id },
                )
                .await;
            }
            _ => {
                let class = fields! { "name" => "H", "archived" => act.id.is_multiple_of(2), "schoolId" => "S3", "districtId" => "D1" };
                set(self.admin(), &format!("classes/H{}", act.id), class).await;
            }
        }
    }

    /// Changes a document that's there, if the store takes it.
    async fn write(&self, path: &str, changed: Fields) {
        let mask = changed.keys().map(FieldPath::top).collect();
        let path = DocPath::new(path).expect("a path");
        let _ = self.admin().commit(vec![Write::merge(path, changed, mask).when(Precondition::Exists)]).await;
    }
}
