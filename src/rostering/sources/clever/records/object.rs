//! An object of which fields are taken, tolerantly.

use std::cell::RefCell;
use std::rc::Rc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::documents::user::grade::{self, Grade};
use crate::rostering::model::Unread;
use crate::store::FIRST_INSTANT;

/// An object of which fields are taken. What is there and can't be read is noted for the whole record.
pub(super) struct Object {
    fields: Map<String, Value>,
    unread: Rc<RefCell<Vec<Unread>>>,
}

/// True for what says nothing: null, and text without a letter.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

impl Object {
    pub(super) fn new(fields: Map<String, Value>) -> Object {
        Object { fields, unread: Rc::default() }
    }

    /// What was passed over so far, here and within.
    pub(super) fn unread(&self) -> Vec<Unread> {
        self.unread.take()
    }

    fn within(&self, fields: Map<String, Value>) -> Object {
        Object { fields, unread: self.unread.clone() }
    }

    /// A value that says something.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !is_nothing(value))
    }

    /// True when a field says something, readable or not.
    pub(super) fn is_said(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| !is_nothing(value))
    }

    fn pass_over(&self, field: &'static str) {
        self.unread.borrow_mut().push(Unread { field, spelling: None });
    }

    /// What `read` makes of a text; noted where it makes nothing of one that's there.
    fn read<T>(&mut self, name: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        let value = read(&text);
        if value.is_none() {
            self.pass_over(name);
        }
        value
    }

    /// A text, without white space around it. Numbers are texts too: some districts' numbers come so.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) if text.trim().len() == text.len() => Some(text),
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            _ => {
                self.pass_over(name);
                None
            }
        }
    }

    /// A text that's one of those, in whatever case.
    pub(super) fn one_of(&mut self, name: &'static str, known: &[&str]) -> Option<String> {
        self.read(name, |text| {
            known.iter().find(|known| known.eq_ignore_ascii_case(text)).map(|text| (*text).to_owned())
        })
    }

    /// A grade, as it's spelt. A spelling that nobody knows is noted, and kept.
    pub(super) fn grade(&mut self, name: &'static str) -> Option<String> {
        let text = self.text(name)?;
        if grade::read(&text) == Grade::Unknown {
            let spelling = text.chars().take(LONGEST_SPELLING).collect();
            self.unread.borrow_mut().push(Unread { field: name, spelling: Some(spelling) });
        }
        Some(text)
    }

    /// Yes or no: documented as `Y` and `N`, and not checked of every field.
    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        if let Some(Value::Bool(flag)) = self.fields.get(name) {
            let flag = *flag;
            self.fields.remove(name);
            return Some(flag);
        }
        self.read(name, |text| match text.to_ascii_lowercase().as_str() {
            "y" | "yes" | "true" | "t" | "1" => Some(true),
            "n" | "no" | "false" | "f" | "0" => Some(false),
            _ => None,
        })
    }

    /// A date: M/D/YYYY as documented for births, or YYYY-MM-DD as for all others; of either with a time behind it, the
    /// date as it's written.
    pub(super) fn date(&mut self, name: &'static str) -> Option<Date> {
        self.read(name, date)
    }

    /// A day or a point in time: what the schema calls `datetime` comes as either.
    pub(super) fn when(&mut self, name: &'static str) -> Option<When> {
        self.read(name, When::parse)
    }

    /// When something was made or changed last. Nobody uses it, so nobody need know that it can't be read.
    pub(super) fn stamp(&mut self, name: &'static str) -> Option<Timestamp> {
        match self.take(name)? {
            Value::String(text) => instant(&text),
            _ => None,
        }
    }

    /// The ID of one other thing. Fails when it's there and can't be one: taken for none, it would take somebody out of
    /// their school.
    pub(super) fn id(&mut self, name: &'static str) -> Result<Option<String>, &'static str> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(name),
        }
    }

    /// Texts of no consequence, each once, in order: what can't be read is left out.
    pub(super) fn texts(&mut self, name: &'static str) -> Vec<String> {
        let items = match self.take(name) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.pass_over(name);
                return Vec::new();
            }
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items.into_iter().filter(|item| !is_nothing(item)) {
            match item {
                Value::String(text) => texts.push(text.trim().to_owned()),
                Value::Number(number) => texts.push(number.to_string()),
                _ => self.pass_over(name),
            }
        }
        texts.sort_unstable();
        texts.dedup();
        texts
    }

    /// An object of no consequence: something else is none.
    pub(super) fn detail(&mut self, name: &'static str) -> Option<Object> {
        match self.take(name)? {
            Value::Object(fields) => Some(self.within(fields)),
            _ => {
                self.pass_over(name);
                None
            }
        }
    }

    /// IDs, each once, in order: Clever promises none. Fails when it's no list of them.
    pub(super) fn ids(&mut self, name: &'static str) -> Result<Vec<String>, &'static str> {
        let items = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(name),
        };
        let mut ids = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Value::String(id) if id.trim().is_empty() => self.pass_over(name),
                Value::String(id) if id.trim().len() == id.len() => ids.push(id),
                Value::String(id) => ids.push(id.trim().to_owned()),
                // Without its ID, nobody can say who's missing from the list: the list as a whole can't be read.
                _ => return Err(name),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// An object; `None` when it's null, absent or an empty text, as some systems say it. Fails when it's something else.
    pub(super) fn object(&mut self, name: &'static str) -> Result<Option<Object>, &'static str> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(self.within(fields))),
            Some(_) => Err(name),
        }
    }

    /// Objects; none when it's null or absent. Fails when it's no list of objects.
    pub(super) fn objects(&mut self, name: &'static str) -> Result<Vec<Object>, &'static str> {
        let items = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(name),
        };
        let object = |item| match item {
            Value::Object(fields) => Ok(self.within(fields)),
            _ => Err(name),
        };
        items.into_iter().map(object).collect()
    }
}

