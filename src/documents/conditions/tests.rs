use super::*;
use crate::fields;

fn leaf(field: &str, op: &str, value: impl Into<Value>) -> Value {
    Value::Map(fields! { "field" => field, "op" => op, "value" => value.into() })
}

fn composite(op: &str, conditions: Vec<Value>) -> Value {
    Value::Map(fields! { "op" => op, "conditions" => conditions })
}

fn now() -> Timestamp {
    "2024-09-01T12:00:00Z".parse().unwrap()
}

fn holds(condition: &Value, user: &Fields) -> bool {
    Condition::from_value(condition).is_true_of(user, now())
}

fn student(grade: impl Into<Value>) -> Fields {
    fields! {
        "userType" => "student",
        "studentData" => fields! {
            "grade" => grade.into(),
            "dob" => "2016-03-01T00:00:00Z".parse::<Timestamp>().unwrap(),
            "frl_status" => true,
        },
        "schools" => fields! { "current" => Value::strings(["s1"]) },
        "score" => 7,
        "nothing" => Value::Null,
    }
}

#[test]
fn grades_compare_by_their_order_in_every_spelling() {
    let one_to_five = composite(
        "AND",
        vec![
            leaf("studentData.grade", "GREATER_THAN_OR_EQUAL", "1"),
            leaf("studentData.grade", "LESS_THAN_OR_EQUAL", "5"),
        ],
    );
    let table: [(Value, bool); 7] = [
        ("K".into(), false),
        ("3".into(), true),
        ("03".into(), true),
        (3.into(), true),
        (10.into(), false),
        ("10".into(), false),
        (Value::Null, false),
    ];
    for (grade, expected) in table {
        assert_eq!(holds(&one_to_five, &student(grade.clone())), expected, "{grade:?}");
    }
    assert!(!holds(&one_to_five, &fields! { "userType" => "student" }));
    assert!(holds(&leaf("studentData.grade", "EQUAL", "Kindergarten"), &student("k")));
    assert!(!holds(&leaf("studentData.grade", "NOT_EQUAL", "01"), &student(1)));
    // Text that names no grade compares as text.
    assert!(holds(&leaf("studentData.grade", "EQUAL", "sprout"), &student("sprout")));
}

/// Grades compare the same whatever their spelling, in the document and in the condition.
#[test]
fn grades_outside_the_table_are_in_no_order_and_all_others_in_one() {
    let below: &[&str] = &[
        "PreK",
        "Pre-Kindergarten",
        "pre k",
        "PK",
        "Preschool",
        "PR",
        "IT",
        "InfantToddler",
        "TK",
        "Transitional Kindergarten",
    ];
    let kindergarten: &[&str] = &["K", "KG", "kindergarten", "0", "00", "0.0"];
    let third: &[&str] = &["3", "03", "3.0", "3rd", "third", "Third Grade", "Grade 3"];
    let fifth: &[&str] = &["5", "05", "5th", "fifth", "Grade 5", "grade 5"];
    let ninth: &[&str] = &["9", "09", "ninth", "freshman"];
    let after: &[&str] = &["PS", "PG", "PostGraduate", "university", "13", "14"];
    let nowhere: &[&str] = &["UG", "Ungraded", "Other", "honors", "5-6", "2.5", ""];
    // Each case: the condition's comparison and literal, and of which of these values it's true.
    for (op, literal, expected) in [
        ("GREATER_THAN_OR_EQUAL", "6", [false, false, false, false, true, true]),
        ("GREATER_THAN_OR_EQUAL", "sixth", [false, false, false, false, true, true]),
        ("LESS_THAN_OR_EQUAL", "Kindergarten", [true, true, false, false, false, false]),
        ("LESS_THAN", "4", [true, true, true, false, false, false]),
        ("LESS_THAN", "Fourth Grade", [true, true, true, false, false, false]),
        ("GREATER_THAN", "03", [false, false, false, true, true, true]),
        ("EQUAL", "5th", [false, false, false, true, false, false]),
        ("NOT_EQUAL", "Grade 5", [true, true, true, false, true, true]),
    ] {
        let condition = leaf("studentData.grade", op, literal);
        for (grades, expected) in [below, kindergarten, third, fifth, ninth, after].into_iter().zip(expected) {
            for grade in grades {
                assert_eq!(holds(&condition, &student(*grade)), expected, "{grade} {op} {literal}");
            }
        }
        for grade in nowhere {
            assert_eq!(holds(&condition, &student(*grade)), op == "NOT_EQUAL", "{grade:?} {op} {literal}");
        }
    }
    for grade in kindergarten.iter().chain(third) {
        assert!(holds(&leaf("studentData.grade", "GREATER_THAN_OR_EQUAL", "K"), &student(*grade)), "{grade}");
    }
    for (grade, expected) in [(0, false), (5, false), (6, true), (99, true), (-1, false)] {
        assert_eq!(holds(&leaf("studentData.grade", "GREATER_THAN", 5), &student(grade)), expected, "{grade}");
    }
    // A literal that isn't a known grade has no order either, and equals a value with the same spelling.
    for op in ["LESS_THAN", "GREATER_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN_OR_EQUAL"] {
        for grade in ["5", "honors", "K"] {
            assert!(!holds(&leaf("studentData.grade", op, "honors"), &student(grade)), "{grade} {op}");
        }
    }
    assert!(holds(&leaf("studentData.grade", "EQUAL", "Honors"), &student("honors")));
    assert!(holds(&leaf("studentData.grade", "EQUAL", "Ungraded"), &student("un-graded")));
    assert!(!holds(&leaf("studentData.grade", "EQUAL", "Ungraded"), &student("Other")));
}

