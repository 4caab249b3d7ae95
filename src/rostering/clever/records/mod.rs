//! What Clever's records say, as far as ROAR uses it (docs/domain/wire-formats.md#records-at-clever).
//!
//! Reading is tolerant: fields that aren't known don't matter, and a value that is null, absent or empty is `None`. One
//! that is there and can't be read is `None`, too, and noted ([`Unread`]): it's unknown, not taken away. But what says
//! where somebody belongs makes its record [`Unreadable`] when it can't be read: taken for empty, it would unenrol them.
//! No record shows more of itself in logs than its ID.

mod object;
mod org;
mod person;

use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

pub use self::org::{Contact as DistrictContact, DistrictInfo, DistrictState, Location, Principal, School, Section};
pub use self::person::{
    Contact, Credentials, DistrictAdmin, Name, Relationship, Role, Roles, Staff, Student, Teacher, User,
};

pub use self::object::{Unread, When};

use self::object::Object;
use super::CleverError;
use super::link::Link;
use super::request::unreadable;
use crate::digest::fingerprint;

/// Fields that change every night, though nothing has.
const RESTLESS: [&str; 3] = ["created", "last_modified", "last_sync"];

/// Clever's names of those fields of a user that ROAR calls otherwise.
pub(super) mod names {
    pub const FIRST: &str = "first";
    pub const MIDDLE: &str = "middle";
    pub const LAST: &str = "last";
    pub const EMAIL: &str = "email";
    pub const CREDENTIALS: &str = "credentials";
    pub const DISTRICT_USERNAME: &str = "district_username";
}

/// A record that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("record {}: {what} can't be read", id.as_deref().unwrap_or("without an ID"))]
pub struct Unreadable {
    /// Its ID, where that can be read.
    pub id: Option<String>,
    /// The field that can't.
    pub what: &'static str,
}

/// A record of Clever's.
pub trait Record: Serialize + Send + Sized + 'static {
    /// The list that has it.
    const LIST: &'static str;

    /// Reads the fields. Fails with the name of the one that can't be read.
    fn read(fields: &mut Fields) -> Result<Self, &'static str>;

    /// Its ID, 24 hexadecimal digits: what is always there, and stays.
    fn id(&self) -> &str;

    /// What ROAR uses of it, as JSON in Clever's own form. What isn't there is left out.
    fn to_json(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        strip(&mut value);
        value
    }

    /// 32 hexadecimal digits that change when a field changes that ROAR uses, and else don't: neither with the order
    /// of fields and lists, nor with fields that aren't known, nor with times of changes.
    fn fingerprint(&self) -> String {
        let mut value = self.to_json();
        if let Value::Object(fields) = &mut value {
            fields.retain(|name, _| !RESTLESS.contains(&name.as_str()));
        }
        // Keys are sorted in a `Map`.
        fingerprint(format!("{}\n{value}", Self::LIST))
    }
}

/// The fields of a record that is being read.
pub struct Fields(Object);

/// Takes out what isn't there.
fn strip(value: &mut Value) {
    let is_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(strip);
            fields.retain(|_, value| !is_nothing(value));
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// An answer with one record, or one element of a list.
#[derive(Deserialize)]
struct Single<D> {
    data: D,
}

/// An answer with a list.
#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    /// Without them, nobody could tell whether that's all.
    links: Vec<Link>,
    /// Not documented, so it may be anything.
    #[serde(default, borrow)]
    count: Option<&'a RawValue>,
}

/// The records of a page, each read when it's asked for: all of them at once take several times the page's size.
#[derive(Clone)]
pub struct Records<T> {
    /// Parts of the page, each with one record in it.
    elements: Vec<Bytes>,
    records: PhantomData<fn() -> T>,
}

