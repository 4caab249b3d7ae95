//! Org types and the lists of org IDs by type that administrations, assignments and claims carry.

use std::collections::{BTreeMap, HashSet};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::store::{Fields, Value};

/// The five kinds of organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OrgType {
    /// A school district.
    District,
    /// A school.
    School,
    /// A class (a section, in rostering systems).
    Class,
    /// A group: any other set of people, possibly part of another org.
    Group,
    /// A family.
    Family,
}

impl OrgType {
    /// All types, in the order in which lists are flattened.
    pub const ALL: [OrgType; 5] = [OrgType::District, OrgType::School, OrgType::Class, OrgType::Group, OrgType::Family];

    /// The collection's name, which is also the key in org lists: `districts`.
    pub fn plural(self) -> &'static str {
        match self {
            OrgType::District => "districts",
            OrgType::School => "schools",
            OrgType::Class => "classes",
            OrgType::Group => "groups",
            OrgType::Family => "families",
        }
    }

    /// The singular name: `district`.
    pub fn singular(self) -> &'static str {
        match self {
            OrgType::District => "district",
            OrgType::School => "school",
            OrgType::Class => "class",
            OrgType::Group => "group",
            OrgType::Family => "family",
        }
    }

    /// Reads either form of the name.
    pub fn parse(name: &str) -> Option<OrgType> {
        OrgType::ALL.into_iter().find(|org_type| org_type.plural() == name || org_type.singular() == name)
    }
}

/// Serializes as the plural name.
impl Serialize for OrgType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.plural())
    }
}

/// Deserializes from the singular or the plural name.
impl<'de> Deserialize<'de> for OrgType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        OrgType::parse(&name).ok_or_else(|| D::Error::custom("no type of orgs"))
    }
}

/// One org: its type and ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrgKey {
    /// Its type.
    pub org_type: OrgType,
    /// Its document's ID.
    pub id: String,
}

impl OrgKey {
    /// An org of that type and ID.
    pub fn new(org_type: OrgType, id: impl Into<String>) -> Self {
        OrgKey { org_type, id: id.into() }
    }
}

/// Org IDs by type (docs/domain/documents.md#lists-of-orgs). Lists keep their order and hold no duplicate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrgLists {
    lists: [Vec<String>; 5],
}

impl OrgLists {
    /// Empty lists.
    pub fn new() -> Self {
        OrgLists::default()
    }

    /// The IDs of one type.
    pub fn of(&self, org_type: OrgType) -> &[String] {
        &self.lists[org_type as usize]
    }

    /// Adds an org unless it's listed already or its ID is empty. True when it was added.
    pub fn add(&mut self, org_type: OrgType, id: &str) -> bool {
        let list = &mut self.lists[org_type as usize];
        if id.is_empty() || list.iter().any(|known| known == id) {
            return false;
        }
        list.push(id.to_owned());
        true
    }

    /// True when no list holds anything.
    pub fn is_empty(&self) -> bool {
        self.lists.iter().all(Vec::is_empty)
    }

    /// True when the org is listed.
    pub fn contains(&self, org_type: OrgType, id: &str) -> bool {
        self.of(org_type).iter().any(|known| known == id)
    }

    /// All orgs: districts, schools, classes, groups, families.
    pub fn iter(&self) -> impl Iterator<Item = (OrgType, &str)> {
        OrgType::ALL.into_iter().flat_map(|org_type| self.of(org_type).iter().map(move |id| (org_type, id.as_str())))
    }

    /// All IDs in the order of [`OrgLists::iter`], each once.
    pub fn flatten(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        self.iter().map(|(_, id)| id).filter(|id| seen.insert(*id)).map(str::to_owned).collect()
    }

    /// The orgs of `self` that `other` has too.
    pub fn intersection(&self, other: &OrgSet) -> OrgLists {
        self.iter().filter(|(org_type, id)| other.contains(*org_type, id)).collect()
    }

