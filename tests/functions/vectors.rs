//! A roster provider that is made of vectors: a sync depends neither on Clever nor on any other provider.

use async_trait::async_trait;
use futures::StreamExt as _;
use roar_functions::fields;
use roar_functions::orgs::{OrgKey, OrgType};
use roar_functions::rostering::model::{Member, Person, RosterClass, RosterDistrict, RosterOrg, Unread, Unreadable};
use roar_functions::rostering::report::{Counts, Kind, Progress, Report};
use roar_functions::rostering::source::{Noted, Page, Pages, Source, SourceError};
use roar_functions::rostering::sync::{Monitor, Options, Outcome, SyncError, sync_district};
use roar_functions::store::{DocPath, Fields, Timestamp, Value};

use crate::local::LocalWorld;

type Read<T> = Result<Noted<T>, Unreadable>;

/// A district's roster at nobody's.
#[derive(Clone)]
struct Vectors {
    is_complete: bool,
    schools: Vec<RosterOrg>,
    classes: Vec<RosterClass>,
    people: Vec<Read<Member>>,
    /// What asking for people fails with.
    fails: Option<SourceError>,
}

fn org(org_type: OrgType, id: &str, parents: &[(OrgType, &str)]) -> RosterOrg {
    let parents = parents.iter().map(|(org_type, id)| OrgKey::new(*org_type, *id)).collect();
    RosterOrg::new(OrgKey::new(org_type, id), parents, fields! { "name" => id }, &["name"])
}

fn class(id: &str, students: &[&str], teachers: &[&str]) -> RosterClass {
    let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    RosterClass {
        id: id.to_owned(),
        org: Some(org(OrgType::Class, id, &[(OrgType::School, "s1"), (OrgType::District, "d1")])),
        school: Some("s1".to_owned()),
        students: texts(students),
        teachers: texts(teachers),
    }
}

fn member(id: &str, user_type: &'static str) -> Read<Member> {
    let person = Person {
        user_type,
        name: [Some(id.to_owned()), None, Some("Vector".to_owned())],
        email: Some(format!("{id}@vectors.example")),
        username: None,
        student: if user_type == "student" {
            fields! { "grade" => "3" }
        } else {
            Fields::new()
        },
        orgs: [(OrgType::District, "d1"), (OrgType::School, "s1")].into_iter().collect(),
        unread: Vec::new(),
    };
    let (id, rights, teaches) = (id.to_owned(), Default::default(), user_type == "educator");
    Ok(Noted { record: Member { id, person: Some(person), rights, teaches }, unread: Vec::new() })
}

/// All in pages of two.
fn pages<T: Clone + Send + 'static>(records: &[Read<T>]) -> Pages<T> {
    let total = records.len();
    let chunks: Vec<Vec<Read<T>>> = records.chunks(2).map(<[_]>::to_vec).collect();
    let last = chunks.len().saturating_sub(1);
    let pages = chunks.into_iter().enumerate().map(move |(place, records)| {
        let (number, is_last) = (records.len(), place == last);
        let records = Box::new(records.into_iter());
        Ok(Page { records, number, total: Some(total as u64), is_last, is_cut_short: false })
    });
    futures::stream::iter(pages.collect::<Vec<_>>()).boxed()
}

fn read<T: Clone>(records: &[T]) -> Vec<Read<T>> {
    records.iter().map(|record| Ok(Noted { record: record.clone(), unread: Vec::new() })).collect()
}

#[async_trait]
impl Source for Vectors {
    fn provider(&self) -> &'static str {
        "vectors"
    }

    fn id(&self) -> &str {
        "d1"
    }

    async fn district(&self, _: Timestamp) -> Result<Noted<RosterDistrict>, SourceError> {
        let org = org(OrgType::District, "d1", &[]);
        let record = RosterDistrict { org, name: Some("Vectors".to_owned()), is_complete: self.is_complete };
        Ok(Noted { record, unread: vec![Unread { field: "colour", spelling: None }] })
    }

    fn schools(&self) -> Pages<RosterOrg> {
        pages(&read(&self.schools))
    }

    fn classes(&self) -> Pages<RosterClass> {
        pages(&read(&self.classes))
    }

    fn people(&self) -> Pages<Member> {
        match &self.fails {
            None => pages(&self.people),
            Some(error) => pages(&self.people[..2]).chain(futures::stream::iter([Err(error.clone())])).boxed(),
        }
    }

    async fn count_students(&self) -> Result<Option<u64>, SourceError> {
        Ok(None)
    }
}

