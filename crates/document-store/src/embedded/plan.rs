//! Which index answers a query, and which part of it.

use super::index::{Index, IndexMode, encode_directed, invert};
use super::record::{collection_key, group_key};
use super::schema::Catalog;
use crate::order::{Evaluation, class, comparable, encode, encode_name, name_of, prefix_end};
use crate::{Cursor, Direction, DocPath, FieldOp, FieldPath, Filter, Query, Scope, UnaryOp, Value};

/// Above every key.
const TOP: [u8; 1] = [0xff];

/// How a query is answered.
#[derive(Debug)]
pub struct Plan {
    pub(super) source: Source,
    /// The results come in the query's order, so that a limit stops early.
    pub(super) ordered: bool,
    /// All that the source yields passes the query, so that counting needs no document.
    pub(super) covered: bool,
    scan: bool,
}

#[derive(Debug)]
pub(super) enum Source {
    /// Documents by their names.
    Names(Vec<DocPath>),
    /// Ranges of one index.
    Entries { id: i64, definition: String, ranges: Vec<Range>, backward: bool },
    /// The documents of the collection or the group.
    Scan { range: Range, backward: bool },
}

/// Keys from `from` up to, not with, `to`; they all begin with `prefix`.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) prefix: Vec<u8>,
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
}

impl Plan {
    /// The index that is used; `None` when documents are found by name or by going through their
    /// collection.
    pub fn index(&self) -> Option<&str> {
        match &self.source {
            Source::Entries { definition, .. } => Some(definition),
            _ => None,
        }
    }

    /// True when the query has filters that no index helps with, so that it goes through its whole
    /// collection (or collection group).
    pub fn is_scan(&self) -> bool {
        self.scan
    }

    /// True when the results need no sorting, so that a limit reads no more than it returns.
    pub fn is_ordered(&self) -> bool {
        self.ordered
    }
}

/// The parts of a range's bounds after the prefix, as far as they are given.
#[derive(Default)]
struct Bounds {
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
}

impl Range {
    fn of(prefix: Vec<u8>) -> Range {
        let to = end(&prefix);
        Range { from: prefix.clone(), to, prefix }
    }

    /// Narrows by bounds on what follows the prefix.
    fn narrow(&mut self, bounds: &Bounds) {
        if let Some(from) = &bounds.from {
            self.begin([&self.prefix[..], from].concat());
        }
        if let Some(to) = &bounds.to {
            self.end([&self.prefix[..], to].concat());
        }
    }

    fn begin(&mut self, from: Vec<u8>) {
        if from > self.from {
            self.from = from;
        }
    }

    fn end(&mut self, to: Vec<u8>) {
        if to < self.to {
            self.to = to;
        }
    }
}

fn end(prefix: &[u8]) -> Vec<u8> {
    prefix_end(prefix).unwrap_or_else(|| TOP.to_vec())
}

/// Turns bounds on ascending encodings into bounds on the encodings of that direction.
fn directed(bounds: Bounds, direction: Direction) -> Bounds {
    if direction == Direction::Ascending {
        return bounds;
    }
    let turn = |mut bound: Vec<u8>| {
        invert(&mut bound, direction);
        end(&bound)
    };
    Bounds { from: bounds.to.map(turn), to: bounds.from.map(turn) }
}

fn compared(op: FieldOp, encoded: Vec<u8>, least: Option<Vec<u8>>, most: Option<Vec<u8>>) -> Option<Bounds> {
    Some(match op {
        FieldOp::LessThan => Bounds { from: least, to: Some(encoded) },
        FieldOp::LessThanOrEqual => Bounds { from: least, to: Some(end(&encoded)) },
        FieldOp::GreaterThan => Bounds { from: Some(end(&encoded)), to: most },
        FieldOp::GreaterThanOrEqual => Bounds { from: Some(encoded), to: most },
        _ => return None,
    })
}

/// The values' range that the filter admits, when it's one range and nothing else.
fn range_of(filter: &Filter) -> Option<Bounds> {
    match filter {
        Filter::Field { op, value, .. } if comparable(value) => {
            let mut encoded = Vec::new();
            encode(value, &mut encoded);
            let mut least = vec![class(value)];
            if class(value) == class(&Value::Integer(0)) {
                // NaN is a number, but no inequality admits it.
                least.clear();
                encode(&Value::Double(f64::NAN), &mut least);
                least = end(&least);
            }
            compared(*op, encoded, Some(least), Some(vec![class(value) + 1]))
        }
        Filter::Unary { op: UnaryOp::IsNotNull, .. } => {
            Some(Bounds { from: Some(vec![class(&Value::Null) + 1]), to: None })
        }
        _ => None,
    }
}

