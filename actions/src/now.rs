//! What time it is, as an argument: tests and the demo drive it, and an order expires by it.

use std::time::{SystemTime, UNIX_EPOCH};

use policy::time::Timestamp;

/// A wall clock.
pub trait Now: Send + Sync {
    /// The wall clock's reading.
    fn wall(&self) -> Timestamp;
}

/// The machine's own wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemNow;

impl Now for SystemNow {
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}
