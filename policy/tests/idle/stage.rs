//! A small cluster: nodes of one kind, workloads with GPUs, and samples each 30 seconds.

use std::collections::BTreeMap;

use policy::gpu::{GpuBatch, GpuSample, Sharing, Signal, Signals};
use policy::idle::{Finding, Fleet, Gpus, Target, Verdict, evaluate};
use policy::inventory::{Inventory, Node, ObjectKey, ObjectKind, Pod, PodKey, Resources, Workload};
use policy::money::{HourRate, Percent};
use policy::rule::{IdlePolicy, IdleWhen, Mode, NodeSelector, Place};
use policy::time::{Span, Timestamp};

/// A quarter past some hour: buckets do not begin there by chance.
pub const START: Timestamp = Timestamp::from_millis(1_795_170_037_000);
pub const STEP: Span = Span::from_secs(30);

pub fn percent(text: &str) -> Percent {
    text.parse().unwrap()
}

pub fn when(below: &[(Signal, &str)]) -> IdleWhen {
    IdleWhen {
        place: Place { file: "gpu.yaml".into(), line: 7, column: 3 },
        below: below.iter().map(|(signal, share)| (*signal, percent(share))).collect(),
        no_requests: false,
        window: Span::from_mins(30),
        samples: percent("90%"),
    }
}

/// `gpuUtil: below 5%` for 30 minutes on every node.
pub fn policy(when: IdleWhen) -> IdlePolicy {
    IdlePolicy {
        name: "gpu-idle".into(),
        description: "".into(),
        place: Place::default(),
        select: NodeSelector { all: true, ..NodeSelector::default() },
        idle_when: Some(when),
        pack: None,
        worth_at_least: None,
        then: Vec::new(),
        mode: Mode::Observe,
    }
}

pub fn by_util() -> IdleWhen {
    when(&[(Signal::GpuUtil, "5%")])
}

/// What a GPU that does nothing shows.
pub fn quiet() -> Signals {
    Signals {
        gpu_util: Some(Percent::ZERO),
        engine_active: Some(Percent::ZERO),
        sm_active: Some(Percent::ZERO),
        power_mw: Some(60_000),
        power_limit_mw: Some(400_000),
        framebuffer_mib: Some(20_000),
        xid: Some(0),
        ..Signals::default()
    }
}

pub fn busy() -> Signals {
    Signals {
        gpu_util: Some(percent("97%")),
        engine_active: Some(percent("90%")),
        sm_active: Some(percent("60%")),
        power_mw: Some(350_000),
        ..quiet()
    }
}

pub struct Stage {
    pub inventory: Inventory,
    pub gpus: Gpus,
    pub now: Timestamp,
}

pub fn deployment(name: &str) -> ObjectKey {
    ObjectKey { kind: ObjectKind::Deployment, namespace: "ml".into(), name: name.into() }
}

impl Stage {
    pub fn new() -> Self {
        let mut gpus = Gpus::default();
        gpus.keep(Some(Span::from_mins(30)));
        Self { inventory: Inventory::default(), gpus, now: START }
    }

    /// A ready node with so many GPUs, at 8 USD an hour.
    pub fn node(&mut self, name: &str, gpus: u32) {
        let node = Node {
            nodepool: "gpu-a".into(),
            instance_type: "p4d".into(),
            gpus,
            allocatable: Resources { cpu_milli: 96_000, memory: 1 << 40, gpus },
            most_pods: 100,
            ready: true,
            ..Node::default()
        };
        self.inventory.nodes.insert(name.into(), node);
    }

    /// A replica of a deployment with these GPUs, ready since long ago.
    pub fn pod(&mut self, workload: &str, replica: u32, node: &str, gpus: &[&str]) -> PodKey {
        let key = PodKey::new("ml", &format!("{workload}-{replica}"));
        let pod = Pod {
            node: Some(node.into()),
            owner: Some(deployment(workload)),
            requests: Resources {
                cpu_milli: 1000,
                memory: 1 << 30,
                gpus: u32::try_from(gpus.len()).unwrap(),
            },
            gpus: gpus.iter().map(|gpu| (*gpu).into()).collect(),
            ready_since: Some(START.minus(Span::from_hours(9))),
            ..Pod::default()
        };
        self.inventory.pods.insert(key.clone(), pod);
        let all = self.inventory.pods.values().filter(|pod| pod.owner == Some(deployment(workload)));
        let replicas = u32::try_from(all.count()).unwrap();
        let workload_now = Workload { replicas, status_replicas: replicas, ..Workload::default() };
        self.inventory.workloads.insert(deployment(workload), workload_now);
        key
    }

    pub fn pod_mut(&mut self, key: &PodKey) -> &mut Pod {
        self.inventory.pods.get_mut(key).unwrap()
    }

    pub fn sample(&mut self, node: &str, gpu: &str, sharing: Sharing, signals: Signals) {
        self.sample_at(node, gpu, sharing, signals, self.now);
    }

    pub fn sample_at(&mut self, node: &str, gpu: &str, sharing: Sharing, signals: Signals, at: Timestamp) {
        let batch = GpuBatch {
            source: "dcgm".into(),
            interval: STEP,
            nodes: vec![node.into()],
            samples: vec![GpuSample { node: 0, gpu: gpu.into(), at, sharing, signals }],
        };
        self.gpus.take(&batch, self.now.plus(Span::from_mins(5)));
    }

    /// So many steps of 30 seconds, in each of which these GPUs of a node are sampled.
    pub fn run(&mut self, steps: u32, samples: &[(&str, &str, Signals)]) {
        for _ in 0..steps {
            self.now = self.now.plus(STEP);
            for (node, gpu, signals) in samples {
                self.sample(node, gpu, Sharing::Whole, *signals);
            }
        }
    }

    pub fn find(&self, policy: &IdlePolicy) -> BTreeMap<String, Finding> {
        let rate: HourRate = "8 USD per hour".parse().unwrap();
        let fleet = Fleet::new(&self.inventory, |node| (&*node.instance_type == "p4d").then_some(rate));
        let found = evaluate(policy, &fleet, &self.gpus, self.now, |_| None);
        found.into_iter().map(|f| (f.target.to_string(), f)).collect()
    }

    /// The verdict on a deployment.
    pub fn verdict(&self, policy: &IdlePolicy, workload: &str) -> Verdict {
        let target = Target::Workload(deployment(workload)).to_string();
        self.find(policy).remove(&target).unwrap().verdict
    }
}
