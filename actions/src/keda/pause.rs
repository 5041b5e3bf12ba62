//! Pause at zero.
//!
//! Read, ask the guard, see how the object stands; make the prior state durable; read and ask again; apply
//! under the UID and resourceVersion that were judged. An object that already carries our marks is not
//! written again, so its record of what it was like before is never overwritten.

use policy::fact::{GuardAnswer, PriorState, ReceiptOutcome};
use policy::inventory::ObjectKey;
use tokio::time::Instant;

use super::prove::{Proof, Stop, Stopper};
use super::standing::{self, Standing};
use super::{End, Halt, Next, TRIES, Work, replaced};
use crate::api_error::{ApiError, Conflict};
use crate::failpoint;
use crate::gateway::Pass;
use crate::guard::lets_through;
use crate::scaled_object::Seen;
use crate::undo::Marks;
use crate::workload::ScaleSeen;

/// A flow that goes on with a value, or is at its end.
type Step<T> = Result<Result<T, End>, Halt>;

/// What was read, and how it stands.
struct Read {
    seen: Seen,
    standing: Standing,
    answers: Vec<GuardAnswer>,
}

/// Pauses the order's target at zero.
pub(crate) async fn pause(work: &Work<'_>) -> Result<Next, Halt> {
    let read = match read(work).await? {
        Ok(read) => read,
        Err(end) => return Ok(end.into()),
    };
    let (workload, prior) = match read.standing {
        Standing::Untouchable(why) => return untouchable(work, &read.seen, read.answers, why).await,
        Standing::TheirsAtZero { workload, by } => return Ok(theirs(workload, read.answers, by)),
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
                Err(end) => return Ok(end.into()),
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
) -> Result<Next, Halt> {
    let replicas = match &seen.workload {
        Ok(workload) => work.gateway.scale(workload).await?.map(|scale| scale.replicas()),
        Err(_) => None,
    };
    Ok(End::not_stopped(answers, replicas, why).into())
}

/// Somebody else's pause at zero: theirs, once it is proven to be at zero.
fn theirs(workload: ObjectKey, answers: Vec<GuardAnswer>, by: String) -> Next {
    stop(workload, answers, Stopper::Somebody(by))
}

fn stop(workload: ObjectKey, answers: Vec<GuardAnswer>, by: Stopper) -> Next {
    Next::Prove(Proof::Stop(Stop { workload, answers, since: Instant::now(), by }))
}

/// Our pause stands already: a crash between write and receipt, or the order is fired again.
async fn ours(
    work: &Work<'_>,
    seen: &Seen,
    workload: ObjectKey,
    prior: Option<PriorState>,
    answers: Vec<GuardAnswer>,
) -> Result<Next, Halt> {
    if let Some(prior) = prior {
        work.prepared(&answers, prior).await?;
    }
    if seen.marks().and_then(|marks| marks.order) == Some(work.order.id) {
        accepted(work, &answers, &seen.resource_version).await?;
    }
    Ok(stop(workload, answers, Stopper::Us))
}

async fn accepted(work: &Work<'_>, answers: &[GuardAnswer], version: &str) -> Result<(), Halt> {
    failpoint::PAUSE_BEFORE_ACCEPTED.reached();
    let outcome = ReceiptOutcome::Accepted { resource_version: version.to_owned() };
    work.tell(answers, outcome).await?;
    failpoint::PAUSE_AFTER_ACCEPTED.reached();
    Ok(())
}

/// Reads again, asks again and applies, until the API server takes it.
async fn write(work: &Work<'_>, workload: &ObjectKey, prior: PriorState) -> Result<Next, Halt> {
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
            Err(end) => return Ok(end.into()),
        };
        match read.standing {
            Standing::Free(_) | Standing::Ours { paused: false, .. } => {}
            Standing::Untouchable(why) => return untouchable(work, &read.seen, read.answers, why).await,
            Standing::TheirsAtZero { workload, by } => {
                return Ok(theirs(workload, read.answers, by));
            }
            Standing::Ours { workload, prior, paused: true } => {
                return ours(work, &read.seen, workload, prior, read.answers).await;
            }
        }
        let pass = match work.gateway.pass(&work.warrant(), &read.seen).await? {
            Ok(pass) => pass,
            Err(answers) => return Ok(End::refused(answers).into()),
        };
        answers.clone_from(&pass.answers);
        match apply(work, pass, &marks).await {
            Ok(seen) => {
                let next = stop(workload.clone(), answers.clone(), Stopper::Us);
                accepted(work, &answers, &seen.resource_version).await?;
                return Ok(next);
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
                Some(Conflict::Replaced(why)) => return Ok(End::refused(replaced(answers, &why)).into()),
                None => return Err(error.into()),
            },
        }
    }
    Ok(End::contended(answers, &work.order.target.to_string()).into())
}

async fn apply(work: &Work<'_>, pass: Pass, marks: &Marks) -> Result<Seen, ApiError> {
    failpoint::PAUSE_BEFORE_APPLY.reached();
    let applied = work.gateway.apply_pause(pass, marks).await?;
    failpoint::PAUSE_AFTER_APPLY.reached();
    Ok(applied)
}
