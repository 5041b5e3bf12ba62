//! Giving back in waves: a part of the objects at a time, so that what they share is not run over.
//!
//! Only what a rule gives back comes in waves. A person who resets or releases wants it back now.

use crate::decision::ReleaseCause;
use crate::inventory::ObjectKey;
use crate::money::Percent;
use crate::rule::Waves;
use crate::time::Timestamp;

use super::Engine;

impl Engine {
    /// Says when each object comes back, in the order of their names.
    pub(super) fn plan_waves(&mut self, slot: u32, cause: &ReleaseCause, targets: &[ObjectKey]) {
        let waves = self.budget_of(slot).restore.waves;
        let by_rule = !matches!(cause, ReleaseCause::Reset(_) | ReleaseCause::Person(_));
        let Some(waves) = waves.filter(|_| by_rule) else { return };
        let each = in_each(waves.share, targets.len());
        for (at, target) in targets.iter().enumerate() {
            let due = due(waves, at / each, self.now);
            if let Some(hold) = self.holds.get_mut(target).filter(|_| due > self.now) {
                hold.back_after = Some(due);
                hold.detail = format!("to be given back in its wave, at {due}");
            }
        }
    }

    /// Whether the wave of an object that nobody holds has not come yet.
    pub(super) fn waits_for_its_wave(&self, target: &ObjectKey) -> bool {
        self.holds.get(target).and_then(|hold| hold.back_after).is_some_and(|due| self.now < due)
    }
}

/// Objects in each wave: the share, rounded up.
fn in_each(share: Percent, objects: usize) -> usize {
    let whole = usize::try_from(Percent::WHOLE.ppm()).unwrap_or(usize::MAX);
    let part = usize::try_from(share.ppm()).unwrap_or(usize::MAX);
    objects.saturating_mul(part).div_ceil(whole).max(1)
}

fn due(waves: Waves, wave: usize, now: Timestamp) -> Timestamp {
    let wave = i64::try_from(wave).unwrap_or(i64::MAX);
    now.plus(crate::time::Span::from_millis(waves.every.millis().saturating_mul(wave)))
}
