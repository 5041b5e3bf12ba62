//! What was sampled of each GPU, in buckets of five minutes: counts and peaks, never the samples.
//!
//! A window is judged over the buckets that it touches, so a little more than the rule asks for and never
//! less. A duplicate counts once: a sample counts where it comes most of an interval after the last that did.

use std::collections::VecDeque;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::gpu::{GpuBatch, GpuSample, Sharing, Signal};
use crate::time::{Span, Timestamp};

type FixedMap<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// Length of a bucket.
pub(super) const BUCKET: Span = Span::from_mins(5);
/// GPUs that are remembered at most; each takes some hundred bytes a bucket.
pub const MOST_GPUS: usize = 1 << 17;
/// Longest and shortest interval of samples that anything can be said by.
const INTERVALS: (Span, Span) = (Span::from_secs(1), Span::from_mins(3));

/// A signal in a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Peak {
    /// Samples that have it.
    pub samples: u32,
    /// Its highest value.
    pub most: u32,
    /// It was there in any sample, also one that does not count.
    pub there: bool,
}

impl Peak {
    fn join(self, other: Self) -> Self {
        Self {
            samples: self.samples.saturating_add(other.samples),
            most: self.most.max(other.most),
            there: self.there || other.there,
        }
    }
}

/// Five minutes of one GPU, or several buckets of it together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sight {
    /// Samples.
    pub samples: u32,
    /// Bits of [`Sharing`].
    pub sharing: u8,
    /// An Xid error, or 0.
    pub xid: u32,
    /// Least and most framebuffer in use.
    pub framebuffer: Option<(u32, u32)>,
    /// By [`Signal::ALL`].
    pub peaks: [Peak; Signal::ALL.len()],
}

impl Sight {
    pub fn is(&self, sharing: Sharing) -> bool {
        self.sharing & sharing.bit() != 0
    }

    pub fn peak(&self, signal: Signal) -> Peak {
        self.peaks[signal as usize]
    }

    fn join(&mut self, other: &Self) {
        self.samples = self.samples.saturating_add(other.samples);
        self.sharing |= other.sharing;
        self.xid = self.xid.max(other.xid);
        self.framebuffer = match (self.framebuffer, other.framebuffer) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        for (peak, other) in self.peaks.iter_mut().zip(other.peaks) {
            *peak = peak.join(other);
        }
    }
}

/// What is remembered of one GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct History {
    /// Where it is.
    pub node: Box<str>,
    /// How far apart its samples are.
    pub interval: Span,
    /// Its newest sample of the whole GPU.
    pub newest: Timestamp,
    /// The last that counted, of all and by signal.
    counted: Timestamp,
    counted_by: [Timestamp; Signal::ALL.len()],
    /// By number, rising.
    buckets: VecDeque<(i64, Sight)>,
}

impl History {
    fn new(node: &str, interval: Span) -> Self {
        Self {
            node: node.into(),
            interval,
            newest: Timestamp::MIN,
            counted: Timestamp::MIN,
            counted_by: [Timestamp::MIN; Signal::ALL.len()],
            buckets: VecDeque::new(),
        }
    }

    /// What is known from that instant on, and from when on exactly: the start of its bucket.
    pub fn look(&self, from: Timestamp) -> (Sight, Timestamp) {
        let first = number(from);
        let mut all = Sight::default();
        for (_, sight) in self.buckets.iter().filter(|(number, _)| *number >= first) {
            all.join(sight);
        }
        (all, Timestamp::from_millis(first.saturating_mul(BUCKET.millis())))
    }

    fn take(&mut self, sample: &GpuSample, interval: Span, most: usize) {
        self.interval = interval;
        let whole = sample.sharing != Sharing::MigSlice;
        let due = |last: Timestamp| {
            sample.at.since(last).millis() >= interval.millis().saturating_mul(3).saturating_div(4)
        };
        let counts = whole && due(self.counted);
        let mut signals = [(None, false); Signal::ALL.len()];
        for (signal, slot) in Signal::ALL.into_iter().zip(&mut signals) {
            let value = sample.signals.read(signal);
            let counts = whole && value.is_some() && due(self.counted_by[signal as usize]);
            *slot = (value, counts);
        }
        let Some(sight) = self.bucket(number(sample.at), most) else { return };
        sight.sharing |= sample.sharing.bit();
        sight.xid = sight.xid.max(sample.signals.xid.unwrap_or(0));
        sight.samples = sight.samples.saturating_add(u32::from(counts));
        if let Some(used) = sample.signals.framebuffer_mib.filter(|_| whole) {
            let (least, most) = sight.framebuffer.unwrap_or((used, used));
            sight.framebuffer = Some((least.min(used), most.max(used)));
        }
        for (peak, (value, counts)) in sight.peaks.iter_mut().zip(signals) {
            let Some(value) = value else { continue };
            let one = Peak { samples: u32::from(counts), most: value, there: true };
            *peak = peak.join(one);
        }
        if whole {
            self.newest = self.newest.max(sample.at);
        }
        if counts {
            self.counted = sample.at;
        }
        for (last, (_, counts)) in self.counted_by.iter_mut().zip(signals) {
            if counts {
                *last = sample.at;
            }
        }
    }

