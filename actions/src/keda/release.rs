//! `release --all`: a person's way out that needs neither the daemon nor its journal.
//!
//! The freeze marker is written first, so that a daemon that still runs stops nothing again; then every
//! object that carries marks of this installation is given back from those marks alone. It waits for no
//! proof: what is not back yet is for KEDA to bring, and the list says what was written.

use policy::inventory::ObjectKey;

use super::restore::{Released, release};
use crate::api_error::ApiError;
use crate::freeze::FreezeError;
use crate::gateway::{Gateway, Marked, Warrant};

/// What became of one object.
#[derive(Debug)]
pub enum ReleaseOutcome {
    /// Our keys are gone.
    Released,
    /// It carried nothing of ours any more.
    AlreadyReleased,
    /// It is still held, and why, for people.
    StillHeld(String),
}

/// What became of each object that carried our marks.
#[derive(Debug)]
pub struct ReleaseReport {
    /// By object, in the order of the list.
    pub objects: Vec<(ObjectKey, ReleaseOutcome)>,
}

/// Why nothing was given back.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The marker could not be written, so a daemon could stop everything again.
    #[error("nothing was released, since the freeze marker could not be written: {0}")]
    Freeze(#[from] FreezeError),
    /// The marked objects could not be listed.
    #[error("frozen, but the marked objects could not be listed: {0}")]
    List(#[from] ApiError),
}

impl Gateway {
    /// Freezes, then gives back everything that carries marks of this installation. An object that fails
    /// does not keep the others.
    ///
    /// # Errors
    /// The freeze marker could not be written, or the objects not be listed; then none was released.
    pub async fn release_all(&self, actor: &str, reason: &str) -> Result<ReleaseReport, ReleaseError> {
        self.write_freeze(true, actor, reason).await?;
        let mut objects = Vec::new();
        for Marked { key, uid, .. } in self.marked_objects().await? {
            let warrant = Warrant::Person { actor, uid: &uid };
            let outcome = match release(self, &warrant, &key).await {
                Ok(Released::Now { .. }) => ReleaseOutcome::Released,
                Ok(Released::Before(_)) => ReleaseOutcome::AlreadyReleased,
                Ok(Released::Refused(answers)) => {
                    let no = answers.into_iter().find(|answer| !answer.pass);
                    ReleaseOutcome::StillHeld(no.map_or_else(String::new, |answer| answer.detail))
                }
                Ok(Released::Contended(_)) => {
                    ReleaseOutcome::StillHeld("it changes all the time; try again".to_owned())
                }
                Err(error) => ReleaseOutcome::StillHeld(error.to_string()),
            };
            objects.push((key, outcome));
        }
        Ok(ReleaseReport { objects })
    }
}
