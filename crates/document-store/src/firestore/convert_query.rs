//! Our queries and reads to Firestore's protobuf messages.

use gcloud_sdk::google::firestore::v1 as pb;
use pb::batch_get_documents_request::ConsistencySelector as GetConsistency;
use pb::structured_aggregation_query::{Aggregation, QueryType, aggregation};
use pb::structured_query as sq;

use super::connection::Connection;
use super::convert::{mask_to_proto, name_of_path, value_to_proto};
use crate::{Cursor, Direction, DocPath, FieldOp, FieldPath, Filter, Query, Result, Scope, StoreError, UnaryOp, Value};

const COUNT: &str = "count";

/// A BatchGetDocuments, each document asked for once.
pub(super) fn batch_get(
    connection: &Connection,
    paths: &[DocPath],
    mask: Option<&[FieldPath]>,
    consistency: Option<GetConsistency>,
) -> pb::BatchGetDocumentsRequest {
    pb::BatchGetDocumentsRequest {
        database: connection.database().to_owned(),
        documents: paths.iter().map(|path| name_of_path(connection.root(), path)).collect(),
        mask: mask.map(mask_to_proto),
        request_options: None,
        consistency_selector: consistency,
    }
}

/// A RunQuery outside transactions. Fails with [`StoreError::InvalidArgument`] when the scope is no
/// collection or a number is out of range.
pub(super) fn run_query(root: &str, query: &Query) -> Result<pb::RunQueryRequest> {
    let (parent, query) = structured_query(root, query)?;
    Ok(pb::RunQueryRequest {
        parent,
        explain_options: None,
        request_options: None,
        query_type: Some(pb::run_query_request::QueryType::StructuredQuery(query)),
        consistency_selector: None,
    })
}

/// A RunAggregationQuery that counts. Fails as [`run_query`] does.
pub(super) fn count(root: &str, query: &Query) -> Result<pb::RunAggregationQueryRequest> {
    let (parent, query) = structured_query(root, query)?;
    let counting = pb::StructuredAggregationQuery {
        aggregations: vec![Aggregation {
            alias: COUNT.to_owned(),
            operator: Some(aggregation::Operator::Count(aggregation::Count { up_to: None })),
        }],
        query_type: Some(QueryType::StructuredQuery(query)),
    };
    Ok(pb::RunAggregationQueryRequest {
        parent,
        explain_options: None,
        request_options: None,
        query_type: Some(pb::run_aggregation_query_request::QueryType::StructuredAggregationQuery(counting)),
        consistency_selector: None,
    })
}

/// The number in an answer to [`count`].
pub(super) fn counted(result: &pb::AggregationResult) -> Option<u64> {
    match result.aggregate_fields.get(COUNT)?.value_type {
        Some(pb::value::ValueType::IntegerValue(count)) => u64::try_from(count).ok(),
        _ => None,
    }
}

/// The parent and the query message for `query` in the database at `root`.
fn structured_query(root: &str, query: &Query) -> Result<(String, pb::StructuredQuery)> {
    let (parent, selector) = scope(root, &query.from)?;
    let too_large = |what: &str| StoreError::InvalidArgument(format!("the query's {what} is too large"));
    let select = query.select.as_ref().map(|paths| {
        let name = [FieldPath::name()];
        let paths = if paths.is_empty() { &name[..] } else { &paths[..] };
        sq::Projection { fields: paths.iter().map(field).collect() }
    });
    let message = pb::StructuredQuery {
        select,
        from: vec![selector],
        r#where: query.filter.as_ref().map(filter),
        order_by: query.order.iter().map(order).collect(),
        start_at: query.start.as_ref().map(cursor),
        end_at: query.end.as_ref().map(cursor),
        offset: i32::try_from(query.offset).map_err(|_| too_large("offset"))?,
        limit: query.limit.map(i32::try_from).transpose().map_err(|_| too_large("limit"))?,
        find_nearest: None,
    };
    Ok((parent, message))
}

