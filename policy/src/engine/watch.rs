//! What time brings: clocks that disagree, sources and a cluster that fall silent, graces that end.

use crate::decision::DecisionKind;
use crate::fact::{Clock, Posture, SourceHealth, SourceState, Trouble, UsageBatch};
use crate::money::Money;
use crate::page::PageTopic;
use crate::rule::{RuleSet, SourceRule};
use crate::time::{Span, Timestamp};

use super::{Engine, Outcome};

/// Breakers that there may ever be; as many as the lanes that lead to them.
const MOST_BREAKERS: usize = 1 << 20;

/// Ids of usage remembered at most, besides those of the last two hours: together some 2 to 4 GB.
const MOST_IDS: usize = 1 << 26;

/// A daemon that may do less than before for so long is paged.
const LOWERED_SETTLES: Span = Span::from_secs(60);

/// A page about the same thing again at the earliest after this.
const QUIET: Span = Span::from_hours(1);

/// How a source is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SourceStatus {
    /// Last time it was heard at all.
    pub heard_at: Option<Timestamp>,
    /// Last time it brought usage.
    pub usage_at: Option<Timestamp>,
    /// It has read what was there when it started.
    pub caught_up: bool,
    /// Why it cannot be read.
    pub broken: Option<String>,
    /// Why it counts as stale.
    pub stale: Option<String>,
    /// Somebody was told so, and is to be told of the end.
    pub(super) silence_told: bool,
    /// Since when a rule says for how long it may be silent.
    pub(super) watched_since: Option<Timestamp>,
    /// New subjects that it brought in the current hour.
    pub(super) new_subjects: u32,
    /// That hour.
    pub(super) hour: i64,
    /// How often a subject went to `unattributed` because of the cap: once for each batch that brought it.
    pub over_cap: u64,
    /// It is silent, and this shows that there is usage.
    pub traffic_seen: Option<String>,
    /// When the newest usage that it brought happened.
    pub newest: Option<Timestamp>,
}

impl Engine {
    /// Reads the clocks of a turn. A wall clock that moves otherwise than the monotonic one is in doubt
    /// until a person or the API server's date says that it is right (invariant 11).
    pub(super) fn read_clock(&mut self, clock: Clock, started: bool, out: &mut Outcome) {
        self.now = clock.wall;
        if let Some(last) = self.last_clock.replace(clock) {
            let wall = clock.wall.since(last.wall).millis();
            // A new process has a new monotonic clock: then only a step back can be told.
            let mono = if started {
                wall.max(0)
            } else {
                i64::try_from(clock.mono.saturating_sub(last.mono)).unwrap_or(i64::MAX)
            };
            let drift = wall.saturating_sub(mono);
            if drift.saturating_abs() > self.settings.max_clock_drift.millis() {
                self.steady_since = self.now;
                self.doubt_clock(Span::from_millis(wall), Span::from_millis(mono), out);
            }
        }
    }

    fn doubt_clock(&mut self, wall: Span, mono: Span, out: &mut Outcome) {
        if self.clock_doubt.is_some() {
            return;
        }
        let detail = format!(
            "the wall clock moved by {wall} while {mono} passed; no order and no restore until somebody says \
             which is right: `breakerbox approve clock`"
        );
        self.clock_doubt = Some(detail.clone());
        self.page(DecisionKind::Page { topic: PageTopic::Clock, detail }, out);
    }

    pub(super) fn take_posture(&mut self, posture: &Posture) {
        if self.posture == *posture {
            return;
        }
        if posture.ceiling > self.posture.ceiling {
            self.lowered_at = None;
        } else if posture.ceiling < self.posture.ceiling && posture.because.is_some() {
            self.lowered_at = self.lowered_at.or(Some(self.now));
        }
        self.posture = posture.clone();
    }

    /// Less than before, and for so long that it is no mere restart: the Lease of a daemon that was killed ends
    /// by itself, and nobody is woken for that.
    fn page_posture(&mut self, out: &mut Outcome) {
        if self.lowered_at.is_none_or(|at| self.now < at.plus(LOWERED_SETTLES)) {
            return;
        }
        self.lowered_at = None;
        let because = self.posture.because.as_deref().unwrap_or("it was configured so");
        let detail = format!("the daemon may only {} now: {because}", self.posture.ceiling.word());
        let kind = DecisionKind::Page { topic: PageTopic::Posture, detail };
        self.page_once("posture", QUIET, kind, out);
    }

    pub(super) fn hear(&mut self, source: &str, usage: bool) {
        if !self.sources.contains_key(source) {
            self.sources.insert(source.into(), SourceStatus::default());
        }
        if let Some(status) = self.sources.get_mut(source) {
            status.heard_at = Some(self.now);
            status.broken = None;
            if usage {
                status.usage_at = Some(self.now);
            }
        }
    }

