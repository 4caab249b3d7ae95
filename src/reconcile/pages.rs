//! Assignments, page by page.

use crate::documents::assignment;
use crate::store::path::NAME_FIELD;
use crate::store::{Database, Direction, DocPath, Query};

/// Documents read at once.
pub(super) const PAGE: u32 = 300;
/// The query for a page of an administration's assignments, by student.
pub(super) fn assignments_page(database: &Database, administration: &str, after: Option<&DocPath>) -> Query {
    let query = assignment::of_administration(administration).order_by(NAME_FIELD, Direction::Ascending).limit(PAGE);
    match after {
        Some(after) => query.start_after(vec![database.reference(after)]),
        None => query,
    }
}
