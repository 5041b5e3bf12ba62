//! The engine: facts in, decisions, orders and notices out.
//!
//! One owner, no locks, no clock: `step` is a function of its state and its arguments, so the same log
//! gives the same bytes. What it holds: sums (breakers), ids (the memory of what was added), what exists
//! (inventory), what we keep stopped (holds), and what a person said (freeze, exemptions). What is only a
//! cache (lanes, indexes, the price book) is made anew from these.

mod alarm;
mod approval;
mod authority;
mod command;
mod explain;
mod first_days;
mod hold;
mod idle;
mod index;
mod judge;
mod label;
mod lane;
mod latency;
mod mail;
mod measure;
mod name;
mod pace;
mod pending;
mod plan;
mod positions;
mod prices;
mod protect;
mod raise;
mod reload;
mod remode;
mod rolling;
mod rollup;
mod schedule;
mod select;
mod shadow;
mod silence;
mod snapshot;
mod spot;
mod stop;
mod survey;
mod tell;
mod unjudged;
mod usage;
mod view;
mod watch;
mod waves;
mod why;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::breaker::{Cold, Hot};
use crate::decision::{Decision, DecisionKind, Notice, Order};
use crate::fact::{Clock, Fact, Posture, Quantities, RefusedReason, Settings, UsageOutcome};
use crate::id::{DecisionId, OrderId};
use crate::inventory::{Inventory, ObjectKey};
use crate::ledger::Seen;
use crate::money::{Money, TokenRate};
use crate::page::PageTopic;
use crate::price::PriceBook;
use crate::rule::{Mode, RuleSet};
use crate::subject::Subject;
use crate::time::{Span, Timestamp};

pub use alarm::AlarmView;
pub use authority::AsideView;
pub use explain::{NotTripped, NotTrippedReason};
pub use hold::Hold;
pub use plan::{Basis, Past, Plan, PlannedBreaker, PlannedBudget, Verdict};
pub use positions::FileRead;
pub use protect::protection;
pub use shadow::{ShadowSpend, ShadowView};
pub use snapshot::SnapshotError;
pub use spot::SpotView;
pub use survey::{StateWanted, Survey, Tally, Wanted};
pub use usage::MOST_COUNT;
pub use view::{BreakerView, HoldView, View};
pub use watch::{KUBERNETES, SourceStatus};

/// Hash maps of the engine have fixed seeds: iteration is never relied on, but nothing may differ
/// between two runs. Ids that callers choose are hashed under the journal's secret before they get here.
type FixedMap<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// Pairs of tenant and model whose spend is told apart: a caller can make up any number of them.
const MOST_ACCOUNTS: usize = 1 << 16;
/// The model under which all further ones are shown together.
const OTHER_MODELS: &str = "other";

/// What came of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// For each `Fact::Usage` of the step, in order, what became of each of its rows.
    pub usage: Vec<Vec<UsageOutcome>>,
    /// Refused usage, for the dead letters.
    pub letters: Vec<Letter>,
    /// What was decided.
    pub decisions: Vec<Decision>,
    /// What is to be done.
    pub orders: Vec<Order>,
    /// Whom to tell.
    pub notices: Vec<Notice>,
    /// Charges of this step added up by minute, tenant and model, for the journal's rollups.
    pub rollups: Vec<Rollup>,
}

/// A refused usage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Source.
    pub source: Box<str>,
    /// Raw id.
    pub key: Box<str>,
    /// Why.
    pub reason: RefusedReason,
    /// Its event time.
    pub occurred_at: Timestamp,
    /// What it would have cost, where it has a price.
    pub amount: Option<Money>,
    /// Its file, and the byte offset of its end there (decompressed), where the source has files.
    pub place: Option<(Box<str>, u64)>,
    /// What was used.
    pub quantities: Quantities,
    /// Who used it, and which model.
    pub subject: Subject,
}

/// Charges of one tenant and model in one minute of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// Start of the minute.
    pub minute: Timestamp,
    /// Whose: an index into [`Engine::accounts`].
    pub account: u32,
    /// Sum of the charges.
    pub amount: Money,
    /// Charges.
    pub facts: u64,
    /// Usage without a price.
    pub unpriced: u64,
}

/// What one tenant spent on one model since the journal began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// Tenant, where it is known and trusted.
    pub tenant: Option<Arc<str>>,
    /// Resolved model.
    pub model: Arc<str>,
    /// Sum of the charges.
    pub amount: Money,
    /// Charges.
    pub facts: u64,
    /// Usage without a price.
    pub unpriced: u64,
}

