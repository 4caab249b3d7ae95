//! The documents that steer a sync: `administrationSyncs/{administrationId}`, which changes seldom and
//! is part of every transaction, and its `progress/{version}`, which every chunk increments.

use super::administration::administration_path;
use crate::documents::org_lists::OrgLists;
use crate::fields;
use crate::store::{
    Committed, DocPath, Document, FieldPath, FieldTransform, Fields, Precondition, Result, Timestamp, Transform, Value,
    Write,
};

/// Where a sync stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Under way.
    #[default]
    Pending,
    /// Every assignment agrees.
    Complete,
    /// It met an error that won't pass.
    Failed,
    /// The administration is deleted, and its assignments are on their way.
    Deleting,
}

impl State {
    /// As the document says it.
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Complete => "complete",
            State::Failed => "failed",
            State::Deleting => "deleting",
        }
    }

    fn parse(name: &str) -> State {
        [State::Complete, State::Failed, State::Deleting]
            .into_iter()
            .find(|state| state.name() == name)
            .unwrap_or(State::Pending)
    }
}

/// The field that says when the last version was planned that looked at every student.
const PLANNED: &str = "planned";

/// What the control document says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Control {
    /// Counts up with every change that matters; work of an older version stops.
    pub version: i64,
    /// The administration's state that this version brings about.
    pub fingerprint: String,
    /// When the administration's document came into being: deleted and made anew, it is another, even with
    /// the same content.
    pub born: Option<Timestamp>,
    /// Where it stands.
    pub state: State,
    /// Orgs through which assignments may exist; `None` before the first plan.
    pub applied: Option<OrgLists>,
    /// The orgs whose members this version assigns, as planned.
    pub assigned: OrgLists,
    /// The administration was in format 2 when it was last planned.
    pub format_2: bool,
    /// Orgs that the administration lost and that this version removes.
    pub removing: OrgLists,
    /// Only the administration's details reach assignments: it's closed
    /// (docs/domain/administrations.md#closing-and-reopening).
    pub details_only: bool,
    /// A sync has been completed before: this isn't the creation.
    pub assigned_once: bool,
    /// The closing date that was last planned with.
    pub closes: Option<Timestamp>,
    /// When the last version was planned that went to its end and looked at every student: it looked at each after that.
    pub planned: Option<Timestamp>,
    /// It has been closed since every assignment was last looked at; students may have left meanwhile.
    pub sweep: bool,
    /// For how many students the last version that went to its end couldn't store what they are to have
    /// ([`problems`](super::problems)).
    pub problems: i64,
    /// Only the members of these orgs are looked at: the others have nothing to do with what has changed. `None` for all.
    pub only: Option<OrgLists>,
    /// Orgs that came or moved while this version was under way: the next one is to look at their members.
    pub next: OrgLists,
}

impl Control {
    /// Where the control document of an administration is.
    pub fn path(administration: &str) -> Result<DocPath> {
        DocPath::in_collection("administrationSyncs", administration)
    }

    /// The next version, for a state of the administration with that fingerprint.
    pub fn next(previous: Option<Control>, fingerprint: String, born: Timestamp) -> Control {
        let previous = previous.unwrap_or_default();
        Control { version: previous.version + 1, fingerprint, born: Some(born), state: State::Pending, ..previous }
    }

    /// A version that has ended, or, where orgs came or moved meanwhile, the next one, which is to be planned: then
    /// true.
    pub fn and_next(self) -> (Control, bool) {
        if self.next.is_empty() {
            return (self, false);
        }
        let only = Some(self.next.clone());
        let next = Control { version: self.version + 1, state: State::Pending, only, next: OrgLists::new(), ..self };
        (next, true)
    }

    /// Reads the document.
    pub fn read(document: &Document) -> Control {
        let fields = &document.fields;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let flag = |name: &str| fields.get(name).and_then(Value::as_bool).unwrap_or(false);
        Control {
            version: fields.get("version").and_then(Value::as_i64).unwrap_or(0),
            fingerprint: text("fingerprint").to_owned(),
            state: State::parse(text("state")),
            applied: fields.get("applied").and_then(Value::as_map).map(OrgLists::from_fields),
            assigned: OrgLists::from_value(fields.get("assigned")),
            format_2: flag("format2"),
            removing: OrgLists::from_value(fields.get("removing")),
            details_only: flag("detailsOnly"),
            assigned_once: flag("assignedOnce"),
            born: fields.get("born").and_then(Value::as_timestamp),
            closes: fields.get("closes").and_then(Value::as_timestamp),
            planned: fields.get(PLANNED).and_then(Value::as_timestamp),
            sweep: flag("sweep"),
            next: OrgLists::from_value(fields.get("next")),
            only: fields.get("only").and_then(Value::as_map).map(OrgLists::from_fields),
            problems: fields.get(Progress::PROBLEMS).and_then(Value::as_i64).unwrap_or(0),
        }
    }

