//! Where goes what cannot be used: a counted, bounded file, one JSON object a line.
//!
//! A letter says why, from which source, at which place, and holds at most 1 KiB of what came: fields of
//! usage and identity where it is JSON or was understood, else only its length and hash. Prompts and answers are never kept.
//! Files are rotated by size and the oldest goes; a letter that cannot be written (a disk that is full) is
//! still counted, and never stops a source.
//!
//! It never decides what is refused, and nothing goes by it: a person reads it. Only a start looks whether the
//! letters of the last turn are there.

mod excerpt;
mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policy::engine;
use policy::fact::{Quantities, RefusedReason};
use policy::money::Money;
use policy::subject::Subject;
use policy::time::Timestamp;

pub use excerpt::MOST_EXCERPT;
use file::Rotated;

/// Why something is a dead letter. A closed list: each is a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No JSON.
    NotJson,
    /// No UTF-8.
    NotUtf8,
    /// JSON, but not what the source brings.
    NotARecord,
    /// A field has a value that it cannot have.
    BadField,
    /// It ends in the middle, or its compressed form does.
    CutOff,
    /// Larger than a record can be.
    TooLarge,
    /// The file cannot be opened or read.
    Unreadable,
    /// It was understood, and the engine did not add it.
    Refused(RefusedReason),
}

impl Reason {
    /// The word in metrics and letters.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotUtf8 => "not_utf8",
            Self::NotARecord => "not_a_record",
            Self::BadField => "bad_field",
            Self::CutOff => "cut_off",
            Self::TooLarge => "too_large",
            Self::Unreadable => "unreadable",
            Self::Refused(reason) => reason.word(),
        }
    }

    /// What to do about it, for people.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::NotJson => "write JSON objects: one, an array of them, or one a line",
            Self::NotUtf8 => "write it in UTF-8",
            Self::NotARecord => {
                "only Bedrock invocation records and `usage.v1` events are read; keep others elsewhere"
            }
            Self::BadField => "correct it where it is made, and bring the record again under the same id",
            Self::CutOff => "bring the whole of it again: what was counted before counts once",
            Self::TooLarge => "leave prompts and answers out of it, or bring it in parts",
            Self::Unreadable => "let the daemon's user read it, or take it away",
            Self::Refused(reason) => remedy(reason),
        }
    }
}

/// One dead letter.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// Why.
    pub reason: Reason,
    /// The parser's or the engine's words, for people. Never text of a prompt.
    pub detail: String,
    /// File, or nothing.
    pub file: Option<&'a str>,
    /// Byte offset of its beginning in the (decompressed) file.
    pub offset: Option<u64>,
    /// Byte offset of its end there, where only that is known: of what had been understood.
    pub end: Option<u64>,
    /// The id that the source gave it, where it is known.
    pub id: Option<&'a str>,
    /// When it happened, where it is known.
    pub occurred_at: Option<Timestamp>,
    /// What it would have cost, where it has a price.
    pub amount: Option<Money>,
    /// What was used and by whom, where it was understood.
    pub usage: Option<(Quantities, &'a Subject)>,
    /// What came; only an excerpt is kept.
    pub payload: &'a [u8],
}

impl<'a> Letter<'a> {
    /// A letter about these bytes.
    #[must_use]
    pub fn new(source: &'a str, reason: Reason, detail: impl Into<String>, payload: &'a [u8]) -> Self {
        Self {
            source,
            reason,
            detail: detail.into(),
            file: None,
            offset: None,
            end: None,
            id: None,
            occurred_at: None,
            amount: None,
            usage: None,
            payload,
        }
    }

    /// The same, at that place.
    #[must_use]
    pub fn at(self, file: &'a str, offset: u64) -> Self {
        Self { file: Some(file), offset: Some(offset), ..self }
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size at which a file is closed and a new one begun, in bytes. Default 16 MiB.
    pub file_bytes: u64,
    /// Files kept, the current one included. Default 8.
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 16 << 20, files: 8 }
    }
}

/// What has been counted since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Letters by source and reason.
    pub letters: BTreeMap<(Box<str>, Reason), u64>,
    /// What refused usage would have cost, where it has a price.
    pub amount: Money,
    /// Letters that could not be written.
    pub unwritten: u64,
    /// Files that went to make room.
    pub files_dropped: u64,
}

/// The dead letters of all sources. Clones share one file.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    file: Rotated,
    counts: Counts,
    /// The last write failed; said once, not for every letter.
    failing: bool,
}