#[test]
fn comparisons_follow_the_table() {
    let user = student("3");
    let dob = "studentData.dob";
    let table: [(Value, bool); 22] = [
        (leaf("score", "EQUAL", 7), true),
        (leaf("score", "EQUAL", 7.0), true),
        (leaf("score", "EQUAL", "7"), false),
        (leaf("score", "NOT_EQUAL", "7"), true),
        (leaf("score", "LESS_THAN", "10"), true),
        (leaf("score", "GREATER_THAN", "x"), false),
        (leaf("score", "LESS_THAN", f64::NAN), false),
        (leaf("missing", "EQUAL", 1), false),
        (leaf("missing", "NOT_EQUAL", 1), true),
        (leaf("nothing", "NOT_EQUAL", 1), true),
        (leaf("missing", "LESS_THAN", 1), false),
        (leaf("userType", "LESS_THAN", "teacher"), true),
        (leaf("userType", "GREATER_THAN", "teacher"), false),
        (leaf("studentData.frl_status", "EQUAL", true), true),
        (leaf("studentData.frl_status", "GREATER_THAN", false), false),
        (leaf(dob, "LESS_THAN", "2016-03-02"), true),
        (leaf(dob, "GREATER_THAN_OR_EQUAL", "2016-03-01T00:00:00Z"), true),
        (leaf(dob, "EQUAL", "2016-03-01T00:00:00Z"), false),
        (leaf("schools.current", "EQUAL", "s1"), false),
        (leaf("schools.current", "NOT_EQUAL", "s1"), true),
        (leaf("age", "EQUAL", 8), true),
        (leaf("age", "LESS_THAN", "9"), true),
    ];
    for (condition, expected) in table {
        assert_eq!(holds(&condition, &user), expected, "{condition:?}");
    }
}

#[test]
fn nobody_but_a_student_has_an_age() {
    let educator = fields! { "userType" => "educator" };
    for op in ["LESS_THAN", "NOT_EQUAL", "EQUAL", "GREATER_THAN"] {
        assert!(!holds(&leaf("age", op, 7), &educator), "{op}");
    }
}

#[test]
fn composites_and_what_is_no_condition() {
    let user = student("3");
    let table = [
        (Value::Boolean(true), true),
        (Value::Boolean(false), false),
        (Value::Null, false),
        (Value::empty_map(), false),
        (composite("AND", vec![]), true),
        (composite("OR", vec![]), false),
        (composite("XOR", vec![Value::Boolean(true)]), false),
        (composite("OR", vec![Value::Null, Value::Boolean(true)]), true),
        (composite("AND", vec![Value::Null, Value::Boolean(true)]), false),
        (leaf("score", "LIKE", 7), false),
        (Value::Map(fields! { "op" => "AND" }), false),
    ];
    for (condition, expected) in table {
        assert_eq!(holds(&condition, &user), expected, "{condition:?}");
    }
}

