//! The instants of the daemon at which a crash is tried: around each commit, by what it makes durable, and
//! around each message. Those of an action are in [`actions::failpoint`], which also says how to arm one.

use policy::decision::Order;
use policy::fact::{Fact, ReceiptOutcome};

actions::failpoints! {
    JOURNAL_BEFORE_COMMIT = "journal::before_commit": "Any turn is written, and not committed.";
    JOURNAL_AFTER_COMMIT = "journal::after_commit": "Any turn is durable; nobody was told.";
    USAGE_BEFORE_COMMIT = "usage::before_commit": "Usage is written, and not committed.";
    USAGE_AFTER_COMMIT = "usage::after_commit": "Usage is durable, and not acked.";
    ORDER_BEFORE_COMMIT = "order::before_commit": "An order is written, and not committed.";
    ORDER_AFTER_COMMIT = "order::after_commit": "An order is durable, and nobody has it yet.";
    RECEIPT_BEFORE_COMMIT = "receipt::before_commit": "A receipt of an action is written, and not committed.";
    RECEIPT_AFTER_COMMIT = "receipt::after_commit": "A receipt is durable; the action does not know it yet.";
    LETTER_BEFORE_PUT = "letter::before_put": "A refused record is durable, and its dead letter is not kept.";
    MESSAGE_BEFORE_SEND = "message::before_send": "A message is about to be sent.";
    MESSAGE_SENT = "message::sent": "A receiver has a message, and that is nowhere recorded.";
    MESSAGE_RECORDED = "message::recorded": "That a receiver has it is durable; the notice is not settled.";
    MESSAGE_SETTLED = "message::settled": "The notice is settled.";
}

/// A turn of these facts is written, with the orders that came of it, and about to be committed.
pub(crate) fn before_commit(facts: &[Fact], orders: &[Order]) {
    let points = [JOURNAL_BEFORE_COMMIT, USAGE_BEFORE_COMMIT, ORDER_BEFORE_COMMIT, RECEIPT_BEFORE_COMMIT];
    reached(facts, orders, points);
}

/// It is durable.
pub(crate) fn after_commit(facts: &[Fact], orders: &[Order]) {
    let points = [JOURNAL_AFTER_COMMIT, USAGE_AFTER_COMMIT, ORDER_AFTER_COMMIT, RECEIPT_AFTER_COMMIT];
    reached(facts, orders, points);
}

/// The points of a commit, by what is in it.
fn reached(facts: &[Fact], orders: &[Order], [any, usage, order, receipt]: [actions::failpoint::Point; 4]) {
    // A constant: without the feature there is nothing to look for.
    if !fail::has_failpoints() {
        return;
    }
    any.reached();
    if facts.iter().any(|fact| matches!(fact, Fact::Usage(_))) {
        usage.reached();
    }
    if !orders.is_empty() {
        order.reached();
    }
    if facts.iter().any(is_of_an_action) {
        receipt.reached();
    }
}

fn is_of_an_action(fact: &Fact) -> bool {
    matches!(fact, Fact::Receipt(r) if !matches!(r.outcome, ReceiptOutcome::Delivered { .. }))
}
