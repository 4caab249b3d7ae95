//! Addresses: our own, and those that answers link to.

use reqwest::Url;
use serde::Deserialize;

use super::CleverError;

/// A link in an answer.
#[derive(Deserialize)]
pub(super) struct Link {
    #[serde(default)]
    pub(super) rel: String,
    #[serde(default)]
    pub(super) uri: String,
}

/// `base` with these segments, each of which stays one whatever is in it.
pub(super) fn append<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Result<Url, CleverError> {
    let mut url = base.clone();
    let bad = CleverError::Settings("an ID can't be part of an address");
    let mut path = url.path_segments_mut().map_err(|()| bad)?;
    path.pop_if_empty();
    for segment in segments {
        if matches!(segment, "" | "." | "..") {
            return Err(bad);
        }
        path.push(segment);
    }
    drop(path);
    Ok(url)
}

/// Where `uri`, absolute or relative, leads from `here`. Another host is refused: the token would go there.
pub(crate) fn follow(here: &Url, uri: &str) -> Result<Url, CleverError> {
    let url = here.join(uri).map_err(|_| CleverError::Malformed("a link is no address"))?;
    let is_ours = url.origin() == here.origin() && url.username().is_empty() && url.password().is_none();
    if is_ours { Ok(url) } else { Err(CleverError::ForeignLink) }
}

/// The value of a parameter.
pub(super) fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Sets a parameter, and leaves the others as they are.
pub(super) fn set_parameter(url: &mut Url, name: &str, value: &str) {
    let others: Vec<(String, String)> =
        url.query_pairs().filter(|(key, _)| key != name).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn links_lead_nowhere_else() {
        let here = url("https://api.clever.com/v3.1/users?limit=2");
        let next = "https://api.clever.com/v3.1/users?limit=2&starting_after=5a";
        for good in [next, "/v3.1/users?limit=2&starting_after=5a", "?limit=2&starting_after=5a"] {
            assert_eq!(follow(&here, good), Ok(url(next)), "{good}");
        }
        for foreign in [
            "https://clever.example/v3.1/users",
            "http://api.clever.com/v3.1/users",
            "https://api.clever.com:444/v3.1/users",
            "https://api.clever.com@clever.example/",
            "https://me@api.clever.com/v3.1/users",
            "//clever.example/v3.1/users",
            "\\\\clever.example\\v3.1",
            "file:///etc/passwd",
            "javascript:alert(1)",
        ] {
            assert_eq!(follow(&here, foreign), Err(CleverError::ForeignLink), "{foreign}");
        }
        assert!(matches!(follow(&here, "https://"), Err(CleverError::Malformed(_))));
    }

    #[test]
    fn segments_stay_segments() {
        let base = url("https://api.clever.com");
        assert_eq!(append(&base, ["v3.1", "a/../b?c"]).unwrap().as_str(), "https://api.clever.com/v3.1/a%2F..%2Fb%3Fc");
        assert_eq!(append(&url("http://localhost/x/"), ["y"]).unwrap().as_str(), "http://localhost/x/y");
        for bad in ["", ".", ".."] {
            assert!(append(&base, ["v3.1", bad]).is_err());
        }
    }

    #[test]
    fn parameters_are_replaced() {
        let mut changed = url("https://api.clever.com/v3.1/users?limit=10&role=student&starting_after=5a");
        set_parameter(&mut changed, "limit", "5");
        assert_eq!(parameter(&changed, "limit").as_deref(), Some("5"));
        assert_eq!(parameter(&changed, "role").as_deref(), Some("student"));
        assert_eq!(parameter(&changed, "starting_after").as_deref(), Some("5a"));
        assert_eq!(parameter(&changed, "ending_before"), None);
    }
}
