//! An external sort: any number of rows in order, within a bound of memory.
//!
//! Rows are gathered, sorted and laid down as runs: in memory as far as the bound goes, else in one file that
//! has no name any more and is gone when the command ends, however it ends. Then the runs are merged. Rows of
//! the same instant keep the order in which they came.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use policy::time::Timestamp;

use super::row::{self, Row, Torn};

/// Bytes of rows that are sorted at a time.
const RUN: usize = 32 << 20;
/// Bytes of a run in the file that are read at a time.
const WINDOW: usize = 256 << 10;

/// Why there is no order.
#[derive(Debug, thiserror::Error)]
pub enum SortError {
    /// The file beside the memory.
    #[error("cannot {what} the file of sorted rows in `{folder}`: set TMPDIR to a folder with room")]
    File {
        /// What could not be done.
        what: &'static str,
        /// Its folder.
        folder: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// See [`Torn`].
    #[error(transparent)]
    Torn(#[from] Torn),
}

#[derive(Debug)]
enum Run {
    Here(Vec<u8>),
    There { from: u64, length: u64 },
}

/// Gathers rows.
#[derive(Debug)]
pub struct Sorter {
    rows: Vec<u8>,
    /// Where each row stands in the order, and where its bytes begin and end.
    index: Vec<(Timestamp, u32, u32)>,
    runs: Vec<Run>,
    kept: usize,
    most: usize,
    run: usize,
    file: Option<File>,
    written: u64,
    /// Rows so far.
    pub count: u64,
    /// The first and the last instant.
    pub span: Option<(Timestamp, Timestamp)>,
}

impl Sorter {
    /// One that keeps at most so many bytes of sorted rows in memory, besides those that it sorts.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self {
            rows: Vec::new(),
            index: Vec::new(),
            runs: Vec::new(),
            kept: 0,
            most,
            run: RUN,
            file: None,
            written: 0,
            count: 0,
            span: None,
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn push(&mut self, row: &Row<'_>) -> Result<(), SortError> {
        let from = offset(self.rows.len());
        row::write(row, &mut self.rows);
        self.index.push((row.at, from, offset(self.rows.len())));
        self.count += 1;
        let (first, last) = self.span.unwrap_or((row.at, row.at));
        self.span = Some((first.min(row.at), last.max(row.at)));
        if self.rows.len() >= self.run { self.lay_down() } else { Ok(()) }
    }

    /// Bytes in the file.
    #[must_use]
    pub const fn spilled(&self) -> u64 {
        self.written
    }

    fn lay_down(&mut self) -> Result<(), SortError> {
        if self.index.is_empty() {
            return Ok(());
        }
        let run = match self.index.is_sorted_by_key(|(at, ..)| *at) {
            true => std::mem::take(&mut self.rows),
            false => {
                self.index.sort_by_key(|(at, ..)| *at);
                let mut run = Vec::with_capacity(self.rows.len());
                for (_, from, to) in &self.index {
                    run.extend_from_slice(&self.rows[*from as usize..*to as usize]);
                }
                self.rows.clear();
                run
            }
        };
        self.index.clear();
        if self.kept + run.len() <= self.most {
            self.kept += run.len();
            self.runs.push(Run::Here(run));
            return Ok(());
        }
        if self.file.is_none() {
            self.file = Some(nameless(&std::env::temp_dir())?);
        }
        if let Some(file) = &self.file {
            file.write_all_at(&run, self.written).map_err(failed("write"))?;
        }
        let length = run.len() as u64;
        self.runs.push(Run::There { from: self.written, length });
        self.written += length;
        // Its room is used again.
        if self.rows.capacity() == 0 {
            self.rows = run;
            self.rows.clear();
        }
        Ok(())
    }

    /// All rows, in order.
    ///
    /// # Errors
    /// When the file cannot be written or read.
    pub fn merge(mut self) -> Result<Merge, SortError> {
        self.lay_down()?;
        let mut merge = Merge { runs: Vec::new(), file: self.file, heap: BinaryHeap::new(), last: None };
        for run in self.runs {
            let cursor = match run {
                Run::Here(bytes) => Cursor { bytes, at: 0, from: 0, left: 0 },
                Run::There { from, length } => Cursor { bytes: Vec::new(), at: 0, from, left: length },
            };
            merge.runs.push(cursor);
            merge.enter(merge.runs.len() - 1)?;
        }
        Ok(merge)
    }
}

/// A run of 32 MiB and one row more fits.
fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> SortError {
    move |source| SortError::File { what, folder: std::env::temp_dir().display().to_string(), source }
}

/// A file without a name: nothing is left of it, whatever becomes of the process.
fn nameless(folder: &Path) -> Result<File, SortError> {
    let path =
        folder.join(format!("breakerbox-backtest-{}-{:?}", std::process::id(), std::thread::current().id()));
    let _ = std::fs::remove_file(&path);
    let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(failed("make"))?;
    std::fs::remove_file(&path).map_err(failed("unlink"))?;
    Ok(file)
}

/// One run as it is read.
#[derive(Debug)]
struct Cursor {
    bytes: Vec<u8>,
    at: usize,
    from: u64,
    left: u64,
}

impl Cursor {
    /// Reads on where less than a row may be left.
    fn fill(&mut self, file: Option<&File>) -> Result<(), SortError> {
        if self.left == 0 {
            return Ok(());
        }
        self.bytes.drain(..self.at);
        self.at = 0;
        let kept = self.bytes.len();
        let more = usize::try_from(self.left).unwrap_or(usize::MAX).min(WINDOW);
        self.bytes.resize(kept + more, 0);
        let file = file.ok_or(Torn)?;
        file.read_exact_at(&mut self.bytes[kept..], self.from).map_err(failed("read"))?;
        self.from += more as u64;
        self.left -= more as u64;
        Ok(())
    }

    fn is_at_end(&self) -> bool {
        self.at == self.bytes.len() && self.left == 0
    }
}

/// The rows in order.
#[derive(Debug)]
pub struct Merge {
    runs: Vec<Cursor>,
    file: Option<File>,
    heap: BinaryHeap<Reverse<(Timestamp, usize, usize)>>,
    /// Run of the row that was given last, and its bytes: it is gone with the next.
    last: Option<(usize, usize)>,
}

impl Merge {
    /// Puts the next row of a run into the order.
    fn enter(&mut self, run: usize) -> Result<(), SortError> {
        let cursor = &mut self.runs[run];
        if cursor.bytes.len() - cursor.at < row::HEAD {
            cursor.fill(self.file.as_ref())?;
        }
        if cursor.is_at_end() {
            cursor.bytes = Vec::new();
            cursor.at = 0;
            return Ok(());
        }
        let (at, length) = row::head(&cursor.bytes[cursor.at..])?;
        while cursor.bytes.len() - cursor.at < length && cursor.left > 0 {
            cursor.fill(self.file.as_ref())?;
        }
        self.heap.push(Reverse((at, run, length)));
        Ok(())
    }

    /// The next row.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next(&mut self) -> Result<Option<Row<'_>>, SortError> {
        if let Some((run, taken)) = self.last.take() {
            self.runs[run].at += taken;
            self.enter(run)?;
        }
        let Some(Reverse((_, run, length))) = self.heap.pop() else { return Ok(None) };
        self.last = Some((run, length));
        let cursor = &self.runs[run];
        Ok(Some(row::read(&cursor.bytes[cursor.at..])?))
    }
}

#[cfg(test)]
mod tests {
    use policy::fact::{FactId, Quantities, Usage, UsageFlags};

