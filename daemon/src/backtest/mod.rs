//! `breakerbox backtest`: on recorded spend, when each rule would have warned and tripped, what a stop would have
//! saved, how much over the limit would have been spent, and which trips look false.
//!
//! Records are read on all cores and brought into order within a bound of memory (`reading`, `sorted`); then
//! the daemon's own engine takes them on virtual time (`past`), a second one beside it where two rule sets are
//! compared. It touches no cluster, sends nothing and writes nothing but what it is asked to.
//!
//! What it cannot know: a stop would have changed what came after it, so what would have been saved is what was
//! spent, an upper bound; and the delay with which facts reach the daemon comes on top of what is over.

mod against;
mod beside;
mod curves;
pub mod findings;
pub mod gather;
mod html;
pub mod inputs;
pub mod letters;
mod past;
mod reading;
mod row;
mod slices;
mod sorted;
mod text;
mod trips;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use policy::fact::{IdKey, Settings};
use policy::rule::RuleSet;
use policy::time::Timestamp;
use serde::Serialize;

pub use against::Difference;
pub use html::page;
pub use text::{json, text};

use crate::journal;
use findings::{Findings, Record};
use gather::{Gathered, Order};
use inputs::{Input, InputError, Kind, Passed};
use past::{Frame, Past, RunError};
use slices::{Bundle, Slicer};
use sorted::SortError;

/// Bytes of sorted rows that are kept in memory; the rest goes to a file.
const MEMORY: usize = 256 << 20;
/// Bundles that wait for an engine.
const WAITING: usize = 4;

/// A rule set, and where it is from.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Its folder, for people.
    pub folder: String,
    /// The set.
    pub set: RuleSet,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Files and folders to read.
    pub inputs: Vec<PathBuf>,
    /// The rules.
    pub rules: Rules,
    /// Others to compare them with.
    pub against: Option<Rules>,
    /// In which order facts are taken.
    pub order: Order,
    /// What `usage.v1` events say of themselves counts as trusted.
    pub events_believed: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes of so many are read.
    Read(u64, u64),
    /// So many facts of so many are taken.
    Ran(u64, u64),
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was read.
    pub record: Record,
    /// What the rules would have done.
    pub findings: Findings,
    /// What the others would have done.
    pub against: Option<Findings>,
    /// Where they differ, in order.
    pub differences: Vec<Difference>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// What to read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The journal among it.
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
    /// The order.
    #[error(transparent)]
    Sort(#[from] SortError),
    /// The rules.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Nothing was read that could be counted.
    #[error("no usage was found in {files} file(s){}", first.as_ref().map(|why| format!("; the first that could not be read: {why}")).unwrap_or_default())]
    Nothing {
        /// How many files were looked at.
        files: usize,
        /// Place and reason of the first letter.
        first: Option<String>,
    },
}

/// Reads, runs and compares. `watch` is told how far it is.
///
/// # Errors
/// When there is nothing to read, no room to sort it in, or a rule set is not taken.
pub fn run(ask: &Ask, watch: &mut dyn FnMut(Progress)) -> Result<Report, BacktestError> {
    let inputs = inputs::find(&ask.inputs)?;
    let settings = settings(&inputs)?;
    let how = reading::How {
        id_key: settings.id_key,
        order: ask.order,
        believed: ask.events_believed,
        memory: MEMORY,
        threads: thread::available_parallelism().map_or(1, usize::from),
    };
    let passed = Passed::default();
    let all = inputs.iter().map(|input| input.bytes).sum();
    let gathered = reading::read(&inputs, &how, &passed, &mut || watch(Progress::Read(passed.bytes(), all)))?;
    let (Some(span), Some((first, last))) = (gathered.rows.span, gathered.happened) else {
        let letter = gathered.letters.first.first();
        let first = letter.map(|letter| format!("{}: {}", letter.place, letter.detail));
        return Err(BacktestError::Nothing { files: inputs.len(), first });
    };
    let Gathered { rows, sources, origins, inventory, files, letters, left_out, .. } = gathered;
    let facts = rows.count;
    let frame = Frame { settings, sources, span, inventory };
    let mut runs = vec![Past::new(&ask.rules.set, &frame)?];
    if let Some(against) = &ask.against {
        runs.push(Past::new(&against.set, &frame)?);
    }
    let slicer = Slicer::new(rows.merge()?, &origins, frame.sources.len());
    let mut runs = take_all(slicer, runs, &mut |done| watch(Progress::Ran(done, facts)))?.into_iter();
    let mut finish =
        |rules: &Rules| runs.next().map(|past| Findings::of(past, rules.folder.clone(), &rules.set, span.1));
    let (findings, against) = (finish(&ask.rules), ask.against.as_ref().and_then(&mut finish));
    let record = Record {
        first,
        last,
        facts,
        files,
        order: ask.order,
        events_believed: ask.events_believed,
        letters,
        left_out,
    };
    let Some(findings) = findings else { return Err(BacktestError::Nothing { files: 0, first: None }) };
    let differences =
        against.as_ref().map(|other| against::differences(&findings, other)).unwrap_or_default();
    Ok(Report { record, findings, against, differences })
}

/// The journal's where there is one, since its ids are hashed under its secret; else new ones.
fn settings(inputs: &[Input]) -> Result<Settings, BacktestError> {
    match inputs.iter().find(|input| input.kind == Ok(Kind::Journal)) {
        Some(journal) => Ok(journal::Reader::of(&journal.path)?.made_with()?.1),
        None => {
            let secret = || RandomState::new().build_hasher().finish();
            Ok(Settings::new(IdKey([secret(), secret()]), ""))
        }
    }
}

/// Takes all rows: one thread brings them, and each run has a thread of its own.
fn take_all(
    mut slicer: Slicer<'_>,
    runs: Vec<Past>,
    done: &mut dyn FnMut(u64),
) -> Result<Vec<Past>, SortError> {
    thread::scope(|scope| {
        let (mut to, mut threads) = (Vec::new(), Vec::new());
        for mut past in runs {
            let (bundles, todo): (_, Receiver<Arc<Bundle>>) = sync_channel(WAITING);
            to.push(bundles);
            threads.push(scope.spawn(move || {
                for bundle in todo {
                    past.run(&bundle);
                }
                past
            }));
        }
        let mut count = 0;
        while let Some(bundle) = slicer.next()? {
            count += bundle.len() as u64;
            let bundle = Arc::new(bundle);
            for bundles in &to {
                // One that is gone has panicked, and says so when it is joined.
                let _ = bundles.send(Arc::clone(&bundle));
            }
            done(count);
        }
        drop(to);
        let join = |thread: thread::ScopedJoinHandle<'_, Past>| match thread.join() {
            Ok(past) => past,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok(threads.into_iter().map(join).collect())
    })
}

/// An instant as people read it: to the second.
pub(crate) fn to_second(at: Timestamp) -> String {
    Timestamp::from_millis(at.millis().div_euclid(1_000) * 1_000).to_string()
}
