//! Orgs that aren't in the roster any more, and what is below them (docs/domain/rosters.md#who-has-left).

use std::collections::HashSet;

use super::known::{BATCH, Done, Known, OrgWrite};
use super::{CONFLICTS, SyncError, Work};
use crate::documents::org::{field, org_path, parent_of_group};
use crate::orgs::{OrgKey, OrgType};
use crate::rostering::org;
use crate::rostering::report::Phase;
use crate::store::{Document, Precondition, Query, StoreError, Timestamp, Write};

impl Work<'_> {
    /// Archives what is gone, with all that's below it, once everything was fetched and judged. From below upwards, so
    /// that a sync that's cut short leaves nothing that the next one wouldn't find.
    pub(super) async fn archive_orgs(&mut self, known: &Known) -> Result<(), SyncError> {
        let gone = &known.gone;
        if gone.living.is_empty() && gone.listed_in.is_empty() {
            return Ok(());
        }
        self.phase(Phase::Unenrolling);
        let mut leaving = self.living_below(known).await?;
        leaving.reverse();
        if !leaving.is_empty() && !self.options.dry_run {
            crate::administrations::leave_orgs(self.app, &leaving).await?;
        }
        let above = gone.listed_in.iter().filter(|key| !leaving.contains(key)).cloned();
        let orgs: Vec<OrgKey> = leaving.iter().cloned().chain(above).collect();
        let leaving: HashSet<&OrgKey> = leaving.iter().collect();
        for batch in orgs.chunks(BATCH) {
            for attempt in 1.. {
                self.bisects = attempt >= CONFLICTS;
                let writes = self.archival(batch, &leaving, known).await?;
                match self.write_batch(&writes).await {
                    Err(SyncError::Store(StoreError::Conflict(_))) if attempt < CONFLICTS => {}
                    outcome => {
                        outcome?;
                        break;
                    }
                }
            }
        }
        self.tell();
        Ok(())
    }

    async fn archival(
        &self,
        orgs: &[OrgKey],
        leaving: &HashSet<&OrgKey>,
        known: &Known,
    ) -> Result<Vec<OrgWrite>, StoreError> {
        let now = self.app.now();
        let paths = orgs.iter().map(|key| org_path(key.org_type, &key.id)).collect::<Result<Vec<_>, _>>()?;
        let mut writes = Vec::new();
        for (key, document) in orgs.iter().zip(self.database.get_all(&paths).await?) {
            let Some(document) = document else { continue };
            writes.extend(archive_write(key, document, leaving.contains(key), known, now));
        }
        Ok(writes)
    }

    /// What is gone and still lives, and what lives below it: from above downwards. Classes that the roster has
    /// elsewhere, or may have, stay.
    async fn living_below(&self, known: &Known) -> Result<Vec<OrgKey>, StoreError> {
        let mut found = known.gone.living.clone();
        found.sort();
        let mut is_found: HashSet<OrgKey> = found.iter().cloned().collect();
        let schools: Vec<String> = found.iter().filter(|key| key.org_type == OrgType::School).map(id).collect();
        let classes = Query::collection(OrgType::Class.plural()).equal(field::ARCHIVED, false);
        let classes = classes.select(&[field::SCHOOL_ID]).each_of(field::SCHOOL_ID, &schools).map(|(query, _)| query);
        for class in self.database.query_each(classes).await? {
            let key = OrgKey::new(OrgType::Class, class.id());
            if !stays(&key, known) && is_found.insert(key.clone()) {
                found.push(key);
            }
        }
        let mut parents: HashSet<OrgKey> = is_found.clone();
        while !parents.is_empty() {
            let ids: Vec<String> = parents.iter().map(id).collect();
            let below = Query::collection(OrgType::Group.plural()).equal(field::ARCHIVED, false);
            let below = below.select(&[field::PARENT_ORG_TYPE, field::PARENT_ORG_ID]);
            let below = below.each_of(field::PARENT_ORG_ID, &ids).map(|(query, _)| query);
            let below = self.database.query_each(below).await?;
            let is_below =
                |group: &&Document| parent_of_group(&group.fields).is_some_and(|above| parents.contains(&above));
            let groups = below.iter().filter(is_below).map(|group| OrgKey::new(OrgType::Group, group.id()));
            parents = groups.filter(|key| is_found.insert(key.clone())).collect();
            found.extend(parents.iter().cloned());
        }
        Ok(found)
    }
}

fn id(key: &OrgKey) -> String {
    key.id.clone()
}

/// True for an org that the roster has, or may have.
fn stays(key: &OrgKey, known: &Known) -> bool {
    [&known.living, &known.untold].iter().any(|set| set.contains(key.org_type, &key.id))
}

