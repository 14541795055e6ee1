//! Reads objects of JSON as the readers in use do: of members with one name the last counts (RFC
//! 8259, 4, leaves it open, and tells that many do so).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What is read of an object.
pub trait Members<'j>: Default {
    /// Takes the value of the member `name` from `members`.
    fn take<A: MapAccess<'j>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error>;
}

/// An object, of which some members are read.
pub struct Object<T>(pub T);

impl<'j, T: Members<'j>> Deserialize<'j> for Object<T> {
    fn deserialize<D: Deserializer<'j>>(json: D) -> Result<Object<T>, D::Error> {
        json.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'j, T: Members<'j>> Visitor<'j> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut members: A) -> Result<Object<T>, A::Error> {
        let mut read = T::default();
        while let Some(name) = members.next_key::<Value>()? {
            read.take(name.text().unwrap_or_default(), &mut members)?;
        }
        Ok(Object(read))
    }
}

/// A value, of which only a text is kept.
#[derive(Default, PartialEq, Eq)]
pub enum Value<'j> {
    #[default]
    Missing,
    Text(Cow<'j, str>),
    Object,
    Other,
}

impl Value<'_> {
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'j> Deserialize<'j> for Value<'j> {
    fn deserialize<D: Deserializer<'j>>(json: D) -> Result<Value<'j>, D::Error> {
        json.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'j> Visitor<'j> for ValueVisitor {
    type Value = Value<'j>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'j str) -> Result<Value<'j>, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'j>, E> {
        Ok(Value::Text(text.to_owned().into()))
    }

    fn visit_map<A: MapAccess<'j>>(self, mut members: A) -> Result<Value<'j>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object)
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut values: A) -> Result<Value<'j>, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value<'j>, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value<'j>, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Value<'j>, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value<'j>, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'j>, E> {
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[derive(Default)]
    struct One<'j>(Value<'j>);

    impl<'j> Members<'j> for One<'j> {
        fn take<A: MapAccess<'j>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
            match name {
                "one" => self.0 = members.next_value()?,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
            Ok(())
        }
    }

    #[test]
    fn the_last_member_of_a_name_counts() {
        let cases = [
            ("{}", Value::Missing),
            (r#"{"two":"b","one":"a"}"#, Value::Text("a".into())),
            (r#"{"one":"b","one":"a"}"#, Value::Text("a".into())),
            (
                r#"{"one":[{"one":1}],"\u006fne":"\u0061"}"#,
                Value::Text("a".into()),
            ),
            (r#"{"one":"a","one":{"one":"b"},"two":{}}"#, Value::Object),
            (r#"{"one":null}"#, Value::Other),
            (r#"{"one":-1}"#, Value::Other),
            (r#"{"one":1.5e3}"#, Value::Other),
            (r#"{"one":[]}"#, Value::Other),
            (r#"{"one":true}"#, Value::Other),
        ];
        for (text, value) in cases {
            let Object(One(read)) = json::parse_text(text).unwrap();
            assert!(read == value, "{text}");
        }
        for text in [
            "[]",
            "{",
            r#"{"one":"a"}x"#,
            r#"{"one":}"#,
            r#"{"one":{"a":}}"#,
        ] {
            assert!(json::parse_text::<Object<One>>(text).is_err(), "{text}");
        }
    }
}
