//! The cluster of a trial: what exists in it, and what it answers to an order.

use std::collections::BTreeMap;

use crate::annotation::PAUSED_REPLICAS;
use crate::decision::{Effect, Order};
use crate::fact::{Fact, Observation, PriorState, Receipt, ReceiptOutcome};
use crate::inventory::{
    Inventory, InventoryChange, Namespace, ObjectKey, ObjectKind, ScaledObject, Workload,
};
use crate::rule::trial::{Answer, Answers, TrialObject};
use crate::time::{Span, Timestamp};

/// How long a write takes to be proven; nothing depends on it.
const PROOF: Span = Span::from_millis(150);

/// What exists, and how it answers.
pub(super) struct Cluster {
    objects: BTreeMap<ObjectKey, TrialObject>,
    answers: Answers,
}

impl Cluster {
    pub(super) fn new(objects: &[TrialObject], answers: &Answers) -> Self {
        let objects = objects.iter().map(|object| (object.key.clone(), object.clone())).collect();
        Self { objects, answers: answers.clone() }
    }

    /// All of it, as a list of the cluster gives it.
    pub(super) fn inventory(&self) -> Inventory {
        let mut all = Inventory::default();
        for object in self.objects.values() {
            all.namespaces.insert(object.key.namespace.clone(), namespace(&object.namespace_labels));
            all.scaled_objects.insert(object.key.clone(), scaled_object(object, false));
            all.workloads.insert(workload_of(&object.key), workload(object, object.replicas));
        }
        all
    }

    /// An object appears or changes. Its namespace keeps its labels, unless the object says other ones.
    pub(super) fn put(&mut self, object: &TrialObject) -> Vec<Fact> {
        let mut changes = Vec::new();
        let known = self.objects.keys().any(|key| key.namespace == object.key.namespace);
        if !known || !object.namespace_labels.is_empty() {
            let labels = namespace(&object.namespace_labels);
            changes.push(InventoryChange::Namespace(object.key.namespace.clone(), labels));
        }
        changes.push(InventoryChange::ScaledObject(object.key.clone(), scaled_object(object, false)));
        changes.push(InventoryChange::Workload(workload_of(&object.key), workload(object, object.replicas)));
        self.objects.insert(object.key.clone(), object.clone());
        changes.into_iter().map(Fact::Inventory).collect()
    }

    /// An object is deleted, and what it scaled with it.
    pub(super) fn delete(&mut self, key: &ObjectKey) -> Vec<Fact> {
        self.objects.remove(key);
        let gone = [key.clone(), workload_of(key)];
        gone.into_iter().map(|key| Fact::Inventory(InventoryChange::Gone(key))).collect()
    }

    /// What comes of an order: what changes, and its receipts.
    pub(super) fn answer(&self, order: &Order, at: Timestamp) -> Vec<Fact> {
        let receipt = |outcome| Fact::Receipt(Receipt { order: order.id, at, guard: Vec::new(), outcome });
        let named = self.answers.of.iter().find(|(key, _)| *key == order.target);
        let given_back = matches!(order.effect, Effect::Restore { .. });
        match named.map_or(self.answers.all, |(_, answer)| *answer) {
            Answer::Silent => Vec::new(),
            Answer::AlreadySo if !given_back => {
                vec![receipt(ReceiptOutcome::AlreadySo { by: "somebody else".to_owned() })]
            }
            Answer::NotStopped if !given_back => vec![receipt(ReceiptOutcome::NotStopped {
                replicas: self.objects.get(&order.target).map(|object| object.replicas),
                because: "the test says that it runs on".to_owned(),
            })],
            Answer::Failed => vec![receipt(ReceiptOutcome::Failed {
                error: "the test says that the write fails".to_owned(),
                retryable: false,
            })],
            Answer::Verified | Answer::AlreadySo | Answer::NotStopped => self.obey(order, at),
        }
    }

    /// Does it, and proves it.
    fn obey(&self, order: &Order, at: Timestamp) -> Vec<Fact> {
        let receipt = |outcome| Fact::Receipt(Receipt { order: order.id, at, guard: Vec::new(), outcome });
        let version = |version: &str| ReceiptOutcome::Accepted { resource_version: version.to_owned() };
        let mut facts = Vec::new();
        let Some(object) = self.objects.get(&order.target) else { return facts };
        let mut change = |change| facts.push(Fact::Inventory(change));
        let workload_key = workload_of(&order.target);
        match &order.effect {
            Effect::PauseToZero => {
                change(InventoryChange::ScaledObject(order.target.clone(), scaled_object(object, true)));
                change(InventoryChange::Workload(workload_key, workload(object, 0)));
                facts.insert(0, receipt(ReceiptOutcome::Prepared(prior(object, order))));
                facts.insert(1, receipt(version("2")));
            }
            Effect::ReverseRaise { workload: raised } => {
                change(InventoryChange::Workload(raised.clone(), workload(object, 0)));
            }
            Effect::Restore { .. } => {
                change(InventoryChange::ScaledObject(order.target.clone(), scaled_object(object, false)));
                change(InventoryChange::Workload(workload_key, workload(object, object.replicas)));
            }
        }
        let signs =
            vec![Observation { sign: "pods".to_owned(), seen: "as ordered".to_owned(), proves: true }];
        facts.push(receipt(ReceiptOutcome::Verified { signs, took: PROOF }));
        facts
    }
}

fn prior(object: &TrialObject, order: &Order) -> PriorState {
    PriorState {
        uid: order.uid.to_string(),
        resource_version: "1".to_owned(),
        replicas: Some(object.replicas),
        paused_replicas: None,
        paused: None,
        hpa: None,
    }
}

pub(super) fn namespace(labels: &[(Box<str>, Box<str>)]) -> Namespace {
    Namespace { labels: labels.iter().cloned().collect() }
}

/// Every object scales a Deployment of its own name.
fn workload_of(key: &ObjectKey) -> ObjectKey {
    ObjectKey { kind: ObjectKind::Deployment, ..key.clone() }
}

fn scaled_object(object: &TrialObject, paused: bool) -> ScaledObject {
    let pause = paused.then(|| (PAUSED_REPLICAS.into(), "0".into()));
    ScaledObject {
        uid: format!("uid-{}", object.key).into(),
        labels: object.labels.iter().cloned().collect(),
        annotations: pause.into_iter().collect(),
        workload: Some(workload_of(&object.key)),
        ..ScaledObject::default()
    }
}

fn workload(object: &TrialObject, replicas: u32) -> Workload {
    Workload {
        uid: format!("uid-of-{}", object.key).into(),
        replicas,
        status_replicas: replicas,
        ..Workload::default()
    }
}