impl DeadLetters {
    /// Dead letters in that folder, which is made with the first of them.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, limits: Limits) -> Self {
        let inner =
            Inner { file: Rotated::new(folder.into(), limits), counts: Counts::default(), failing: false };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Keeps a letter and counts it. Blocks for one small write.
    pub fn put(&self, letter: &Letter<'_>) {
        let line = excerpt::line(letter);
        let mut inner = self.lock();
        let count = inner.counts.letters.entry((letter.source.into(), letter.reason)).or_default();
        *count += 1;
        if *count == 1 {
            warn_of(letter);
        }
        inner.counts.amount = inner.counts.amount.saturating_add(letter.amount.unwrap_or(Money::ZERO));
        let written = inner.file.append(&line);
        inner.counts.files_dropped = inner.file.dropped();
        match written {
            Ok(()) => inner.failing = false,
            Err(error) => {
                inner.counts.unwritten += 1;
                if !std::mem::replace(&mut inner.failing, true) {
                    let folder = inner.file.folder().display();
                    tracing::error!(%error, "cannot write dead letters to `{folder}`; they are only counted");
                }
            }
        }
    }

    /// Keeps what the engine refused.
    pub fn put_refused(&self, letters: &[engine::Letter]) {
        for letter in letters {
            self.put(&refused(letter));
        }
    }

    /// Keeps of what the engine refused what the newest files do not have. Reads them: only for a start.
    pub fn put_refused_missing(&self, letters: &[engine::Letter]) {
        if letters.is_empty() {
            return;
        }
        let kept = self.lock().file.newest_lines();
        let kept: Vec<_> = kept.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect();
        for letter in letters.iter().map(refused) {
            let line = serde_json::from_slice(&excerpt::line(&letter)).unwrap_or_default();
            if !kept.iter().any(|one| is_same(one, &line)) {
                self.put(&letter);
            }
        }
    }

    /// What has been counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// A panic elsewhere while it was held leaves at worst a count too low: carry on.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(letter: &engine::Letter) -> Letter<'_> {
    Letter {
        file: letter.place.as_ref().map(|(file, _)| &**file),
        end: letter.place.as_ref().map(|(_, end)| *end),
        id: Some(&letter.key),
        occurred_at: Some(letter.occurred_at),
        amount: letter.amount,
        usage: Some((letter.quantities, &letter.subject)),
        ..Letter::new(&letter.source, Reason::Refused(letter.reason), explain(letter.reason), &[])
    }
}

/// Whether two lines tell of the same record; how it is told may differ from version to version.
fn is_same(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    ["source", "reason", "id", "occurred_at", "file", "end"].iter().all(|name| one[name] == other[name])
}

/// Said for the first of each source and reason; the rest is in the letters and in a counter.
fn warn_of(letter: &Letter<'_>) {
    tracing::warn!(
        source = letter.source,
        reason = letter.reason.word(),
        file = letter.file,
        offset = letter.offset,
        help = letter.reason.help(),
        "a record that cannot be used is a dead letter: {}; more of this kind are only counted and kept",
        letter.detail
    );
}

/// What a refusal means, for people.
#[must_use]
pub const fn explain(reason: RefusedReason) -> &'static str {
    match reason {
        RefusedReason::TooFarAhead => "its time is more than 5 minutes ahead of the clock",
        RefusedReason::TooLate => {
            "it is older than ids are remembered (48 h by default), and nothing proves that it was not counted \
             before"
        }
        RefusedReason::AbsurdCount => {
            "its counts are beyond what one call can use (10^12, or 32 days of instance time)"
        }
    }
}

/// What to do about a refusal.
const fn remedy(reason: RefusedReason) -> &'static str {
    match reason {
        RefusedReason::TooFarAhead => "correct the sender's clock and send it again",
        RefusedReason::TooLate => {
            "bring it as a log file, where its place proves that it is new; from a log file it comes for the second \
             time, or is as old as files that went away over a month ago, and was most likely counted with them"
        }
        RefusedReason::AbsurdCount => "correct the sender, and send the true counts under the same id",
    }
}

#[cfg(test)]
mod tests {
    use policy::price::TokenCounts;
    use policy::subject::Trust;
    use serde_json::json;

    use super::*;

