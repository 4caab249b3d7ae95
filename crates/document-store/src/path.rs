//! Document paths, field paths and the path patterns of triggers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::StoreError;

/// The special field path that stands for a document's own name in queries.
pub const NAME_FIELD: &str = "__name__";

/// The path of a document relative to the database root: `users/u1/assignments/a1`.
///
/// Always an even number of non-empty segments. Ordered segment by segment, as Firestore orders
/// names.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocPath(Arc<str>);

impl DocPath {
    /// Checks and takes a path. Fails with [`StoreError::InvalidArgument`] when it isn't the path
    /// of a document (Firestore's rules on names: no empty segment, not `.` or `..`, not
    /// `__.*__`, at most 1,500 bytes a segment).
    pub fn new(path: impl Into<String>) -> Result<Self, StoreError> {
        let path = path.into();
        let segments: Vec<_> = path.split('/').collect();
        if segments.len() % 2 != 0 {
            return Err(StoreError::InvalidArgument(format!(
                "{path:?} is not the path of a document: it needs an even number of segments"
            )));
        }
        for segment in &segments {
            check_segment(segment)
                .map_err(|why| StoreError::InvalidArgument(format!("the path {path:?} has {why}")))?;
        }
        Ok(DocPath(path.into()))
    }

    /// Joins a collection path and a document ID. Fails as [`DocPath::new`] does.
    pub fn in_collection(collection: &str, id: &str) -> Result<Self, StoreError> {
        if id.contains('/') {
            return Err(StoreError::InvalidArgument("a document ID cannot hold a slash".to_owned()));
        }
        DocPath::new(format!("{collection}/{id}"))
    }

    /// A document in a subcollection of this one. Fails as [`DocPath::new`] does.
    pub fn child(&self, collection: &str, id: &str) -> Result<Self, StoreError> {
        DocPath::in_collection(&format!("{}/{collection}", self.0), id)
    }

    /// The whole path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The path of the collection that holds the document: `users/u1/assignments`.
    pub fn collection(&self) -> &str {
        self.0.rsplit_once('/').map(|(collection, _)| collection).unwrap_or_default()
    }

    /// The last segment of [`DocPath::collection`], the collection group's ID: `assignments`.
    pub fn collection_id(&self) -> &str {
        self.collection().rsplit('/').next().unwrap_or_default()
    }

    /// The document that holds this one's collection, if it is in a subcollection.
    pub fn parent(&self) -> Option<DocPath> {
        self.collection().rsplit_once('/').map(|(parent, _)| DocPath(parent.into()))
    }

    /// The path's segments.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }
}

fn check_segment(segment: &str) -> Result<(), &'static str> {
    if segment.is_empty() {
        return Err("an empty segment");
    }
    if segment == "." || segment == ".." {
        return Err("a segment that is . or ..");
    }
    if segment.len() >= 4 && segment.starts_with("__") && segment.ends_with("__") {
        return Err("a segment that Firestore reserves (__…__)");
    }
    if segment.len() > 1500 {
        return Err("a segment of more than 1,500 bytes");
    }
    Ok(())
}

impl PartialOrd for DocPath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for DocPath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.segments().cmp(other.segments())
    }
}
impl fmt::Display for DocPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
impl fmt::Debug for DocPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}
impl TryFrom<String> for DocPath {
    type Error = StoreError;
    fn try_from(path: String) -> Result<Self, StoreError> {
        DocPath::new(path)
    }
}
impl From<DocPath> for String {
    fn from(path: DocPath) -> String {
        path.0.as_ref().to_owned()
    }
}

/// A path to a field inside a document, as unescaped segments.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    /// A path of the given segments; none of them is split or unescaped.
    pub fn of<I, S>(segments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        FieldPath(segments.into_iter().map(Into::into).collect())
    }

    /// The path of a top-level field.
    pub fn top(name: impl Into<String>) -> Self {
        FieldPath(vec![name.into()])
    }

    /// Splits a plain dotted path (`districts.current`), as code writes it. Segments with special
    /// characters need [`FieldPath::of`] or [`FieldPath::parse`].
    pub fn dotted(path: &str) -> Self {
        FieldPath(path.split('.').map(str::to_owned).collect())
    }

    /// The path that stands for the document's name.
    pub fn name() -> Self {
        FieldPath::top(NAME_FIELD)
    }

    /// True for `__name__`.
    pub fn is_name(&self) -> bool {
        self.0.len() == 1 && self.0[0] == NAME_FIELD
    }

    /// The segments.
    pub fn segments(&self) -> &[String] {
        &self.0
    }

    /// Parses Firestore's wire form, where a segment that isn't a simple identifier stands in
    /// backticks. Fails with [`StoreError::InvalidArgument`] on a malformed path.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let malformed = || StoreError::InvalidArgument(format!("{text:?} is not a field path"));
        let mut segments = Vec::new();
        let mut chars = text.chars().peekable();
        loop {
            let mut segment = String::new();
            if chars.peek() == Some(&'`') {
                chars.next();
                loop {
                    match chars.next().ok_or_else(malformed)? {
                        '`' => break,
                        '\\' => segment.push(chars.next().ok_or_else(malformed)?),
                        other => segment.push(other),
                    }
                }
            } else {
                while let Some(&next) = chars.peek() {
                    if next == '.' {
                        break;
                    }
                    segment.push(next);
                    chars.next();
                }
            }
            if segment.is_empty() {
                return Err(malformed());
            }
            segments.push(segment);
            match chars.next() {
                None => return Ok(FieldPath(segments)),
                Some('.') => {}
                Some(_) => return Err(malformed()),
            }
        }
    }
}

