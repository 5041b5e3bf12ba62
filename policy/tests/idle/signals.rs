//! One GPU: which signals are believed, what counts as a sample, and what is remembered.

use policy::gpu::{GpuBatch, GpuSample, Sharing, Signal, Signals};
use policy::idle::{Gpus, Reason, Verdict};
use policy::money::Percent;
use policy::time::Span;

use super::stage::{START, STEP, Stage, by_util, percent, policy, quiet, when};

fn one_gpu() -> Stage {
    let mut stage = Stage::new();
    stage.node("n", 1);
    stage.pod("api", 0, "n", &["GPU-0"]);
    stage
}

fn after(signals: Signals, policy: &policy::rule::IdlePolicy) -> Verdict {
    let mut stage = one_gpu();
    stage.run(80, &[("n", "GPU-0", signals)]);
    stage.verdict(policy, "api")
}

#[test]
fn a_signal_that_the_rule_names_must_be_there() {
    let rule = policy(when(&[(Signal::GpuUtil, "5%"), (Signal::SmActive, "2%")]));
    assert!(matches!(after(quiet(), &rule), Verdict::Idle(_)));
    let without = Signals { sm_active: None, ..quiet() };
    assert_eq!(after(without, &rule), Verdict::Unknown(Reason::NoSignal(Signal::SmActive)));
    let mut serving = by_util();
    serving.no_requests = true;
    assert_eq!(after(quiet(), &policy(serving)), Verdict::Unknown(Reason::NoSignal(Signal::InFlight)));
}

#[test]
fn a_signal_that_is_there_must_be_low_also_where_the_rule_does_not_name_it() {
    let rule = policy(by_util());
    let requests = Signals { in_flight: Some(1), ..quiet() };
    let expected = Verdict::Conflict { low: Signal::GpuUtil, high: Signal::InFlight, most: 1 };
    assert_eq!(after(requests, &rule), expected);
    let memory = Signals { dram_active: Some(percent("30%")), ..quiet() };
    assert!(matches!(after(memory, &rule), Verdict::Conflict { high: Signal::DramActive, .. }));
    let power = Signals { power_mw: Some(250_000), ..quiet() };
    assert!(matches!(after(power, &rule), Verdict::Conflict { high: Signal::PowerDraw, .. }));
    assert!(matches!(after(Signals { in_flight: Some(0), ..quiet() }, &rule), Verdict::Idle(_)));
}

#[test]
fn a_ceiling_is_below_and_not_at() {
    let at = |share: &str| after(Signals { gpu_util: Some(percent(share)), ..quiet() }, &policy(by_util()));
    assert!(matches!(at("4.9999%"), Verdict::Idle(_)));
    assert!(!matches!(at("5%"), Verdict::Idle(_)));
}

#[test]
fn profiling_zeros_alone_are_not_believed() {
    let zero = Some(Percent::ZERO);
    let ratios = Signals { engine_active: zero, sm_active: zero, dram_active: zero, ..Signals::default() };
    let rule = policy(when(&[(Signal::SmActive, "2%")]));
    assert_eq!(after(ratios, &rule), Verdict::Unknown(Reason::Uncorroborated));
    let (power_mw, power_limit_mw) = (Some(60_000), Some(400_000));
    assert!(matches!(after(Signals { power_mw, power_limit_mw, ..ratios }, &rule), Verdict::Idle(_)));
}

#[test]
fn of_a_gpu_cut_by_mig_only_the_whole_is_judged_and_never_by_its_gpu_util() {
    use Sharing::{MigDevice, MigSlice};
    let rule = policy(when(&[(Signal::EngineActive, "2%"), (Signal::PowerDraw, "30%")]));
    let judged = |sharing: &[Sharing], slice: Signals| {
        let mut stage = one_gpu();
        for _ in 0..80 {
            stage.now = stage.now.plus(STEP);
            for sharing in sharing {
                let signals = if *sharing == MigSlice { slice } else { quiet() };
                stage.sample("n", "GPU-0", *sharing, signals);
            }
        }
        stage.verdict(&rule, "api")
    };
    assert!(matches!(judged(&[MigDevice], quiet()), Verdict::Idle(_)));
    assert!(matches!(judged(&[MigDevice, MigSlice], quiet()), Verdict::Idle(_)));
    assert_eq!(judged(&[MigSlice], quiet()), Verdict::Unknown(Reason::MigSlice));
    let half = Some(percent("40%"));
    let working = Signals { engine_active: half, sm_active: half, ..quiet() };
    assert!(matches!(judged(&[MigDevice, MigSlice], working), Verdict::Busy { .. }), "a slice works");
    let by_util = policy(by_util());
    let mut stage = one_gpu();
    for _ in 0..80 {
        stage.now = stage.now.plus(STEP);
        stage.sample("n", "GPU-0", MigDevice, quiet());
    }
    assert_eq!(stage.verdict(&by_util, "api"), Verdict::Unknown(Reason::NoSignal(Signal::GpuUtil)));
}

