//! Which usage was already added: ids of 128 bits with a hash of the content beside each.
//!
//! Ids are forgotten when their event time is beyond the horizon; the engine then asks for a proof by
//! position. Forgetting is spread out: the table is cut into shards by id and each call of [`Seen::sweep`]
//! cleans one, so no fact waits for a whole table. An entry is 24 bytes without padding, since a million
//! of them must stay small.
//!
//! Where there are too many, the ids of the oldest hours go before their time. The memory then says since when
//! it knows all: what happened before that is treated as beyond the horizon, so nothing counts twice.

use std::collections::BTreeMap;

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::fact::{FactId, words};
use crate::time::Timestamp;

const SHARDS: usize = 64;
/// Cells that the shards share.
const CELLS: usize = 1504;
/// The shard of each cell. The last shard has twice the cells of the first, the others lie between: a table
/// doubles when it is full, and were all shards as large, all would be half empty at once.
const SHARD_OF: [u8; CELLS] = shards();
const HOUR: i64 = 3_600_000;

/// Four words of id, one of content, one of the hour of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry([u32; 6]);

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recall {
    /// Not seen before; now remembered.
    New,
    /// Seen with the same content.
    Duplicate,
    /// Seen with other content.
    Conflict,
}

/// The memory of ids.
#[derive(Clone, Debug)]
pub struct Seen {
    shards: Vec<HashTable<Entry>>,
    next_sweep: usize,
    /// Ids of earlier hours were forgotten before their time; 0 where none was.
    floor: u32,
}

impl Default for Seen {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect(), next_sweep: 0, floor: 0 }
    }
}

/// The id is a keyed hash already: half of it is as good a hash as any.
#[expect(clippy::cast_possible_truncation, reason = "the low half of the id")]
const fn hash(id: FactId) -> u64 {
    id.0 as u64
}

fn hash_of(entry: &Entry) -> u64 {
    u64::from(entry.0[0]) | (u64::from(entry.0[1]) << 32)
}

/// Hours since the epoch, cut to 32 bits (good until the year 491,000).
fn hour(at: Timestamp) -> u32 {
    u32::try_from(at.millis().div_euclid(HOUR)).unwrap_or(0)
}

const fn shards() -> [u8; CELLS] {
    let mut of = [0; CELLS];
    let (mut cell, mut shard) = (0, 0_u8);
    while cell < CELLS {
        let end = cell + 16 + shard as usize / 4;
        while cell < end {
            of[cell] = shard;
            cell += 1;
        }
        shard += 1;
    }
    assert!(shard as usize == SHARDS, "each cell has a shard and each shard its cells");
    of
}

impl Seen {
    /// Looks the id up and remembers it if it is new.
    pub fn recall(&mut self, id: FactId, content: u32, occurred_at: Timestamp) -> Recall {
        let [a, b, c, d] = words(id.0);
        let shard = &mut self.shards[Self::shard(id)];
        let found = shard.find(hash(id), |e| e.0[..4] == [a, b, c, d]);
        match found {
            Some(entry) if entry.0[4] == content => Recall::Duplicate,
            Some(_) => Recall::Conflict,
            None => {
                shard.insert_unique(hash(id), Entry([a, b, c, d, content, hour(occurred_at)]), hash_of);
                Recall::New
            }
        }
    }

    /// Whether the id is remembered.
    #[must_use]
    pub fn knows(&self, id: FactId) -> bool {
        let want = words(id.0);
        self.shards[Self::shard(id)].find(hash(id), |e| e.0[..4] == want).is_some()
    }

    /// Since when all ids are known that the horizon asks for; before that, some were forgotten.
    #[must_use]
    pub fn known_since(&self) -> Timestamp {
        match self.floor {
            0 => Timestamp::MIN,
            floor => Timestamp::from_millis(i64::from(floor) * HOUR),
        }
    }

    /// Where more than `most` are remembered, gives up the oldest hours of event time, so that an eighth of
    /// `most` is free again; never the current hour or the one before it, nor the last two that it knows of. Since
    /// when all are known is moved at once and given back; the sweeps then make the room.
    ///
    /// One shard stands for all: an id falls into any of them by chance.
    pub fn bound(&mut self, most: usize, now: Timestamp) -> Option<Timestamp> {
        if self.len() <= most {
            return None;
        }
        let mut hours: BTreeMap<u32, usize> = BTreeMap::new();
        for entry in self.shards[self.next_sweep].iter().filter(|e| e.0[5] >= self.floor) {
            *hours.entry(entry.0[5]).or_default() += 1;
        }
        let cells = SHARD_OF.iter().filter(|shard| usize::from(**shard) == self.next_sweep).count();
        let mut left = hours.values().sum::<usize>().saturating_mul(CELLS) / cells;
        if left <= most {
            return None; // the sweeps have not come round yet
        }
        let (newest, _) = hours.last_key_value()?;
        let keep = hour(now).min(*newest).saturating_sub(1);
        let before = self.floor;
        for (hour, ids) in hours.range(..keep) {
            if left <= most - most / 8 {
                break;
            }
            left = left.saturating_sub(ids.saturating_mul(CELLS) / cells);
            self.floor = hour + 1;
        }
        (self.floor > before).then(|| self.known_since())
    }