    /// A source brought what it is there for: its silence is over, and whoever knew of it is told.
    pub(super) fn end_silence(&mut self, source: &str, out: &mut Outcome) {
        let Some(status) = self.sources.get_mut(source) else { return };
        status.traffic_seen = None;
        let Some(why) = status.stale.take() else { return };
        if std::mem::take(&mut status.silence_told) {
            let detail = format!("source `{source}` is heard again; before, it {why}");
            let kind = DecisionKind::Page { topic: PageTopic::SourceHeard, detail };
            self.page_on(self.routes_of_silence(), kind, out);
        }
    }

    pub(super) fn take_health(&mut self, health: &SourceHealth, out: &mut Outcome) {
        match &health.state {
            SourceState::Heard => self.hear(&health.source, false),
            SourceState::CaughtUp => {
                self.hear(&health.source, false);
                if let Some(status) = self.sources.get_mut(&health.source) {
                    status.caught_up = true;
                }
            }
            SourceState::Broken(why) => {
                self.hear(&health.source, false);
                if let Some(status) = self.sources.get_mut(&health.source) {
                    status.broken = Some(why.clone());
                }
                if self.is_due(&format!("source {} {why}", health.source), QUIET) {
                    self.page_source(&health.source, &format!("cannot be read: {why}"), out);
                }
            }
            SourceState::TrafficSeenElsewhere(signal) => {
                self.stale(&health.source, &format!("silent although {signal}"), out);
                self.judge_silence(&health.source, signal, out);
            }
        }
        if health.source.as_ref() == KUBERNETES && !matches!(health.state, SourceState::Broken(_)) {
            self.inventory.heard_at = Some(self.now);
            self.end_silence(KUBERNETES, out);
        }
    }

    pub(super) fn take_trouble(&mut self, trouble: &Trouble, out: &mut Outcome) {
        let Trouble { topic, detail } = trouble.clone();
        self.page_once(&format!("trouble {detail}"), QUIET, DecisionKind::Page { topic, detail }, out);
    }

    /// Told once, and of a source that falls silent again and again once in a quiet time: a silence that
    /// outlasts that time is told at its end.
    fn stale(&mut self, source: &str, why: &str, out: &mut Outcome) {
        let Some(status) = self.sources.get_mut(source) else { return };
        status.stale = Some(why.to_owned());
        if !status.silence_told && self.is_due(&format!("silent {source}"), QUIET) {
            if let Some(status) = self.sources.get_mut(source) {
                status.silence_told = true;
            }
            self.page_source(source, why, out);
        }
    }

    fn page_source(&mut self, source: &str, why: &str, out: &mut Outcome) {
        let aside = match self.set_aside_for(source) {
            Money::ZERO => String::new(),
            money => format!("; it is the one that counts: {money} that others reported so far is in no sum"),
        };
        let detail = format!("source `{source}` {why}; what it should bring is unknown, not zero{aside}");
        let kind = DecisionKind::Page { topic: PageTopic::SourceStale, detail };
        self.page_on(self.routes_of_silence(), kind, out);
    }

    /// Whether there may be one more breaker.
    pub(super) fn has_room(&self) -> bool {
        self.hot.len() < MOST_BREAKERS
    }

    /// A new subject from a source; false when the source brings more than it may in an hour of those whose
    /// names callers `chose`, or when there are as many breakers as there may ever be. Names that a rule, a
    /// token or the cluster gives are not made up, and a flood of others must not keep them from their budget.
    pub(super) fn admit_subject(&mut self, source: &str, chosen: bool, out: &mut Outcome) -> bool {
        let most = self.rules.attribution.max_new_subjects_per_source;
        let full = !self.has_room();
        let hour = self.now.millis().div_euclid(3_600_000);
        let status = self.sources.entry(source.into()).or_default();
        if status.hour != hour {
            status.hour = hour;
            status.new_subjects = 0;
        }
        if !full && (!chosen || most == 0 || status.new_subjects < most) {
            status.new_subjects += u32::from(chosen);
            return true;
        }
        status.over_cap += 1;
        let why = match full {
            true => format!("there are {MOST_BREAKERS} breakers, as many as there may be"),
            false => format!("source `{source}` brought more than {most} new subjects within an hour"),
        };
        let detail = format!("{why}; further ones count as `unattributed`");
        let kind = DecisionKind::Page { topic: PageTopic::SubjectCap, detail };
        self.page_once(&format!("cap {source}"), QUIET, kind, out);
        false
    }

