//! Instance time: figures, and that minutes add up to hours.

use policy::money::{HourRate, Money, Percent};
use policy::price::{InstanceOverride, InstancePrice, PriceBook, PriceFlags, PriceOverrides, UnpricedReason};
use proptest::prelude::*;

/// 2026-11-20T10:15:00Z, in milliseconds.
const QUARTER_PAST: i64 = 1_795_169_700_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;

fn spot(price: &str) -> PriceOverrides {
    PriceOverrides {
        name: "spot".to_owned(),
        instances: vec![InstanceOverride {
            instance_type: "g5.xlarge".to_owned(),
            capacity_type: "spot".to_owned(),
            region: None,
            price: price.parse().expect("rate"),
        }],
        ..PriceOverrides::default()
    }
}

fn spot_price() -> std::sync::Arc<InstancePrice> {
    let book = PriceBook::embedded().with_overrides(&spot("0.4387 USD per hour")).expect("plausible");
    book.resolve_instance("us-east-1", "g5.xlarge", "spot").expect("declared")
}

#[test]
fn the_sample_gpu_minute_costs_what_its_readme_says() {
    let price = spot_price();
    let amount = price.charge(QUARTER_PAST, QUARTER_PAST + MINUTE, 1000).expect("in the calendar");
    assert_eq!(amount.money, Money::from_picos(7_311_666_666));
    assert_eq!(amount.flags, PriceFlags::NONE);
    assert_eq!(price.key, "*/g5.xlarge/spot");
}

#[test]
fn sixty_minutes_cost_exactly_the_hour() {
    let price = spot_price();
    for offset in [0, 1, 12_345, HOUR / 2] {
        let start = QUARTER_PAST + offset;
        let minutes = (0..60).map(|minute| {
            let from = start + minute * MINUTE;
            price.charge(from, from + MINUTE, 1000).expect("in the calendar").money
        });
        let sum = minutes.fold(Money::ZERO, Money::saturating_add);
        assert_eq!(sum, "0.4387 USD".parse().expect("money"), "{offset}");
    }
}

#[test]
fn on_demand_prices_stand_in_for_other_regions_and_say_so() {
    let book = PriceBook::embedded();
    for (region, capacity, flags) in [
        ("us-east-1", "on-demand", PriceFlags::NONE),
        ("us-east-1", "", PriceFlags::NONE),
        ("eu-west-1", "on-demand", PriceFlags::APPROXIMATE),
        ("", "on-demand", PriceFlags::APPROXIMATE),
    ] {
        let price = book.resolve_instance(region, "p5.48xlarge", capacity).expect("listed");
        assert_eq!((price.rate.to_string().as_str(), price.flags), ("55.04 USD per hour", flags), "{region}");
        let amount = price.charge(0, HOUR, 1000).expect("in the calendar");
        assert_eq!((amount.money, amount.flags), ("55.04 USD".parse().expect("money"), flags));
    }
}

#[test]
fn spot_without_a_price_is_unpriced_unless_a_share_is_declared() {
    let embedded = PriceBook::embedded();
    let unknown = |kind: &str, capacity: &str| {
        Err(UnpricedReason::UnknownInstance {
            instance_type: kind.to_owned(),
            capacity_type: capacity.to_owned(),
        })
    };
    assert_eq!(embedded.resolve_instance("us-east-1", "g5.xlarge", "spot"), unknown("g5.xlarge", "spot"));
    assert_eq!(
        embedded.resolve_instance("us-east-1", "z9.mega", "on-demand"),
        unknown("z9.mega", "on-demand")
    );
    assert_eq!(
        embedded.resolve_instance("us-east-1", "g5.xlarge", "reserved"),
        unknown("g5.xlarge", "reserved")
    );
    let thirty: Percent = "30%".parse().expect("percent");
    let share =
        PriceOverrides { name: "s".to_owned(), spot_share: Some(thirty), ..PriceOverrides::default() };
    let book = embedded.with_overrides(&share).expect("a share");
    let price = book.resolve_instance("us-east-1", "g5.xlarge", "spot").expect("a share of 1.006");
    assert_eq!(price.rate, "0.3018 USD per hour".parse::<HourRate>().expect("rate"));
    assert_eq!(price.flags, PriceFlags::APPROXIMATE);
}

