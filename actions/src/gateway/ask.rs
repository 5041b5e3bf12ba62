//! Gathers the guard's evidence, and makes a [`Pass`] of its yes. The freeze marker is read here, and
//! written for people.

use std::sync::PoisonError;

use policy::decision::Blast;
use policy::fact::GuardAnswer;
use policy::inventory::ObjectKey;
use policy::rule::Mode;
use policy::time::Timestamp;

use super::{Gateway, Pass, Warrant};
use crate::api_error::ApiError;
use crate::freeze::{self, FreezeError, FreezeNote};
use crate::guard::{self, Deed, Evidence, FreezeSeen};
use crate::operator::Version;
use crate::scaled_object::Seen;

impl Gateway {
    /// Asks the guard about an object that was just read, without counting it as stopped.
    pub(crate) async fn consider(
        &self,
        warrant: &Warrant<'_>,
        seen: &Seen,
    ) -> Result<Vec<GuardAnswer>, ApiError> {
        let (labels, operator) = self.surroundings(warrant.deed(), seen).await?;
        let freeze = self.freeze(warrant.deed()).await;
        Ok(self.judge(warrant, seen, &labels, freeze, operator, false))
    }

    /// Asks the guard just before a write. A yes counts the target as newly stopped, where it is.
    ///
    /// # Errors
    /// `Ok(Err(answers))` is the guard's no; `Err` means that it could not be asked.
    pub(crate) async fn pass(
        &self,
        warrant: &Warrant<'_>,
        seen: &Seen,
    ) -> Result<Result<Pass, Vec<GuardAnswer>>, ApiError> {
        let (labels, operator) = self.surroundings(warrant.deed(), seen).await?;
        // Last, so that nothing that takes time stands between a person's freeze and the write.
        let freeze = self.freeze(warrant.deed()).await;
        let answers = self.judge(warrant, seen, &labels, freeze, operator, true);
        if !guard::lets_through(&answers) {
            return Ok(Err(answers));
        }
        let (key, uid) = (seen.key.clone(), seen.uid.clone());
        let resource_version = seen.resource_version.clone();
        Ok(Ok(Pass { key, uid, resource_version, deed: warrant.deed(), answers }))
    }

    /// Labels of the workload and of the namespace, which may protect; and which operator is there. Giving back asks neither, so that it
    /// goes on where they cannot be read.
    async fn surroundings(
        &self,
        deed: Deed,
        seen: &Seen,
    ) -> Result<(Vec<(String, String)>, Result<Version, String>), ApiError> {
        if deed.gives_back() {
            return Ok((Vec::new(), Err("not asked".to_owned())));
        }
        let mut labels = Vec::from_iter(self.namespace_labels(&seen.key.namespace).await?);
        if let Ok(workload) = &seen.workload {
            labels.extend(self.workload_labels(workload).await?);
        }
        Ok((labels, self.operator().await))
    }

    async fn freeze(&self, deed: Deed) -> FreezeSeen {
        if deed.gives_back() {
            return FreezeSeen::None;
        }
        if let Some(why) = self.live.frozen() {
            return FreezeSeen::Frozen(why);
        }
        // The engine may have ordered a moment before the window began.
        if let Some(frozen) = self.live.guardrail().frozen(self.now()) {
            return FreezeSeen::Frozen(format!("by the rules {frozen}"));
        }
        match self.read_freeze().await {
            // The switch may have been turned while the marker was read.
            FreezeSeen::None => self.live.frozen().map_or(FreezeSeen::None, FreezeSeen::Frozen),
            seen => seen,
        }
    }

    fn judge(
        &self,
        warrant: &Warrant<'_>,
        seen: &Seen,
        around: &[(String, String)],
        freeze: FreezeSeen,
        operator: Result<Version, String>,
        count: bool,
    ) -> Vec<GuardAnswer> {
        let rail = self.live.guardrail();
        let now = self.now();
        let order = warrant.order();
        let own = seen.labels.iter().map(|(k, v)| (&**k, &**v));
        let labels = own.chain(around.iter().map(|(k, v)| (&**k, &**v)));
        let keys: Vec<&ObjectKey> = std::iter::once(&seen.key).chain(seen.workload.as_ref().ok()).collect();
        // Held from the count to the answer, so that two targets cannot both take the last place.
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let evidence = Evidence {
            deed: warrant.deed(),
            mode: order.map_or(Mode::Observe, |o| o.mode),
            ceiling: self.live.ceiling(),
            approved_by: match warrant {
                Warrant::Person { actor, .. } => Some(actor),
                _ => order.and_then(|o| o.approved_by.as_deref()),
            },
            protected: guard::protection(&rail, &self.settings.namespace, &keys, labels),
            leads: self.live.leads(),
            expires_at: order.map_or(Timestamp::MAX, |o| o.expires_at),
            now,
            blast: order.map_or(Blast::default(), |o| o.blast),
            counted: stopped.with(&seen.key, now, rail.per),
            cap: rail.overall,
            freeze,
            wanted_uid: match warrant {
                Warrant::Person { uid, .. } => uid,
                _ => order.map_or("", |o| &o.uid),
            },
            seen_uid: &seen.uid,
            operator,
            clock_agrees: self.live.clock_agrees(),
        };
        let answers = guard::judge(&evidence);
        if count && warrant.deed() == Deed::Stop && guard::lets_through(&answers) {
            stopped.count(&seen.key, now);
        }
        answers
    }

    /// Writes the freeze marker, or ends the freeze.
    ///
    /// # Errors
    /// The marker could not be written: then nothing is known to be frozen.
    pub async fn write_freeze(&self, frozen: bool, by: &str, reason: &str) -> Result<(), FreezeError> {
        let note = FreezeNote { by, reason, at: self.now() };
        freeze::write(&self.client, &self.settings.marker, frozen, &note).await
    }

    /// What the marker says. One that cannot be read says so, and stops stops.
    pub async fn read_freeze(&self) -> FreezeSeen {
        let read = freeze::read(&self.client, &self.settings.marker);
        let limit = self.settings.request_timeout;
        let late = |_| FreezeSeen::Unreadable(format!("no answer within {limit:?}"));
        tokio::time::timeout(limit, read).await.unwrap_or_else(late)
    }
}
