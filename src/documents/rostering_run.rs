//! Runs of a sync, `rosteringRuns/{runId}` with `stats`, `entityStatus` and `events`
//! (docs/domain/rosters.md#what-a-run-reports): their paths and their fields. Pure. Only this service writes them.
//!
//! The names of states, actions and kinds of records come from `rostering::report`, which counts them; this file has
//! their form in documents.

use super::org_lists::OrgKey;
use crate::fields;
use crate::store::{DocPath, Document, FieldPath, Fields, Result, Timestamp, Value, Write};

/// The collection, in the admin database.
pub const RUNS: &str = "rosteringRuns";

/// The limit of an error's text in a document, in characters.
const ERROR: usize = 300;

/// Names of the fields of runs and of the maps and documents within them.
#[allow(missing_docs, reason = "the types of this file say what each means")]
pub mod field {
    pub const PARTNER_ID: &str = "partnerId";
    pub const PROVIDER: &str = "provider";
    pub const ORG_ID: &str = "orgId";
    pub const ORG_TYPE: &str = "orgType";
    pub const RUN_TYPE: &str = "runType";
    pub const STATE: &str = "state";
    pub const STARTED_AT: &str = "startedAt";
    pub const HEARTBEAT_AT: &str = "heartbeatAt";
    pub const ENDED_AT: &str = "endedAt";
    pub const SUCCESS: &str = "success";
    pub const TRIGGERED_BY: &str = "triggeredBy";
    pub const BATCH_ID: &str = "batchId";
    pub const ERROR: &str = "error";
    pub const PROGRESS: &str = "progress";
    pub const DONE: &str = "done";
    pub const TOTAL: &str = "total";
    pub const COUNTS: &str = "counts";
    pub const KEEPS_MISSING: &str = "keepsMissing";
    pub const HELD_BACK: &str = "heldBack";
    pub const UNREAD: &str = "unread";
    pub const DOUBLES: &str = "doubles";
    pub const MISMATCHES: &str = "mismatches";
    pub const ENTITY_TYPE: &str = "entityType";
    pub const REASON: &str = "reason";
    pub const MISSING: &str = "missing";
    pub const OF: &str = "of";
    pub const FIELD: &str = "field";
    pub const COUNT: &str = "count";
    pub const PROVIDER_IDS: &str = "providerIds";
    pub const SPELLINGS: &str = "spellings";
    pub const ROAR: &str = "roar";
    pub const USER_TYPE: &str = "userType";
    pub const ACTION: &str = "action";
    pub const PROVIDER_ID: &str = "providerId";
    pub const STATUS: &str = "status";
    pub const ERROR_MESSAGE: &str = "errorMessage";
    pub const ATTEMPTS: &str = "attempts";
    pub const PROCESSED_AT: &str = "processedAt";
    pub const ENTITY_ID: &str = "entityId";
    pub const EVENT_TYPE: &str = "eventType";
    pub const USER_ID: &str = "userId";
    pub const TIMESTAMP: &str = "timestamp";
    pub const DETAILS: &str = "details";
    pub const SKIPPED: &str = "skipped";
    pub const FAILED: &str = "failed";
}

/// An edit of a run: fields, and the mask to write them with.
pub type Edit = (Fields, Vec<FieldPath>);

/// The path of a run's document.
pub fn run_path(id: &str) -> Result<DocPath> {
    DocPath::in_collection(RUNS, id)
}

/// The state of a run; `None` for a document without a state.
pub fn state(run: &Document) -> Option<&str> {
    run.fields.get(field::STATE).and_then(Value::as_str)
}

/// When the run gave its last heartbeat.
pub fn heartbeat(run: &Document) -> Option<Timestamp> {
    run.fields.get(field::HEARTBEAT_AT).and_then(Value::as_timestamp)
}

fn number(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn edit(fields: Fields) -> Edit {
    let mask = fields.keys().map(FieldPath::top).collect();
    (fields, mask)
}

/// What is known of a run when it begins.
#[derive(Clone, Copy, Debug)]
pub struct Begun<'a> {
    /// The ID of its partner's document.
    pub partner: &'a str,
    /// The roster's provider.
    pub provider: &'a str,
    /// The top-most org of the partner.
    pub org: &'a OrgKey,
    /// The run syncs people, too, not only orgs.
    pub is_full: bool,
    /// The state in which the run begins.
    pub state: &'a str,
    /// Who requested the run: an Auth UID, or the name of the command.
    pub by: &'a str,
    /// The ID of the first of the runs that one request began.
    pub batch: &'a str,
}