/// The values that a filter fixes its field to, encoded and distinct.
fn fixed(filter: &Filter, mode: IndexMode) -> Option<Vec<Vec<u8>>> {
    let listed = |value: &Value| value.as_array().map(<[Value]>::to_vec).unwrap_or_default();
    let ordered = matches!(mode, IndexMode::Ordered(_));
    let values = match filter {
        Filter::Field { op: FieldOp::Equal, value, .. } if ordered => vec![value.clone()],
        Filter::Field { op: FieldOp::In, value, .. } if ordered => listed(value),
        Filter::Field { op: FieldOp::ArrayContains, value, .. } if !ordered => vec![value.clone()],
        Filter::Field { op: FieldOp::ArrayContainsAny, value, .. } if !ordered => listed(value),
        Filter::Unary { op: UnaryOp::IsNull, .. } if ordered => return Some(vec![directed_value(&Value::Null, mode)]),
        Filter::Unary { op: UnaryOp::IsNan, .. } if ordered => {
            return Some(vec![directed_value(&Value::Double(f64::NAN), mode)]);
        }
        _ => return None,
    };
    let mut encoded: Vec<_> =
        values.iter().filter(|value| comparable(value)).map(|value| directed_value(value, mode)).collect();
    encoded.sort_unstable();
    encoded.dedup();
    Some(encoded)
}

fn directed_value(value: &Value, mode: IndexMode) -> Vec<u8> {
    let mut encoded = Vec::new();
    encode_directed(value, mode.direction(), &mut encoded);
    encoded
}

fn path_of(filter: &Filter) -> Option<&FieldPath> {
    match filter {
        Filter::Field { path, .. } | Filter::Unary { path, .. } => Some(path),
        Filter::And(_) | Filter::Or(_) => None,
    }
}

fn conjuncts<'a>(filter: Option<&'a Filter>, found: &mut Vec<&'a Filter>) {
    match filter {
        Some(Filter::And(filters)) => filters.iter().for_each(|filter| conjuncts(Some(filter), found)),
        Some(filter) => found.push(filter),
        None => {}
    }
}

/// Where names stand in keys: what a name's bytes are, and which way they run.
enum Names<'a> {
    Index(&'a Index),
    Documents,
}

impl Names<'_> {
    /// The bytes of the name in keys of the query's scope; `None` when no key there can have it.
    fn encode(&self, query: &Query, path: &str) -> Option<Vec<u8>> {
        let mut encoded = Vec::new();
        match &query.from {
            Scope::Group(_) => encode_name(path, &mut encoded),
            Scope::Collection(collection) => {
                let (parent, id) = path.rsplit_once('/')?;
                if parent != collection {
                    return None;
                }
                encode_name(id, &mut encoded);
            }
        }
        Some(encoded)
    }

    fn direction(&self) -> Direction {
        match self {
            Names::Index(index) => index.name,
            Names::Documents => Direction::Ascending,
        }
    }
}

/// Narrows `ranges` by the filters on the name; returns which filters that answers in full.
fn narrow_by_name(evaluation: &Evaluation, filters: &[&Filter], names: &Names<'_>, ranges: &mut [Range]) -> Vec<usize> {
    let mut used = Vec::new();
    for (at, filter) in filters.iter().enumerate() {
        let Filter::Field { path, op, value } = filter else { continue };
        if !path.is_name() {
            continue;
        }
        let encoded = name_of(value, evaluation.root()).and_then(|name| names.encode(evaluation.query(), name));
        if let Some(bounds) = encoded.and_then(|encoded| compared(*op, encoded, None, None)) {
            let bounds = directed(bounds, names.direction());
            ranges.iter_mut().for_each(|range| range.narrow(&bounds));
            used.push(at);
        }
    }
    used
}

