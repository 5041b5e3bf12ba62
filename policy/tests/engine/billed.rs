//! What a bill says: an amount that needs no price, and counts where its kind counts.

use policy::engine::Engine;
use policy::fact::{
    Billed, Clock, Fact, OriginRef, Quantities, RefusedReason, Settings, UsageBatchBuilder, UsageFlags,
    UsageOutcome, UsageRef,
};
use policy::money::Money;
use policy::rule::{ChargeKind, Mode};
use policy::subject::Trust;
use policy::time::Timestamp;

use crate::world::{KEY, at, daily, rules, usd};

fn engine(kinds: Vec<ChargeKind>) -> Engine {
    let mut budget = daily("tenant-daily", "50", Mode::Observe);
    budget.select.charges = kinds;
    let mut engine = Engine::new(Settings::new(KEY, ""));
    let _ = engine.step(clock(), &[Fact::Rules(Box::new(rules(vec![budget])))]);
    engine
}

fn now() -> Timestamp {
    at("2026-11-20T10:00:00Z")
}

fn clock() -> Clock {
    Clock { wall: now(), mono: 0 }
}

/// Lines of a bill, each an amount in picos and a kind.
fn bill(lines: &[(i128, ChargeKind)]) -> Fact {
    let mut batch = UsageBatchBuilder::new(KEY, "bill", false);
    for (n, (picos, kind)) in lines.iter().enumerate() {
        batch.push(&UsageRef {
            key: &format!("line-{n}"),
            occurred_at: now(),
            quantities: Quantities::Billed(Billed { amount: Money::from_picos(*picos), kind: *kind }),
            flags: UsageFlags::default(),
            origin: OriginRef {
                provider: "aws",
                model: "a-sku-without-a-price",
                claims: &[("tenant", "acme", Trust::Trusted)],
                ..OriginRef::default()
            },
            end: None,
            links: &[],
        });
    }
    Fact::Usage(batch.finish())
}

const DOLLAR: i128 = 1_000_000_000_000;

#[test]
fn a_billed_amount_is_charged_as_it_stands_though_nothing_has_a_price() {
    let mut engine = engine(vec![]);
    let out =
        engine.step(clock(), &[bill(&[(3 * DOLLAR, ChargeKind::Other), (DOLLAR / 2, ChargeKind::Gpu)])]);
    assert_eq!(out.usage, [[UsageOutcome::Accepted, UsageOutcome::Accepted]]);
    let breaker = engine.breaker("tenant-daily/acme", now()).unwrap();
    assert_eq!((breaker.sum, breaker.facts, breaker.unpriced), (usd("3.50"), 2, 0));
}

#[test]
fn a_billed_amount_counts_only_where_its_kind_counts() {
    let mut engine = engine(vec![ChargeKind::Tokens]);
    let _ = engine.step(clock(), &[bill(&[(DOLLAR, ChargeKind::Tokens), (9 * DOLLAR, ChargeKind::Gpu)])]);
    assert_eq!(engine.breaker("tenant-daily/acme", now()).unwrap().sum, usd("1"));
}

#[test]
fn a_credit_and_an_absurd_amount_are_refused() {
    let mut engine = engine(vec![]);
    let lines =
        [(-1, ChargeKind::Other), (2_000_000_000 * DOLLAR, ChargeKind::Other), (1, ChargeKind::Other)];
    let out = engine.step(clock(), &[bill(&lines)]);
    let absurd = UsageOutcome::Refused(RefusedReason::AbsurdCount);
    assert_eq!(out.usage, [[absurd, absurd, UsageOutcome::Accepted]]);
}