/// The longest spelling of a grade that a report names.
const LONGEST_SPELLING: usize = 40;

/// A day, or a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// A day, in a zone that nobody tells.
    Day(Date),
    /// A point in time.
    Instant(Timestamp),
    /// Something else was there: nobody knows when.
    Unknown,
}

impl When {
    fn parse(text: &str) -> Option<When> {
        instant(text).map(When::Instant).or_else(|| date(text).map(When::Day))
    }

    /// As documents keep it: of a day, its beginning in UTC.
    pub fn stored(self) -> Option<Timestamp> {
        match self {
            When::Day(day) => day.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp()),
            When::Instant(instant) => Some(instant),
            When::Unknown => None,
        }
    }

    /// The earliest point in time that may be meant by the beginning of it; `None` for one that nobody knows.
    pub fn earliest(self) -> Option<Timestamp> {
        match self {
            // Nowhere does a day begin earlier than 14 hours before it does in UTC.
            When::Day(_) => self.stored()?.checked_sub(SignedDuration::from_hours(14)).ok(),
            other => other.stored(),
        }
    }

    /// The latest point in time that may be meant by the end of it; `None` for one that nobody knows.
    pub fn latest(self) -> Option<Timestamp> {
        match self {
            // And nowhere does it end later than 12 hours after it does in UTC.
            When::Day(_) => self.stored()?.checked_add(SignedDuration::from_hours(24 + 12)).ok(),
            other => other.stored(),
        }
    }
}

/// As Clever writes it: a day as a day, a point in time with milliseconds.
impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            When::Day(day) => serializer.collect_str(day),
            When::Instant(instant) => serializer.collect_str(instant),
            When::Unknown => serializer.serialize_str("unknown"),
        }
    }
}

/// A point in time, in ISO 8601 with a zone.
fn instant(text: &str) -> Option<Timestamp> {
    // Before the year 1, nothing can be stored.
    text.trim().parse().ok().filter(|instant| *instant >= FIRST_INSTANT)
}

/// The date that a text begins with, as it's written, whatever time is behind it.
fn date(text: &str) -> Option<Date> {
    let text = text.trim();
    let (day, time) = match text.find(|between: char| between == 'T' || between.is_whitespace()) {
        Some(at) => (&text[..at], text[at..].trim_start_matches('T').trim()),
        None => (text, ""),
    };
    let is_time = time.is_empty() || (time.starts_with(|first: char| first.is_ascii_digit()) && time.contains(':'));
    let iso = |day: &str| (day.len() == 10).then(|| day.parse::<Date>().ok())?.filter(|date| date.year() > 0);
    us_date(day).or_else(|| iso(day)).filter(|_| is_time)
}

/// Reads M/D/YYYY; months and days have one digit or two.
pub(super) fn us_date(text: &str) -> Option<Date> {
    let mut parts = text.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_date = (1..=2).contains(&month.len())
        && (1..=2).contains(&day.len())
        && year.len() == 4
        && parts.next().is_none()
        && [month, day, year].into_iter().all(is_number);
    if !is_date {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok().filter(|date| date.year() > 0)
}

/// Writes M/D/YYYY.
pub(super) fn write_us_date<S: Serializer>(date: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
    match date {
        Some(date) => serializer.collect_str(&format_args!("{}/{}/{:04}", date.month(), date.day(), date.year())),
        None => serializer.serialize_none(),
    }
}

/// Writes `Y` or `N`.
pub(super) fn write_flag<S: Serializer>(flag: &Option<bool>, serializer: S) -> Result<S::Ok, S::Error> {
    match flag {
        Some(true) => serializer.serialize_str("Y"),
        Some(false) => serializer.serialize_str("N"),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_every_form_that_is_documented_or_seen() {
        let expected = Date::new(2016, 2, 9).unwrap();
        for text in [
            "2/9/2016",
            "02/09/2016",
            "2016-02-09",
            " 2016-02-09 ",
            "2016-02-09T00:00:00.000Z",
            "2016-02-09T23:59:59-08:00",
            "2016-02-09 00:00:00",
            "2/9/2016 12:00:00 AM",
        ] {
            assert_eq!(date(text), Some(expected), "{text}");
        }
        for text in [
            "9.2.2016",
            "2016-2-9",
            "2/9/16",
            "2016-02-30",
            "2/30/2016",
            "2016",
            "soon",
            "2016-02-09 or so",
            "0000-01-01",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_is_as_wide_as_it_may_be_meant() {
        let day = When::parse("2026-11-15").unwrap();
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert_eq!(day.stored(), at("2026-11-15T00:00:00Z"));
        assert_eq!(day.earliest(), at("2026-11-14T10:00:00Z"));
        assert_eq!(day.latest(), at("2026-11-16T12:00:00Z"));
        let instant = When::parse("2026-11-15T08:00:00.000Z").unwrap();
        for when in [instant.stored(), instant.earliest(), instant.latest()] {
            assert_eq!(when, at("2026-11-15T08:00:00Z"));
        }
        // Without a zone, nobody knows which point in time it is; the day is known.
        assert_eq!(When::parse("2026-11-15T08:00:00"), Some(day));
        assert_eq!(When::parse("soon"), None);
    }
}
