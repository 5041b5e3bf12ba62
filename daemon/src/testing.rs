//! What tests of this crate share: a rule, a cluster on paper, usage that costs money.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use collector::envelope::Intake;
use policy::engine::Letter;
use policy::fact::{Fact, IdKey, OriginRef, Quantities, Settings, UsageBatchBuilder, UsageFlags, UsageRef};
use policy::inventory::{Inventory, InventoryChange, Namespace, ObjectKey, ScaledObject, Workload};
use policy::money::{Money, Percent};
use policy::price::TokenCounts;
use policy::rule::{
    Act, Budget, CalendarUnit, Guardrail, Limit, Mode, OnStale, Place, Restore, RestoreWhen, Route, RuleSet,
    Selector, TargetSelector, Template, WindowSpec,
};
use policy::subject::Trust;
use policy::time::{Span, Timestamp};
use tokio::sync::mpsc;

use crate::clock::ManualClock;
use crate::journal::Journal;
use crate::journal::disk::Reserve;
use crate::replay::replay;
use crate::turn::{DeadLetters, Handle, Levers, Parts, Telling, Turn, TurnError};
use policy::decision::Order;

/// A model that the embedded book has.
pub(crate) const MODEL: &str = "us.anthropic.claude-sonnet-4-6";

pub(crate) fn noon() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-20T12:00:00Z").unwrap()
}

pub(crate) fn place(line: u32) -> Place {
    Place { file: "tenants.yaml".into(), line, column: 1 }
}

/// Each tenant may spend `usd` a day; then its ScaledObjects go to zero.
pub(crate) fn rules(usd: i128, mode: Mode) -> RuleSet {
    let targets = TargetSelector {
        namespace_labels: vec![("tenant".into(), Template::Field("tenant".into()))],
        ..TargetSelector::default()
    };
    let notify = Act::Notify { route: "oncall".into(), place: place(14) };
    let budget = Budget {
        name: "tenant-daily".into(),
        description: "What each tenant may spend in a day.".into(),
        place: place(1),
        select: Selector { all: true, ..Selector::default() },
        per_each: vec!["tenant".into()],
        limit: Limit::usd(Money::from_picos(usd * 1_000_000_000_000)),
        window: WindowSpec::Calendar { unit: CalendarUnit::Day, timezone: chrono_tz(), fiscal_start: 1 },
        within: None,
        warn_at: vec![Percent::from_ppm(800_000)],
        trip_at: Percent::from_ppm(1_000_000),
        trip_place: place(9),
        grace: Span::ZERO,
        on_warn: vec![notify.clone()],
        on_trip: vec![notify, Act::PauseScaledObjects { targets, place: place(15) }],
        restore: Restore {
            when: RestoreWhen::WindowRolls,
            min_hold: Span::ZERO,
            max_trips_per_window: 3,
            waves: None,
        },
        on_stale: OnStale::Keep,
        mode,
        triggers: Vec::new(),
        spans: Vec::new(),
        carve_out: false,
        on_unpriced: policy::rule::OnUnpriced::Alert,
    };
    let route = Route { name: "oncall".into(), place: place(20), receivers: vec![] };
    RuleSet {
        id: format!("rules-{usd}-{}", mode.word()).into(),
        budgets: vec![budget],
        routes: [("oncall".into(), route)].into(),
        guardrail: Guardrail { page: Some("oncall".into()), ..Guardrail::default() },
        ..RuleSet::default()
    }
}

fn chrono_tz() -> chrono_tz::Tz {
    chrono_tz::UTC
}

/// Two tenants, each with a namespace, a ScaledObject and a Deployment of two replicas.
pub(crate) fn cluster() -> Fact {
    let mut inventory = Inventory::default();
    for tenant in ["acme", "rival"] {
        let labels = [("tenant".into(), tenant.into())].into();
        inventory.namespaces.insert(tenant.into(), Namespace { labels });
        let mut workload = ObjectKey::scaled_object(tenant, "api");
        workload.kind = policy::inventory::ObjectKind::Deployment;
        let object = ScaledObject {
            uid: format!("uid-{tenant}").into(),
            workload: Some(workload.clone()),
            ..ScaledObject::default()
        };
        inventory.scaled_objects.insert(ObjectKey::scaled_object(tenant, "api"), object);
        let state = Workload {
            uid: format!("w-{tenant}").into(),
            replicas: 2,
            status_replicas: 2,
            ..Workload::default()
        };
        inventory.workloads.insert(workload, state);
    }
    Fact::Inventory(InventoryChange::Snapshot(inventory))
}