/// Narrows `ranges`, which are in the query's order, by its cursors; false when one of them couldn't
/// be used.
fn narrow_by_cursors(
    evaluation: &Evaluation,
    directions: &[Direction],
    names: &Names<'_>,
    backward: bool,
    ranges: &mut [Range],
) -> bool {
    let query = evaluation.query();
    let position = |cursor: &Cursor| {
        let mut key = Vec::new();
        for (at, value) in cursor.values.iter().enumerate() {
            match directions.get(at) {
                Some(direction) => encode_directed(value, *direction, &mut key),
                None => {
                    let mut name = names.encode(query, name_of(value, evaluation.root())?)?;
                    invert(&mut name, names.direction());
                    key.append(&mut name);
                }
            }
        }
        Some(key)
    };
    let mut all = true;
    for (cursor, is_start) in [(&query.start, true), (&query.end, false)] {
        let Some(cursor) = cursor else { continue };
        let Some(key) = position(cursor) else {
            all = false;
            continue;
        };
        // Whether the bound lies below the position's keys or above them, and which bound it is.
        let below = cursor.before != backward;
        for range in ranges.iter_mut() {
            let whole = [&range.prefix[..], &key].concat();
            let bound = if below { whole } else { end(&whole) };
            if is_start != backward {
                range.begin(bound);
            } else {
                range.end(bound);
            }
        }
    }
    all
}

/// Plans a query. `is_scan` is only told of queries that have a filter.
pub(super) fn plan(evaluation: &Evaluation, catalog: &Catalog) -> Plan {
    let query = evaluation.query();
    let mut filters = Vec::new();
    conjuncts(query.filter.as_ref(), &mut filters);
    if let Some(paths) = by_names(evaluation, &filters) {
        return Plan { source: Source::Names(paths), ordered: false, covered: false, scan: false };
    }
    let group = matches!(query.from, Scope::Group(_));
    let best = catalog
        .of(query.collection_id())
        .iter()
        .filter(|(_, index)| index.group == group)
        .filter_map(|(id, index)| by_index(evaluation, &filters, *id, index))
        .max_by_key(|(score, _)| *score);
    best.map_or_else(|| scan(evaluation, &filters), |(_, plan)| plan)
}

/// The documents that a filter names.
fn by_names(evaluation: &Evaluation, filters: &[&Filter]) -> Option<Vec<DocPath>> {
    let operands = filters.iter().find_map(|filter| match filter {
        Filter::Field { path, op: FieldOp::Equal, value } if path.is_name() => Some(std::slice::from_ref(value)),
        Filter::Field { path, op: FieldOp::In, value } if path.is_name() => value.as_array(),
        _ => None,
    })?;
    let mut paths: Vec<_> = operands
        .iter()
        .filter_map(|operand| DocPath::new(name_of(operand, evaluation.root())?).ok())
        .filter(|path| evaluation.query().covers(path))
        .collect();
    paths.sort();
    paths.dedup();
    Some(paths)
}

fn scan(evaluation: &Evaluation, filters: &[&Filter]) -> Plan {
    let query = evaluation.query();
    let prefix = match &query.from {
        Scope::Collection(path) => collection_key(path),
        Scope::Group(id) => group_key(id),
    };
    let mut ranges = [Range::of(prefix)];
    let used = narrow_by_name(evaluation, filters, &Names::Documents, &mut ranges);
    let ordered = evaluation.order().len() == 1;
    let backward = ordered && evaluation.order()[0].1 == Direction::Descending;
    let cursors = query.start.is_none() && query.end.is_none()
        || ordered && narrow_by_cursors(evaluation, &[], &Names::Documents, backward, &mut ranges);
    let [range] = ranges;
    Plan {
        source: Source::Scan { range, backward },
        ordered,
        covered: ordered && cursors && used.len() == filters.len(),
        scan: used.len() < filters.len(),
    }
}

