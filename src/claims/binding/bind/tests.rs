use super::*;
use crate::claims::edit::tests::{change, document, state};
use crate::orgs::{Org, OrgKey, OrgType};
use crate::store::WriteKind;
use OrgType::{Class, School};

/// The documents that were read for a binding of the accounts a1 and s1.
struct Case {
    binding: Binding<'static>,
    admin: Account,
    entry: Option<RosterEntry>,
    left: Option<Left>,
    tree: OrgTree,
    held: OrgLists,
}

impl Case {
    fn new() -> Case {
        let binding = Binding {
            function: "setUidClaims",
            by: "by",
            admin_uid: "a1",
            assessment_uid: "s1",
            roar_uid: None,
            identity: None,
            is_trusted: false,
        };
        let org = |org_type, id: &str, fields: Fields| (OrgKey::new(org_type, id), Org::from_fields(org_type, &fields));
        let tree = OrgTree::new([
            org(School, "s1", Fields::new()),
            org(School, "s2", Fields::new()),
            org(Class, "c1", fields! { "schoolId" => "s1" }),
        ]);
        Case { binding, admin: Account::default(), entry: None, left: None, tree, held: OrgLists::new() }
    }

    /// A case with an entry of Clever's roster for the user r1, whose ID at Clever is p1.
    fn of_roster(fields: Fields) -> Case {
        let entry = RosterEntry::of(&entry(fields));
        Case {
            binding: Binding { identity: Some(("clever", Some("p1"))), ..Case::new().binding },
            entry,
            ..Case::new()
        }
    }

    fn work(&self) -> BindingChange<'_> {
        BindingChange {
            binding: &self.binding,
            admin: &self.admin,
            entry: self.entry.as_ref(),
            other_account_lives: false,
            left: self.left.as_ref(),
            tree: &self.tree,
            held: &self.held,
        }
    }

    /// The decision about these claims of the user r1, with the documents beside them.
    fn decide(
        &self,
        claims: Option<&Document>,
        beside: &[Option<Document>],
    ) -> Result<Decision<'static, ()>, FunctionError> {
        let target = Target::new("setUidClaims", "by", "a1");
        self.work().decide(&target, &State { beside, ..state(claims, &OrgTree::default()) }, "r1")
    }
}

fn stored_at(path: &str, fields: Fields) -> Document {
    Document { path: DocPath::new(path).unwrap(), ..document(fields) }
}

fn user(fields: Fields) -> Option<Document> {
    Some(stored_at("users/r1", fields))
}

/// A roster entry for the user r1, whose ID at the provider is p1.
fn entry(fields: Fields) -> Document {
    let mut all = fields! { "roarUid" => "r1", "providerId" => "p1" };
    all.extend(fields);
    stored_at("identityProviderIds/i1", all)
}

fn uids(roar_uid: &str) -> Fields {
    fields! { "roarUid" => roar_uid, "adminUid" => "a1", "assessmentUid" => "s1" }
}

fn schools(ids: &[&'static str]) -> OrgLists {
    ids.iter().map(|id| (School, *id)).collect()
}

fn paths(writes: &[Write]) -> Vec<&str> {
    writes.iter().map(|write| write.path.as_str()).collect()
}

fn named(path: &str) -> Write {
    Write::update(DocPath::new(path).unwrap(), fields! { "assessmentUid" => "s1" })
}

#[test]
fn who_has_no_claims_gets_them_with_a_record() {
    let mut case = Case::new();
    case.binding.roar_uid = Some("r1");
    let (change, ()) = change(case.decide(None, &[user(Fields::new())]).unwrap());
    assert_eq!(change.fields, fields! { "claims" => uids("r1"), "testData" => false });
    assert_eq!(change.mask, ["claims", "testData"].map(FieldPath::top));
    assert_eq!(change.beside, [named("users/r1")]);
    let details = fields! { "roarUid" => "r1", "assessmentUid" => "s1" };
    let record = Record { details, ..Record::new("setUidClaims", Action::Bind, "by", "a1") };
    assert_eq!(change.record, Some(record));
}

#[test]
fn claims_that_are_as_they_should_be_are_not_written() {
    let mut held = uids("r1");
    held.insert("else".to_owned(), Value::from("kept"));
    let settled = document(fields! { "claims" => held.clone() });
    // The user's document beside the claims; the expected writes.
    for (user, expected) in [
        (user(fields! { "assessmentUid" => "s1" }), Vec::new()),
        (user(fields! { "assessmentUid" => "s9" }), vec![named("users/r1")]),
        (None, Vec::new()),
    ] {
        let (change, ()) = change(Case::new().decide(Some(&settled), &[user]).unwrap());
        assert_eq!(*change_of(expected), change);
    }
    // A missing UID is written, and the other claims stay. The test-data mark is set only on a new document.
    held.remove("assessmentUid");
    let bare = document(fields! { "claims" => held.clone() });
    let (change, ()) = change(Case::new().decide(Some(&bare), &[None]).unwrap());
    held.extend(uids("r1"));
    assert_eq!((change.fields, change.mask), (fields! { "claims" => held }, vec![FieldPath::top("claims")]));
    assert!(change.record.is_some() && change.beside.is_empty());
}

fn change_of(beside: Vec<Write>) -> Box<Changes<'static>> {
    Box::new(Changes { beside, ..Changes::default() })
}

