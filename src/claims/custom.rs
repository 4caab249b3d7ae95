//! Custom claims: the part of a `userClaims` document that goes into ID tokens. Pure.

use serde_json::{Map, Value as Json, json};

use crate::accounts::{AccountError, check_claims};
use crate::documents::user_claims;
use crate::store::{Fields, Value};

/// The org lists stay in the document: they don't fit into tokens
/// (docs/domain/rights.md#custom-claims-and-their-limits).
const NOT_IN_TOKENS: [&str; 2] = [user_claims::field::ADMIN_ORGS, user_claims::field::MINIMAL_ADMIN_ORGS];
/// Claims that give rights. Only the document grants these, so a token with more is wrong.
const RIGHTS: [&str; 3] = [user_claims::field::SUPER_ADMIN, user_claims::field::ADMIN, user_claims::field::ROLE];

/// Claims that take precedence when not all fit into a token: the user's identity and rights.
const FIRST: [&str; 6] = [
    user_claims::field::ROAR_UID,
    user_claims::field::ADMIN_UID,
    user_claims::field::ASSESSMENT_UID,
    user_claims::field::ROLE,
    user_claims::field::SUPER_ADMIN,
    user_claims::field::ADMIN,
];

/// The custom claims that an account should have: the claims of the document, and further claims that the account
/// already has. `lost` are claims that the document had before and that are removed.
///
/// Claims that never were in the document stay, unless they are rights: they were given to the account alone.
pub fn custom_claims(current: &Map<String, Json>, document: &Fields, lost: &[String]) -> Map<String, Json> {
    let mut claims = current.clone();
    for name in NOT_IN_TOKENS.into_iter().chain(RIGHTS).chain(lost.iter().map(String::as_str)) {
        claims.remove(name);
    }
    for (name, value) in document.iter().filter(|(name, _)| !NOT_IN_TOKENS.contains(&name.as_str())) {
        claims.insert(name.clone(), to_json(value));
    }
    claims
}

/// The custom claims to publish when not all of them fit. Claims that were withdrawn or changed are removed in any
/// case; identity and rights come first; of the rest, as many as fit, the smallest first. Also returns the sorted names
/// of the document's claims that were left out.
pub fn fitting(current: &Map<String, Json>, document: &Fields, lost: &[String]) -> (Map<String, Json>, Vec<String>) {
    let all = custom_claims(current, document, lost);
    if check_claims(&all).is_ok() {
        return (all, Vec::new());
    }
    let of_document = |name: &str| document.contains_key(name) && !NOT_IN_TOKENS.contains(&name);
    // Claims that only the account holds stay, because they are stored nowhere else.
    let (mut due, mut claims): (Vec<_>, Map<_, _>) = {
        let (due, held): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, _)| of_document(name));
        (due, held.into_iter().collect())
    };
    let place = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
    due.sort_by_cached_key(|(name, value)| (place(name), value.to_string().len(), name.clone()));
    let mut left_out = Vec::new();
    for (name, value) in due {
        claims.insert(name.clone(), value);
        if check_claims(&claims).is_err() {
            claims.remove(&name);
            left_out.push(name);
        }
    }
    left_out.sort();
    (claims, left_out)
}

/// As [`fitting`], for a sign-in: fails when the user's identity and rights, which the token exists for, don't fit.
pub fn for_sign_in(current: &Map<String, Json>, document: &Fields) -> Result<Map<String, Json>, AccountError> {
    let (claims, left_out) = fitting(current, document, &[]);
    if left_out.iter().any(|name| FIRST.contains(&name.as_str())) {
        check_claims(&custom_claims(current, document, &[]))?;
    }
    Ok(claims)
}

/// The custom claims of an account whose claims document was deleted: all but the rights.
pub fn without_rights(current: &Map<String, Json>) -> Map<String, Json> {
    custom_claims(current, &Fields::new(), &[])
}

/// The claims that a new document takes over from its account's custom claims: the user's identity and role. The role
/// of a super admin isn't taken over, because only an existing document may give that right
/// (docs/domain/decisions.md#a-44).
pub fn imported(current: &Map<String, Json>) -> Fields {
    let names = [user_claims::field::ROAR_UID, user_claims::field::ASSESSMENT_UID, user_claims::field::ROLE];
    let texts = names.into_iter().filter_map(|name| Some((name, current.get(name)?.as_str()?)));
    let good = texts.filter(|(_, text)| !text.is_empty() && *text != user_claims::role::SUPER_ADMIN);
    good.map(|(name, text)| (name.to_owned(), Value::from(text))).collect()
}

/// True when a user with this role may be given another: they have none, or are a guest.
pub fn is_open(role: Option<&Value>) -> bool {
    role.and_then(Value::as_str).is_none_or(|role| role.is_empty() || role == user_claims::role::GUEST)
}

