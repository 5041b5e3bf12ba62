//! The inventory as idleness and consolidation look at it: nodes with their price, and the pods on each.
//!
//! Made anew for each look, in one pass; the order of everything is that of the names.

use hashbrown::HashMap;

use super::verdict::Target;
use crate::inventory::{Inventory, Node, ObjectKey, Pod, PodKey, ScaledObject};
use crate::money::HourRate;

type FixedMap<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// A pod with its name.
pub type PodRef<'a> = (&'a PodKey, &'a Pod);

/// A node with its price and the pods on it.
#[derive(Clone, Debug)]
pub struct Seat<'a> {
    /// Name.
    pub name: &'a str,
    /// The node.
    pub node: &'a Node,
    /// What an hour of it costs; `None` where that is not known.
    pub price: Option<HourRate>,
    /// Pods bound to it, by name.
    pub pods: Vec<PodRef<'a>>,
    /// Units of the GPU resource that they ask for.
    pub requested: u32,
}

/// What asks for GPUs: all replicas of a workload, or one pod.
#[derive(Clone, Debug)]
pub(super) struct User<'a> {
    pub owner: Option<&'a ObjectKey>,
    /// Its pods, each with the position of its node in [`Fleet::seats`], where it has one that is known.
    pub pods: Vec<(PodRef<'a>, Option<usize>)>,
}

impl User<'_> {
    pub fn target(&self) -> Option<Target> {
        match (self.owner, self.pods.first()) {
            (Some(owner), _) => Some(Target::Workload(owner.clone())),
            (None, Some(((key, _), _))) => Some(Target::Pod((*key).clone())),
            (None, None) => None,
        }
    }
}

/// The inventory, arranged.
#[derive(Clone, Debug)]
pub struct Fleet<'a> {
    /// What it was made from.
    pub inventory: &'a Inventory,
    /// Nodes by name, in order.
    pub seats: Vec<Seat<'a>>,
    by_name: FixedMap<&'a str, usize>,
    /// What scales a workload.
    scalers: FixedMap<&'a ObjectKey, Vec<(&'a ObjectKey, &'a ScaledObject)>>,
    pub(super) users: Vec<User<'a>>,
}

impl<'a> Fleet<'a> {
    /// Arranges the inventory; `price` says what an hour of a node of that region, instance type and capacity
    /// type costs.
    #[must_use]
    pub fn new(inventory: &'a Inventory, price: impl Fn(&Node) -> Option<HourRate>) -> Self {
        // Nodes of one kind cost the same: each kind is asked about once.
        let mut prices: FixedMap<(&str, &str, &str), Option<HourRate>> = FixedMap::default();
        let mut seats: Vec<Seat<'a>> = Vec::with_capacity(inventory.nodes.len());
        for (name, node) in &inventory.nodes {
            let kind = (&*node.region, &*node.instance_type, &*node.capacity_type);
            let price = *prices.entry(kind).or_insert_with(|| price(node));
            seats.push(Seat { name, node, price, pods: Vec::new(), requested: 0 });
        }
        let by_name = seats.iter().enumerate().map(|(at, seat)| (seat.name, at)).collect();
        let mut scalers: FixedMap<&'a ObjectKey, Vec<_>> = FixedMap::default();
        for (key, object) in &inventory.scaled_objects {
            if let Some(workload) = &object.workload {
                scalers.entry(workload).or_default().push((key, object));
            }
        }
        let mut fleet = Self { inventory, seats, by_name, scalers, users: Vec::new() };
        fleet.seat_all();
        fleet
    }

    fn seat_all(&mut self) {
        let mut users: FixedMap<&'a ObjectKey, usize> = FixedMap::default();
        let inventory = self.inventory;
        for (key, pod) in &inventory.pods {
            let at = pod.node.as_deref().and_then(|name| self.by_name.get(name)).copied();
            if let Some(at) = at {
                let seat = &mut self.seats[at];
                seat.pods.push((key, pod));
                seat.requested = seat.requested.saturating_add(pod.requests.gpus);
            }
            if pod.daemon || !asks_for_gpus(pod) {
                continue;
            }
            let known = pod.owner.as_ref().and_then(|owner| users.get(owner).copied());
            match known {
                Some(user) => self.users[user].pods.push(((key, pod), at)),
                None => {
                    if let Some(owner) = &pod.owner {
                        users.insert(owner, self.users.len());
                    }
                    self.users.push(User { owner: pod.owner.as_ref(), pods: vec![((key, pod), at)] });
                }
            }
        }
    }

    /// The node of that name.
    #[must_use]
    pub fn seat(&self, name: &str) -> Option<&Seat<'a>> {
        self.by_name.get(name).map(|at| &self.seats[*at])
    }

    /// The ScaledObjects of a workload, by name.
    #[must_use]
    pub fn scalers_of(&self, workload: &ObjectKey) -> &[(&'a ObjectKey, &'a ScaledObject)] {
        self.scalers.get(workload).map_or(&[], Vec::as_slice)
    }
}

pub(super) fn asks_for_gpus(pod: &Pod) -> bool {
    pod.requests.gpus > 0 || !pod.gpus.is_empty()
}