#[test]
fn the_custom_claims_count_where_the_document_says_nothing() {
    let mut case = Case::new();
    case.admin.custom_claims = [("roarUid", "r1"), ("role", "admin"), ("else", "x")]
        .map(|(name, value)| (name.to_owned(), Json::from(value)))
        .into_iter()
        .collect();
    // The claims before; the expected user and role.
    for (held, role) in [
        (None, "admin"),
        (Some(fields! { "roarUid" => "r1", "role" => "guest" }), "admin"),
        (Some(fields! { "roarUid" => "r1", "role" => "student" }), "student"),
    ] {
        let held = held.map(|claims| document(fields! { "claims" => claims }));
        let (change, ()) = change(case.decide(held.as_ref(), &[None]).unwrap());
        let claims = change.fields.get("claims").and_then(Value::as_map).unwrap();
        assert_eq!(claims.get("role").and_then(Value::as_str), Some(role), "{held:?}");
        assert_eq!(claims.get("roarUid").and_then(Value::as_str), Some("r1"));
    }
}

#[test]
fn an_entry_gives_its_role_and_its_rights_once() {
    let given = fields! { "adminOrgs" => schools(&["s1"]).to_value(), "role" => "teacher" };
    let case = Case::of_roster(given.clone());
    let (first, ()) = change(case.decide(None, &[user(Fields::new()), Some(entry(given.clone()))]).unwrap());
    let claims = first.fields.get("claims").and_then(Value::as_map).unwrap();
    assert!(stored(Some(claims)).same(&AdminOrgs::of(&schools(&["s1"]), &case.tree)));
    assert_eq!(claims.get("role").and_then(Value::as_str), Some("admin"));
    let noted = fields! { "clever" => schools(&["s1"]).to_value(), "manual" => OrgLists::new().to_value() };
    assert_eq!(first.fields.get("adminOrgSources"), Some(&Value::Map(noted)));
    let written = fields! {
        "adminUid" => "a1", "activated" => true, "lastSync" => Timestamp::from_millisecond(7).unwrap(),
        "copiedAdminOrgs" => schools(&["s1"]).to_value(), "providerId" => "p1",
    };
    let entry_write = Write::update(DocPath::new("identityProviderIds/i1").unwrap(), written.clone());
    assert_eq!(first.beside, [named("users/r1"), entry_write]);
    let record = first.record.unwrap();
    assert_eq!(record.minimal, Some((OrgLists::new(), schools(&["s1"]))));

    // Repeated on the resulting state, the binding writes nothing.
    let mut bound = given;
    bound.extend(written);
    let case = Case { held: schools(&["s1"]), ..Case::of_roster(bound.clone()) };
    let beside = [user(fields! { "assessmentUid" => "s1" }), Some(entry(bound.clone()))];
    let (again, ()) = change(case.decide(Some(&document(first.fields)), &beside).unwrap());
    assert_eq!(again, Changes::default());
    // Rights that an admin has taken away since aren't given again.
    let (taken, ()) = change(case.decide(Some(&document(fields! { "claims" => uids("r1") })), &beside).unwrap());
    assert_eq!(taken, Changes::default());
}

#[test]
fn a_student_of_a_roster_is_one() {
    // The fields of the entry, the claims before; the expected role.
    for (entry_fields, held, role) in [
        (fields! { "role" => "student" }, None, Some("student")),
        (fields! { "role" => "student" }, Some("admin"), Some("admin")),
        (fields! { "role" => "student", "activated" => true, "adminUid" => "a1" }, None, None),
        (fields! { "role" => "teacher" }, None, None),
    ] {
        let mut claims = fields! { "roarUid" => "r1" };
        claims.extend(held.map(|role| ("role".to_owned(), Value::from(role))));
        let case = Case::of_roster(entry_fields.clone());
        let held = document(fields! { "claims" => claims });
        let (change, ()) = change(case.decide(Some(&held), &[None, Some(entry(entry_fields.clone()))]).unwrap());
        let claims = change.fields.get("claims").and_then(Value::as_map).unwrap();
        assert_eq!(claims.get("role").and_then(Value::as_str), role, "{entry_fields:?}");
        assert_eq!(change.fields.get("adminOrgSources"), None, "no rights came, so none are noted");
    }
}

#[test]
fn the_record_says_how_the_entry_was_found() {
    // The provider ID sent at the sign-in; how the entry was found; the expected provider ID of the entry.
    for (told, found, provider_id) in [
        (Some("p1"), "id", Some("p1")),
        // The provider has given the person another ID since.
        (Some("p2"), "email", Some("p2")),
        (None, "email", None),
    ] {
        let mut case = Case::of_roster(Fields::new());
        case.binding.identity = Some(("clever", told));
        let (change, ()) = change(case.decide(None, &[None, Some(entry(Fields::new()))]).unwrap());
        let details = change.record.unwrap().details;
        let expected = fields! { "roarUid" => "r1", "assessmentUid" => "s1", "provider" => "clever", "match" => found };
        assert_eq!(details, expected);
        let WriteKind::Set { fields, .. } = &change.beside[0].kind else { panic!("the entry is updated") };
        assert_eq!(fields.get("providerId").and_then(Value::as_str), provider_id);
    }
}