fn vectors() -> Vectors {
    let students = ["u1", "u2", "u3", "u4", "u5"];
    let people = students.map(|id| member(id, "student")).into_iter().chain([member("t1", "educator")]);
    Vectors {
        is_complete: true,
        schools: vec![org(OrgType::School, "s1", &[(OrgType::District, "d1")])],
        classes: vec![class("c1", &students, &["t1"])],
        people: people.collect(),
        fails: None,
    }
}

async fn sync(world: &LocalWorld, source: &Vectors) -> (Report, Result<(), SyncError>) {
    let progress = tokio::sync::watch::Sender::new(Progress::default());
    let monitor = Monitor { progress: &progress, run: None, enrolled_before: None, knows_notes: true };
    let mut outcome = Outcome::default();
    let synced = sync_district(&world.service.app, source, Options::DEEP, &monitor, &mut outcome).await;
    (outcome.report, synced)
}

async fn document(world: &LocalWorld, path: &str) -> Fields {
    world.admin().get(&DocPath::new(path).expect("a path")).await.expect("readable").expect("it's there").fields
}

/// The entry and the user of a person.
async fn person(world: &LocalWorld, id: &str) -> (Fields, Fields) {
    let entry = document(world, &format!("identityProviderIds/vectors-{id}")).await;
    let user = document(world, &format!("users/{}", entry["roarUid"].as_str().expect("a user"))).await;
    (entry, user)
}

fn users(report: &Report) -> Counts {
    report.get(Kind::Users)
}

#[tokio::test]
async fn a_roster_of_vectors_is_synced_as_any_other() {
    let world = LocalWorld::start().await;
    let (report, synced) = sync(&world, &vectors()).await;
    synced.expect("synced");
    assert_eq!(users(&report), Counts { created: 6, ..Counts::default() });
    assert!(report.mismatches.is_empty() && report.is_right(), "{report:?}");
    assert_eq!(report.unread[&(Kind::Districts, "colour")].count, 1);
    let class = document(&world, "classes/c1").await;
    assert_eq!((&class["vectors"], &class["schoolId"]), (&Value::Boolean(true), &Value::from("s1")));
    let (entry, teacher) = person(&world, "t1").await;
    assert_eq!((&entry["providerType"], &teacher["ssoType"]), (&Value::from("vectors"), &Value::from("vectors")));
    let rights = entry["adminOrgs"].as_map().expect("rights");
    assert_eq!(rights["classes"], Value::strings(["c1"]), "teachers have rights over what they teach");
    let (again, synced) = sync(&world, &vectors()).await;
    synced.expect("synced");
    assert_eq!(users(&again), Counts { unchanged: 6, ..Counts::default() });
    world.settle().await;
}

#[tokio::test]
async fn who_left_a_roster_of_vectors_leaves_unless_its_data_are_incomplete() {
    let world = LocalWorld::start().await;
    sync(&world, &vectors()).await.1.expect("synced");
    let mut fewer = vectors();
    fewer.people.retain(|member| member.as_ref().is_ok_and(|member| member.record.id != "u1"));
    // What comes; who is unenrolled by it.
    let unreadable = Err(Unreadable { id: Some("u1".to_owned()), what: "name" });
    let unnamed = Err(Unreadable { id: None, what: "id" });
    let error = SourceError { text: "the shelf is empty".to_owned(), is_refused: false };
    let with = |people: Vec<Read<Member>>| Vectors {
        people: people.into_iter().chain(fewer.people.clone()).collect(),
        ..fewer.clone()
    };
    for (what, source, removed) in [
        ("incomplete", Vectors { is_complete: false, ..fewer.clone() }, 0),
        ("a record that can't be read", with(vec![unreadable]), 0),
        ("a record of nobody knows whom", with(vec![unnamed]), 0),
        ("a list that breaks off", Vectors { fails: Some(error.clone()), ..fewer.clone() }, 0),
        ("nobody at all", Vectors { people: Vec::new(), ..fewer.clone() }, 0),
        ("all but one", fewer.clone(), 1),
    ] {
        let (report, synced) = sync(&world, &source).await;
        assert_eq!(synced.err().map(|error| error.told()), source.fails.map(|error| error.text), "{what}");
        assert_eq!(users(&report).removed, removed, "{what}");
    }
    let (entry, user) = person(&world, "u1").await;
    assert_eq!((&entry["gone"], &user["archived"]), (&Value::Boolean(true), &Value::Boolean(true)));
    world.settle().await;
}