    /// The bucket of that number; `None` for one that is over.
    fn bucket(&mut self, number: i64, most: usize) -> Option<&mut Sight> {
        let at = match self.buckets.back() {
            Some((last, _)) if *last == number => self.buckets.len().saturating_sub(1),
            Some((last, _)) if *last > number => match self.buckets.binary_search_by_key(&number, |b| b.0) {
                Ok(at) => at,
                Err(0) if self.buckets.len() >= most => return None,
                Err(at) => {
                    self.buckets.insert(at, (number, Sight::default()));
                    at
                }
            },
            _ => {
                self.buckets.push_back((number, Sight::default()));
                self.buckets.len().saturating_sub(1)
            }
        };
        let over = self.buckets.len().saturating_sub(most);
        self.buckets.drain(..over);
        self.buckets.get_mut(at.checked_sub(over)?).map(|(_, sight)| sight)
    }
}

fn number(at: Timestamp) -> i64 {
    at.millis().div_euclid(BUCKET.millis())
}

/// Why samples were not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refusal {
    /// From the future, or of a node that the batch does not name.
    pub implausible: u64,
    /// Of an interval that nothing can be said by.
    pub interval: u64,
    /// Of GPUs beyond the bound.
    pub over_bound: u64,
}

/// What is remembered of all GPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpus {
    /// By UUID, in the order in which they were first sampled.
    histories: Vec<(Box<str>, History)>,
    /// Buckets that are kept of each.
    most: usize,
    refused: Refusal,
    /// Where each stands; made anew by [`Self::reindex`].
    #[serde(skip)]
    index: FixedMap<Box<str>, usize>,
}

impl Gpus {
    /// Keeps as much as the longest window needs; without one, nothing.
    pub fn keep(&mut self, longest: Option<Span>) {
        let buckets = |span: Span| span.millis().checked_div(BUCKET.millis()).unwrap_or(0).saturating_add(2);
        self.most = longest.map_or(0, |span| usize::try_from(buckets(span)).unwrap_or(0));
        if self.most == 0 {
            self.histories.clear();
            self.index.clear();
        }
    }

    /// Finds them by UUID again after they were read from a snapshot.
    pub fn reindex(&mut self) {
        self.index = self.histories.iter().enumerate().map(|(at, (uuid, _))| (uuid.clone(), at)).collect();
    }

    /// Takes samples in; what is dated after `latest` is not believed.
    pub fn take(&mut self, batch: &GpuBatch, latest: Timestamp) {
        let rows = u64::try_from(batch.samples.len()).unwrap_or(u64::MAX);
        if self.most == 0 {
            return;
        }
        if !(INTERVALS.0..=INTERVALS.1).contains(&batch.interval) {
            self.refused.interval = self.refused.interval.saturating_add(rows);
            return;
        }
        for sample in &batch.samples {
            let node = usize::try_from(sample.node).ok().and_then(|at| batch.nodes.get(at));
            match node.filter(|_| sample.at <= latest && !sample.gpu.is_empty()) {
                Some(node) => self.take_one(sample, node, batch.interval),
                None => self.refused.implausible = self.refused.implausible.saturating_add(1),
            }
        }
    }

    fn take_one(&mut self, sample: &GpuSample, node: &str, interval: Span) {
        let known = self.index.get(&sample.gpu).and_then(|at| self.histories.get_mut(*at));
        if let Some((_, history)) = known {
            if *history.node != *node {
                // Two nodes that claim one GPU: what was seen of it says nothing.
                *history = History::new(node, interval);
            }
            return history.take(sample, interval, self.most);
        }
        if self.histories.len() >= MOST_GPUS {
            self.refused.over_bound = self.refused.over_bound.saturating_add(1);
            return;
        }
        let mut history = History::new(node, interval);
        history.take(sample, interval, self.most);
        self.index.insert(sample.gpu.clone(), self.histories.len());
        self.histories.push((sample.gpu.clone(), history));
    }

    /// Drops GPUs of which nothing came for as long as anything is kept.
    pub fn forget(&mut self, now: Timestamp) {
        let kept = i64::try_from(self.most).unwrap_or(0);
        let oldest = number(now).saturating_sub(kept);
        let before = self.histories.len();
        self.histories.retain(|(_, history)| history.buckets.back().is_some_and(|(last, _)| *last >= oldest));
        if self.histories.len() < before {
            self.reindex();
        }
    }

    /// Samples that were not taken, since the beginning.
    #[must_use]
    pub const fn refused(&self) -> Refusal {
        self.refused
    }

    /// GPUs that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.histories.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.histories.is_empty()
    }

    pub(super) fn get(&self, uuid: &str) -> Option<&History> {
        self.index.get(uuid).and_then(|at| self.histories.get(*at)).map(|(_, history)| history)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &History> {
        self.histories.iter().map(|(_, history)| history)
    }
}
