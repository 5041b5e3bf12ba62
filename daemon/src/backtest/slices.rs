//! Rows in order to slices of time: what the engine takes in one step.
//!
//! A slice is of one source and at most ten seconds long, and none reaches over a minute, so that what falls due
//! at a minute is judged between two slices. Origins go along once and are named by number after that; so a
//! slice is a few copies, however many rows name the same caller.

use std::ops::Range;

use policy::fact::{Fact, FactId, Origin, Usage, UsageBatch};
use policy::time::{Span, Timestamp};

use super::row::{Row, Whose};
use super::sorted::{Merge, SortError};

/// Longest slice.
const LONGEST: Span = Span::from_secs(10);
/// Rows of a slice.
const MOST_ROWS: usize = 512;
/// Rows that are handed over together.
const BUNDLE: usize = 8_192;
/// Origins that a batch names before its table begins anew: the engine looks at the table in each step.
const TABLE: u32 = 1 << 14;
const MINUTE: i64 = 60_000;

/// A stretch of time of one source. Ranges are of the bundle that it is in.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Number of the source.
    pub source: u16,
    /// Where its first and its last row stand in the order.
    pub first: Timestamp,
    /// See `first`.
    pub last: Timestamp,
    /// The table of origins begins anew.
    pub anew: bool,
    rows: Range<usize>,
    keys: Range<usize>,
    links: Range<usize>,
    origins: Range<usize>,
}

/// Slices one after another, with what they are made of.
#[derive(Debug, Default)]
pub struct Bundle {
    /// In order.
    pub slices: Vec<Slice>,
    rows: Vec<Usage>,
    keys: String,
    links: Vec<(u32, FactId)>,
    origins: Vec<(Origin, u128)>,
}

impl Bundle {
    /// Rows in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn begin(&mut self, source: u16, at: Timestamp, anew: bool) {
        let (row, key) = (self.rows.len(), self.keys.len());
        let (link, origin) = (self.links.len(), self.origins.len());
        self.slices.push(Slice {
            source,
            first: at,
            last: at,
            anew,
            rows: row..row,
            keys: key..key,
            links: link..link,
            origins: origin..origin,
        });
    }
}

/// Cuts an order into bundles of slices.
#[derive(Debug)]
pub struct Slicer<'o> {
    merge: Merge,
    origins: &'o [(Origin, u128)],
    tables: Vec<Table>,
}

/// Which origins the batch of a source names already.
#[derive(Clone, Debug, Default)]
struct Table {
    /// By number of the origin: in which table it was named, and where.
    named: Vec<(u32, u32)>,
    number: u32,
    next: u32,
}

impl<'o> Slicer<'o> {
    /// Of these rows, whose origins stand there.
    #[must_use]
    pub fn new(merge: Merge, origins: &'o [(Origin, u128)], sources: usize) -> Self {
        let table = Table { named: Vec::new(), number: 1, next: 0 };
        Self { merge, origins, tables: vec![table; sources] }
    }

    /// The next bundle.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn next(&mut self) -> Result<Option<Bundle>, SortError> {
        let mut bundle = Bundle::default();
        bundle.rows.reserve(BUNDLE);
        while bundle.rows.len() < BUNDLE {
            let Some(row) = self.merge.next()? else { break };
            let Some(table) = self.tables.get_mut(usize::from(row.source)) else { continue };
            table.put(&row, self.origins, &mut bundle);
        }
        Ok((!bundle.is_empty()).then_some(bundle))
    }
}

impl Table {
    fn put(&mut self, row: &Row<'_>, origins: &[(Origin, u128)], bundle: &mut Bundle) {
        let full = self.next >= TABLE;
        if full {
            (self.number, self.next) = (self.number.wrapping_add(1), 0);
        }
        if full || !bundle.slices.last().is_some_and(|slice| goes_on(slice, row)) {
            bundle.begin(row.source, row.at, full);
        }
        let origin = self.name(row, origins, bundle);
        let Some(slice) = bundle.slices.last_mut() else { return };
        let number = u32::try_from(bundle.rows.len() - slice.rows.start).unwrap_or(u32::MAX);
        let key = u32::try_from(bundle.keys.len() - slice.keys.start).unwrap_or(u32::MAX);
        let key_len = u16::try_from(row.key.len()).unwrap_or(u16::MAX);
        bundle.keys.push_str(row.key);
        bundle.links.extend(row.links.iter().map(|id| (number, *id)));
        bundle.rows.push(Usage { origin, key, key_len, ..row.usage });
        slice.last = row.at;
        slice.rows.end = bundle.rows.len();
        slice.keys.end = bundle.keys.len();
        slice.links.end = bundle.links.len();
        slice.origins.end = bundle.origins.len();
    }

    /// The number that the batch has for the origin of a row; named now where it was not.
    fn name(&mut self, row: &Row<'_>, origins: &[(Origin, u128)], bundle: &mut Bundle) -> u32 {
        let own = match &row.whose {
            Whose::Known(known) => {
                let at = *known as usize;
                if self.named.len() <= at {
                    self.named.resize(at + 1, (0, 0));
                }
                let (table, number) = self.named[at];
                if table == self.number {
                    return number;
                }
                self.named[at] = (self.number, self.next);
                origins.get(at).cloned().unwrap_or_default()
            }
            Whose::Own(origin, digest) => ((**origin).clone(), *digest),
        };
        bundle.origins.push(own);
        self.next += 1;
        self.next - 1
    }
}

fn goes_on(slice: &Slice, row: &Row<'_>) -> bool {
    slice.source == row.source
        && slice.rows.len() < MOST_ROWS
        && row.at < slice.first.plus(LONGEST)
        && row.at.millis().div_euclid(MINUTE) == slice.first.millis().div_euclid(MINUTE)
}

/// The batches of the sources, filled again and again.
#[derive(Debug)]
pub struct Feeds(Vec<Fact>);

impl Feeds {
    /// One for each source.
    #[must_use]
    pub fn new(sources: &[Box<str>]) -> Self {
        let empty = |name: &str| Fact::Usage(UsageBatch { source: name.into(), ..UsageBatch::default() });
        Self(sources.iter().map(|name| empty(name)).collect())
    }

    /// A slice as the fact that it is.
    pub fn fill(&mut self, bundle: &Bundle, slice: &Slice) -> &[Fact] {
        let at = usize::from(slice.source);
        if let Some(Fact::Usage(batch)) = self.0.get_mut(at) {
            if slice.anew {
                batch.origins.clear();
                batch.digests.clear();
            }
            let origins = &bundle.origins[slice.origins.clone()];
            batch.origins.extend(origins.iter().map(|(origin, _)| origin.clone()));
            batch.digests.extend(origins.iter().map(|(_, digest)| *digest));
            batch.rows.clear();
            batch.rows.extend_from_slice(&bundle.rows[slice.rows.clone()]);
            batch.keys.clear();
            batch.keys.push_str(&bundle.keys[slice.keys.clone()]);
            batch.links.clear();
            batch.links.extend_from_slice(&bundle.links[slice.links.clone()]);
        }
        self.0.get(at).map_or(&[], std::slice::from_ref)
    }
}
