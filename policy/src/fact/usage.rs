//! Usage: tokens, GPU time and other things that cost money, in batches.
//!
//! A batch interns two things. *Strings* of raw ids live in one arena. *Origins* (who called, which model,
//! where, at which tier: everything that decides attribution and price) are stored once for each distinct
//! origin and named by index, with a keyed 128-bit digest by which the engine finds what it already
//! resolved. So one usage is a fixed-size row, and the engine does no allocation for it.

use std::fmt;
use std::hash::Hasher;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::money::Money;
use crate::price::{Tier, TokenCounts};
use crate::rule::ChargeKind;
use crate::subject::Trust;
use crate::time::Timestamp;

/// The secret under which ids are hashed, made once for each journal. With it nobody outside can craft
/// two ids that collide.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdKey(pub [u64; 2]);

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey(…)")
    }
}

impl IdKey {
    /// SipHash-1-3 with 128 bits of output over length-prefixed parts.
    #[must_use]
    pub fn digest<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.0[0], self.0[1]);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish128().as_u128()
    }
}

/// The idempotency key of a usage: the keyed digest of its source and the id it has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FactId(pub u128);

impl FactId {
    /// The id of the usage called `key` by `source`. Another source's equal key is another id.
    #[must_use]
    pub fn of(secret: &IdKey, source: &str, key: &str) -> Self {
        Self(secret.digest([source.as_bytes(), key.as_bytes()]))
    }
}

impl fmt::Display for FactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Everything about a usage that decides who pays and at which price. Owned form, as kept in a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `aws.bedrock`, `aws.ec2`, …
    pub provider: Box<str>,
    /// AWS account id, or empty.
    pub account: Box<str>,
    /// Region in which the call was made, or empty.
    pub region: Box<str>,
    /// Region that served it, where it was rerouted, or empty.
    pub served_region: Box<str>,
    /// Model id in any form the vendor writes; for instance time the instance type.
    pub model: Box<str>,
    /// Caller's identity as the vendor recorded it (an ARN), or empty.
    pub principal: Box<str>,
    /// Service tier.
    pub tier: Tier,
    /// EC2 capacity type (`spot`, `on-demand`) for instance time, or empty.
    pub capacity: Box<str>,
    /// How far to believe the fields above as to who pays: `Trusted` in a vendor's own record, `Asserted`
    /// where an event says them of itself. They decide the price in both.
    pub record: Trust,
    /// Fields with their trust as the source itself can vouch for them: a token's scope is trusted, what
    /// an event or requestMetadata says is asserted. Name, value, trust.
    pub claims: Vec<(Box<str>, Box<str>, Trust)>,
}

/// The same, borrowed from the bytes that are being parsed.
#[derive(Clone, Debug, Default)]
pub struct OriginRef<'a> {
    /// See [`Origin::provider`].
    pub provider: &'a str,
    /// See [`Origin::account`].
    pub account: &'a str,
    /// See [`Origin::region`].
    pub region: &'a str,
    /// See [`Origin::served_region`].
    pub served_region: &'a str,
    /// See [`Origin::model`].
    pub model: &'a str,
    /// See [`Origin::principal`].
    pub principal: &'a str,
    /// See [`Origin::tier`].
    pub tier: Tier,
    /// See [`Origin::capacity`].
    pub capacity: &'a str,
    /// See [`Origin::record`].
    pub record: Trust,
    /// See [`Origin::claims`].
    pub claims: &'a [(&'a str, &'a str, Trust)],
}

impl OriginRef<'_> {
    fn digest(&self, secret: &IdKey, source: &str) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(secret.0[0], secret.0[1]);
        let mut put = |part: &str| {
            hasher.write_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
            hasher.write(part.as_bytes());
        };
        for part in [
            source,
            self.provider,
            self.account,
            self.region,
            self.served_region,
            self.model,
            self.principal,
            self.capacity,
        ] {
            put(part);
        }
        for (name, value, trust) in self.claims {
            put(name);
            put(value);
            put(if *trust == Trust::Trusted { "t" } else { "a" });
        }
        hasher.write_u8(self.record as u8);
        hasher.write_u8(self.tier as u8);
        hasher.finish128().as_u128()
    }

    fn to_owned(&self) -> Origin {
        Origin {
            provider: self.provider.into(),
            account: self.account.into(),
            region: self.region.into(),
            served_region: self.served_region.into(),
            model: self.model.into(),
            principal: self.principal.into(),
            tier: self.tier,
            capacity: self.capacity.into(),
            record: self.record,
            claims: self.claims.iter().map(|(n, v, t)| ((*n).into(), (*v).into(), *t)).collect(),
        }
    }
}

/// A digest as four words: half the size in a table, since it then needs no padding.
#[expect(clippy::cast_possible_truncation, reason = "the digest is cut into words on purpose")]
pub(crate) const fn words(digest: u128) -> [u32; 4] {
    [digest as u32, (digest >> 32) as u32, (digest >> 64) as u32, (digest >> 96) as u32]
}