    /// Forgets, in one shard, what happened before `oldest`, and what [`Seen::bound`] gave up.
    pub fn sweep(&mut self, oldest: Timestamp) {
        let oldest = hour(oldest).max(self.floor);
        let shard = &mut self.shards[self.next_sweep];
        shard.retain(|e| e.0[5] >= oldest);
        if shard.capacity() > 4 * shard.len() + 64 {
            shard.shrink_to_fit(hash_of);
        }
        self.next_sweep = (self.next_sweep + 1) % SHARDS;
    }

    /// Ids remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(HashTable::len).sum()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(id: FactId) -> usize {
        // The top bits: the table itself uses the low ones.
        let top = usize::try_from(id.0 >> 112).unwrap_or(0);
        usize::from(SHARD_OF[(top * CELLS) >> 16])
    }
}

/// Sorted, so that equal memories give equal bytes whatever the order of insertion.
#[derive(Serialize, Deserialize)]
struct Flat {
    next_sweep: u8,
    floor: u32,
    entries: Vec<Entry>,
}

impl Serialize for Seen {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries: Vec<Entry> = self.shards.iter().flatten().copied().collect();
        entries.sort_unstable_by_key(|e| e.0);
        let next_sweep = u8::try_from(self.next_sweep).unwrap_or(0);
        Flat { next_sweep, floor: self.floor, entries }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let flat = Flat::deserialize(deserializer)?;
        let next_sweep = usize::from(flat.next_sweep) % SHARDS;
        let mut seen = Self { next_sweep, floor: flat.floor, ..Self::default() };
        for entry in flat.entries {
            let [a, b, c, d, ..] = entry.0;
            let id = u128::from(a) | u128::from(b) << 32 | u128::from(c) << 64 | u128::from(d) << 96;
            seen.shards[Self::shard(FactId(id))].insert_unique(hash_of(&entry), entry, hash_of);
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::IdKey;

    const KEY: IdKey = IdKey([7, 11]);

    #[test]
    fn the_same_id_is_a_duplicate_and_with_other_content_a_conflict() {
        let mut seen = Seen::default();
        let id = FactId::of(&KEY, "bedrock-log", "a");
        assert_eq!(seen.recall(id, 1, Timestamp::from_millis(0)), Recall::New);
        assert_eq!(seen.recall(id, 1, Timestamp::from_millis(0)), Recall::Duplicate);
        assert_eq!(seen.recall(id, 2, Timestamp::from_millis(0)), Recall::Conflict);
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn one_sources_id_never_takes_the_place_of_anothers() {
        let mut seen = Seen::default();
        seen.recall(FactId::of(&KEY, "forger", "acct:region:1"), 1, Timestamp::from_millis(0));
        let real = FactId::of(&KEY, "bedrock-log", "acct:region:1");
        assert_eq!(seen.recall(real, 2, Timestamp::from_millis(0)), Recall::New);
    }

    #[test]
    fn what_is_beyond_the_horizon_is_forgotten_shard_by_shard() {
        let mut seen = Seen::default();
        for n in 0..1000_u32 {
            let hours = i64::from(n % 100);
            seen.recall(FactId::of(&KEY, "s", &n.to_string()), 0, Timestamp::from_millis(hours * HOUR));
        }
        for _ in 0..SHARDS {
            seen.sweep(Timestamp::from_millis(52 * HOUR));
        }
        assert_eq!(seen.len(), 480, "hours 52 to 99, ten ids each");
    }

    #[test]
    fn beyond_the_bound_the_oldest_hours_go_first_and_the_last_two_never() {
        let mut seen = Seen::default();
        let at = |hours: u32| Timestamp::from_millis(i64::from(hours) * HOUR);
        for n in 0..100_000_u32 {
            seen.recall(FactId::of(&KEY, "s", &n.to_string()), 0, at(n % 100));
        }
        assert_eq!(seen.bound(100_000, at(99)), None);
        let since = seen.bound(80_000, at(99)).unwrap();
        assert!(since >= at(25) && since <= at(35), "about 70,000 stay: {since}");
        assert_eq!(seen.bound(80_000, at(99)), None, "the sweeps are under way");
        let bytes = postcard::to_stdvec(&seen).unwrap();
        assert_eq!(postcard::from_bytes::<Seen>(&bytes).unwrap().known_since(), since);
        for _ in 0..SHARDS {
            seen.sweep(Timestamp::MIN);
        }
        assert!(seen.len() > 64_000 && seen.len() < 76_000, "{}", seen.len());
        assert_eq!(seen.bound(10, at(99)), Some(at(98)));
        assert_eq!(seen.bound(10, at(99)), None, "however many the last two hours bring");
    }

    #[test]
    fn a_snapshot_remembers_the_same_in_the_same_bytes() {
        let (mut one, mut other) = (Seen::default(), Seen::default());
        let ids: Vec<FactId> = (0..500).map(|n: u32| FactId::of(&KEY, "s", &n.to_string())).collect();
        for id in &ids {
            one.recall(*id, 3, Timestamp::from_millis(0));
        }
        for id in ids.iter().rev() {
            other.recall(*id, 3, Timestamp::from_millis(0));
        }
        let bytes = postcard::to_stdvec(&one).unwrap();
        assert_eq!(bytes, postcard::to_stdvec(&other).unwrap());
        let mut back: Seen = postcard::from_bytes(&bytes).unwrap();
        assert!(ids.iter().all(|id| back.recall(*id, 3, Timestamp::from_millis(0)) == Recall::Duplicate));
    }
}
