//! A `usage.v1` event to a usage. Pure.
//!
//! Who sent it decides what it may say (inputs 9): the fields that are fixed for its token are trusted, what
//! the event says of its own subject is asserted, and an account or a principal is the vendor's word only
//! where the token fixes it. Region, provider, model and tier are the event's, because they decide the price,
//! unless the token fixes them; whose money it is they never decide (`Origin::record`). Ids count under the token's own source (`FactId::of`), so a forged one cannot
//! take a real record's place.
//!
//! Nothing is clamped or guessed: an event that cannot be right is refused with what to write instead.

use std::collections::BTreeMap;

use policy::engine::MOST_COUNT;
use policy::fact::{InstanceUse, OriginRef, Quantities, UsageBatchBuilder, UsageFlags, UsageRef};
use policy::price::{Tier, TokenCounts};
use policy::subject::{Trust, field};
use policy::time::{Span, Timestamp};

use super::wire::{self, Event, MOST_PAIRS, MOST_TEXTS};
use crate::instant;
use crate::json::{Count, Obj, Text};

/// The schema that is understood.
pub const SCHEMA: &str = "usage.v1";
/// `type` of a CloudEvent that carries such an event.
pub const CLOUD_TYPE: &str = "dev.breakerbox.usage.v1";
/// Bytes of an id and of a model id (botocore's `InvokeModelIdentifier`: 2,048).
const MOST_ID: usize = 2_048;
/// Bytes of any other text.
const MOST_TEXT: usize = 512;
/// The kinds, for the message.
const KINDS: &str = "`tokens`, `gpu_time`, `node_time`, `images`, `seconds`, `requests` or `flat`";

/// What is fixed for a token, whatever its events say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fixed {
    /// Fields of the subject, by name. Trusted.
    pub fields: BTreeMap<String, String>,
    /// AWS account of everything that it reports.
    pub account: Option<String>,
}

impl Fixed {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// Whether the event's own word for that field counts for nothing.
    fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name) || (name == field::ACCOUNT && self.account.is_some())
    }
}

/// Why an event was not taken, and what to send instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EventError {
    /// One word for machines: `missing_field`, `bad_field`, `bad_time`, `bad_count`, `unknown_schema`,
    /// `unknown_kind`, `too_long`, `not_json`.
    pub reason: &'static str,
    /// What is wrong, with the offending text.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// An error with its three parts.
pub(crate) fn error_of(
    reason: &'static str,
    message: impl Into<String>,
    help: impl Into<String>,
) -> EventError {
    EventError { reason, message: message.into(), help: help.into() }
}

fn missing(field: &str, help: impl Into<String>) -> EventError {
    error_of("missing_field", format!("`{field}` is missing"), help)
}

/// Turns the events of one token into rows.
#[derive(Clone, Copy, Debug)]
pub struct EventParser<'f> {
    fixed: &'f Fixed,
    believed: bool,
}

impl<'f> EventParser<'f> {
    /// For the events of the token for which this is fixed.
    #[must_use]
    pub const fn new(fixed: &'f Fixed) -> Self {
        Self { fixed, believed: false }
    }

    /// For events that somebody vouches for: what they say of their subject, provider, region and model is
    /// taken as trusted. Only for questions about the past, which stop nothing; never for what is pushed.
    #[must_use]
    pub const fn believing(fixed: &'f Fixed) -> Self {
        Self { fixed, believed: true }
    }

    const fn trust(self) -> Trust {
        if self.believed { Trust::Trusted } else { Trust::Asserted }
    }

    /// Reads one event from its JSON text and adds it to the batch.
    ///
    /// # Errors
    /// When it is no JSON or cannot be right; nothing is added then.
    pub fn push_json(self, json: &str, into: &mut UsageBatchBuilder) -> Result<(), EventError> {
        let Obj(event) = serde_json::from_str::<Obj<Event<'_>>>(json)
            .map_err(|error| error_of("not_json", error.to_string(), "write one JSON object"))?;
        self.push(&event, into)
    }

