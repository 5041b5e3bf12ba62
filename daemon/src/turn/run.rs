//! One turn after another.

use std::time::Instant;

use collector::envelope::Ack;
use policy::engine::Outcome;
use policy::fact::{Clock, Fact};

use super::batch::Batch;
use super::{Turn, TurnError};
use crate::failpoint;
use crate::journal::{Committed, Delivery, TurnRecord};

impl Turn {
    /// Takes turns until told to stop; then takes what is still there, and ends.
    ///
    /// # Errors
    /// When a commit failed. The process must end with it.
    pub async fn run(mut self) -> Result<(), TurnError> {
        self.tell_levers();
        while !self.stopping {
            let batch = self.gather().await;
            self.one(batch)?;
        }
        self.last()
    }

    /// What had reached us when we were told to stop. What sources still hold they will bring again.
    fn last(&mut self) -> Result<(), TurnError> {
        self.parts.intake.close();
        self.urgent.close();
        loop {
            let mut batch = Batch::default();
            self.drain(&mut batch);
            if batch.facts.is_empty() && !batch.forced && self.command.is_none() {
                return Ok(());
            }
            self.one(batch)?;
            if let Some((command, tell)) = self.command.take() {
                self.one(Batch::of(command, tell))?;
            }
        }
    }

    fn one(&mut self, mut batch: Batch) -> Result<(), TurnError> {
        if batch.facts.is_empty() && !batch.forced {
            return Ok(());
        }
        let began = Instant::now();
        let clock = self.parts.clock.read();
        let outcome = self.parts.engine.step(clock, &batch.facts);
        let committed = self.commit(clock, &batch, &outcome)?;
        self.parts.observed.turn(&batch.facts, batch.rows, &outcome, began.elapsed());
        if !outcome.letters.is_empty() {
            failpoint::LETTER_BEFORE_PUT.reached();
            self.parts.letters.put(&outcome.letters);
        }
        // Before the acks: whoever hears that a posture or a freeze is durable may go by it.
        self.tell_levers_after(&batch.facts, &outcome);
        if batch.facts.iter().any(|fact| matches!(fact, Fact::Rules(_))) {
            self.look_at_disk();
        }
        self.ack(&mut batch, &outcome);
        self.pass_on(&outcome, &committed);
        if let Some(tell) = batch.command {
            // The person may have gone; the command is taken all the same.
            let _ = tell.send(Box::new(outcome));
        }
        self.committed.send_replace(committed.seq);
        Ok(())
    }

    fn commit(&mut self, clock: Clock, batch: &Batch, outcome: &Outcome) -> Result<Committed, TurnError> {
        let began = Instant::now();
        let waiting = std::mem::take(&mut self.deliveries);
        let deliveries: Vec<Delivery> = waiting.iter().map(|(delivery, _)| delivery.clone()).collect();
        let accounts = self.parts.engine.accounts();
        let record = TurnRecord { clock, facts: &batch.facts, outcome, accounts, deliveries: &deliveries };
        let committed = self.parts.journal.commit(&record).map_err(TurnError::Commit)?;
        self.parts.observed.committed(began.elapsed());
        for (_, tell) in waiting {
            // Whoever told it may have been cut off meanwhile.
            let _ = tell.send(());
        }
        Ok(committed)
    }

    /// Durable now: whoever waits may know.
    fn ack(&self, batch: &mut Batch, outcome: &Outcome) {
        let mut usage = outcome.usage.iter();
        for (fact, ack) in batch.facts.iter().zip(batch.acks.drain(..)) {
            let answer = match fact {
                Fact::Usage(_) => Ack::Usage(usage.next().cloned().unwrap_or_default()),
                _ => Ack::Done,
            };
            if let Some(ack) = ack {
                // A caller that hung up asks again, and is told `duplicate`.
                let _ = ack.send(answer);
            }
        }
    }
}
