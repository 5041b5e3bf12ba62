//! The disk reserve: below it intake stops, so that the journal can still write what must be written (a
//! receipt, a release) while people make room.

use std::path::Path;

use nix::sys::statvfs::statvfs;

/// Where the line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Bytes that must stay free for intake to go on.
    pub bytes: u64,
}

/// How the disk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Enough.
    Enough,
    /// Below the reserve; so many bytes are free.
    Low(u64),
    /// It cannot be told. Intake goes on: the commit itself is the proof.
    Unknown,
}

impl Reserve {
    /// Looks at the file system of that folder.
    #[must_use]
    pub fn look(self, folder: &Path) -> Room {
        match statvfs(folder) {
            Ok(stat) => self.judge(stat.blocks_available().saturating_mul(stat.fragment_size())),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "cannot tell how much room the disk has");
                Room::Unknown
            }
        }
    }

    /// Whether so many free bytes are enough.
    #[must_use]
    pub const fn judge(self, free: u64) -> Room {
        if free < self.bytes { Room::Low(free) } else { Room::Enough }
    }
}