    /// Adds one event to the batch.
    pub(crate) fn push(self, outer: &Event<'_>, into: &mut UsageBatchBuilder) -> Result<(), EventError> {
        let (event, cloud) = unwrap(outer)?;
        let id = id_of(outer, event);
        check_schema(event, cloud)?;
        check_texts(id, event)?;
        let occurred_at = occurred_at(outer, event)?;
        let quantities = quantities(event, occurred_at)?;
        let tier = tier(event)?;
        let claims = self.claims(event);
        let links: Vec<&str> = event.link_ids.0.iter().map(Text::as_str).collect();
        let timed = matches!(quantities, Quantities::Instance(_));
        let (model, capacity, provider) = if timed {
            (event.instance.kind.as_str(), event.instance.capacity_type.as_str(), "aws.ec2")
        } else {
            (event.model.0.as_str(), "", "aws.bedrock")
        };
        let said = Some(event.provider.as_str()).filter(|provider| !provider.is_empty());
        let account = self.fixed.account.as_deref().or(self.fixed.field(field::ACCOUNT));
        into.push(&UsageRef {
            key: id,
            occurred_at,
            quantities,
            flags: flags(event),
            origin: OriginRef {
                provider: self.fixed.field(field::PROVIDER).or(said).unwrap_or(provider),
                account: account.unwrap_or(""),
                region: self.fixed.field(field::REGION).unwrap_or(event.region.as_str()),
                served_region: event.served_region.as_str(),
                model,
                principal: self.fixed.field(field::PRINCIPAL).unwrap_or(""),
                tier,
                capacity,
                record: self.trust(),
                claims: &claims,
            },
            end: None,
            links: &links,
        });
        Ok(())
    }

    /// What is fixed is trusted and comes first; what the event says of itself is asserted, and only of fields
    /// that are not fixed.
    fn claims<'b>(self, event: &'b Event<'_>) -> Vec<(&'b str, &'b str, Trust)>
    where
        'f: 'b,
    {
        let fixed = self.fixed.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let account = self.fixed.account.as_deref().map(|account| (field::ACCOUNT, account));
        let mut claims: Vec<_> =
            account.into_iter().chain(fixed).map(|(n, v)| (n, v, Trust::Trusted)).collect();
        let said = event.subject.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let account = Some((field::ACCOUNT, event.account.as_str())).filter(|(_, text)| !text.is_empty());
        let mut asserted: Vec<_> = said
            .chain(account)
            .filter(|(name, _)| !self.fixed.has(name))
            .map(|(name, value)| (name, value, self.trust()))
            .collect();
        // The same words in another order are the same origin.
        asserted.sort_unstable();
        asserted.dedup();
        claims.extend(asserted);
        claims
    }
}

/// The id that an event counts under: its own, else that of the CloudEvent around it.
fn id_of<'a>(outer: &'a Event<'_>, event: &'a Event<'_>) -> &'a str {
    if event.id.is_empty() { outer.id.as_str() } else { event.id.as_str() }
}

/// The id to answer with, whatever else is wrong.
pub(crate) fn id_shown<'a>(outer: &'a Event<'_>) -> &'a str {
    let inner = outer.data.as_deref().filter(|_| !outer.specversion.is_empty());
    id_of(outer, inner.unwrap_or(outer))
}

/// The event itself, and whether a CloudEvent was around it.
fn unwrap<'a, 'b>(outer: &'b Event<'a>) -> Result<(&'b Event<'a>, bool), EventError> {
    if outer.specversion.is_empty() {
        return Ok((outer, false));
    }
    let kind = outer.cloud_type.as_str();
    if kind != CLOUD_TYPE {
        let message = format!("a CloudEvent of type `{}` is no usage", short(kind));
        return Err(error_of("unknown_kind", message, format!("write `type: {CLOUD_TYPE}`")));
    }
    let data = outer.data.as_deref();
    Ok((data.ok_or_else(|| missing("data", "a CloudEvent carries the event as its `data`"))?, true))
}

/// Its schema. The `type` of a CloudEvent says the same, so there it may be left out.
fn check_schema(event: &Event<'_>, cloud: bool) -> Result<(), EventError> {
    match event.schema.as_str() {
        SCHEMA => Ok(()),
        "" if cloud => Ok(()),
        "" => Err(missing("schema", format!("write `schema: {SCHEMA}`"))),
        other => {
            let message = format!("`{}` in `schema` is not understood", short(other));
            Err(error_of("unknown_schema", message, format!("write `{SCHEMA}`")))
        }
    }
}

