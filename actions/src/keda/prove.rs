//! Looks until an effect is proven, its deadline passes, or a later order waits for the same target.
//!
//! This is the long part of an order, and it writes only where the world did not follow: a workload that runs
//! on although its HPA is gone is set to zero by its `/scale` (KEDA before 2.20 loses that race, A1, A8), with
//! the guard asked again.

use policy::fact::{GuardAnswer, Observation, ReceiptOutcome};
use policy::inventory::ObjectKey;
use policy::time::Span;
use tokio::time::{Instant, sleep};

use super::standing::holds;
use super::{End, Halt, Work};
use crate::api_error::ApiError;
use crate::failpoint;
use crate::verify::{RestoreView, StopView, look_at_restore, look_at_stop, proven, unreadable};
use crate::workload::ScaleSeen;

/// How often we set a workload to zero ourselves while we look.
const SCALE_WRITES: usize = 3;

/// An effect that is written, or stood already, and is not proven yet.
#[derive(Debug)]
pub(crate) enum Proof {
    /// The workload comes to zero.
    Stop(Stop),
    /// What we took comes back.
    Return { answers: Vec<GuardAnswer>, since: Instant },
}

/// A stop to be proven.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) workload: ObjectKey,
    pub(crate) answers: Vec<GuardAnswer>,
    /// When it was written.
    pub(crate) since: Instant,
    pub(crate) by: Stopper,
}

/// Whose pause it is whose effect is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stopper {
    /// Ours; a workload that runs on without an HPA is set to zero.
    Us,
    /// Ours, and the workload was set to zero by this very order.
    UsByScale,
    /// Somebody else's, which is left as it is.
    Somebody(String),
}

/// Looks until it is proven or over.
pub(crate) async fn prove(work: &Work<'_>, proof: Proof) -> Result<End, Halt> {
    match proof {
        Proof::Stop(stop) => prove_stop(work, stop).await,
        Proof::Return { answers, since } => {
            Ok(End { guard: answers, outcome: prove_return(work, since).await? })
        }
    }
}

async fn prove_stop(work: &Work<'_>, stop: Stop) -> Result<End, Halt> {
    let Stop { workload, answers, since, by } = stop;
    let (end, scale) = look_on(work, &workload, answers, since, by == Stopper::Us).await?;
    let Stopper::Somebody(by) = by else { return Ok(end) };
    Ok(match end.outcome {
        ReceiptOutcome::Verified { .. } => {
            End { guard: end.guard, outcome: ReceiptOutcome::AlreadySo { by } }
        }
        _ => {
            let why = format!("paused at 0 by {by}, and not at zero");
            End::not_stopped(end.guard, scale.map(|s| s.replicas()), why)
        }
    })
}

/// Looks until the four signs agree. With `may_scale`, a workload that runs on without an HPA is set to zero.
async fn look_on(
    work: &Work<'_>,
    workload: &ObjectKey,
    mut answers: Vec<GuardAnswer>,
    since: Instant,
    may_scale: bool,
) -> Result<(End, Option<ScaleSeen>), Halt> {
    let began = Instant::now();
    let mut alone_since: Option<Instant> = None;
    let mut writes = 0;
    loop {
        let turn = work.turn_to_look().await;
        let (signs, view) = look(work, workload).await?;
        if proven(&signs) {
            let end = End { guard: answers, outcome: ReceiptOutcome::Verified { signs, took: span(since) } };
            return Ok((end, view.and_then(|view| view.scale)));
        }
        let running =
            view.as_ref().is_some_and(|v| v.hpa_gone && v.scale.as_ref().is_some_and(|s| s.wanted > 0));
        alone_since = if running { alone_since.or_else(|| Some(Instant::now())) } else { None };
        let due = alone_since.is_some_and(|at| at.elapsed() >= work.timing.scale_grace);
        if let Some(view) = view.as_ref().filter(|_| may_scale && due && writes < SCALE_WRITES) {
            writes += 1;
            alone_since = None;
            if let Some(no) = scale_down(work, view).await? {
                answers = no;
            }
        }
        drop(turn);
        if began.elapsed() >= work.timing.stop_deadline || (work.superseded)() {
            let end = End { guard: answers, outcome: ReceiptOutcome::NotObserved { signs } };
            return Ok((end, view.and_then(|view| view.scale)));
        }
        sleep(work.timing.pause(began.elapsed())).await;
    }
}

/// One look; an API server that does not answer is a sign that proves nothing, not an end.
async fn look(
    work: &Work<'_>,
    workload: &ObjectKey,
) -> Result<(Vec<Observation>, Option<StopView>), ApiError> {
    match look_at_stop(work.gateway, &work.order.target, workload).await {
        Ok(view) => Ok((view.signs.clone(), Some(view))),
        Err(error) if error.retryable() => Ok((unreadable(&error), None)),
        Err(error) => Err(error),
    }
}

/// Sets the workload to zero by `/scale`, if our pause stands and the guard still says yes. Gives back
/// the answers of a no.
async fn scale_down(work: &Work<'_>, view: &StopView) -> Result<Option<Vec<GuardAnswer>>, ApiError> {
    let (Some(seen), Some(scale)) = (&view.seen, &view.scale) else { return Ok(None) };
    if !holds(seen, &work.gateway.settings().install) {
        return Ok(None);
    }
    let pass = match work.gateway.pass(&work.warrant(), seen).await? {
        Ok(pass) => pass,
        Err(answers) => return Ok(Some(answers)),
    };
    failpoint::SCALE_BEFORE_WRITE.reached();
    match work.gateway.scale_to_zero(pass, scale).await {
        Ok(_) => failpoint::SCALE_AFTER_WRITE.reached(),
        // The next look reads it again, and the next try is counted.
        Err(error) if error.retryable() => tracing::warn!(%error, "scale to zero did not go through"),
        Err(error) => return Err(error),
    }
    Ok(None)
}

/// Looks until everything is back, or cannot come back.
async fn prove_return(work: &Work<'_>, since: Instant) -> Result<ReceiptOutcome, ApiError> {
    let began = Instant::now();
    loop {
        let turn = work.turn_to_look().await;
        let signs = match look_at_restore(work.gateway, &work.order.target).await {
            Ok(view) if proven(&view.signs) => {
                return Ok(ReceiptOutcome::Verified { signs: view.signs, took: span(since) });
            }
            Ok(view) if stays_away(&view) => {
                return Ok(ReceiptOutcome::RestoreIncomplete { signs: view.signs });
            }
            Ok(view) => view.signs,
            Err(error) if error.retryable() => unreadable(&error),
            Err(error) => return Err(error),
        };
        drop(turn);
        if began.elapsed() >= work.timing.restore_deadline || (work.superseded)() {
            return Ok(ReceiptOutcome::RestoreIncomplete { signs });
        }
        sleep(work.timing.pause(began.elapsed())).await;
    }
}

/// Our keys are gone by now. While somebody else pauses it, or it does not exist, KEDA brings nothing back.
fn stays_away(view: &RestoreView) -> bool {
    view.seen.as_ref().is_none_or(|seen| seen.pause().is_some())
}

fn span(since: Instant) -> Span {
    Span::from_millis(i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX))
}
