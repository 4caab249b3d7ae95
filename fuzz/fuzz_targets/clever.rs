//! Pages of Clever's Data API, read as each kind of record, and what the records mean in ROAR.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use reqwest::Url;
use roar_functions::documents::org_lists::OrgSet;
use roar_functions::fuzzing::{follow, page};
use roar_functions::orgs::OrgLists;
use roar_functions::payload::is_id;
use roar_functions::rostering::clever::map;
use roar_functions::rostering::clever::records::{DistrictInfo, Record, School, Section, User, record};
use roar_functions::rostering::org::{self, RosterOrg};
use roar_functions::rostering::person::{self, Before, Said};
use roar_functions_fuzz::{assert_storable, mutate_json, now};

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| { mutate_json(data, size, most, seed) });

fuzz_target!(|body: &[u8]| {
    read::<DistrictInfo>(body, |info| known_org(&map::district(info)));
    read::<School>(body, |school| known_org(&map::school(school, "d1")));
    read::<Section>(body, |section| {
        if let Some(class) = map::section(section, "d1") {
            known_org(&class);
        }
        let mut enrolments = map::Enrolments::default();
        enrolments.add(&map::class(section.clone(), "d1"));
        for user in section.students.iter().chain(&section.teachers) {
            assert_eq!(enrolments.sections_of(user).is_empty(), section.school.is_none());
        }
    });
    read::<User>(body, |user| {
        let orgs = map::admin_orgs(user, "d1", &["c1"]);
        let Some(mut person) = map::person(user, "d1", &[("c1", "s1")]) else {
            return assert!(user.roles.held().is_empty() && orgs.is_empty());
        };
        // A sync keeps those that exist.
        person.orgs = person.orgs.iter().filter(|(_, id)| is_id(id)).collect::<OrgLists>();
        let new = person::new_user(&person, "clever", None, now());
        assert_storable(&new);
        let owned = OrgSet::default();
        let before = Before { owned: &owned, said: Said::by(&person), email: None, was_admin: false, is_back: true };
        let change = person::change(&new, &person, &before, now());
        assert!(change.is_none(), "what was just written changes: {change:?}");
    });
});

fn read<T: Record + PartialEq>(body: &[u8], check: impl Fn(&T)) {
    let Ok(page) = page::<T>(body) else { return };
    if let Some(next) = &page.next {
        let here = Url::parse("https://api.clever.com/v3.1/users?limit=100").expect("an address");
        if let Ok(url) = follow(&here, next) {
            assert!(url.scheme() == "https" && url.host_str() == Some("api.clever.com") && url.port().is_none());
            assert!(url.username().is_empty() && url.password().is_none());
        }
    }
    for unreadable in &page.unreadable {
        assert!(unreadable.id.as_deref().is_none_or(|id| id.len() <= 64 && id.is_ascii()));
    }
    for one in &page.records {
        let Ok(again) = record::<T>(one.to_json()) else { panic!("{} can't be read again", one.id()) };
        assert_eq!(again.to_json(), one.to_json());
        assert!(again == *one && again.fingerprint() == one.fingerprint(), "{} isn't the same", one.id());
        check(one);
    }
}

fn known_org(org: &RosterOrg) {
    let new = org::new_org(org, "clever", now());
    assert_storable(&new);
    assert!(org::change(&new, org, "clever", now()).is_none());
    let archived = org::archive(&new, |_| false, |_| false, now()).expect("it was there").0;
    let mut gone = new.clone();
    gone.extend(archived);
    assert!(org::archive(&gone, |_| false, |_| false, now()).is_none());
    let (back, _) = org::change(&gone, org, "clever", now()).expect("it's back");
    gone.extend(back);
    assert_eq!(gone, new);
}
