//! Nodes with GPUs, and what their exporter says of them.

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Shape};
use super::super::read::{Fields, Keys, Sink};
use super::{TrialFactKind, TrialGpus, TrialNode, TrialSpot, value};
use crate::gpu::{Sharing, Signals};
use crate::money::Percent;
use crate::time::Span;

const NODE: Keys =
    Keys::of(&["node", "nodepool", "instanceType", "capacityType", "region", "gpus", "labels"]);

/// A node.
pub(super) fn node(node: &Node, sink: &mut Sink<'_>) -> Option<TrialNode> {
    let example = "{node: gpu-1, nodepool: gpu-a, instanceType: g5.xlarge, gpus: 1}";
    let fields = sink.object(node, "a node", example, &NODE)?;
    let name = fields.required("node", "write its name, `node: gpu-1`", sink);
    let name = name.and_then(|n| sink.text(n, "`node`"));
    let nodepool = text(&fields, "nodepool", "", sink);
    let instance_type = text(&fields, "instanceType", "", sink);
    let capacity_type = text(&fields, "capacityType", "on-demand", sink);
    let region = text(&fields, "region", "us-east-1", sink);
    let gpus = fields.get("gpus").map_or(Some(1), |n| sink.count(n, "`gpus`", 0, 64));
    let labels = fields.get("labels").map_or(Some(Vec::new()), |n| value::labels(n, "`labels`", sink));
    Some(TrialNode {
        name: name?.into(),
        nodepool: nodepool?,
        instance_type: instance_type?,
        capacity_type: capacity_type?,
        region: region?,
        gpus: gpus?,
        labels: labels?,
    })
}

fn text(fields: &Fields<'_>, key: &str, otherwise: &str, sink: &mut Sink<'_>) -> Option<Box<str>> {
    let Some(node) = fields.get(key) else { return Some(otherwise.into()) };
    sink.text(node, &format!("`{key}`")).map(Into::into)
}

const SPOT: Keys = Keys::of(&["on", "kind", "late"]);
const SPOT_KINDS: [(&str, TrialSpot); 3] = [
    ("interruption", TrialSpot::Interruption),
    ("rebalance", TrialSpot::Rebalance),
    ("capacity-reservation", TrialSpot::CapacityReservation),
];

/// AWS says that it will take a node away.
pub(super) fn spot(node: &Node, sink: &mut Sink<'_>) -> Option<TrialFactKind> {
    let fields = sink.object(node, "`spot`", "{on: gpu-1, kind: interruption}", &SPOT)?;
    let on = fields.required("on", "write the node, `on: gpu-1`", sink);
    let on = on.and_then(|n| sink.text(n, "`on`"));
    let kind = fields.required("kind", "write `kind: interruption`", sink);
    let kind = kind.and_then(|n| sink.word(n, "`kind`", Kind::UnknownWord, &SPOT_KINDS));
    let late = fields.get("late");
    let late = late.map_or(Some(Span::ZERO), |n| value::span(n, "`late`", Span::from_secs(1), sink));
    Some(TrialFactKind::Spot { on: on?.into(), kind: kind?, late: late? })
}

const GPUS: Keys = Keys::of(&[
    "on",
    "gpu",
    "sharing",
    "gpuUtil",
    "engineActive",
    "smActive",
    "tensorActive",
    "dramActive",
    "powerDraw",
    "inFlightRequests",
    "over",
    "every",
]);

const SHARINGS: [(&str, Sharing); 5] = [
    ("whole", Sharing::Whole),
    ("time-sliced", Sharing::TimeSliced),
    ("shared", Sharing::Shared),
    ("mig-device", Sharing::MigDevice),
    ("mig-slice", Sharing::MigSlice),
];

/// A power limit that every GPU of a trial has, in milliwatts; rules know only the share of it.
const POWER_LIMIT: u32 = 400_000;

/// Samples of all GPUs of a node, or of one. A signal that is not written is not there.
pub(super) fn gpus(node: &Node, sink: &mut Sink<'_>) -> Option<TrialGpus> {
    let example = "{on: gpu-1, gpuUtil: 0%, powerDraw: 20%, over: 40m}";
    let fields = sink.object(node, "`gpus`", example, &GPUS)?;
    let on = fields.required("on", "write the node that they are in, `on: gpu-1`", sink);
    let on = on.and_then(|n| sink.text(n, "`on`"));
    let over = fields.required("over", "write for how long, `over: 40m`", sink);
    let over = over.and_then(|n| value::span(n, "`over`", Span::from_secs(1), sink));
    let every = Span::from_secs(30);
    let every =
        fields.get("every").map_or(Some(every), |n| value::span(n, "`every`", Span::from_secs(5), sink));
    let gpu = fields.get("gpu").map_or(Some(None), |n| sink.count(n, "`gpu`", 0, 63).map(Some));
    let sharing = fields
        .get("sharing")
        .map_or(Some(Sharing::Whole), |n| sink.word(n, "`sharing`", Kind::UnknownWord, &SHARINGS));
    let signals = signals(&fields, sink);
    Some(TrialGpus {
        on: on?.into(),
        gpu: gpu?,
        sharing: sharing?,
        signals: signals?,
        over: over?,
        every: every?,
    })
}

fn signals(fields: &Fields<'_>, sink: &mut Sink<'_>) -> Option<Signals> {
    let mut share = |key: &str| {
        fields.get(key).map_or(Some(None), |n| sink.percent(n, &format!("`{key}`"), "0%", "100%").map(Some))
    };
    let (util, engine, sm) = (share("gpuUtil"), share("engineActive"), share("smActive"));
    let (tensor, dram, power) = (share("tensorActive"), share("dramActive"), share("powerDraw"));
    let requests = fields.get("inFlightRequests").map_or(Some(None), |node| {
        // The word of the rules means the number.
        if matches!(&node.shape, Shape::Text(text) if text == "none") {
            return Some(Some(0));
        }
        sink.count(node, "`inFlightRequests`", 0, 1_000_000).map(Some)
    });
    let power = power?;
    let drawn = |share: Percent| {
        let milliwatts = u64::from(POWER_LIMIT).saturating_mul(u64::from(share.ppm())) / 1_000_000;
        u32::try_from(milliwatts).unwrap_or(u32::MAX)
    };
    Some(Signals {
        gpu_util: util?,
        engine_active: engine?,
        sm_active: sm?,
        tensor_active: tensor?,
        dram_active: dram?,
        power_mw: power.map(drawn),
        power_limit_mw: power.map(|_| POWER_LIMIT),
        in_flight: requests?,
        ..Signals::default()
    })
}
