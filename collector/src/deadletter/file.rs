//! A file that is rotated by size: `letters-00000001.ndjson`, `letters-00000002.ndjson`, … the newest last.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Limits;

const PREFIX: &str = "letters-";
const SUFFIX: &str = ".ndjson";

#[derive(Debug)]
pub(super) struct Rotated {
    folder: PathBuf,
    limits: Limits,
    open: Option<Open>,
    dropped: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    number: u64,
    bytes: u64,
}

impl Rotated {
    pub(super) const fn new(folder: PathBuf, limits: Limits) -> Self {
        Self { folder, limits, open: None, dropped: 0 }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Files removed to make room.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Adds a line, which ends with a line break. After an error the file is opened anew.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_newest()?,
        };
        if open.bytes > 0 && open.bytes + line.len() as u64 > self.limits.file_bytes {
            open = self.open_numbered(open.number + 1)?;
            self.make_room()?;
        }
        // One write, so that a crash leaves whole lines or a part of the last one.
        open.file.write_all(line)?;
        open.bytes += line.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    /// Lines of the two newest files, in order; none where they cannot be read.
    pub(super) fn newest_lines(&self) -> Vec<Vec<u8>> {
        let numbers = self.numbers().unwrap_or_default();
        let newest = &numbers[numbers.len().saturating_sub(2)..];
        let texts = newest.iter().filter_map(|number| fs::read(self.path_of(*number)).ok());
        texts
            .flat_map(|text| text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>())
            .collect()
    }

    fn open_newest(&self) -> io::Result<Open> {
        fs::create_dir_all(&self.folder)?;
        let newest = self.numbers()?.last().copied().unwrap_or(1);
        self.open_numbered(newest)
    }

    fn open_numbered(&self, number: u64) -> io::Result<Open> {
        let file = OpenOptions::new().create(true).append(true).open(self.path_of(number))?;
        let bytes = file.metadata()?.len();
        Ok(Open { file, number, bytes })
    }

    fn make_room(&mut self) -> io::Result<()> {
        let numbers = self.numbers()?;
        let surplus = numbers.len().saturating_sub(self.limits.files.max(1));
        for number in &numbers[..surplus] {
            fs::remove_file(self.path_of(*number))?;
            self.dropped += 1;
        }
        Ok(())
    }

    /// Numbers of the files that are there, in order.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let digits = name.to_str().and_then(|n| n.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
            numbers.extend(digits.and_then(|d| d.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn path_of(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{PREFIX}{number:08}{SUFFIX}"))
    }
}