impl Begun<'_> {
    /// The run's document.
    pub fn fields(&self, now: Timestamp) -> Fields {
        fields! {
            field::PARTNER_ID => self.partner, field::PROVIDER => self.provider, field::ORG_ID => self.org.id.as_str(),
            field::ORG_TYPE => self.org.org_type.singular(),
            field::RUN_TYPE => if self.is_full { "full" } else { "shallow" }, field::STATE => self.state,
            field::STARTED_AT => now, field::HEARTBEAT_AT => now, field::SUCCESS => false,
            field::TRIGGERED_BY => self.by, field::BATCH_ID => self.batch,
        }
    }
}

/// The fields that another run writes when it takes over from a run whose heartbeat has expired.
pub fn cut_short(state: &str, now: Timestamp) -> Fields {
    fields! {
        field::STATE => state, field::SUCCESS => false, field::ENDED_AT => now,
        field::ERROR => "It was cut short, and another one took over.",
    }
}

/// The counts of what was done to one kind of record.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    /// The kind.
    pub kind: &'a str,
    /// The actions, each with its name and the number of records.
    pub by_name: [(&'static str, u64); 6],
}

fn counts(counted: &[Counted<'_>]) -> Value {
    let one = |counted: &Counted<'_>| {
        let numbers = counted.by_name.map(|(name, count)| (name.to_owned(), number(count)));
        (counted.kind.to_owned(), Value::Map(numbers.into_iter().collect()))
    };
    Value::Map(counted.iter().map(one).collect())
}

/// A heartbeat: shows that the run is alive, and how far it has got.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat<'a> {
    /// The state.
    pub state: &'a str,
    /// The number of records processed so far.
    pub done: u64,
    /// The number of records expected in all, where that's known.
    pub total: Option<u64>,
    /// The counts of what was done so far.
    pub counts: &'a [Counted<'a>],
}

impl Heartbeat<'_> {
    /// The edit.
    pub fn edit(&self, now: Timestamp) -> Edit {
        let mut progress = fields! { field::DONE => number(self.done) };
        progress.extend(self.total.map(|total| (field::TOTAL.to_owned(), number(total))));
        edit(fields! {
            field::STATE => self.state, field::PROGRESS => progress, field::COUNTS => counts(self.counts),
            field::HEARTBEAT_AT => now,
        })
    }
}

/// A safety stop: so many records are missing or unusable that somebody has to check before the run acts on it.
#[derive(Clone, Copy, Debug)]
pub struct SafetyStop<'a> {
    /// The kind of record.
    pub kind: &'a str,
    /// Why the run stopped.
    pub reason: &'a str,
    /// The number of records that are missing or unusable.
    pub missing: u64,
    /// The number of records of which these are missing.
    pub of: u64,
}

impl SafetyStop<'_> {
    fn to_value(self) -> Value {
        Value::Map(fields! {
            field::ENTITY_TYPE => self.kind, field::REASON => self.reason, field::MISSING => number(self.missing),
            field::OF => number(self.of),
        })
    }
}

/// Values of one field that couldn't be read.
#[derive(Clone, Debug)]
pub struct Unread<'a> {
    /// The kind of record.
    pub kind: &'a str,
    /// The provider's name of the field.
    pub field: &'a str,
    /// How many values.
    pub count: u64,
    /// The provider's IDs of some records with them.
    pub provider_ids: &'a [String],
    /// For grades: the unknown spellings, each once.
    pub spellings: Vec<&'a str>,
}

impl Unread<'_> {
    fn to_value(&self) -> Value {
        Value::Map(fields! {
            field::ENTITY_TYPE => self.kind, field::FIELD => self.field, field::COUNT => number(self.count),
            field::PROVIDER_IDS => Value::strings(self.provider_ids),
            field::SPELLINGS => Value::strings(self.spellings.iter().copied()),
        })
    }
}

/// The provider's number of records of a kind differs from this service's.
#[derive(Clone, Copy, Debug)]
pub struct Mismatch<'a> {
    /// The kind of record.
    pub kind: &'a str,
    /// For people: their type of user.
    pub user_type: Option<&'a str>,
    /// The provider's number of records.
    pub provider: u64,
    /// This service's number of records.
    pub here: u64,
}

impl Mismatch<'_> {
    fn to_value(self) -> Value {
        let mut fields = fields! {
            field::ENTITY_TYPE => self.kind, field::PROVIDER => number(self.provider),
            field::ROAR => number(self.here),
        };
        fields.extend(self.user_type.map(|of| (field::USER_TYPE.to_owned(), Value::from(of))));
        Value::Map(fields)
    }
}

