//! Students for whom a sync couldn't store an assignment, for example because one of their documents has reached its
//! size limit.
//!
//! When the store refuses a chunk's commit, the chunk bisects it until one student is left. That student is recorded
//! and skipped, and the others proceed: `administrationSyncs/{administrationId}/problems/{roarUid}` has one document
//! per student, and the administration has the number and the first few of them (`syncProblems`). The next sync that
//! reaches them tries again.

use crate::documents::administration::administration_path;
use crate::documents::administration::field::SYNC_PROBLEMS;
use crate::documents::administration_sync::{Progress, progress_path};
pub use crate::documents::sync_notes::summary;
use crate::documents::sync_notes::{field, older_problems, problem_path, problems};
use crate::fields;
use crate::store::{
    Database, DocPath, Document, FieldPath, FieldTransform, Fields, Precondition, Query, Result, Timestamp, Transform,
    Value, Write,
};

/// How many students the administration's document names; the rest are only counted.
const NAMED: u32 = 20;
/// Documents deleted in one commit.
const BATCH: u32 = 400;

/// The writes that record a student as a problem of this sync version, for the commit that skips the student.
pub fn noting(administration: &str, version: i64, user: &DocPath, now: Timestamp) -> Result<Vec<Write>> {
    let note =
        Write::set(problem_path(administration, user.id())?, fields! { field::VERSION => version, field::AT => now });
    let one = FieldTransform { path: FieldPath::top(Progress::PROBLEMS), transform: Transform::Increment(1.into()) };
    Ok(vec![note, Write::transform(progress_path(administration, version)?, vec![one])])
}

/// Deletes the problems recorded by versions before this one. Call it only where there were any: a sync without
/// problems then costs nothing.
pub async fn forget_older(database: &Database, administration: &str, version: i64) -> Result<()> {
    let older = older_problems(administration, version)?.select(&[]).limit(BATCH);
    loop {
        let found = database.query(older.clone()).await?;
        let is_last = found.len() < BATCH as usize;
        database.commit(found.into_iter().map(|note| Write::delete(note.path)).collect()).await?;
        if is_last {
            return Ok(());
        }
    }
}

/// How many students have problems, and the first of them. Costs two reads and one for each named student.
pub async fn noted(database: &Database, administration: &str) -> Result<(i64, Vec<Document>)> {
    let count = database.count(Query::collection(problems(administration)?)).await?;
    Ok((i64::try_from(count).unwrap_or(i64::MAX), first(database, administration).await?))
}

/// The first students with problems, by ID.
pub async fn first(database: &Database, administration: &str) -> Result<Vec<Document>> {
    database.query(Query::collection(problems(administration)?).limit(NAMED)).await
}

/// The write of the administration's [`SYNC_PROBLEMS`]; the field is absent without problems.
pub fn telling(administration: &str, count: i64, first: &[Document]) -> Result<Write> {
    let mut fields = Fields::new();
    if count > 0 {
        fields.insert(SYNC_PROBLEMS.to_owned(), Value::Map(summary(count, first)));
    }
    let mask = vec![FieldPath::top(SYNC_PROBLEMS)];
    Ok(Write::merge(administration_path(administration)?, fields, mask).when(Precondition::Exists))
}
