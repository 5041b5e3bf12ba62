//! Follows logs: `.json`, `.jsonl` and their `.gz` forms, as files come and grow.
//!
//! The files are listed at each poll, which needs no inotify and sees what a network mount or a symlink swap
//! brings. Only the part of a file that is not yet durable is read on: positions come from the engine, which
//! keeps them in the journal with the facts, so there is no second record of what was read. A few batches may
//! be under way at once; a pass ends when all of them are durable. What is no record goes to the dead letters
//! with its place, and so does the beginning of a record (or of a gzip) that has not grown for a while; when
//! the file grows after all, it is read on. What was read of a file is remembered while it stands and for a
//! while after. Prompts are never kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use policy::engine::FileRead;
use policy::fact::{Fact, FilesGone, IdKey, UsageBatchBuilder};
use policy::time::{Span, Timestamp};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::pattern::Pattern;
use super::places::{Places, common};
use super::tail::{Left, Sink, Tail, plain};
use super::{Assume, Parser};
use crate::blocking::blocking;
use crate::deadletter::{DeadLetters, Letter, Reason};
use crate::envelope::{Ack, Envelope, Intake, IntakeClosed};
use crate::health::Pulse;

/// Rows of one commit, about: enough to make a commit cheap, little enough to keep memory bounded.
const ROWS: usize = 4096;
/// Batches that may be under way at once.
const IN_FLIGHT: usize = 4;
/// Between two tries of a file that cannot be read.
const RETRY: Duration = Duration::from_secs(5);
/// Between two looks for files that are gone. One is forgotten at the second look that misses it, so that a folder
/// which is away for a moment is not forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// For how long what was read of a file is remembered after its newest row, although the file is gone: longer than
/// any month. While a file stands, it is remembered.
const REMEMBERED: Span = Span::from_hours(35 * 24);

/// A folder of logs.
#[derive(Debug)]
pub struct LogFolder {
    /// Name of the source.
    pub name: String,
    /// A folder, one file, or a glob. Files may be renamed, compressed and copied: what was read of one is not
    /// read again under another name. One that is gone is forgotten 35 days after its newest record; from then on
    /// what comes late and is as old as that is refused, since it may have been counted.
    pub path: PathBuf,
    /// How often it is listed. A listing that takes long is made less often, so that it never takes more than
    /// a tenth of one core.
    pub poll: Duration,
    /// For how long the beginning of a record waits for its end before it is a dead letter.
    pub settle: Duration,
    /// What to take where a record does not say.
    pub assume: Assume,
    /// Secret of ids.
    pub id_key: IdKey,
    /// How far each file is durable, by its name with fingerprint.
    pub positions: BTreeMap<Box<str>, FileRead>,
    /// Where goes what is no record.
    pub letters: DeadLetters,
}

/// Size and time of change: what tells that a file is another than before.
type Look = (u64, Option<SystemTime>);

/// What a file looked like when it was last read, and what of it is open.
#[derive(Debug)]
struct Looked {
    look: Look,
    at: Instant,
    /// The name it is kept under.
    name: Option<Box<str>>,
    left: Option<Left>,
    unreadable: Option<String>,
}

/// The source at work.
struct Follower {
    folder: LogFolder,
    pattern: Pattern,
    parser: Parser,
    batch: UsageBatchBuilder,
    looked: BTreeMap<PathBuf, Looked>,
    places: Places,
    under_way: VecDeque<oneshot::Receiver<Ack>>,
    pulse: Pulse,
    caught_up: bool,
    next_forget: Instant,
}

impl LogFolder {
    /// Follows the logs until nobody takes facts any more.
    pub async fn run(self, intake: Intake) -> IntakeClosed {
        let poll = self.poll;
        let mut follower = Follower::new(self);
        loop {
            let began = Instant::now();
            if let Err(closed) = follower.pass(&intake).await {
                return closed;
            }
            tokio::time::sleep(poll.max(began.elapsed() * 9)).await;
        }
    }
}

impl Follower {
    fn new(mut folder: LogFolder) -> Self {
        Self {
            pattern: Pattern::new(&folder.path),
            parser: Parser::new(folder.assume),
            batch: UsageBatchBuilder::new(folder.id_key, &folder.name, true),
            looked: BTreeMap::new(),
            places: Places::new(std::mem::take(&mut folder.positions)),
            under_way: VecDeque::new(),
            pulse: Pulse::new(&folder.name),
            caught_up: false,
            next_forget: Instant::now() + FORGET_EVERY,
            folder,
        }
    }

    /// Lists once, and reads what is new until it is durable.
    async fn pass(&mut self, intake: &Intake) -> Result<(), IntakeClosed> {
        let state = match blocking(|| self.pattern.list()) {
            Ok(files) => {
                self.looked.retain(|file, _| files.binary_search(file).is_ok());
                for file in self.known_first(files) {
                    self.look_at(file, intake).await?;
                }
                self.flush(intake).await?;
                self.settle().await?;
                if !std::mem::replace(&mut self.caught_up, true) {
                    self.batch.set_catching_up(false);
                    intake.put(Envelope::without_ack(self.pulse.caught_up())).await?;
                }
                if self.next_forget <= Instant::now() {
                    self.next_forget = Instant::now() + FORGET_EVERY;
                    self.forget(now().minus(REMEMBERED), intake).await?;
                }
                let trouble = self.looked.values().find_map(|looked| looked.unreadable.clone());
                trouble.map_or(Ok(()), Err)
            }
            Err(error) => Err(format!("cannot list `{}`: {error}", self.folder.path.display())),
        };
        match self.pulse.beat(state, Instant::now()) {
            Some(fact) => intake.put(Envelope::without_ack(fact)).await,
            None => Ok(()),
        }
    }

