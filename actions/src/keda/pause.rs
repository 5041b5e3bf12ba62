//! Pause at zero, and prove it.
//!
//! Read, ask the guard, see how the object stands; make the prior state durable; read and ask again; apply
//! under the UID and resourceVersion that were judged; then look until the four signs agree. A workload
//! that runs on although its HPA is gone is set to zero by its `/scale` (KEDA before 2.20 loses that race,
//! A1, A8), with the guard asked again. An object that already carries our marks is not written again, so
//! its record of what it was like before is never overwritten.

use policy::fact::{GuardAnswer, Observation, PriorState, ReceiptOutcome};
use policy::inventory::ObjectKey;
use policy::time::Span;
use tokio::time::{Instant, sleep};

use super::standing::{self, Standing};
use super::{End, Halt, TRIES, Work};
use crate::api_error::{ApiError, Conflict};
use crate::failpoint;
use crate::gateway::Pass;
use crate::guard::lets_through;
use crate::scaled_object::Seen;
use crate::undo::Marks;
use crate::verify::{StopView, look_at_stop, proven, unreadable};
use crate::workload::ScaleSeen;

/// How often we set a workload to zero ourselves while we look.
const SCALE_WRITES: usize = 3;

/// A flow that goes on with a value, or is at its end.
type Step<T> = Result<Result<T, End>, Halt>;

/// What was read, and how it stands.
struct Read {
    seen: Seen,
    standing: Standing,
    answers: Vec<GuardAnswer>,
}

/// Pauses the order's target at zero.
pub(crate) async fn pause(work: &Work<'_>) -> Result<End, Halt> {
    let read = match read(work).await? {
        Ok(read) => read,
        Err(end) => return Ok(end),
    };
    let (workload, prior) = match read.standing {
        Standing::Untouchable(why) => return untouchable(work, &read.seen, read.answers, why).await,
        Standing::TheirsAtZero { workload, by } => return theirs(work, &workload, read.answers, by).await,
        Standing::Ours { workload, prior, paused: true } => {
            return ours(work, &read.seen, workload, prior, read.answers).await;
        }
        // Somebody took the pause away and left our marks: what it was like before stands in them.
        Standing::Ours { workload, prior: Some(prior), paused: false } => (workload, prior),
        Standing::Ours { workload, prior: None, paused: false } | Standing::Free(workload) => {
            match scale_of(work, &workload, &read.answers).await? {
                Ok(scale) => {
                    let prior = standing::prior(&read.seen, &scale);
                    (workload, prior)
                }
                Err(end) => return Ok(end),
            }
        }
    };
    work.prepared(&read.answers, prior.clone()).await?;
    write(work, &workload, prior).await
}

/// Reads the object, asks the guard and judges how it stands.
async fn read(work: &Work<'_>) -> Step<Read> {
    let target = &work.order.target;
    let Some(seen) = work.gateway.scaled_object(target).await? else {
        return Ok(Err(End::not_stopped(Vec::new(), None, format!("{target} does not exist"))));
    };
    let answers = work.gateway.consider(&work.warrant(), &seen).await?;
    if !lets_through(&answers) {
        return Ok(Err(End::refused(answers)));
    }
    let standing = match work.gateway.operator().await {
        Ok(version) => standing::judge(&seen, &work.gateway.settings().install, version),
        Err(why) => Standing::Untouchable(why),
    };
    Ok(Ok(Read { seen, standing, answers }))
}

async fn scale_of(work: &Work<'_>, workload: &ObjectKey, answers: &[GuardAnswer]) -> Step<ScaleSeen> {
    let scale = work.gateway.scale(workload).await?;
    let missing =
        || End::not_stopped(answers.to_vec(), None, format!("{workload}, which it scales, does not exist"));
    Ok(scale.ok_or_else(missing))
}

/// What we do not touch: said with what runs on.
async fn untouchable(
    work: &Work<'_>,
    seen: &Seen,
    answers: Vec<GuardAnswer>,
    why: String,
) -> Result<End, Halt> {
    let replicas = match &seen.workload {
        Ok(workload) => work.gateway.scale(workload).await?.map(|scale| scale.replicas()),
        Err(_) => None,
    };
    Ok(End::not_stopped(answers, replicas, why))
}

