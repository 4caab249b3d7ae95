//! Reads what was sent into a type. Null is the same as absent: of a struct, every field that is declared is read, in the
//! order of declaration, from null where nothing was sent. So a field that must be there says so in its own words, and
//! `Option` is what may be left out. (`serde(default)` and aliases of fields have no place in such types.)

use serde::de::value::{BorrowedStrDeserializer, StringDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Map, Value as Json};

use super::wrong::{Wrong, one_of};
use crate::FunctionError;

/// Reads a request. INVALID_ARGUMENT with a message that names the field.
pub fn read<T: DeserializeOwned>(sent: &Json) -> Result<T, FunctionError> {
    read_part(sent).map_err(|wrong| match sent.is_object() {
        true => wrong.of_request(),
        false => FunctionError::invalid("The request must be an object with the function's fields."),
    })
}

/// Reads a part of a request.
pub fn read_part<T: DeserializeOwned>(sent: &Json) -> Result<T, Wrong> {
    T::deserialize(Node(sent))
}

/// For the `Deserialize` of types that have words of their own for what is wrong: reads a value, null where none was sent,
/// with a function.
pub fn by_value<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: impl FnOnce(&Json) -> Result<T, Wrong>,
) -> Result<T, D::Error> {
    let sent = Json::deserialize(deserializer)?;
    read(&sent).map_err(Wrong::into_error)
}

/// A value that was sent.
#[derive(Clone, Copy)]
struct Node<'de>(&'de Json);