/// How an index would answer the query, with a score that is greater for the better one; `None` when
/// it can't, or doesn't help.
fn by_index(
    evaluation: &Evaluation,
    filters: &[&Filter],
    id: i64,
    index: &Index,
) -> Option<((usize, bool, bool, bool), Plan)> {
    let query = evaluation.query();
    let start = match &query.from {
        Scope::Group(_) => Vec::new(),
        Scope::Collection(path) => {
            let mut key = Vec::new();
            encode_name(path, &mut key);
            key
        }
    };
    let mut prefixes = vec![start];
    let mut used = Vec::new();
    let mut constant = Vec::new();
    let mut known = Vec::new();
    let mut rest = index.fields.as_slice();
    while let Some((field, others)) = rest.split_first() {
        let found = filters
            .iter()
            .enumerate()
            .filter(|(at, filter)| !used.contains(at) && path_of(filter) == Some(&field.path))
            .filter_map(|(at, filter)| Some((at, fixed(filter, field.mode)?)))
            .min_by_key(|(_, values)| values.len());
        let Some((at, values)) = found else { break };
        used.push(at);
        known.push(&field.path);
        if values.len() == 1 && matches!(field.mode, IndexMode::Ordered(_)) {
            constant.push(&field.path);
        }
        prefixes =
            prefixes.iter().flat_map(|prefix| values.iter().map(|value| [prefix.as_slice(), value].concat())).collect();
        rest = others;
    }
    let equalities = used.len();
    // A document without one of the other fields has no entry, so the query must ask for them all.
    let order = evaluation.order();
    let mut directions = Vec::new();
    for field in rest {
        let IndexMode::Ordered(direction) = field.mode else { return None };
        if !order.iter().any(|(path, _)| *path == field.path) {
            return None;
        }
        known.push(&field.path);
        directions.push(direction);
    }
    let mut ranges: Vec<_> = prefixes.into_iter().map(Range::of).collect();
    let names = Names::Index(index);
    if let Some(first) = rest.first() {
        for (at, filter) in filters.iter().enumerate().filter(|(_, filter)| path_of(filter) == Some(&first.path)) {
            if let Some(bounds) = range_of(filter) {
                let bounds = directed(bounds, first.mode.direction());
                ranges.iter_mut().for_each(|range| range.narrow(&bounds));
                used.push(at);
            }
        }
    } else {
        used.extend(narrow_by_name(evaluation, filters, &names, &mut ranges));
    }
    let open: Vec<_> = order.iter().filter(|(path, _)| !constant.contains(&path)).collect();
    let steps: Vec<_> =
        rest.iter().map(|field| (&field.path, field.mode.direction())).map(Some).chain([None]).collect();
    let backward = open.last().is_some_and(|(_, direction)| *direction != index.name);
    let ordered = open.len() == steps.len()
        && open.iter().zip(&steps).all(|((path, direction), step)| match step {
            Some((field, its)) => path == *field && (direction != its) == backward,
            None => path.is_name(),
        });
    let cursors = match (&query.start, &query.end) {
        (None, None) => true,
        _ if ordered && open.len() == order.len() => {
            narrow_by_cursors(evaluation, &directions, &names, backward, &mut ranges)
        }
        _ => false,
    };
    let exists = order.iter().all(|(path, _)| path.is_name() || known.contains(&path));
    let narrowed = used.len() > equalities;
    if equalities == 0 && !narrowed && !ordered {
        return None;
    }
    used.sort_unstable();
    used.dedup();
    let covered = exists && cursors && used.len() == filters.len();
    let source = Source::Entries { id, definition: index.to_string(), ranges, backward: ordered && backward };
    let scan = equalities == 0 && !narrowed && !filters.is_empty();
    Some(((equalities, narrowed, ordered, !backward), Plan { source, ordered, covered, scan }))
}

/// The query in a line, without any value: what is told of scans.
pub(super) fn describe(query: &Query) -> String {
    let mut text = match &query.from {
        Scope::Collection(path) => {
            // The IDs on the way would make one query a thousand.
            let segments = path.split('/').enumerate();
            let shape: Vec<_> = segments.map(|(at, segment)| if at % 2 == 0 { segment } else { "*" }).collect();
            shape.join("/")
        }
        Scope::Group(id) => format!("**/{id}"),
    };
    if let Some(filter) = &query.filter {
        text.push_str(" where ");
        describe_filter(filter, &mut text);
    }
    for (path, direction) in &query.order {
        text.push_str(&format!(" order by {path} {direction:?}"));
    }
    text
}

fn describe_filter(filter: &Filter, text: &mut String) {
    let (filters, word) = match filter {
        Filter::And(filters) => (filters, " and "),
        Filter::Or(filters) => (filters, " or "),
        Filter::Field { path, op, .. } => return text.push_str(&format!("{path} {op:?}")),
        Filter::Unary { path, op } => return text.push_str(&format!("{path} {op:?}")),
    };
    text.push('(');
    for (at, filter) in filters.iter().enumerate() {
        if at > 0 {
            text.push_str(word);
        }
        describe_filter(filter, text);
    }
    text.push(')');
}
