//! How a source is doing, said not too often: silence is a fact of its own, and so is trouble.
//!
//! A source says that it was heard about once a second, however often it looks; and that it is broken when
//! that is news, and again every minute while it lasts. It never says that all is well by saying nothing.

use std::time::Duration;

use policy::fact::{Fact, SourceHealth, SourceState};
use tokio::time::Instant;

/// Between two words that all is well.
const HEARD_EVERY: Duration = Duration::from_secs(1);
/// Between two words of the same trouble.
const BROKEN_EVERY: Duration = Duration::from_secs(60);

/// Decides what is worth saying.
#[derive(Debug)]
pub struct Pulse {
    source: Box<str>,
    said: Option<(Instant, Option<String>)>,
}

impl Pulse {
    /// For that source; nothing was said yet.
    #[must_use]
    pub fn new(source: &str) -> Self {
        Self { source: source.into(), said: None }
    }

    /// It was heard; or it was not, and why.
    pub fn beat(&mut self, state: Result<(), String>, now: Instant) -> Option<Fact> {
        let trouble = state.err();
        let every = if trouble.is_some() { BROKEN_EVERY } else { HEARD_EVERY };
        if self.said.as_ref().is_some_and(|(at, said)| *said == trouble && now < *at + every) {
            return None;
        }
        self.said = Some((now, trouble.clone()));
        Some(self.fact(trouble.map_or(SourceState::Heard, SourceState::Broken)))
    }

    /// It has read all that was there when it started.
    #[must_use]
    pub fn caught_up(&self) -> Fact {
        self.fact(SourceState::CaughtUp)
    }

    fn fact(&self, state: SourceState) -> Fact {
        Fact::Health(SourceHealth { source: self.source.clone(), state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_is_said_once_a_second_and_trouble_when_it_is_news_and_every_minute() {
        let start = Instant::now();
        let mut pulse = Pulse::new("s");
        let trouble = || Err("gone".to_owned());
        let mut said = |state, millis| pulse.beat(state, start + Duration::from_millis(millis)).is_some();
        assert!(said(Ok(()), 0));
        assert!(!said(Ok(()), 999));
        assert!(said(Ok(()), 1_000));
        assert!(said(trouble(), 1_001), "trouble is news");
        assert!(!said(trouble(), 60_000));
        assert!(said(trouble(), 61_001));
        assert!(said(Err("otherwise".to_owned()), 61_002));
        assert!(said(Ok(()), 61_003), "so is its end");
    }
}