    /// Forgets files that are gone and hold nothing newer than `before`. Where nothing is there at all, or some of it
    /// cannot be read, there is no telling which are gone. A fact that is lost costs nothing: the next start
    /// knows the files again.
    async fn forget(&mut self, before: Timestamp, intake: &Intake) -> Result<(), IntakeClosed> {
        let stand: Option<BTreeSet<_>> = self.looked.values().map(|looked| looked.name.as_deref()).collect();
        let Some(stand) = stand.filter(|stand| !stand.is_empty()) else { return Ok(()) };
        let files = self.places.forget(&stand, before);
        if files.is_empty() {
            return Ok(());
        }
        let gone = FilesGone { source: self.folder.name.as_str().into(), files };
        intake.put(Envelope::without_ack(Fact::FilesGone(gone))).await
    }

    /// What was read before comes first, each in its order: a copy is read from where its original ends, and by
    /// then the original has to have been read to its end.
    fn known_first(&self, files: Vec<PathBuf>) -> impl Iterator<Item = PathBuf> + use<> {
        let known =
            |file: &PathBuf| self.looked.contains_key(file) || self.places.knows(&self.pattern.name_of(file));
        let (known, new): (Vec<_>, Vec<_>) = files.into_iter().partition(known);
        known.into_iter().chain(new)
    }

    /// Reads a file if it is another than before.
    async fn look_at(&mut self, file: PathBuf, intake: &Intake) -> Result<(), IntakeClosed> {
        let look = std::fs::metadata(&file).map(|m| (m.len(), m.modified().ok())).unwrap_or_default();
        if let Some(looked) = self.looked.get_mut(&file) {
            let again = looked.unreadable.is_some() && looked.at.elapsed() >= RETRY;
            if looked.look == look && !again {
                let over = looked.at.elapsed() >= self.folder.settle;
                if let Some(left) = looked.left.take_if(|_| over) {
                    report(&self.folder, &left);
                }
                return Ok(());
            }
        }
        let (name, left, unreadable) = match self.read(&file, intake).await? {
            Ok(left) => {
                let name = left.name.as_str().into();
                (Some(name), Some(left).filter(|left| !left.bytes.is_empty() || left.error.is_some()), None)
            }
            Err(error) => {
                let why = format!("cannot read `{}`: {error}", file.display());
                let known = self.looked.get(&file).is_some_and(|l| l.unreadable.as_ref() == Some(&why));
                if !known {
                    let letter = Letter::new(&self.folder.name, Reason::Unreadable, &why, &[]);
                    self.folder.letters.put(&letter.at(&self.pattern.name_of(&file), 0));
                }
                (None, None, Some(why))
            }
        };
        self.looked.insert(file, Looked { look, at: Instant::now(), name, left, unreadable });
        Ok(())
    }

    /// Reads a file to its end; gives what is left there.
    async fn read(&mut self, file: &Path, intake: &Intake) -> Result<std::io::Result<Left>, IntakeClosed> {
        let path = self.pattern.name_of(file);
        let key = self.folder.id_key;
        let other = |path: &str| self.pattern.file_of(path);
        let known = |fingerprint: &str| {
            let stands =
                |path: &str| Tail::fingerprint_of(&other(path), key).is_ok_and(|there| there == fingerprint);
            let same = |path: &str, most| match (plain(&other(path)), plain(file)) {
                (Ok(original), Ok(copy)) => common(original, copy, most),
                _ => 0,
            };
            self.places.find(&path, fingerprint, stands, same)
        };
        let mut tail = match blocking(|| Tail::open(file, key, known)) {
            Ok(tail) => tail,
            Err(error) => return Ok(Err(error)),
        };
        self.batch.file(&tail.name);
        loop {
            let left = blocking(|| {
                tail.step(&mut Sink {
                    source: &self.folder.name,
                    parser: &mut self.parser,
                    batch: &mut self.batch,
                    letters: &self.folder.letters,
                })
            });
            self.places.read(&tail.name, tail.offset, now());
            if self.batch.len() >= ROWS {
                self.flush(intake).await?;
            }
            if let Some(left) = left {
                return Ok(Ok(left));
            }
        }
    }

    /// Sends what is in the batch; waits only when enough is under way.
    async fn flush(&mut self, intake: &Intake) -> Result<(), IntakeClosed> {
        if self.batch.is_empty() {
            return Ok(());
        }
        if self.under_way.len() >= IN_FLIGHT {
            self.acked().await?;
        }
        let (envelope, ack) = Envelope::with_ack(Fact::Usage(self.batch.finish()));
        self.under_way.push_back(ack);
        intake.put(envelope).await
    }

    /// Waits until all that was sent is durable.
    async fn settle(&mut self) -> Result<(), IntakeClosed> {
        while !self.under_way.is_empty() {
            self.acked().await?;
        }
        Ok(())
    }

    async fn acked(&mut self) -> Result<(), IntakeClosed> {
        match self.under_way.pop_front() {
            Some(ack) => ack.await.map(drop).map_err(|_| IntakeClosed),
            None => Ok(()),
        }
    }
}

/// The wall clock. One that stands before 1970 makes nothing old.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What has not grown for a while is a dead letter; if it grows after all, it is read on.
fn report(folder: &LogFolder, left: &Left) {
    let detail = match &left.error {
        Some(error) => format!("the file ends in the middle: {error}"),
        None => "the file ends in the middle of a record".to_owned(),
    };
    let letter = Letter::new(&folder.name, Reason::CutOff, detail, &left.bytes);
    folder.letters.put(&letter.at(&left.name, left.offset));
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
