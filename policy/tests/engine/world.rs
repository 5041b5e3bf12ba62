//! A small world to drive the engine in: a clock that only moves when told, one budget of 50 USD a day
//! for each tenant, and a ScaledObject `api` in a namespace for each tenant.
//!
//! The model costs 3.30 USD per million input tokens, so a dollar is not a whole number of tokens; tests
//! spend by [`World::spend`], which buys whole thousandths of a dollar of a model that costs exactly
//! 1 USD per million tokens.

use std::collections::BTreeMap;

use policy::decision::{Decision, DecisionKind, Effect, HoldState, Notice, Order};
use policy::engine::{Engine, Outcome};
use policy::fact::{
    Clock, Command, CommandKind, Fact, IdKey, Observation, OriginRef, Posture, PriorState, Quantities,
    Receipt, ReceiptOutcome, Settings, UsageBatchBuilder, UsageFlags, UsageOutcome, UsageRef,
};
use policy::id::OrderId;
use policy::inventory::{
    Inventory, InventoryChange, Namespace, ObjectKey, ObjectKind, ScaledObject, Workload,
};
use policy::money::{Money, Percent, TokenRate};
use policy::price::{ShortPrice, Tier, TokenCounts};
use policy::rule::{
    Act, Attribution, Budget, CalendarUnit, Limit, Mode, OnStale, Restore, RestoreWhen, Route, RuleSet,
    Selector, TargetSelector, Template, WindowSpec,
};
use policy::subject::Trust;
use policy::time::{Span, Timestamp};

pub const KEY: IdKey = IdKey([1, 2]);
pub const DOLLAR_MODEL: &str = "dollar-per-million";

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

pub fn usd(text: &str) -> Money {
    format!("{text} USD").parse().unwrap()
}

pub struct World {
    pub engine: Engine,
    pub clock: Clock,
    pub rules: RuleSet,
    pub journal: Vec<(Clock, Vec<Fact>)>,
    pub decisions: Vec<Decision>,
    pub orders: Vec<Order>,
    pub notices: Vec<Notice>,
    next_id: u64,
}

/// `name`: each tenant may spend `limit` a day; warn at 80%, trip at 100%.
pub fn daily(name: &str, limit: &str, mode: Mode) -> Budget {
    Budget {
        name: name.into(),
        description: "".into(),
        place: policy::rule::Place { file: "tenants.yaml".into(), line: 1, column: 1 },
        select: Selector { all: true, ..Selector::default() },
        per_each: vec!["tenant".into()],
        limit: Limit::usd(usd(limit)),
        window: WindowSpec::Calendar {
            unit: CalendarUnit::Day,
            timezone: "UTC".parse().unwrap(),
            fiscal_start: 1,
        },
        within: None,
        warn_at: vec!["80%".parse().unwrap()],
        trip_at: "100%".parse().unwrap(),
        trip_place: policy::rule::Place { file: "tenants.yaml".into(), line: 9, column: 3 },
        grace: Span::ZERO,
        on_warn: vec![Act::Notify { route: "finops".into(), place: Default::default() }],
        on_trip: vec![
            Act::Notify { route: "oncall".into(), place: Default::default() },
            Act::PauseScaledObjects {
                targets: TargetSelector {
                    namespace_labels: vec![("tenant".into(), Template::Field("tenant".into()))],
                    ..TargetSelector::default()
                },
                place: Default::default(),
            },
        ],
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
    }
}

pub fn rules(budgets: Vec<Budget>) -> RuleSet {
    let route = |name: &str| Route { name: name.into(), place: Default::default(), receivers: Vec::new() };
    let mut rules = RuleSet { id: "r1".into(), budgets, ..RuleSet::default() };
    rules.routes = BTreeMap::from([("finops".into(), route("finops")), ("oncall".into(), route("oncall"))]);
    rules.attribution = Attribution { max_new_subjects_per_source: 1000, ..Attribution::default() };
    let rate: TokenRate = "1 USD per 1M tokens".parse().unwrap();
    let price = ShortPrice { input: Some(rate), output: Some(rate), ..ShortPrice::default() };
    rules.prices.models.insert(format!("custom/{DOLLAR_MODEL}"), price);
    rules.prices.models.insert(DOLLAR_MODEL.to_owned(), price);
    rules
}

pub fn scaled_object(tenant: &str) -> ObjectKey {
    ObjectKey::scaled_object(tenant, "api")
}

pub fn deployment(tenant: &str) -> ObjectKey {
    ObjectKey { kind: ObjectKind::Deployment, namespace: tenant.into(), name: "api".into() }
}