/// One call of a tenant with so many million output tokens: 16.50 USD each at the book's 16.50 USD per 1M.
pub(crate) fn usage(secret: IdKey, key: &str, tenant: &str, millions: u64, at: Timestamp) -> Fact {
    let mut batch = UsageBatchBuilder::new(secret, "gateway", false);
    batch.push(&UsageRef {
        key,
        occurred_at: at,
        quantities: Quantities::Tokens(TokenCounts {
            output: millions * 1_000_000,
            ..TokenCounts::default()
        }),
        flags: UsageFlags::default(),
        origin: OriginRef {
            record: Trust::Trusted,
            provider: "aws.bedrock",
            account: "111122223333",
            region: "us-east-1",
            model: MODEL,
            claims: &[("tenant", tenant, Trust::Trusted)],
            ..OriginRef::default()
        },
        end: None,
        links: &[],
    });
    Fact::Usage(batch.finish())
}

/// Keeps what it is given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(pub(crate) Arc<Mutex<Vec<Letter>>>);

impl DeadLetters for Kept {
    fn put(&mut self, letters: &[Letter]) {
        self.0.lock().unwrap().extend(letters.iter().cloned());
    }

    fn put_missing(&mut self, letters: &[Letter]) {
        let mut kept = self.0.lock().unwrap();
        for letter in letters {
            if !kept.contains(letter) {
                kept.push(letter.clone());
            }
        }
    }
}

/// Shows what the turn last set.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    pub(crate) ceiling: Mutex<Mode>,
    pub(crate) frozen: Mutex<Option<String>>,
    pub(crate) clock_doubted: AtomicBool,
    pub(crate) rules: Mutex<Arc<RuleSet>>,
}

impl Levers for Switches {
    fn ceiling(&self, mode: Mode) {
        *self.ceiling.lock().unwrap() = mode;
    }
    fn frozen(&self, reason: Option<&str>) {
        *self.frozen.lock().unwrap() = reason.map(str::to_owned);
    }
    fn clock_agrees(&self, agrees: bool) {
        self.clock_doubted.store(!agrees, Ordering::SeqCst);
    }
    fn rules(&self, rules: &Arc<RuleSet>) {
        *self.rules.lock().unwrap() = Arc::clone(rules);
    }
}

/// A turn with everything around it in reach.
pub(crate) struct Bench {
    pub(crate) handle: Handle,
    pub(crate) intake: Intake,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) notices: mpsc::Receiver<Telling>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) letters: Kept,
    pub(crate) levers: Arc<Switches>,
    pub(crate) pressed: tokio::sync::watch::Receiver<bool>,
    pub(crate) secret: IdKey,
    pub(crate) task: tokio::task::JoinHandle<Result<(), TurnError>>,
}

/// What a test may want otherwise.
pub(crate) struct Wish {
    pub(crate) reserve: u64,
    pub(crate) orders: usize,
}

impl Default for Wish {
    fn default() -> Self {
        Self { reserve: 1, orders: 64 }
    }
}

pub(crate) fn settings(key: IdKey) -> Settings {
    Settings::new(key, "test")
}

/// The turn on the journal in that folder, at noon. It ticks once at its start, then only when told.
pub(crate) fn bench(folder: &Path, wish: &Wish) -> Bench {
    let replayed = replay(Journal::open(folder, settings).unwrap()).unwrap();
    assert_eq!(replayed.diverged, None, "every test's replay must come out the same");
    let secret = replayed.journal.settings().id_key;
    let clock = Arc::new(ManualClock::at(replayed.last.unwrap_or_else(noon)));
    let (intake, usage) = Intake::new(64);
    let (order, orders) = mpsc::channel(wish.orders);
    let (notice, notices) = mpsc::channel(64);
    let letters = Kept::default();
    let levers = Arc::new(Switches::default());
    let (turn, handle, pressed) = Turn::new(Parts {
        engine: replayed.engine,
        journal: replayed.journal,
        clock: clock.clone(),
        intake: usage,
        orders: order,
        notices: notice,
        letters: Box::new(letters.clone()),
        levers: levers.clone(),
        observed: Arc::default(),
        tick: Duration::from_secs(3600),
        reserve: Reserve { bytes: wish.reserve },
        keep: Span::from_hours(400 * 24),
    });
    let task = tokio::spawn(turn.run());
    Bench { handle, intake, orders, notices, clock, letters, levers, pressed, secret, task }
}

impl Bench {
    pub(crate) async fn start(&self, ceiling: Mode, rules: RuleSet) {
        let posture = policy::fact::Posture { ceiling, because: None };
        self.handle.fact(Fact::Started(posture)).await.unwrap();
        self.handle.fact(Fact::Rules(Box::new(rules))).await.unwrap();
        self.handle.fact(cluster()).await.unwrap();
    }

    pub(crate) fn usage(&self, key: &str, tenant: &str, millions: u64) -> Fact {
        use crate::clock::Clock as _;
        usage(self.secret, key, tenant, millions, self.clock.read().wall)
    }

    /// Ends the turn and waits for it.
    pub(crate) async fn end(self) {
        self.handle.stop().await;
        self.task.await.unwrap().unwrap();
    }
}
