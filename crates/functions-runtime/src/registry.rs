//! The table of functions, looked up by name.

use std::collections::HashMap;
use std::sync::Arc;

use thiserror::Error;

use super::function::Function;

/// First path segments that belong to the server's own routes.
const RESERVED: [&str; 7] = ["events", "functions", "tasks", "healthz", "readyz", "metrics", "openapi.json"];

/// Why a table of functions can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// Two functions have one name.
    #[error("two functions answer to the name {0:?} (names are compared without regard to case)")]
    Duplicate(String),
    /// A name that can't be part of a URL, or is one of the server's own routes.
    #[error("{0:?} can't be the name of a function")]
    BadName(String),
}

/// All functions, found by name or alias without regard to case: clients call `sendLetters`, deployments are named
/// `sendletters`.
pub struct Registry<S> {
    functions: Vec<Arc<Function<S>>>,
    by_name: HashMap<String, usize>,
}

impl<S> Registry<S> {
    /// Takes the table. Fails when a name is used twice or can't be one.
    pub fn new(table: Vec<Function<S>>) -> Result<Self, RegistryError> {
        let functions: Vec<_> = table.into_iter().map(Arc::new).collect();
        let mut by_name = HashMap::new();
        for (index, function) in functions.iter().enumerate() {
            for name in std::iter::once(&function.name).chain(function.aliases) {
                let key = name.to_ascii_lowercase();
                let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                if key.is_empty() || !key.chars().all(legal) || RESERVED.contains(&key.as_str()) {
                    return Err(RegistryError::BadName((*name).to_owned()));
                }
                if by_name.insert(key, index).is_some() {
                    return Err(RegistryError::Duplicate((*name).to_owned()));
                }
            }
        }
        Ok(Registry { functions, by_name })
    }

    /// The function of that name or alias.
    pub fn find(&self, name: &str) -> Option<&Arc<Function<S>>> {
        self.by_name.get(&name.to_ascii_lowercase()).map(|index| &self.functions[*index])
    }

    /// The function of a trigger key of Firebase's emulators: the function's name, or `{region}-{name}-{generation}`.
    pub fn find_key(&self, key: &str) -> Option<&Arc<Function<S>>> {
        self.find(key).or_else(|| {
            let (rest, generation) = key.rsplit_once('-')?;
            if generation.is_empty() || !generation.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            // Regions have hyphens, and names may have them: the longest name that exists is meant.
            rest.match_indices('-').find_map(|(at, _)| self.find(&rest[at + 1..]))
        })
    }

    /// All functions, in the table's order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Function<S>>> {
        self.functions.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn callable(name: &'static str) -> Function<()> {
        Function::callable(name, "test", |(), _| async { Ok(Value::Null) })
    }

    #[test]
    fn names_and_aliases_are_found_in_any_case() {
        let registry = Registry::new(vec![callable("doThing").with_aliases(&["oldThing"]), callable("other")]).unwrap();
        for name in ["doThing", "dothing", "OLDTHING"] {
            assert_eq!(registry.find(name).unwrap().name, "doThing");
        }
        assert!(registry.find("thing").is_none());
    }

    #[test]
    fn emulator_keys_name_their_function() {
        let registry = Registry::new(vec![callable("sync"), callable("deep-sync")]).unwrap();
        for (key, name) in [
            ("sync", Some("sync")),
            ("us-central1-sync-0", Some("sync")),
            ("us-central1-deep-sync-12", Some("deep-sync")),
            ("us-central1-sync", None),
            ("us-central1-other-0", None),
        ] {
            assert_eq!(registry.find_key(key).map(|function| function.name), name, "{key}");
        }
    }

    #[test]
    fn a_name_used_twice_is_refused() {
        let error = |table| Registry::new(table).err().unwrap();
        assert_eq!(error(vec![callable("a"), callable("A")]), RegistryError::Duplicate("A".to_owned()));
        assert_eq!(
            error(vec![callable("a"), callable("b").with_aliases(&["a"])]),
            RegistryError::Duplicate("a".to_owned())
        );
        for name in ["", "a/b", "healthz", "Tasks"] {
            assert_eq!(error(vec![callable(name)]), RegistryError::BadName(name.to_owned()));
        }
    }
}