/// Somebody else's pause at zero: theirs, once it is proven to be at zero.
async fn theirs(
    work: &Work<'_>,
    workload: &ObjectKey,
    answers: Vec<GuardAnswer>,
    by: String,
) -> Result<End, Halt> {
    let (end, scale) = look_on(work, workload, answers, Instant::now(), false).await?;
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

/// Our pause stands already: a crash between write and receipt, or the order is fired again.
async fn ours(
    work: &Work<'_>,
    seen: &Seen,
    workload: ObjectKey,
    prior: Option<PriorState>,
    answers: Vec<GuardAnswer>,
) -> Result<End, Halt> {
    if let Some(prior) = prior {
        work.prepared(&answers, prior).await?;
    }
    if seen.marks().and_then(|marks| marks.order) == Some(work.order.id) {
        accepted(work, &answers, &seen.resource_version).await?;
    }
    Ok(look_on(work, &workload, answers, Instant::now(), true).await?.0)
}

async fn accepted(work: &Work<'_>, answers: &[GuardAnswer], version: &str) -> Result<(), Halt> {
    failpoint::PAUSE_BEFORE_ACCEPTED.reached();
    let outcome = ReceiptOutcome::Accepted { resource_version: version.to_owned() };
    work.tell(answers, outcome).await?;
    failpoint::PAUSE_AFTER_ACCEPTED.reached();
    Ok(())
}

/// Reads again, asks again and applies, until the API server takes it.
async fn write(work: &Work<'_>, workload: &ObjectKey, prior: PriorState) -> Result<End, Halt> {
    let settings = work.gateway.settings();
    let marks = Marks {
        order: Some(work.order.id),
        install: settings.install.clone(),
        instance: settings.instance.clone(),
        holders: work.order.holders.clone(),
        prior: Some(prior),
    };
    let mut answers = Vec::new();
    for _ in 0..TRIES {
        let read = match read(work).await? {
            Ok(read) => read,
            Err(end) => return Ok(end),
        };
        match read.standing {
            Standing::Free(_) | Standing::Ours { paused: false, .. } => {}
            Standing::Untouchable(why) => return untouchable(work, &read.seen, read.answers, why).await,
            Standing::TheirsAtZero { workload, by } => {
                return theirs(work, &workload, read.answers, by).await;
            }
            Standing::Ours { workload, prior, paused: true } => {
                return ours(work, &read.seen, workload, prior, read.answers).await;
            }
        }
        let pass = match work.gateway.pass(&work.warrant(), &read.seen).await? {
            Ok(pass) => pass,
            Err(answers) => return Ok(End::refused(answers)),
        };
        answers.clone_from(&pass.answers);
        match apply(work, pass, &marks).await {
            Ok(seen) => {
                let since = Instant::now();
                accepted(work, &answers, &seen.resource_version).await?;
                return Ok(look_on(work, workload, answers, since, true).await?.0);
            }
            Err(error) => match error.conflict() {
                Some(Conflict::Stale) => {}
                Some(Conflict::Owned(who)) => {
                    return untouchable(
                        work,
                        &read.seen,
                        answers,
                        format!("another manager holds the pause: {who}"),
                    )
                    .await;
                }
                Some(Conflict::Replaced(why)) => return Ok(End::refused(replaced(answers, &why))),
                None => return Err(error.into()),
            },
        }
    }
    Ok(End::contended(answers, &work.order.target.to_string()))
}

async fn apply(work: &Work<'_>, pass: Pass, marks: &Marks) -> Result<Seen, ApiError> {
    failpoint::PAUSE_BEFORE_APPLY.reached();
    let applied = work.gateway.apply_pause(pass, marks).await?;
    failpoint::PAUSE_AFTER_APPLY.reached();
    Ok(applied)
}

/// The guard's answers once the API server has said that the object is another one.
pub(crate) fn replaced(mut answers: Vec<GuardAnswer>, why: &str) -> Vec<GuardAnswer> {
    for answer in &mut answers {
        if answer.check == policy::fact::GuardCheck::Identity {
            answer.pass = false;
            answer.detail = format!("the API server took it for another object: {why}");
        }
    }
    answers
}

/// Looks until the four signs agree, the deadline passes or a later order waits. With `may_scale`, a workload that runs on
/// without an HPA is set to zero.
pub(crate) async fn look_on(
    work: &Work<'_>,
    workload: &ObjectKey,
    mut answers: Vec<GuardAnswer>,
    since: Instant,
    may_scale: bool,
) -> Result<(End, Option<ScaleSeen>), Halt> {
    let deadline = Instant::now() + work.timing.stop_deadline;
    let mut alone_since: Option<Instant> = None;
    let mut writes = 0;
    loop {
        let (signs, view) = look(work, workload).await?;
        if proven(&signs) {
            let took = Span::from_millis(i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX));
            let end = End { guard: answers, outcome: ReceiptOutcome::Verified { signs, took } };
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
        if Instant::now() >= deadline || (work.superseded)() {
            let end = End { guard: answers, outcome: ReceiptOutcome::NotObserved { signs } };
            return Ok((end, view.and_then(|view| view.scale)));
        }
        sleep(work.timing.poll).await;
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

/// Whether our pause stands on an object.
pub(crate) fn holds(seen: &Seen, install: &str) -> bool {
    seen.paused_replicas() == Some("0") && seen.marks().is_some_and(|marks| marks.install == install)
}