pub fn inventory(tenants: &[&str]) -> Inventory {
    let mut all = Inventory::default();
    for tenant in tenants {
        let labels = BTreeMap::from([("tenant".into(), (*tenant).into())]);
        all.namespaces.insert((*tenant).into(), Namespace { labels });
        let object = ScaledObject {
            uid: format!("uid-{tenant}").into(),
            workload: Some(deployment(tenant)),
            ..ScaledObject::default()
        };
        all.scaled_objects.insert(scaled_object(tenant), object);
        let workload = Workload {
            uid: format!("uid-d-{tenant}").into(),
            replicas: 3,
            status_replicas: 3,
            ..Workload::default()
        };
        all.workloads.insert(deployment(tenant), workload);
    }
    all
}

impl World {
    /// Three tenants, `tenant-daily` at 50 USD in enforce, noon of 20 November 2026.
    pub fn new() -> Self {
        Self::with(vec![daily("tenant-daily", "50", Mode::Enforce)])
    }

    pub fn with(budgets: Vec<Budget>) -> Self {
        let clock = Clock { wall: at("2026-11-20T12:00:00Z"), mono: 1_000_000 };
        let mut world = Self {
            engine: Engine::new(Settings::new(KEY, "test")),
            clock,
            rules: rules(budgets),
            journal: Vec::new(),
            decisions: Vec::new(),
            orders: Vec::new(),
            notices: Vec::new(),
            next_id: 0,
        };
        let started = Fact::Started(Posture { ceiling: Mode::Enforce, because: None });
        let there = Fact::Inventory(InventoryChange::Snapshot(inventory(&["acme", "blue", "core"])));
        world.take(vec![started, Fact::Rules(Box::new(world.rules.clone())), there]);
        world
    }

    pub fn take(&mut self, facts: Vec<Fact>) -> Outcome {
        let outcome = self.engine.step(self.clock, &facts);
        self.journal.push((self.clock, facts));
        self.decisions.extend(outcome.decisions.iter().cloned());
        self.orders.extend(outcome.orders.iter().cloned());
        self.notices.extend(outcome.notices.iter().cloned());
        outcome
    }

    /// Time passes, the cluster is heard, and a tick comes.
    pub fn pass(&mut self, span: &str) -> Outcome {
        let span: Span = span.parse().unwrap();
        self.clock.wall = self.clock.wall.plus(span);
        self.clock.mono += u64::try_from(span.millis()).unwrap();
        let heard = policy::fact::SourceHealth {
            source: "kubernetes".into(),
            state: policy::fact::SourceState::Heard,
        };
        self.take(vec![Fact::Health(heard), Fact::Tick])
    }

    pub fn usage(
        &self,
        id: &str,
        tenant: &str,
        dollars: &str,
        occurred_at: Timestamp,
        late_source: bool,
    ) -> Fact {
        let picos = usd(dollars).picos();
        let mut batch = UsageBatchBuilder::new(KEY, "gateway", late_source);
        batch.push(&UsageRef {
            key: id,
            occurred_at,
            quantities: Quantities::Tokens(TokenCounts {
                input: u64::try_from(picos / 1_000_000).unwrap(),
                ..TokenCounts::default()
            }),
            flags: UsageFlags::default(),
            origin: OriginRef {
                record: Trust::Trusted,
                provider: "aws.bedrock",
                account: "111122223333",
                region: "us-east-1",
                model: "arn:aws:bedrock:us-east-1:111122223333:imported-model/dollar-per-million",
                tier: Tier::Default,
                claims: &[("tenant", tenant, Trust::Trusted)],
                ..OriginRef::default()
            },
            end: None,
            links: &[],
        });
        Fact::Usage(batch.finish())
    }

    pub fn fresh_id(&mut self) -> String {
        self.next_id += 1;
        format!("u{}", self.next_id)
    }

    /// A tenant spends so many dollars now.
    pub fn spend(&mut self, tenant: &str, dollars: &str) -> Outcome {
        self.spend_at(tenant, dollars, self.clock.wall)
    }

    pub fn spend_at(&mut self, tenant: &str, dollars: &str, occurred_at: Timestamp) -> Outcome {
        let id = self.fresh_id();
        let fact = self.usage(&id, tenant, dollars, occurred_at, false);
        let outcome = self.take(vec![fact]);
        assert_eq!(outcome.usage, [[UsageOutcome::Accepted]]);
        outcome
    }

    pub fn command(&mut self, kind: CommandKind) -> Outcome {
        self.take(vec![Fact::Command(Command { actor: "alice".to_owned(), kind })])
    }

    pub fn reload(&mut self, rules: RuleSet) -> Outcome {
        self.rules = rules.clone();
        self.take(vec![Fact::Rules(Box::new(rules))])
    }

