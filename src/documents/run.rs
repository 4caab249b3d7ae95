//! Runs of tasks, `users/{roarUid}/runs/{runId}` in the assessment database: their paths and their fields. Pure.

use crate::store::{DocPath, FieldPath, Fields, Query, Result, Value, lookup};

/// Names of the fields of runs; what they mean: docs/domain/documents.md#runs-and-trials.
#[allow(missing_docs, reason = "the page says what each field means")]
pub mod field {
    pub const ID: &str = "id";
    pub const TASK_ID: &str = "taskId";
    pub const TASK_VERSION: &str = "taskVersion";
    pub const VARIANT_ID: &str = "variantId";
    pub const ASSIGNMENT_ID: &str = "assignmentId";
    pub const ASSIGNING_ORGS: &str = "assigningOrgs";
    pub const READ_ORGS: &str = "readOrgs";
    pub const COMPLETED: &str = "completed";
    pub const TIME_STARTED: &str = "timeStarted";
    pub const TIME_FINISHED: &str = "timeFinished";
    pub const RELIABLE: &str = "reliable";
    pub const USER_DATA: &str = "userData";
    pub const SCORES: &str = "scores";
    pub const BEST_RUN: &str = "bestRun";
    pub const CLOUD_SYNC_TIMESTAMP: &str = "cloudSyncTimestamp";
    pub const TEST_DATA: &str = "testData";
    pub const DEMO_DATA: &str = "demoData";
    pub const GRADE: &str = "grade";
    pub const SCHOOL_LEVEL: &str = "schoolLevel";
    pub const ASSESSMENT_PID: &str = "assessmentPid";
    pub const ASSESSMENT_UID: &str = "assessmentUid";
    pub const BIRTH_MONTH: &str = "birthMonth";
    pub const BIRTH_YEAR: &str = "birthYear";
    pub const AGE_MONTHS: &str = "ageMonths";
    pub const AGE_YEARS: &str = "ageYears";
    pub const RAW: &str = "raw";
    pub const COMPUTED: &str = "computed";
    pub const COMPOSITE: &str = "composite";
    pub const CATEGORY_SCORE: &str = "categoryScore";
}

/// The paths of a run's nested fields that are read one by one, because the maps around them, which clients write, may
/// be large.
#[allow(missing_docs, reason = "they say it")]
pub mod path {
    pub const COMPOSITE: &str = "scores.computed.composite";
    pub const CATEGORY_SCORE: &str = "scores.computed.composite.categoryScore";
    pub const WJ_PERCENTILE: &str = "scores.computed.composite.wjPercentile";
    pub const TOSREC_PERCENTILE: &str = "scores.computed.composite.tosrecPercentile";
    pub const SRE_SCORE: &str = "scores.computed.composite.sreScore";
    pub const PERCENTILE: &str = "scores.computed.composite.percentile";
    pub const ROAR_SCORE: &str = "scores.computed.composite.roarScore";
    pub const THETA_SE: &str = "scores.raw.composite.test.thetaSE";
    pub const NUM_ATTEMPTED: &str = "scores.raw.composite.test.numAttempted";
    pub const SCHOOL_LEVEL: &str = "userData.schoolLevel";
    pub const BIRTH_MONTH: &str = "userData.birthMonth";
    pub const BIRTH_YEAR: &str = "userData.birthYear";
    pub const AGE_MONTHS: &str = "userData.ageMonths";
    pub const AGE_MONTHS_SNAKE: &str = "userData.age_months";
    pub const AGE_YEARS: &str = "userData.ageYears";
    pub const AGE_YEARS_SNAKE: &str = "userData.age_years";
}

/// The collection, below each user.
pub const COLLECTION: &str = "runs";

/// The path of a user's run.
pub fn run_path(user: &DocPath, run: &str) -> Result<DocPath> {
    user.child(COLLECTION, run)
}

/// A query for the runs of all users.
pub fn all() -> Query {
    Query::group(COLLECTION)
}

/// The assignment that the run belongs to, if any.
pub fn assignment_of(run: &Fields) -> Option<&str> {
    run.get(field::ASSIGNMENT_ID).and_then(Value::as_str)
}

/// The scores of the whole task, as the client computed them.
pub fn composite(run: &Fields) -> Option<&Fields> {
    lookup(run, path::COMPOSITE)?.as_map()
}

/// The student's school level at the run's start; `None` where the field is empty.
pub fn school_level(run: &Fields) -> Option<&str> {
    lookup(run, path::SCHOOL_LEVEL)?.as_str().filter(|level| !level.is_empty())
}

/// The path of the field with the category score.
pub fn category_score_path() -> FieldPath {
    FieldPath::dotted(path::CATEGORY_SCORE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn a_run_says_what_it_belongs_to_and_what_it_came_to() {
        let scores = fields! { "computed" => fields! { "composite" => fields! { "roarScore" => 500 } } };
        let run = fields! {
            "assignmentId" => "a", "scores" => scores, "userData" => fields! { "schoolLevel" => "high" },
        };
        assert_eq!((assignment_of(&run), school_level(&run)), (Some("a"), Some("high")));
        assert_eq!(composite(&run), Some(&fields! { "roarScore" => 500 }));
        let empty = fields! { "userData" => fields! { "schoolLevel" => "" } };
        assert_eq!((assignment_of(&empty), school_level(&empty), composite(&empty)), (None, None, None));
    }
}
