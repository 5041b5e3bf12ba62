//! `usage.v1` as it comes, borrowed from the body, alone or as the `data` of a CloudEvent.
//!
//! Unknown fields are passed over: senders add some, and those that only the daemon may fill (`cost`, `trust`,
//! `subject_evidence`, `model.resolved`, `model.price_key`, `model.scope`, `source`) are unknown on purpose.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::json::{Count, Fields, Obj, Text, read_fields, skip};

/// Pairs of a subject kept; one more is counted, so that the event can be refused rather than cut.
pub(super) const MOST_PAIRS: usize = 32;
/// Texts of a list kept; one more is counted, as above.
pub(super) const MOST_TEXTS: usize = 16;

/// One event. A CloudEvent has its own fields and the event as `data`.
#[derive(Debug, Default)]
pub(crate) struct Event<'a> {
    pub schema: Text<'a>,
    pub id: Text<'a>,
    pub kind: Text<'a>,
    pub occurred_at: Text<'a>,
    pub provider: Text<'a>,
    pub account: Text<'a>,
    pub region: Text<'a>,
    pub served_region: Text<'a>,
    pub model: Model<'a>,
    pub tier: Text<'a>,
    pub batch: Text<'a>,
    pub status: Text<'a>,
    pub instance: Instance<'a>,
    pub window: Window<'a>,
    pub quantities: Quantities,
    pub subject: Pairs<'a>,
    pub link_ids: Texts<'a>,
    pub flags: Texts<'a>,
    /// There: it is a CloudEvent.
    pub specversion: Text<'a>,
    /// `type` of the CloudEvent.
    pub cloud_type: Text<'a>,
    /// `time` of the CloudEvent.
    pub cloud_time: Text<'a>,
    pub data: Option<Box<Event<'a>>>,
}

impl<'de> Fields<'de> for Event<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "schema" => self.schema = map.next_value()?,
            "id" => self.id = map.next_value()?,
            "kind" => self.kind = map.next_value()?,
            "occurred_at" => self.occurred_at = map.next_value()?,
            "provider" => self.provider = map.next_value()?,
            "account" => self.account = map.next_value()?,
            "region" => self.region = map.next_value()?,
            "served_region" => self.served_region = map.next_value()?,
            "model" => self.model = map.next_value()?,
            "tier" => self.tier = map.next_value()?,
            "batch" => self.batch = map.next_value()?,
            "status" => self.status = map.next_value()?,
            "instance" => self.instance = map.next_value::<Obj<Instance<'de>>>()?.0,
            "window" => self.window = map.next_value::<Obj<Window<'de>>>()?.0,
            "quantities" => self.quantities = map.next_value::<Obj<Quantities>>()?.0,
            "subject" => self.subject = map.next_value::<Subject<'de>>()?.0,
            "link_ids" => self.link_ids = map.next_value()?,
            "flags" => self.flags = map.next_value()?,
            "specversion" => self.specversion = map.next_value()?,
            "type" => self.cloud_type = map.next_value()?,
            "time" => self.cloud_time = map.next_value()?,
            // How deep they may nest is the JSON parser's bound; only the first `data` is looked at.
            "data" => self.data = Some(Box::new(map.next_value::<Obj<Self>>()?.0)),
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// `{"raw": …}`, or the model id itself.
#[derive(Debug, Default)]
pub(crate) struct Model<'a>(pub Text<'a>);

#[derive(Default)]
struct Raw<'a>(Text<'a>);

impl<'de> Fields<'de> for Raw<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "raw" => self.0 = map.next_value()?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Model<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ModelVisitor)
    }
}

struct ModelVisitor;

impl<'de> Visitor<'de> for ModelVisitor {
    type Value = Model<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a model id, or an object with `raw`")
    }

    fn visit_borrowed_str<E>(self, id: &'de str) -> Result<Self::Value, E> {
        Ok(Model(Text(id.into())))
    }

    fn visit_str<E>(self, id: &str) -> Result<Self::Value, E> {
        Ok(Model(Text(id.to_owned().into())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Model::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        Ok(Model(read_fields::<Raw<'de>, A>(&mut map)?.0))
    }
}

/// What a time charge is for.
#[derive(Debug, Default)]
pub(crate) struct Instance<'a> {
    pub kind: Text<'a>,
    pub capacity_type: Text<'a>,
    pub gpu_share_milli: Count,
}

impl<'de> Fields<'de> for Instance<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "type" => self.kind = map.next_value()?,
            "capacity_type" => self.capacity_type = map.next_value()?,
            "gpu_share_milli" => self.gpu_share_milli = map.next_value()?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// From when until when.
#[derive(Debug, Default)]
pub(crate) struct Window<'a> {
    pub start: Text<'a>,
    pub end: Text<'a>,
}

impl<'de> Fields<'de> for Window<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "start" => self.start = map.next_value()?,
            "end" => self.end = map.next_value()?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// What was used. Disjoint; `reasoning_tokens` is a part of the output and has no field.
#[derive(Debug, Default)]
pub(crate) struct Quantities {
    pub input: Count,
    pub cache_read: Count,
    pub cache_write_5m: Count,
    pub cache_write_1h: Count,
    pub output: Count,
    pub images: Count,
    pub video_ms: Count,
    pub audio_ms: Count,
    pub queries: Count,
    pub gpu_ms: Count,
    pub node_ms: Count,
}

impl<'de> Fields<'de> for Quantities {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let cell = match name {
            "input_tokens" => &mut self.input,
            "cache_read_tokens" => &mut self.cache_read,
            "cache_write_5m_tokens" => &mut self.cache_write_5m,
            "cache_write_1h_tokens" => &mut self.cache_write_1h,
            "output_tokens" => &mut self.output,
            "images" => &mut self.images,
            "video_ms" => &mut self.video_ms,
            "audio_ms" => &mut self.audio_ms,
            "queries" => &mut self.queries,
            "gpu_ms" => &mut self.gpu_ms,
            "node_ms" => &mut self.node_ms,
            _ => return skip(map),
        };
        *cell = map.next_value()?;
        Ok(())
    }
}

/// Fields of the subject as the event has them; those without a value are left out.
#[derive(Debug, Default)]
pub(crate) struct Pairs<'a>(pub Vec<(Text<'a>, Text<'a>)>);

type Subject<'a> = Obj<Pairs<'a>>;

impl<'de> Fields<'de> for Pairs<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let value: Text<'de> = map.next_value()?;
        if !value.is_empty() && self.0.len() <= MOST_PAIRS {
            self.0.push((Text(name.to_owned().into()), value));
        }
        Ok(())
    }
}

/// A list of texts; what is no list is an empty one.
#[derive(Debug, Default)]
pub(crate) struct Texts<'a>(pub Vec<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Texts::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Texts::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Texts::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element::<Text<'de>>()? {
            if !text.is_empty() && texts.len() <= MOST_TEXTS {
                texts.push(text);
            }
        }
        Ok(Texts(texts))
    }
}
