//! A hierarchy that is small enough to reason about: D1 { S1 { C1, C2 }, S2 { C3 } }, D2 { S3 { C4 } }.

use roar_functions::orgs::{OrgLists, OrgType};
use roar_functions::store::{Database, DocPath, Fields, Timestamp, Value, Write};
use roar_functions::{fields, store::Document};

pub const TREE: [(OrgType, &str, &[(&str, &str)]); 9] = [
    (OrgType::District, "D1", &[]),
    (OrgType::District, "D2", &[]),
    (OrgType::School, "S1", &[("districtId", "D1")]),
    (OrgType::School, "S2", &[("districtId", "D1")]),
    (OrgType::School, "S3", &[("districtId", "D2")]),
    (OrgType::Class, "C1", &[("schoolId", "S1"), ("districtId", "D1")]),
    (OrgType::Class, "C2", &[("schoolId", "S1"), ("districtId", "D1")]),
    (OrgType::Class, "C3", &[("schoolId", "S2"), ("districtId", "D1")]),
    (OrgType::Class, "C4", &[("schoolId", "S3"), ("districtId", "D2")]),
];

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

pub fn lists(ids: &[&str]) -> OrgLists {
    ids.iter()
        .map(|id| {
            let of = match &id[..1] {
                "D" => OrgType::District,
                "S" => OrgType::School,
                "C" => OrgType::Class,
                "G" => OrgType::Group,
                _ => OrgType::Family,
            };
            (of, *id)
        })
        .collect()
}

pub async fn write_orgs(database: &Database) {
    let writes = TREE.iter().map(|(of, id, above)| {
        let mut org = fields! { "name" => *id, "archived" => false };
        org.extend(above.iter().map(|(name, parent)| ((*name).to_owned(), Value::from(*parent))));
        Write::set(DocPath::in_collection(of.plural(), id).expect("a path"), org)
    });
    database.commit(writes.collect()).await.expect("written");
}

/// A user's five maps for these orgs, as an importer writes them.
pub fn org_maps(ids: &[&str], from: Timestamp) -> Fields {
    let of = lists(ids);
    OrgType::ALL
        .into_iter()
        .map(|org_type| {
            let ids = of.of(org_type);
            let dates: Fields = ids.iter().map(|id| (id.clone(), Value::Map(fields! { "from" => from }))).collect();
            let map = fields! { "current" => Value::strings(ids), "all" => Value::strings(ids), "dates" => dates };
            (org_type.plural().to_owned(), Value::Map(map))
        })
        .collect()
}

pub fn student(ids: &[&str], grade: &str) -> Fields {
    let mut user = fields! {
        "userType" => "student",
        "archived" => false,
        "name" => fields! { "first" => "Ada", "middle" => Value::Null, "last" => "Example" },
        "email" => "ada@example.org",
        "assessmentPid" => "pid-1",
        "createdAt" => at("2026-08-01T00:00:00Z"),
        "studentData" => fields! { "dob" => at("2015-09-20T00:00:00Z"), "grade" => grade },
    };
    user.extend(org_maps(ids, at("2026-08-01T00:00:00Z")));
    user
}

/// The de-identified copy, as an importer writes it beside the user.
pub fn copy_of(user: &Fields) -> Fields {
    let mut copy = fields! { "userType" => "student", "assessmentPid" => "pid-1", "archived" => false };
    for org_type in OrgType::ALL {
        copy.insert(org_type.plural().to_owned(), user[org_type.plural()].clone());
    }
    copy
}

pub fn condition(field: &str, op: &str, value: impl Into<Value>) -> Value {
    let leaf = fields! { "field" => field, "op" => op, "value" => { let value: Value = value.into(); value } };
    Value::Map(fields! { "op" => "AND", "conditions" => vec![Value::Map(leaf)] })
}

pub fn task(id: &str, assigned: Option<Value>) -> Value {
    let mut task = fields! { "taskId" => id, "params" => Fields::new() };
    task.extend(assigned.map(|assigned| ("conditions".to_owned(), Value::Map(fields! { "assigned" => assigned }))));
    Value::Map(task)
}

/// An administration as the dashboard writes it.
pub fn administration(orgs: &[&str], tasks: Vec<Value>, closed: Timestamp) -> Fields {
    fields! {
        "name" => "Autumn",
        "publicName" => "Autumn",
        "createdBy" => "somebody",
        "dateCreated" => at("2026-09-01T00:00:00Z"),
        "dateOpened" => at("2026-09-01T00:00:00Z"),
        "dateClosed" => closed,
        "sequential" => true,
        "testData" => false,
        "formatVersion" => 2,
        "assessments" => tasks,
        "minimalOrgs" => lists(orgs).to_value(),
    }
}

/// The IDs of a document's org lists, in one line.
pub fn orgs_of(document: &Document, name: &str) -> String {
    let mut ids = OrgLists::from_value(document.fields.get(name)).flatten();
    ids.sort();
    ids.join(" ")
}