/// The results of a run that ends.
#[derive(Clone, Debug)]
pub struct Ended<'a> {
    /// The state in which the run ends.
    pub state: &'a str,
    /// True when everything was stored.
    pub success: bool,
    /// What was done.
    pub counts: &'a [Counted<'a>],
    /// Why the provider's data are incomplete, if they are. Then missing records aren't taken for deleted ones.
    pub incomplete: Option<&'a str>,
    /// Why the run ended early, or what failed: a text for people. Of a long text, the beginning is kept.
    pub error: Option<&'a str>,
    /// The safety stop that kept the run from treating missing records as deleted, if there was one.
    pub safety_stop: Option<SafetyStop<'a>>,
    /// Values that couldn't be read.
    pub unread: Vec<Unread<'a>>,
    /// The number of pairs of users who may be one person.
    pub doubles: u64,
    /// The kinds of records of which the provider's number differs from this service's at the end.
    pub mismatches: Vec<Mismatch<'a>>,
}

impl Ended<'_> {
    /// The edit.
    pub fn edit(&self, now: Timestamp) -> Edit {
        let mut fields = fields! {
            field::STATE => self.state, field::SUCCESS => self.success, field::ENDED_AT => now,
            field::HEARTBEAT_AT => now, field::COUNTS => counts(self.counts),
            field::KEEPS_MISSING => self.incomplete.map_or(Value::Null, Value::from),
        };
        let error = self.error.map(|error| Value::from(error.chars().take(ERROR).collect::<String>()));
        let list = |values: Vec<Value>| (!values.is_empty()).then_some(Value::Array(values));
        let optional = [
            (field::ERROR, error),
            (field::HELD_BACK, self.safety_stop.map(SafetyStop::to_value)),
            (field::UNREAD, list(self.unread.iter().map(Unread::to_value).collect())),
            (field::DOUBLES, (self.doubles > 0).then(|| number(self.doubles))),
            (field::MISMATCHES, list(self.mismatches.iter().map(|mismatch| mismatch.to_value()).collect())),
        ];
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        edit(fields)
    }
}

/// The count of one action on one kind of entity, a document of its own: `stats/user__created`.
#[derive(Clone, Copy, Debug)]
pub struct Stat<'a> {
    /// The kind of entity.
    pub entity: &'a str,
    /// What was done.
    pub action: &'a str,
    /// The number of entities.
    pub count: u64,
}

impl Stat<'_> {
    /// The write of a run's.
    pub fn write(&self, run: &DocPath) -> Result<Write> {
        let Stat { entity, action, count } = *self;
        let fields = fields! { field::ENTITY_TYPE => entity, field::ACTION => action, field::COUNT => number(count) };
        Ok(Write::set(run.child("stats", &format!("{entity}__{action}"))?, fields))
    }
}

/// A record that wasn't synced: `entityStatus/user__{providerId}`.
#[derive(Clone, Copy, Debug)]
pub struct EntityStatus<'a> {
    /// The kind of entity.
    pub entity: &'a str,
    /// The provider's ID.
    pub provider_id: &'a str,
    /// The ID of the document here, where that's known.
    pub entity_id: Option<&'a str>,
    /// True when the record couldn't be written, false when it was skipped.
    pub failed: bool,
    /// How often writing the record was tried.
    pub attempts: u32,
    /// Why the record wasn't synced.
    pub why: &'a str,
}

impl EntityStatus<'_> {
    /// The write of a run's.
    pub fn write(&self, run: &DocPath, now: Timestamp) -> Result<Write> {
        let EntityStatus { entity, provider_id, .. } = *self;
        let status = if self.failed { field::FAILED } else { field::SKIPPED };
        let mut fields = fields! {
            field::ENTITY_TYPE => entity, field::PROVIDER_ID => provider_id, field::STATUS => status,
            field::ERROR_MESSAGE => self.why, field::ATTEMPTS => i64::from(self.attempts), field::PROCESSED_AT => now,
        };
        fields.extend(self.entity_id.map(|id| (field::ENTITY_ID.to_owned(), Value::from(id))));
        Ok(Write::set(run.child("entityStatus", &format!("{entity}__{provider_id}"))?, fields))
    }
}

/// Something that happened in a run: `events/unenroll__{providerId}`, `events/batch_skip__{kind}`.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A user left the roster.
    Unenrolled {
        /// The user.
        roar_uid: &'a str,
        /// Their ID at the provider.
        provider_id: &'a str,
    },
    /// Some records of a kind were skipped.
    PassedOver {
        /// The kind.
        kind: &'a str,
        /// The kind of entity.
        entity: &'a str,
        /// The number of unusable records.
        skipped: u64,
        /// The number of records that couldn't be written.
        failed: u64,
    },
}

