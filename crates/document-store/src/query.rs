//! Queries, in Firestore's language.

use super::{DocPath, FieldPath, Value};

/// Firestore's limit on the values of one `in`.
const IN_LIMIT: usize = 30;

/// A structured query over one collection, or over all collections of one ID.
///
/// Built with the methods below, with Firestore's defaults: results are ordered by the inequality fields, then by the
/// document name.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Where to look.
    pub from: Scope,
    /// Which documents.
    pub filter: Option<Filter>,
    /// In which order.
    pub order: Vec<(FieldPath, Direction)>,
    /// Where to begin.
    pub start: Option<Cursor>,
    /// Where to end.
    pub end: Option<Cursor>,
    /// How many to pass over first (each is billed).
    pub offset: u32,
    /// How many at most.
    pub limit: Option<u32>,
    /// Only these fields; `Some(vec![])` asks for names alone.
    pub select: Option<Vec<FieldPath>>,
}

/// The documents that a query considers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One collection, by its path: `users`, `users/u1/assignments`.
    Collection(String),
    /// Every collection with this ID, anywhere in the database.
    Group(String),
}

/// Ascending or descending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A condition on documents.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All hold.
    And(Vec<Filter>),
    /// At least one holds.
    Or(Vec<Filter>),
    /// A field compared with a value.
    Field {
        /// Which field.
        path: FieldPath,
        /// How.
        op: FieldOp,
        /// With what; a list for `In`, `NotIn` and `ArrayContainsAny`.
        value: Value,
    },
    /// A field tested by itself.
    Unary {
        /// Which field.
        path: FieldPath,
        /// For what.
        op: UnaryOp,
    },
}

/// The comparisons that Firestore knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldOp {
    /// `<`
    LessThan,
    /// `<=`
    LessThanOrEqual,
    /// `>`
    GreaterThan,
    /// `>=`
    GreaterThanOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// The field is a list that holds the value.
    ArrayContains,
    /// The field is one of the values.
    In,
    /// The field is a list that holds one of the values.
    ArrayContainsAny,
    /// The field exists, isn't null and is none of the values.
    NotIn,
}

/// Tests without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// The field is NaN.
    IsNan,
    /// The field is null.
    IsNull,
    /// The field exists and isn't NaN.
    IsNotNan,
    /// The field exists and isn't null.
    IsNotNull,
}

/// A position in a query's order: one value for each leading `order` entry. A `__name__` entry
/// takes a [`Value::Reference`] (see [`super::Database::reference`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    /// The position's values.
    pub values: Vec<Value>,
    /// For a start: true begins at the position, false after it. For an end: true ends before the
    /// position, false includes it.
    pub before: bool,
}

impl Filter {
    /// `path op value`; `path` is plain dotted text.
    pub fn field(path: &str, op: FieldOp, value: impl Into<Value>) -> Filter {
        Filter::Field { path: FieldPath::dotted(path), op, value: value.into() }
    }
}

impl Query {
    /// All documents of one collection.
    pub fn collection(path: impl Into<String>) -> Query {
        Query::over(Scope::Collection(path.into()))
    }

    /// All documents of every collection with this ID.
    pub fn group(id: impl Into<String>) -> Query {
        Query::over(Scope::Group(id.into()))
    }

    fn over(from: Scope) -> Query {
        Query { from, filter: None, order: Vec::new(), start: None, end: None, offset: 0, limit: None, select: None }
    }

    /// Adds a condition that must hold too.
    pub fn and(mut self, filter: Filter) -> Query {
        self.filter = Some(match self.filter.take() {
            None => filter,
            Some(Filter::And(mut filters)) => {
                filters.push(filter);
                Filter::And(filters)
            }
            Some(other) => Filter::And(vec![other, filter]),
        });
        self
    }

    /// Adds `path op value`; `path` is plain dotted text.
    pub fn filter(self, path: &str, op: FieldOp, value: impl Into<Value>) -> Query {
        self.and(Filter::field(path, op, value))
    }

    /// Adds `path == value`.
    pub fn equal(self, path: &str, value: impl Into<Value>) -> Query {
        self.filter(path, FieldOp::Equal, value)
    }

    /// Adds that the field is one of `values`, at most 30; of a single one, that it's equal.
    pub fn one_of(self, path: &str, values: &[String]) -> Query {
        match values {
            [one] => self.equal(path, one.as_str()),
            several => self.filter(path, FieldOp::In, Value::strings(several)),
        }
    }

    /// As [`Query::one_of`] for any number of values: a query for each 30 of them, with these values.
    pub fn each_of<'a>(self, path: &'a str, values: &'a [String]) -> impl Iterator<Item = (Query, &'a [String])> {
        values.chunks(IN_LIMIT).map(move |chunk| (self.clone().one_of(path, chunk), chunk))
    }

    /// Appends to the order; `path` is plain dotted text, `__name__` for the document name.
    pub fn order_by(mut self, path: &str, direction: Direction) -> Query {
        self.order.push((FieldPath::dotted(path), direction));
        self
    }

    /// Begins after the given position.
    pub fn start_after(mut self, values: Vec<Value>) -> Query {
        self.start = Some(Cursor { values, before: false });
        self
    }

    /// At most `limit` documents.
    pub fn limit(mut self, limit: u32) -> Query {
        self.limit = Some(limit);
        self
    }

    /// Only these fields (plain dotted paths); none for names alone.
    pub fn select(mut self, paths: &[&str]) -> Query {
        self.select = Some(paths.iter().map(|path| FieldPath::dotted(path)).collect());
        self
    }

    /// The last segment of the collection that the query considers.
    pub fn collection_id(&self) -> &str {
        match &self.from {
            Scope::Collection(path) => path.rsplit('/').next().unwrap_or_default(),
            Scope::Group(id) => id,
        }
    }

    /// True when `path` lies in the query's scope.
    pub fn covers(&self, path: &DocPath) -> bool {
        match &self.from {
            Scope::Collection(collection) => path.collection() == collection,
            Scope::Group(id) => path.collection_id() == id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_split() {
        let ids: Vec<String> = (0..61).map(|id| id.to_string()).collect();
        let asked: Vec<(Query, &[String])> = Query::collection("c").each_of("a", &ids).collect();
        let several = |ids: &[String]| Query::collection("c").filter("a", FieldOp::In, Value::strings(ids));
        let expected = [
            (several(&ids[..30]), &ids[..30]),
            (several(&ids[30..60]), &ids[30..60]),
            (Query::collection("c").equal("a", "60"), &ids[60..]),
        ];
        assert_eq!(asked, expected);
        assert_eq!(Query::collection("c").each_of("a", &[]).count(), 0);
    }
}
