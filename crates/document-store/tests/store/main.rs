//! The store's contract: plain functions over a [`Database`], each run on every backend, and
//! property tests that the backends agree. Where they differ, the emulator is right.

mod agreement;
mod backends;
mod documents;
mod events;
mod faults;
mod limits;
mod model;
mod queries;
mod transactions;
mod transforms;
mod values;
mod writes;

use document_store::{DocPath, FieldPath, Value};

/// A document's path.
fn path(text: &str) -> DocPath {
    DocPath::new(text).unwrap()
}

/// A plain dotted field path.
fn field(dotted: &str) -> FieldPath {
    FieldPath::dotted(dotted)
}

fn int(number: i64) -> Value {
    Value::Integer(number)
}

fn double(number: f64) -> Value {
    Value::Double(number)
}

fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(items.into_iter().collect())
}

/// Lists every case once; each backend runs them all. A case that isn't listed is dead code, which
/// clippy reports.
macro_rules! conformance_suite {
    ($backend:ident) => {
        mod $backend {
            conformance_suite!(@cases $backend, documents, [
                get_all_keeps_order_and_says_what_is_missing,
                a_mask_reads_only_its_fields,
                set_replaces_the_whole_document,
                merge_touches_only_its_mask,
                merge_removes_what_the_mask_names_and_the_fields_lack,
                merge_goes_through_what_is_no_map,
                merge_creates_a_missing_document,
                field_names_may_hold_anything,
                deleting_leaves_subcollections_alone,
                times_tell_creation_and_last_change,
                a_read_only_handle_writes_nothing,
            ]);
            conformance_suite!(@cases $backend, writes, [
                preconditions_decide,
                update_time_preconditions_decide,
                a_commit_is_all_or_nothing,
                writes_of_one_commit_see_each_other,
                a_write_that_changes_nothing_keeps_the_update_time,
                a_delete_within_a_commit_begins_the_document_anew,
                results_tell_what_the_commit_left,
                many_writes_fit_one_commit,
            ]);
            conformance_suite!(@cases $backend, transforms, [
                server_time_is_the_time_of_the_commit_in_milliseconds,
                increment_adds_integers_and_doubles,
                increment_stops_at_the_ends_of_the_integers,
                maximum_and_minimum_keep_what_is_equal,
                nan_wins_maximum_and_minimum,
                union_appends_what_the_list_lacks,
                remove_takes_every_equal_value,
                equal_numbers_count_as_one_in_lists,
                transforms_follow_the_fields_of_their_write,
                transforms_reach_into_maps,
                transforms_need_fitting_values,
                a_transform_that_changes_nothing_keeps_the_update_time,
            ]);
            conformance_suite!(@cases $backend, values, [
                every_value_survives,
                timestamps_lose_what_is_finer_than_microseconds,
            ]);
            conformance_suite!(@cases $backend, limits, [
                a_document_holds_a_mebibyte,
                a_string_has_its_own_limit,
                lists_hold_no_lists,
                some_field_names_are_refused,
                values_out_of_range_are_refused,
                malformed_queries_are_refused,
            ]);
            conformance_suite!(@cases $backend, queries, [
                each_operator_finds_its_documents,
                comparisons_stay_within_one_type,
                unary_filters_test_for_null_and_nan,
                and_and_or_nest,
                values_of_all_types_have_one_order,
                documents_without_an_ordered_field_are_left_out,
                inequality_fields_order_the_results,
                cursors_bound_the_results,
                limit_and_offset_cut_the_results,
                projection_leaves_only_its_fields,
                collection_queries_stay_in_their_collection,
                groups_reach_every_collection_of_their_id,
                pages_by_name_cover_an_array_query_once,
                count_agrees_with_the_query,
                nested_fields_are_found,
            ]);
            conformance_suite!(@cases $backend, transactions, [
                a_transaction_commits_what_it_decided,
                a_transactions_reads_see_one_state,
                concurrent_increments_lose_nothing,
                plain_increments_beside_transactions_are_kept,
                a_cancelled_transaction_holds_nothing,
                write_skew_does_not_happen,
                concurrent_queries_and_inserts_keep_their_rule,
                an_error_writes_nothing,
                a_failed_precondition_is_not_retried,
                a_transaction_without_writes_commits_nothing,
            ]);
        }
    };
    (@cases $backend:ident, $module:ident, [$($case:ident),* $(,)?]) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $case() {
                    let store = crate::backends::$backend().await;
                    crate::$module::$case(store.database()).await;
                }
            )*
        }
    };
}

conformance_suite!(firestore);
conformance_suite!(embedded);