fn nested(depth: usize) -> Value {
    (1..depth).fold(Value::Boolean(true), |inner, _| composite("AND", vec![inner]))
}

#[test]
fn depth_is_bounded() {
    assert!(normalise(&nested(MAX_DEPTH), "c").is_ok());
    assert!(normalise(&nested(MAX_DEPTH + 1), "c").unwrap_err().contains("32 deep"));
    assert!(!holds(&nested(200), &student("3")));
}

#[test]
fn the_alternate_form_is_brought_to_the_stored_one() {
    let sent = Value::Map(fields! { "AND" => vec![
        Value::Map(fields! { "field" => "age", "operator" => ">=", "value" => 6 }),
        Value::Map(fields! { "OR" => vec![Value::Map(fields! { "type" => "const", "value" => true })] }),
    ]});
    let stored =
        composite("AND", vec![leaf("age", "GREATER_THAN_OR_EQUAL", 6), composite("OR", vec![Value::Boolean(true)])]);
    assert_eq!(normalise(&sent, "c"), Ok(stored));
    let never = normalise(&Value::Map(fields! { "type" => "const", "value" => false }), "c").unwrap();
    assert_eq!(Condition::from_value(&never), Condition::Any(vec![]));
}

#[test]
fn null_in_a_condition_is_as_good_as_absent() {
    let nulls = Value::Map(fields! {
        "AND" => Value::Null, "op" => Value::Null, "operator" => "<", "field" => "score", "value" => 1,
    });
    let stored = Value::Map(fields! { "AND" => Value::Null, "op" => "LESS_THAN", "field" => "score", "value" => 1 });
    assert_eq!(normalise(&nulls, "c"), Ok(stored));
}

/// The dashboard sends what is stored when an administration is edited.
#[test]
fn what_is_stored_can_be_sent_again() {
    let both = Value::Map(fields! {
        "type" => "const", "value" => true, "AND" => vec![leaf("score", "EQUAL", 1)],
    });
    let stored = normalise(&both, "c").unwrap();
    assert!(!holds(&stored, &student("3")));
    assert_eq!(normalise(&stored, "c"), Ok(stored));
}

#[test]
fn conditions_keep_the_ids_that_the_form_gives_them() {
    let sent = Value::Map(fields! { "id" => 3, "field" => "age", "op" => "EQUAL", "value" => "7" });
    assert_eq!(normalise(&sent, "c"), Ok(sent));
}

#[test]
fn malformed_conditions_are_refused_by_place() {
    let table: [(Value, &str); 12] = [
        (Value::Boolean(false), "c must be true or a condition"),
        (Value::from("x"), "c must be true or a condition"),
        (Value::empty_map(), "c has no op"),
        (Value::Map(fields! { "op" => 1 }), "c.op must be text"),
        (leaf("age", "LIKE", 1), "c.op is not an operator"),
        (leaf("age", "<", 1), "c.op is not an operator"),
        (Value::Map(fields! { "op" => "EQUAL", "value" => 1 }), "c has no field"),
        (leaf(" ", "EQUAL", 1), "c.field must be the path of a field"),
        (Value::Map(fields! { "op" => "EQUAL", "field" => "age" }), "c has no value"),
        (leaf("age", "EQUAL", Value::Null), "c has no value"),
        (leaf("age", "EQUAL", vec![]), "c.value must be a boolean, a number, text or a date"),
        (composite("OR", vec![Value::Boolean(true), leaf("age", "LIKE", 1)]), "c.conditions[1].op is not an operator"),
    ];
    for (sent, error) in table {
        assert_eq!(normalise(&sent, "c"), Err(error.to_owned()), "{sent:?}");
    }
    assert_eq!(normalise(&Value::Map(fields! { "op" => "OR" }), "c"), Err("c has no conditions".to_owned()));
}

#[test]
fn instants_need_an_offset_unless_they_are_dates() {
    assert!(parse_instant("2024-09-01T12:00:00.000Z").is_some());
    assert_eq!(parse_instant("2024-09-01"), "2024-09-01T00:00:00Z".parse().ok());
    for text in ["2024-09-01T12:00:00", "01/31/2001", "", "soon"] {
        assert_eq!(parse_instant(text), None, "{text}");
    }
}
