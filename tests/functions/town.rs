//! A town with every kind of caller: two districts, a family, a group, and the rights of each caller in them.

use roar_functions::accounts::{Account, NewAccount};
use roar_functions::fields;
use roar_functions::rights::Role;
use roar_functions::runtime::{Caller, FunctionError};
use roar_functions::store::{DocPath, Document, Fields, Query, Value, Write};
use serde_json::{Value as Json, json};

use crate::local::{LocalWorld, caller};
use crate::world::{PROJECT, set};

/// The assessment project.
pub const ASSESSMENT_PROJECT: &str = "demo-roar-admin-assessment";

pub struct Town {
    pub world: LocalWorld,
}

/// District d1 with school s1 (classes c1, c2) and school s2 (class c3), district d2 with school s3; group g1
/// with sub-group g2; family f1 with sub-group g3.
const ORGS: [(&str, &[(&str, &str)]); 11] = [
    ("districts/d1", &[]),
    ("districts/d2", &[]),
    ("schools/s1", &[("districtId", "d1")]),
    ("schools/s2", &[("districtId", "d1")]),
    ("schools/s3", &[("districtId", "d2")]),
    ("classes/c1", &[("schoolId", "s1"), ("districtId", "d1")]),
    ("classes/c2", &[("schoolId", "s1"), ("districtId", "d1")]),
    ("classes/c3", &[("schoolId", "s2"), ("districtId", "d1")]),
    ("groups/g1", &[]),
    ("groups/g2", &[("parentOrgType", "group"), ("parentOrgId", "g1")]),
    ("families/f1", &[]),
];

/// What each kind of caller holds: minimal and exhaustive.
fn rights(role: Role) -> Option<(Json, Json)> {
    Some(match role {
        Role::SignedOut | Role::WrongToken | Role::Guest => return None,
        Role::Student | Role::SuperAdmin => (json!({}), json!({})),
        Role::Caregiver => (json!({"families": ["f1"]}), json!({"families": ["f1"]})),
        Role::Admin => (json!({"schools": ["s1"]}), json!({"schools": ["s1"], "classes": ["c1", "c2"]})),
        Role::SiblingAdmin => (json!({"schools": ["s2"]}), json!({"schools": ["s2"], "classes": ["c3"]})),
        Role::ParentAdmin => (
            json!({"districts": ["d1"]}),
            json!({"districts": ["d1"], "schools": ["s1", "s2"], "classes": ["c1", "c2", "c3"]}),
        ),
    })
}

/// The Auth UID of a kind of caller.
pub fn uid(role: Role) -> String {
    format!("uid-{role:?}").to_lowercase()
}

/// The UID of the same person in the assessment project.
pub fn assessment_uid(role: Role) -> String {
    format!("assessment-{role:?}").to_lowercase()
}

/// Org lists as a value.
pub fn lists(json: &Json) -> Value {
    let of = |name: &str| {
        let ids = json.get(name).and_then(Json::as_array).cloned().unwrap_or_default();
        Value::strings(ids.iter().filter_map(Json::as_str).map(str::to_owned).collect::<Vec<_>>())
    };
    let names = ["districts", "schools", "classes", "groups", "families"];
    Value::Map(names.map(|name| (name.to_owned(), of(name))).into())
}

impl Town {
    pub async fn open() -> Town {
        let world = LocalWorld::start().await;
        let town = Town { world };
        for (path, links) in ORGS {
            let mut org = fields! { "name" => format!("Org {path}"), "archived" => false };
            org.extend(links.iter().map(|(name, id)| ((*name).to_owned(), Value::from(*id))));
            set(town.world.admin(), path, org).await;
        }
        for role in Role::ALL.into_iter().filter(|role| !matches!(role, Role::SignedOut | Role::WrongToken)) {
            town.settle_down(role).await;
        }
        town
    }

    /// Accounts in both projects, which are shown to be one person's; claims; users documents.
    async fn settle_down(&self, role: Role) {
        let (uid, assessment_uid) = (uid(role), assessment_uid(role));
        self.account(&uid, &assessment_uid, &format!("{uid}@example.org")).await;
        if let Some((minimal, exhaustive)) = rights(role) {
            let mut claims = fields! {
                "roarUid" => format!("roar-{uid}"), "adminUid" => uid.as_str(), "assessmentUid" => assessment_uid.as_str(),
                "minimalAdminOrgs" => lists(&minimal), "adminOrgs" => lists(&exhaustive),
            };
            match role {
                Role::SuperAdmin => claims.extend(fields! { "super_admin" => true, "role" => "super_admin" }),
                Role::Student => claims.extend(fields! { "role" => "student" }),
                Role::Caregiver => claims.extend(fields! { "role" => "launch_admin" }),
                _ => claims.extend(fields! { "role" => "admin" }),
            }
            let document = fields! { "claims" => claims, "lastUpdated" => 1, "testData" => false };
            set(self.world.admin(), &format!("userClaims/{uid}"), document).await;
        }
        let user_type = match role {
            Role::Student => "student",
            Role::Caregiver => "caregiver",
            Role::Guest => "guest",
            _ => "admin",
        };
        self.user(&format!("roar-{uid}"), user_type, &[("schools", "s1"), ("classes", "c1")]).await;
    }

