//! The gateway's own count of distinct targets that it newly stopped in the guardrail's window.
//!
//! The engine counts too, over what it ordered. This one counts what was really about to be written, so
//! that an error in the engine cannot stop more than the cap. A target that is fired at again within the
//! window counts once.

use std::collections::BTreeMap;

use policy::inventory::ObjectKey;
use policy::time::{Span, Timestamp};

/// Targets newly stopped, with when.
#[derive(Debug, Default)]
pub(crate) struct Stopped {
    at: BTreeMap<ObjectKey, Timestamp>,
}

impl Stopped {
    /// How many distinct targets the window holds once this one is among them.
    pub(crate) fn with(&mut self, target: &ObjectKey, now: Timestamp, per: Span) -> u32 {
        let oldest = now.minus(per);
        self.at.retain(|_, at| *at > oldest);
        let fresh = usize::from(!self.at.contains_key(target));
        u32::try_from(self.at.len() + fresh).unwrap_or(u32::MAX)
    }

    /// Counts a target from now on. Kept although the write may fail: a cap errs towards fewer stops.
    pub(crate) fn count(&mut self, target: &ObjectKey, at: Timestamp) {
        self.at.entry(target.clone()).or_insert(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_counts_once_and_leaves_after_the_window() {
        let (a, b) = (ObjectKey::scaled_object("n", "a"), ObjectKey::scaled_object("n", "b"));
        let at = |minutes| Timestamp::MIN.plus(Span::from_hours(24)).plus(Span::from_mins(minutes));
        let per = Span::from_mins(10);
        let mut stopped = Stopped::default();
        assert_eq!(stopped.with(&a, at(0), per), 1);
        stopped.count(&a, at(0));
        stopped.count(&a, at(5));
        assert_eq!(stopped.with(&a, at(9), per), 1);
        assert_eq!(stopped.with(&b, at(9), per), 2);
        assert_eq!(stopped.with(&b, at(10), per), 1);
    }
}
