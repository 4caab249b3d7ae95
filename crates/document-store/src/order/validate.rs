//! What Firestore refuses in a query, and the order that a query implies.

use crate::{Cursor, Direction, DocPath, FieldOp, FieldPath, Filter, Query, Result, Scope, StoreError, UnaryOp, Value};

/// How many values `in` and `array-contains-any` take, and how many alternatives a query may
/// come to.
const MOST_ALTERNATIVES: usize = 30;
/// How many values `not-in` takes.
const MOST_EXCLUDED: usize = 10;

/// The path of the document that a reference names, relative to the database; `None` when it's no
/// reference, or one into another database.
pub fn name_of<'a>(value: &'a Value, root: &str) -> Option<&'a str> {
    match value {
        Value::Reference(name) => name.strip_prefix(root)?.strip_prefix('/'),
        _ => None,
    }
}

/// True when the filter makes the query order by its field unless the query says otherwise.
pub(crate) fn is_inequality(filter: &Filter) -> bool {
    match filter {
        // With null or NaN it's a test rather than a comparison, or matches nothing, and so orders nothing.
        Filter::Field { value, .. } if !super::filter::comparable(value) => false,
        Filter::Field { op: FieldOp::NotIn, value, .. } => {
            !value.as_array().unwrap_or_default().iter().any(Value::is_null)
        }
        Filter::Field { op, .. } => matches!(
            op,
            FieldOp::LessThan
                | FieldOp::LessThanOrEqual
                | FieldOp::GreaterThan
                | FieldOp::GreaterThanOrEqual
                | FieldOp::NotEqual
        ),
        Filter::Unary { op, .. } => matches!(op, UnaryOp::IsNotNan | UnaryOp::IsNotNull),
        Filter::And(_) | Filter::Or(_) => false,
    }
}

/// The order of the query's results in full: what it says, then the inequality fields by their
/// names, then the document name, the added ones in the last said direction.
pub fn effective_order(query: &Query) -> Vec<(FieldPath, Direction)> {
    let mut order = query.order.clone();
    let direction = order.last().map_or(Direction::Ascending, |(_, direction)| *direction);
    let mut inequalities = Vec::new();
    visit(query.filter.as_ref(), &mut |filter| match filter {
        Filter::Field { path, .. } | Filter::Unary { path, .. } if is_inequality(filter) => {
            inequalities.push(path.clone());
        }
        _ => {}
    });
    inequalities.sort();
    for path in inequalities.into_iter().chain([FieldPath::name()]) {
        let last = path.is_name() && order.iter().any(|(other, _)| other.is_name());
        if !last && !order.iter().any(|(other, _)| *other == path) {
            order.push((path, direction));
        }
    }
    // A name filter is an inequality as well, but the name always comes last.
    if query.order.iter().all(|(path, _)| !path.is_name())
        && let Some(at) = order.iter().position(|(path, _)| path.is_name())
    {
        let name = order.remove(at);
        order.push(name);
    }
    order
}

fn visit<'a>(filter: Option<&'a Filter>, found: &mut impl FnMut(&'a Filter)) {
    let Some(filter) = filter else { return };
    found(filter);
    if let Filter::And(filters) | Filter::Or(filters) = filter {
        for filter in filters {
            visit(Some(filter), found);
        }
    }
}

/// Refuses with [`StoreError::InvalidArgument`] what Firestore refuses.
pub fn validate(query: &Query, root: &str) -> Result<()> {
    let collection = match &query.from {
        Scope::Collection(path) => path,
        Scope::Group(id) if id.contains('/') => return refuse("a collection ID cannot hold a slash"),
        Scope::Group(id) => id,
    };
    DocPath::in_collection(collection, "any")?;
    if let Some(filter) = &query.filter {
        validate_filters(filter, root)?;
    }
    let order = effective_order(query);
    for (index, (path, _)) in order.iter().enumerate() {
        check_path(path)?;
        if path.is_name() && index + 1 < order.len() {
            return refuse("the order has fields after the document name");
        }
        if order[..index].iter().any(|(other, _)| other == path) {
            return refuse("the order names a field twice");
        }
    }
    for path in query.select.iter().flatten() {
        check_path(path)?;
    }
    for cursor in [&query.start, &query.end].into_iter().flatten() {
        validate_cursor(cursor, query, root)?;
    }
    Ok(())
}

fn validate_cursor(cursor: &Cursor, query: &Query, root: &str) -> Result<()> {
    if cursor.values.len() > query.order.len() {
        return refuse("a cursor has more values than the query's order has fields");
    }
    for (value, (path, _)) in cursor.values.iter().zip(&query.order) {
        if path.is_name() {
            check_name(value, root)?;
        }
    }
    Ok(())
}