    pub(super) fn is_inventory_stale(&self) -> bool {
        let after = self.settings.inventory_stale_after;
        self.inventory.heard_at.is_none_or(|at| self.now.since(at) > after)
    }

    pub(super) fn inventory_age(&self) -> String {
        match self.inventory.heard_at {
            Some(at) => format!("the cluster was last heard {} ago", self.now.since(at)),
            None => "no cluster was heard yet".to_owned(),
        }
    }

    /// Everything that only time moves.
    pub(super) fn tick(&mut self, out: &mut Outcome) {
        self.paged.retain(|_, until| *until > self.now);
        self.lapse_reservations();
        self.forget_the_past(MOST_IDS, out);
        self.watch_sources(out);
        self.page_posture(out);
        self.end_overrides(out);
        self.end_first_days(out);
        self.pass_spot();
        self.end_shadow(out);
        let armed: Vec<u32> = self.armed.iter().copied().collect();
        for slot in armed {
            self.tick_breaker(slot, out);
        }
        self.tick_idle(out);
        self.settle_holds(out);
        self.forget_returns();
        self.press_alarms(out);
        self.send_due(out);
        self.inventory_changed = false;
    }

    /// Drops what protects somebody once its time is over: exemptions, the blast radius, the ids of usage. A
    /// clock in doubt ends none of it: when it steps back, all of that is needed. Only the bound of ids holds
    /// whatever the clock says.
    fn forget_the_past(&mut self, most_ids: usize, out: &mut Outcome) {
        if let Some(since) = self.seen.bound(most_ids, self.now) {
            self.page_forgotten(most_ids, since, out);
        }
        if self.clock_doubt.is_some() {
            return self.seen.sweep(Timestamp::MIN);
        }
        self.exempt.retain(|_, until| *until > self.now);
        let oldest = self.now.minus(self.rules.guardrail.per);
        while self.stops.front().is_some_and(|s| s.at <= oldest) {
            self.stops.pop_front();
        }
        self.seen.sweep(self.now.minus(self.settings.horizon));
    }

    /// Ids went before their time: what is as old is refused from now on, and somebody must know.
    fn page_forgotten(&mut self, most: usize, since: Timestamp, out: &mut Outcome) {
        let detail = format!(
            "more than {most} ids of usage are remembered, so those from before {since} are forgotten early; usage \
             from before that counts only where its place in a file proves that it is new, and is refused and \
             kept as a dead letter otherwise"
        );
        let topic = match self.clock_doubt {
            Some(_) => PageTopic::Clock,
            None => PageTopic::Posture,
        };
        self.page_once("ids", QUIET, DecisionKind::Page { topic, detail }, out);
    }

    /// Sources whose silence is no longer of interest; of one that only its rule had named, nothing is left.
    fn forget_unwatched(&mut self, rules: &RuleSet) {
        let watched = |name: &str| {
            let rule = rules.sources.get(name);
            rule.is_some_and(|r| !r.disabled && (r.stale_after.is_some() || r.freshness.is_some()))
        };
        self.sources.retain(|name, status| {
            if status.watched_since.is_none() || watched(name) {
                return true;
            }
            (status.watched_since, status.stale, status.silence_told) = (None, None, false);
            status.heard_at.is_some()
        });
    }

    /// Remembers when the newest usage of a batch happened.
    pub(super) fn note_newest(&mut self, batch: &UsageBatch) {
        let latest = self.now.plus(self.settings.max_ahead);
        let newest = batch.rows.iter().map(|row| row.occurred_at).filter(|at| *at <= latest).max();
        if let Some(status) = self.sources.get_mut(&batch.source) {
            status.newest = status.newest.max(newest);
        }
    }

    /// Whether the newest usage of a source is as fresh as its rule wants it.
    pub(super) fn is_fresh(&self, source: &str) -> bool {
        let wanted = self.rules.sources.get(source).and_then(|rule| rule.freshness);
        let newest = self.sources.get(source).and_then(|status| status.newest);
        wanted.zip(newest).is_none_or(|(wanted, newest)| self.now.since(newest) <= wanted)
    }

    /// A source that brings usage, but none that happened lately, lags: what has happened since is unknown.
    fn watch_freshness(&mut self, name: &str, rule: &SourceRule, out: &mut Outcome) {
        let Some(wanted) = rule.freshness else { return };
        let status = self.sources.entry(name.into()).or_default();
        status.watched_since.get_or_insert(self.now);
        if !self.is_fresh(name) {
            self.stale(name, &format!("brought no usage that is newer than {wanted}"), out);
        }
    }

