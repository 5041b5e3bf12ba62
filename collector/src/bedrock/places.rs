//! How far each file was read, by path and fingerprint; and which of them a file is that nobody knows by name.
//!
//! Ids are remembered for two days only; after that, a position is what proves that a record was counted. So a
//! file that was renamed, moved or compressed must keep its position, or all that is older would count again.
//! A copy beside its original is another file, which begins where the two begin to differ: what of it is the
//! same was counted with the original.
//!
//! A file that is gone for long is forgotten, here and in the engine: logs come as a new file every few minutes. If
//! it comes back it is read as a new one; ids know what is young in it, and the engine refuses what is old.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use policy::engine::FileRead;
use policy::time::Timestamp;

/// Files that are forgotten at once, at most: a fact has to stay small.
const FORGET_AT_ONCE: usize = 4096;

/// Positions of all files of a folder.
#[derive(Debug)]
pub(super) struct Places {
    /// By `path#fingerprint`.
    files: BTreeMap<Box<str>, FileRead>,
    /// The names that each fingerprint was read under.
    names: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// Those that were gone when last asked.
    gone: BTreeSet<Box<str>>,
}

impl Places {
    pub(super) fn new(files: BTreeMap<Box<str>, FileRead>) -> Self {
        let mut names: BTreeMap<Box<str>, Vec<Box<str>>> = BTreeMap::new();
        for name in files.keys() {
            names.entry(fingerprint_of(name).into()).or_default().push(name.clone());
        }
        Self { files, names, gone: BTreeSet::new() }
    }

    /// The name under which a file is kept, and how far it was read.
    ///
    /// `stands` says whether a file with that fingerprint stands under another path, and `same` how many of the
    /// first bytes are the same in it. A copy of one that stands begins where it differs from that one; one that
    /// stands no more, and of which more was read, is taken to be this one under another name.
    pub(super) fn find(
        &self,
        path: &str,
        fingerprint: &str,
        stands: impl Fn(&str) -> bool,
        same: impl Fn(&str, u64) -> u64,
    ) -> (String, u64) {
        let name = format!("{path}#{fingerprint}");
        if let Some(read) = self.files.get(&*name) {
            return (name, read.end);
        }
        let kept = |name: &str| self.files.get(name).map_or(0, |read| read.end);
        let names = self.names.get(fingerprint).map_or(&[][..], Vec::as_slice);
        let (standing, gone): (Vec<_>, Vec<_>) = names.iter().partition(|name| stands(path_of(name)));
        let copied = standing.into_iter().map(|name| same(path_of(name), kept(name))).max().unwrap_or(0);
        match gone.into_iter().max_by_key(|name| kept(name)).filter(|name| kept(name) > copied) {
            Some(moved) => (moved.to_string(), kept(moved)),
            None => (name, copied),
        }
    }

    /// Whether a file under that path was ever read.
    pub(super) fn knows(&self, path: &str) -> bool {
        let begin: Box<str> = format!("{path}#").into();
        self.files.range(begin.clone()..).next().is_some_and(|(name, _)| name.starts_with(&*begin))
    }

    /// A file was read to there, at that time: what it holds is no newer.
    pub(super) fn read(&mut self, name: &str, end: u64, now: Timestamp) {
        let read = FileRead { end, newest: now };
        let before = match self.files.get_mut(name) {
            Some(known) => Some(std::mem::replace(known, read)),
            None => self.files.insert(name.into(), read),
        };
        // Empty files all have one fingerprint, and none of them is a copy of another.
        if before.is_none_or(|before| before.end == 0) && end > 0 {
            self.names.entry(fingerprint_of(name).into()).or_default().push(name.into());
        }
    }

    /// Forgets files that hold nothing newer than `before` and were gone this time and the last; gives their
    /// names. `stand` are the names of all that are there.
    pub(super) fn forget(&mut self, stand: &BTreeSet<&str>, before: Timestamp) -> Vec<Box<str>> {
        let old = self.files.iter().filter(|(_, read)| read.newest < before);
        let gone = old.map(|(name, _)| name).filter(|name| !stand.contains(&***name)).cloned();
        let gone: BTreeSet<_> = gone.take(FORGET_AT_ONCE).collect();
        let forgotten: Vec<_> = gone.intersection(&self.gone).cloned().collect();
        for name in &forgotten {
            self.files.remove(name);
            let fingerprint = fingerprint_of(name);
            if let Some(names) = self.names.get_mut(fingerprint) {
                names.retain(|known| known != name);
                if names.is_empty() {
                    self.names.remove(fingerprint);
                }
            }
        }
        self.gone = gone;
        forgotten
    }

    #[cfg(test)]
    pub(super) fn files(&self) -> BTreeMap<Box<str>, FileRead> {
        self.files.clone()
    }
}

fn path_of(name: &str) -> &str {
    name.rsplit_once('#').map_or(name, |(path, _)| path)
}

fn fingerprint_of(name: &str) -> &str {
    name.rsplit_once('#').map_or("", |(_, fingerprint)| fingerprint)
}

/// How many bytes two files have in common from their start on: all of `most`, or whole lines of it.
pub(super) fn common(mut a: impl Read, mut b: impl Read, most: u64) -> u64 {
    let (mut same, mut lines) = (0, 0);
    let (mut left, mut right) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    while same < most {
        let want = usize::try_from(most - same).unwrap_or(usize::MAX).min(left.len());
        let (Ok(read), Ok(other)) = (fill(&mut a, &mut left[..want]), fill(&mut b, &mut right[..want]))
        else {
            return lines;
        };
        let equal = left[..read].iter().zip(&right[..other]).take_while(|(a, b)| a == b).count();
        if let Some(end) = left[..equal].iter().rposition(|byte| *byte == b'\n') {
            lines = same + end as u64 + 1;
        }
        same += equal as u64;
        if equal < want {
            return lines;
        }
    }
    same
}

/// Reads until the buffer is full or there is no more. A gzip that is cut off has no more.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_files_have_in_common_ends_with_a_line() {
        let long = "0123456789abcde\n".repeat(10_000);
        let changed = long[..100_000].to_owned() + "x" + &long[100_001..];
        for (a, b, most, same) in [
            ("one\ntwo\n", "one\ntwo\nthree\n", 8, 8),
            ("one\ntwo\n", "one\ntw", 8, 4),
            ("one\ntwo\n", "one\nTwo\n", 8, 4),
            ("one", "two", 3, 0),
            ("[{},{}]", "[{},{}]", 7, 7),
            ("[{},{}]", "[{},[]]", 7, 0),
            ("one\n", "one\n", 0, 0),
            (&long, &long, 160_000, 160_000),
            (&long, &changed, 160_000, 100_000 / 16 * 16),
        ] {
            assert_eq!(common(a.as_bytes(), b.as_bytes(), most), same, "{a:.20} {b:.20}");
        }
    }
}