/// What was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quantities {
    /// Tokens by disjoint class.
    Tokens(TokenCounts),
    /// Time on an instance, charged by the hour.
    Instance(InstanceUse),
    /// Something that this version cannot price (images, seconds, queries): counted, `unpriced`.
    Other(u64),
    /// A call that used nothing (an error): counted, no charge.
    Nothing,
    /// What a vendor billed: the amount is in the fact, and no price is asked for.
    Billed(Billed),
}

/// A line of a vendor's bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Billed {
    /// What was billed, from 0 on.
    pub amount: Money,
    /// What kind of charge it is, for the rules that count only some kinds.
    pub kind: ChargeKind,
}

/// A stretch of time on an instance or a share of its GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceUse {
    /// From.
    pub start: Timestamp,
    /// Until.
    pub end: Timestamp,
    /// Share of the instance in thousandths.
    pub share_milli: u32,
}

/// Where in its source a usage stood: proof that it is new although its id is beyond the dedupe horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Index of the file in [`UsageBatch::files`].
    pub file: u32,
    /// Byte offset of the record's end in the (decompressed) file.
    pub end: u64,
}

/// Files of a source that it has not seen for long, and does not expect back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesGone {
    /// Name of the source.
    pub source: Box<str>,
    /// Their names, as in [`UsageBatch::files`].
    pub files: Vec<Box<str>>,
}

/// Bits that say how sure the figures are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageFlags(pub u16);

impl UsageFlags {
    /// Cache writes had no TTL split; the default was assumed.
    pub const SPLIT_ASSUMED: Self = Self(1);
    /// Whether input includes cached tokens was assumed.
    pub const CONVENTION_ASSUMED: Self = Self(2);
    /// The price is from another region or was rounded.
    pub const PRICE_APPROXIMATE: Self = Self(4);
    /// It came after its window had closed, or older than the on-time limit.
    pub const LATE: Self = Self(8);
    /// The tier's rate was missing; the default tier's was taken.
    pub const TIER_ASSUMED: Self = Self(16);
    /// Neither the record's header nor its body told the cache counts.
    pub const CACHE_UNKNOWN: Self = Self(32);

    /// The call is under way: reserved, not spent.
    pub const PENDING: Self = Self(64);
    /// The call came to nothing: its reservation is taken back.
    pub const VOIDED: Self = Self(128);

    /// Both sets of bits.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One usage, a row of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Idempotency key.
    pub id: FactId,
    /// Hash of the content: the same id with other content is a conflict.
    pub content: u32,
    /// Index into [`UsageBatch::origins`].
    pub origin: u32,
    /// Start of the raw id in [`UsageBatch::keys`].
    pub key: u32,
    /// Length of the raw id.
    pub key_len: u16,
    /// How sure the figures are.
    pub flags: UsageFlags,
    /// When the usage happened; decides its window.
    pub occurred_at: Timestamp,
    /// What was used.
    pub quantities: Quantities,
    /// Its place in the source, where there is one.
    pub position: Option<Position>,
}

/// Usage from one source, in the order in which the source gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageBatch {
    /// Name of the source (`bedrock-log`, or the token's source).
    pub source: Box<str>,
    /// The source has not yet reached its watermark: add up, but let nothing here trip.
    pub catching_up: bool,
    /// Distinct origins.
    pub origins: Vec<Origin>,
    /// Digest of each origin, in the same order.
    pub digests: Vec<u128>,
    /// Raw ids, one after another.
    pub keys: String,
    /// Names of the files that positions point into.
    pub files: Vec<Box<str>>,
    /// Further ids of one usage (row, id): if one of them was seen under this source, it is a duplicate.
    pub links: Vec<(u32, FactId)>,
    /// The rows.
    pub rows: Vec<Usage>,
}

impl UsageBatch {
    /// The raw id of a row.
    #[must_use]
    pub fn key_of(&self, row: &Usage) -> &str {
        let start = row.key as usize;
        self.keys.get(start..start + usize::from(row.key_len)).unwrap_or("")
    }
}

/// One usage to be put into a batch, borrowed.
#[derive(Clone, Debug)]
pub struct UsageRef<'a> {
    /// The id that the source gave it.
    pub key: &'a str,
    /// See [`Usage::occurred_at`].
    pub occurred_at: Timestamp,
    /// See [`Usage::quantities`].
    pub quantities: Quantities,
    /// See [`Usage::flags`].
    pub flags: UsageFlags,
    /// Who and what.
    pub origin: OriginRef<'a>,
    /// End offset of the record in the current file, where the source has files.
    pub end: Option<u64>,
    /// Further ids of the same usage.
    pub links: &'a [&'a str],
}

