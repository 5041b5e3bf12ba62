//! The bytes of a model invocation log record, borrowed.
//!
//! Every field that is not about who, what and how much is passed over. The response body is kept only as
//! the stretch of text that it stands in, and looked into (see [`Body`]) only for counts and the tier that
//! the header does not tell; the request body is never looked at. Nothing here outlives the line.
//! Source of the names: the AWS Bedrock user guide (model invocation logging), the Panther schema
//! `bedrock-model-invocation`, botocore `bedrock-runtime`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::{Count, Fields, Obj, Text, read_fields, skip};

/// `requestMetadata` has at most 16 pairs (botocore `RequestMetadata`).
const MOST_CLAIMS: usize = 16;

/// One record.
#[derive(Debug, Default)]
pub(crate) struct Record<'a> {
    pub schema_type: Text<'a>,
    pub timestamp: Text<'a>,
    pub account_id: Text<'a>,
    pub region: Text<'a>,
    pub request_id: Text<'a>,
    pub model_id: Text<'a>,
    pub identity: Identity<'a>,
    pub inference_region: Text<'a>,
    pub metadata: Metadata<'a>,
    pub error_code: Text<'a>,
    pub status: Text<'a>,
    pub service_tier: ServiceTier<'a>,
    pub input: Input,
    pub output: Output<'a>,
}

impl<'de> Fields<'de> for Record<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "schemaType" => self.schema_type = map.next_value()?,
            "timestamp" => self.timestamp = map.next_value()?,
            "accountId" => self.account_id = map.next_value()?,
            "region" => self.region = map.next_value()?,
            "requestId" => self.request_id = map.next_value()?,
            "modelId" => self.model_id = map.next_value()?,
            "identity" => self.identity = map.next_value()?,
            "inferenceRegion" => self.inference_region = map.next_value()?,
            "requestMetadata" => self.metadata = map.next_value::<Obj<Metadata<'de>>>()?.0,
            "errorCode" => self.error_code = map.next_value()?,
            "status" => self.status = map.next_value()?,
            "serviceTier" => self.service_tier = map.next_value()?,
            "input" => self.input = map.next_value::<Obj<Input>>()?.0,
            "output" => self.output = map.next_value::<Obj<Output<'de>>>()?.0,
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// The counts of a record's `input`.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub tokens: Count,
    pub cache_read: Count,
    pub cache_write: Count,
}

impl<'de> Fields<'de> for Input {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "inputTokenCount" => self.tokens = map.next_value()?,
            "cacheReadInputTokenCount" => self.cache_read = map.next_value()?,
            "cacheWriteInputTokenCount" => self.cache_write = map.next_value()?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// The counts of a record's `output`, and where its body stands.
#[derive(Debug, Default)]
pub(crate) struct Output<'a> {
    pub tokens: Count,
    pub images: Count,
    pub body: Option<&'a RawValue>,
}

impl<'de> Fields<'de> for Output<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "outputTokenCount" => self.tokens = map.next_value()?,
            "outputImageCount" => self.images = map.next_value()?,
            "outputBodyJson" => self.body = Some(map.next_value()?),
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// Who called: an object with an ARN, a list of them, or an ARN. Of a list that names two callers neither is
/// believed.
#[derive(Debug, Default)]
pub(crate) struct Identity<'a>(pub Text<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Identity<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdentityVisitor)
    }
}

#[derive(Default)]
struct Arn<'a>(Text<'a>);

impl<'de> Fields<'de> for Arn<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "arn" => self.0 = map.next_value()?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

struct IdentityVisitor;

impl<'de> Visitor<'de> for IdentityVisitor {
    type Value = Identity<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an identity")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        Ok(Identity(read_fields::<Arn<'de>, A>(&mut map)?.0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut two) = (Text::default(), false);
        while let Some(Identity(arn)) = list.next_element()? {
            if found.is_empty() {
                found = arn;
            } else if !arn.is_empty() && arn != found {
                two = true;
            }
        }
        Ok(Identity(if two { Text::default() } else { found }))
    }

    fn visit_borrowed_str<E>(self, arn: &'de str) -> Result<Self::Value, E> {
        Ok(Identity(Text(Cow::Borrowed(arn))))
    }

    fn visit_str<E>(self, arn: &str) -> Result<Self::Value, E> {
        Ok(Identity(Text(Cow::Owned(arn.to_owned()))))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Identity::default())
    }
}

