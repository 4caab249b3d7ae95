//! The documents that control an administration's sync: `administrationSyncs/{administrationId}`, which changes seldom
//! and which every transaction of the sync reads, and its `progress/{version}`, which every chunk increments.

use super::administration::{self, administration_path};
use crate::documents::org_lists::OrgLists;
use crate::fields;
use crate::store::{
    Committed, DocPath, Document, FieldOp, FieldPath, FieldTransform, Fields, Precondition, Query, Result, Timestamp,
    Transform, Value, Write,
};

/// Names of the fields of both documents; what they mean: [`Control`] and [`Progress`].
#[allow(missing_docs, reason = "the types say what each field means")]
pub mod field {
    pub const VERSION: &str = "version";
    pub const FINGERPRINT: &str = "fingerprint";
    pub const STATE: &str = "state";
    pub const ASSIGNED: &str = "assigned";
    pub const FORMAT_2: &str = "format2";
    pub const REMOVING: &str = "removing";
    pub const DETAILS_ONLY: &str = "detailsOnly";
    pub const ASSIGNED_ONCE: &str = "assignedOnce";
    pub const SWEEP: &str = "sweep";
    pub const BORN: &str = "born";
    pub const CLOSES: &str = "closes";
    pub const PLANNED: &str = "planned";
    pub const NEXT: &str = "next";
    pub const ONLY: &str = "only";
    pub const APPLIED: &str = "applied";
    pub const PROBLEMS: &str = "problems";
    pub const SEEN: &str = "seen";
    pub const OPEN: &str = "open";
}

/// The collection.
const COLLECTION: &str = "administrationSyncs";

/// The state of a sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Under way.
    #[default]
    Pending,
    /// Every assignment agrees with the administration.
    Complete,
    /// The sync met an error that no retry resolves.
    Failed,
    /// The administration is deleted, and its assignments are being deleted.
    Deleting,
}

impl State {
    /// The state's name in the document.
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

/// The content of the control document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Control {
    /// Incremented by every change that affects assignments; tasks of an older version stop.
    pub version: i64,
    /// The fingerprint of the administration's content that this version brings to the assignments.
    pub fingerprint: String,
    /// When the administration's document was created: one that was deleted and created again is another
    /// administration, even with the same content.
    pub born: Option<Timestamp>,
    /// The state of the sync.
    pub state: State,
    /// Orgs through which assignments may exist; `None` before the first plan.
    pub applied: Option<OrgLists>,
    /// The orgs whose members this version assigns, as planned.
    pub assigned: OrgLists,
    /// The administration was in format 2 when it was last planned.
    pub format_2: bool,
    /// Orgs that the administration lost and that this version removes.
    pub removing: OrgLists,
    /// Only the administration's details are copied to assignments, because the administration is closed
    /// (docs/domain/administrations.md#closing-and-reopening).
    pub details_only: bool,
    /// A sync of this administration has been completed before: this one isn't that of its creation.
    pub assigned_once: bool,
    /// The closing date at the time of the last plan.
    pub closes: Option<Timestamp>,
    /// When the last version was planned that completed and checked every student; it checked each after this time.
    pub planned: Option<Timestamp>,
    /// The administration was closed at some time since every assignment was last checked; students may have left
    /// meanwhile.
    pub sweep: bool,
    /// The number of students whose assignments the last completed version couldn't store
    /// ([`problems`](super::sync_notes::problems)).
    pub problems: i64,
    /// Only the members of these orgs are checked, because the change affects no others. `None` for all orgs.
    pub only: Option<OrgLists>,
    /// Orgs that were added or moved while this version was under way: the next version checks their members.
    pub next: OrgLists,
}

impl Control {
    /// The path of an administration's control document.
    pub fn path(administration: &str) -> Result<DocPath> {
        DocPath::in_collection(COLLECTION, administration)
    }

    /// The next version, for the administration's content with the given fingerprint.
    pub fn next(previous: Option<Control>, fingerprint: String, born: Timestamp) -> Control {
        let previous = previous.unwrap_or_default();
        Control { version: previous.version + 1, fingerprint, born: Some(born), state: State::Pending, ..previous }
    }

