//! A clock in doubt, judged by the API server's: where the two agree, ours is right, and nobody need be woken.
//!
//! Where they do not, or nobody answers, the doubt stays until a person decides.

use std::sync::Arc;
use std::time::Duration;

use policy::fact::{Command, CommandKind};
use policy::time::Span;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::edge::Actuator;
use crate::turn::{Gone, Handle};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);
/// Clocks that differ by no more agree: a `Date` has whole seconds, and what is doubted is more than 30 s.
const AGREE: Span = Span::from_secs(5);
/// Who clears it.
const ACTOR: &str = "the API server's clock";

/// Judges a clock in doubt until told to stop.
pub async fn follow(
    actuator: Arc<dyn Actuator>,
    clock: Arc<dyn Clock>,
    handle: Handle,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if judge(&*actuator, &*clock, &handle).await.is_err() {
            return;
        }
    }
}

/// Clears the doubt where the API server's clock agrees with ours.
///
/// # Errors
/// The turn has ended.
pub async fn judge(actuator: &dyn Actuator, clock: &dyn Clock, handle: &Handle) -> Result<(), Gone> {
    if !handle.look(|engine, _| engine.clock_doubt().is_some()).await? {
        return Ok(());
    }
    let before = clock.read().wall;
    let said = match actuator.server_clock().await {
        Ok(said) => said,
        Err(why) => {
            tracing::debug!(why, "the API server's clock cannot be read");
            return Ok(());
        }
    };
    let after = clock.read().wall;
    if said < before.minus(AGREE) || said > after.plus(AGREE) {
        tracing::warn!(%said, ours = %after, "the API server's clock does not agree with ours");
        return Ok(());
    }
    let right = Command { actor: ACTOR.to_owned(), kind: CommandKind::ClockIsRight };
    handle.command(right).await.map(|_| ())
}
