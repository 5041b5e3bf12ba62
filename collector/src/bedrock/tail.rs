//! One log file, read on from where it was left: plain or gzip (also several members), in bounded pieces.
//!
//! A file is known by its path and a fingerprint of its first record (its first line, up to 1 KiB), so that a
//! file which grows stays the same and a replaced one is new; one whose path is gone is known by its fingerprint
//! alone, so that a renamed or compressed file stays the same too, and of a copy what is the same is not read. Offsets count decompressed bytes. What is no
//! record goes to the dead letters with its place, and the next one is read. What ends in the middle is left:
//! the file may still be growing; whoever calls decides when that has taken too long.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use policy::fact::{IdKey, UsageBatchBuilder};

use super::Parser;
use super::wire::Record;
use crate::deadletter::{DeadLetters, Letter, Reason};
use crate::json::Obj;
use crate::records::{Piece, Pieces};

/// Bytes read at once.
const CHUNK: usize = 256 << 10;
/// Bytes of one record at most. AWS moves bodies over about 100 KB out of the record.
const MOST_RECORD: usize = 16 << 20;
/// Bytes of the first record that its fingerprint is made of, at most.
const FINGERPRINT: usize = 1024;
/// A first line shorter than this says too little (a pretty-printed object begins with `{`): then the
/// fingerprint goes over line breaks.
const SHORT_LINE: usize = 64;

/// A file that is being read.
pub(super) struct Tail {
    /// Path with fingerprint.
    pub(super) name: String,
    /// Decompressed bytes that are dealt with.
    pub(super) offset: u64,
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// In the middle of a record that is too large.
    skipping: bool,
}

/// Where what is found goes.
pub(super) struct Sink<'a> {
    pub(super) source: &'a str,
    pub(super) parser: &'a mut Parser,
    pub(super) batch: &'a mut UsageBatchBuilder,
    pub(super) letters: &'a DeadLetters,
}

/// What is left at the end of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) name: String,
    pub(super) offset: u64,
    /// Bytes that are the beginning of a record.
    pub(super) bytes: Vec<u8>,
    /// Why there is no more, where the file is broken.
    pub(super) error: Option<String>,
}

impl Tail {
    /// Opens a file; `known` gives, for its fingerprint, the name under which it is kept and how far it was
    /// read.
    pub(super) fn open(
        file: &Path,
        key: IdKey,
        known: impl FnOnce(&str) -> (String, u64),
    ) -> io::Result<Self> {
        let (mut head, mut reader) = (Vec::new(), plain(file)?);
        // A gzip that is cut off still has a beginning, and one that has none yet has no name to look up.
        let broken = reader.by_ref().take(FINGERPRINT as u64).read_to_end(&mut head).is_err();
        let (name, from) = known(&fingerprint(&head, key));
        let (mut tail, seen) = (Self::new(name, reader, head), FINGERPRINT as u64);
        if from <= seen || broken {
            tail.skip_buffered(from);
        } else {
            tail.skip_to(file, from)?;
        }
        Ok(tail)
    }

    /// The fingerprint of a file as it is now.
    pub(super) fn fingerprint_of(file: &Path, key: IdKey) -> io::Result<String> {
        let mut head = Vec::new();
        plain(file)?.take(FINGERPRINT as u64).read_to_end(&mut head)?;
        Ok(fingerprint(&head, key))
    }

    fn new(name: String, reader: Box<dyn Read + Send>, buffer: Vec<u8>) -> Self {
        Self { name, offset: 0, reader, buffer, skipping: false }
    }

    fn skip_buffered(&mut self, from: u64) {
        // Beyond its end the file was cut short and written anew: it is read from the start, and ids decide.
        if let Some(kept) = usize::try_from(from).ok().filter(|from| *from <= self.buffer.len()) {
            self.consume(kept);
        }
    }

    fn skip_to(&mut self, file: &Path, from: u64) -> io::Result<()> {
        let mut plain_file = File::open(file)?;
        if is_gzip(&mut plain_file)? {
            let seen = self.buffer.len() as u64;
            let skipped =
                seen + io::copy(&mut self.reader.by_ref().take(from - seen), &mut io::sink()).unwrap_or(0);
            if skipped < from {
                self.reader = plain(file)?;
                self.buffer.clear();
                return Ok(());
            }
        } else if plain_file.metadata()?.len() < from {
            return Ok(());
        } else {
            plain_file.seek(SeekFrom::Start(from))?;
            self.reader = Box::new(plain_file);
        }
        self.buffer.clear();
        self.offset = from;
        Ok(())
    }

