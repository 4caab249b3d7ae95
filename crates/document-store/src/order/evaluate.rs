//! What a query returns from given documents.

use std::cmp::Ordering;

use super::{compare, effective_order, field, is_nan, matches, name_of, set_field, validate};
use crate::{Cursor, Direction, Document, FieldOp, FieldPath, Fields, Filter, Query, Result, UnaryOp, Value};

/// A checked query with its full order.
#[derive(Clone, Debug)]
pub struct Evaluation {
    query: Query,
    order: Vec<(FieldPath, Direction)>,
    root: String,
}

impl Evaluation {
    /// Checks the query; `root` is the prefix of references to the database. Fails as [`validate()`]
    /// does.
    pub fn new(mut query: Query, root: &str) -> Result<Evaluation> {
        query.filter = query.filter.map(as_clients_send);
        validate(&query, root)?;
        let order = effective_order(&query);
        Ok(Evaluation { query, order, root: root.to_owned() })
    }

    /// The query.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The full order of the results, [`effective_order`].
    pub fn order(&self) -> &[(FieldPath, Direction)] {
        &self.order
    }

    /// The prefix of references to the database.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// True when the document is in the query's scope, passes its filter, has the fields of its
    /// order and lies between its cursors. Offset and limit aren't looked at.
    pub fn admits(&self, document: &Document) -> bool {
        self.query.covers(&document.path)
            && self
                .query
                .filter
                .as_ref()
                .is_none_or(|filter| matches(filter, &self.root, &document.path, &document.fields))
            && self.order.iter().all(|(path, _)| path.is_name() || field(&document.fields, path).is_some())
            && self.query.start.as_ref().is_none_or(|cursor| match self.position(document, cursor) {
                Ordering::Less => false,
                Ordering::Equal => cursor.before,
                Ordering::Greater => true,
            })
            && self.query.end.as_ref().is_none_or(|cursor| match self.position(document, cursor) {
                Ordering::Less => true,
                Ordering::Equal => !cursor.before,
                Ordering::Greater => false,
            })
    }

    /// Where an admitted document stands to another among the results.
    pub fn compare(&self, left: &Document, right: &Document) -> Ordering {
        self.order
            .iter()
            .map(|(path, direction)| {
                let ordering = if path.is_name() {
                    left.path.cmp(&right.path)
                } else {
                    compare(value(left, path), value(right, path))
                };
                directed(ordering, *direction)
            })
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// The document as the query selects it.
    pub fn project(&self, mut document: Document) -> Document {
        if let Some(select) = &self.query.select {
            document.fields = project(&document.fields, select);
        }
        document
    }

    fn position(&self, document: &Document, cursor: &Cursor) -> Ordering {
        cursor
            .values
            .iter()
            .zip(&self.order)
            .map(|(wanted, (path, direction))| {
                let ordering = if path.is_name() {
                    let wanted = name_of(wanted, &self.root).unwrap_or_default();
                    document.path.segments().cmp(wanted.split('/'))
                } else {
                    compare(value(document, path), wanted)
                };
                directed(ordering, *direction)
            })
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

/// Comparisons with null and NaN as Firestore's clients send them: as tests of their own.
fn as_clients_send(filter: Filter) -> Filter {
    let op = match &filter {
        Filter::Field { op: FieldOp::Equal, value: Value::Null, .. } => UnaryOp::IsNull,
        Filter::Field { op: FieldOp::NotEqual, value: Value::Null, .. } => UnaryOp::IsNotNull,
        Filter::Field { op: FieldOp::Equal, value, .. } if is_nan(value) => UnaryOp::IsNan,
        Filter::Field { op: FieldOp::NotEqual, value, .. } if is_nan(value) => UnaryOp::IsNotNan,
        _ => {
            return match filter {
                Filter::And(filters) => Filter::And(filters.into_iter().map(as_clients_send).collect()),
                Filter::Or(filters) => Filter::Or(filters.into_iter().map(as_clients_send).collect()),
                other => other,
            };
        }
    };
    match filter {
        Filter::Field { path, .. } => Filter::Unary { path, op },
        other => other,
    }
}

fn value<'a>(document: &'a Document, path: &FieldPath) -> &'a Value {
    field(&document.fields, path).unwrap_or(&Value::Null)
}

fn directed(ordering: Ordering, direction: Direction) -> Ordering {
    match direction {
        Direction::Ascending => ordering,
        Direction::Descending => ordering.reverse(),
    }
}

/// What the query returns when `documents` is all there is: the definition that an index must agree
/// with. Fails as [`validate()`] does.
pub fn evaluate(query: Query, root: &str, documents: impl IntoIterator<Item = Document>) -> Result<Vec<Document>> {
    let evaluation = Evaluation::new(query, root)?;
    let mut found: Vec<_> = documents.into_iter().filter(|document| evaluation.admits(document)).collect();
    found.sort_by(|left, right| evaluation.compare(left, right));
    let query = &evaluation.query;
    let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
    Ok(found.into_iter().skip(query.offset as usize).take(limit).map(|document| evaluation.project(document)).collect())
}

/// Only the selected paths of `fields`; what is missing stays missing.
pub fn project(fields: &Fields, select: &[FieldPath]) -> Fields {
    let mut projected = Fields::new();
    for path in select {
        if let Some(value) = field(fields, path) {
            set_field(&mut projected, path, value.clone());
        }
    }
    projected
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
