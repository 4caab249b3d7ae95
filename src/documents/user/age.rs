//! A student's date of birth and age (docs/domain/assignments.md#age).

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::store::{Fields, Timestamp, Value, lookup};

/// The day on which a user was born: the date of `studentData.dob` in UTC. `None` when it's absent or no
/// instant.
pub fn date_of_birth(user: &Fields) -> Option<Date> {
    lookup(user, "studentData.dob").and_then(Value::as_timestamp).map(day)
}

/// The day of an instant, in UTC.
pub fn day(instant: Timestamp) -> Date {
    instant.to_zoned(TimeZone::UTC).date()
}

/// Whole calendar months from a birth to a day; a month counts once its day is reached. Negative when
/// the day lies before the birth.
pub fn age_in_months(born: Date, on: Date) -> i64 {
    let months = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month());
    months(on) - months(born) - i64::from(on.day() < born.day())
}

/// Completed calendar years at `now`, in UTC.
///
/// From `studentData.dob`; without it from `birthMonth` (1–12) and `birthYear`, the birthday taken
/// as passed in the month of birth. `None` for anyone but a student, or without birth data.
pub fn age_in_years(user: &Fields, now: Timestamp) -> Option<i64> {
    if lookup(user, "userType").and_then(Value::as_str) != Some("student") {
        return None;
    }
    let today = day(now);
    if let Some(born) = date_of_birth(user) {
        let before_birthday = (today.month(), today.day()) < (born.month(), born.day());
        return Some(i64::from(today.year()) - i64::from(born.year()) - i64::from(before_birthday));
    }
    let number = |name: &str| {
        let value = lookup(user, name).or_else(|| lookup(user, &format!("studentData.{name}")))?;
        value.as_i64()
    };
    let (month, year) = (number("birthMonth")?, number("birthYear")?);
    // Clients write the year, so it may be any number, and subtracting it may overflow.
    i64::from(today.year()).checked_sub(year)?.checked_sub(i64::from(i64::from(today.month()) < month))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn age_counts_completed_years() {
        let user = |dob: &str| fields! { "userType" => "student", "studentData" => fields! { "dob" => at(dob) } };
        let table = [
            ("2015-09-20T00:00:00Z", "2023-09-19T23:59:59Z", 7),
            ("2015-09-20T00:00:00Z", "2023-09-20T00:00:00Z", 8),
            ("2016-02-29T00:00:00Z", "2023-02-28T12:00:00Z", 6),
            ("2016-02-29T00:00:00Z", "2023-03-01T00:00:00Z", 7),
        ];
        for (dob, now, years) in table {
            assert_eq!(age_in_years(&user(dob), at(now)), Some(years), "{dob} at {now}");
        }
    }

    #[test]
    fn months_count_when_their_day_is_reached() {
        let table = [
            // The example of docs/domain/runs.md#what-a-run-shows-of-its-student: the same run, the birth corrected by
            // half a year.
            ("2015-09-20", "2023-09-15", 95),
            ("2015-03-20", "2023-09-15", 101),
            ("2015-09-20", "2015-09-20", 0),
            ("2015-09-20", "2015-10-19", 0),
            ("2015-09-20", "2015-10-20", 1),
            ("2015-12-31", "2016-02-29", 1),
            ("2015-09-20", "2015-09-19", -1),
        ];
        for (born, on, months) in table {
            assert_eq!(age_in_months(born.parse().unwrap(), on.parse().unwrap()), months, "{born} on {on}");
        }
    }

    #[test]
    fn age_from_month_and_year_counts_the_birthday_as_passed_in_its_month() {
        let user = fields! { "userType" => "student", "birthMonth" => 9, "birthYear" => 2015 };
        assert_eq!(age_in_years(&user, at("2023-08-31T00:00:00Z")), Some(7));
        assert_eq!(age_in_years(&user, at("2023-09-01T00:00:00Z")), Some(8));
    }

    #[test]
    fn only_students_with_birth_data_have_an_age() {
        let now = at("2023-09-01T00:00:00Z");
        let educator = fields! { "userType" => "educator", "birthMonth" => 9, "birthYear" => 1980 };
        assert_eq!(age_in_years(&educator, now), None);
        assert_eq!(age_in_years(&fields! { "userType" => "student" }, now), None);
        for year in [i64::MIN, i64::MAX] {
            let odd = fields! { "userType" => "student", "birthMonth" => i64::MAX, "birthYear" => year };
            assert!(age_in_years(&odd, now).is_none_or(|age| age < 0));
        }
    }
}
