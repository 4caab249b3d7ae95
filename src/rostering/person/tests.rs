use proptest::prelude::*;

use super::*;
use crate::documents::user::orgs::history_changes;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn later(hours: i64) -> Timestamp {
    NOW + jiff::SignedDuration::from_hours(hours)
}

fn student(orgs: &[(OrgType, &'static str)]) -> Person {
    Person {
        user_type: "student",
        name: [Some("Ada".to_owned()), None, Some("Byron".to_owned())],
        email: Some("ada@school.org".to_owned()),
        username: Some("ada1".to_owned()),
        student: fields! { "dob" => NOW, "grade" => "3", "gender" => "F", "race" => Value::strings(["Asian"]) },
        orgs: orgs.iter().copied().collect(),
        unread: Vec::new(),
    }
}

fn owned() -> OrgSet {
    use OrgType::{Class, District, School};
    let orgs = [(District, "d1"), (School, "s1"), (School, "s2"), (Class, "c1"), (Class, "c2")];
    OrgLists::from_iter(orgs).to_set()
}

/// As after many syncs: the roster has said everything before.
fn change(user: &Fields, person: &Person, owned: &OrgSet, now: Timestamp) -> Option<Change> {
    super::change(
        user,
        person,
        &Before { owned, said: Said::all(), email: Some("ada@school.org"), was_admin: false, is_back: true },
        now,
    )
}

fn apply(user: &Fields, change: Option<Change>) -> Fields {
    let mut user = user.clone();
    let Some(change) = change else { return user };
    for path in &change.1 {
        assert!(path.segments().len() <= 2, "{path:?}");
    }
    super::apply(&mut user, &change);
    user
}

fn current(user: &Fields, org_type: OrgType) -> Vec<String> {
    listed(user.get(org_type.plural()).and_then(Value::as_map), "current")
}

#[test]
fn a_new_student_has_all_that_others_read() {
    let user = new_user(&student(&[(OrgType::School, "s1")]), "clever", None, NOW);
    let data = user.get("studentData").and_then(Value::as_map).unwrap();
    assert_eq!(data.get("schoolLevel"), Some(&Value::from("elementary")));
    assert_eq!(
        user.get("name"),
        Some(&Value::Map(fields! { "first" => "Ada", "middle" => Value::Null, "last" => "Byron" }))
    );
    assert_eq!(current(&user, OrgType::School), ["s1"]);
    assert_eq!(current(&user, OrgType::Family), [""; 0]);
    assert_eq!(history_changes(&user, &OrgLists::new(), later(1)), None, "the history is sound");
    assert_eq!(change(&user, &student(&[(OrgType::School, "s1")]), &owned(), later(1)), None);
}

#[test]
fn what_differs_is_written_and_nothing_else() {
    let before = student(&[(OrgType::School, "s1"), (OrgType::Class, "c1")]);
    let mut user = new_user(&before, "clever", None, NOW);
    user.insert("assessmentPid".to_owned(), Value::from("kept"));
    if let Some(Value::Map(data)) = user.get_mut("studentData") {
        data.insert("notes".to_owned(), Value::from("by hand"));
    }
    let mut promoted = before.clone();
    promoted.student.insert("grade".to_owned(), Value::from("6"));
    promoted.student.remove("gender");
    promoted.student.remove("dob");
    let change = change(&user, &promoted, &owned(), later(1));
    let (_, mask) = change.clone().expect("a change");
    let paths: Vec<String> = mask.iter().map(FieldPath::to_string).collect();
    let known = "importedIdentity";
    assert_eq!(
        paths,
        [known, "studentData.dob", "studentData.gender", "studentData.grade", "studentData.schoolLevel", "lastUpdated"]
    );
    let user = apply(&user, change);
    let data = user.get("studentData").and_then(Value::as_map).unwrap();
    assert_eq!((data.get("grade"), data.get("schoolLevel")), (Some(&"6".into()), Some(&"middle".into())));
    assert_eq!((data.get("gender"), data.get("notes")), (None, Some(&"by hand".into())));
    assert_eq!(data.get("dob"), None, "what it says no more goes, be it a date of birth");
    assert_eq!(super::tests::change(&user, &promoted, &owned(), later(2)), None);
}

#[test]
fn whatever_the_roster_owns_goes_when_it_says_it_no_more() {
    let mut whole = student(&[(OrgType::School, "s1")]);
    whole.name[1] = Some("M".to_owned());
    for field in STUDENT_FIELDS.into_iter().filter(|field| *field != "schoolLevel") {
        whole.student.entry(field.to_owned()).or_insert_with(|| Value::from("x"));
    }
    let user = new_user(&whole, "clever", None, NOW);
    let owned = owned();
    let held = |user: &Fields, field: &str| crate::store::lookup(user, field).filter(|held| !held.is_null()).cloned();
    let all: Vec<String> = STUDENT_FIELDS
        .iter()
        .filter(|field| **field != "schoolLevel")
        .map(|field| format!("studentData.{field}"))
        .chain(OF_ALL.map(str::to_owned))
        .collect();
    for gone in &all {
        let mut says = whole.clone();
        match gone.as_str() {
            "name.first" => says.name[0] = None,
            "name.middle" => says.name[1] = None,
            "name.last" => says.name[2] = None,
            "username" => says.username = None,
            "email" => says.email = None,
            data => drop(says.student.remove(&data["studentData.".len()..])),
        }
        let before = Before {
            owned: &owned,
            said: Said::by(&whole),
            email: whole.email.as_deref(),
            was_admin: false,
            is_back: false,
        };
        let after = apply(&user, super::change(&user, &says, &before, later(1)));
        for field in &all {
            assert_eq!(held(&after, field), held(&user, field).filter(|_| field != gone), "{gone}: {field}");
        }
        if gone == "studentData.grade" {
            assert_eq!(held(&after, "studentData.schoolLevel"), None);
        }
        // What it says and nobody can read isn't taken away, and is the roster's still.
        let unread = Said::known().find(|known| gone.ends_with(known)).expect("a field");
        let says = Person { unread: vec![unread], ..says };
        assert_eq!(super::change(&user, &says, &before, later(1)), None, "{gone}");
        assert_eq!(before.said.after(&says), before.said, "{gone}");
        assert_ne!(says.fingerprint(&OrgLists::new()), whole.fingerprint(&OrgLists::new()));
        // And what people wrote since stays, where that can be told.
        if gone == "email" {
            let mut edited = user.clone();
            edited.insert("email".to_owned(), Value::from("own@home.example"));
            let says = Person { unread: Vec::new(), ..says };
            let after = apply(&edited, super::change(&edited, &says, &before, later(1)));
            assert_eq!(after["email"], edited["email"]);
            // But they aren't known by that address from then on, nor by the one that the roster took back.
            assert_eq!(Imported::read(&after), Imported { email: None, ..Imported::read(&user) });
        }
    }
    // Somebody who is a teacher now has no data of a student from the roster.
    let teacher = Person { user_type: "educator", student: Fields::new(), ..whole.clone() };
    let mut user = user;
    if let Some(Value::Map(data)) = user.get_mut("studentData") {
        data.insert("notes".to_owned(), Value::from("by hand"));
    }
    let before = Before { owned: &owned, said: Said::by(&whole), email: None, was_admin: false, is_back: false };
    let after = apply(&user, super::change(&user, &teacher, &before, later(1)));
    assert_eq!(after.get("studentData"), Some(&Value::Map(fields! { "notes" => "by hand" })));
}

/// Who was imported is who the roster said, whatever people make of the user since.
#[test]
fn who_was_imported_is_noted_apart_from_what_is_shown() {
    let ada = student(&[(OrgType::School, "s1")]);
    let mut user = new_user(&ada, "clever", None, NOW);
    let noted = Imported::read(&user);
    assert!(noted.name.is_some() && noted.dob.is_some());
    user.insert("name".to_owned(), Value::Map(fields! { "first" => "Eve", "last" => "Other" }));
    let renamed = Person { name: [Some("Augusta".to_owned()), None, ada.name[2].clone()], ..ada.clone() };
    let user = apply(&user, change(&user, &renamed, &owned(), later(1)));
    let now = Imported::read(&user);
    assert_ne!(now.name, noted.name);
    assert_eq!((&now.dob, &now.email), (&noted.dob, &noted.email));
    assert_ne!(ada.fingerprint(&OrgLists::new()), ada.former_fingerprint(&OrgLists::new()));
}

#[test]
fn moves_keep_orgs_of_others_and_the_past() {
    let user = new_user(&student(&[(OrgType::School, "s1"), (OrgType::Group, "g9")]), "clever", None, NOW);
    let moved = student(&[(OrgType::School, "s2")]);
    let user = apply(&user, change(&user, &moved, &owned(), later(1)));
    assert_eq!(current(&user, OrgType::School), ["s2"]);
    assert_eq!(current(&user, OrgType::Group), ["g9"], "not the roster's");
    let schools = user.get("schools").and_then(Value::as_map);
    assert_eq!(listed(schools, "all"), ["s1", "s2"]);
    let until = schools.and_then(|schools| schools.get("dates")).and_then(Value::as_map).unwrap();
    assert_eq!(until.get("s1").and_then(Value::as_map).unwrap().get("to"), Some(&Value::from(later(1))));
    // Who leaves the district but not the group isn't archived; who leaves that too is.
    let user = apply(&user, unenrolment(&user, &owned(), later(2)));
    assert_eq!((current(&user, OrgType::School), user.get("archived")), (vec![], Some(&false.into())));
    assert_eq!(unenrolment(&user, &owned(), later(3)), None);
    let all = OrgLists::from_iter([(OrgType::Group, "g9")]).to_set();
    let user = apply(&user, unenrolment(&user, &all, later(3)));
    assert_eq!(user.get("archived"), Some(&true.into()));
    // And may come back.
    let user = apply(&user, change(&user, &moved, &owned(), later(4)));
    assert_eq!((current(&user, OrgType::School), user.get("archived")), (vec!["s2".to_owned()], Some(&false.into())));
}

#[test]
fn an_admin_by_hand_stays_one() {
    let mut person = student(&[(OrgType::School, "s1")]);
    person.user_type = "educator";
    let mut user = new_user(&person, "clever", None, NOW);
    user.insert("userType".to_owned(), Value::from("admin"));
    assert_eq!(change(&user, &person, &owned(), later(1)), None);
}

#[test]
fn what_others_said_stays_until_the_roster_says_something_else() {
    let person = student(&[(OrgType::School, "s1")]);
    let mut user = new_user(&person, "clever", None, NOW);
    if let Some(Value::Map(data)) = user.get_mut("studentData") {
        data.extend(fields! { "home_language" => Value::strings(["Tamil"]), "iep_status" => "Y" });
    }
    let owned = owned();
    let before = Before { owned: &owned, said: Said::by(&person), email: None, was_admin: false, is_back: false };
    assert_eq!(super::change(&user, &person, &before, later(1)), None, "it never said these");
    assert_eq!(Said::of(Said::by(&person).names()), Said::by(&person));
    let mut says_more = person.clone();
    says_more.student.insert("iep_status".to_owned(), Value::from("N"));
    let user = apply(&user, super::change(&user, &says_more, &before, later(1)));
    let before = Before { said: Said::by(&says_more), ..before };
    let user = apply(&user, super::change(&user, &person, &before, later(2)));
    let data = user.get("studentData").and_then(Value::as_map).unwrap();
    assert_eq!((data.get("iep_status"), data.contains_key("home_language")), (None, true));
}

#[test]
fn names_that_people_gave_stay_where_the_roster_says_none() {
    let mut person = student(&[(OrgType::School, "s1")]);
    person.name[2] = None;
    let mut user = new_user(&person, "clever", Some("pid".to_owned()), NOW);
    assert_eq!((user["assessmentPid"].as_str(), user["username"].as_str()), (Some("pid"), Some("ada1")));
    let by_hand = fields! { "first" => "Ada", "middle" => "Augusta", "last" => "Byron", "suffix" => "II" };
    user.insert("name".to_owned(), Value::Map(by_hand.clone()));
    user.insert("archived".to_owned(), Value::Boolean(true));
    let (owned, said) = (owned(), Said::by(&person));
    let before = Before { owned: &owned, said, email: None, was_admin: false, is_back: false };
    assert_eq!(super::change(&user, &person, &before, later(1)), None, "not even who was archived by hand comes back");
    // It says a family name, and another name to sign in with; then neither.
    person.name[2] = Some("King".to_owned());
    person.username = Some("ada2".to_owned());
    let user = apply(&user, super::change(&user, &person, &before, later(1)));
    let mut expected = by_hand;
    expected.insert("last".to_owned(), Value::from("King"));
    assert_eq!((&user["name"], user["username"].as_str()), (&Value::Map(expected.clone()), Some("ada2")));
    let before = Before { said: Said::by(&person), is_back: true, ..before };
    person.name[2] = None;
    person.username = None;
    let user = apply(&user, super::change(&user, &person, &before, later(2)));
    expected.insert("last".to_owned(), Value::Null);
    assert_eq!((&user["name"], user.get("username")), (&Value::Map(expected), None));
    assert_eq!(user["archived"], Value::Boolean(false), "they were gone, and are back");
    // Another name to sign in with that they were given here stays.
    let user = fields! { "username" => "reader7" };
    person.username = Some("ada2".to_owned());
    let before = Before { said: Said::default(), ..before };
    let user = apply(&user, super::change(&user, &person, &before, later(3)));
    assert_eq!(user["username"].as_str(), Some("reader7"));
}

#[test]
fn who_was_an_admin_by_the_roster_alone_may_be_something_else() {
    let mut person = student(&[(OrgType::School, "s1")]);
    let mut user = new_user(&person, "clever", None, NOW);
    user.insert("userType".to_owned(), Value::from("admin"));
    person.user_type = "student";
    let owned = owned();
    let before = Before { owned: &owned, said: Said::default(), email: None, was_admin: true, is_back: false };
    let user = apply(&user, super::change(&user, &person, &before, later(1)));
    assert_eq!(user.get("userType"), Some(&Value::from("student")));
}

const ORGS: [(OrgType, &str); 7] = [
    (OrgType::District, "d1"),
    (OrgType::School, "s1"),
    (OrgType::School, "s2"),
    (OrgType::Class, "c1"),
    (OrgType::Class, "c2"),
    (OrgType::Class, "c9"),
    (OrgType::Group, "g9"),
];

proptest! {
    /// Whatever the roster says one after the other, histories stay sound and a repetition changes nothing.
    #[test]
    fn histories_stay_sound(steps in proptest::collection::vec(proptest::option::of(any::<[bool; 7]>()), 1..8)) {
        let mut user = new_user(&student(&[(OrgType::Group, "g9")]), "clever", None, NOW);
        for (hour, step) in steps.into_iter().enumerate() {
            let now = later(hour as i64 + 1);
            let (once, twice) = match step {
                None => {
                    let once = apply(&user, unenrolment(&user, &owned(), now));
                    let again = unenrolment(&once, &owned(), later(99));
                    (once, again)
                }
                Some(chosen) => {
                    let orgs: Vec<_> = ORGS.into_iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(org, _)| org).collect();
                    let person = student(&orgs);
                    let once = apply(&user, change(&user, &person, &owned(), now));
                    let again = change(&once, &person, &owned(), later(99));
                    for (org_type, id) in orgs {
                        prop_assert!(current(&once, org_type).contains(&id.to_owned()));
                    }
                    (once, again)
                }
            };
            prop_assert_eq!(twice, None);
            prop_assert_eq!(history_changes(&once, &OrgLists::new(), later(99)), None);
            prop_assert!(current(&once, OrgType::Group).contains(&"g9".to_owned()));
            user = once;
        }
    }
}