    /// Follows a version that has ended. Returns it with false; or, where orgs were added or moved meanwhile, the next
    /// version, which has to be planned, with true.
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
            version: fields.get(field::VERSION).and_then(Value::as_i64).unwrap_or(0),
            fingerprint: text(field::FINGERPRINT).to_owned(),
            state: State::parse(text(field::STATE)),
            applied: fields.get(field::APPLIED).and_then(Value::as_map).map(OrgLists::from_fields),
            assigned: OrgLists::from_value(fields.get(field::ASSIGNED)),
            format_2: flag(field::FORMAT_2),
            removing: OrgLists::from_value(fields.get(field::REMOVING)),
            details_only: flag(field::DETAILS_ONLY),
            assigned_once: flag(field::ASSIGNED_ONCE),
            born: fields.get(field::BORN).and_then(Value::as_timestamp),
            closes: fields.get(field::CLOSES).and_then(Value::as_timestamp),
            planned: fields.get(field::PLANNED).and_then(Value::as_timestamp),
            sweep: flag(field::SWEEP),
            next: OrgLists::from_value(fields.get(field::NEXT)),
            only: fields.get(field::ONLY).and_then(Value::as_map).map(OrgLists::from_fields),
            problems: fields.get(Progress::PROBLEMS).and_then(Value::as_i64).unwrap_or(0),
        }
    }

    /// The document's fields.
    pub fn to_fields(&self) -> Fields {
        let mut fields = fields! {
            field::VERSION => self.version,
            field::FINGERPRINT => self.fingerprint.as_str(),
            field::STATE => self.state.name(),
            field::ASSIGNED => self.assigned.to_value(),
            field::FORMAT_2 => self.format_2,
            field::REMOVING => self.removing.to_value(),
            field::DETAILS_ONLY => self.details_only,
            field::ASSIGNED_ONCE => self.assigned_once,
            field::SWEEP => self.sweep,
        };
        if self.problems > 0 {
            fields.insert(Progress::PROBLEMS.to_owned(), Value::Integer(self.problems));
        }
        let dates = [(field::BORN, self.born), (field::CLOSES, self.closes), (field::PLANNED, self.planned)];
        fields.extend(dates.into_iter().filter_map(|(name, date)| Some((name.to_owned(), Value::Timestamp(date?)))));
        if !self.next.is_empty() {
            fields.insert(field::NEXT.to_owned(), self.next.to_value());
        }
        if let Some(only) = &self.only {
            fields.insert(field::ONLY.to_owned(), only.to_value());
        }
        if let Some(applied) = &self.applied {
            fields.insert(field::APPLIED.to_owned(), applied.to_value());
        }
        fields
    }

    /// True when the sync is still at the given version and is neither deleting nor failed: its tasks go on.
    pub fn is_at(control: Option<&Control>, version: i64) -> bool {
        control.is_some_and(|control| {
            control.version == version && !matches!(control.state, State::Deleting | State::Failed)
        })
    }
}

/// True for a sync that may still write. A failed sync counts: the next save resumes it, and its tasks may run until
/// they are cancelled.
pub fn is_under_way(control: &Document) -> bool {
    matches!(Control::read(control).state, State::Pending | State::Failed)
}

/// The control documents of the syncs that are under way ([`is_under_way`]).
pub fn under_way() -> Query {
    let states = Value::strings([State::Pending.name(), State::Failed.name()]);
    Query::collection(COLLECTION).filter(field::STATE, FieldOp::In, states)
}

/// The path of a version's progress document.
pub fn progress_path(administration: &str, version: i64) -> Result<DocPath> {
    progress_at(administration, &version.to_string())
}

/// The path of the progress document with the given name: reconciling has a progress document of its own.
pub fn progress_at(administration: &str, name: &str) -> Result<DocPath> {
    Control::path(administration)?.child("progress", name)
}

/// The progress of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The number of chunks that are planned and not done.
    pub open: i64,
    /// The number of students for whom nothing could be stored.
    pub problems: i64,
    /// The number of members of later phases' orgs whom chunks have already processed, by [`seen_key`].
    seen: std::collections::BTreeMap<String, i64>,
}

impl Progress {
    /// The field that counts students for whom nothing could be stored, here and in [`Control`].
    pub const PROBLEMS: &'static str = field::PROBLEMS;

    /// Reads the document.
    pub fn read(document: &Document) -> Progress {
        let seen = document.fields.get(field::SEEN).and_then(Value::as_map);
        Progress {
            open: document.fields.get(field::OPEN).and_then(Value::as_i64).unwrap_or(0),
            problems: document.fields.get(Progress::PROBLEMS).and_then(Value::as_i64).unwrap_or(0),
            seen: seen.into_iter().flatten().filter_map(|(key, count)| Some((key.clone(), count.as_i64()?))).collect(),
        }
    }

    /// The number of the org's members who were processed in earlier phases of this flow.
    pub fn seen(&self, key: &str) -> i64 {
        self.seen.get(key).copied().unwrap_or(0)
    }
}

/// A chunk's write to the progress document. It increments `open` first, so that the new value of `open` is the first
/// result of the write, and then the counts of processed members.
pub fn progress_write<'a>(
    administration: &str,
    version: i64,
    open: i64,
    seen: impl IntoIterator<Item = (&'a String, &'a i64)>,
) -> Result<Write> {
    let increment = |path: FieldPath, by: i64| FieldTransform { path, transform: Transform::Increment(by.into()) };
    let seen = seen.into_iter().map(|(key, count)| increment(FieldPath::of([field::SEEN, key]), *count));
    let transforms = std::iter::once(increment(FieldPath::top(field::OPEN), open)).chain(seen).collect();
    Ok(Write::transform(progress_path(administration, version)?, transforms))
}

/// The write to the administration's document that counts a finished chunk.
pub fn completed_write(administration: &str) -> Result<Write> {
    Ok(Write::transform(administration_path(administration)?, Vec::new())
        .when(Precondition::Exists)
        .with(FieldPath::top(administration::field::SYNC_CHUNKS_COMPLETED), Transform::Increment(Value::Integer(1))))
}

/// The number of open chunks after a commit whose first write incremented it.
pub fn open_chunks(committed: Option<&Committed>) -> Option<i64> {
    committed?.results.first()?.transformed.first()?.as_i64()
}