/// Firestore's wire form: simple identifiers as they are, other segments in backticks.
impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(".")?;
            }
            let simple = segment.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && segment.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if simple {
                formatter.write_str(segment)?;
            } else {
                write!(formatter, "`{}`", segment.replace('\\', "\\\\").replace('`', "\\`"))?;
            }
        }
        Ok(())
    }
}

/// A trigger's document pattern: `users/{userId}/assignments/{assignmentUid}`.
///
/// `{name}` matches one segment and captures it. Multi-segment
/// wildcards aren't supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    segments: Vec<PatternSegment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PatternSegment {
    Literal(String),
    Capture(String),
}

/// What a [`PathPattern`] captured: parameter name to document or collection ID.
pub type PathParams = BTreeMap<String, String>;

impl PathPattern {
    /// Parses a pattern. Fails with [`StoreError::InvalidArgument`] when it can't match a document.
    pub fn new(text: &str) -> Result<Self, StoreError> {
        let segments: Vec<_> = text
            .split('/')
            .map(|segment| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => PatternSegment::Capture(name.to_owned()),
                None => PatternSegment::Literal(segment.to_owned()),
            })
            .collect();
        if segments.len() % 2 != 0 || text.contains("**") {
            return Err(StoreError::InvalidArgument(format!("{text:?} is not a document pattern")));
        }
        Ok(PathPattern { text: text.to_owned(), segments })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The captured parameters when `path` matches.
    pub fn matches(&self, path: &DocPath) -> Option<PathParams> {
        let mut params = PathParams::new();
        let mut actual = path.segments();
        for segment in &self.segments {
            let found = actual.next()?;
            match segment {
                PatternSegment::Literal(literal) if literal == found => {}
                PatternSegment::Literal(_) => return None,
                PatternSegment::Capture(name) => {
                    params.insert(name.clone(), found.to_owned());
                }
            }
        }
        actual.next().is_none().then_some(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_path_knows_its_parts() {
        let path = DocPath::new("users/u1/assignments/a1").unwrap();
        assert_eq!(path.id(), "a1");
        assert_eq!(path.collection(), "users/u1/assignments");
        assert_eq!(path.collection_id(), "assignments");
        assert_eq!(path.parent().unwrap().as_str(), "users/u1");
        assert_eq!(path.parent().unwrap().parent(), None);
        assert_eq!(path.child("x", "y").unwrap().as_str(), "users/u1/assignments/a1/x/y");
    }

    #[test]
    fn bad_document_paths_are_refused() {
        for bad in ["", "users", "users/", "/u1", "users/u1/assignments", "users/..", "users/__x__", "a//b/c"] {
            assert!(DocPath::new(bad).is_err(), "{bad:?}");
        }
        assert!(DocPath::in_collection("users", "a/b").is_err());
        assert!(DocPath::in_collection("users", "").is_err());
    }

    #[test]
    fn names_order_by_segment() {
        let short = DocPath::new("a/b").unwrap();
        let nested = DocPath::new("a/b/c/d").unwrap();
        let dashed = DocPath::new("a/b-").unwrap();
        assert!(short < nested);
        assert!(nested < dashed, "'-' sorts before '/' as bytes, but segments compare whole");
    }

    #[test]
    fn field_paths_survive_the_wire_form() {
        for segments in [vec!["a", "b"], vec!["assignmentsAssigned", "Xy-1 2"], vec!["a`b", "c\\d.e"], vec!["1x"]] {
            let path = FieldPath::of(segments.clone());
            assert_eq!(FieldPath::parse(&path.to_string()).unwrap(), path, "{segments:?}");
        }
        for bad in ["", ".a", "a.", "`a", "a..b", "`a`b"] {
            assert!(FieldPath::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn patterns_capture_single_segments() {
        let pattern = PathPattern::new("users/{userId}/assignments/{assignmentUid}").unwrap();
        let params = pattern.matches(&DocPath::new("users/u1/assignments/a1").unwrap()).unwrap();
        assert_eq!(params["userId"], "u1");
        assert_eq!(params["assignmentUid"], "a1");
        assert!(pattern.matches(&DocPath::new("users/u1").unwrap()).is_none());
        assert!(pattern.matches(&DocPath::new("users/u1/runs/a1").unwrap()).is_none());
        assert!(pattern.matches(&DocPath::new("users/u1/assignments/a1/x/y").unwrap()).is_none());
    }
}
