//! A student's age in completed years (org-hierarchy §4).

use jiff::tz::TimeZone;

use crate::store::{Fields, Timestamp, Value, lookup};

/// Completed calendar years at `now`, in UTC.
///
/// From `studentData.dob`; without it from `birthMonth` (1–12) and `birthYear`, the birthday taken
/// as passed in the month of birth. `None` for anyone but a student, or without birth data.
pub fn age_in_years(user: &Fields, now: Timestamp) -> Option<i64> {
    if lookup(user, "userType").and_then(Value::as_str) != Some("student") {
        return None;
    }
    let today = now.to_zoned(TimeZone::UTC).date();
    if let Some(born) = lookup(user, "studentData.dob").and_then(Value::as_timestamp) {
        let born = born.to_zoned(TimeZone::UTC).date();
        let before_birthday = (today.month(), today.day()) < (born.month(), born.day());
        return Some(i64::from(today.year()) - i64::from(born.year()) - i64::from(before_birthday));
    }
    let number = |name: &str| {
        let value = lookup(user, name).or_else(|| lookup(user, &format!("studentData.{name}")))?;
        value.as_i64()
    };
    let (month, year) = (number("birthMonth")?, number("birthYear")?);
    Some(i64::from(today.year()) - year - i64::from(i64::from(today.month()) < month))
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
    }
}
