//! An object of which fields are taken, tolerantly.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serializer;
use serde_json::{Map, Value};

use crate::store::FIRST_INSTANT;

/// An object of which fields are taken.
pub(super) struct Object(Map<String, Value>);

impl Object {
    pub(super) fn new(fields: Map<String, Value>) -> Object {
        Object(fields)
    }

    /// A text, without white space around it. Numbers are texts too: some districts' numbers come so.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name)? {
            Value::String(text) => match text.trim() {
                "" => None,
                trimmed if trimmed.len() == text.len() => Some(text),
                trimmed => Some(trimmed.to_owned()),
            },
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A text that's one of those.
    pub(super) fn one_of(&mut self, name: &str, known: &[&str]) -> Option<String> {
        self.text(name).filter(|text| known.contains(&text.as_str()))
    }

    /// `Y` or `N`.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.text(name)?.as_str() {
            "Y" => Some(true),
            "N" => Some(false),
            _ => None,
        }
    }

    /// A date as M/D/YYYY.
    pub(super) fn us_date(&mut self, name: &str) -> Option<Date> {
        us_date(&self.text(name)?)
    }

    /// A point in time, in ISO 8601 with a zone.
    pub(super) fn time(&mut self, name: &str) -> Option<Timestamp> {
        // Before the year 1, nothing can be stored.
        self.text(name)?.parse().ok().filter(|instant| *instant >= FIRST_INSTANT)
    }

    /// IDs, each once, in order: Clever promises none. Fails when it's no list of texts.
    pub(super) fn ids(&mut self, name: &'static str) -> Result<Vec<String>, &'static str> {
        let items = match self.0.remove(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(name),
        };
        let mut ids = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Value::String(id) if id.is_empty() => {}
                Value::String(id) => ids.push(id),
                Value::Null => {}
                _ => return Err(name),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// An object; `None` when it's null or absent. Fails when it's something else.
    pub(super) fn object(&mut self, name: &'static str) -> Result<Option<Object>, &'static str> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Object(fields))),
            Some(_) => Err(name),
        }
    }

    /// Objects; none when it's null or absent. Fails when it's no list of objects.
    pub(super) fn objects(&mut self, name: &'static str) -> Result<Vec<Object>, &'static str> {
        let items = match self.0.remove(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(name),
        };
        let object = |item| match item {
            Value::Object(fields) => Ok(Object(fields)),
            _ => Err(name),
        };
        items.into_iter().map(object).collect()
    }
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
