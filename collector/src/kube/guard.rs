//! When a watch that ended may begin again, and when only a fresh list will do.
//!
//! A watch can fail without an error: it answers 200 and closes. Reconnecting at once then loops tens of
//! thousands of times a second (A27). So three streams in a row that end within two seconds and brought
//! neither an event nor a bookmark are given up for a fresh list, later and later; and no kind connects
//! more than once a second, whatever happens.

use std::time::Duration;

/// A stream that ends sooner than this, with nothing in it, was no watch.
const SHORT: Duration = Duration::from_secs(2);
/// So many of them in a row are given up.
const MOST_EMPTY: u32 = 3;
/// Longest wait before a fresh list.
const LONGEST: Duration = Duration::from_secs(30);

/// What to do after a stream has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Watch again from where it ended.
    Resume,
    /// List again, after that wait.
    Relist(Duration),
}

/// The memory of how streams of one kind ended.
#[derive(Clone, Debug)]
pub struct Streams {
    first_wait: Duration,
    empty: u32,
    failures: u32,
}

impl Streams {
    /// Nothing has ended yet. The first wait before a list is that long, each further one twice as long.
    #[must_use]
    pub const fn new(first_wait: Duration) -> Self {
        Self { first_wait, empty: 0, failures: 0 }
    }

    /// A stream ended by itself after `lasted`, having brought `events` events and bookmarks.
    pub fn ended(&mut self, events: u64, lasted: Duration) -> Verdict {
        if events > 0 || lasted >= SHORT {
            *self = Self::new(self.first_wait);
            return Verdict::Resume;
        }
        self.empty += 1;
        if self.empty < MOST_EMPTY { Verdict::Resume } else { self.failed() }
    }

    /// A list, a connect or a stream failed, or the server said 410: only a list helps.
    pub fn failed(&mut self) -> Verdict {
        self.empty = 0;
        let wait = self.first_wait.saturating_mul(1 << self.failures.min(5)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        Verdict::Relist(wait)
    }

    /// A list worked. The waits begin anew only once a stream has worked too.
    pub fn listed(&mut self) {
        self.empty = 0;
    }
}

/// Between half of a wait and the whole of it, by a number that differs from call to call, so that many
/// daemons that lost one server do not come back as one.
#[must_use]
pub fn jittered(wait: Duration, random: u32) -> Duration {
    wait / 2 + (wait / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_millis(5);

    #[test]
    fn a_stream_that_worked_resumes_and_forgets_what_was() {
        let mut streams = Streams::new(Duration::from_secs(1));
        assert_eq!(streams.ended(0, NOW), Verdict::Resume);
        assert_eq!(streams.ended(0, NOW), Verdict::Resume);
        assert_eq!(streams.ended(1, NOW), Verdict::Resume);
        assert_eq!(streams.ended(0, NOW), Verdict::Resume);
        assert_eq!(streams.ended(0, Duration::from_secs(30)), Verdict::Resume);
    }

    #[test]
    fn three_empty_streams_are_given_up_for_a_list_later_and_later() {
        let mut streams = Streams::new(Duration::from_secs(1));
        let mut waits = Vec::new();
        for _ in 0..8 {
            streams.ended(0, NOW);
            streams.ended(0, NOW);
            match streams.ended(0, NOW) {
                Verdict::Relist(wait) => waits.push(wait.as_secs()),
                Verdict::Resume => panic!("the third empty stream must not resume"),
            }
            streams.listed();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn jitter_stays_between_half_and_whole() {
        let wait = Duration::from_secs(8);
        assert_eq!(jittered(wait, 0), Duration::from_secs(4));
        assert_eq!(jittered(wait, u32::MAX), wait);
    }
}
