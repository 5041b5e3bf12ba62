//! The cases by which idle rules of others stop busy work, as a table.
//!
//! PROVENANCE: cases A to E are those of a promtool test (promtool 2.42, samples each 30 s, evaluated after
//! 40 minutes over 30 minutes) that compares a naive rule with a careful one; their series stand in each row.
//! What they show was reported by users of dcgm-exporter (its threads 216 and 662), of DCGM (226 and 303) and
//! measured against the query of gpu-pruner at commit 71b92a3, which calls A, B, C and E idle. The rows below
//! them are the other traps of the same exporters: time-slicing, values that cannot be, errors of the driver.

use policy::gpu::{Sharing, Signals};
use policy::idle::Verdict;
use policy::money::Percent;

use super::stage::{STEP, Stage, busy, by_util, percent, policy, quiet};

/// What one GPU of the pod shows in one of the 80 steps; `None` is no sample.
type Series = fn(u32) -> Option<Signals>;

struct Case {
    name: &'static str,
    sharing: Sharing,
    /// By GPU of the pod.
    gpus: &'static [Series],
    verdict: &'static str,
}

fn only(util: Option<&str>, engine: Option<&str>) -> Option<Signals> {
    let (gpu_util, engine_active) = (util.map(percent), engine.map(percent));
    Some(Signals { gpu_util, engine_active, ..Signals::default() })
}

const CASES: [Case; 16] = [
    Case {
        name: "A: the profiling ratio is silently 0 while gpuUtil is 99",
        sharing: Sharing::Whole,
        gpus: &[|_| only(Some("99%"), Some("0%"))],
        verdict: "Conflict",
    },
    Case {
        name: "B: a pod with two GPUs, one busy and one idle",
        sharing: Sharing::Whole,
        gpus: &[|_| only(Some("95%"), Some("90%")), |_| only(Some("0%"), Some("0%"))],
        verdict: "Busy",
    },
    Case {
        name: "C: the exporter was down and is back for two samples",
        sharing: Sharing::Whole,
        gpus: &[|step| only(Some("0%"), Some("0%")).filter(|_| step >= 78)],
        verdict: "Unknown",
    },
    Case {
        name: "D: truly idle, as a newer exporter labels it",
        sharing: Sharing::Whole,
        gpus: &[|_| only(Some("0%"), Some("0%"))],
        verdict: "Idle",
    },
    Case {
        name: "E: a MIG slice: no profiling ratio, and gpuUtil constantly 0 while busy",
        sharing: Sharing::MigSlice,
        gpus: &[|_| only(Some("0%"), None)],
        verdict: "Unknown",
    },
    Case {
        name: "a GPU cut by MIG, seen as a whole, with its gpuUtil of 0 alone",
        sharing: Sharing::MigDevice,
        gpus: &[|_| only(Some("0%"), None)],
        verdict: "Unknown",
    },
    Case {
        name: "two GPUs, both idle",
        sharing: Sharing::Whole,
        gpus: &[|_| Some(quiet()), |_| Some(quiet())],
        verdict: "Idle",
    },
    Case {
        name: "two GPUs, of one nothing is heard",
        sharing: Sharing::Whole,
        gpus: &[|_| Some(quiet()), |_| None],
        verdict: "Unknown",
    },
    Case {
        name: "the exporter fell silent two intervals ago",
        sharing: Sharing::Whole,
        gpus: &[|step| Some(quiet()).filter(|_| step < 78)],
        verdict: "Unknown",
    },
    Case {
        name: "one sample in ten is missing, which is as many as may be",
        sharing: Sharing::Whole,
        gpus: &[|step| Some(quiet()).filter(|_| step % 10 != 3)],
        verdict: "Idle",
    },
    Case {
        name: "one sample in five is missing",
        sharing: Sharing::Whole,
        gpus: &[|step| Some(quiet()).filter(|_| step % 5 != 3)],
        verdict: "Unknown",
    },
    Case {
        name: "one short burst 25 minutes ago",
        sharing: Sharing::Whole,
        gpus: &[|step| Some(if step == 30 { busy() } else { quiet() })],
        verdict: "Busy",
    },
    Case {
        name: "a GPU whose time is shared: gpuUtil is split by process and made up as 0",
        sharing: Sharing::TimeSliced,
        gpus: &[|_| only(Some("0%"), Some("0%"))],
        verdict: "Unknown",
    },
    Case {
        name: "gpuUtil says 9.2e18 percent in every sample",
        sharing: Sharing::Whole,
        gpus: &[|_| Some(Signals { gpu_util: Some(Percent::MAX), ..quiet() })],
        verdict: "Unknown",
    },
    Case {
        name: "an Xid error of the driver in the window",
        sharing: Sharing::Whole,
        gpus: &[|step| Some(Signals { xid: Some(if step == 60 { 31 } else { 0 }), ..quiet() })],
        verdict: "Unhealthy",
    },
    Case {
        name: "a model is being loaded: all is quiet, and the framebuffer fills",
        sharing: Sharing::Whole,
        gpus: &[|step| Some(Signals { framebuffer_mib: Some(1000 + step), ..quiet() })],
        verdict: "Busy",
    },
];

fn judged(case: &Case) -> Verdict {
    let mut stage = Stage::new();
    let names: Vec<String> = (0..case.gpus.len()).map(|n| format!("GPU-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    stage.node("n", u32::try_from(names.len()).unwrap());
    stage.pod("api", 0, "n", &names);
    for step in 0..80 {
        stage.now = stage.now.plus(STEP);
        for (gpu, series) in names.iter().zip(case.gpus) {
            if let Some(signals) = series(step) {
                stage.sample("n", gpu, case.sharing, signals);
            }
        }
    }
    stage.verdict(&policy(by_util()), "api")
}

#[test]
fn none_of_the_known_false_idles_is_called_idle_and_the_true_ones_are() {
    let wrong: Vec<String> = CASES
        .iter()
        .map(|case| (case, judged(case)))
        .filter(|(case, verdict)| verdict.word() != case.verdict)
        .map(|(case, verdict)| format!("{}: wanted {}, is {verdict}", case.name, case.verdict))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
