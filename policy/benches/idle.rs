//! Idleness and bin-packing of a large cluster: 5,000 nodes of eight GPUs, 40,000 pods with one GPU each.
//!
//! Bar: both together in at most 100 ms. Half of the nodes hold an idle workload's pods or are under-filled,
//! so that neither is decided by what comes first.

use std::collections::BTreeMap;

use divan::Bencher;

use policy::consolidate::{Plan, plan};
use policy::gpu::{GpuBatch, GpuSample, Sharing, Signal, Signals};
use policy::idle::{Finding, Fleet, Gpus, Verdict, evaluate};
use policy::inventory::{
    DisruptionBudget, Inventory, Namespace, Node, ObjectKey, ObjectKind, Pod, PodKey, Resources,
    ScaledObject, Taint, TaintEffect, Toleration, Workload,
};
use policy::money::{HourRate, Percent};
use policy::price::PriceBook;
use policy::rule::{Guardrail, IdlePolicy, IdleWhen, Mode, NodeSelector, Pack, Place};
use policy::time::{Span, Timestamp};

const NODES: usize = 5_000;
const PODS: usize = 40_000;
/// Replicas of a workload.
const REPLICAS: usize = 4;
const NOW: Timestamp = Timestamp::from_millis(1_795_170_000_000);
const STEP: Span = Span::from_secs(30);

fn main() {
    divan::main();
}

fn policy() -> IdlePolicy {
    let below: BTreeMap<Signal, Percent> = [(Signal::GpuUtil, 50_000), (Signal::PowerDraw, 300_000)]
        .map(|(s, ppm)| (s, Percent::from_ppm(ppm)))
        .into();
    IdlePolicy {
        name: "gpu".into(),
        description: "".into(),
        place: Place::default(),
        select: NodeSelector { nodepools: vec!["gpu-*".into()], ..NodeSelector::default() },
        idle_when: Some(IdleWhen {
            place: Place::default(),
            below,
            no_requests: false,
            window: Span::from_mins(30),
            samples: Percent::from_ppm(900_000),
        }),
        pack: Some(Pack { place: Place::default(), allocation_below: Percent::from_ppm(500_000) }),
        worth_at_least: None,
        then: Vec::new(),
        mode: Mode::Observe,
    }
}

fn taint() -> Taint {
    Taint { key: "nvidia.com/gpu".into(), value: "".into(), effect: TaintEffect::NoSchedule }
}

fn node(number: usize) -> Node {
    let zone = ["a", "b", "c"][number % 3];
    Node {
        nodepool: format!("gpu-{}", number % 5).into(),
        instance_type: "p4d.24xlarge".into(),
        capacity_type: "on-demand".into(),
        region: "us-east-1".into(),
        gpus: 12,
        allocatable: Resources { cpu_milli: 96_000, memory: 1 << 40, gpus: 12 },
        most_pods: 110,
        taints: vec![taint()],
        labels: BTreeMap::from([("topology.kubernetes.io/zone".into(), zone.into())]),
        ready: true,
        created_at: Some(NOW.minus(Span::from_hours(24))),
        ..Node::default()
    }
}

/// Every fourth node has two pods, the others ten: of twelve GPUs.
fn seats() -> impl Iterator<Item = usize> {
    (0..NODES).flat_map(|node| std::iter::repeat_n(node, if node % 4 == 0 { 2 } else { 10 })).take(PODS)
}

fn inventory() -> Inventory {
    let mut all = Inventory::default();
    for number in 0..NODES {
        all.nodes.insert(format!("ip-10-0-{number:05}.ec2.internal").into(), node(number));
    }
    for (number, seat) in seats().enumerate() {
        let (group, namespace) = (number / REPLICAS, format!("team-{}", number / REPLICAS % 200));
        let owner = ObjectKey {
            kind: ObjectKind::Deployment,
            namespace: namespace.as_str().into(),
            name: format!("model-{group}").into(),
        };
        let pod = Pod {
            node: Some(format!("ip-10-0-{seat:05}.ec2.internal").into()),
            owner: Some(owner.clone()),
            requests: Resources { cpu_milli: 4_000, memory: 1 << 34, gpus: 1 },
            gpus: vec![uuid(number)],
            tolerations: vec![Toleration { key: Some("nvidia.com/gpu".into()), ..Toleration::default() }],
            budgets: if number % 10 == 0 { vec!["pdb".into()] } else { Vec::new() },
            ready_since: Some(NOW.minus(Span::from_hours(9))),
            ..Pod::default()
        };
        all.pods.insert(PodKey::new(&namespace, &format!("model-{group}-{number:06}")), pod);
        all.namespaces.entry(namespace.as_str().into()).or_insert_with(Namespace::default);
        all.disruption_budgets.insert(PodKey::new(&namespace, "pdb"), DisruptionBudget { allowed: 1 });
        let scaler = ObjectKey { kind: ObjectKind::ScaledObject, ..owner.clone() };
        let workload = Some(owner.clone());
        all.scaled_objects.insert(scaler, ScaledObject { workload, ..ScaledObject::default() });
        all.workloads.insert(owner, Workload::default());
    }
    all
}

