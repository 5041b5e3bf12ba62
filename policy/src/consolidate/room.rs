//! What is still free on each node while a plan is made, and where a pod goes first.

use std::collections::{BTreeMap, BTreeSet};

use super::fit::product;
use crate::idle::{Fleet, Seat};
use crate::inventory::{Pod, Resources};

/// Nodes that are looked at for one pod at most: beyond, it counts as fitting nowhere.
const MOST_LOOKED_AT: usize = 256;

/// What is free on the nodes.
pub(super) struct Room<'a> {
    fleet: &'a Fleet<'a>,
    free: Vec<Free>,
    /// Positions by kind of GPU, the fewest free GPUs first, then by name: the tightest node that takes a pod
    /// gets it. Nodes that are emptied are not among them.
    by_product: BTreeMap<&'a str, BTreeSet<(u32, usize)>>,
    all: BTreeSet<(u32, usize)>,
}

#[derive(Clone, Copy, Default)]
struct Free {
    resources: Resources,
    pods: u32,
    is_open: bool,
}

impl<'a> Room<'a> {
    pub fn new(fleet: &'a Fleet<'a>) -> Self {
        let free = fleet.seats.iter().map(free).collect();
        let mut room = Self { fleet, free, by_product: BTreeMap::new(), all: BTreeSet::new() };
        for (at, seat) in fleet.seats.iter().enumerate() {
            if is_open(seat) {
                room.open(at);
            }
        }
        room
    }

    /// The node where the pod goes, of those that `takes` it; its room is taken.
    pub fn place(&mut self, pod: &Pod, from: usize, takes: impl Fn(usize) -> bool) -> Option<usize> {
        let gpus = pod.requests.gpus;
        let candidates = match gpus {
            0 => Some(&self.all),
            _ => self.fleet.seats.get(from).and_then(|seat| self.by_product.get(product(seat.node))),
        };
        let at = candidates?
            .range((gpus, 0)..)
            .take(MOST_LOOKED_AT)
            .map(|(_, at)| *at)
            .find(|at| *at != from && self.has_room(*at, pod) && takes(*at))?;
        self.change(at, |free| {
            free.resources = less(free.resources, pod.requests);
            free.pods = free.pods.saturating_sub(1);
        });
        Some(at)
    }

    /// The pod does not go there after all.
    pub fn take_back(&mut self, at: usize, pod: &Pod) {
        self.change(at, |free| {
            free.resources = more(free.resources, pod.requests);
            free.pods = free.pods.saturating_add(1);
        });
    }

    /// Nothing goes onto that node any more.
    pub fn close(&mut self, at: usize) {
        let gpus = self.gpus(at);
        self.all.remove(&(gpus, at));
        if let Some(nodes) = self.by_product.get_mut(self.product(at)) {
            nodes.remove(&(gpus, at));
        }
        if let Some(free) = self.free.get_mut(at) {
            free.is_open = false;
        }
    }

    pub fn open(&mut self, at: usize) {
        let gpus = self.gpus(at);
        self.all.insert((gpus, at));
        self.by_product.entry(self.product(at)).or_default().insert((gpus, at));
        if let Some(free) = self.free.get_mut(at) {
            free.is_open = true;
        }
    }

    fn change(&mut self, at: usize, change: impl FnOnce(&mut Free)) {
        let open = self.free.get(at).is_some_and(|free| free.is_open);
        self.close(at);
        if let Some(free) = self.free.get_mut(at) {
            change(free);
        }
        if open {
            self.open(at);
        }
    }

    fn has_room(&self, at: usize, pod: &Pod) -> bool {
        self.free.get(at).is_some_and(|free| {
            free.pods > 0
                && free.resources.cpu_milli >= pod.requests.cpu_milli
                && free.resources.memory >= pod.requests.memory
                && free.resources.gpus >= pod.requests.gpus
        })
    }

    fn gpus(&self, at: usize) -> u32 {
        self.free.get(at).map_or(0, |free| free.resources.gpus)
    }

    fn product(&self, at: usize) -> &'a str {
        self.fleet.seats.get(at).map_or("", |seat| product(seat.node))
    }
}

/// Whether anything may go onto a node. One that has more on it than it can give is not understood.
pub(super) fn is_open(seat: &Seat<'_>) -> bool {
    let (taken, most) = (taken(seat), seat.node.allocatable);
    seat.node.ready
        && !seat.node.unschedulable
        && !seat.node.deleting
        && taken.cpu_milli <= most.cpu_milli
        && taken.memory <= most.memory
        && taken.gpus <= most.gpus
}

fn taken(seat: &Seat<'_>) -> Resources {
    seat.pods.iter().fold(Resources::default(), |sum, (_, pod)| more(sum, pod.requests))
}

/// What the pods on a node leave of it, those of DaemonSets included.
fn free(seat: &Seat<'_>) -> Free {
    let pods = u32::try_from(seat.pods.len()).unwrap_or(u32::MAX);
    Free {
        resources: less(seat.node.allocatable, taken(seat)),
        pods: seat.node.most_pods.saturating_sub(pods),
        is_open: false,
    }
}

fn less(a: Resources, b: Resources) -> Resources {
    Resources {
        cpu_milli: a.cpu_milli.saturating_sub(b.cpu_milli),
        memory: a.memory.saturating_sub(b.memory),
        gpus: a.gpus.saturating_sub(b.gpus),
    }
}

fn more(a: Resources, b: Resources) -> Resources {
    Resources {
        cpu_milli: a.cpu_milli.saturating_add(b.cpu_milli),
        memory: a.memory.saturating_add(b.memory),
        gpus: a.gpus.saturating_add(b.gpus),
    }
}
