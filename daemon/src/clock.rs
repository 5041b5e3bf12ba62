//! The two clocks of a turn. Read once at its beginning, by the turn alone.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use policy::fact;
use policy::time::{Span, Timestamp};

/// Where time comes from. Replaced only by the demo and by tests.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Both clocks, now.
    fn read(&self) -> fact::Clock;
}

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn read(&self) -> fact::Clock {
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            // A clock before 1970: the engine sees the jump and doubts it.
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        };
        let mono = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        fact::Clock { wall: Timestamp::from_millis(wall), mono }
    }
}

/// A clock that goes only when it is told to.
#[derive(Debug)]
pub struct ManualClock(Mutex<fact::Clock>);

impl ManualClock {
    /// Stands at that instant.
    #[must_use]
    pub fn at(wall: Timestamp) -> Self {
        Self(Mutex::new(fact::Clock { wall, mono: 0 }))
    }

    /// Both clocks go on by that span.
    pub fn advance(&self, span: Span) {
        let mut clock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clock.wall = clock.wall.plus(span);
        clock.mono = clock.mono.saturating_add(u64::try_from(span.millis()).unwrap_or(0));
    }

    /// Both clocks go on until the wall clock shows that instant; never back.
    pub fn advance_to(&self, wall: Timestamp) {
        let now = self.read().wall;
        if wall > now {
            self.advance(wall.since(now));
        }
    }

    /// Only the wall clock jumps, as when somebody sets it.
    pub fn set_wall(&self, wall: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wall = wall;
    }
}

impl Clock for ManualClock {
    fn read(&self) -> fact::Clock {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_both_hands_or_only_the_wall() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000));
        clock.advance_to(Timestamp::from_millis(4_000));
        clock.advance_to(Timestamp::from_millis(2_000));
        assert_eq!(clock.read(), fact::Clock { wall: Timestamp::from_millis(4_000), mono: 3_000 });
        clock.set_wall(Timestamp::from_millis(9_000));
        assert_eq!(clock.read(), fact::Clock { wall: Timestamp::from_millis(9_000), mono: 3_000 });
    }
}