fn scope(root: &str, from: &Scope) -> Result<(String, sq::CollectionSelector)> {
    match from {
        Scope::Collection(path) => {
            // A collection's path is that of one of its documents without the last segment.
            DocPath::in_collection(path, "any")?;
            let (parent, id) = match path.rsplit_once('/') {
                Some((document, id)) => (format!("{root}/{document}"), id),
                None => (root.to_owned(), path.as_str()),
            };
            Ok((parent, sq::CollectionSelector { collection_id: id.to_owned(), all_descendants: false }))
        }
        Scope::Group(id) => {
            Ok((root.to_owned(), sq::CollectionSelector { collection_id: id.clone(), all_descendants: true }))
        }
    }
}

fn field(path: &FieldPath) -> sq::FieldReference {
    sq::FieldReference { field_path: path.to_string() }
}

fn order((path, direction): &(FieldPath, Direction)) -> sq::Order {
    let direction = match direction {
        Direction::Ascending => sq::Direction::Ascending,
        Direction::Descending => sq::Direction::Descending,
    };
    sq::Order { field: Some(field(path)), direction: direction.into() }
}

fn cursor(cursor: &Cursor) -> pb::Cursor {
    pb::Cursor { values: cursor.values.iter().cloned().map(value_to_proto).collect(), before: cursor.before }
}

fn filter(condition: &Filter) -> sq::Filter {
    let kind = match condition {
        Filter::And(filters) => composite(sq::composite_filter::Operator::And, filters),
        Filter::Or(filters) => composite(sq::composite_filter::Operator::Or, filters),
        Filter::Field { path, op, value } => match as_unary(*op, value) {
            Some(op) => unary(path, op),
            None => sq::filter::FilterType::FieldFilter(sq::FieldFilter {
                field: Some(field(path)),
                op: field_op(*op).into(),
                value: Some(value_to_proto(value.clone())),
            }),
        },
        Filter::Unary { path, op } => unary(path, *op),
    };
    sq::Filter { filter_type: Some(kind) }
}

/// On the wire no comparison with null or NaN holds; Firestore's own clients send a test instead.
fn as_unary(op: FieldOp, value: &Value) -> Option<UnaryOp> {
    match (op, value) {
        (FieldOp::Equal, Value::Null) => Some(UnaryOp::IsNull),
        (FieldOp::NotEqual, Value::Null) => Some(UnaryOp::IsNotNull),
        (FieldOp::Equal, Value::Double(number)) if number.is_nan() => Some(UnaryOp::IsNan),
        (FieldOp::NotEqual, Value::Double(number)) if number.is_nan() => Some(UnaryOp::IsNotNan),
        _ => None,
    }
}

fn unary(path: &FieldPath, op: UnaryOp) -> sq::filter::FilterType {
    sq::filter::FilterType::UnaryFilter(sq::UnaryFilter {
        op: unary_op(op).into(),
        operand_type: Some(sq::unary_filter::OperandType::Field(field(path))),
    })
}

fn composite(op: sq::composite_filter::Operator, filters: &[Filter]) -> sq::filter::FilterType {
    sq::filter::FilterType::CompositeFilter(sq::CompositeFilter {
        op: op.into(),
        filters: filters.iter().map(filter).collect(),
    })
}

fn field_op(op: FieldOp) -> sq::field_filter::Operator {
    use sq::field_filter::Operator;
    match op {
        FieldOp::LessThan => Operator::LessThan,
        FieldOp::LessThanOrEqual => Operator::LessThanOrEqual,
        FieldOp::GreaterThan => Operator::GreaterThan,
        FieldOp::GreaterThanOrEqual => Operator::GreaterThanOrEqual,
        FieldOp::Equal => Operator::Equal,
        FieldOp::NotEqual => Operator::NotEqual,
        FieldOp::ArrayContains => Operator::ArrayContains,
        FieldOp::In => Operator::In,
        FieldOp::ArrayContainsAny => Operator::ArrayContainsAny,
        FieldOp::NotIn => Operator::NotIn,
    }
}

fn unary_op(op: UnaryOp) -> sq::unary_filter::Operator {
    use sq::unary_filter::Operator;
    match op {
        UnaryOp::IsNan => Operator::IsNan,
        UnaryOp::IsNull => Operator::IsNull,
        UnaryOp::IsNotNan => Operator::IsNotNan,
        UnaryOp::IsNotNull => Operator::IsNotNull,
    }
}