impl<'de> Node<'de> {
    /// As [`Deserializer::deserialize_any`], or says what was expected.
    fn any_if<V: Visitor<'de>>(self, fits: bool, expected: &str, visitor: V) -> Result<V::Value, Wrong> {
        match fits {
            true => self.deserialize_any(visitor),
            false => Err(Wrong::new(format_args!("must be {expected}"))),
        }
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Json::Null => visitor.visit_unit(),
            Json::Bool(flag) => visitor.visit_bool(*flag),
            Json::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (.., number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Json::String(text) => visitor.visit_borrowed_str(text),
            Json::Array(items) => visitor.visit_seq(Items { items, next: 0 }),
            Json::Object(fields) => visitor.visit_map(Fields::new(fields, &[])),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Json::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.any_if(self.0.is_boolean(), "true or false", visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.any_if(self.0.is_string(), "text", visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.any_if(self.0.is_array(), "a list", visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.any_if(self.0.is_object(), "an object", visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        declared: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.0 {
            Json::Object(fields) => visitor.visit_map(Fields::new(fields, declared)),
            _ => Err(Wrong::invalid_type(Unexpected::Other("no object"), &visitor)),
        }
    }

    /// Words alone: of variants with values, requests have none.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.0 {
            Json::String(word) => visitor.visit_enum(BorrowedStrDeserializer::new(word)),
            _ => Err(Wrong::new(format_args!("must be {}", one_of(variants)))),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
        ignored_any
    }
}

/// The items of a list, each with its place in errors.
struct Items<'de> {
    items: &'de [Json],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(Node(item)).map(Some).map_err(|wrong| wrong.below_item(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

/// The fields of an object, each with its name in errors: those that are declared first, sent or not.
struct Fields<'de> {
    sent: &'de Map<String, Json>,
    declared: &'static [&'static str],
    next: usize,
    others: serde_json::map::Iter<'de>,
    value: Option<(&'de str, &'de Json)>,
}

impl<'de> Fields<'de> {
    fn new(sent: &'de Map<String, Json>, declared: &'static [&'static str]) -> Fields<'de> {
        Fields { sent, declared, next: 0, others: sent.iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        self.value = match self.declared.get(self.next) {
            Some(name) => Some((*name, self.sent.get(*name).unwrap_or(&Json::Null))),
            None => {
                let declared = self.declared;
                let other = self.others.find(|(name, _)| !declared.contains(&name.as_str()));
                other.map(|(name, value)| (name.as_str(), value))
            }
        };
        self.next += 1;
        match self.value {
            Some((name, _)) => {
                let name: StringDeserializer<Wrong> = name.to_owned().into_deserializer();
                seed.deserialize(name).map(Some)
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let (name, value) = self.value.take().unwrap_or(("", &Json::Null));
        seed.deserialize(Node(value)).map_err(|wrong| wrong.below(name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Outer {
        first_name: String,
        is_loud: Option<bool>,
        inner: Option<Vec<Inner>>,
        colour: Option<Colour>,
        count: Option<u8>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(expecting = "an object with a size")]
    struct Inner {
        size: Size,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Green,
        Blue,
    }

    /// With words of its own.
    #[derive(Debug, PartialEq)]
    struct Size(u64);

    impl<'de> Deserialize<'de> for Size {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let wrong = || Wrong::new("must be a size, like 3");
            by_value(deserializer, |sent| sent.as_u64().map(Size).ok_or_else(wrong))
        }
    }

    /// Whose messages repeat what was sent.
    #[derive(Debug)]
    struct Talkative;

    impl<'de> Deserialize<'de> for Talkative {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Err(D::Error::custom(String::deserialize(deserializer)?))
        }
    }

    #[test]
    fn null_is_absent_and_other_fields_are_passed_over() {
        let expected = Outer { first_name: "Ada".into(), is_loud: None, inner: None, colour: None, count: None };
        assert_eq!(read_part::<Outer>(&json!({ "firstName": "Ada", "isLoud": null, "else": [1] })), Ok(expected));
        let sent =
            json!({ "firstName": "Ada", "isLoud": true, "inner": [{ "size": 3 }], "colour": "green", "count": 7 });
        let expected = Outer {
            first_name: "Ada".into(),
            is_loud: Some(true),
            inner: Some(vec![Inner { size: Size(3) }]),
            colour: Some(Colour::Green),
            count: Some(7),
        };
        assert_eq!(read_part::<Outer>(&sent), Ok(expected));
    }

    #[test]
    fn errors_name_the_field_and_never_what_was_sent() {
        for (sent, expected) in [
            (json!(null), "The request must be an object with the function's fields."),
            (json!("Jane"), "The request must be an object with the function's fields."),
            (json!({}), "firstName must be text."),
            (json!({ "firstName": 7 }), "firstName must be text."),
            (json!({ "firstName": "", "isLoud": "Jane" }), "isLoud must be true or false."),
            (json!({ "firstName": "", "inner": "Jane" }), "inner must be a list."),
            (json!({ "firstName": "", "inner": ["Jane"] }), "inner[0] must be an object with a size."),
            (json!({ "firstName": "", "inner": [{ "size": 1 }, {}] }), "inner[1].size must be a size, like 3."),
            (json!({ "firstName": "", "inner": [{ "size": "Jane" }] }), "inner[0].size must be a size, like 3."),
            (json!({ "firstName": "", "colour": "Jane" }), "colour must be red, green or blue."),
            (json!({ "firstName": "", "colour": ["Jane"] }), "colour must be red, green or blue."),
            (json!({ "firstName": "", "count": "Jane" }), "count must be u8."),
            (json!({ "firstName": "", "count": 256 }), "count must be u8."),
        ] {
            let message = read::<Outer>(&sent).expect_err("it's refused").message;
            assert_eq!(message, expected, "{sent}");
            assert!(!message.contains("Jane"));
        }
        let wrong = read_part::<Vec<Talkative>>(&json!(["Jane"])).expect_err("it's refused");
        assert_eq!(wrong.of("names").message, "names[0] isn't as it should be.");
        let wrong =
            read_part::<std::collections::BTreeMap<String, bool>>(&json!({ "Jane Doe": 1 })).expect_err("no flag");
        assert_eq!(wrong.of_request().message, "(…) must be true or false.");
    }
}
