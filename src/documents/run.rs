//! Runs of tasks, `users/{roarUid}/runs/{runId}` in the assessment database: names of their fields. Pure.

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
