//! What was taken away, by pool: each notice once, and what became of the instance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Age, SpotKind, SpotNotice};
use crate::time::{Span, Timestamp};

/// Notices remembered at most, so that each counts once; the oldest are forgotten first.
const MOST_SEEN: usize = 1 << 16;
/// Pools told apart; the losses of further ones are counted together.
const MOST_POOLS: usize = 1_024;
/// The pool of those.
const OTHER: &str = "other";
/// An instance that is still there so long after its notice was spared.
const SPARED_AFTER: Span = Span::from_hours(1);

/// Losses of one pool since the journal began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Notices that a Spot instance will be taken away.
    pub interruptions: u64,
    /// Recommendations to leave one.
    pub rebalances: u64,
    /// Notices that an instance of a capacity reservation will be taken away.
    pub reservations: u64,
    /// Of all these, how many were not acted on because of their time.
    pub stale: u64,
    /// Instances that went after a notice.
    pub lost: u64,
    /// Instances that were still there an hour after it.
    pub spared: u64,
}

/// What is known of notices and of what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// By event and instance: the event's own time.
    seen: BTreeMap<(Box<str>, Box<str>), Timestamp>,
    /// What came before this is forgotten, and counts no more.
    forgotten: Timestamp,
    /// Instances with a notice whose end is not known: their pool, and when the first came.
    open: BTreeMap<Box<str>, (Box<str>, Timestamp)>,
    pools: BTreeMap<Box<str>, Pool>,
    /// Notices about instances that are no node here. Every cluster of an account hears of all of them.
    pub elsewhere: u64,
    /// Notices that came again.
    pub duplicates: u64,
    /// Notices from before what is remembered: they may have come before, and count nowhere.
    pub too_old: u64,
}

impl Losses {
    /// Counts a notice of that age about an instance of a pool (`None`: no node here); whether it is news.
    pub fn note(&mut self, notice: &SpotNotice, pool: Option<&str>, age: Age) -> bool {
        let key = (notice.event.clone(), notice.instance.clone());
        if notice.at < self.forgotten {
            self.too_old += 1;
            return false;
        }
        if self.seen.insert(key, notice.at).is_some() {
            self.duplicates += 1;
            return false;
        }
        self.bound();
        if let SpotKind::State(state) = notice.kind {
            if state.is_gone() {
                self.close(&notice.instance, true);
            }
            return false;
        }
        let Some(pool) = pool else {
            self.elsewhere += 1;
            return false;
        };
        let counts = self.pool(pool);
        match notice.kind {
            SpotKind::Interruption(_) => counts.interruptions += 1,
            SpotKind::Rebalance => counts.rebalances += 1,
            SpotKind::CapacityReservation(_) => counts.reservations += 1,
            SpotKind::State(_) => {}
        }
        counts.stale += u64::from(age != Age::Fresh);
        let open = (pool.into(), notice.at);
        self.open.entry(notice.instance.clone()).or_insert(open);
        true
    }

    /// An instance is gone, or was spared: of one that nobody announced nothing is counted.
    pub fn close(&mut self, instance: &str, lost: bool) {
        let Some((pool, _)) = self.open.remove(instance) else { return };
        let counts = self.pool(&pool);
        if lost {
            counts.lost += 1;
        } else {
            counts.spared += 1;
        }
    }

    /// What time brings: instances that were spared, and notices that may be forgotten.
    pub fn pass(&mut self, now: Timestamp, horizon: Span) {
        let over = |at: &Timestamp| now.since(*at) > SPARED_AFTER;
        let spared: Vec<Box<str>> =
            self.open.iter().filter(|(_, (_, at))| over(at)).map(|(instance, _)| instance.clone()).collect();
        for instance in spared {
            self.close(&instance, false);
        }
        let oldest = now.minus(horizon);
        if self.forgotten < oldest {
            self.forgotten = oldest;
            self.seen.retain(|_, at| *at >= oldest);
        }
    }

    /// By name of the pool; empty where it is not known.
    #[must_use]
    pub fn pools(&self) -> &BTreeMap<Box<str>, Pool> {
        &self.pools
    }

