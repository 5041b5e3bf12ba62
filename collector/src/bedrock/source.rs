//! Follows a folder of invocation logs: `.json`, `.jsonl` and their `.gz` forms, as files come and grow.
//!
//! A folder is listed at each poll, which needs no inotify and sees what a network mount or a symlink swap
//! brings. Only the part of a file that is not yet durable is read on: positions come from the engine, which
//! keeps them in the journal with the facts, so there is no second record of what was read. A file is known
//! by its path and a fingerprint of its first bytes: a replaced file is a new one. What is no record is
//! counted, told to the log with its place, and skipped; prompts are never kept.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::read::MultiGzDecoder;
use policy::fact::{Fact, IdKey, SourceHealth, SourceState, UsageBatchBuilder};
use serde_json::value::RawValue;

use super::{Assume, Parser};
use crate::envelope::{Envelope, Intake, IntakeClosed};
use crate::records::{Piece, Pieces};

/// Rows of one commit at most: enough to make a commit cheap, little enough to keep memory bounded.
const ROWS: usize = 4096;
/// Bytes of a file that its fingerprint is made of.
const FINGERPRINT: usize = 128;

/// A folder of logs.
#[derive(Debug)]
pub struct LogFolder {
    /// Name of the source.
    pub name: String,
    /// A folder, or one file.
    pub path: PathBuf,
    /// How often it is listed.
    pub poll: Duration,
    /// Secret of ids.
    pub id_key: IdKey,
    /// How far each file is durable, by its name with fingerprint.
    pub positions: BTreeMap<Box<str>, u64>,
}

/// What a file looked like when it was last read.
type Looked = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

impl LogFolder {
    /// Follows the folder until nobody takes facts any more.
    pub async fn run(mut self, intake: Intake) -> IntakeClosed {
        let mut looked = Looked::new();
        let mut caught_up = false;
        loop {
            if let Err(closed) = self.pass(&intake, &mut looked, &mut caught_up).await {
                return closed;
            }
            tokio::time::sleep(self.poll).await;
        }
    }

    async fn pass(
        &mut self,
        intake: &Intake,
        looked: &mut Looked,
        caught_up: &mut bool,
    ) -> Result<(), IntakeClosed> {
        let files = match list(&self.path) {
            Ok(files) => files,
            Err(error) => {
                let why = format!("cannot list `{}`: {error}", self.path.display());
                return self.tell(intake, SourceState::Broken(why)).await;
            }
        };
        for file in files {
            let look = std::fs::metadata(&file).map(|m| (m.len(), m.modified().ok())).unwrap_or_default();
            if looked.get(&file) == Some(&look) {
                continue;
            }
            match read(&file) {
                Ok(bytes) => self.take(intake, &file, &bytes, !*caught_up).await?,
                Err(error) => {
                    tracing::warn!(file = %file.display(), %error, "a log cannot be read; it is tried again")
                }
            }
            looked.insert(file, look);
        }
        if !std::mem::replace(caught_up, true) {
            self.tell(intake, SourceState::CaughtUp).await?;
        }
        self.tell(intake, SourceState::Heard).await
    }

    /// Takes what is new of a file, in batches that are durable one after another.
    async fn take(
        &mut self,
        intake: &Intake,
        file: &Path,
        bytes: &[u8],
        catching_up: bool,
    ) -> Result<(), IntakeClosed> {
        let name = self.name_of(file, bytes);
        let valid = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
        };
        loop {
            let from = usize::try_from(self.positions.get(&name).copied().unwrap_or(0)).unwrap_or(usize::MAX);
            let Some(rest) = valid.get(from..).filter(|rest| !rest.is_empty()) else { return Ok(()) };
            let mut batch = UsageBatchBuilder::new(self.id_key, &self.name, catching_up);
            batch.file(&name);
            let consumed = fill(rest, from, file, &mut batch);
            if consumed == 0 {
                return Ok(());
            }
            if !batch.is_empty() {
                intake.put_durably(Fact::Usage(batch.finish())).await?;
            }
            self.positions.insert(name.clone(), (from + consumed) as u64);
        }
    }

    fn name_of(&self, file: &Path, bytes: &[u8]) -> Box<str> {
        let path = file.strip_prefix(&self.path).unwrap_or(file).display().to_string();
        let head = &bytes[..bytes.len().min(FINGERPRINT)];
        format!("{path}#{:08x}", self.id_key.digest([head]) as u32).into()
    }

    async fn tell(&self, intake: &Intake, state: SourceState) -> Result<(), IntakeClosed> {
        let health = SourceHealth { source: self.name.as_str().into(), state };
        intake.put(Envelope::without_ack(Fact::Health(health))).await
    }
}