    pub fn receipt(&mut self, order: OrderId, outcome: ReceiptOutcome) -> Outcome {
        self.take(vec![Fact::Receipt(Receipt { order, at: self.clock.wall, guard: Vec::new(), outcome })])
    }

    /// The actuator does what the order says, and proves it.
    pub fn obey(&mut self, order: &Order) {
        let prior = PriorState {
            uid: order.uid.to_string(),
            resource_version: "1".to_owned(),
            replicas: Some(3),
            paused_replicas: None,
            paused: None,
            hpa: Some("keda-hpa-api".to_owned()),
        };
        let tenant = order.target.namespace.to_string();
        match &order.effect {
            Effect::PauseToZero => {
                self.receipt(order.id, ReceiptOutcome::Prepared(prior));
                self.receipt(order.id, ReceiptOutcome::Accepted { resource_version: "2".to_owned() });
                self.paused(&tenant, true);
                self.scale(&tenant, 0);
            }
            Effect::ReverseRaise { .. } => {
                self.scale(&tenant, 0);
            }
            Effect::Restore { .. } => {
                self.paused(&tenant, false);
                self.scale(&tenant, 1);
            }
        }
        let signs = vec![Observation { sign: "pods".to_owned(), seen: "0".to_owned(), proves: true }];
        self.receipt(order.id, ReceiptOutcome::Verified { signs, took: Span::from_millis(150) });
    }

    /// Obeys every order that has not been obeyed yet.
    pub fn obey_all(&mut self) -> usize {
        let mut obeyed = 0;
        while obeyed < self.orders.len() {
            let order = self.orders[obeyed].clone();
            obeyed += 1;
            self.obey(&order);
        }
        self.orders.clear();
        obeyed
    }

    pub fn scale(&mut self, tenant: &str, replicas: u32) -> Outcome {
        let workload = Workload {
            uid: format!("uid-d-{tenant}").into(),
            replicas,
            status_replicas: replicas,
            ..Workload::default()
        };
        self.take(vec![Fact::Inventory(InventoryChange::Workload(deployment(tenant), workload))])
    }

    pub fn paused(&mut self, tenant: &str, paused: bool) {
        let mut object = inventory(&[tenant]).scaled_objects.remove(&scaled_object(tenant)).unwrap();
        if paused {
            object.annotations.insert("autoscaling.keda.sh/paused-replicas".into(), "0".into());
        }
        self.take(vec![Fact::Inventory(InventoryChange::ScaledObject(scaled_object(tenant), object))]);
    }

    /// Some more ScaledObjects in acme's namespace.
    pub fn grow(&mut self, more: usize) {
        for n in 0..more {
            let object = inventory(&["acme"]).scaled_objects.remove(&scaled_object("acme")).unwrap();
            let object = ScaledObject { workload: None, ..object };
            let key = ObjectKey::scaled_object("acme", &format!("more-{n}"));
            self.take(vec![Fact::Inventory(InventoryChange::ScaledObject(key, object))]);
        }
    }

    /// What a person was last asked.
    pub fn asked(&self) -> Option<&Decision> {
        self.decisions.iter().rev().find(|d| matches!(d.kind, DecisionKind::Withheld { .. }))
    }

    pub fn state(&self, breaker: &str) -> String {
        self.engine.breaker(breaker, self.clock.wall).map_or("none".to_owned(), |b| b.state.to_string())
    }

    pub fn sum(&self, breaker: &str) -> Money {
        self.engine.breaker(breaker, self.clock.wall).map_or(Money::ZERO, |b| b.sum)
    }

    pub fn hold(&self, tenant: &str) -> Option<HoldState> {
        self.engine.hold_view(&scaled_object(tenant)).map(|h| h.state)
    }

    /// Names of what was ordered and not yet obeyed, `pause acme/api`.
    pub fn ordered(&self) -> Vec<String> {
        self.orders
            .iter()
            .map(|o| {
                let verb = match &o.effect {
                    Effect::PauseToZero => "pause",
                    Effect::ReverseRaise { .. } => "reverse",
                    Effect::Restore { .. } => "restore",
                };
                format!("{verb} {}/{}", o.target.namespace, o.target.name)
            })
            .collect()
    }

    pub fn pages(&self) -> Vec<String> {
        self.decisions
            .iter()
            .filter_map(|d| match &d.kind {
                DecisionKind::Page { detail, .. } => Some(detail.clone()),
                _ => None,
            })
            .collect()
    }

    pub fn reset(&mut self, breaker: &str) -> Outcome {
        let more = Percent::from_ppm(100_000);
        self.command(CommandKind::Reset { breaker: breaker.to_owned(), more })
    }
}