#[test]
fn who_leaves_a_user_leaves_a_pair_unless_somebody_decided() {
    let pair = Write::update(DocPath::new("rosterDoubles/p").unwrap(), fields! { "state" => "waits" });
    let left = |pair| Some(Left { user: "r9".to_owned(), is_somebody: true, pair });
    let held = document(fields! { "claims" => fields! { "roarUid" => "r9" } });
    let decided = || Some(stored_at("rosterDoubles/p", Fields::new()));
    // The pair, and its stored document; the expected writes beside the claims, in this order.
    for (pair, stored, expected) in [
        (Some(pair.clone()), None, vec!["users/r1", "identityProviderIds/i1", "rosterDoubles/p"]),
        (Some(pair), decided(), vec!["users/r1", "identityProviderIds/i1"]),
        (None, None, vec!["users/r1", "identityProviderIds/i1"]),
    ] {
        let read = 2 + usize::from(pair.is_some());
        let case = Case { left: left(pair), ..Case::of_roster(Fields::new()) };
        let beside = [user(Fields::new()), Some(entry(Fields::new())), stored];
        let asked = case.work().beside("r1").unwrap();
        let order = ["users/r1", "identityProviderIds/i1", "rosterDoubles/p"];
        assert_eq!(asked.iter().map(DocPath::as_str).collect::<Vec<_>>(), order[..read]);
        let (change, ()) = change(case.decide(Some(&held), &beside[..read]).unwrap());
        assert_eq!(paths(&change.beside), expected);
        assert_eq!(change.record.unwrap().details.get("before").and_then(Value::as_str), Some("r9"));
    }
}

#[test]
fn what_changed_since_it_was_read_is_read_again_or_refused() {
    let due = |ids: &[&'static str]| fields! { "adminOrgs" => schools(ids).to_value() };
    let claims = |claims: Fields| Some(document(fields! { "claims" => claims }));
    let suspended = document(fields! { "suspended" => true, "claims" => uids("r1") });
    let of_school = |id: &'static str| {
        let mut claims = uids("r1");
        claims.extend(AdminOrgs::of(&schools(&[id]), &Case::new().tree).to_fields());
        claims
    };
    let outdated: Result<_, Status> = Ok(Decision::Outdated);
    // The entry as first read; the claims and the entry as they are now; the expected decision.
    for (known, now, entry_now, expected) in [
        (None, claims(uids("r2")), None, outdated),
        (None, Some(suspended), None, Err(Status::PermissionDenied)),
        (Some(Fields::new()), None, None, Ok(Decision::Outdated)),
        (Some(due(&["s1"])), None, Some(due(&["s2"])), Ok(Decision::Outdated)),
        (Some(due(&["s1"])), None, Some(due(&[])), Ok(Decision::Outdated)),
        (Some(due(&["s1"])), claims(of_school("s2")), Some(due(&["s1"])), Ok(Decision::Outdated)),
        (Some(Fields::new()), None, Some(fields! { "adminUid" => "a9" }), Err(Status::AlreadyExists)),
        (Some(Fields::new()), claims(uids("r9")), Some(Fields::new()), Err(Status::FailedPrecondition)),
    ] {
        let case = known.clone().map_or_else(Case::new, Case::of_roster);
        let beside = [None, entry_now.clone().map(entry)];
        let decided = case.decide(now.as_ref(), &beside[..1 + usize::from(known.is_some())]);
        assert_eq!(decided.map_err(|error| error.status), expected, "{known:?}, {now:?}, {entry_now:?}");
    }
}

#[test]
fn an_assessment_account_is_reserved_without_user_and_rights() {
    let reserved = fields! { "adminUid" => "a1", "assessmentUid" => "s1" };
    let write = Write::merge(
        claims_path("s1").unwrap(),
        fields! { "claims" => reserved.clone() },
        vec![FieldPath::of(["claims", "adminUid"]), FieldPath::of(["claims", "assessmentUid"])],
    );
    let case = Case::new();
    // The account's current claims; the expected write or refusal; whether those claims suffice.
    for (held, expected, holds) in [
        (None, Ok(&write), false),
        (Some(fields! { "roarUid" => "r1" }), Ok(&write), false),
        (Some(fields! { "adminUid" => "a1" }), Ok(&write), false),
        (Some(reserved), Ok(&write), true),
        (Some(fields! { "adminUid" => "a9", "assessmentUid" => "s1" }), Err(Status::AlreadyExists), false),
        (Some(fields! { "roarUid" => "r9" }), Err(Status::AlreadyExists), false),
    ] {
        let reservation = case.work().reservation(held.as_ref(), "r1").map_err(|error| error.status);
        assert_eq!(reservation.as_ref().map_err(|status| *status), expected, "{held:?}");
        assert_eq!(held.is_some_and(|held| case.work().holds(&held)), holds);
    }
}