/// `requestMetadata`: what the caller says.
#[derive(Debug, Default)]
pub(crate) struct Metadata<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de> Fields<'de> for Metadata<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let value: Text<'de> = map.next_value()?;
        if !value.is_empty() && self.0.len() < MOST_CLAIMS {
            self.0.push((Cow::Owned(name.to_owned()), value.0));
        }
        Ok(())
    }
}

/// `serviceTier`: a word, or an object with a `type`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceTier<'a>(pub Text<'a>);

#[derive(Default)]
struct TierType<'a>(Text<'a>);

impl<'de> Fields<'de> for TierType<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "type" => self.0 = map.next_value()?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ServiceTier<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TierVisitor;
        impl<'de> Visitor<'de> for TierVisitor {
            type Value = ServiceTier<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a service tier")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                Ok(ServiceTier(read_fields::<TierType<'de>, A>(&mut map)?.0))
            }

            fn visit_borrowed_str<E>(self, word: &'de str) -> Result<Self::Value, E> {
                Ok(ServiceTier(Text(Cow::Borrowed(word))))
            }

            fn visit_str<E>(self, word: &str) -> Result<Self::Value, E> {
                Ok(ServiceTier(Text(Cow::Owned(word.to_owned()))))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(ServiceTier::default())
            }
        }
        deserializer.deserialize_any(TierVisitor)
    }
}

/// What a response body tells of usage. The forms: a Converse answer; an Anthropic message; a list of the
/// chunks of either's stream; any of them as a text.
#[derive(Debug, Default)]
pub(crate) struct Body<'a> {
    pub counts: BodyCounts,
    pub tier: ServiceTier<'a>,
    pub video_seconds: Count,
}

impl<'a> Body<'a> {
    /// Looks into a body. One that cannot be read tells nothing, which its record's flags then say.
    pub fn of(raw: &'a RawValue) -> Self {
        serde_json::from_str(raw.get()).unwrap_or_default()
    }

    /// Stream chunks repeat running totals: the largest is the last.
    fn merge(&mut self, other: Self) {
        self.counts.merge(other.counts);
        if !other.tier.0.is_empty() {
            self.tier = other.tier;
        }
        self.video_seconds.or_larger(other.video_seconds);
    }
}

impl<'de> Fields<'de> for Body<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "usage" | "amazon-bedrock-invocationMetrics" => {
                self.counts.merge(map.next_value::<Obj<BodyCounts>>()?.0);
            }
            // A chunk of an Anthropic stream, and one of a Converse stream.
            "message" | "metadata" => self.merge(map.next_value::<Obj<Self>>()?.0),
            "serviceTier" => self.tier = map.next_value()?,
            "outputVideoDurationSeconds" => self.video_seconds.or_larger(map.next_value()?),
            _ => skip(map)?,
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyVisitor)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a response body")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        read_fields(&mut map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut body = Body::default();
        while let Some(Obj(chunk)) = list.next_element::<Obj<Body<'de>>>()? {
            body.merge(chunk);
        }
        Ok(body)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(body_in_text(text))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Body::default())
    }
}

/// A body that was written as a text: JSON in JSON, at one level; a stream may be one object after another.
fn body_in_text(text: &str) -> Body<'static> {
    let mut body = Body::default();
    let mut chunks = serde_json::Deserializer::from_str(text).into_iter::<Inner<'_>>();
    while let Some(Ok(Inner(chunk))) = chunks.next() {
        body.merge(Body {
            counts: chunk.counts,
            tier: ServiceTier(Text(Cow::Owned(chunk.tier.0.0.into_owned()))),
            video_seconds: chunk.video_seconds,
        });
    }
    body
}