    /// The orgs of `self` that `other` doesn't have.
    pub fn difference(&self, other: &OrgSet) -> OrgLists {
        self.iter().filter(|(org_type, id)| !other.contains(*org_type, id)).collect()
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &OrgLists) {
        let mut known = self.to_set();
        for (org_type, id) in other.iter() {
            if known.insert(org_type, id) && !id.is_empty() {
                self.lists[org_type as usize].push(id.to_owned());
            }
        }
    }

    /// The orgs as a set, for quick look-ups.
    pub fn to_set(&self) -> OrgSet {
        OrgSet { sets: OrgType::ALL.map(|org_type| self.of(org_type).iter().cloned().collect()) }
    }

    /// True when both name the same orgs, in whatever order.
    pub fn same_orgs(&self, other: &OrgLists) -> bool {
        self.to_set() == other.to_set()
    }

    /// Reads the lists of a map value. A missing key is an empty list; null, empty and non-string
    /// entries are dropped (docs/domain/documents.md#lists-of-orgs).
    pub fn from_fields(fields: &Fields) -> OrgLists {
        OrgType::ALL
            .into_iter()
            .flat_map(|org_type| {
                let ids = fields.get(org_type.plural()).and_then(Value::as_array).unwrap_or_default();
                ids.iter().filter_map(Value::as_str).map(move |id| (org_type, id))
            })
            .collect()
    }

    /// Reads the lists of a value; anything but a map is empty.
    pub fn from_value(value: Option<&Value>) -> OrgLists {
        value.and_then(Value::as_map).map(OrgLists::from_fields).unwrap_or_default()
    }

    /// The map value, always with all five keys (docs/domain/documents.md#lists-of-orgs).
    pub fn to_value(&self) -> Value {
        let entries = OrgType::ALL.map(|org_type| (org_type.plural().to_owned(), Value::strings(self.of(org_type))));
        Value::Map(entries.into_iter().collect())
    }
}

/// A map with all five keys, as [`OrgLists::to_value`].
impl Serialize for OrgLists {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(OrgType::ALL.map(|org_type| (org_type.plural(), self.of(org_type))))
    }
}

impl<'de> Deserialize<'de> for OrgLists {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let lists = BTreeMap::<String, Vec<String>>::deserialize(deserializer)?;
        let of = |org_type: OrgType| lists.get(org_type.plural()).into_iter().flatten().map(String::as_str);
        Ok(OrgType::ALL.into_iter().flat_map(|org_type| of(org_type).map(move |id| (org_type, id))).collect())
    }
}

impl<'a> FromIterator<(OrgType, &'a str)> for OrgLists {
    fn from_iter<I: IntoIterator<Item = (OrgType, &'a str)>>(orgs: I) -> Self {
        let mut lists = OrgLists::new();
        let mut known = OrgSet::default();
        for (org_type, id) in orgs {
            if !id.is_empty() && known.insert(org_type, id) {
                lists.lists[org_type as usize].push(id.to_owned());
            }
        }
        lists
    }
}

/// Orgs as sets, for membership questions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrgSet {
    sets: [HashSet<String>; 5],
}

impl OrgSet {
    /// True when the org is in the set.
    pub fn contains(&self, org_type: OrgType, id: &str) -> bool {
        self.sets[org_type as usize].contains(id)
    }

    /// Adds an org. True when it's new.
    pub fn insert(&mut self, org_type: OrgType, id: &str) -> bool {
        self.sets[org_type as usize].insert(id.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn lists_read_what_clients_send_and_write_all_keys() {
        let value = Value::Map(fields! {
            "districts" => vec![Value::from("d1"), Value::Null, Value::from(""), Value::from("d1")],
            "schools" => Value::Null,
        });
        let lists = OrgLists::from_value(Some(&value));
        assert_eq!(lists.flatten(), ["d1"]);
        assert_eq!(lists.to_value().as_map().unwrap().len(), 5);
    }

    #[test]
    fn names_parse_in_both_numbers() {
        assert_eq!(OrgType::parse("classes"), Some(OrgType::Class));
        assert_eq!(OrgType::parse("family"), Some(OrgType::Family));
        assert_eq!(OrgType::parse("cohort"), None);
    }
}
