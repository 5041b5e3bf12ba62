//! The voice: `actions`' notifier, joined to the daemon's journal; and what both voice and hands follow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use actions::live::Live;
use actions::notify::{Delivered, DeliveryLog, Notifier};
use async_trait::async_trait;
use policy::decision::Notice;
use policy::rule::{Mode, RuleSet};
use policy::time::{Span, Timestamp};

use crate::clock::Clock;
use crate::edge::{Messenger, SendFailure, Sent};
use crate::failpoint;
use crate::journal::Delivery;
use crate::turn::{Handle, Levers};

/// Key and receiver, or thread and receiver.
type At = (Box<str>, Box<str>);

/// Between two rounds of forgetting.
const FORGET_EVERY: Span = Span::from_hours(1);

#[derive(Debug)]
struct Known {
    delivered: HashMap<At, Timestamp>,
    /// Latest handle of a thread.
    handles: HashMap<At, (Box<str>, Timestamp)>,
    forget_at: Timestamp,
}

impl Known {
    fn take(&mut self, delivery: &Delivery) {
        self.delivered.insert((delivery.key.clone(), delivery.receiver.clone()), delivery.at);
        if let Some(handle) = &delivery.handle {
            let at = (delivery.thread.clone(), delivery.receiver.clone());
            self.handles.insert(at, (handle.clone(), delivery.at));
        }
    }

    /// Forgets what the journal forgets: deliveries from before `keep` ago.
    fn forget(&mut self, now: Timestamp, keep: Span) {
        if now < self.forget_at {
            return;
        }
        self.forget_at = now.plus(FORGET_EVERY);
        let oldest = now.minus(keep);
        self.delivered.retain(|_, at| *at >= oldest);
        self.handles.retain(|_, (_, at)| *at >= oldest);
    }
}

/// What was delivered: read from memory, written with the next turn.
#[derive(Debug)]
pub struct Deliveries {
    known: Mutex<Known>,
    handle: OnceLock<Handle>,
    clock: Arc<dyn Clock>,
    keep: Span,
}

impl Deliveries {
    /// Knows nothing yet. `keep` is for how long the journal remembers a delivery.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, keep: Span) -> Self {
        let (delivered, handles) = (HashMap::new(), HashMap::new());
        let known = Known { delivered, handles, forget_at: Timestamp::MIN };
        Self { known: Mutex::new(known), handle: OnceLock::new(), clock, keep }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DeliveryLog for Deliveries {
    fn handle(&self, thread: &str, receiver: &str) -> Option<Box<str>> {
        self.known().handles.get(&(thread.into(), receiver.into())).map(|(handle, _)| handle.clone())
    }

    fn delivered(&self, key: &str, receiver: &str) -> bool {
        self.known().delivered.contains_key(&(key.into(), receiver.into()))
    }

    async fn record(&self, delivered: Delivered) {
        failpoint::MESSAGE_SENT.reached();
        let Delivered { key, thread, receiver, handle } = delivered;
        let delivery = Delivery { key, receiver, thread, handle, at: self.clock.read().wall };
        {
            let mut known = self.known();
            known.take(&delivery);
            known.forget(delivery.at, self.keep);
        }
        if let Some(turn) = self.handle.get() {
            // The turn may have ended: then the message is sent once more after the start, as a repeat.
            let _ = turn.delivered(delivery).await;
        }
        failpoint::MESSAGE_RECORDED.reached();
    }
}

/// Carries messages.
#[derive(Debug)]
pub struct Voice {
    notifier: Arc<Notifier>,
    deliveries: Arc<Deliveries>,
}

impl Voice {
    /// Speaks by that notifier, which writes into that log.
    #[must_use]
    pub fn new(notifier: Arc<Notifier>, deliveries: Arc<Deliveries>) -> Self {
        Self { notifier, deliveries }
    }
}

#[async_trait]
impl Messenger for Voice {
    fn begin(&self, known: &[Delivery], handle: &Handle) {
        let mut all = self.deliveries.known();
        for delivery in known {
            all.take(delivery);
        }
        // A second start of the same edges would only set it to the same turn.
        let _ = self.deliveries.handle.set(handle.clone());
    }

