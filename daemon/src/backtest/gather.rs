//! Rows of all inputs into one order, each with its source and whose it is by number.

use std::collections::BTreeMap;

use collector::billing::LeftOut;
use hashbrown::HashMap;
use policy::fact::{Origin, Quantities, Usage, UsageBatch};
use policy::inventory::InventoryChange;
use policy::money::Money;
use policy::time::{Span, Timestamp};
use serde::Serialize;

use super::inputs::{Input, Kind};
use super::letters::Letters;
use super::reading::{How, Parsed};
use super::row::{Row, Whose};
use super::sorted::{SortError, Sorter};

/// Origins that are kept; those beyond go with their rows. A caller that writes a request's number into its
/// metadata makes one for each.
const MOST_ORIGINS: usize = 1 << 17;
/// A row that stands so far behind a younger one of its file was out of order, as the daemon sees it.
const BEHIND: Span = Span::from_mins(15);

/// In which order facts are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// In the order in which they happened, as if each had arrived at once.
    #[default]
    Time,
    /// As they stand in their files, each at the time of the youngest before it: as they arrived.
    File,
}

/// What was read of one input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileRead {
    /// Where.
    pub path: String,
    /// What it is.
    pub kind: &'static str,
    /// Rows taken from it.
    pub facts: u64,
    /// Of these, rows that stand more than fifteen minutes behind a younger one.
    pub behind: u64,
    #[serde(skip)]
    youngest: Timestamp,
}

/// Everything that was read.
#[derive(Debug)]
pub struct Gathered {
    /// The rows.
    pub rows: Sorter,
    /// Names of the sources, by their numbers.
    pub sources: Vec<Box<str>>,
    /// Origins by their numbers, each with its digest.
    pub origins: Vec<(Origin, u128)>,
    /// What existed, and when that was known.
    pub inventory: Vec<(Timestamp, InventoryChange)>,
    /// The inputs.
    pub files: Vec<FileRead>,
    /// What was not taken.
    pub letters: Letters,
    /// Rows of bills that are no usage.
    pub left_out: LeftOut,
    /// First and last instant at which something happened.
    pub happened: Option<(Timestamp, Timestamp)>,
}

/// Puts rows in their order.
pub(super) struct Gatherer {
    order: Order,
    by_line: Vec<bool>,
    known: HashMap<u128, u32>,
    source_numbers: BTreeMap<Box<str>, u16>,
    all: Gathered,
}

impl Gatherer {
    pub fn new(inputs: &[Input], how: &How) -> Self {
        let file = |input: &Input| FileRead {
            path: input.path.display().to_string(),
            kind: input.kind.as_ref().map_or("nothing known", |kind| kind.word()),
            facts: 0,
            behind: 0,
            youngest: Timestamp::MIN,
        };
        Self {
            order: how.order,
            by_line: inputs.iter().map(|input| input.kind == Ok(Kind::Bill)).collect(),
            known: HashMap::new(),
            source_numbers: BTreeMap::new(),
            all: Gathered {
                rows: Sorter::new(how.memory),
                sources: Vec::new(),
                origins: Vec::new(),
                inventory: Vec::new(),
                files: inputs.iter().map(file).collect(),
                letters: Letters::default(),
                left_out: LeftOut::new(),
                happened: None,
            },
        }
    }

    pub fn take(&mut self, parsed: Parsed) -> Result<(), SortError> {
        let path = &self.all.files[parsed.file].path;
        for wrong in &parsed.wrong {
            let place = || match self.by_line[parsed.file] {
                true => format!("{path}: line {}", (wrong.at).max(1)),
                false => format!("{path}: byte {}", parsed.at + wrong.at),
            };
            self.all.letters.add(place, wrong.reason.word(), &wrong.detail);
        }
        for (kind, (count, sum)) in parsed.left_out.into_iter().flatten() {
            let (all, total) = self.all.left_out.entry(kind).or_insert((0, Money::ZERO));
            (*all, *total) = (*all + count, total.saturating_add(sum));
        }
        let arrived = parsed.arrived;
        self.all.inventory.extend(parsed.inventory.into_iter().filter_map(|change| Some((arrived?, change))));
        self.take_batch(parsed.file, &parsed.batch, arrived)
    }

    fn take_batch(
        &mut self,
        file: usize,
        batch: &UsageBatch,
        arrived: Option<Timestamp>,
    ) -> Result<(), SortError> {
        if batch.rows.is_empty() {
            return Ok(());
        }
        let source = self.source(&batch.source);
        let numbers: Vec<Option<u32>> = batch
            .digests
            .iter()
            .zip(&batch.origins)
            .map(|(digest, origin)| self.number(*digest, origin))
            .collect();
        let mut links = batch.links.as_slice();
        for (number, usage) in batch.rows.iter().enumerate() {
            let own = links.partition_point(|(row, _)| (*row as usize) <= number);
            let (mine, rest) = links.split_at(own);
            links = rest;
            let origin = usage.origin as usize;
            let whose = match numbers.get(origin).copied().flatten() {
                Some(number) => Whose::Known(number),
                None => {
                    let own = batch.origins.get(origin).cloned().unwrap_or_default();
                    Whose::Own(Box::new(own), batch.digests.get(origin).copied().unwrap_or(0))
                }
            };
            let at = self.place(file, usage, arrived);
            let links = mine.iter().map(|(_, id)| *id).collect();
            let row = Row { at, source, whose, usage: *usage, key: batch.key_of(usage), links };
            self.all.rows.push(&row)?;
        }
        Ok(())
    }

    /// Where a row stands in the order.
    fn place(&mut self, file: usize, usage: &Usage, arrived: Option<Timestamp>) -> Timestamp {
        let at = usage.occurred_at;
        let file = &mut self.all.files[file];
        file.facts += 1;
        file.behind += u64::from(at < file.youngest.minus(BEHIND));
        file.youngest = file.youngest.max(arrived.unwrap_or(at));
        if !matches!(usage.quantities, Quantities::Nothing) {
            let (first, last) = self.all.happened.unwrap_or((at, at));
            self.all.happened = Some((first.min(at), last.max(at)));
        }
        match self.order {
            Order::Time => at,
            Order::File => file.youngest,
        }
    }

    fn source(&mut self, name: &str) -> u16 {
        if let Some(number) = self.source_numbers.get(name) {
            return *number;
        }
        let number = u16::try_from(self.all.sources.len()).unwrap_or(u16::MAX);
        self.all.sources.push(name.into());
        self.source_numbers.insert(name.into(), number);
        number
    }

    fn number(&mut self, digest: u128, origin: &Origin) -> Option<u32> {
        if let Some(number) = self.known.get(&digest) {
            return Some(*number);
        }
        if self.all.origins.len() >= MOST_ORIGINS {
            return None;
        }
        let number = u32::try_from(self.all.origins.len()).ok()?;
        self.all.origins.push((origin.clone(), digest));
        self.known.insert(digest, number);
        Some(number)
    }

    pub fn done(self) -> Gathered {
        self.all
    }
}
