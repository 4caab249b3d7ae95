//! Rights over orgs are given and taken away, and everything that is derived from them follows.

use roar_functions::claims::lists::{AdminOrgs, stored};
use roar_functions::fields;
use roar_functions::orgs::{Reach, load_tree};
use roar_functions::rights::Role;
use roar_functions::runtime::Status;
use roar_functions::store::{DocPath, FieldPath, Fields, Value, Write};
use serde_json::{Value as Json, json};

use crate::town::{Town, assessment_uid, ids, lists, uid};
use crate::world::set;

const APPEND: &str = "appendToAdminClaims";
const REMOVE: &str = "removeFromAdminClaims";

fn text(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

#[tokio::test]
async fn rights_are_given_in_single_ids_and_lists() {
    let town = Town::open().await;
    let target = uid(Role::Admin);
    let sent = json!({
        "targetUid": target, "districtId": null, "classId": "c3", "schools": ["s3", null, "s3"], "groups": ["g1"],
        "action": "remove", "requesterUid": "somebody else",
    });
    let answer = town.call(Role::SuperAdmin, APPEND, sent.clone()).await.expect("it's done");
    assert_eq!(answer["status"], "ok");
    assert_eq!(answer["userClaims"]["roarUid"], format!("roar-{target}"));
    let all = |name: &str| answer["userClaims"][name].clone();
    assert_eq!(
        all("minimalAdminOrgs"),
        json!({"districts": [], "schools": ["s1", "s3"], "classes": ["c3"], "groups": ["g1"], "families": []})
    );
    assert_eq!(
        all("adminOrgs"),
        json!({"districts": [], "schools": ["s1", "s3"], "classes": ["c3", "c1", "c2"], "groups": ["g1", "g2"], "families": []})
    );
    let document = town.document(&format!("userClaims/{target}")).await.expect("claims");
    assert!(
        matches!(document.fields.get("lastUpdated"), Some(Value::Integer(updated)) if *updated > 1_700_000_000_000)
    );
    // Who did it, and what it came to.
    let [record] = <[Fields; 1]>::try_from(town.audit().await).expect("one record");
    assert_eq!(text(&record, "by"), Some(uid(Role::SuperAdmin)));
    assert_eq!(text(&record, "target"), Some(target.clone()));
    assert_eq!(text(&record, "action").as_deref(), Some("append"));
    assert_eq!(record.get("minimalBefore"), Some(&lists(&json!({"schools": ["s1"]}))));
    // Again, and nothing is written.
    let before = (town.world.admin().cost(), town.world.assessment().cost());
    town.call(Role::SuperAdmin, APPEND, sent).await.expect("it's done");
    let spent = (town.world.admin().cost() - before.0, town.world.assessment().cost() - before.1);
    assert_eq!((spent.0.writes, spent.1.writes, spent.0.deletes), (0, 0, 0));
    assert_eq!(town.audit().await.len(), 1);
    // A parent takes the place of what is below it.
    let answer = town.call(Role::SuperAdmin, APPEND, json!({"targetUid": target, "districtId": "d1"})).await;
    let claims = answer.expect("it's done")["userClaims"].clone();
    assert_eq!(claims["minimalAdminOrgs"]["schools"], json!(["s3"]));
    assert_eq!(claims["minimalAdminOrgs"]["classes"], json!([]));
}

#[tokio::test]
async fn everything_follows_the_claims() {
    let town = Town::open().await;
    town.settle().await;
    let guest = uid(Role::Guest);
    town.call(Role::ParentAdmin, APPEND, json!({"targetUid": guest, "schoolId": "s1"})).await.expect("it's done");
    // At once, as a dashboard that reads the token after the call needs it; events come later.
    let account = town.admin_account(&guest).await.expect("an account");
    assert_eq!(Json::Object(account.custom_claims), json!({"adminUid": guest, "role": "admin"}));
    // Without an assessment account there's nothing in that project. With one, there is.
    let path = DocPath::new(format!("userClaims/{guest}")).unwrap();
    let claims = fields! { "claims" => fields! { "assessmentUid" => assessment_uid(Role::Guest), "roarUid" => format!("roar-{guest}") } };
    let mask = ["assessmentUid", "roarUid"].map(|name| FieldPath::of(["claims", name])).to_vec();
    town.world.admin().commit(vec![Write::merge(path, claims, mask)]).await.expect("written");
    town.settle().await;
    let account = town.assessment_account(&assessment_uid(Role::Guest)).await.expect("an account");
    assert_eq!(account.custom_claims["role"], "admin");
    assert_eq!(account.custom_claims["roarUid"], format!("roar-{guest}"));
    assert!(!account.custom_claims.contains_key("adminOrgs"));
    let copy = town.assessment_document(&format!("userClaims/{}", assessment_uid(Role::Guest))).await.expect("a copy");
    assert_eq!(copy.fields, town.document(&format!("userClaims/{guest}")).await.expect("claims").fields);
    for user in [
        town.document(&format!("users/roar-{guest}")).await,
        town.assessment_document(&format!("users/roar-{guest}")).await,
    ] {
        assert_eq!(text(&user.expect("a user").fields, "userType").as_deref(), Some("admin"));
    }
}

#[tokio::test]
async fn rights_over_a_family_make_no_administrator() {
    let town = Town::open().await;
    town.settle().await;
    let caregiver = town.document(&format!("users/roar-{}", uid(Role::Caregiver))).await.expect("a user");
    assert_eq!(text(&caregiver.fields, "userType").as_deref(), Some("caregiver"));
    let account = town.admin_account(&uid(Role::Caregiver)).await.expect("an account");
    assert_eq!(account.custom_claims["role"], "launch_admin");
}

#[tokio::test]
async fn rights_are_taken_away() {
    let town = Town::open().await;
    let target = uid(Role::Admin);
    town.call(Role::SuperAdmin, APPEND, json!({"targetUid": target, "groups": ["g1"]})).await.expect("it's done");
    // One that isn't held, and one that is held through another.
    let answer = town.call(Role::SuperAdmin, REMOVE, json!({"targetUid": target, "schoolId": "s2"})).await;
    assert_eq!(answer.expect("it's done")["status"], "ok");
    assert_eq!(town.audit().await.len(), 1);
    for (sent, org, ancestor) in
        [(json!({"classes": ["c1"]}), "class c1", "school s1"), (json!({"groupId": "g2"}), "group g2", "group g1")]
    {
        let mut sent = sent;
        sent["targetUid"] = json!(target);
        let error = town.call(Role::SuperAdmin, REMOVE, sent).await.expect_err("it's refused");
        assert_eq!(error.status, Status::FailedPrecondition);
        assert_eq!(
            error.message,
            format!("The {org} is administered through the {ancestor}, so it can't be removed alone.")
        );
    }
    town.call(Role::SuperAdmin, REMOVE, json!({"targetUid": target, "schoolId": "s1"})).await.expect("it's done");
    let claims = town.claims(&target).await;
    assert_eq!(ids(&claims, "adminOrgs", "classes"), [""; 0]);
    assert_eq!(ids(&claims, "adminOrgs", "groups"), ["g1", "g2"]);
    town.call(Role::SuperAdmin, REMOVE, json!({"targetUid": target, "groups": ["g1"]})).await.expect("it's done");
    let claims = town.claims(&target).await;
    assert_eq!(claims.get("adminOrgs"), Some(&lists(&json!({}))));
    assert_eq!(text(&claims, "role").as_deref(), Some("admin"), "nobody is demoted by that");
    // The assessment project's rules read their copy: the rights are gone there, too.
    let copy = town.assessment_document(&format!("userClaims/{}", assessment_uid(Role::Admin))).await.expect("a copy");
    assert_eq!(copy.fields.get("claims"), Some(&Value::Map(claims)));
}

#[tokio::test]
async fn what_is_gone_can_be_cleaned_up_by_super_admins() {
    let town = Town::open().await;
    let target = uid(Role::ParentAdmin);
    town.delete("districts/d1").await;
    let sent = json!({"targetUid": target, "districtId": "d1"});
    assert_eq!(town.status(Role::SuperAdmin, APPEND, sent.clone()).await, 404);
    assert_eq!(town.status(Role::SuperAdmin, REMOVE, sent).await, 200);
    assert_eq!(town.claims(&target).await.get("adminOrgs"), Some(&lists(&json!({}))));
}

#[tokio::test]
async fn super_admins_and_roles_survive_changes_of_orgs() {
    let town = Town::open().await;
    let target = uid(Role::SuperAdmin);
    for function in [APPEND, REMOVE] {
        let sent = json!({"targetUid": target, "schoolId": "s1"});
        town.call(Role::ParentAdmin, function, sent).await.expect("it's done");
        town.settle().await;
        let account = town.admin_account(&target).await.expect("an account");
        assert_eq!(account.custom_claims["super_admin"], true);
        assert_eq!(account.custom_claims["role"], "super_admin");
        assert_eq!(town.claims(&target).await.get("super_admin"), Some(&Value::Boolean(true)));
    }
}

#[tokio::test]
async fn bad_input_changes_nothing() {
    let town = Town::open().await;
    let before = town.everything().await;
    let target = uid(Role::Admin);
    let huge: Vec<String> = (0..3).map(|index| format!("{index}/{}", "x".repeat(20))).collect();
    for (sent, status, message) in [
        (json!(null), 400, "The request must be an object"),
        (json!([]), 400, "The request must be an object"),
        (json!({}), 400, "targetUid must be the ID of an account."),
        (json!({"targetUid": 7, "schoolId": "s1"}), 400, "targetUid must be the ID of an account."),
        (json!({"targetUid": "", "schoolId": "s1"}), 400, "targetUid must be the ID of an account."),
        (json!({"targetUid": "a/b", "schoolId": "s1"}), 400, "targetUid must be the ID of an account."),
        (json!({"targetUid": target}), 400, "One of districtId"),
        (json!({"targetUid": target, "schools": []}), 400, "One of districtId"),
        (json!({"targetUid": target, "schools": [null]}), 400, "One of districtId"),
        (json!({"targetUid": target, "schoolId": ""}), 400, "schoolId must be the ID of a school."),
        (json!({"targetUid": target, "schoolId": ["s1"]}), 400, "schoolId must be the ID of a school."),
        (json!({"targetUid": target, "schools": "s1"}), 400, "schools must be a list of IDs."),
        (json!({"targetUid": target, "schools": ["s1", 7]}), 400, "schools[1] must be the ID of a school."),
        (json!({"targetUid": target, "schools": huge}), 400, "schools[0] must be the ID of a school."),
        (json!({"targetUid": target, "schools": ["s1", "nowhere"]}), 404, "The school nowhere doesn't exist."),
        (json!({"targetUid": "nobody", "schoolId": "s1"}), 404, "targetUid names no account."),
    ] {
        let error = town.call(Role::SuperAdmin, APPEND, sent.clone()).await.expect_err("it's refused");
        assert_eq!(error.status.http(), status, "{sent}");
        assert!(error.message.starts_with(message), "{sent}: {}", error.message);
        if status == 400 {
            let error = town.call(Role::SuperAdmin, REMOVE, sent.clone()).await.expect_err("it's refused");
            assert!(error.message.starts_with(message), "{sent}: {}", error.message);
        }
    }
    let sent = json!({"targetUid": uid(Role::Guest), "schoolId": "s1"});
    assert_eq!(town.status(Role::SuperAdmin, REMOVE, sent).await, 404, "there are no claims to take from");
    assert_eq!(town.everything().await, before);
}

#[tokio::test]
async fn claims_that_would_not_fit_are_refused_before_anything_is_written() {
    let town = Town::open().await;
    let target = uid(Role::Guest);
    let large = fields! { "claims" => fields! { "adminUid" => target.as_str(), "note" => "é".repeat(480) } };
    set(town.world.admin(), &format!("userClaims/{target}"), large).await;
    let before = town.everything().await;
    let error = town.call(Role::SuperAdmin, APPEND, json!({"targetUid": target, "schoolId": "s1"})).await;
    assert_eq!(error.expect_err("it's refused").status, Status::ResourceExhausted);
    assert_eq!(town.everything().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_once_lose_nothing() {
    let town = Town::open().await;
    let target = uid(Role::Admin);
    let give = |name: &'static str, id: &'static str| {
        let sent = json!({"targetUid": uid(Role::Admin), name: id});
        town.call(Role::SuperAdmin, APPEND, sent)
    };
    let take = town.call(Role::SuperAdmin, REMOVE, json!({"targetUid": target, "schoolId": "s1"}));
    let (a, b, c, d, e, f) = tokio::join!(
        give("districtId", "d2"),
        give("schoolId", "s2"),
        give("classId", "c3"),
        give("groupId", "g1"),
        give("familyId", "f1"),
        take
    );
    for answer in [a, b, c, d, e, f] {
        answer.expect("it's done");
    }
    town.settle().await;
    let claims = town.claims(&target).await;
    let held = |org_type| ids(&claims, "minimalAdminOrgs", org_type);
    assert_eq!(held("districts"), ["d2"]);
    assert_eq!(held("schools"), ["s2"]);
    assert_eq!(held("groups"), ["g1"]);
    assert_eq!(held("families"), ["f1"]);
    assert_eq!(ids(&claims, "adminOrgs", "classes"), ["c3"]);
    // Where the school came before its class, the class changed nothing.
    assert!((5..=6).contains(&town.audit().await.len()));
    let copy = town.assessment_document(&format!("userClaims/{}", assessment_uid(Role::Admin))).await.expect("a copy");
    assert_eq!(copy.fields.get("claims"), Some(&Value::Map(claims)));
}

#[tokio::test]
async fn lists_that_were_written_by_hand_are_completed() {
    let town = Town::open().await;
    town.settle().await;
    let target = uid(Role::Admin);
    let path = format!("userClaims/{target}");
    let edit = async |name: &str, orgs: Json| {
        let fields = fields! { "claims" => Fields::from([(name.to_owned(), lists(&orgs))]) };
        let write = Write::merge(DocPath::new(&*path).unwrap(), fields, vec![FieldPath::of(["claims", name])]);
        town.world.admin().commit(vec![write]).await.expect("written");
        town.settle().await;
    };
    edit("adminOrgs", json!({"districts": ["d1"], "schools": ["s1", "nowhere"], "groups": ["g1"]})).await;
    let claims = town.claims(&target).await;
    assert_eq!(ids(&claims, "minimalAdminOrgs", "districts"), ["d1"]);
    assert_eq!(ids(&claims, "minimalAdminOrgs", "schools"), [""; 0]);
    assert_eq!(ids(&claims, "adminOrgs", "schools"), ["s1", "s2"]);
    assert_eq!(ids(&claims, "adminOrgs", "groups"), ["g1", "g2"]);
    let copy = town.assessment_document(&format!("userClaims/{}", assessment_uid(Role::Admin))).await.expect("a copy");
    assert_eq!(copy.fields.get("claims"), Some(&Value::Map(claims)));
    edit("adminOrgs", json!({})).await;
    let claims = town.claims(&target).await;
    assert_eq!(claims.get("minimalAdminOrgs"), Some(&lists(&json!({}))));
}

#[tokio::test]
async fn claims_that_the_document_loses_are_lost_everywhere() {
    let town = Town::open().await;
    town.settle().await;
    let target = uid(Role::SuperAdmin);
    assert_eq!(town.admin_account(&target).await.expect("an account").custom_claims["super_admin"], true);
    let path = DocPath::new(format!("userClaims/{target}")).unwrap();
    let mask = vec![FieldPath::of(["claims", "super_admin"]), FieldPath::of(["claims", "role"])];
    let write = Write::merge(path, fields! { "claims" => fields! { "role" => "admin" } }, mask);
    town.world.admin().commit(vec![write]).await.expect("written");
    let events = town.world.events().await;
    // Late, twice, in whatever order.
    for event in events.iter().chain(&events) {
        assert!(town.world.deliver(event.clone()).await);
    }
    town.settle().await;
    for account in [town.admin_account(&target).await, town.assessment_account(&assessment_uid(Role::SuperAdmin)).await]
    {
        let claims = account.expect("an account").custom_claims;
        assert_eq!((claims.get("super_admin"), claims.get("role")), (None, Some(&json!("admin"))));
    }
}

#[tokio::test]
async fn what_is_written_costs_little_to_follow() {
    let town = Town::open().await;
    town.settle().await;
    let target = uid(Role::Admin);
    town.call(Role::SuperAdmin, APPEND, json!({"targetUid": target, "groupId": "g1"})).await.expect("it's done");
    let events = town.world.events().await;
    let mirrored = |events: &[(String, _)]| events.iter().filter(|(name, _)| name == "mirrorCustomClaims").count();
    assert_eq!(mirrored(&events), 1);
    let before = (town.world.admin().cost(), town.world.assessment().cost());
    for event in events {
        assert!(town.world.deliver(event).await);
    }
    let spent = (town.world.admin().cost() - before.0, town.world.assessment().cost() - before.1);
    assert_eq!((spent.0.reads, spent.1.reads), (2, 2), "the claims, their copy, and the user in both databases");
    assert_eq!((spent.0.writes, spent.1.writes), (0, 0));
}

/// Random sequences: rights are given, taken and edited by hand concurrently; events come late, twice and in any order.
/// In the end everything agrees with the claims.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_comes_of_the_events_all_follows_the_claims_shuffled() {
    use rand::rngs::StdRng;
    use rand::seq::{IndexedRandom, SliceRandom};
    use rand::{RngExt, SeedableRng};
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let town = Town::open().await;
        let targets = [uid(Role::Admin), uid(Role::ParentAdmin)];
        let mut events = Vec::new();
        for _ in 0..8 {
            let target = targets.choose(&mut random).expect("one");
            let org = *[("schoolId", "s1"), ("schoolId", "s3"), ("groupId", "g1"), ("classId", "c3")]
                .choose(&mut random)
                .expect("one");
            let sent = json!({"targetUid": target, org.0: org.1});
            match random.random_range(0..4) {
                0 => drop(town.call(Role::SuperAdmin, APPEND, sent).await),
                1 => drop(town.call(Role::SuperAdmin, REMOVE, sent).await),
                2 => {
                    let role = *["admin", "platform_admin", "launch_admin"].choose(&mut random).expect("one");
                    let path = DocPath::new(format!("userClaims/{target}")).unwrap();
                    let (fields, mask) = match random.random() {
                        true => (fields! { "role" => role }, "role"),
                        false => (Fields::new(), "role"),
                    };
                    let fields = fields! { "claims" => fields };
                    let write = Write::merge(path, fields, vec![FieldPath::of(["claims", mask])]);
                    town.world.admin().commit(vec![write]).await.expect("written");
                }
                _ => {
                    let path = DocPath::new(format!("userClaims/{target}")).unwrap();
                    let fields =
                        fields! { "claims" => fields! { "adminOrgs" => lists(&json!({"schools": ["s2", "s3"]})) } };
                    let write = Write::merge(path, fields, vec![FieldPath::of(["claims", "adminOrgs"])]);
                    town.world.admin().commit(vec![write]).await.expect("written");
                }
            }
            events.extend(town.world.events().await);
            if random.random_range(0..3) == 0 {
                events.shuffle(&mut random);
                let some: Vec<_> = events.iter().take(3).cloned().collect();
                let deliveries = some.into_iter().map(|event| town.world.deliver(event));
                futures::future::join_all(deliveries).await;
            }
        }
        let twice: Vec<_> = events.iter().chain(&events).cloned().collect();
        let mut late = twice;
        late.shuffle(&mut random);
        for pair in late.chunks(2) {
            let deliveries = pair.iter().map(|event| town.world.deliver(event.clone()));
            futures::future::join_all(deliveries).await;
        }
        town.settle().await;
        for (target, assessment) in [Role::Admin, Role::ParentAdmin].map(|role| (uid(role), assessment_uid(role))) {
            let claims = town.claims(&target).await;
            let held = stored(Some(&claims));
            let reach = Reach::Down { include_archived: false };
            let tree = load_tree(town.world.admin(), &held.exhaustive, reach).await.expect("a tree");
            assert!(AdminOrgs::of(&held.minimal, &tree).same(&held), "seed {seed}: {held:?}");
            let copy = town.assessment_document(&format!("userClaims/{assessment}")).await.expect("a copy");
            assert_eq!(copy.fields.get("claims"), Some(&Value::Map(claims.clone())), "seed {seed}");
            for account in [town.admin_account(&target).await, town.assessment_account(&assessment).await] {
                let role = account.expect("an account").custom_claims.get("role").cloned();
                assert_eq!(role, text(&claims, "role").map(Json::from), "seed {seed}");
            }
        }
    }
}

#[tokio::test]
async fn an_org_that_is_deleted_goes_from_all_claims() {
    let town = Town::open().await;
    town.settle().await;
    let before = town.world.admin().cost();
    town.delete("classes/c3").await;
    let removed = async |town: &Town, name: &str| {
        let events: Vec<_> = town.world.events().await.into_iter().filter(|(trigger, _)| trigger == name).collect();
        // Twice, as events come.
        for event in events.iter().chain(&events) {
            assert!(town.world.deliver(event.clone()).await);
        }
        events.len()
    };
    assert_eq!(removed(&town, "removeClassFromClaims").await, 1);
    for role in [Role::SiblingAdmin, Role::ParentAdmin] {
        let claims = town.claims(&uid(role)).await;
        assert!(!ids(&claims, "adminOrgs", "classes").contains(&"c3".to_owned()), "{role:?}");
        let copy = town.assessment_document(&format!("userClaims/{}", assessment_uid(role))).await.expect("a copy");
        assert_eq!(copy.fields.get("claims"), Some(&Value::Map(claims)));
    }
    assert_eq!(ids(&town.claims(&uid(Role::SiblingAdmin)).await, "minimalAdminOrgs", "schools"), ["s2"]);
    assert_eq!(town.audit().await.len(), 2);
    assert_eq!(town.world.store.scans(), [""; 0]);
    assert!((town.world.admin().cost() - before).reads < 60);
    // What nobody administers costs a read.
    town.settle().await;
    town.delete("schools/s3").await;
    let before = town.world.admin().cost();
    assert_eq!(removed(&town, "removeSchoolFromClaims").await, 1);
    assert_eq!((town.world.admin().cost() - before).reads, 2, "one for each delivery");
    // A late event of an org that is back takes nothing.
    town.delete("schools/s1").await;
    let events = town.world.events().await;
    set(town.world.admin(), "schools/s1", fields! { "name" => "S", "districtId" => "d1", "archived" => false }).await;
    for event in events {
        assert!(town.world.deliver(event).await);
    }
    assert_eq!(ids(&town.claims(&uid(Role::Admin)).await, "minimalAdminOrgs", "schools"), ["s1"]);
}

#[tokio::test]
async fn claims_that_name_anothers_assessment_account_leave_it_alone() {
    let town = Town::open().await;
    town.settle().await;
    let (target, theirs) = (uid(Role::Admin), assessment_uid(Role::ParentAdmin));
    let before = (
        town.assessment_document(&format!("userClaims/{theirs}")).await.expect("a copy").fields,
        town.assessment_account(&theirs).await.expect("an account").custom_claims,
    );
    let path = DocPath::new(format!("userClaims/{target}")).unwrap();
    let edit = fields! { "claims" => fields! { "assessmentUid" => theirs.as_str(), "role" => "platform_admin" } };
    let mask = ["assessmentUid", "role"].map(|name| FieldPath::of(["claims", name])).to_vec();
    town.world.admin().commit(vec![Write::merge(path, edit, mask)]).await.expect("written");
    town.settle().await;
    let after = (
        town.assessment_document(&format!("userClaims/{theirs}")).await.expect("a copy").fields,
        town.assessment_account(&theirs).await.expect("an account").custom_claims,
    );
    assert_eq!(after, before);
    assert_eq!(town.admin_account(&target).await.expect("an account").custom_claims["role"], "platform_admin");
}

/// Firestore limits a document to a megabyte. Rights that exceed this are refused with an error that says so, and
/// aren't retried forever.
#[tokio::test]
async fn rights_over_more_than_a_document_holds_are_refused() {
    let town = Town::open().await;
    let long = |number: usize| format!("{}{number}", "c".repeat(1400));
    for (id, classes) in [("s-large", 800), ("s-small", 1)] {
        set(town.world.admin(), &format!("schools/{id}"), fields! { "name" => "S", "archived" => false }).await;
        let class = |number| {
            let path = DocPath::in_collection("classes", &format!("{}{id}", long(number))).expect("a path");
            Write::set(path, fields! { "name" => "C", "archived" => false, "schoolId" => id })
        };
        for batch in (0..classes).collect::<Vec<usize>>().chunks(200) {
            let writes = batch.iter().map(|number| class(*number)).collect();
            town.world.admin().commit(writes).await.expect("written");
        }
    }
    town.world.events().await;
    let target = uid(Role::Guest);
    let grant = |school: &str| json!({"targetUid": target, "schoolId": school});
    town.call(Role::SuperAdmin, "appendToAdminClaims", grant("s-small")).await.expect("granted");
    let before = town.everything().await;
    let error = town.call(Role::SuperAdmin, "appendToAdminClaims", grant("s-large")).await.expect_err("too many");
    assert_eq!(error.status, Status::ResourceExhausted);
    assert!(error.message.contains("more than one account can hold"), "{}", error.message);
    assert_eq!(town.everything().await, before);

    // By hand, and by a roster: it's said, and doesn't come again.
    let path = DocPath::new(format!("userClaims/{target}")).expect("a path");
    let lists = lists(&json!({"schools": ["s-small", "s-large"]}));
    let mask = vec![FieldPath::of(["claims", "adminOrgs"]), FieldPath::of(["claims", "minimalAdminOrgs"])];
    let by_hand = fields! { "claims" => fields! { "adminOrgs" => lists.clone(), "minimalAdminOrgs" => lists } };
    town.world.admin().commit(vec![Write::merge(path, by_hand, mask)]).await.expect("written");
    for event in town.world.events().await {
        assert!(town.world.deliver(event.clone()).await, "{}", event.0);
    }
    // What was taken away always goes.
    let remove = json!({"targetUid": target, "schoolId": "s-large"});
    town.call(Role::SuperAdmin, "removeFromAdminClaims", remove).await.expect("removed");
    assert_eq!(ids(&town.claims(&target).await, "adminOrgs", "schools"), ["s-small"]);
}