/// The write that archives an org which `is_leaving`, with the children that go with it; or that takes children which are
/// gone out of the lists of one that stays. `None` when it's so already.
fn archive_write(key: &OrgKey, org: Document, is_leaving: bool, known: &Known, now: Timestamp) -> Option<OrgWrite> {
    let child = if key.org_type == OrgType::District { OrgType::School } else { OrgType::Class };
    let elsewhere = |id: &str| known.living.contains(child, id);
    let stays = |id: &str| known.untold.contains(child, id);
    let is_gone = |id: &str| known.gone.all.contains(&OrgKey::new(child, id));
    let (change, done) = match is_leaving {
        true => (org::archive(&org.fields, stays, elsewhere, now), Done::Removed),
        false => (org::children_archived(&org.fields, is_gone, |_| false, now), Done::Listed),
    };
    let (fields, mask) = change?;
    let write = Write::merge(org.path, fields, mask).when(Precondition::UpdatedAt(org.update_time));
    Some(OrgWrite { key: key.clone(), write, done })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{NOW, archived, class, district, fetched, school, stored};
    use super::super::known::Fetched;
    use super::super::plan::missing;
    use super::*;
    use crate::rostering::model::RosterOrg;
    use crate::store::{Fields, Value, WriteKind};

    fn before() -> [RosterOrg; 6] {
        [district("d1"), school("s1"), school("s2"), class("c1", "s1"), class("c2", "s2"), class("c3", "s2")]
    }

    /// What is known once these came, of which some couldn't be read.
    fn known(there: &[RosterOrg], unreadable: &[&str]) -> Known {
        let unreadable = unreadable.iter().map(|id| (*id).to_owned()).collect();
        let (there, here) = (Fetched { unreadable, ..fetched(there) }, stored(&before()));
        let missing = missing(&there, &here);
        Known::of("d1", there, here, missing, &HashSet::new(), false)
    }

    fn write(org_type: OrgType, id: &str, is_leaving: bool, known: &Known) -> Option<OrgWrite> {
        let key = OrgKey::new(org_type, id);
        let org = stored(&before()).remove(&key).expect("it's there");
        archive_write(&key, org, is_leaving, known, NOW)
    }

    fn fields(write: &OrgWrite) -> &Fields {
        let WriteKind::Set { fields, .. } = &write.write.kind else { panic!("it's set") };
        fields
    }

    #[test]
    fn a_school_that_is_gone_is_archived_and_so_are_its_classes_but_for_those_that_stay() {
        let rest = [district("d1"), school("s1"), class("c1", "s1")];
        let moved = [district("d1"), school("s1"), class("c1", "s1"), class("c2", "s1")];
        // What came, what couldn't be read; living classes, archived classes.
        for (what, there, unreadable, living, gone) in [
            ("all are gone", &rest[..], vec![], Some(vec![]), Some(vec!["c2", "c3"])),
            ("one moved", &moved[..], vec![], Some(vec![]), Some(vec!["c3"])),
            ("one can't be read", &rest[..], vec!["c2"], Some(vec!["c2"]), Some(vec!["c3"])),
            ("none can be read", &rest[..], vec!["c2", "c3"], None, None),
        ] {
            let write = write(OrgType::School, "s2", true, &known(there, &unreadable)).expect("it's archived");
            let list = |name: &str| fields(&write).get(name).cloned();
            assert_eq!(list("archived"), Some(Value::Boolean(true)), "{what}");
            assert_eq!(list("classes"), living.map(Value::strings), "{what}");
            assert_eq!(list("archivedClasses"), gone.map(Value::strings), "{what}");
            assert_eq!(write.write.precondition, Precondition::UpdatedAt(NOW));
            assert_eq!(write.done.name(), "removed");
        }
    }

    #[test]
    fn an_org_that_stays_only_loses_children_that_are_gone() {
        let known = known(&[district("d1"), school("s1"), class("c1", "s1")], &[]);
        let write = write(OrgType::District, "d1", false, &known).expect("its lists change");
        assert_eq!(fields(&write)["schools"], Value::strings(["s1"]));
        assert_eq!(fields(&write)["archivedSchools"], Value::strings(["s2"]));
        assert!(!fields(&write).contains_key("archived"));
        assert_eq!(write.done.name(), "updated");
        let key = OrgKey::new(OrgType::School, "s1");
        let school = stored(&before()).remove(&key).expect("it's there");
        assert!(archive_write(&key, school, false, &known, NOW).is_none(), "none of its children is gone");
    }

    #[test]
    fn what_is_archived_already_is_not_written_again() {
        let known = known(&[district("d1"), school("s1"), class("c1", "s1")], &[]);
        let key = OrgKey::new(OrgType::Class, "c2");
        let class = archived(stored(&before()), &["c2"]).remove(&key).expect("it's there");
        assert!(archive_write(&key, class, true, &known, NOW).is_none());
    }

    #[test]
    fn classes_that_the_roster_has_or_may_have_stay() {
        let known = known(&[district("d1"), school("s1"), class("c1", "s1")], &["c2"]);
        for (id, expected) in [("c1", true), ("c2", true), ("c3", false)] {
            assert_eq!(stays(&OrgKey::new(OrgType::Class, id), &known), expected, "{id}");
        }
    }
}
