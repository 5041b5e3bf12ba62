//! One GPU: whether every signal of it was low for the whole window.
//!
//! In this order, so that what is certain is said first: an Xid error; a signal that is not low; what keeps
//! it from being known; and only then idle.

use super::history::{History, Sight};
use super::verdict::{Evidence, Reason, Verdict};
use crate::gpu::{Sharing, Signal};
use crate::rule::IdleWhen;
use crate::time::Timestamp;

/// Samples that a window must have at the least for anything to be said by it.
const FEWEST: u32 = 10;

/// What the samples of one GPU say.
pub(super) fn judge_history(history: &History, when: &IdleWhen, now: Timestamp) -> Verdict {
    let (sight, from) = history.look(now.minus(when.window));
    if sight.xid != 0 {
        return Verdict::Unhealthy { xid: sight.xid };
    }
    if let Some(working) = working(&sight, when) {
        return working;
    }
    if sight.is(Sharing::MigSlice) && !sight.is(Sharing::MigDevice) {
        return Verdict::Unknown(Reason::MigSlice);
    }
    let interval = history.interval.millis();
    let age = now.since(history.newest);
    if age.millis() >= interval.saturating_mul(2) {
        return Verdict::Unknown(Reason::Stale { age });
    }
    let expected = now.since(from).millis().checked_div(interval).unwrap_or(0);
    let expected = u32::try_from(expected).unwrap_or(u32::MAX).max(FEWEST);
    if let Some(reason) = gap(&sight, expected, when) {
        return Verdict::Unknown(reason);
    }
    if let Some((least, most)) = sight.framebuffer
        && most > least
    {
        return Verdict::Busy { signal: None, most: most.saturating_sub(least) };
    }
    Verdict::Idle(Evidence { gpus: 1, samples: sight.samples.min(expected), expected })
}

/// Whether what is reported as that signal can be believed. Under MIG `gpuUtil` is 0 or made up.
fn believed(sight: &Sight, signal: Signal) -> bool {
    let mig = sight.is(Sharing::MigDevice) || sight.is(Sharing::MigSlice);
    sight.peak(signal).there && !(mig && signal == Signal::GpuUtil)
}

/// A signal that is not low: busy, or in conflict with one that says idle.
fn working(sight: &Sight, when: &IdleWhen) -> Option<Verdict> {
    let is_low = |signal: Signal| sight.peak(signal).most < when.ceiling(signal);
    let there = || Signal::ALL.into_iter().filter(|signal| believed(sight, *signal));
    let high = there().find(|signal| !is_low(*signal))?;
    let most = sight.peak(high).most;
    // Tensor cores and memory may rest while a GPU works; these three may not.
    let of_use = [Signal::GpuUtil, Signal::EngineActive, Signal::SmActive];
    let low = of_use.into_iter().find(|signal| believed(sight, *signal) && is_low(*signal));
    Some(match low {
        Some(low) => Verdict::Conflict { low, high, most },
        None => Verdict::Busy { signal: Some(high), most },
    })
}

/// What is missing for it to be known.
fn gap(sight: &Sight, expected: u32, when: &IdleWhen) -> Option<Reason> {
    let enough = |samples: u32| {
        u64::from(samples).saturating_mul(1_000_000)
            >= u64::from(expected).saturating_mul(when.samples.ppm().into())
    };
    if !enough(sight.samples) {
        return Some(Reason::TooFewSamples { samples: sight.samples, expected });
    }
    for signal in Signal::ALL {
        let peak = sight.peak(signal);
        if believed(sight, signal) && !enough(peak.samples) {
            return Some(Reason::SignalGap { signal, samples: peak.samples, expected });
        }
        if when.names(signal) && !believed(sight, signal) {
            return Some(Reason::NoSignal(signal));
        }
    }
    // The profiling ratios are silently zero at times, and the utilisation of a shared GPU is made up for
    // pods without a process: neither is believed alone.
    let split = sight.is(Sharing::TimeSliced) || sight.is(Sharing::Shared);
    let by_util = believed(sight, Signal::GpuUtil) && !split;
    let sure = by_util || believed(sight, Signal::PowerDraw);
    (!sure).then_some(Reason::Uncorroborated)
}
