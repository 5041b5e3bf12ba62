//! From a record to a row: what was used, by whom, and how sure that is.
//!
//! Header counts come first, the body's where the header has none, and what neither tells is flagged, never
//! taken for zero. What only the body knows (the TTL split of cache writes, the tier) is looked for only
//! where it matters. A record without an id, an account or a time is refused: it could not be told from its
//! own copy. Facts and their sources: inputs 2.1.

use std::borrow::Cow;
use std::fmt::Write as _;

use policy::fact::{OriginRef, Quantities, UsageBatchBuilder, UsageFlags, UsageRef};
use policy::price::{Tier, TokenCounts};
use policy::subject::Trust;
use policy::time::TimeError;
use serde_json::value::RawValue;

use super::wire::{Body, Record};
use crate::deadletter::Reason;
use crate::instant;
use crate::json::{Count, Obj, Text};

/// Provider of every record.
pub const PROVIDER: &str = "aws.bedrock";
/// How the key of the row ends that counts what was used beside tokens.
const BESIDE: &str = "#other";

/// How long a cache keeps what is written to it, as the price knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheTtl {
    /// Five minutes: 1.25 times the input price.
    #[default]
    FiveMinutes,
    /// One hour: 2 times the input price.
    OneHour,
}

/// What to take where neither header nor body tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assume {
    /// The service tier. Whether the log always carries it is not verified.
    pub tier: Tier,
    /// The TTL of cache writes; the row is flagged `SPLIT_ASSUMED`.
    pub cache_ttl: CacheTtl,
}

/// Why a record cannot be used. It goes to the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not UTF-8.
    #[error("not UTF-8 after byte {0}")]
    NotUtf8(usize),
    /// Not JSON.
    #[error("not a JSON record")]
    NotJson(#[source] serde_json::Error),
    /// Some other kind of log.
    #[error("`schemaType` is `{0}`; only `ModelInvocationLog` is read here")]
    OtherSchema(String),
    /// A field is missing without which a record cannot be told from its copy, or has no window.
    #[error("no `{0}`; without it a record cannot be told from its own copy")]
    Missing(&'static str),
    /// No time.
    #[error("bad `timestamp`")]
    Time(#[source] TimeError),
    /// A count that is none.
    #[error("`{field}` is `{value}`; a count is a whole number from 0")]
    Count {
        /// Its name.
        field: &'static str,
        /// What stands there, cut to 40 characters.
        value: Box<str>,
    },
}

impl RecordError {
    /// Under which reason it goes to the dead letters.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NotUtf8(_) => Reason::NotUtf8,
            Self::NotJson(_) => Reason::NotJson,
            Self::OtherSchema(_) | Self::Missing(_) => Reason::NotARecord,
            Self::Time(_) | Self::Count { .. } => Reason::BadField,
        }
    }
}

/// Turns records into rows. Keeps only room to write ids in.
#[derive(Debug, Default)]
pub struct Parser {
    assume: Assume,
    key: String,
    link: String,
}

impl Parser {
    /// A parser with those assumptions.
    #[must_use]
    pub fn new(assume: Assume) -> Self {
        Self { assume, ..Self::default() }
    }

    /// Reads one record and adds its rows. `end` is where it ends in its (decompressed) file, if it has one.
    /// The row's key is `account:region:requestId`; with the source's name before it, it is the id that
    /// people see (inputs 10). The request's own id is a link, so that an event that cites it is a duplicate.
    /// What was used beside tokens and has no price (images, seconds of video) is a row of its own, whose key
    /// ends in `#other`.
    ///
    /// # Errors
    /// When the record cannot be used. Nothing was added then.
    pub fn parse(
        &mut self,
        line: &[u8],
        end: Option<u64>,
        out: &mut UsageBatchBuilder,
    ) -> Result<(), RecordError> {
        let text = std::str::from_utf8(line).map_err(|e| RecordError::NotUtf8(e.valid_up_to()))?;
        let Obj(record): Obj<Record<'_>> = serde_json::from_str(text).map_err(RecordError::NotJson)?;
        self.push(&record, end, out)
    }

