//! Whether rule files are those of a checkout's index: Git's own list of what is checked out, with a hash of each.
//!
//! Read as far as that needs: versions 2 to 4, and of the extensions the cache of trees, from which `git add` takes
//! a folder until it is committed. What cannot be read is not known, and not called clean.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

/// Largest index that is read: a repository of a million files has some 100 MB, one of rules some kB.
const MOST_BYTES: u64 = 64 << 20;

/// The index of a checkout.
pub(super) struct Index {
    /// Path in the checkout → its hash and mode.
    entries: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    /// Folders of which something is staged and not committed.
    staged: Vec<Vec<u8>>,
    hash: usize,
}

impl Index {
    /// Reads one; `None` where it cannot be read. `hash` is the length of an object's id.
    pub(super) fn read(path: &Path, hash: usize) -> Option<Self> {
        if fs::metadata(path).ok()?.len() > MOST_BYTES {
            return None;
        }
        Self::parse(&fs::read(path).ok()?, hash)
    }

    fn parse(bytes: &[u8], hash: usize) -> Option<Self> {
        let mut rest = bytes.strip_prefix(b"DIRC")?;
        let version = number(&mut rest)?;
        let count = number(&mut rest)?;
        if !(2..=4).contains(&version) {
            return None;
        }
        let mut entries = BTreeMap::new();
        let mut name: Vec<u8> = Vec::new();
        for _ in 0..count {
            let before = rest.len();
            let mode = u32::from_be_bytes(rest.get(24..28)?.try_into().ok()?);
            let id = rest.get(40..40 + hash)?.to_vec();
            rest = rest.get(40 + hash..)?;
            let flags = take(&mut rest, 2)?;
            if version >= 3 && flags[0] & 0x40 != 0 {
                take(&mut rest, 2)?;
            }
            if version == 4 {
                let cut = varint(&mut rest)?;
                name.truncate(name.len().checked_sub(cut)?);
            } else {
                name.clear();
            }
            let end = rest.iter().position(|byte| *byte == 0)?;
            name.extend(take(&mut rest, end)?);
            let padding = match version {
                4 => 1,
                _ => 8 - (before - rest.len()) % 8,
            };
            take(&mut rest, padding)?;
            entries.insert(name.clone(), (id, mode));
        }
        Some(Self { entries, staged: staged(rest, hash), hash })
    }

    /// Whether those files under `prefix` (a path in the checkout, with `/`, empty for all of it) are the ones that
    /// are checked out, and nothing of it is staged. `files` are paths under the prefix with their text.
    pub(super) fn is_clean<'f>(&self, prefix: &str, files: impl Iterator<Item = (&'f str, &'f str)>) -> bool {
        let join = |path: &str| match prefix {
            "" => path.as_bytes().to_vec(),
            _ => format!("{prefix}/{path}").into_bytes(),
        };
        let mut seen = 0;
        for (path, text) in files {
            match self.entries.get(&join(path)) {
                // A link's blob is where it leads; what it leads to may be anywhere.
                Some((_, mode)) if mode & 0o170_000 == 0o120_000 => {}
                Some((id, _)) if *id == blob_id(text, self.hash) => {}
                _ => return false,
            }
            seen += 1;
        }
        let inside = join("");
        let rules =
            self.entries.keys().filter(|path| path.starts_with(&inside) && is_rule(&path[inside.len()..]));
        let folder = prefix.as_bytes();
        let staged =
            self.staged.iter().any(|at| at == folder || at.starts_with(&inside) && !inside.is_empty());
        rules.count() == seen && !staged
    }
}

/// As `read_folder` takes and leaves them.
fn is_rule(path: &[u8]) -> bool {
    let path = String::from_utf8_lossy(path);
    let yaml = path.ends_with(".yaml") || path.ends_with(".yml");
    let test = path.ends_with(".test.yaml") || path.ends_with(".test.yml");
    yaml && !test && path.split('/').all(|part| !part.starts_with('.'))
}

/// The id that Git gives a file.
fn blob_id(text: &str, hash: usize) -> Vec<u8> {
    let head = format!("blob {}\0", text.len());
    match hash {
        32 => Sha256::new().chain_update(head).chain_update(text).finalize().to_vec(),
        _ => Sha1::new().chain_update(head).chain_update(text).finalize().to_vec(),
    }
}

fn take<'b>(rest: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(head)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(take(rest, 4)?.try_into().ok()?))
}

/// Git's offset encoding.
fn varint(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0_usize;
    loop {
        let byte = take(rest, 1)?[0];
        value = value.checked_mul(128)?.checked_add(usize::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        value = value.checked_add(1)?;
    }
}

/// Folders whose cached tree is void: something in them was added and not committed. None where there is no cache.
fn staged(mut rest: &[u8], hash: usize) -> Vec<Vec<u8>> {
    while let Some(name) = take(&mut rest, 4) {
        let Some(length) = number(&mut rest).and_then(|n| usize::try_from(n).ok()) else { break };
        let Some(mut body) = take(&mut rest, length) else { break };
        if name == b"TREE" {
            let mut void = Vec::new();
            let _ = tree(&mut body, &[], hash, 0, &mut void);
            return void;
        }
    }
    Vec::new()
}

fn tree(rest: &mut &[u8], above: &[u8], hash: usize, depth: usize, void: &mut Vec<Vec<u8>>) -> Option<()> {
    let name = line(rest, 0)?;
    let count = std::str::from_utf8(line(rest, b' ')?).ok()?.parse::<i64>().ok()?;
    let below = std::str::from_utf8(line(rest, b'\n')?).ok()?.parse::<usize>().ok()?;
    let path = if above.is_empty() { name.to_vec() } else { [above, b"/", name].concat() };
    if count < 0 {
        void.push(path.clone());
    } else {
        take(rest, hash)?;
    }
    if depth > 64 {
        return None;
    }
    (0..below).try_for_each(|_| tree(rest, &path, hash, depth + 1, void))
}

fn line<'b>(rest: &mut &'b [u8], end: u8) -> Option<&'b [u8]> {
    let at = rest.iter().position(|byte| *byte == end)?;
    let head = take(rest, at)?;
    take(rest, 1)?;
    Some(head)
}