/// Things counted since the journal began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Usage added.
    pub accepted: u64,
    /// Of these, calls that used nothing.
    pub without_usage: u64,
    /// Calls announced before they were spent.
    pub reserved: u64,
    /// Of these, taken back or lapsed.
    pub voided: u64,
    /// Usage seen before.
    pub duplicates: u64,
    /// Ids seen before with other content.
    pub conflicts: u64,
    /// Usage without a price.
    pub unpriced: u64,
    /// Usage refused, by reason.
    pub refused: BTreeMap<RefusedReason, u64>,
    /// What refused usage would have cost, where it has a price.
    pub refused_amount: Money,
    /// Charges by what is to be said of them: one count for each bit of [`crate::fact::UsageFlags`] and
    /// [`crate::price::PriceFlags`].
    pub flagged: [u64; 16],
    /// Charges of which some budget could not tell whether it counts them.
    pub unjudged: u64,
}

/// The engine's state.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: Settings,
    now: Timestamp,
    last_clock: Option<Clock>,
    clock_doubt: Option<String>,
    /// Last time that a late charge was taken or the clocks disagreed: no burn is measured across it.
    steady_since: Timestamp,
    posture: Posture,
    /// Since when it may do less than before, until people have been told.
    lowered_at: Option<Timestamp>,
    rules: Arc<RuleSet>,
    /// The prices that count, whole: a later version's embedded book must not change what a replay gives.
    book: PriceBook,
    /// Those that windows began with which are still open, the oldest first.
    past_books: Vec<prices::Past>,
    /// How often they have changed.
    price_changes: u32,
    /// When the next override of a limit ends by its date.
    override_ends: Option<Timestamp>,
    inventory: Inventory,
    seen: Seen,
    pending: pending::Pending,
    positions: positions::Positions,
    hot: Vec<Hot>,
    cold: Vec<Cold>,
    /// Breakers that time may move.
    armed: BTreeSet<u32>,
    spend: Vec<Spend>,
    counters: Counters,
    sources: BTreeMap<Box<str>, SourceStatus>,
    holds: BTreeMap<ObjectKey, Hold>,
    /// By breaker and episode.
    returns: BTreeMap<(Box<str>, Timestamp), tell::Returns>,
    exempt: BTreeMap<ObjectKey, Timestamp>,
    stops: VecDeque<stop::Stop>,
    freeze: Option<String>,
    paged: BTreeMap<Box<str>, Timestamp>,
    /// Prices that are looked at before they count.
    shadow: Option<shadow::Shadow>,
    /// The book of those that a person, or their date, let count: they do not go back to being looked at.
    adopted: Option<Box<str>>,
    /// Messages that wait for others, or for the end of quiet hours.
    mail: mail::Mail,
    /// What is critical and nobody has answered.
    alarms: alarm::Alarms,
    /// Usage for which another source counts.
    asides: authority::Asides,
    next_decision: DecisionId,
    next_order: OrderId,
    inventory_changed: bool,
    latency: latency::Latency,
    idle: idle::State,
    /// Since when each budget is known.
    first_seen: first_days::FirstSeen,
    spot: spot::State,
    // Made anew from the above.
    /// Accounts whose charges count as `unattributed` in some budget, though they have a tenant: for `explain`
    /// alone. When a lane is resolved depends on a cache, so it is no part of the state.
    over_cap: BTreeSet<u32>,
    schedule: schedule::Schedule,
    /// Empty between two steps.
    spot_queue: crate::spot::Queue,
    index: index::Index,
    accounts: FixedMap<(Option<Arc<str>>, Arc<str>), u32>,
    lanes: lane::Lanes,
    /// The highest price of each class in the book, once somebody asked.
    highest: Option<[TokenRate; 5]>,
    scratch: Vec<u32>,
    slot_scratch: Vec<u32>,
    rollups: rollup::Rollups,
}

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            now: Timestamp::default(),
            last_clock: None,
            clock_doubt: None,
            lowered_at: None,
            steady_since: Timestamp::MIN,
            posture: Posture { ceiling: Mode::Observe, because: None },
            rules: Arc::default(),
            inventory: Inventory::default(),
            seen: Seen::default(),
            pending: pending::Pending::default(),
            positions: positions::Positions::default(),
            hot: Vec::new(),
            cold: Vec::new(),
            armed: BTreeSet::new(),
            spend: Vec::new(),
            counters: Counters::default(),
            sources: BTreeMap::new(),
            holds: BTreeMap::new(),
            over_cap: BTreeSet::new(),
            returns: BTreeMap::new(),
            exempt: BTreeMap::new(),
            stops: VecDeque::new(),
            freeze: None,
            paged: BTreeMap::new(),
            shadow: None,
            adopted: None,
            mail: mail::Mail::new(),
            alarms: alarm::Alarms::new(),
            asides: authority::Asides::new(),
            next_decision: DecisionId(1),
            next_order: OrderId(1),
            inventory_changed: false,
            latency: latency::Latency::default(),
            idle: idle::State::default(),
            first_seen: first_days::FirstSeen::default(),
            spot: spot::State::default(),
            schedule: schedule::Schedule::default(),
            spot_queue: crate::spot::Queue::default(),
            book: PriceBook::embedded(),
            past_books: Vec::new(),
            price_changes: 0,
            override_ends: None,
            index: index::Index::default(),
            accounts: FixedMap::default(),
            lanes: lane::Lanes::default(),
            highest: None,
            scratch: Vec::new(),
            slot_scratch: Vec::new(),
            rollups: rollup::Rollups::default(),
        }
    }

    /// What the journal fixed.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes facts in, in order, as of one reading of the clocks.
    #[must_use]
    pub fn step(&mut self, clock: Clock, facts: &[Fact]) -> Outcome {
        let mut out = Outcome::default();
        self.rollups.begin();
        let started = facts.iter().any(|fact| matches!(fact, Fact::Started(_)));
        self.read_clock(clock, started, &mut out);
        self.read_schedule();
        for fact in facts {
            self.take(fact, &mut out);
        }
        self.work_spot(&mut out);
        out
    }

    fn take(&mut self, fact: &Fact, out: &mut Outcome) {
        match fact {
            Fact::Tick => self.tick(out),
            Fact::Started(posture) | Fact::Posture(posture) => self.take_posture(posture),
            Fact::Usage(batch) => {
                let outcomes = self.take_usage(batch, out);
                out.usage.push(outcomes);
            }
            Fact::Inventory(change) => self.take_inventory(change, out),
            Fact::Receipt(receipt) => self.take_receipt(receipt, out),
            Fact::Command(command) => self.take_command(command, out),
            Fact::Rules(rules) => self.take_rules(rules, out),
            Fact::Health(health) => self.take_health(health, out),
            Fact::Trouble(trouble) => self.take_trouble(trouble, out),
            Fact::Settings(settings) => {
                self.settings = Settings { id_key: self.settings.id_key, ..(**settings).clone() };
            }
            Fact::FilesGone(gone) => self.positions.forget(gone),
            Fact::Gpus(batch) => self.take_gpus(batch, out),
            Fact::Spot(batch) => self.take_spot(batch),
            Fact::Hosts(change) => self.take_hosts(change),
        }
    }

    /// Spend of each tenant and model. Their order never changes, and further ones come at the end.
    #[must_use]
    pub fn accounts(&self) -> &[Spend] {
        &self.spend
    }

    /// How far each file of a source was read, for the source to go on from.
    #[must_use]
    pub fn positions_of(&self, source: &str) -> BTreeMap<Box<str>, FileRead> {
        self.positions.of(source)
    }

    /// The spend total of a tenant and model; beyond the bound, that of all further ones together.
    fn account(&mut self, tenant: Option<&str>, model: &Arc<str>, out: &mut Outcome) -> u32 {
        let key = (tenant.map(Arc::from), Arc::clone(model));
        if let Some(account) = self.accounts.get(&key) {
            return *account;
        }
        if self.spend.len() < MOST_ACCOUNTS {
            return self.open_account(key);
        }
        let detail = format!(
            "more than {MOST_ACCOUNTS} pairs of tenant and model were seen; the spend of further ones is shown \
             together as model `{OTHER_MODELS}`; budgets count all of it"
        );
        let kind = DecisionKind::Page { topic: PageTopic::SubjectCap, detail };
        self.page_once("accounts", Span::from_hours(24), kind, out);
        let rest = (None, OTHER_MODELS.into());
        match self.accounts.get(&rest) {
            Some(account) => *account,
            None => self.open_account(rest),
        }
    }

    fn open_account(&mut self, key: (Option<Arc<str>>, Arc<str>)) -> u32 {
        let account = u32::try_from(self.spend.len()).unwrap_or(u32::MAX);
        let (tenant, model) = key.clone();
        self.spend.push(Spend { tenant, model, amount: Money::ZERO, facts: 0, unpriced: 0 });
        self.accounts.insert(key, account);
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::IdKey;

    #[test]
    fn spend_by_tenant_and_model_is_bounded_and_says_so_once() {
        let mut engine = Engine::new(Settings::new(IdKey([7, 7]), "test"));
        let mut out = Outcome::default();
        for n in 0..MOST_ACCOUNTS + 5 {
            let account = engine.account(None, &format!("made-up-{n}").into(), &mut out);
            assert_eq!(account as usize, n.min(MOST_ACCOUNTS));
        }
        assert_eq!(engine.spend.len(), MOST_ACCOUNTS + 1);
        assert_eq!(&*engine.spend[MOST_ACCOUNTS].model, OTHER_MODELS);
        assert_eq!(
            engine.account(None, &"made-up-3".into(), &mut out),
            3,
            "those known before keep their own"
        );
        assert_eq!(out.decisions.len(), 1);
    }
}
