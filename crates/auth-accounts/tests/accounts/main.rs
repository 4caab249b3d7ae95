//! The contract of accounts: plain functions over [`Accounts`], each run on the embedded backend and on the real
//! Auth emulator; and the Identity Toolkit's client before a service that fails.

mod agreement;
mod backends;
mod changes;
mod embedded;
mod emulator;
mod fake;
mod faults;
mod lookups;
mod making;

use auth_accounts::{Account, AccountUpdate, Accounts, NewAccount, Provider};
use serde_json::{Map, Value};

fn with_email(email: &str) -> NewAccount {
    NewAccount { email: Some(email.to_owned()), ..NewAccount::default() }
}

fn change() -> AccountUpdate {
    AccountUpdate::default()
}

fn claims(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("claims are an object")
}

fn identity(provider: &str, raw_id: &str) -> Provider {
    Provider { provider_id: provider.to_owned(), raw_id: raw_id.to_owned() }
}

/// An account that must be there.
async fn get(accounts: &Accounts, uid: &str) -> Account {
    accounts.get(uid).await.unwrap().unwrap()
}

/// Lists every case once; each backend runs them all. A case that isn't listed is dead code, which clippy reports.
macro_rules! conformance_suite {
    ($backend:ident) => {
        mod $backend {
            conformance_suite!(@cases $backend, making, [
                an_account_is_as_it_was_made,
                the_least_account_has_a_uid,
                a_uid_is_taken_once,
                an_email_address_is_taken_once_whatever_its_case,
                of_those_who_want_an_address_at_once_one_gets_it,
                malformed_accounts_are_refused_and_leave_nothing,
                a_deleted_account_frees_what_it_had,
                there_is_nothing_to_delete_of_nobody,
            ]);
            conformance_suite!(@cases $backend, lookups, [
                unknown_accounts_are_left_out,
                look_ups_may_be_larger_than_a_request,
                an_address_is_found_whatever_its_case,
            ]);
            conformance_suite!(@cases $backend, changes, [
                each_field_changes_alone,
                empty_names_and_pictures_go_away,
                a_changed_address_is_no_longer_verified,
                an_address_moves,
                phone_numbers_are_taken_once,
                an_account_is_disabled_and_enabled,
                claims_are_replaced_and_cleared,
                claims_that_do_not_fit_are_refused,
                sessions_end_when_asked_and_when_sign_in_changes,
                an_identity_is_linked_to_one_account,
                another_identity_of_a_provider_replaces_the_first,
                malformed_changes_are_refused_and_change_nothing,
                nothing_can_be_changed_of_nobody,
            ]);
        }
    };
    (@cases $backend:ident, $module:ident, [$($case:ident),* $(,)?]) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $case() {
                    let opened = crate::backends::$backend().await;
                    crate::$module::$case(opened.accounts()).await;
                }
            )*
        }
    };
}

mod conformance {
    conformance_suite!(emulator);
    conformance_suite!(embedded);
}