/// Builds a batch, interning as it goes.
#[derive(Debug)]
pub struct UsageBatchBuilder {
    secret: IdKey,
    batch: UsageBatch,
    known: HashMap<u128, u32, foldhash::fast::FixedState>,
}

impl UsageBatchBuilder {
    /// An empty batch of that source.
    #[must_use]
    pub fn new(secret: IdKey, source: &str, catching_up: bool) -> Self {
        let batch = UsageBatch { source: source.into(), catching_up, ..UsageBatch::default() };
        Self { secret, batch, known: HashMap::default() }
    }

    /// Names the file that the rows pushed from now on stand in.
    pub fn file(&mut self, name: &str) {
        self.batch.files.push(name.into());
    }

    /// Rows so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.rows.len()
    }

    /// Whether there is no row yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.rows.is_empty()
    }

    /// Adds one usage. Keys over 65,535 bytes are cut (their id is still of the whole).
    pub fn push(&mut self, usage: &UsageRef<'_>) {
        let digest = usage.origin.digest(&self.secret, &self.batch.source);
        let next = u32::try_from(self.batch.origins.len()).unwrap_or(u32::MAX);
        let origin = *self.known.entry(digest).or_insert(next);
        if origin == next {
            self.batch.origins.push(usage.origin.to_owned());
            self.batch.digests.push(digest);
        }
        let row = u32::try_from(self.batch.rows.len()).unwrap_or(u32::MAX);
        for link in usage.links {
            self.batch.links.push((row, FactId::of(&self.secret, &self.batch.source, link)));
        }
        let key = u32::try_from(self.batch.keys.len()).unwrap_or(u32::MAX);
        let kept = usage.key.floor_char_boundary(usize::from(u16::MAX));
        self.batch.keys.push_str(&usage.key[..kept]);
        let file = u32::try_from(self.batch.files.len().saturating_sub(1)).unwrap_or(0);
        self.batch.rows.push(Usage {
            id: FactId::of(&self.secret, &self.batch.source, usage.key),
            content: content_hash(digest, usage),
            origin,
            key,
            key_len: u16::try_from(kept).unwrap_or(u16::MAX),
            flags: usage.flags,
            occurred_at: usage.occurred_at,
            quantities: usage.quantities,
            position: usage.end.map(|end| Position { file, end }),
        });
    }

    /// The batch so far; the builder is empty again, for the same source.
    #[must_use]
    pub fn finish(&mut self) -> UsageBatch {
        self.known.clear();
        let fresh = UsageBatch {
            source: self.batch.source.clone(),
            catching_up: self.batch.catching_up,
            files: self.batch.files.last().cloned().into_iter().collect(),
            ..UsageBatch::default()
        };
        std::mem::replace(&mut self.batch, fresh)
    }

    /// From now on the source has reached its watermark (or not).
    pub fn set_catching_up(&mut self, catching_up: bool) {
        self.batch.catching_up = catching_up;
    }
}

/// 32 bits over what the usage says of itself: enough to tell a conflict from a duplicate, since the id
/// beside it already matched in 128.
fn content_hash(origin: u128, usage: &UsageRef<'_>) -> u32 {
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(0, 0);
    hasher.write_u128(origin);
    hasher.write_i64(usage.occurred_at.millis());
    match usage.quantities {
        Quantities::Tokens(t) => {
            for n in [t.input, t.cache_read, t.cache_write_5m, t.cache_write_1h, t.output] {
                hasher.write_u64(n);
            }
        }
        Quantities::Instance(i) => {
            hasher.write_i64(i.start.millis());
            hasher.write_i64(i.end.millis());
            hasher.write_u32(i.share_milli);
        }
        Quantities::Other(n) => hasher.write_u64(n),
        Quantities::Nothing => hasher.write_u8(0),
        Quantities::Billed(b) => {
            hasher.write_i128(b.amount.picos());
            hasher.write_u8(b.kind as u8);
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the hash wanted")]
    let low = hasher.finish() as u32;
    low
}

/// What the engine made of one usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UsageOutcome {
    /// Added.
    Accepted,
    /// Seen before with the same content; nothing changed.
    Duplicate,
    /// Seen before with other content; nothing changed, counted and shown.
    Conflict,
    /// Not added, and why. It goes to the dead letters with its price, where it has one.
    Refused(RefusedReason),
}

/// Why a usage was not added. A closed list: each has its counter and its line in the docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RefusedReason {
    /// Its time is more than five minutes ahead of the clock.
    TooFarAhead,
    /// It is older than the dedupe horizon and its source cannot prove that it is new.
    TooLate,
    /// Its counts are beyond what one call can use.
    AbsurdCount,
}

impl RefusedReason {
    /// The word in metrics, dead letters and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooFarAhead => "too_far_ahead",
            Self::TooLate => "too_late",
            Self::AbsurdCount => "absurd_count",
        }
    }
}