/// A body inside a text: an object or a list, no further text.
struct Inner<'a>(Body<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Inner<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InnerVisitor;
        impl<'de> Visitor<'de> for InnerVisitor {
            type Value = Inner<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or a list")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                BodyVisitor.visit_map(map).map(Inner)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                BodyVisitor.visit_seq(list).map(Inner)
            }
        }
        deserializer.deserialize_any(InnerVisitor)
    }
}

/// Counts in a body, under the names of Converse (`inputTokens`), Anthropic (`input_tokens`) and the metrics
/// that Bedrock adds to a stream (`inputTokenCount`).
#[derive(Debug, Default)]
pub(crate) struct BodyCounts {
    pub input: Count,
    pub output: Count,
    pub cache_read: Count,
    pub cache_write: Count,
    pub write_5m: Count,
    pub write_1h: Count,
}

impl BodyCounts {
    fn merge(&mut self, other: Self) {
        self.input.or_larger(other.input);
        self.output.or_larger(other.output);
        self.cache_read.or_larger(other.cache_read);
        self.cache_write.or_larger(other.cache_write);
        self.write_5m.or_larger(other.write_5m);
        self.write_1h.or_larger(other.write_1h);
    }
}

impl<'de> Fields<'de> for BodyCounts {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let cell = match name {
            "inputTokens" | "input_tokens" | "inputTokenCount" => &mut self.input,
            "outputTokens" | "output_tokens" | "outputTokenCount" => &mut self.output,
            "cacheReadInputTokens" | "cache_read_input_tokens" | "cacheReadInputTokenCount" => {
                &mut self.cache_read
            }
            "cacheWriteInputTokens" | "cache_creation_input_tokens" | "cacheWriteInputTokenCount" => {
                &mut self.cache_write
            }
            "cacheDetails" => {
                let details: CacheDetails = map.next_value()?;
                self.write_5m.or_larger(details.write_5m);
                self.write_1h.or_larger(details.write_1h);
                return Ok(());
            }
            "cache_creation" => {
                let Obj(split): Obj<CacheCreation> = map.next_value()?;
                self.write_5m.or_larger(split.write_5m);
                self.write_1h.or_larger(split.write_1h);
                return Ok(());
            }
            _ => return skip(map),
        };
        cell.or_larger(map.next_value()?);
        Ok(())
    }
}

/// Anthropic's split of cache writes.
#[derive(Default)]
struct CacheCreation {
    write_5m: Count,
    write_1h: Count,
}

impl<'de> Fields<'de> for CacheCreation {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "ephemeral_5m_input_tokens" => self.write_5m = map.next_value()?,
            "ephemeral_1h_input_tokens" => self.write_1h = map.next_value()?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// Converse's split of cache writes: a list of TTL and count. A TTL that we do not know is left out, and the
/// difference to the whole is then assumed and flagged.
#[derive(Default)]
struct CacheDetails {
    write_5m: Count,
    write_1h: Count,
}

#[derive(Default)]
struct CacheDetail<'a> {
    ttl: Text<'a>,
    tokens: Count,
}

impl<'de> Fields<'de> for CacheDetail<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "ttl" => self.ttl = map.next_value()?,
            "inputTokens" => self.tokens = map.next_value()?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for CacheDetails {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DetailsVisitor;
        impl<'de> Visitor<'de> for DetailsVisitor {
            type Value = CacheDetails;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of cache details")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = CacheDetails::default();
                while let Some(Obj(detail)) = list.next_element::<Obj<CacheDetail<'de>>>()? {
                    match detail.ttl.as_str() {
                        "5m" => all.write_5m.add(&detail.tokens),
                        "1h" => all.write_1h.add(&detail.tokens),
                        _ => {}
                    }
                }
                Ok(all)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(CacheDetails::default())
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(CacheDetails::default())
            }
        }
        deserializer.deserialize_any(DetailsVisitor)
    }
}
