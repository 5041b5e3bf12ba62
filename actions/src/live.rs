//! What the daemon may do at this moment, shared with everything that writes.
//!
//! The daemon turns the switches, the guard reads them just before each write, so that a freeze or a lost
//! Lease holds for orders that are already on their way. Everything starts closed: ceiling `observe`, no
//! Lease. Leadership ends by itself at an instant: a process that was asleep past its Lease does not
//! believe, on waking, that it still leads.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use policy::rule::{Guardrail, Mode};
use tokio::time::Instant;

/// Leave to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Another replica leads, or none yet.
    No,
    /// We hold the Lease until then, unless it is renewed.
    Until(Instant),
    /// There is nobody to share with (outside a cluster).
    NotNeeded,
}

/// The switches.
#[derive(Debug)]
pub struct Live {
    ceiling: AtomicU8,
    clock_agrees: AtomicBool,
    leadership: Mutex<Leadership>,
    frozen: RwLock<Option<String>>,
    guardrail: RwLock<Arc<Guardrail>>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            ceiling: AtomicU8::new(0),
            clock_agrees: AtomicBool::new(true),
            leadership: Mutex::new(Leadership::No),
            frozen: RwLock::new(None),
            guardrail: RwLock::new(Arc::new(Guardrail::default())),
        }
    }
}

const MODES: [Mode; 4] = [Mode::Observe, Mode::Alert, Mode::Approve, Mode::Enforce];

impl Live {
    /// Everything closed.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The highest mode that any rule may have now.
    #[must_use]
    pub fn ceiling(&self) -> Mode {
        MODES.get(usize::from(self.ceiling.load(Ordering::SeqCst))).copied().unwrap_or_default()
    }

    /// Sets the ceiling.
    pub fn set_ceiling(&self, mode: Mode) {
        let at = MODES.iter().position(|m| *m == mode).unwrap_or(0);
        self.ceiling.store(u8::try_from(at).unwrap_or(0), Ordering::SeqCst);
    }

    /// Whether we may act as the one that leads, now.
    #[must_use]
    pub fn leads(&self) -> bool {
        match *self.leadership.lock().unwrap_or_else(PoisonError::into_inner) {
            Leadership::No => false,
            Leadership::Until(end) => Instant::now() < end,
            Leadership::NotNeeded => true,
        }
    }

    /// Sets who leads.
    pub fn set_leadership(&self, leadership: Leadership) {
        *self.leadership.lock().unwrap_or_else(PoisonError::into_inner) = leadership;
    }

    /// Why everything is frozen, where it is.
    #[must_use]
    pub fn frozen(&self) -> Option<String> {
        self.frozen.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Freezes with a reason for people, or ends the freeze.
    pub fn set_frozen(&self, reason: Option<String>) {
        *self.frozen.write().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Whether the wall clock agrees with the monotonic one.
    #[must_use]
    pub fn clock_agrees(&self) -> bool {
        self.clock_agrees.load(Ordering::SeqCst)
    }

    /// Says whether the wall clock agrees with the monotonic one.
    pub fn set_clock_agrees(&self, agrees: bool) {
        self.clock_agrees.store(agrees, Ordering::SeqCst);
    }

    /// What no rule may do.
    #[must_use]
    pub fn guardrail(&self) -> Arc<Guardrail> {
        Arc::clone(&self.guardrail.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the guardrail; called at each reload of the rules.
    pub fn set_guardrail(&self, guardrail: Guardrail) {
        *self.guardrail.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(guardrail);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn nothing_is_allowed_before_somebody_says_so() {
        let live = Live::new();
        assert_eq!(live.ceiling(), Mode::Observe);
        assert!(!live.leads());
        assert!(live.frozen().is_none());
    }

    #[test]
    fn every_mode_comes_back_as_it_was_set() {
        let live = Live::new();
        for mode in MODES {
            live.set_ceiling(mode);
            assert_eq!(live.ceiling(), mode);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn leadership_ends_by_itself_when_nobody_renews_it() {
        let live = Live::new();
        live.set_leadership(Leadership::Until(Instant::now() + Duration::from_secs(10)));
        assert!(live.leads());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!live.leads());
    }
}
