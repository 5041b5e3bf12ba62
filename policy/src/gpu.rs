//! Samples of GPUs: what an exporter said of a device at an instant, each signal there or not there.
//!
//! A signal that is not there is unknown and never zero: exporters leave out what they cannot read. Shares
//! are [`Percent`], power is milliwatts, memory MiB. The rows are what the journal keeps: add at the end,
//! never reorder.

use serde::{Deserialize, Serialize};

use crate::money::Percent;
use crate::time::{Span, Timestamp};

/// Samples of one source, taken at about the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuBatch {
    /// Name of the source.
    pub source: Box<str>,
    /// How far apart the source takes its samples of one GPU.
    pub interval: Span,
    /// Names of nodes; the rows name them by index.
    pub nodes: Vec<Box<str>>,
    /// The samples.
    pub samples: Vec<GpuSample>,
}

/// What was said of one GPU at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuSample {
    /// Index into [`GpuBatch::nodes`].
    pub node: u32,
    /// UUID of the physical GPU, `GPU-…`; for a slice that of the GPU that it is cut from.
    pub gpu: Box<str>,
    /// When it was taken.
    pub at: Timestamp,
    /// What the sample is of.
    pub sharing: Sharing,
    /// What was read.
    pub signals: Signals,
}

/// What a sample is of: a GPU that one pod has, one that several share, or (a part of) one cut by MIG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sharing {
    /// A whole GPU.
    #[default]
    Whole,
    /// A GPU whose time several pods share. Its utilisation is split by process, and a pod without a process
    /// gets a made-up 0.
    TimeSliced,
    /// A GPU that several pods share in another way (MPS, virtual GPUs), with the same doubt.
    Shared,
    /// A whole physical GPU that is cut by MIG. `gpuUtil` does not exist there, whatever is reported.
    MigDevice,
    /// One slice of a GPU that is cut by MIG: it never proves anything of the whole.
    MigSlice,
}

impl Sharing {
    pub(crate) const fn bit(self) -> u8 {
        match self {
            Self::Whole => 1,
            Self::TimeSliced => 2,
            Self::Shared => 4,
            Self::MigDevice => 8,
            Self::MigSlice => 16,
        }
    }
}

/// What was read of a GPU; `None` is what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signals {
    /// Share of time in which any kernel ran (`DCGM_FI_DEV_GPU_UTIL`, NVML).
    pub gpu_util: Option<Percent>,
    /// Share of time in which the graphics or compute engine was active (`DCGM_FI_PROF_GR_ENGINE_ACTIVE`).
    pub engine_active: Option<Percent>,
    /// Share of streaming multiprocessors with work (`DCGM_FI_PROF_SM_ACTIVE`).
    pub sm_active: Option<Percent>,
    /// Share of cycles in which tensor cores worked (`DCGM_FI_PROF_PIPE_TENSOR_ACTIVE`).
    pub tensor_active: Option<Percent>,
    /// Share of cycles in which device memory moved data (`DCGM_FI_PROF_DRAM_ACTIVE`).
    pub dram_active: Option<Percent>,
    /// Power drawn, in milliwatts.
    pub power_mw: Option<u32>,
    /// Power limit in force, in milliwatts.
    pub power_limit_mw: Option<u32>,
    /// Framebuffer in use, in MiB.
    pub framebuffer_mib: Option<u32>,
    /// Requests that vLLM runs or has waiting.
    pub in_flight: Option<u32>,
    /// Last Xid error of the driver; 0 is none.
    pub xid: Option<u32>,
}

/// A signal that says whether a GPU works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Signal {
    /// [`Signals::gpu_util`].
    GpuUtil,
    /// [`Signals::engine_active`].
    EngineActive,
    /// [`Signals::sm_active`].
    SmActive,
    /// [`Signals::tensor_active`].
    TensorActive,
    /// [`Signals::dram_active`].
    DramActive,
    /// Power drawn as a share of the limit.
    PowerDraw,
    /// [`Signals::in_flight`].
    InFlight,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 7] = [
        Self::GpuUtil,
        Self::EngineActive,
        Self::SmActive,
        Self::TensorActive,
        Self::DramActive,
        Self::PowerDraw,
        Self::InFlight,
    ];

    /// The key in a rule, and the word in messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::GpuUtil => "gpuUtil",
            Self::EngineActive => "engineActive",
            Self::SmActive => "smActive",
            Self::TensorActive => "tensorActive",
            Self::DramActive => "dramActive",
            Self::PowerDraw => "powerDraw",
            Self::InFlight => "inFlightRequests",
        }
    }

    /// A value of it in words: a share, or a number of requests.
    #[must_use]
    pub fn in_words(self, value: u32) -> String {
        match self {
            Self::InFlight => format!("{value} in flight"),
            _ => Percent::from_ppm(value).to_string(),
        }
    }
}

impl Signals {
    /// A signal as parts per million, or as a number for [`Signal::InFlight`]. A share above the whole is a
    /// reading that failed, and counts as not there.
    #[must_use]
    pub fn read(&self, signal: Signal) -> Option<u32> {
        let share = |percent: Option<Percent>| percent.map(Percent::ppm).filter(|ppm| *ppm <= WHOLE);
        match signal {
            Signal::GpuUtil => share(self.gpu_util),
            Signal::EngineActive => share(self.engine_active),
            Signal::SmActive => share(self.sm_active),
            Signal::TensorActive => share(self.tensor_active),
            Signal::DramActive => share(self.dram_active),
            Signal::PowerDraw => {
                let drawn = u64::from(self.power_mw?).saturating_mul(u64::from(WHOLE));
                let share = drawn.checked_div(u64::from(self.power_limit_mw?))?;
                Some(u32::try_from(share).unwrap_or(u32::MAX))
            }
            Signal::InFlight => self.in_flight,
        }
    }
}

/// The whole, in parts per million.
const WHOLE: u32 = Percent::WHOLE.ppm();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_or_cannot_be_is_not_there_and_never_zero() {
        let none = Signals::default();
        assert!(Signal::ALL.iter().all(|signal| none.read(*signal).is_none()));
        // Under MIG an exporter was seen to say 9.2e18 percent.
        let odd = Signals {
            gpu_util: Some(Percent::MAX),
            power_mw: Some(90_000),
            power_limit_mw: Some(0),
            ..Signals::default()
        };
        assert_eq!((odd.read(Signal::GpuUtil), odd.read(Signal::PowerDraw)), (None, None));
        let drawn = Signals { power_limit_mw: Some(300_000), ..odd };
        assert_eq!(drawn.read(Signal::PowerDraw), Some(300_000), "90 W of 300 W");
    }
}