#[test]
fn duplicates_fill_no_gap() {
    let mut stage = one_gpu();
    for step in 0..80 {
        stage.now = stage.now.plus(STEP);
        if step % 2 == 0 {
            for _ in 0..5 {
                stage.sample("n", "GPU-0", Sharing::Whole, quiet());
            }
        }
    }
    let verdict = stage.verdict(&policy(by_util()), "api");
    assert!(matches!(verdict, Verdict::Unknown(Reason::TooFewSamples { samples: 28..=36, .. })), "{verdict}");
}

#[test]
fn a_signal_that_is_in_half_of_the_samples_is_a_gap() {
    let mut stage = one_gpu();
    for step in 0..80 {
        let signals = if step % 2 == 0 { quiet() } else { Signals { gpu_util: None, ..quiet() } };
        stage.run(1, &[("n", "GPU-0", signals)]);
    }
    let verdict = stage.verdict(&policy(by_util()), "api");
    assert!(
        matches!(verdict, Verdict::Unknown(Reason::SignalGap { signal: Signal::GpuUtil, .. })),
        "{verdict}"
    );
}

#[test]
fn a_late_sample_that_was_busy_counts_and_one_from_the_future_is_refused() {
    let mut stage = one_gpu();
    stage.run(80, &[("n", "GPU-0", quiet())]);
    let late = stage.now.minus(Span::from_mins(20));
    stage.sample_at("n", "GPU-0", Sharing::Whole, super::stage::busy(), late);
    assert!(matches!(stage.verdict(&policy(by_util()), "api"), Verdict::Busy { .. }));
    let ahead = stage.now.plus(Span::from_mins(6));
    stage.sample_at("n", "GPU-0", Sharing::Whole, quiet(), ahead);
    assert_eq!(stage.gpus.refused().implausible, 1);
}

#[test]
fn a_gpu_that_two_nodes_claim_is_known_on_neither() {
    let mut stage = one_gpu();
    stage.run(80, &[("n", "GPU-0", quiet()), ("m", "GPU-0", quiet())]);
    assert!(matches!(stage.verdict(&policy(by_util()), "api"), Verdict::Unknown(_)));
}

#[test]
fn what_is_remembered_of_a_gpu_does_not_grow_and_a_gpu_that_is_gone_is_forgotten() {
    let mut stage = one_gpu();
    stage.run(200, &[("n", "GPU-0", quiet())]);
    let early = postcard::to_stdvec(&stage.gpus).unwrap().len();
    stage.run(5000, &[("n", "GPU-0", quiet())]);
    let late = postcard::to_stdvec(&stage.gpus).unwrap().len();
    assert!(late <= early + 16, "{early} bytes, then {late}");
    stage.gpus.forget(stage.now.plus(Span::from_hours(2)));
    assert!(stage.gpus.is_empty());
}

#[test]
fn there_are_never_more_gpus_than_the_bound() {
    let mut gpus = Gpus::default();
    gpus.keep(Some(Span::from_mins(30)));
    let sample = |n: usize| GpuSample { gpu: format!("GPU-{n}").into(), at: START, ..GpuSample::default() };
    let batch = GpuBatch {
        source: "dcgm".into(),
        interval: STEP,
        nodes: vec!["n".into()],
        samples: (0..policy::idle::MOST_GPUS + 7).map(sample).collect(),
    };
    gpus.take(&batch, START);
    assert_eq!((gpus.len(), gpus.refused().over_bound), (policy::idle::MOST_GPUS, 7));
}
