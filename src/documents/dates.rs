//! Reads the dates on which an administration opens and closes, in each form in which clients write them. Pure.
//!
//! Callers of the callable send ISO 8601 texts; documents that clients write have timestamps, and now and then a text, a
//! number of milliseconds, or a timestamp in its JSON form. A date without a time means the whole day: an
//! administration from the 10th to the 10th is open for one day.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::store::{FIRST_INSTANT, Timestamp, Value};

/// Which end of a day a date without a time stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The first instant of the day.
    Begins,
    /// The last millisecond of the day.
    Ends,
}

/// Reads a text: an instant, or a day, or, where `zone` is given, a date and a time in this zone. Days are those of the
/// zone, or of UTC without a zone.
pub fn parse(text: &str, edge: Edge, zone: Option<&TimeZone>) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant).filter(is_storable);
    }
    // Only a text of ten characters is a day: the parser of days also accepts a date followed by a time, and drops the
    // time.
    let instant = match text.len() == 10 {
        true => day(text.parse().ok()?, edge, zone.unwrap_or(&TimeZone::UTC))?,
        false => text.parse::<DateTime>().ok()?.to_zoned(zone?.clone()).ok()?.timestamp(),
    };
    Some(instant).filter(is_storable)
}

fn day(date: Date, edge: Edge, zone: &TimeZone) -> Option<Timestamp> {
    // Where clocks are put forward at midnight, a day begins later.
    let begins = |date: Date| Some(date.to_zoned(zone.clone()).ok()?.timestamp());
    match edge {
        Edge::Begins => begins(date),
        Edge::Ends => Some(begins(date.tomorrow().ok()?)? - jiff::SignedDuration::from_millis(1)),
    }
}

fn is_storable(instant: &Timestamp) -> bool {
    *instant >= FIRST_INSTANT
}

/// The smallest number that is read as milliseconds since 1970, JavaScript's count; smaller numbers, from [`SECONDS`]
/// on, are read as seconds. The ranges can't be confused for dates after 1973.
const MILLISECONDS: f64 = 1e11;
const SECONDS: f64 = 1e8;

/// Reads a document's value as a date. `None` for a value that isn't a date.
pub fn read(value: &Value, edge: Edge) -> Option<Timestamp> {
    match value {
        Value::Timestamp(instant) => Some(*instant),
        Value::String(text) => parse(text, edge, None),
        Value::Integer(number) => of_number(*number as f64),
        Value::Double(number) => of_number(*number),
        // A timestamp in the JSON form of the client's library or of the server's.
        Value::Map(fields) => {
            let part = |names: [&str; 2]| names.into_iter().find_map(|name| fields.get(name)?.as_i64());
            let seconds = part(["seconds", "_seconds"])?;
            let nanoseconds = i32::try_from(part(["nanoseconds", "_nanoseconds"]).unwrap_or(0)).ok()?;
            Timestamp::new(seconds, nanoseconds).ok().filter(is_storable)
        }
        _ => None,
    }
}

fn of_number(number: f64) -> Option<Timestamp> {
    // Integers of this size are exact in a double; fractions of a millisecond are dropped.
    let milliseconds = match number {
        number if (MILLISECONDS..1e15).contains(&number) => number,
        number if (SECONDS..MILLISECONDS).contains(&number) => number * 1000.0,
        _ => return None,
    };
    Timestamp::from_millisecond(milliseconds as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_without_a_time_is_all_of_that_day() {
        let zone = |name: &str| TimeZone::get(name).unwrap();
        // Each case: the text, the zone, the instant at which the date begins, and the one at which the date ends.
        for (text, name, begins, ends) in [
            ("2026-12-10", None, "2026-12-10T00:00:00Z", "2026-12-10T23:59:59.999Z"),
            (" 2026-12-10 ", None, "2026-12-10T00:00:00Z", "2026-12-10T23:59:59.999Z"),
            ("2026-12-10", Some("America/Los_Angeles"), "2026-12-10T08:00:00Z", "2026-12-11T07:59:59.999Z"),
            ("2026-12-10", Some("Europe/Berlin"), "2026-12-09T23:00:00Z", "2026-12-10T22:59:59.999Z"),
            ("2026-12-10", Some("Asia/Kolkata"), "2026-12-09T18:30:00Z", "2026-12-10T18:29:59.999Z"),
            // Days of 23 and of 25 hours, and one that begins at one o'clock.
            ("2026-03-08", Some("America/New_York"), "2026-03-08T05:00:00Z", "2026-03-09T03:59:59.999Z"),
            ("2026-11-01", Some("America/New_York"), "2026-11-01T04:00:00Z", "2026-11-02T04:59:59.999Z"),
            ("2018-11-04", Some("America/Sao_Paulo"), "2018-11-04T03:00:00Z", "2018-11-05T01:59:59.999Z"),
            // An instant stays the same, whatever the zone.
            ("2026-12-10T08:00:00Z", Some("Europe/Berlin"), "2026-12-10T08:00:00Z", "2026-12-10T08:00:00Z"),
            ("2026-12-10T08:00:00-08:00", None, "2026-12-10T16:00:00Z", "2026-12-10T16:00:00Z"),
            // A time of the zone that is named.
            ("2026-12-10T08:00", Some("Europe/Berlin"), "2026-12-10T07:00:00Z", "2026-12-10T07:00:00Z"),
        ] {
            let zone = name.map(zone);
            let read = |edge| parse(text, edge, zone.as_ref());
            assert_eq!((read(Edge::Begins), read(Edge::Ends)), (Some(at(begins)), Some(at(ends))), "{text} {name:?}");
        }
        for text in
            ["2026-12-10T08:00", "2026-02-30", "10.12.2026", "12/10/2026", "soon", "", "-000001-01-01T00:00:00Z"]
        {
            assert_eq!(parse(text, Edge::Ends, None), None, "{text}");
        }
    }

    #[test]
    fn documents_say_when_in_many_ways() {
        let expected = at("2026-12-10T08:00:00Z");
        let milliseconds = expected.as_millisecond();
        for value in [
            Value::Timestamp(expected),
            Value::from("2026-12-10T08:00:00.000Z"),
            Value::from("2026-12-10T09:00:00+01:00"),
            Value::Integer(milliseconds),
            Value::Double(milliseconds as f64),
            Value::Integer(milliseconds / 1000),
            Value::Map(fields! { "seconds" => milliseconds / 1000, "nanoseconds" => 0 }),
            Value::Map(fields! { "_seconds" => milliseconds / 1000, "_nanoseconds" => 0 }),
        ] {
            assert_eq!(read(&value, Edge::Ends), Some(expected), "{value:?}");
        }
        assert_eq!(read(&"2026-12-10".into(), Edge::Ends), Some(at("2026-12-10T23:59:59.999Z")));
        assert_eq!(read(&"2026-12-10".into(), Edge::Begins), Some(at("2026-12-10T00:00:00Z")));
        for value in [
            Value::Null,
            Value::Boolean(true),
            Value::Integer(7),
            Value::Integer(i64::MAX),
            Value::Double(f64::NAN),
            Value::Double(f64::INFINITY),
            Value::from("soon"),
            Value::empty_map(),
            Value::Array(vec![Value::Integer(milliseconds)]),
        ] {
            assert_eq!(read(&value, Edge::Ends), None, "{value:?}");
        }
    }
}
