//! What goes into one turn.

use collector::envelope::{Ack, Envelope};
use policy::engine::Outcome;
use policy::fact::{Command, Fact};
use tokio::sync::oneshot;

use super::{MOST_FACTS, MOST_ROWS, Request, Turn};

/// Facts of one turn, each with who waits for it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) facts: Vec<Fact>,
    pub(super) acks: Vec<Option<oneshot::Sender<Ack>>>,
    pub(super) rows: usize,
    /// Who waits for what came of the command, where the turn is one.
    pub(super) command: Option<oneshot::Sender<Box<Outcome>>>,
    /// There is something to commit although there may be no fact.
    pub(super) forced: bool,
}

impl Batch {
    pub(super) fn put(&mut self, envelope: Envelope) {
        if let Fact::Usage(usage) = &envelope.fact {
            self.rows += usage.rows.len();
        }
        self.facts.push(envelope.fact);
        self.acks.push(envelope.ack);
    }

    fn own(&mut self, fact: Fact) {
        self.put(Envelope { fact, ack: None });
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= MOST_ROWS || self.facts.len() >= MOST_FACTS
    }

    pub(super) fn of(command: Command, tell: oneshot::Sender<Box<Outcome>>) -> Self {
        let mut batch = Self { command: Some(tell), ..Self::default() };
        batch.own(Fact::Command(command));
        batch
    }
}

impl Turn {
    /// Waits for something to do, then takes what else is there. Urgent things come first and usage fills
    /// the rest; while the disk is nearly full, usage waits where it is.
    pub(super) async fn gather(&mut self) -> Batch {
        if let Some((command, tell)) = self.command.take() {
            return Batch::of(command, tell);
        }
        let mut batch = Batch::default();
        self.wait(&mut batch).await;
        while !batch.is_full() && self.command.is_none() {
            let Ok(request) = self.urgent.try_recv() else { break };
            self.take(request, &mut batch);
        }
        let pressed = *self.pressure.borrow();
        while !pressed && !batch.is_full() {
            let Ok(envelope) = self.parts.intake.try_recv() else { break };
            batch.put(envelope);
        }
        for fact in self.own.drain(..) {
            batch.own(fact);
        }
        batch.forced = !self.deliveries.is_empty();
        batch
    }

    async fn wait(&mut self, batch: &mut Batch) {
        let pressed = *self.pressure.borrow();
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(self.next_tick) => self.tick(),
            request = self.urgent.recv() => match request {
                Some(request) => self.take(request, batch),
                // All handles are gone: nobody can stop it any more, so it stops.
                None => self.stopping = true,
            },
            Ok(room) = self.parts.orders.clone().reserve_owned(), if !self.orders.is_empty() => {
                if let Some(order) = self.orders.pop_front() {
                    room.send(order);
                }
            }
            Ok(room) = self.parts.notices.clone().reserve_owned(), if !self.notices.is_empty() => {
                if let Some(telling) = self.notices.pop_front() {
                    room.send(telling);
                }
            }
            Some(envelope) = self.parts.intake.recv(), if !pressed => batch.put(envelope),
        }
    }

    pub(super) fn take(&mut self, request: Request, batch: &mut Batch) {
        match request {
            Request::Fact(envelope) => batch.put(envelope),
            Request::Command(command, tell) => self.command = Some((command, tell)),
            Request::Delivered(delivery, tell) => self.deliveries.push((delivery, tell)),
            Request::Look(look) => look(&self.parts.engine, self.parts.clock.read().wall),
            Request::Stop => self.stopping = true,
        }
    }
}