    /// A source is stale when it brought no usage for longer than its rule says. One that never brought any is
    /// counted from when its rule came into force: a wrong path and a token that nobody uses are silent from
    /// the beginning, however often the folder is listed. The cluster brings no usage, and need only be heard.
    fn watch_sources(&mut self, out: &mut Outcome) {
        let rules = std::sync::Arc::clone(&self.rules);
        self.forget_unwatched(&rules);
        for (name, rule) in rules.sources.iter().filter(|(_, rule)| !rule.disabled) {
            self.watch_freshness(name, rule, out);
            let Some(after) = rule.stale_after else { continue };
            let status = self.sources.entry(name.clone()).or_default();
            let since = *status.watched_since.get_or_insert(self.now);
            let last = if &**name == KUBERNETES { self.inventory.heard_at } else { status.usage_at };
            if self.now.since(last.unwrap_or(since)) > after {
                let why = match last {
                    Some(_) => format!("brought nothing for longer than {after}"),
                    None => format!(
                        "never brought usage, watched for longer than {after}: a wrong path or token?"
                    ),
                };
                self.stale(name, &why, out);
            }
        }
        if self.inventory.heard_at.is_some() && self.is_inventory_stale() {
            let detail = format!("{}; nothing is stopped until it is heard again", self.inventory_age());
            self.page_once(
                "inventory",
                QUIET,
                DecisionKind::Page { topic: PageTopic::InventoryStale, detail },
                out,
            );
        }
    }
}

/// Name of the source that watches the cluster.
pub const KUBERNETES: &str = "kubernetes";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::Hot;
    use crate::fact::{
        Fact, IdKey, OriginRef, Quantities, RefusedReason, Settings, UsageBatchBuilder, UsageFlags,
        UsageOutcome, UsageRef,
    };
    use crate::window::Window;

    const KEY: IdKey = IdKey([7, 7]);

    /// A call that used nothing, at so many minutes; read again it is the same.
    fn call(key: &str, minutes: i64) -> Fact {
        let mut batch = UsageBatchBuilder::new(KEY, "gateway", false);
        batch.push(&UsageRef {
            key,
            occurred_at: at(minutes),
            quantities: Quantities::Nothing,
            flags: UsageFlags::default(),
            origin: OriginRef::default(),
            end: None,
            links: &[],
        });
        Fact::Usage(batch.finish())
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    #[test]
    fn a_clock_in_doubt_for_ever_fills_no_memory_and_what_was_forgotten_early_counts_no_second_time() {
        let mut engine = Engine::new(Settings::new(KEY, "test"));
        let mut out = Outcome::default();
        let clock = |minutes: i64| Clock { wall: at(minutes), mono: 0 };
        let _ = engine.step(clock(0), &[Fact::Tick]);
        let (mut most, mut taken) = (0, Vec::new());
        // The monotonic clock stands, so the wall clock is in doubt from the first step on.
        for minute in 1..6000_i64 {
            let key = format!("call-{minute}");
            let calls: Vec<Fact> = (0..3).map(|n| call(&format!("{key}-{n}"), minute)).collect();
            taken.push(calls[0].clone());
            let _ = engine.step(clock(minute), &calls);
            engine.forget_the_past(6000, &mut out);
            most = most.max(engine.seen.len());
        }
        assert!(engine.clock_doubt.is_some());
        assert!(most > 6000 && most < 7000, "{most}");
        let DecisionKind::Page { topic: PageTopic::Clock, detail } = &out.decisions[0].kind else {
            panic!("page")
        };
        assert!(detail.contains("kept as a dead letter"), "{detail}");
        let accepted = engine.counters.accepted;
        let again = engine.step(clock(6000), &taken);
        let early =
            again.usage.iter().filter(|rows| rows[0] == UsageOutcome::Refused(RefusedReason::TooLate));
        let known = again.usage.iter().filter(|rows| rows[0] == UsageOutcome::Duplicate);
        let (early, known) = (early.count(), known.count());
        assert!(early > 6000 - 48 * 60, "some of them within the horizon: {early}");
        assert_eq!(
            (early + known, again.letters.len()),
            (taken.len(), early),
            "each is known, or told as refused"
        );
        assert_eq!(engine.counters.accepted, accepted);
    }

    #[test]
    fn there_are_never_more_breakers_than_the_bound() {
        let mut engine = Engine::new(Settings::new(KEY, "test"));
        let mut out = Outcome::default();
        let window = Window { start: Timestamp::MIN, end: Timestamp::MAX };
        engine.hot.resize(MOST_BREAKERS - 1, Hot::new(window));
        assert!(engine.admit_subject("gateway", false, &mut out));
        engine.hot.push(Hot::new(window));
        assert!(!engine.admit_subject("gateway", false, &mut out));
        assert_eq!((engine.sources["gateway"].over_cap, out.decisions.len()), (1, 1));
    }
}
