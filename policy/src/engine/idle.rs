//! Idle GPUs: samples are remembered, and each rule is asked once a minute what it finds.

use serde::{Deserialize, Serialize};

use crate::gpu::GpuBatch;
use crate::idle::Gpus;

use super::Engine;

/// What the engine remembers for idle policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Samples, in buckets.
    pub gpus: Gpus,
}

impl Engine {
    /// Remembers samples; without a rule that asks for them, none.
    pub(super) fn take_gpus(&mut self, batch: &GpuBatch) {
        self.hear(&batch.source, false);
        self.idle.gpus.take(batch, self.now.plus(self.settings.max_ahead));
    }

    /// After a change of rules: as much is kept as the longest window needs.
    pub(super) fn keep_idle(&mut self) {
        let windows = self.rules.idle.iter().filter_map(|policy| policy.idle_when.as_ref());
        self.idle.gpus.keep(windows.map(|when| when.window).max());
    }
}