/// Texts that are kept are short, and printable: they end up in messages and on terminals.
fn check_texts(id: &str, event: &Event<'_>) -> Result<(), EventError> {
    if id.is_empty() {
        return Err(missing("id", "name each usage, and send it again only under the same name"));
    }
    let texts = [
        ("id", id, MOST_ID),
        ("model", event.model.0.as_str(), MOST_ID),
        ("provider", event.provider.as_str(), MOST_TEXT),
        ("account", event.account.as_str(), MOST_TEXT),
        ("region", event.region.as_str(), MOST_TEXT),
        ("served_region", event.served_region.as_str(), MOST_TEXT),
        ("instance.type", event.instance.kind.as_str(), MOST_TEXT),
        ("instance.capacity_type", event.instance.capacity_type.as_str(), MOST_TEXT),
    ];
    let links = event.link_ids.0.iter().map(|link| ("link_ids", link.as_str(), MOST_ID));
    let subject = event.subject.0.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let subject = subject.map(|text| ("subject", text, MOST_TEXT));
    for (field, text, most) in texts.into_iter().chain(links).chain(subject) {
        if text.len() > most {
            let message = format!("`{field}` has {} bytes", text.len());
            return Err(error_of("too_long", message, format!("at most {most} bytes are taken")));
        }
        if text.chars().any(char::is_control) {
            let message = format!("`{}` in `{field}` has a control character", short(text).escape_debug());
            return Err(error_of("bad_field", message, "write it without line breaks and the like"));
        }
    }
    let lists =
        [("subject", event.subject.0.len(), MOST_PAIRS), ("link_ids", event.link_ids.0.len(), MOST_TEXTS)];
    match lists.into_iter().find(|(_, count, most)| count > most) {
        Some((field, _, most)) => {
            let message = format!("`{field}` has more than {most} entries");
            Err(error_of("too_long", message, format!("at most {most} are taken")))
        }
        None => Ok(()),
    }
}

fn occurred_at(outer: &Event<'_>, event: &Event<'_>) -> Result<Timestamp, EventError> {
    match (event.occurred_at.as_str(), outer.cloud_time.as_str()) {
        ("", "") => Err(missing("occurred_at", "say when it was used, like 2026-11-20T10:15:04Z")),
        ("", time) => time_of("time", time),
        (time, _) => time_of("occurred_at", time),
    }
}

fn quantities(event: &Event<'_>, occurred_at: Timestamp) -> Result<Quantities, EventError> {
    let used = &event.quantities;
    let failed = event.status.as_str() == "error";
    match event.kind.as_str() {
        "tokens" => tokens(used, failed),
        "gpu_time" => time_used(event, "gpu_ms", &used.gpu_ms, occurred_at),
        "node_time" => time_used(event, "node_ms", &used.node_ms, occurred_at),
        "images" => other(&[("images", &used.images)], failed),
        "seconds" => other(&[("video_ms", &used.video_ms), ("audio_ms", &used.audio_ms)], failed),
        "requests" => other(&[("queries", &used.queries)], failed),
        "flat" => Ok(Quantities::Other(1)),
        "" => Err(missing("kind", format!("write one of {KINDS}"))),
        kind => {
            let message = format!("`{}` in `kind` is not understood", short(kind));
            Err(error_of("unknown_kind", message, format!("write one of {KINDS}")))
        }
    }
}

fn tokens(used: &wire::Quantities, failed: bool) -> Result<Quantities, EventError> {
    let all = [
        count("quantities.input_tokens", &used.input)?,
        count("quantities.cache_read_tokens", &used.cache_read)?,
        count("quantities.cache_write_5m_tokens", &used.cache_write_5m)?,
        count("quantities.cache_write_1h_tokens", &used.cache_write_1h)?,
        count("quantities.output_tokens", &used.output)?,
    ];
    if all.iter().all(Option::is_none) {
        return nothing_said("quantities.input_tokens", failed);
    }
    let [input, cache_read, cache_write_5m, cache_write_1h, output] = all.map(|n| n.unwrap_or(0));
    Ok(Quantities::Tokens(TokenCounts { input, cache_read, cache_write_5m, cache_write_1h, output }))
}

