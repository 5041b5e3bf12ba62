//! Waiting for a condition: poll until it holds or a deadline passes, and say what was last seen.
//!
//! The only sleep in the tests is the one between two polls here.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two polls: short beside what is measured (KEDA's pause takes about 150 ms).
const POLL: Duration = Duration::from_millis(20);

/// Polls until `probe` gives a value, and gives it back.
///
/// An error of the probe counts as "not yet" and is told if the deadline passes, so that a probe
/// may use `?` on objects that do not exist yet.
///
/// # Errors
/// `deadline` passed; the message has `what` and the last error of the probe.
pub async fn wait_for<T, F>(what: &str, deadline: Duration, mut probe: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<Option<T>>,
{
    let started = Instant::now();
    loop {
        let last = match probe().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if started.elapsed() >= deadline {
            super::process::keep_logs();
            match last {
                Some(error) => bail!("not within {deadline:?}: {what}; last error: {error:#}"),
                None => bail!("not within {deadline:?}: {what}"),
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Polls until `holds` says true, and gives back how long that took.
///
/// # Errors
/// As [`wait_for`].
pub async fn wait_until<F>(what: &str, deadline: Duration, mut holds: F) -> Result<Duration>
where
    F: AsyncFnMut() -> Result<bool>,
{
    let started = Instant::now();
    wait_for(what, deadline, async || Ok(holds().await?.then_some(()))).await?;
    Ok(started.elapsed())
}