fn uuid(number: usize) -> Box<str> {
    format!("GPU-3f1c9a52-0b7d-4e11-9c6e-{number:012}").into()
}

/// Half an hour and more of samples; every second GPU is idle.
fn gpus() -> Gpus {
    let mut gpus = Gpus::default();
    gpus.keep(Some(Span::from_mins(30)));
    let seats: Vec<usize> = seats().collect();
    let nodes: Vec<Box<str>> = (0..NODES).map(|n| format!("ip-10-0-{n:05}.ec2.internal").into()).collect();
    for step in (0..80).rev() {
        let at = NOW.minus(Span::from_millis(STEP.millis() * step));
        let sample = |(number, seat): (usize, &usize)| GpuSample {
            node: u32::try_from(*seat).unwrap_or(0),
            gpu: uuid(number),
            at,
            sharing: Sharing::Whole,
            signals: Signals {
                gpu_util: Some(Percent::from_ppm(if number % 2 == 0 { 0 } else { 900_000 })),
                engine_active: Some(Percent::from_ppm(if number % 2 == 0 { 0 } else { 800_000 })),
                power_mw: Some(if number % 2 == 0 { 60_000 } else { 350_000 }),
                power_limit_mw: Some(400_000),
                framebuffer_mib: Some(20_000),
                xid: Some(0),
                ..Signals::default()
            },
        };
        let samples = seats.iter().enumerate().map(sample).collect();
        gpus.take(&GpuBatch { source: "dcgm".into(), interval: STEP, nodes: nodes.clone(), samples }, NOW);
    }
    gpus
}

fn price(book: &PriceBook, node: &Node) -> Option<HourRate> {
    let found = book.resolve_instance(&node.region, &node.instance_type, &node.capacity_type);
    found.ok().map(|price| price.rate)
}

fn both(inventory: &Inventory, gpus: &Gpus, book: &PriceBook) -> (Vec<Finding>, Plan) {
    let policy = policy();
    let fleet = Fleet::new(inventory, |node| price(book, node));
    let found = evaluate(&policy, &fleet, gpus, NOW, |_| None);
    let pack = policy.pack.as_ref().expect("it packs");
    (found, plan(pack, &policy.select, &fleet, &Guardrail::default(), NOW))
}

/// Arranging the inventory, a verdict on every GPU and workload, and the plan.
#[divan::bench(sample_count = 20)]
fn evaluate_and_pack(bencher: Bencher<'_, '_>) {
    let (inventory, gpus, book) = (inventory(), gpus(), PriceBook::embedded());
    let (found, plan) = both(&inventory, &gpus, &book);
    assert!(inventory.nodes.len() == NODES && inventory.pods.len() >= 39_000, "{}", inventory.pods.len());
    assert!(found.iter().any(|f| matches!(f.verdict, Verdict::Idle(_) | Verdict::Busy { .. })));
    assert!(plan.vacated.len() > 500, "{} nodes emptied", plan.vacated.len());
    bencher.bench_local(|| both(&inventory, &gpus, &book));
}

/// The same, where nothing fits: each pod of each candidate is looked at in vain.
#[divan::bench(sample_count = 20)]
fn pack_in_vain(bencher: Bencher<'_, '_>) {
    let (mut inventory, gpus, book) = (inventory(), gpus(), PriceBook::embedded());
    for pod in inventory.pods.values_mut() {
        pod.node_selector.insert("topology.kubernetes.io/zone".into(), "elsewhere".into());
    }
    assert!(both(&inventory, &gpus, &book).1.vacated.is_empty());
    bencher.bench_local(|| both(&inventory, &gpus, &book));
}