    /// Adds the rows of a record.
    pub(crate) fn push(
        &mut self,
        record: &Record<'_>,
        end: Option<u64>,
        out: &mut UsageBatchBuilder,
    ) -> Result<(), RecordError> {
        if !record.schema_type.is_empty() && record.schema_type.as_str() != "ModelInvocationLog" {
            return Err(RecordError::OtherSchema(short(record.schema_type.as_str())));
        }
        let account = needed(&record.account_id, "accountId")?;
        let request = needed(&record.request_id, "requestId")?;
        let at = needed(&record.timestamp, "timestamp")?;
        let occurred_at = instant::parse(at).map_err(RecordError::Time)?;
        let region = record.region.as_str();
        let used = used(record, self.assume)?;
        self.key.clear();
        let _ = write!(self.key, "{account}:{region}:{request}"); // a String takes all
        self.link.clear();
        let _ = write!(self.link, "bedrock:{request}");
        let claims = claims(&record.metadata.0);
        let origin = OriginRef {
            record: Trust::Trusted,
            provider: PROVIDER,
            account,
            region,
            served_region: record.inference_region.as_str(),
            model: record.model_id.as_str(),
            principal: record.identity.0.as_str(),
            tier: used.tier,
            capacity: "",
            claims: &claims,
        };
        let mut row = UsageRef {
            key: &self.key,
            occurred_at,
            quantities: used.quantities,
            flags: used.flags,
            origin,
            end,
            links: &[&self.link],
        };
        out.push(&row);
        if let Some(units) = used.beside {
            // Without the link: by that it would be a copy of the row before.
            (row.quantities, row.flags, row.links) = (Quantities::Other(units), UsageFlags::default(), &[]);
            let key = format!("{}{BESIDE}", self.key);
            out.push(&UsageRef { key: &key, ..row });
        }
        Ok(())
    }
}

/// What the caller said, in one order whatever order it was written in: the same call is then the same
/// origin.
fn claims<'a>(pairs: &'a [(Cow<'_, str>, Cow<'_, str>)]) -> Vec<(&'a str, &'a str, Trust)> {
    let mut claims: Vec<_> = pairs.iter().map(|(n, v)| (&**n, &**v, Trust::Asserted)).collect();
    claims.sort_unstable();
    claims
}

fn needed<'a>(text: &'a Text<'_>, name: &'static str) -> Result<&'a str, RecordError> {
    if text.is_empty() { Err(RecordError::Missing(name)) } else { Ok(text.as_str()) }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// What a record says was used.
#[derive(Debug, PartialEq, Eq)]
struct Used {
    quantities: Quantities,
    /// Units without a price, where tokens were used too: these must be charged all the same.
    beside: Option<u64>,
    flags: UsageFlags,
    tier: Tier,
}

fn used(record: &Record<'_>, assume: Assume) -> Result<Used, RecordError> {
    let (input, output) = (&record.input, &record.output);
    let head = Header {
        input: counted(&input.tokens, "inputTokenCount")?,
        output: counted(&output.tokens, "outputTokenCount")?,
        cache_read: counted(&input.cache_read, "cacheReadInputTokenCount")?,
        cache_write: counted(&input.cache_write, "cacheWriteInputTokenCount")?,
    };
    let images = counted(&output.images, "outputImageCount")?;
    let body = output.body.filter(|raw| body_matters(&head, record, raw)).map(Body::of).unwrap_or_default();
    let (tier, tier_flags) = tier(record, &body, assume);
    let (tokens, flags) = tokens(&head, &body, assume);
    let other = images.or(body.video_seconds.known()).filter(|n| *n > 0);
    let beside = other.filter(|_| tokens.is_some_and(|tokens| tokens != TokenCounts::default()));
    let quantities = match (tokens, other) {
        (Some(tokens), Some(_)) if beside.is_some() => Quantities::Tokens(tokens),
        (_, Some(units)) => Quantities::Other(units),
        (Some(tokens), None) if tokens == TokenCounts::default() && failed(record) => Quantities::Nothing,
        (Some(tokens), None) => Quantities::Tokens(tokens),
        (None, None) if failed(record) => Quantities::Nothing,
        // It answered, and nobody says how much it used: one call that cannot be priced.
        (None, None) => Quantities::Other(1),
    };
    let flags = match quantities {
        Quantities::Tokens(_) => flags.with(tier_flags),
        Quantities::Other(_) if tokens.is_none() => UsageFlags::CACHE_UNKNOWN,
        _ => UsageFlags::default(),
    };
    Ok(Used { quantities, beside, flags, tier })
}

