//! How far each file was read, by path and fingerprint; and which of them a file is that nobody knows by name.
//!
//! Ids are remembered for two days only; after that, a position is what proves that a record was counted. So a
//! file that was renamed, moved or compressed must keep its position, or all that is older would count again.
//! A copy beside the original is another file: what it holds need not be what the original holds.

use std::collections::BTreeMap;

/// Positions of all files of a folder.
#[derive(Debug)]
pub(super) struct Places {
    /// Offset by `path#fingerprint`.
    offsets: BTreeMap<Box<str>, u64>,
    /// The name that each fingerprint was first read under.
    names: BTreeMap<Box<str>, Box<str>>,
}

impl Places {
    pub(super) fn new(offsets: BTreeMap<Box<str>, u64>) -> Self {
        let of = |name: &str| Some((Box::from(name.rsplit_once('#')?.1), Box::from(name)));
        let names = offsets.keys().filter_map(|name| of(name)).collect();
        Self { offsets, names }
    }

    /// The name under which a file is kept, and how far it was read. `now` gives the fingerprint of what
    /// stands under another path.
    pub(super) fn find(
        &self,
        path: &str,
        fingerprint: &str,
        now: impl FnOnce(&str) -> Option<String>,
    ) -> (String, u64) {
        let name = format!("{path}#{fingerprint}");
        if let Some(offset) = self.offsets.get(&*name) {
            return (name, *offset);
        }
        let before = self.names.get(fingerprint).filter(|before| {
            let path = before.rsplit_once('#').map_or("", |(path, _)| path);
            now(path).is_none_or(|there| there != fingerprint)
        });
        match before {
            Some(before) => (before.to_string(), self.offsets.get(before).copied().unwrap_or(0)),
            None => (name, 0),
        }
    }

    /// A file was read to there.
    pub(super) fn read(&mut self, name: &str, offset: u64) {
        if let Some(known) = self.offsets.get_mut(name) {
            *known = offset;
            return;
        }
        self.offsets.insert(name.into(), offset);
        if let Some((_, fingerprint)) = name.rsplit_once('#') {
            self.names.insert(fingerprint.into(), name.into());
        }
    }

    #[cfg(test)]
    pub(super) fn offsets(&self) -> BTreeMap<Box<str>, u64> {
        self.offsets.clone()
    }
}
