//! Notices that wait to be answered, the most urgent first. Its own queue: a notice leaves two minutes, and is
//! never behind anything else.

use std::collections::BTreeSet;

use super::SpotNotice;
use crate::time::Timestamp;

/// Notices by urgency; of equal ones, the one that came first.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    order: BTreeSet<((u8, Timestamp), usize)>,
    notices: Vec<Option<SpotNotice>>,
}

impl Queue {
    /// One more.
    pub fn push(&mut self, notice: SpotNotice) {
        self.order.insert((notice.urgency(), self.notices.len()));
        self.notices.push(Some(notice));
    }

    /// The most urgent one.
    pub fn pop(&mut self) -> Option<SpotNotice> {
        let (_, at) = self.order.pop_first()?;
        let notice = self.notices.get_mut(at).and_then(Option::take);
        if self.order.is_empty() {
            self.notices.clear();
        }
        notice
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spot::{Loss, SpotKind};

    #[test]
    fn the_nearest_deadline_comes_out_first_whatever_came_first() {
        let notice = |instance: &str, kind, at| SpotNotice {
            event: "e".into(),
            kind,
            instance: instance.into(),
            account: "".into(),
            region: "".into(),
            at: Timestamp::from_millis(at),
        };
        let mut queue = Queue::default();
        queue.push(notice("rebalance", SpotKind::Rebalance, 1));
        queue.push(notice("later", SpotKind::Interruption(Loss::Terminate), 9));
        queue.push(notice("soon", SpotKind::Interruption(Loss::Terminate), 5));
        queue.push(notice("soon too", SpotKind::Interruption(Loss::Stop), 5));
        let mut order = Vec::new();
        while let Some(next) = queue.pop() {
            order.push(next.instance.to_string());
        }
        assert_eq!(order, ["soon", "soon too", "later", "rebalance"]);
        assert!(queue.pop().is_none() && queue.notices.is_empty());
    }
}