/// Puts the records of a text into a batch; gives the bytes that are dealt with. A record that is not whole
/// yet is left for the next time.
fn fill(text: &str, from: usize, file: &Path, batch: &mut UsageBatchBuilder) -> usize {
    let mut parser = Parser::new(Assume::default());
    let mut pieces = Pieces::new(text);
    while batch.len() < ROWS {
        let error = match pieces.next::<&RawValue>() {
            Piece::Incomplete => break,
            Piece::Broken { text, error } => format!("{error} ({} bytes)", text.len()),
            Piece::Record(record) => {
                let end = (from + pieces.consumed()) as u64;
                match parser.parse(record.get().as_bytes(), Some(end), batch) {
                    Ok(()) => continue,
                    Err(error) => error.to_string(),
                }
            }
        };
        let at = from + pieces.consumed();
        tracing::warn!(file = %file.display(), at, %error, "no invocation record; it is skipped");
    }
    pieces.consumed()
}

/// The files, sorted, with folders of large bodies (`data/`) left out.
fn list(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let (mut files, mut folders) = (Vec::new(), vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "data") {
                    folders.push(path);
                }
            } else if is_log(&path) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn is_log(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    plain.ends_with(".json") || plain.ends_with(".jsonl")
}

/// The bytes of a file, decompressed where it is compressed. Of a gzip that is cut off, what there is.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let bytes = std::fs::read(path)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    if let Err(error) = MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut plain) {
        tracing::warn!(file = %path.display(), at = plain.len(), %error, "a gzip is cut off; what there is of it is used");
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Ack;
    use policy::fact::UsageOutcome;
    use std::io::Write as _;

    const RECORD: &str = include_str!("../../samples/bedrock-invocation-converse.json");

    fn line(id: &str) -> String {
        let mut record: serde_json::Value = serde_json::from_str(RECORD).unwrap();
        record["requestId"] = id.into();
        record.to_string()
    }

    /// Reads the folder once and gives the keys of the rows that came.
    async fn keys(folder: &mut LogFolder) -> Vec<String> {
        let (intake, mut taken) = Intake::new(64);
        let collect = tokio::spawn(async move {
            let mut keys = Vec::new();
            while let Some(envelope) = taken.recv().await {
                if let Fact::Usage(batch) = &envelope.fact {
                    keys.extend(batch.rows.iter().map(|row| batch.key_of(row).to_owned()));
                    let outcomes = vec![UsageOutcome::Accepted; batch.rows.len()];
                    let _ = envelope.ack.unwrap().send(Ack::Usage(outcomes));
                }
            }
            keys
        });
        folder.pass(&intake, &mut Looked::new(), &mut false).await.unwrap();
        drop(intake);
        collect.await.unwrap()
    }

    fn folder(path: &Path) -> LogFolder {
        LogFolder {
            name: "bedrock-log".to_owned(),
            path: path.to_owned(),
            poll: Duration::from_millis(10),
            id_key: IdKey([1, 2]),
            positions: BTreeMap::new(),
        }
    }

    #[tokio::test]
    async fn every_form_of_file_is_read_and_what_is_durable_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.json"), RECORD).unwrap();
        std::fs::write(
            dir.path().join("b.jsonl"),
            format!("{}\nnot json\n{}\n{{\"cut", line("b1"), line("b2")),
        )
        .unwrap();
        let mut members = Vec::new();
        for id in ["c1", "c2"] {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writeln!(gzip, "{}", line(id)).unwrap();
            members.extend(gzip.finish().unwrap());
        }
        std::fs::write(dir.path().join("c.json.gz"), &members).unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::write(dir.path().join("data/large.json"), RECORD).unwrap();
        let mut folder = folder(dir.path());
        let ids: Vec<String> =
            keys(&mut folder).await.iter().map(|key| key.rsplit(':').next().unwrap().to_owned()).collect();
        assert_eq!(ids, ["4f0c6f4e-6a55-4d0e-9d6c-0b6f6d1f7a10", "b1", "b2", "c1", "c2"]);
        assert!(keys(&mut folder).await.is_empty());

        let mut grown = std::fs::read_to_string(dir.path().join("b.jsonl")).unwrap();
        grown.truncate(grown.len() - "{\"cut".len());
        std::fs::write(dir.path().join("b.jsonl"), format!("{grown}{}\n", line("b3"))).unwrap();
        assert_eq!(keys(&mut folder).await.len(), 1, "a file that grew is read on from where it was");
    }

    #[tokio::test]
    async fn a_gzip_that_is_cut_off_gives_what_there_is_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        writeln!(gzip, "{}\n{}", line("d1"), line("d2")).unwrap();
        let whole = gzip.finish().unwrap();
        std::fs::write(dir.path().join("d.json.gz"), &whole[..whole.len() - 40]).unwrap();
        assert_eq!(keys(&mut folder(dir.path())).await.len(), 1);
    }
}
