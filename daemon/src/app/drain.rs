//! Ending: in good order when asked to, at once when something broke.

use std::sync::Arc;
use std::time::Duration;

use super::{Ended, Running};

/// How long tasks may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

impl Running {
    /// Waits until the daemon ends by itself, and says why. A drain does not end it here.
    pub async fn broken(&mut self) -> Arc<Ended> {
        let turn = async {
            match &mut self.turn {
                Some(turn) => match turn.await {
                    Ok(Ok(())) => std::future::pending().await,
                    Ok(Err(error)) => Arc::new(Ended::Turn(error)),
                    Err(_) => Arc::new(Ended::Panicked),
                },
                None => std::future::pending().await,
            }
        };
        let lease = async {
            match self.ended.wait_for(Option::is_some).await.map(|ended| ended.clone()) {
                Ok(Some(ended)) => ended,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = turn => ended,
            ended = lease => ended,
        }
    }

    /// Ends in good order: sources and listeners first, then what is under way, then the turn with all that
    /// had reached it, and last the keeper. Holds stay as they are.
    ///
    /// # Errors
    /// When the last turn could not be made durable.
    pub async fn drain(mut self) -> Result<(), Ended> {
        tracing::info!("draining");
        self.stop.cancel();
        if let Some(actuator) = &self.actuator {
            actuator.finish(PATIENCE).await;
        }
        self.handle.stop().await;
        let ended = match self.turn.take() {
            Some(turn) => turn.await.map_or(Err(Ended::Panicked), |end| end.map_err(Ended::Turn)),
            None => Ok(()),
        };
        let tasks = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, tasks).await.is_err() {
            tracing::warn!("some tasks did not end in time and are cut off");
        }
        if let Some(keeper) = self.keeper.take() {
            // It may be writing a snapshot: let it finish, without holding up the runtime.
            let stopped = tokio::task::spawn_blocking(move || keeper.stop());
            if tokio::time::timeout(PATIENCE, stopped).await.is_err() {
                tracing::warn!("the keeper did not end in time");
            }
        }
        // The file is only a name; a new daemon would replace it too.
        let _ = std::fs::remove_file(&self.socket);
        tracing::info!("drained");
        ended
    }
}
