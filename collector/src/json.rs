//! Small pieces of borrowed JSON that tolerate what vendors really write.
//!
//! A text that may be `null`, a number that may be absent or wrong: a record is not lost because one field
//! has a shape that nobody expected, and a wrong count is told from an absent one (unknown is not zero).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What can be read from a JSON object, field by field.
pub(crate) trait Fields<'de>: Default {
    /// Takes the value of that field from the map, or ignores it.
    ///
    /// # Errors
    /// When the value is no JSON.
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

/// A `T` read from an object; from anything else (`null`, a list, a text) it is the default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Obj<T>(pub(crate) T);

impl<'de, T: Fields<'de>> Deserialize<'de> for Obj<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjVisitor(PhantomData)).map(Self)
    }
}

struct ObjVisitor<T>(PhantomData<T>);

impl<'de, T: Fields<'de>> Visitor<'de> for ObjVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        read_fields(&mut map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }
}

/// All fields of a map.
pub(crate) fn read_fields<'de, T: Fields<'de>, A: MapAccess<'de>>(map: &mut A) -> Result<T, A::Error> {
    let mut fields = T::default();
    while let Some(name) = map.next_key::<Text<'de>>()? {
        fields.take(name.as_str(), map)?;
    }
    Ok(fields)
}

/// Passes over a value that nobody wants.
pub(crate) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// A text, borrowed unless it has escapes. `null` and absent are empty; a number is its digits; a list or an
/// object is no text, and so empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_unit<E>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_bool<E>(self, word: bool) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(word.to_string())))
    }

    /// A text is no list: whoever needs it will miss it and say so.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }
}

/// A count of something. Absent is not zero, and wrong is neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Count {
    /// Not there, or `null`.
    #[default]
    Absent,
    /// A whole number from 0.
    Is(u64),
    /// Anything else, as it stands.
    Wrong(Box<str>),
}

impl Count {
    pub(crate) const fn known(&self) -> Option<u64> {
        match self {
            Self::Is(n) => Some(*n),
            Self::Absent | Self::Wrong(_) => None,
        }
    }

    /// The sum of what is known, stopping at `u64::MAX`.
    pub(crate) fn add(&mut self, other: &Self) {
        *self = match (&*self, other) {
            (Self::Is(a), Self::Is(b)) => Self::Is(a.saturating_add(*b)),
            (Self::Is(a), _) => Self::Is(*a),
            (_, other) => other.clone(),
        };
    }

    /// The larger of the two; a count that is known beats one that is not. Stream chunks repeat running
    /// totals, so the largest is the last.
    pub(crate) fn or_larger(&mut self, other: Self) {
        if self.known() < other.known() || matches!(self, Self::Absent) {
            *self = other;
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Count, E> {
        Ok(Count::Is(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Count, E> {
        Ok(u64::try_from(number).map_or_else(|_| Count::Wrong(number.to_string().into()), Count::Is))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Count, E> {
        Ok(Count::Wrong(number.to_string().into()))
    }

    fn visit_bool<E>(self, word: bool) -> Result<Count, E> {
        Ok(Count::Wrong(word.to_string().into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Count, E> {
        let shown: String = text.chars().take(40).collect();
        Ok(Count::Wrong(format!("\"{shown}\"").into()))
    }

    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Count::Wrong("[…]".into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Count::Wrong("{…}".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_count_is_told_from_an_absent_one() {
        let read = |text: &str| serde_json::from_str::<Count>(text).unwrap();
        assert_eq!(read("12"), Count::Is(12));
        assert_eq!(read("null"), Count::Absent);
        for (text, shown) in [
            ("-5", "-5"),
            ("1.5", "1.5"),
            ("\"12\"", "\"12\""),
            ("[1]", "[…]"),
            ("{}", "{…}"),
            ("true", "true"),
        ] {
            assert_eq!(read(text), Count::Wrong(shown.into()), "{text}");
        }
        assert!(matches!(read("99999999999999999999999"), Count::Wrong(_)));
    }

    #[test]
    fn a_text_may_be_null_or_a_number_and_keeps_its_escapes() {
        let read = |text| serde_json::from_str::<Text<'_>>(text).unwrap();
        assert_eq!(read("null").as_str(), "");
        assert_eq!(read("111122223333").as_str(), "111122223333");
        assert!(matches!(read("\"plain\"").0, Cow::Borrowed("plain")));
        assert_eq!(read(r#""a\nb""#).as_str(), "a\nb");
    }
}
