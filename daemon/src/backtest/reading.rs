//! From files to rows, on all cores.
//!
//! One thread reads and cuts text where a record ends, as many as there are cores parse, and the one that asked
//! puts the rows into the sort, in the order of the files whatever thread was first. Each hand-over is bounded,
//! so memory does not grow with the files.

use std::error::Error as _;
use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use collector::billing::{self, Bill, LeftOut};
use collector::deadletter::Reason;
use collector::recorded::{Form, Reader, Wrong};
use policy::fact::{Fact, IdKey, UsageBatch, UsageBatchBuilder};
use policy::inventory::InventoryChange;
use policy::time::Timestamp;

use super::gather::{Gathered, Gatherer, Order};
use super::inputs::{Input, Kind, Passed, open};
use super::sorted::SortError;
use crate::journal;

/// Bytes of text that are handed over at a time.
const BLOCK: usize = 4 << 20;
/// Bytes without the end of a record after which they are given up.
const MOST_RECORD: usize = 64 << 20;
/// Rows of a bill that are handed over at a time.
const ROWS: usize = 4_096;
/// What waits before and after each thread that parses.
const WAITING: usize = 2;

/// What is asked of the reading.
#[derive(Clone, Debug)]
pub struct How {
    /// The secret of ids: the journal's, where there is one.
    pub id_key: IdKey,
    /// The order of the rows.
    pub order: Order,
    /// What events say of themselves counts as trusted.
    pub believed: bool,
    /// Bytes that sorted rows may take in memory.
    pub memory: usize,
    /// Threads that parse.
    pub threads: usize,
}

/// Something to parse, or parsed already.
enum Work {
    Text { file: usize, at: u64, form: Form, text: Vec<u8> },
    Parsed(Box<Parsed>),
}

impl Work {
    fn parsed(parsed: Parsed) -> Self {
        Self::Parsed(Box::new(parsed))
    }
}

/// A stretch of an input as rows.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// Number of its input.
    pub file: usize,
    /// The rows.
    pub batch: UsageBatch,
    /// What was not taken, by its place in the stretch.
    pub wrong: Vec<Wrong>,
    /// Where the stretch begins.
    pub at: u64,
    /// When it reached the daemon, where that is known.
    pub arrived: Option<Timestamp>,
    /// What existed, as the journal has it.
    pub inventory: Vec<InventoryChange>,
    /// Rows of a bill that are no usage, at its end.
    pub left_out: Option<LeftOut>,
}

/// Reads all inputs. `watch` is called now and then.
///
/// # Errors
/// When the file of sorted rows cannot be written. What is wrong with an input is told in its letters.
pub fn read(
    inputs: &[Input],
    how: &How,
    passed: &Passed,
    watch: &mut dyn FnMut(),
) -> Result<Gathered, SortError> {
    let mut gatherer = Gatherer::new(inputs, how);
    thread::scope(|scope| {
        let (mut to, mut from) = (Vec::new(), Vec::new());
        for _ in 0..how.threads.max(1) {
            let (work, todo) = sync_channel(WAITING);
            let (done, parsed) = sync_channel(WAITING);
            scope.spawn(move || parse_all(&todo, &done, how));
            to.push(work);
            from.push(parsed);
        }
        scope.spawn(move || {
            let mut out = Out { to, next: 0 };
            for (file, input) in inputs.iter().enumerate() {
                if read_input(file, input, how, passed, &mut out).is_none() {
                    return; // nobody wants more
                }
            }
        });
        // Each in its turn: the first that has no more is the last of all.
        for turn in (0..from.len()).cycle() {
            match from[turn].recv() {
                Ok(parsed) => {
                    gatherer.take(parsed)?;
                    watch();
                }
                Err(_) => break,
            }
        }
        Ok::<(), SortError>(())
    })?;
    Ok(gatherer.done())
}

/// Hands work to the threads in turn.
struct Out {
    to: Vec<SyncSender<Work>>,
    next: usize,
}

impl Out {
    /// `None` when nobody wants more.
    fn send(&mut self, work: Work) -> Option<()> {
        let turn = self.next % self.to.len();
        self.next += 1;
        self.to[turn].send(work).ok()
    }

    fn tell(&mut self, file: usize, at: u64, reason: Reason, detail: String) -> Option<()> {
        let wrong = vec![Wrong { at: 0, reason, detail }];
        self.send(Work::parsed(Parsed { file, at, wrong, ..Parsed::default() }))
    }
}

fn parse_all(todo: &Receiver<Work>, done: &SyncSender<Parsed>, how: &How) {
    let readers = |form: Form| {
        (Reader::new(form, how.believed), UsageBatchBuilder::new(how.id_key, form.source(), false))
    };
    let mut bedrock = readers(Form::Bedrock);
    let mut events = readers(Form::Events);
    for work in todo {
        let parsed = match work {
            Work::Parsed(parsed) => *parsed,
            Work::Text { file, at, form, text } => {
                let (reader, batch) = match form {
                    Form::Bedrock => &mut bedrock,
                    Form::Events => &mut events,
                };
                let mut wrong = Vec::new();
                reader.read(&text, batch, &mut wrong);
                Parsed { file, at, batch: batch.finish(), wrong, ..Parsed::default() }
            }
        };
        if done.send(parsed).is_err() {
            return;
        }
    }
}