#[test]
fn a_region_of_its_own_wins_over_every_region() {
    let mut overrides = spot("0.4387 USD per hour");
    let mut here = overrides.instances[0].clone();
    here.region = Some("eu-west-1".to_owned());
    here.price = "0.5 USD per hour".parse().expect("rate");
    overrides.instances.push(here);
    let book = PriceBook::embedded().with_overrides(&overrides).expect("plausible");
    let rate =
        |region| book.resolve_instance(region, "g5.xlarge", "spot").expect("declared").rate.to_string();
    assert_eq!(rate("eu-west-1"), "0.50 USD per hour");
    assert_eq!(rate("us-east-1"), "0.4387 USD per hour");
}

#[test]
fn a_slipped_spot_price_is_refused() {
    for (price, said) in [
        (
            "0.04387 USD per hour",
            "price of `*/g5.xlarge/spot`: Spot at `0.04387 USD per hour` is far from `1.006 USD per hour` on \
             demand; correct it, or add the key to `accept`",
        ),
        (
            "4.387 USD per hour",
            "price of `*/g5.xlarge/spot`: Spot at `4.387 USD per hour` is far from `1.006 USD per hour` on demand; \
             correct it, or add the key to `accept`",
        ),
        (
            "0 USD per hour",
            "price of `*/g5.xlarge/spot`: a price of zero must be accepted by name; add the key to `accept`, or \
             leave the price out",
        ),
        (
            "0.0043 USD per hour",
            "price of `*/g5.xlarge/spot`: `0.0043 USD per hour` is outside `0.01 USD per hour` to `1000.00 USD per \
             hour`; correct it, or add the key to `accept`",
        ),
    ] {
        let refused = PriceBook::embedded().with_overrides(&spot(price)).expect_err(price);
        assert_eq!(refused.iter().map(ToString::to_string).collect::<Vec<_>>(), [said]);
        let mut accepted = spot(price);
        accepted.accept.insert("*/g5.xlarge/spot".to_owned());
        PriceBook::embedded().with_overrides(&accepted).expect("accepted by name");
    }
    // The next Spot price is judged against the last one.
    let first = PriceBook::embedded().with_overrides(&spot("0.4387 USD per hour")).expect("plausible");
    let next = PriceBook::embedded().with_overrides_after(&spot("0.1 USD per hour"), &first);
    let said = next.expect_err("a quarter").remove(0).to_string();
    assert!(said.contains("`0.10 USD per hour` is 1/4 of the last accepted price"), "{said}");
}

#[test]
fn time_that_runs_backwards_or_off_the_calendar_is_no_price() {
    let price = spot_price();
    assert_eq!(price.charge(QUARTER_PAST, QUARTER_PAST - 1, 1000), Err(UnpricedReason::BadTime));
    assert!(price.charge(QUARTER_PAST, QUARTER_PAST, 1000).expect("no time").money.is_zero());
    assert!(price.charge(i64::MIN, i64::MAX, u32::MAX).is_ok(), "the widest stretch fits");
    assert_eq!(price.charge(0, HOUR, 250).expect("a quarter of the GPUs").money.picos(), 109_675_000_000);
}

proptest! {
    #[test]
    fn stretches_that_follow_one_another_add_up(
        start in -10_i64.pow(13)..10_i64.pow(13), first in 0..10_i64.pow(8), second in 0..10_i64.pow(8),
        share in 1..=1000_u32,
    ) {
        let price = spot_price();
        let cost = |from, to| price.charge(from, to, share).expect("in the calendar").money;
        let (middle, end) = (start + first, start + first + second);
        prop_assert_eq!(cost(start, middle).checked_add(cost(middle, end)), Some(cost(start, end)));
        // Within one pico-dollar of the exact cost.
        let exact = 438_700_000_000_i128 * i128::from(share) * i128::from(first);
        let off = cost(start, middle).picos() * 3_600_000_000 - exact;
        prop_assert!(off.abs() <= 2 * 3_600_000_000, "{}", off);
    }
}