    /// A users document, in both databases.
    pub async fn user(&self, id: &str, user_type: &str, orgs: &[(&str, &str)]) {
        let mut user = fields! { "userType" => user_type, "archived" => false };
        for (org_type, id) in orgs {
            let map = fields! { "current" => Value::strings([*id]), "all" => Value::strings([*id]) };
            user.insert((*org_type).to_owned(), Value::Map(map));
        }
        for database in [self.world.admin(), self.world.assessment()] {
            set(database, &format!("users/{id}"), user.clone()).await;
        }
    }

    /// A person's accounts in both projects, whose addresses are verified.
    pub async fn account(&self, uid: &str, assessment_uid: &str, email: &str) {
        let accounts = &self.world.service.app.accounts;
        let new = NewAccount { email: Some(email.to_owned()), email_verified: true, ..NewAccount::default() };
        accounts.admin.create(uid, &new).await.expect("an account");
        accounts.assessment.create(assessment_uid, &new).await.expect("an account");
    }

    /// Delivers all events and runs all tasks.
    pub async fn settle(&self) {
        self.world.settle().await;
    }

    pub fn caller(role: Role) -> Option<Caller> {
        (role != Role::SignedOut).then(|| caller(PROJECT, &uid(role)))
    }

    pub async fn call(&self, role: Role, function: &str, data: Json) -> Result<Json, FunctionError> {
        self.world.call_as(function, Town::caller(role), data).await
    }

    /// The status of a call, 200 for a success.
    pub async fn status(&self, role: Role, function: &str, data: Json) -> u16 {
        self.call(role, function, data).await.map_or_else(|error| error.status.http(), |_| 200)
    }

    pub async fn admin_account(&self, uid: &str) -> Option<Account> {
        self.world.service.app.accounts.admin.get(uid).await.expect("readable")
    }

    pub async fn assessment_account(&self, uid: &str) -> Option<Account> {
        self.world.service.app.accounts.assessment.get(uid).await.expect("readable")
    }

    pub async fn document(&self, path: &str) -> Option<Document> {
        self.world.admin().get(&DocPath::new(path).expect("a path")).await.expect("readable")
    }

    pub async fn assessment_document(&self, path: &str) -> Option<Document> {
        self.world.assessment().get(&DocPath::new(path).expect("a path")).await.expect("readable")
    }

    /// The claims in the admin database.
    pub async fn claims(&self, uid: &str) -> Fields {
        let document = self.document(&format!("userClaims/{uid}")).await.expect("claims");
        document.fields.get("claims").and_then(Value::as_map).cloned().expect("a map")
    }

    pub async fn delete(&self, path: &str) {
        self.world.admin().commit(vec![Write::delete(DocPath::new(path).expect("a path"))]).await.expect("deleted");
    }

    /// The records of changed rights, the oldest first.
    pub async fn audit(&self) -> Vec<Fields> {
        let records = self.world.admin().query(Query::collection("claimsAudit")).await.expect("records");
        records.into_iter().map(|record| record.fields).collect()
    }

    /// All documents of both databases, to see that nothing changed.
    pub async fn everything(&self) -> Vec<(String, Fields)> {
        let mut all = Vec::new();
        for database in [self.world.admin(), self.world.assessment()] {
            for collection in ["userClaims", "users", "groups", "claimsAudit", "identityProviderIds", "districts"] {
                let found = database.query(Query::collection(collection)).await.expect("documents");
                all.extend(found.into_iter().map(|document| (document.path.to_string(), document.fields)));
            }
        }
        all
    }
}

/// The IDs in one list of claims' lists, sorted.
pub fn ids(claims: &Fields, list: &str, org_type: &str) -> Vec<String> {
    let list = claims.get(list).and_then(Value::as_map).and_then(|lists| lists.get(org_type));
    let mut ids = list.and_then(Value::as_string_list).unwrap_or_default();
    ids.sort();
    ids
}