impl Event<'_> {
    /// The write that stores the event below its run. The document's ID is derived from the event, so that the write is
    /// idempotent: a commit whose answer was lost is planned again.
    pub fn write(&self, run: &DocPath, now: Timestamp) -> Result<Write> {
        let (event_type, of) = match self {
            Event::Unenrolled { provider_id, .. } => ("unenroll", provider_id),
            Event::PassedOver { kind, .. } => ("batch_skip", kind),
        };
        let details = match self {
            Event::Unenrolled { provider_id, .. } => fields! { field::PROVIDER_ID => *provider_id },
            Event::PassedOver { entity, skipped, failed, .. } => fields! {
                field::ENTITY_TYPE => *entity, field::SKIPPED => number(*skipped), field::FAILED => number(*failed),
            },
        };
        let mut fields =
            fields! { field::EVENT_TYPE => event_type, field::TIMESTAMP => now, field::DETAILS => details };
        if let Event::Unenrolled { roar_uid, .. } = self {
            fields.insert(field::USER_ID.to_owned(), Value::from(*roar_uid));
        }
        Ok(Write::set(run.child("events", &format!("{event_type}__{of}"))?, fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::org_lists::OrgType;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn a_run_says_what_it_is_of_and_where_it_stands() {
        let org = OrgKey::new(OrgType::District, "d1");
        let begun = Begun {
            partner: "clever-d1",
            provider: "clever",
            org: &org,
            is_full: true,
            state: "created",
            by: "u1",
            batch: "r1",
        };
        let expected = fields! {
            "partnerId" => "clever-d1", "provider" => "clever", "orgId" => "d1", "orgType" => "district",
            "runType" => "full", "state" => "created", "startedAt" => NOW, "heartbeatAt" => NOW, "success" => false,
            "triggeredBy" => "u1", "batchId" => "r1",
        };
        assert_eq!(begun.fields(NOW), expected);
        let counted =
            [Counted { kind: "users", by_name: [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5), ("f", 6)] }];
        let beat = Heartbeat { state: "fetching", done: 3, total: None, counts: &counted };
        let (fields, mask) = beat.edit(NOW);
        let users = fields! { "a" => 1, "b" => 2, "c" => 3, "d" => 4, "e" => 5, "f" => 6 };
        let expected = fields! {
            "state" => "fetching", "progress" => fields! { "done" => 3 }, "counts" => fields! { "users" => users },
            "heartbeatAt" => NOW,
        };
        assert_eq!((&fields, mask.len()), (&expected, 4));
        let run = Document { path: run_path("r1").unwrap(), fields, create_time: NOW, update_time: NOW };
        assert_eq!((state(&run), heartbeat(&run)), (Some("fetching"), Some(NOW)));
    }

    #[test]
    fn the_end_says_what_there_is_to_say() {
        let long = "x".repeat(2 * ERROR);
        let quiet = Ended {
            state: "done",
            success: true,
            counts: &[],
            incomplete: None,
            error: None,
            safety_stop: None,
            unread: Vec::new(),
            doubles: 0,
            mismatches: Vec::new(),
        };
        let (fields, mask) = quiet.edit(NOW);
        let names: Vec<&String> = fields.keys().collect();
        assert_eq!(names, ["counts", "endedAt", "heartbeatAt", "keepsMissing", "state", "success"]);
        assert_eq!(mask.len(), names.len(), "what an earlier heartbeat said otherwise stays");
        let stop = SafetyStop { kind: "users", reason: "missing", missing: 3, of: 4 };
        let loud = Ended {
            incomplete: Some("short"),
            error: Some(&long),
            safety_stop: Some(stop),
            doubles: 2,
            mismatches: vec![Mismatch { kind: "users", user_type: Some("student"), provider: 9, here: 1 }],
            ..quiet
        };
        let (fields, _) = loud.edit(NOW);
        assert_eq!(fields["error"].as_str().map(str::len), Some(ERROR));
        let stop = fields! { "entityType" => "users", "reason" => "missing", "missing" => 3, "of" => 4 };
        assert_eq!((&fields["heldBack"], &fields["doubles"]), (&Value::Map(stop), &Value::Integer(2)));
        let apart = fields! { "entityType" => "users", "userType" => "student", "provider" => 9, "roar" => 1 };
        assert_eq!(fields["mismatches"], Value::Array(vec![Value::Map(apart)]));
    }

    #[test]
    fn details_have_documents_of_their_own() {
        let run = run_path("r1").unwrap();
        let writes = [
            Stat { entity: "org", action: "created", count: 2 }.write(&run),
            EntityStatus { entity: "user", provider_id: "p", entity_id: None, failed: true, attempts: 2, why: "no" }
                .write(&run, NOW),
            Event::Unenrolled { roar_uid: "u", provider_id: "p" }.write(&run, NOW),
            Event::PassedOver { kind: "users", entity: "user", skipped: 1, failed: 0 }.write(&run, NOW),
        ];
        let paths = writes.map(|write| write.unwrap().path.as_str().to_owned());
        let below = ["stats/org__created", "entityStatus/user__p", "events/unenroll__p", "events/batch_skip__users"];
        assert_eq!(paths, below.map(|path| format!("rosteringRuns/r1/{path}")));
    }
}
