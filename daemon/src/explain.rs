//! A decision in words: who, which sum, which limit, the largest charges, the rule's line, the guard's
//! answers and the receipts.

use std::fmt::Write as _;

use crate::http::shape::{Answer, Detail, OrderShape, Reason};

/// The whole story of a decision.
#[must_use]
pub fn decision(detail: &Detail) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_decision(&mut text, detail);
    text
}

fn write_decision(out: &mut String, detail: &Detail) -> std::fmt::Result {
    let head = &detail.head;
    let about = head.breaker.as_deref().unwrap_or("the daemon itself");
    writeln!(out, "{} {} {} at {} (mode {})", head.id, about, head.kind, head.at, head.mode)?;
    writeln!(out, "  what      {}", head.what)?;
    if let Some((start, end)) = &detail.window {
        writeln!(out, "  window    {start} until {end}")?;
        writeln!(out, "  sum       {} of {}, from {} charges", head.sum, head.limit, detail.facts)?;
        if detail.unpriced > 0 {
            writeln!(out, "  unpriced  {} usage(s) without a price are not in that sum", detail.unpriced)?;
        }
    }
    if let Some(at) = &detail.occurred_at {
        writeln!(out, "  crossed   by a charge of {at}")?;
    }
    for (index, (fact, at, amount)) in detail.largest.iter().enumerate() {
        let label = if index == 0 { "largest" } else { "" };
        writeln!(out, "  {label:<9} {amount} at {at}, {fact}")?;
    }
    if !head.place.is_empty() {
        writeln!(out, "  rule      {}", head.place)?;
    }
    writeln!(out, "  by        rules {}, prices {}, turn {}", detail.rules, detail.prices, detail.turn)?;
    if !detail.note.is_empty() {
        writeln!(out, "  note      {}", detail.note)?;
    }
    for (target, why) in &detail.left {
        writeln!(out, "  left      {target}: {why}")?;
    }
    write_guard(out, &detail.guard, "  ")?;
    for order in &detail.orders {
        write_order(out, order)?;
    }
    Ok(())
}

fn write_order(out: &mut String, order: &OrderShape) -> std::fmt::Result {
    let approved = order.approved_by.as_ref().map(|by| format!(", approved by {by}")).unwrap_or_default();
    let open = if order.resolved { "" } else { ", not resolved yet" };
    writeln!(
        out,
        "\n{} {} (try {}{approved}), given at {}: {}{open}",
        order.id, order.what, order.attempt, order.issued_at, order.state
    )?;
    for receipt in &order.receipts {
        writeln!(out, "  {} {}: {}", receipt.at, receipt.outcome, receipt.what)?;
        for (sign, seen, proves) in &receipt.signs {
            writeln!(out, "    {} {sign}: {seen}", mark(*proves))?;
        }
        write_guard(out, &receipt.guard, "    ")?;
    }
    Ok(())
}

fn write_guard(out: &mut String, answers: &[Answer], indent: &str) -> std::fmt::Result {
    for answer in answers {
        writeln!(out, "{indent}guard {} {}: {}", mark(answer.pass), answer.check, answer.detail)?;
    }
    Ok(())
}

const fn mark(good: bool) -> &'static str {
    if good { "✓" } else { "✗" }
}

/// Why the breakers of a name were not stopped.
#[must_use]
pub fn reasons(name: &str, reasons: &[Reason]) -> String {
    let mut text = String::new();
    for reason in reasons {
        let about = reason.breaker.as_deref().unwrap_or(name);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{about}: {}", reason.reason);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::shape::{Decision, ReceiptShape};

    fn detail() -> Detail {
        let text = str::to_owned;
        Detail {
            head: Decision {
                id: text("d17"),
                at: text("2026-11-20T12:00:03Z"),
                kind: text("Tripped"),
                mode: text("enforce"),
                breaker: Some(text("tenant-daily/acme")),
                what: text("tripped; to be stopped: ScaledObject/acme/api"),
                sum: text("66.00 USD"),
                limit: text("50.00 USD"),
                place: text("tenants.yaml:9"),
            },
            turn: 12,
            window: Some((text("2026-11-20T00:00:00Z"), text("2026-11-21T00:00:00Z"))),
            facts: 4,
            unpriced: 1,
            occurred_at: Some(text("2026-11-20T12:00:01Z")),
            largest: vec![
                (text("gateway:c2"), text("2026-11-20T12:00:01Z"), text("49.50 USD")),
                (text("gateway:c1"), text("2026-11-20T11:00:01Z"), text("16.50 USD")),
            ],
            rules: text("r1"),
            prices: text("p1"),
            left: vec![(text("ScaledObject/acme/gateway"), text("protected"))],
            guard: vec![],
            note: String::new(),
            orders: vec![OrderShape {
                id: text("o3"),
                what: text("pause ScaledObject/acme/api at zero"),
                state: text("Verified"),
                resolved: true,
                attempt: 1,
                approved_by: None,
                issued_at: text("2026-11-20T12:00:03Z"),
                receipts: vec![ReceiptShape {
                    at: text("2026-11-20T12:00:09Z"),
                    outcome: text("Verified"),
                    what: text("proven after 5s"),
                    guard: vec![Answer { check: text("mode"), pass: true, detail: text("enforce") }],
                    signs: vec![(text("status.pausedReplicaCount"), text("0"), true)],
                }],
            }],
        }
    }

    #[test]
    fn a_trip_is_told_from_sum_to_proof() {
        assert_eq!(
            decision(&detail()),
            "\
d17 tenant-daily/acme Tripped at 2026-11-20T12:00:03Z (mode enforce)
  what      tripped; to be stopped: ScaledObject/acme/api
  window    2026-11-20T00:00:00Z until 2026-11-21T00:00:00Z
  sum       66.00 USD of 50.00 USD, from 4 charges
  unpriced  1 usage(s) without a price are not in that sum
  crossed   by a charge of 2026-11-20T12:00:01Z
  largest   49.50 USD at 2026-11-20T12:00:01Z, gateway:c2
            16.50 USD at 2026-11-20T11:00:01Z, gateway:c1
  rule      tenants.yaml:9
  by        rules r1, prices p1, turn 12
  left      ScaledObject/acme/gateway: protected

o3 pause ScaledObject/acme/api at zero (try 1), given at 2026-11-20T12:00:03Z: Verified
  2026-11-20T12:00:09Z Verified: proven after 5s
    ✓ status.pausedReplicaCount: 0
    guard ✓ mode: enforce
"
        );
    }

    #[test]
    fn an_order_that_is_open_says_so() {
        let mut detail = detail();
        detail.orders[0].resolved = false;
        detail.orders[0].approved_by = Some("uid:0 (root)".into());
        let text = decision(&detail);
        assert!(
            text.contains("(try 1, approved by uid:0 (root))") && text.contains("Verified, not resolved yet"),
            "{text}"
        );
    }

    #[test]
    fn why_not_is_told_for_each_breaker() {
        let said = [
            Reason { breaker: Some("tenant-daily/acme".into()), reason: "spent little".into() },
            Reason { breaker: None, reason: "never seen".into() },
        ];
        assert_eq!(reasons("acme", &said), "tenant-daily/acme: spent little\nacme: never seen\n");
    }
}