    fn pool(&mut self, name: &str) -> &mut Pool {
        let known = self.pools.contains_key(name) || self.pools.len() < MOST_POOLS;
        self.pools.entry(if known { name.into() } else { OTHER.into() }).or_default()
    }

    /// Half is forgotten at once, so that it is not done again for each notice.
    fn bound(&mut self) {
        if self.seen.len() <= MOST_SEEN {
            return;
        }
        let mut times: Vec<Timestamp> = self.seen.values().copied().collect();
        times.sort_unstable();
        let middle = times[times.len() / 2];
        self.forgotten = self.forgotten.max(middle.plus(Span::from_millis(1)));
        let oldest = self.forgotten;
        self.seen.retain(|_, at| *at >= oldest);
        self.open.retain(|_, (_, at)| *at >= oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spot::{InstanceState, Loss};

    const GONE: SpotKind = SpotKind::State(InstanceState::Terminated);
    const WARNING: SpotKind = SpotKind::Interruption(Loss::Terminate);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    fn notice(event: &str, instance: &str, kind: SpotKind, secs: i64) -> SpotNotice {
        SpotNotice {
            event: event.into(),
            kind,
            instance: instance.into(),
            account: "111122223333".into(),
            region: "us-east-1".into(),
            at: at(secs),
        }
    }

    #[test]
    fn each_notice_counts_once_and_so_does_the_loss() {
        let mut losses = Losses::default();
        let mut note = |event: &str, instance: &str, kind| {
            losses.note(&notice(event, instance, kind, 9), Some("gpu"), Age::Fresh)
        };
        assert!(note("r", "i-1", SpotKind::Rebalance) && note("w", "i-1", WARNING));
        assert!(!note("w", "i-1", WARNING), "the same again");
        assert!(note("w", "i-2", WARNING), "one event may name several instances");
        assert!(!note("s", "i-1", GONE) && !note("t", "i-1", GONE) && !note("u", "i-3", GONE));
        let pool = losses.pools()["gpu"];
        assert_eq!((pool.interruptions, pool.rebalances, pool.lost, losses.duplicates), (2, 1, 1, 1));
    }

    #[test]
    fn what_is_still_there_after_an_hour_was_spared_and_what_is_stale_counts_all_the_same() {
        let mut losses = Losses::default();
        losses.note(&notice("r", "i-1", SpotKind::Rebalance, 0), Some("gpu"), Age::Fresh);
        losses.note(&notice("w", "i-2", WARNING, 0), Some("gpu"), Age::Stale);
        losses.note(&notice("x", "i-9", WARNING, 0), None, Age::Fresh);
        losses.pass(at(3_600), Span::from_hours(48));
        assert_eq!(losses.pools()["gpu"].spared, 0);
        losses.close("i-2", true);
        losses.pass(at(3_601), Span::from_hours(48));
        let pool = losses.pools()["gpu"];
        assert_eq!((pool.spared, pool.lost, pool.stale, losses.elsewhere), (1, 1, 1, 1));
    }

    #[test]
    fn what_is_forgotten_counts_no_second_time() {
        let mut losses = Losses::default();
        let old = notice("w", "i-1", WARNING, 0);
        losses.note(&old, Some("gpu"), Age::Fresh);
        losses.pass(at(48 * 3_600 + 1), Span::from_hours(48));
        assert!(losses.seen.is_empty());
        assert!(!losses.note(&old, Some("gpu"), Age::Stale));
        assert_eq!((losses.pools()["gpu"].interruptions, losses.too_old), (1, 1));
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut losses = Losses::default();
        for n in 0..(MOST_SEEN as i64 + 10) {
            losses.note(&notice("w", &format!("i-{n}"), WARNING, n), Some(&format!("p{n}")), Age::Fresh);
        }
        assert!(losses.seen.len() <= MOST_SEEN && losses.open.len() <= MOST_SEEN);
        assert_eq!(losses.pools().len(), MOST_POOLS + 1);
        assert!(losses.pools()[OTHER].interruptions > 60_000);
        assert!(!losses.note(&notice("w", "i-3", WARNING, 3), Some("gpu"), Age::Stale), "forgotten early");
    }
}