fn read_input(file: usize, input: &Input, how: &How, passed: &Passed, out: &mut Out) -> Option<()> {
    let unreadable = |error: &dyn std::error::Error| format!("cannot be read: {error}");
    match &input.kind {
        Err(why) => out.tell(file, 0, Reason::NotARecord, why.clone()),
        Ok(Kind::Journal) => read_journal(file, input, passed, out),
        Ok(kind) => match (kind, open(&input.path, passed)) {
            (_, Err(error)) => out.tell(file, 0, Reason::Unreadable, unreadable(&error)),
            (Kind::Records(form), Ok(text)) => read_text(file, *form, text, out),
            (_, Ok(text)) => read_bill(file, input, text, how, out),
        },
    }
}

/// Cuts text where a record ends: before a brace that begins a line.
fn read_text(file: usize, form: Form, mut text: Box<dyn Read + Send>, out: &mut Out) -> Option<()> {
    let (mut block, mut at) = (Vec::new(), 0_u64);
    loop {
        let known = block.len();
        block.resize(known + BLOCK, 0);
        let end = match fill(&mut text, &mut block[known..]) {
            Ok(count) => {
                block.truncate(known + count);
                if count == 0 { Some(None) } else { None }
            }
            Err((count, error)) => {
                block.truncate(known + count);
                Some(Some(error.to_string()))
            }
        };
        if let Some(failure) = end {
            let length = block.len() as u64;
            out.send(Work::Text { file, at, form, text: block })?;
            return failure.map_or(Some(()), |why| out.tell(file, at + length, Reason::CutOff, why));
        }
        if let Some(cut) = last_end(&block, known) {
            let rest = block.split_off(cut);
            let length = block.len() as u64;
            out.send(Work::Text { file, at, form, text: std::mem::replace(&mut block, rest) })?;
            at += length;
        } else if block.len() >= MOST_RECORD {
            let why = format!("no record ends within {} MiB; write one object a line", MOST_RECORD >> 20);
            out.tell(file, at, Reason::TooLarge, why)?;
            at += block.len() as u64;
            block.clear();
        }
    }
}

/// Reads until the buffer is full or there is no more; with an error, how much came before it.
fn fill(text: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, (usize, std::io::Error)> {
    let mut count = 0;
    while count < buffer.len() {
        match text.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err((count, error)),
        }
    }
    Ok(count)
}

/// Where the last record of a text ends that another one follows; before `known` there is none.
fn last_end(text: &[u8], known: usize) -> Option<usize> {
    let from = known.saturating_sub(1);
    text[from..].windows(2).rposition(|pair| pair == b"\n{").map(|at| from + at + 1)
}

fn read_bill(file: usize, input: &Input, text: Box<dyn Read + Send>, how: &How, out: &mut Out) -> Option<()> {
    let name = input.path.display().to_string();
    let mut bill = match Bill::new(&name, text) {
        Ok(bill) => bill,
        Err(error) => return out.tell(file, 1, Reason::NotARecord, error.to_string()),
    };
    let mut batch = UsageBatchBuilder::new(how.id_key, billing::SOURCE, false);
    loop {
        let mut wrong = Vec::new();
        let more = match bill.read(ROWS, &mut batch, &mut wrong) {
            Ok(more) => more,
            Err(error) => {
                let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                wrong.push(Wrong { at: bill.line(), reason: Reason::CutOff, detail: why });
                false
            }
        };
        let left_out = (!more).then(|| bill.left_out().clone());
        out.send(Work::parsed(Parsed { file, batch: batch.finish(), wrong, left_out, ..Parsed::default() }))?;
        if !more {
            return Some(());
        }
    }
}

/// What the daemon took in, turn by turn: usage, and what existed. What people and receipts said is not
/// repeated, and neither are the rules of then.
fn read_journal(file: usize, input: &Input, passed: &Passed, out: &mut Out) -> Option<()> {
    let turns = journal::Reader::of(&input.path).map(|reader| reader.turns_after(0));
    let turns = match turns {
        Ok(turns) => turns,
        Err(error) => return out.tell(file, 0, Reason::Unreadable, error.to_string()),
    };
    for turn in turns {
        let turn = match turn {
            Ok(turn) => turn,
            Err(error) => return out.tell(file, 0, Reason::Unreadable, error.to_string()),
        };
        let arrived = Some(turn.clock.wall);
        for fact in turn.facts {
            match fact {
                Fact::Usage(batch) => {
                    passed.add(batch.rows.len() as u64 * 64); // about what a row takes there
                    out.send(Work::parsed(Parsed { file, batch, arrived, ..Parsed::default() }))?;
                }
                Fact::Inventory(change) => {
                    let inventory = vec![change];
                    out.send(Work::parsed(Parsed { file, arrived, inventory, ..Parsed::default() }))?;
                }
                _ => {}
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_only_where_a_record_ends() {
        assert_eq!(last_end(b"{\"a\":1}\n{\"b\":2}\n{\"c\"", 0), Some(16));
        assert_eq!(last_end(b"{\n \"a\": {\n }}\n", 0), None);
        assert_eq!(last_end(b"", 0), None);
        // What was looked at before is not looked at again, but for a line break at its end.
        assert_eq!(last_end(b"{}\n{\"b", 3), Some(3));
        assert_eq!(last_end(b"{}\n{\"b", 4), None);
    }
}