fn validate_filters(filter: &Filter, root: &str) -> Result<()> {
    let mut exclusions = 0;
    let mut has_not_in = false;
    let mut has_alternatives = false;
    let mut problem = None;
    visit(Some(filter), &mut |filter| {
        match filter {
            Filter::Field { op: FieldOp::NotIn, .. } => {
                exclusions += 1;
                has_not_in = true;
            }
            Filter::Field { op: FieldOp::NotEqual, .. }
            | Filter::Unary { op: UnaryOp::IsNotNan | UnaryOp::IsNotNull, .. } => exclusions += 1,
            Filter::Field { op: FieldOp::In | FieldOp::ArrayContainsAny, .. } | Filter::Or(_) => {
                has_alternatives = true;
            }
            _ => {}
        }
        if problem.is_none() {
            problem = validate_filter(filter, root).err();
        }
    });
    if let Some(problem) = problem {
        return Err(problem);
    }
    if exclusions > 1 {
        return refuse("a query takes one !=, not-in, is-not-NaN or is-not-null filter at most");
    }
    if has_not_in && has_alternatives {
        return refuse("not-in cannot stand beside in, array-contains-any or or");
    }
    if alternatives(filter) > MOST_ALTERNATIVES {
        return refuse("the query comes to more than 30 alternatives");
    }
    if containments(filter) > 1 {
        return refuse("a query takes one array-contains or array-contains-any filter at most");
    }
    Ok(())
}

fn validate_filter(filter: &Filter, root: &str) -> Result<()> {
    let (path, op, value) = match filter {
        Filter::Or(filters) if filters.is_empty() => return refuse("an or filter needs alternatives"),
        Filter::And(_) | Filter::Or(_) => return Ok(()),
        Filter::Unary { path, .. } => return check_path(path),
        Filter::Field { path, op, value } => (path, *op, value),
    };
    check_path(path)?;
    let most = match op {
        FieldOp::In | FieldOp::ArrayContainsAny => Some(MOST_ALTERNATIVES),
        FieldOp::NotIn => Some(MOST_EXCLUDED),
        _ => None,
    };
    let operands = match most {
        None => std::slice::from_ref(value),
        Some(most) => match value.as_array() {
            Some(items) if (1..=most).contains(&items.len()) => items,
            _ => return Err(StoreError::InvalidArgument(format!("{op:?} takes a list of 1 to {most} values"))),
        },
    };
    if path.is_name() {
        if matches!(op, FieldOp::ArrayContains | FieldOp::ArrayContainsAny) {
            return refuse("the document name is no list");
        }
        for operand in operands {
            check_name(operand, root)?;
        }
    }
    Ok(())
}

fn check_name(value: &Value, root: &str) -> Result<()> {
    match name_of(value, root) {
        Some(path) => DocPath::new(path).map(drop),
        None => refuse("the document name compares with references to documents of the same database only"),
    }
}

fn check_path(path: &FieldPath) -> Result<()> {
    if path.is_name() { Ok(()) } else { check_field_path(path) }
}

/// Refuses an empty path, and segments that are empty or reserved.
pub(crate) fn check_field_path(path: &FieldPath) -> Result<()> {
    if path.segments().is_empty() {
        return refuse("a field path is empty");
    }
    path.segments().iter().try_for_each(|segment| check_field_name(segment))
}

/// Refuses a field name that is empty, reserved (`__…__`) or over 1,500 bytes.
pub(crate) fn check_field_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return refuse("a field name is empty");
    }
    if name.len() > 1500 {
        return refuse("a field name has more than 1,500 bytes");
    }
    if name.len() > 4 && name.starts_with("__") && name.ends_with("__") {
        return refuse("a field name is reserved (__…__)");
    }
    Ok(())
}

fn alternatives(filter: &Filter) -> usize {
    match filter {
        Filter::And(filters) => filters.iter().map(alternatives).fold(1, usize::saturating_mul),
        Filter::Or(filters) => filters.iter().map(alternatives).fold(0, usize::saturating_add),
        Filter::Field { op: FieldOp::In | FieldOp::ArrayContainsAny, value, .. } => {
            value.as_array().map_or(1, <[Value]>::len)
        }
        _ => 1,
    }
}

fn containments(filter: &Filter) -> usize {
    match filter {
        Filter::And(filters) => filters.iter().map(containments).sum(),
        Filter::Or(filters) => filters.iter().map(containments).max().unwrap_or(0),
        Filter::Field { op: FieldOp::ArrayContains | FieldOp::ArrayContainsAny, .. } => 1,
        _ => 0,
    }
}

fn refuse<T>(why: &str) -> Result<T> {
    Err(StoreError::InvalidArgument(why.to_owned()))
}