    /// Reads a piece and deals with the records in it; at the end, what is left.
    pub(super) fn step(&mut self, sink: &mut Sink<'_>) -> Option<Left> {
        let read = self.reader.by_ref().take(CHUNK as u64).read_to_end(&mut self.buffer);
        self.take_records(sink);
        let error = match read {
            Ok(0) => None,
            Ok(_) if self.buffer.len() <= MOST_RECORD => return None,
            Ok(_) => {
                self.give_up(sink, Reason::TooLarge, &format!("no record has more than {MOST_RECORD} bytes"));
                return None;
            }
            Err(error) => Some(error.to_string()),
        };
        Some(Left {
            name: self.name.clone(),
            offset: self.offset,
            bytes: std::mem::take(&mut self.buffer),
            error,
        })
    }

    fn take_records(&mut self, sink: &mut Sink<'_>) {
        while !self.buffer.is_empty() {
            if self.skipping {
                let end = self.buffer.iter().position(|b| *b == b'\n');
                self.skipping = end.is_none();
                self.consume(end.map_or(self.buffer.len(), |at| at + 1));
                continue;
            }
            let (text, bad) = match std::str::from_utf8(&self.buffer) {
                Ok(text) => (text, false),
                Err(error) => {
                    let text = std::str::from_utf8(&self.buffer[..error.valid_up_to()]).unwrap_or("");
                    (text, error.error_len().is_some())
                }
            };
            let consumed = walk(text, &self.name, self.offset, sink);
            self.consume(consumed);
            if !bad {
                return;
            }
            let Some(line) = self.buffer.iter().position(|b| *b == b'\n') else { return };
            if std::str::from_utf8(&self.buffer[..line]).is_ok() {
                // The bad bytes stand on a later line, and what is before them is a record over several lines:
                // it is broken with them.
                self.skipping = true;
            }
            let letter =
                Letter::new(sink.source, Reason::NotUtf8, "a line that is not UTF-8", &self.buffer[..line]);
            sink.letters.put(&letter.at(&self.name, self.offset));
            self.consume(line + 1);
        }
    }

    fn give_up(&mut self, sink: &mut Sink<'_>, reason: Reason, detail: &str) {
        let letter = Letter::new(sink.source, reason, detail, &self.buffer);
        sink.letters.put(&letter.at(&self.name, self.offset));
        self.consume(self.buffer.len());
        self.skipping = true;
    }

    fn consume(&mut self, bytes: usize) {
        self.buffer.drain(..bytes);
        self.offset += bytes as u64;
    }
}

/// Takes the records of a text; gives the bytes that are dealt with.
fn walk(text: &str, file: &str, offset: u64, sink: &mut Sink<'_>) -> usize {
    let mut pieces = Pieces::new(text);
    loop {
        let (reason, detail, bytes) = match pieces.next::<Obj<Record<'_>>>() {
            Piece::Incomplete => return pieces.consumed(),
            // What the parser says of a value may quote it; what it says of the form does not.
            Piece::Broken { text, error } if error.is_syntax() => (Reason::NotJson, error.to_string(), text),
            Piece::Broken { text, .. } => {
                (Reason::NotARecord, "no object, or a field of it has another type".into(), text)
            }
            Piece::Record(Obj(record)) => {
                let end = offset + pieces.consumed() as u64;
                match sink.parser.push(&record, Some(end), sink.batch) {
                    Ok(()) => continue,
                    Err(error) => {
                        (error.reason(), error.to_string(), &text[pieces.began()..pieces.consumed()])
                    }
                }
            }
        };
        let at = offset + pieces.began() as u64;
        sink.letters.put(&Letter::new(sink.source, reason, detail, bytes.as_bytes()).at(file, at));
    }
}

/// The fingerprint of a file that begins so.
fn fingerprint(head: &[u8], key: IdKey) -> String {
    let line = head.iter().position(|b| *b == b'\n').unwrap_or(head.len());
    let head = if line < SHORT_LINE { head } else { &head[..line] };
    format!("{:016x}", (key.digest([head]) >> 64) as u64)
}

fn is_gzip(file: &mut File) -> io::Result<bool> {
    let mut magic = Vec::new();
    file.by_ref().take(2).read_to_end(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(magic == [0x1f, 0x8b])
}

/// A file, decompressed where it is a gzip.
pub(super) fn plain(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    let mut file = File::open(path)?;
    if is_gzip(&mut file)? {
        Ok(Box::new(MultiGzDecoder::new(io::BufReader::new(file))))
    } else {
        Ok(Box::new(file))
    }
}
