//! A document as the parser gives it: any YAML, each node with its span.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A node as the parser gives it.
pub(super) struct Raw(pub(super) Spanned<RawShape>);

/// What it is.
pub(super) enum RawShape {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Raw)
    }
}

impl<'de> Deserialize<'de> for RawShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawShape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E: de::Error>(self) -> Result<RawShape, E> {
        Ok(RawShape::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<RawShape, E> {
        Ok(RawShape::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawShape, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<RawShape, E> {
        Ok(RawShape::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<RawShape, E> {
        Ok(RawShape::Number(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<RawShape, E> {
        Ok(RawShape::Number(value.to_string()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<RawShape, E> {
        Ok(RawShape::Number(value.to_string()))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<RawShape, E> {
        Ok(RawShape::Number(value.to_string()))
    }

    /// The value is not used: the text that was written is.
    #[expect(clippy::disallowed_types, reason = "the shape of serde's visitor; nothing counts with it")]
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<RawShape, E> {
        Ok(RawShape::Number(value.to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<RawShape, E> {
        Ok(RawShape::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<RawShape, E> {
        Ok(RawShape::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawShape, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(RawShape::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawShape, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(RawShape::Map(entries))
    }
}