fn other(counts: &[(&'static str, &Count)], failed: bool) -> Result<Quantities, EventError> {
    let mut sum: Option<u64> = None;
    for (name, value) in counts {
        if let Some(n) = count(&format!("quantities.{name}"), value)? {
            sum = Some(sum.unwrap_or(0).saturating_add(n));
        }
    }
    match sum {
        Some(n) => Ok(Quantities::Other(n)),
        None => nothing_said(&format!("quantities.{}", counts[0].0), failed),
    }
}

/// A call that failed may have used nothing; any other event must say what was used: unknown is not zero.
fn nothing_said(field: &str, failed: bool) -> Result<Quantities, EventError> {
    if failed {
        return Ok(Quantities::Nothing);
    }
    let help = "say what was used, 0 included; or `status: error` for a call that failed and used nothing";
    Err(missing(field, help))
}

/// A stretch of time: the event's window, or as much as was used before it occurred.
fn time_used(
    event: &Event<'_>,
    name: &str,
    millis: &Count,
    occurred_at: Timestamp,
) -> Result<Quantities, EventError> {
    if event.instance.kind.is_empty() {
        return Err(missing("instance.type", "name the instance type, like `g5.xlarge`"));
    }
    let millis = count(&format!("quantities.{name}"), millis)?;
    let (start, end) = match (event.window.start.as_str(), event.window.end.as_str()) {
        ("", "") => {
            let help = "say from when until when, or how long before `occurred_at`";
            let millis = millis.ok_or_else(|| missing("window", help))?;
            (occurred_at.minus(Span::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))), occurred_at)
        }
        (start, end) => (time_of("window.start", start)?, time_of("window.end", end)?),
    };
    if end < start {
        let message = format!("`window` ends ({end}) before it starts ({start})");
        return Err(error_of("bad_time", message, "write the earlier instant as `start`"));
    }
    let share = count("instance.gpu_share_milli", &event.instance.gpu_share_milli)?.unwrap_or(1000);
    let share_milli = u32::try_from(share).ok().filter(|share| *share <= 1000).ok_or_else(|| {
        let message = format!("`{share}` in `instance.gpu_share_milli` is more than the whole");
        error_of("bad_count", message, "write thousandths of the instance, at most 1000")
    })?;
    Ok(Quantities::Instance(InstanceUse { start, end, share_milli }))
}

fn count(path: &str, count: &Count) -> Result<Option<u64>, EventError> {
    let wrong = |value: &str| {
        let help = format!("write a whole number from 0 to {MOST_COUNT}");
        error_of("bad_count", format!("`{value}` in `{path}` is no count"), help)
    };
    match count {
        Count::Absent => Ok(None),
        Count::Is(n) if *n > MOST_COUNT => Err(wrong(&n.to_string())),
        Count::Is(n) => Ok(Some(*n)),
        Count::Wrong(value) => Err(wrong(value)),
    }
}

fn time_of(field: &str, text: &str) -> Result<Timestamp, EventError> {
    instant::parse(text).map_err(|_| {
        let message = format!("`{}` in `{field}` is no time", short(text));
        error_of("bad_time", message, "write it like 2026-11-20T10:15:04Z")
    })
}

fn tier(event: &Event<'_>) -> Result<Tier, EventError> {
    if event.batch.as_str() == "true" {
        return Ok(Tier::Batch);
    }
    match event.tier.as_str() {
        "" => Ok(Tier::Default),
        word => word.parse().map_err(|_| {
            let words = Tier::ALL.map(Tier::word).join("`, `");
            let message = format!("`{}` in `tier` is no service tier", short(word));
            error_of("bad_field", message, format!("write one of `{words}`"))
        }),
    }
}

/// What the sender knows of the certainty of its own figures.
fn flags(event: &Event<'_>) -> UsageFlags {
    event.flags.0.iter().fold(UsageFlags::default(), |flags, word| match word.as_str() {
        "split_assumed" => flags.with(UsageFlags::SPLIT_ASSUMED),
        "convention_assumed" => flags.with(UsageFlags::CONVENTION_ASSUMED),
        _ => flags,
    })
}

/// The beginning of a text, for a message.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