/// A claim as tokens and answers hold it.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(flag) => json!(flag),
        Value::Integer(number) => json!(number),
        Value::Double(number) => json!(number),
        Value::String(text) => json!(text),
        Value::Timestamp(instant) => json!(instant.to_string()),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => all_to_json(entries).into(),
        // Claims have no values of these types.
        Value::Bytes(_) | Value::Reference(_) | Value::GeoPoint { .. } => Json::Null,
    }
}

/// All claims, org lists included, as answers hold them.
pub fn all_to_json(claims: &Fields) -> Map<String, Json> {
    claims.iter().map(|(name, value)| (name.clone(), to_json(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn tokens_follow_the_document() {
        let object = |json: Json| json.as_object().cloned().unwrap_or_default();
        let document = fields! {
            "roarUid" => "r1", "role" => "admin",
            "adminOrgs" => fields! { "schools" => Value::strings(["s1"]) },
            "minimalAdminOrgs" => fields! { "schools" => Value::strings(["s1"]) },
        };
        // The account's current claims; the claims that the document lost; the expected claims.
        for (current, lost, expected) in [
            (json!({}), vec![], json!({"roarUid": "r1", "role": "admin"})),
            (json!({"role": "guest"}), vec![], json!({"roarUid": "r1", "role": "admin"})),
            (json!({"super_admin": true}), vec![], json!({"roarUid": "r1", "role": "admin"})),
            (json!({"lab": "x"}), vec![], json!({"roarUid": "r1", "role": "admin", "lab": "x"})),
            (json!({"lab": "x"}), vec!["lab"], json!({"roarUid": "r1", "role": "admin"})),
            (json!({"super_admin": true}), vec!["super_admin"], json!({"roarUid": "r1", "role": "admin"})),
            // The role was removed and has been given again since.
            (json!({}), vec!["role"], json!({"roarUid": "r1", "role": "admin"})),
            (json!({"adminOrgs": {"schools": ["s9"]}}), vec![], json!({"roarUid": "r1", "role": "admin"})),
        ] {
            let lost: Vec<String> = lost.into_iter().map(str::to_owned).collect();
            let claims = custom_claims(&object(current.clone()), &document, &lost);
            assert_eq!(Json::Object(claims.clone()), expected, "{current} without {lost:?}");
            assert_eq!(custom_claims(&claims, &document, &lost), claims);
        }
    }

    #[test]
    fn what_doesnt_fit_is_left_out_and_what_is_withdrawn_goes() {
        let large = "x".repeat(1200);
        let half = "y".repeat(500);
        // The document; the account's claims; the expected claims; the names that are left out.
        for (document, current, expected, left_out) in [
            (
                fields! { "roarUid" => "r1", "role" => "admin", "note" => large.as_str() },
                json!({"roarUid": "r1", "role": "super_admin", "super_admin": true}),
                json!({"roarUid": "r1", "role": "admin"}),
                vec!["note"],
            ),
            // An old, smaller value must not stay when the document has another one.
            (
                fields! { "roarUid" => "r1", "note" => large.as_str() },
                json!({"roarUid": "r1", "note": "small"}),
                json!({"roarUid": "r1"}),
                vec!["note"],
            ),
            // Of two claims that don't fit together, one is published; rights come before both.
            (
                fields! { "b" => half.as_str(), "a" => half.as_str(), "super_admin" => true },
                json!({}),
                json!({"super_admin": true, "a": half}),
                vec!["b"],
            ),
            // Only the claim with a reserved name is left out.
            (fields! { "roarUid" => "r1", "sub" => "s" }, json!({}), json!({"roarUid": "r1"}), vec!["sub"]),
            (fields! { "roarUid" => "r1" }, json!({"lab": half}), json!({"roarUid": "r1", "lab": half}), vec![]),
        ] {
            let (claims, left) = fitting(current.as_object().unwrap(), &document, &[]);
            assert_eq!(
                (Json::Object(claims.clone()), left.clone()),
                (expected, left_out.iter().map(|name| (*name).to_owned()).collect())
            );
            assert_eq!(fitting(&claims, &document, &[]), (claims, left), "again");
        }
    }

    #[test]
    fn a_new_document_takes_over_no_rights() {
        let held = json!({"roarUid": "r1", "role": "platform_admin", "super_admin": true, "admin": true, "lab": "x"});
        let expected = fields! { "roarUid" => "r1", "role" => "platform_admin" };
        assert_eq!(imported(held.as_object().unwrap()), expected);
        let held = json!({"role": "super_admin", "roarUid": "", "assessmentUid": 7});
        assert_eq!(imported(held.as_object().unwrap()), Fields::new());
    }

    #[test]
    fn claims_survive_the_way_there_and_back() {
        let claims = json!({"a": null, "b": true, "c": 7, "d": 1.5, "e": ["x", {"f": "y"}]});
        assert_eq!(to_json(&crate::payload::value(&claims).unwrap()), claims);
    }
}
