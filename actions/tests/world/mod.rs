//! What the tests of this crate and those against a real cluster share: an order, a notebook for receipts,
//! and the scenarios of `scenarios.rs`, which run against the fake of `fake.rs` and against the real thing.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod fake;
pub mod scenarios;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actions::dispatch::{Dispatch, Limits};
use actions::gateway::{Gateway, Settings};
use actions::keda::Timing;
use actions::live::{Leadership, Live};
use actions::now::{Now, SystemNow};
use actions::receipts::{NotDurable, Receipts};
use async_trait::async_trait;
use kube::Client;
use policy::decision::{Blast, Effect, Order, Why};
use policy::fact::{Receipt, ReceiptOutcome};
use policy::id::{DecisionId, OrderId};
use policy::inventory::ObjectKey;
use policy::rule::Mode;
use policy::time::Span;

/// Name of our installation in all tests.
pub const INSTALL: &str = "test-install";

/// Keeps receipts, and can refuse to make them durable.
#[derive(Default)]
pub struct Notebook {
    receipts: Mutex<Vec<Receipt>>,
    refuses: Mutex<bool>,
    came: tokio::sync::Notify,
}

#[async_trait]
impl Receipts for Notebook {
    async fn send(&self, receipt: Receipt) -> Result<(), NotDurable> {
        if *self.refuses.lock().unwrap() {
            return Err(NotDurable);
        }
        self.receipts.lock().unwrap().push(receipt);
        self.came.notify_waiters();
        Ok(())
    }
}

impl Notebook {
    pub fn refuse(&self) {
        *self.refuses.lock().unwrap() = true;
    }

    /// Waits until what it holds is as wanted.
    pub async fn until(&self, is: impl Fn(&Self) -> bool) {
        loop {
            let came = self.came.notified();
            tokio::pin!(came);
            came.as_mut().enable();
            if is(self) {
                return;
            }
            came.await;
        }
    }

    pub fn all(&self) -> Vec<Receipt> {
        self.receipts.lock().unwrap().clone()
    }

    /// The kinds of the receipts of one order, in order.
    pub fn kinds(&self, order: u64) -> Vec<&'static str> {
        let of = |r: &Receipt| (r.order == OrderId(order)).then(|| kind(&r.outcome));
        self.all().iter().filter_map(of).collect()
    }

    pub fn last(&self, order: u64) -> Receipt {
        self.all().into_iter().rfind(|r| r.order == OrderId(order)).expect("the order has a receipt")
    }
}

pub fn kind(outcome: &ReceiptOutcome) -> &'static str {
    match outcome {
        ReceiptOutcome::Prepared(_) => "Prepared",
        ReceiptOutcome::Accepted { .. } => "Accepted",
        ReceiptOutcome::Verified { .. } => "Verified",
        ReceiptOutcome::AlreadySo { .. } => "AlreadySo",
        ReceiptOutcome::NotStopped { .. } => "NotStopped",
        ReceiptOutcome::Refused => "Refused",
        ReceiptOutcome::Failed { .. } => "Failed",
        ReceiptOutcome::NotObserved { .. } => "NotObserved",
        ReceiptOutcome::RestoreIncomplete { .. } => "RestoreIncomplete",
        ReceiptOutcome::Delivered { .. } => "Delivered",
    }
}

/// Everything that carries out an order, ready to enforce.
pub struct Actor {
    pub live: Arc<Live>,
    pub gateway: Arc<Gateway>,
    pub notebook: Arc<Notebook>,
    pub dispatch: Dispatch,
}

impl Actor {
    /// An actor that leads and enforces over a client.
    pub fn new(client: Client, timing: Timing) -> Self {
        Self::with(client, timing, |_| {})
    }

    pub fn with(client: Client, timing: Timing, set: impl FnOnce(&mut Settings)) -> Self {
        let live = Live::new();
        live.set_ceiling(Mode::Enforce);
        live.set_leadership(Leadership::NotNeeded);
        let mut settings = Settings::new(INSTALL, "breakerbox");
        settings.request_timeout = Duration::from_secs(5);
        set(&mut settings);
        let gateway = Arc::new(Gateway::new(client, Arc::clone(&live), Arc::new(SystemNow), settings));
        let notebook = Arc::new(Notebook::default());
        let receipts = Arc::clone(&notebook);
        let limits = Limits { min_delay: Duration::from_millis(10), ..Limits::default() };
        let dispatch = Dispatch::new(Arc::clone(&gateway), receipts, timing, limits);
        Self { live, gateway, notebook, dispatch }
    }

    /// Carries an order out to its end and gives back its last receipt.
    pub async fn carry_out(&self, order: Order) -> Receipt {
        let id = order.id.0;
        self.dispatch.submit(order).expect("the order is taken");
        self.dispatch.idle().await;
        self.notebook.last(id)
    }
}

/// An order that may be carried out now.
pub fn order(id: u64, target: &ObjectKey, uid: &str, effect: Effect) -> Order {
    let now = SystemNow.wall();
    Order {
        id: OrderId(id),
        decision: DecisionId(id),
        target: target.clone(),
        uid: uid.into(),
        effect,
        issued_at: now,
        expires_at: now.plus(Span::from_mins(5)),
        mode: Mode::Enforce,
        approved_by: None,
        attempt: 1,
        holders: vec!["tenant-daily/acme".into()],
        blast: Blast { eligible: 100, by_rule: 1, overall: 1, rule_cap: 10, overall_cap: 20 },
        why: Why::default(),
    }
}