    fn kept(folder: &std::path::Path) -> Vec<serde_json::Value> {
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        names.sort();
        let text: String = names.iter().map(|n| std::fs::read_to_string(n).unwrap()).collect();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_letter_says_why_and_where_and_keeps_usage_but_no_prompt() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::new(folder.path(), Limits::default());
        let record = br#"{"requestId":"r1","modelId":"m","identity":{"arn":"a","note":"secret"},
            "input":{"inputTokenCount":-5,"inputBodyJson":{"prompt":"secret"}},"output":"secret",
            "inputTokenCount":["secret"],"more":"secret"}"#;
        letters
            .put(&Letter::new("bedrock-log", Reason::BadField, "`-5` is no count", record).at("a.jsonl", 7));
        let kept = kept(folder.path());
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0]["reason"], "bad_field");
        assert_eq!(kept[0]["file"], "a.jsonl");
        assert_eq!(kept[0]["offset"], 7);
        assert!(kept[0]["help"].as_str().unwrap().contains("under the same id"));
        assert_eq!(kept[0]["excerpt"]["input"]["inputTokenCount"], -5);
        assert_eq!(kept[0]["excerpt"]["identity"]["arn"], "a");
        assert!(!kept[0].to_string().contains("secret"));
        assert_eq!(letters.counts().letters[&("bedrock-log".into(), Reason::BadField)], 1);
    }

    #[test]
    fn what_is_no_json_is_kept_as_a_length_and_a_hash() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::new(folder.path(), Limits::default());
        letters.put(&Letter::new("s", Reason::NotJson, "expected a value", b"tell me a secret"));
        let kept = kept(folder.path());
        assert_eq!(kept[0]["bytes"], 16);
        assert_eq!(kept[0]["sha256"].as_str().unwrap().len(), 64);
        assert!(!kept[0].to_string().contains("tell me"));
    }

    #[test]
    fn refused_usage_is_kept_with_what_it_would_have_cost() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::new(folder.path(), Limits::default());
        let mut subject = Subject::default();
        subject.set("tenant", "acme", Trust::Trusted, "record");
        subject.set("agent", &"x".repeat(1000), Trust::Asserted, "said");
        subject.set("note", "secret", Trust::Trusted, "a label of a namespace");
        letters.put_refused(&[engine::Letter {
            source: "gw".into(),
            key: "r1".into(),
            reason: RefusedReason::TooFarAhead,
            occurred_at: Timestamp::from_millis(0),
            amount: Some(Money::from_picos(21_862_500_000)),
            place: Some(("a.jsonl#1".into(), 700)),
            quantities: Quantities::Tokens(TokenCounts { input: 7, output: 2, ..TokenCounts::default() }),
            subject,
        }]);
        let kept = kept(folder.path());
        assert_eq!(kept[0]["usd"], "0.0218625");
        assert_eq!(kept[0]["id"], "r1");
        assert_eq!(kept[0]["occurred_at"], "1970-01-01T00:00:00Z");
        assert_eq!((&kept[0]["file"], &kept[0]["end"]), (&json!("a.jsonl#1"), &json!(700)));
        assert_eq!(kept[0]["quantities"], json!({"input_tokens": 7, "output_tokens": 2}));
        let agent = format!("{}=asserted", "x".repeat(200));
        assert_eq!(kept[0]["subject"], json!({"tenant": "acme", "agent": agent}));
        assert_eq!(letters.counts().amount, Money::from_picos(21_862_500_000));
    }

    #[test]
    fn what_a_start_finds_missing_is_kept_once_and_what_is_there_is_not_kept_again() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |id: &str| engine::Letter {
            source: "gw".into(),
            key: id.into(),
            reason: RefusedReason::TooLate,
            occurred_at: Timestamp::from_millis(0),
            amount: None,
            place: Some(("a.jsonl#1".into(), 700)),
            quantities: Quantities::Tokens(TokenCounts::default()),
            subject: Subject::default(),
        };
        let both = [refused("r1"), refused("r2")];
        // Of the last turn one was kept when the process died; the file was full after it.
        let limits = Limits { file_bytes: 300, files: 4 };
        DeadLetters::new(folder.path(), limits).put_refused(&both[..1]);
        for _ in 0..2 {
            let start = DeadLetters::new(folder.path(), limits);
            start.put_refused_missing(&both);
            let ids: Vec<_> = kept(folder.path()).into_iter().map(|letter| letter["id"].clone()).collect();
            assert_eq!(ids, ["r1", "r2"]);
        }
    }

    #[test]
    fn files_are_bounded_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::new(folder.path(), Limits { file_bytes: 800, files: 2 });
        for number in 0..20 {
            letters.put(&Letter::new("s", Reason::NotJson, format!("number {number}"), b"x"));
        }
        let kept = kept(folder.path());
        assert!(kept.len() < 20 && kept.len() > 1, "{}", kept.len());
        assert_eq!(kept.last().unwrap()["detail"], "number 19");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        let counts = letters.counts();
        assert!(counts.files_dropped > 0);
        assert_eq!(counts.letters.values().sum::<u64>(), 20);
        // A new process goes on where the last one stopped.
        let again = DeadLetters::new(folder.path(), Limits { file_bytes: 800, files: 2 });
        again.put(&Letter::new("s", Reason::NotJson, "number 20", b"x"));
        assert_eq!(self::kept(folder.path()).last().unwrap()["detail"], "number 20");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_letter_that_cannot_be_written_is_counted_and_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("a-file");
        std::fs::write(&blocked, "in the way").unwrap();
        let letters = DeadLetters::new(blocked, Limits::default());
        letters.put(&Letter::new("s", Reason::NotUtf8, "bytes", &[0xff]));
        assert_eq!(letters.counts().unwritten, 1);
        assert_eq!(letters.counts().letters[&("s".into(), Reason::NotUtf8)], 1);
    }
}
