//! Traces that an administration has left in users' documents: entries in three lists, and in the three maps of dates that
//! belong to them. The walk asks for each kind of trace. Pure.

use super::examine::traces;
use crate::documents::user::COLLECTION;
use crate::documents::user::listed::{LISTS, list_path};
use crate::store::{Direction, Document, FieldOp, FieldPath, Fields, Filter, Query, UnaryOp, Value};

/// One kind of trace: an entry in a list, or in a map of dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trace(usize);

impl Trace {
    /// All kinds: first the lists, then the maps, each in the order of [`LISTS`].
    pub(super) fn all() -> impl Iterator<Item = Trace> {
        (0..2 * LISTS.len()).map(Trace)
    }

    /// The place among [`Trace::all`].
    pub(super) fn place(self) -> usize {
        self.0
    }

    /// The path of the administration's date, for a trace in a map of dates.
    fn date(self, administration: &str) -> Option<FieldPath> {
        let (_, dates) = LISTS.get(self.0.checked_sub(LISTS.len())?)?;
        Some(FieldPath::of([*dates, administration]))
    }

    /// The users who have the trace, for counting.
    pub(super) fn users(self, administration: &str) -> Query {
        let query = Query::collection(COLLECTION);
        match self.date(administration) {
            Some(path) => query.and(Filter::Unary { path, op: UnaryOp::IsNotNull }),
            None => query.filter(&list_path(LISTS[self.0].0).to_string(), FieldOp::ArrayContains, administration),
        }
    }

    /// The same users in the order in which pages are read: a query about a date must be ordered by that date first.
    pub(super) fn users_in_order(self, administration: &str) -> Query {
        let mut query = self.users(administration);
        query.order.extend(self.date(administration).map(|date| (date, Direction::Ascending)));
        query
    }

    /// What a page's last user adds to the position at which the next page begins, before the user's name.
    pub(super) fn position(self, administration: &str, last: &Document) -> Option<Value> {
        at_path(&last.fields, &self.date(administration)?)
    }

    /// The user has the trace.
    pub(super) fn is_in(self, user: &Fields, administration: &str) -> bool {
        let traces = traces(user, administration);
        match traces.get(self.0) {
            Some((listed, _)) => *listed,
            None => traces[self.0 - LISTS.len()].1,
        }
    }
}

fn at_path(fields: &Fields, path: &FieldPath) -> Option<Value> {
    let (first, rest) = path.segments().split_first()?;
    rest.iter().try_fold(fields.get(first)?, |value, name| value.as_map()?.get(name)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn each_trace_is_found_where_it_is() {
        let lists = |names: &[&str]| -> Fields {
            names.iter().map(|name| ((*name).to_owned(), Value::strings(["a", "b"]))).collect()
        };
        let user = fields! {
            "assignments" => lists(&["assigned", "completed"]),
            "assignmentsStarted" => fields! { "a" => true },
        };
        let found = |administration: &str| -> Vec<usize> {
            Trace::all().filter(|trace| trace.is_in(&user, administration)).map(Trace::place).collect()
        };
        // Lists: assigned, started, completed; then the maps of dates in the same order.
        assert_eq!(found("a"), [0, 2, 4]);
        assert_eq!(found("b"), [0, 2]);
        assert_eq!(found("c"), Vec::<usize>::new());
    }

    #[test]
    fn users_with_a_date_are_read_in_the_order_of_the_date() {
        let ordered: Vec<bool> = Trace::all().map(|trace| !trace.users_in_order("a").order.is_empty()).collect();
        assert_eq!(ordered, [false, false, false, true, true, true]);
        assert!(Trace::all().all(|trace| trace.users("a").order.is_empty()), "counting needs no order");
    }
}