    /// The document's fields.
    pub fn to_fields(&self) -> Fields {
        let mut fields = fields! {
            "version" => self.version,
            "fingerprint" => self.fingerprint.as_str(),
            "state" => self.state.name(),
            "assigned" => self.assigned.to_value(),
            "format2" => self.format_2,
            "removing" => self.removing.to_value(),
            "detailsOnly" => self.details_only,
            "assignedOnce" => self.assigned_once,
            "sweep" => self.sweep,
        };
        if self.problems > 0 {
            fields.insert(Progress::PROBLEMS.to_owned(), Value::Integer(self.problems));
        }
        let dates = [("born", self.born), ("closes", self.closes), (PLANNED, self.planned)];
        fields.extend(dates.into_iter().filter_map(|(name, date)| Some((name.to_owned(), Value::Timestamp(date?)))));
        if !self.next.is_empty() {
            fields.insert("next".to_owned(), self.next.to_value());
        }
        if let Some(only) = &self.only {
            fields.insert("only".to_owned(), only.to_value());
        }
        if let Some(applied) = &self.applied {
            fields.insert("applied".to_owned(), applied.to_value());
        }
        fields
    }

    /// True when that version of a living administration goes on.
    pub fn is_at(control: Option<&Control>, version: i64) -> bool {
        control.is_some_and(|control| {
            control.version == version && !matches!(control.state, State::Deleting | State::Failed)
        })
    }
}

/// Where the progress of a version is.
pub fn progress_path(administration: &str, version: i64) -> Result<DocPath> {
    Control::path(administration)?.child("progress", &version.to_string())
}

/// How far a version has got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Chunks that are planned and not done.
    pub open: i64,
    /// Students for whom nothing could be stored.
    pub problems: i64,
    /// Members of orgs of later phases whom chunks have dealt with, by [`seen_key`].
    seen: std::collections::BTreeMap<String, i64>,
}

impl Progress {
    /// The field that counts students for whom nothing could be stored, here and in [`Control`].
    pub const PROBLEMS: &'static str = "problems";

    /// Reads the document.
    pub fn read(document: &Document) -> Progress {
        let seen = document.fields.get("seen").and_then(Value::as_map);
        Progress {
            open: document.fields.get("open").and_then(Value::as_i64).unwrap_or(0),
            problems: document.fields.get(Progress::PROBLEMS).and_then(Value::as_i64).unwrap_or(0),
            seen: seen.into_iter().flatten().filter_map(|(key, count)| Some((key.clone(), count.as_i64()?))).collect(),
        }
    }

    /// How many members of the org were dealt with in earlier phases of this flow.
    pub fn seen(&self, key: &str) -> i64 {
        self.seen.get(key).copied().unwrap_or(0)
    }
}

/// A chunk's write to the progress: `open` moves first (so that its new value is the first result of
/// the write), then what was seen.
pub fn progress_write<'a>(
    administration: &str,
    version: i64,
    open: i64,
    seen: impl IntoIterator<Item = (&'a String, &'a i64)>,
) -> Result<Write> {
    let increment = |path: FieldPath, by: i64| FieldTransform { path, transform: Transform::Increment(by.into()) };
    let seen = seen.into_iter().map(|(key, count)| increment(FieldPath::of(["seen", key]), *count));
    let transforms = std::iter::once(increment(FieldPath::top("open"), open)).chain(seen).collect();
    Ok(Write::transform(progress_path(administration, version)?, transforms))
}

/// The write that counts a finished chunk on the administration.
pub fn completed_write(administration: &str) -> Result<Write> {
    Ok(Write::transform(administration_path(administration)?, Vec::new())
        .when(Precondition::Exists)
        .with(FieldPath::top("syncChunksCompleted"), Transform::Increment(Value::Integer(1))))
}

/// How many chunks are open after a commit that moved their number with its first write.
pub fn open_chunks(committed: Option<&Committed>) -> Option<i64> {
    committed?.results.first()?.transformed.first()?.as_i64()
}