    async fn deliver(&self, notice: &Notice, repeat: bool) -> Vec<Sent> {
        let answers = self.notifier.deliver(notice, repeat).await;
        let failure = |error: actions::notify::NotifyError| SendFailure {
            text: error.to_string(),
            retryable: error.is_retryable(),
        };
        answers.into_iter().map(|(receiver, sent)| (receiver, sent.map_err(failure))).collect()
    }
}

/// What hands and voice follow.
#[derive(Debug)]
pub struct Switchboard {
    live: Arc<Live>,
    notifier: Arc<Notifier>,
    /// Rules that were passed on: most turns bring no others.
    rules: Mutex<Option<Arc<RuleSet>>>,
}

impl Switchboard {
    /// Switches for these two.
    #[must_use]
    pub fn new(live: Arc<Live>, notifier: Arc<Notifier>) -> Self {
        Self { live, notifier, rules: Mutex::new(None) }
    }
}

impl Levers for Switchboard {
    fn ceiling(&self, mode: Mode) {
        self.live.set_ceiling(mode);
    }

    fn frozen(&self, reason: Option<&str>) {
        self.live.set_frozen(reason.map(str::to_owned));
    }

    fn clock_agrees(&self, agrees: bool) {
        self.live.set_clock_agrees(agrees);
    }

    fn rules(&self, rules: &Arc<RuleSet>) {
        let mut last = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_some_and(|last| Arc::ptr_eq(last, rules)) {
            return;
        }
        self.live.set_guardrail(rules.guardrail.clone());
        self.notifier.use_rules(Arc::clone(rules));
        *last = Some(Arc::clone(rules));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::testing::{noon, rules};

    fn delivery(key: &str, handle: Option<&str>) -> Delivery {
        Delivery {
            key: key.into(),
            receiver: "slack".into(),
            thread: "t".into(),
            handle: handle.map(Into::into),
            at: noon(),
        }
    }

    const KEEP: Span = Span::from_hours(24);

    fn log() -> Arc<Deliveries> {
        Arc::new(Deliveries::new(Arc::new(ManualClock::at(noon())), KEEP))
    }

    #[tokio::test]
    async fn what_the_journal_forgets_is_forgotten_here_too() {
        let log = log();
        for (key, age) in [("old", Span::from_millis(KEEP.millis() + 1)), ("young", KEEP)] {
            let old = Delivery { at: noon().minus(age), thread: key.into(), ..delivery(key, Some("C1 1.0")) };
            log.known().take(&old);
        }
        let new =
            Delivered { key: "new".into(), thread: "new".into(), receiver: "slack".into(), handle: None };
        log.record(new).await;
        assert!(!log.delivered("old", "slack") && log.handle("old", "slack").is_none());
        assert!(log.delivered("young", "slack") && log.handle("young", "slack").is_some());
        assert!(log.delivered("new", "slack"));
        let known = log.known();
        assert_eq!((known.delivered.len(), known.handles.len()), (2, 1));
    }

    #[test]
    fn a_later_message_without_a_handle_leaves_the_thread_its_own() {
        let log = log();
        for delivery in [delivery("k1", Some("C1 1.0")), delivery("k2", None)] {
            log.known().take(&delivery);
        }
        assert!(log.delivered("k1", "slack") && log.delivered("k2", "slack"));
        assert!(!log.delivered("k1", "webhook") && !log.delivered("k3", "slack"));
        assert_eq!(log.handle("t", "slack").as_deref(), Some("C1 1.0"));
        assert_eq!(log.handle("t", "webhook"), None);
    }

    #[test]
    fn the_guard_follows_what_the_turn_says() {
        let (live, log) = (Live::new(), log());
        let secrets = Arc::new(actions::notify::EnvironmentAndFiles);
        let notifier = Arc::new(Notifier::new(secrets, log).unwrap());
        let board = Switchboard::new(live.clone(), notifier);
        board.ceiling(Mode::Enforce);
        board.frozen(Some("audit"));
        board.clock_agrees(false);
        let mut set = rules(50, Mode::Enforce);
        set.guardrail.overall = 3;
        board.rules(&Arc::new(set));
        assert_eq!(live.ceiling(), Mode::Enforce);
        assert_eq!(live.frozen().as_deref(), Some("audit"));
        assert!(!live.clock_agrees());
        assert_eq!(live.guardrail().overall, 3);
        board.frozen(None);
        assert_eq!(live.frozen(), None);
    }
}