    use super::super::row::Whose;
    use super::*;

    /// So many rows in a jumbled order, each with its number as its key.
    fn jumble(sorter: &mut Sorter, count: u64) {
        for n in 0..count {
            let at = Timestamp::from_millis(i64::try_from(n * 7_919 % count / 3).unwrap());
            let usage = Usage {
                id: FactId(u128::from(n)),
                content: 0,
                origin: 0,
                key: 0,
                key_len: 0,
                flags: UsageFlags::default(),
                occurred_at: at,
                quantities: Quantities::Nothing,
                position: None,
            };
            let (key, whose) = (format!("{n:0>200}"), Whose::Known(0));
            sorter.push(&Row { at, source: 0, whose, usage, key: &key, links: vec![] }).unwrap();
        }
    }

    fn drain(sorter: Sorter) -> Vec<(Timestamp, u64)> {
        let mut merge = sorter.merge().unwrap();
        let mut all = Vec::new();
        while let Some(row) = merge.next().unwrap() {
            all.push((row.at, row.key.trim_start_matches('0').parse().unwrap_or(0)));
        }
        all
    }

    #[test]
    fn rows_come_out_in_order_and_as_they_came_within_an_instant_in_memory_and_from_the_file() {
        const COUNT: u64 = 4_000;
        const RUN: usize = 100_000;
        let mut expected: Vec<(Timestamp, u64)> = (0..COUNT)
            .map(|n| (Timestamp::from_millis(i64::try_from(n * 7_919 % COUNT / 3).unwrap()), n))
            .collect();
        expected.sort();
        for most in [0, RUN * 5 / 2, usize::MAX] {
            let mut sorter = Sorter { run: RUN, ..Sorter::new(most) };
            jumble(&mut sorter, COUNT);
            assert!(sorter.runs.len() > 5, "{} runs", sorter.runs.len());
            assert_eq!(sorter.spilled() == 0, most == usize::MAX);
            assert_eq!(sorter.span.unwrap().0, Timestamp::from_millis(0));
            assert!(drain(sorter) == expected, "in memory: {most}");
        }
    }

    #[test]
    fn nothing_sorts_to_nothing() {
        assert_eq!(drain(Sorter::new(0)), []);
    }
}
