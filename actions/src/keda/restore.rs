//! Give back exactly.
//!
//! The object is applied without our keys by the same manager: what we set goes, what somebody else set
//! stays, also where both set the same. Without our marks there is nothing to take away, so nothing is
//! written. KEDA does not bring the former replicas back; it climbs from its minimum.

use policy::fact::{GuardAnswer, Observation, ReceiptOutcome};
use policy::inventory::ObjectKey;
use policy::time::Span;
use tokio::time::Instant;

use super::prove::Proof;
use super::{End, Halt, Next, TRIES, Work, replaced};
use crate::api_error::{ApiError, Conflict};
use crate::failpoint;
use crate::gateway::{Gateway, Warrant};
use crate::scaled_object::Seen;
use crate::undo::{MANAGER, PAUSED, PAUSED_REPLICAS};

/// What became of the release of one object.
pub(crate) enum Released {
    /// Our keys are gone by this write.
    Now { answers: Vec<GuardAnswer>, resource_version: String },
    /// There was nothing of ours on it; the object as it is, where there is one.
    Before(Option<Seen>),
    /// The guard said no.
    Refused(Vec<GuardAnswer>),
    /// It changed under each of our tries.
    Contended(Vec<GuardAnswer>),
}

/// Gives the order's target back.
pub(crate) async fn restore(work: &Work<'_>) -> Result<Next, Halt> {
    let since = Instant::now();
    let answers = match release(work.gateway, &work.warrant(), &work.order.target).await? {
        Released::Refused(answers) => return Ok(End::refused(answers).into()),
        Released::Contended(answers) => {
            return Ok(End::contended(answers, &work.order.target.to_string()).into());
        }
        Released::Now { answers, resource_version } => {
            failpoint::RESTORE_BEFORE_ACCEPTED.reached();
            work.tell(&answers, ReceiptOutcome::Accepted { resource_version }).await?;
            failpoint::RESTORE_AFTER_ACCEPTED.reached();
            answers
        }
        Released::Before(left) => {
            if let Some((seen, value)) = left.as_ref().and_then(|seen| Some((seen, seen.pause()?))) {
                let signs = vec![left_as_theirs(seen, value)];
                let outcome = ReceiptOutcome::Verified { signs, took: Span::ZERO };
                return Ok(End { guard: Vec::new(), outcome }.into());
            }
            Vec::new()
        }
    };
    Ok(Next::Prove(Proof::Return { answers, since }))
}

/// Nothing on it is ours, and somebody has paused it: that is theirs, stays, and nothing is missing.
fn left_as_theirs(seen: &Seen, value: &str) -> Observation {
    let by = if seen.paused_replicas().is_some() { PAUSED_REPLICAS } else { PAUSED };
    let seen = format!("absent; paused at `{value}` by {}, left so", seen.owners_of(by));
    Observation { sign: "our marks".to_owned(), seen, proves: true }
}

/// Takes our keys off an object, where they are.
pub(crate) async fn release(
    gateway: &Gateway,
    warrant: &Warrant<'_>,
    target: &ObjectKey,
) -> Result<Released, ApiError> {
    let mut answers = Vec::new();
    for _ in 0..TRIES {
        let seen = match gateway.scaled_object(target).await? {
            Some(seen) if is_ours(gateway, &seen) => seen,
            other => return Ok(Released::Before(other)),
        };
        let pass = match gateway.pass(warrant, &seen).await? {
            Ok(pass) => pass,
            Err(answers) => return Ok(Released::Refused(answers)),
        };
        answers.clone_from(&pass.answers);
        failpoint::RESTORE_BEFORE_APPLY.reached();
        match gateway.apply_release(pass).await {
            Ok(seen) => {
                failpoint::RESTORE_AFTER_APPLY.reached();
                return Ok(Released::Now { answers, resource_version: seen.resource_version });
            }
            Err(error) => match error.conflict() {
                Some(Conflict::Stale | Conflict::Owned(_)) => {}
                Some(Conflict::Replaced(why)) => return Ok(Released::Refused(replaced(answers, &why))),
                None if error.code() == Some(404) => return Ok(Released::Before(None)),
                None => return Err(error),
            },
        }
    }
    Ok(Released::Contended(answers))
}

/// Whether there is something of ours to take away: our marks, or, where somebody took all marks away, a
/// pause that our field manager still owns.
fn is_ours(gateway: &Gateway, seen: &Seen) -> bool {
    match seen.marks() {
        Some(marks) => marks.install == gateway.settings().install,
        None => seen.paused_replicas().is_some() && seen.is_owned_by(PAUSED_REPLICAS, MANAGER),
    }
}
