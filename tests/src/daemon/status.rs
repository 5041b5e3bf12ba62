//! What a daemon says of itself, and waiting until it says what is wanted.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{Site, get};
use crate::servers::wait_for;

impl Site {
    /// The status of the daemon that runs here.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn status(&self) -> Result<Value> {
        get(self.port, "/v1/status").await?.json()
    }

    /// Waits until the daemon's status is as wanted, and gives it.
    ///
    /// # Errors
    /// When it is not in time; the message has the status last seen.
    pub async fn wait_status(
        &self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        wait_for(what, within, async || {
            let status = self.status().await?;
            ensure!(wanted(&status), "{status:#}");
            Ok(Some(status))
        })
        .await
    }
}

/// The hold of the `agent` of a namespace in a status; `null` where there is none.
#[must_use]
pub fn hold_of<'a>(status: &'a Value, namespace: &str) -> &'a Value {
    let target = format!("ScaledObject/{namespace}/agent");
    let holds = status["holds"].as_array().map_or(&[][..], Vec::as_slice);
    holds.iter().find(|hold| hold["target"] == target.as_str()).unwrap_or(&Value::Null)
}