fn counted(count: &Count, field: &'static str) -> Result<Option<u64>, RecordError> {
    match count {
        Count::Absent => Ok(None),
        Count::Is(n) => Ok(Some(*n)),
        Count::Wrong(value) => Err(RecordError::Count { field, value: value.clone() }),
    }
}

/// Whether the call failed: then a record without counts used nothing.
fn failed(record: &Record<'_>) -> bool {
    !record.error_code.is_empty() || record.status.as_str().parse::<u16>().is_ok_and(|code| code >= 400)
}

/// The counts in a record's header.
struct Header {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
}

/// Whether the body can tell what the header does not. Most records end here without a look at their body
/// but one search for a word.
fn body_matters(head: &Header, record: &Record<'_>, raw: &RawValue) -> bool {
    head.input.is_none()
        || head.output.is_none()
        || head.cache_read.is_none()
        || head.cache_write != Some(0)
        || (record.service_tier.0.is_empty() && raw.get().contains("serviceTier"))
}

/// The five classes; none when nobody says anything of tokens.
fn tokens(head: &Header, body: &Body<'_>, assume: Assume) -> (Option<TokenCounts>, UsageFlags) {
    let counts = &body.counts;
    let input = head.input.or(counts.input.known());
    let output = head.output.or(counts.output.known());
    let cache_read = head.cache_read.or(counts.cache_read.known());
    let split = (counts.write_5m.known(), counts.write_1h.known());
    let told = match split {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
    };
    let cache_write = head.cache_write.or(counts.cache_write.known()).or(told);
    if [input, output, cache_read, cache_write].iter().all(Option::is_none) {
        return (None, UsageFlags::default());
    }
    let mut flags = UsageFlags::default();
    // An embedding writes nothing and caches nothing; a call that wrote may have.
    if output.is_some() && (cache_read.is_none() || cache_write.is_none()) {
        flags = flags.with(UsageFlags::CACHE_UNKNOWN);
    }
    let written = cache_write.unwrap_or(0);
    let long = split.1.unwrap_or(0).min(written);
    let brief = split.0.unwrap_or(0).min(written - long);
    let rest = written - long - brief;
    if rest > 0 || told.is_some_and(|told| told > written) {
        flags = flags.with(UsageFlags::SPLIT_ASSUMED);
    }
    let (more_brief, more_long) = match assume.cache_ttl {
        CacheTtl::FiveMinutes => (rest, 0),
        CacheTtl::OneHour => (0, rest),
    };
    let tokens = TokenCounts {
        input: input.unwrap_or(0),
        cache_read: cache_read.unwrap_or(0),
        cache_write_5m: brief + more_brief,
        cache_write_1h: long + more_long,
        output: output.unwrap_or(0),
    };
    (Some(tokens), flags)
}

/// The header's tier, else the body's, else the assumed one. A word that we do not know is assumed too, and
/// flagged.
fn tier(record: &Record<'_>, body: &Body<'_>, assume: Assume) -> (Tier, UsageFlags) {
    let word = [&record.service_tier, &body.tier].into_iter().find(|tier| !tier.0.is_empty());
    match word.map(|tier| tier.0.as_str().parse()) {
        None => (assume.tier, UsageFlags::default()),
        Some(Ok(tier)) => (tier, UsageFlags::default()),
        Some(Err(_)) => (assume.tier, UsageFlags::TIER_ASSUMED),
    }
}
