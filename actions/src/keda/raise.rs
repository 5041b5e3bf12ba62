//! A raise while we hold: the workload comes back to zero by `/scale`. The pause stands and is not written
//! again; applying the same annotation would change nothing (A2).

use policy::fact::{GuardAnswer, ReceiptOutcome};
use policy::inventory::ObjectKey;
use tokio::time::Instant;

use super::prove::{Proof, Stop, Stopper};
use super::standing::holds;
use super::{End, Halt, Next, TRIES, Work};
use crate::failpoint;
use crate::scaled_object::Seen;
use crate::undo::PAUSED_REPLICAS;
use crate::workload::ScaleSeen;

/// Brings the workload back to zero.
pub(crate) async fn reverse(work: &Work<'_>, workload: &ObjectKey) -> Result<Next, Halt> {
    let mut answers = Vec::new();
    for _ in 0..TRIES {
        let Some(seen) = work.gateway.scaled_object(&work.order.target).await? else {
            let why = format!("{} does not exist", work.order.target);
            return Ok(End::not_stopped(answers, None, why).into());
        };
        let scale = work.gateway.scale(workload).await?;
        let replicas = scale.as_ref().map(ScaleSeen::replicas);
        if let Some(why) = not_ours(&seen, workload, &work.gateway.settings().install) {
            return Ok(End::not_stopped(answers, replicas, why).into());
        }
        let Some(scale) = scale else {
            return Ok(End::not_stopped(answers, None, format!("{workload} does not exist")).into());
        };
        let pass = match work.gateway.pass(&work.warrant(), &seen).await? {
            Ok(pass) => pass,
            Err(answers) => return Ok(End::refused(answers).into()),
        };
        answers.clone_from(&pass.answers);
        if scale.wanted == 0 {
            return Ok(at_zero(workload, answers));
        }
        failpoint::SCALE_BEFORE_WRITE.reached();
        match work.gateway.scale_to_zero(pass, &scale).await {
            Ok(written) => {
                failpoint::SCALE_AFTER_WRITE.reached();
                accepted(work, &answers, &written).await?;
                return Ok(at_zero(workload, answers));
            }
            Err(error) if error.conflict().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(End::contended(answers, &workload.to_string()).into())
}

async fn accepted(work: &Work<'_>, answers: &[GuardAnswer], written: &ScaleSeen) -> Result<(), Halt> {
    failpoint::RAISE_BEFORE_ACCEPTED.reached();
    let resource_version = written.resource_version().to_owned();
    work.tell(answers, ReceiptOutcome::Accepted { resource_version }).await?;
    failpoint::RAISE_AFTER_ACCEPTED.reached();
    Ok(())
}

fn at_zero(workload: &ObjectKey, answers: Vec<GuardAnswer>) -> Next {
    let (workload, since) = (workload.clone(), Instant::now());
    Next::Prove(Proof::Stop(Stop { workload, answers, since, by: Stopper::UsByScale }))
}

/// Why a raise is not ours to reverse, where it is not.
fn not_ours(seen: &Seen, workload: &ObjectKey, install: &str) -> Option<String> {
    if !holds(seen, install) {
        let now = seen.paused_replicas().map_or_else(|| "gone".to_owned(), |v| format!("`{v}`"));
        return Some(format!("our pause is {now} (by {})", seen.owners_of(PAUSED_REPLICAS)));
    }
    match &seen.workload {
        Ok(scaled) if scaled == workload => None,
        Ok(scaled) => Some(format!("it scales {scaled} now, not {workload}")),
        Err(why) => Some(why.clone()),
    }
}