impl<T: Record> Records<T> {
    /// How many there are, readable or not.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Reads one after the other. One that can't be read is there nevertheless: nobody may take it for gone.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Result<T, Unreadable>> {
        // Every element is wrapped once more.
        self.noting().map(|read| read.map(|(record, _)| record))
    }

    /// As [`Records::iter`], with what was passed over in each.
    pub fn noting(&self) -> impl DoubleEndedIterator<Item = Result<(T, Vec<Unread>), Unreadable>> {
        self.elements.iter().map(|element| match serde_json::from_slice::<Single<Value>>(element) {
            Ok(Single { data }) => record_noting(data),
            Err(_) => Err(Unreadable { id: None, what: "data" }),
        })
    }

    /// Reads all: the records, and those that can't be read.
    pub fn read(&self) -> (Vec<T>, Vec<Unreadable>) {
        let (records, unreadable): (Vec<_>, Vec<_>) = self.iter().partition(Result::is_ok);
        (records.into_iter().flatten().collect(), unreadable.into_iter().filter_map(Result::err).collect())
    }
}

impl<T> std::fmt::Debug for Records<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Records({})", self.elements.len())
    }
}

/// A list, read.
pub(crate) struct List<T> {
    pub(crate) records: Records<T>,
    /// How many there are in all.
    pub(crate) total: Option<u64>,
    /// The address of the next page.
    pub(crate) next: Option<String>,
}

/// Reads an answer with one record, and tells what of it was passed over.
pub(crate) fn single<T: Record>(body: &Bytes) -> Result<(T, Vec<Unread>), CleverError> {
    let Single { data } = parse::<Single<Value>>(body)?;
    record_noting(data).map_err(|_| CleverError::Malformed("the record can't be read"))
}

/// Reads an answer with one record, and keeps it as it is, too. What of it was passed over comes between.
pub(super) fn single_with_raw<T: Record>(body: &Bytes) -> Result<(T, Vec<Unread>, Value), CleverError> {
    let Single { data } = parse::<Single<Value>>(body)?;
    let read = record_noting(data.clone()).map_err(|_| CleverError::Malformed("the record can't be read"))?;
    Ok((read.0, read.1, data))
}

/// Reads an answer with a list, but its records: these are read when they're asked for.
pub(crate) fn list<T: Record>(body: &Bytes) -> Result<List<T>, CleverError> {
    let listed: Listed<'_> = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let total = listed.count.and_then(|count| whole_number(count.get()));
    let elements = listed.data.into_iter().map(|element| body.slice_ref(element.get().as_bytes())).collect();
    let next = listed.links.into_iter().find(|link| link.rel == "next");
    let next = next.map(|link| link.uri).filter(|uri| !uri.is_empty());
    Ok(List { records: Records { elements, records: PhantomData }, total, next })
}

/// A count: it isn't documented, so it may be text, or have a fraction of nothing.
fn whole_number(json: &str) -> Option<u64> {
    let number: f64 = json.trim_matches('"').trim().parse().ok()?;
    (number >= 0.0 && number.fract() == 0.0 && number < u64::MAX as f64).then_some(number as u64)
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, CleverError> {
    super::request::json(body)
}

/// Reads one record.
pub fn record<T: Record>(value: Value) -> Result<T, Unreadable> {
    record_noting(value).map(|(record, _)| record)
}

/// Reads one record, and tells what of it was passed over.
pub fn record_noting<T: Record>(value: Value) -> Result<(T, Vec<Unread>), Unreadable> {
    let Value::Object(fields) = value else { return Err(Unreadable { id: None, what: "data" }) };
    let id = fields.get("id").and_then(Value::as_str).map(str::trim).filter(|id| is_id(id)).map(str::to_owned);
    let Some(id) = id else { return Err(Unreadable { id: None, what: "id" }) };
    let mut fields = Fields(Object::new(fields));
    let record = T::read(&mut fields).map_err(|what| Unreadable { id: Some(id), what })?;
    Ok((record, fields.0.unread()))
}

/// True for what can be an ID, of a document as well, and nobody's name.
fn is_id(text: &str) -> bool {
    let is_reserved = text.starts_with("__") && text.ends_with("__");
    (1..=64).contains(&text.len())
        && !is_reserved
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Shows nothing but the ID.
macro_rules! show_the_id {
    ($($record:ident),*) => { $(
        impl std::fmt::Debug for $record {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "{}({})", stringify!($record), self.id)
            }
        }
    )* };
}

/// Shows nothing.
macro_rules! show_nothing {
    ($($record:ident),*) => { $(
        impl std::fmt::Debug for $record {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(concat!(stringify!($record), "(…)"))
            }
        }
    )* };
}

use {show_nothing, show_the_id};
