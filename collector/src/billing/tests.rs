use policy::fact::{IdKey, UsageBatch};

use super::*;
use crate::deadletter::Reason;
use crate::recorded::Wrong;
use policy::fact::{Billed, Quantities, UsageBatchBuilder};
use policy::money::Money;
use policy::rule::ChargeKind;
use policy::subject::Trust;

const FOCUS: &str = include_str!("../../samples/focus-1.2-export.csv");

fn read(text: &str) -> (UsageBatch, Vec<Wrong>, LeftOut) {
    let mut bill = Bill::new("bill.csv", text.as_bytes()).unwrap();
    let mut out = UsageBatchBuilder::new(IdKey([1, 2]), SOURCE, false);
    let mut wrong = Vec::new();
    while bill.read(2, &mut out, &mut wrong).unwrap() {}
    (out.finish(), wrong, bill.left_out().clone())
}

#[test]
fn a_row_of_a_focus_export_is_a_charge_at_the_end_of_its_period() {
    let (batch, wrong, left_out) = read(FOCUS);
    assert_eq!((wrong.len(), left_out.len(), batch.rows.len()), (0, 0, 1));
    let row = &batch.rows[0];
    let amount = Money::from_picos(3_960_000_000);
    assert_eq!(row.quantities, Quantities::Billed(Billed { amount, kind: ChargeKind::Tokens }));
    assert_eq!(row.occurred_at.to_string(), "2026-11-20T10:59:59.999Z");
    assert_eq!(batch.key_of(row), "bill.csv:2");
    let origin = &batch.origins[0];
    assert_eq!((&*origin.provider, &*origin.region), ("aws.bedrock", "us-east-1"));
    assert_eq!(&*origin.model, "us.anthropic.claude-sonnet-4-6");
    assert_eq!(origin.record, Trust::Trusted);
    let tenant = ("tenant".into(), "acme".into(), Trust::Trusted);
    assert!(origin.claims.contains(&tenant), "{:?}", origin.claims);
}

#[test]
fn both_spellings_of_a_cost_and_usage_report_are_read() {
    let old = "lineItem/LineItemType,lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/ProductCode,\
               lineItem/UsageType,lineItem/UnblendedCost,lineItem/CurrencyCode,resourceTags/user:tenant\n\
               Usage,2026-11-20T10:00:00Z,2026-11-20T11:00:00Z,AmazonEC2,USE1-BoxUsage:g5.xlarge,1.006,USD,acme\n";
    let new = "line_item_line_item_type,line_item_usage_start_date,line_item_usage_end_date,\
               line_item_product_code,line_item_usage_type,line_item_unblended_cost,line_item_currency_code,\
               resource_tags\n\
               Usage,2026-11-20 10:00:00.000,2026-11-20 11:00:00.000,AmazonEC2,USE1-BoxUsage:g5.xlarge,1.006,USD,\
               \"{\"\"user_tenant\"\":\"\"acme\"\",\"\"aws:createdBy\"\":\"\"x\"\"}\"\n";
    for text in [old, new] {
        let (batch, wrong, _) = read(text);
        assert_eq!(wrong, [], "{text}");
        let amount = Money::from_picos(1_006_000_000_000);
        let billed = Quantities::Billed(Billed { amount, kind: ChargeKind::Gpu });
        assert_eq!(batch.rows[0].quantities, billed, "{text}");
        assert_eq!(batch.rows[0].occurred_at.to_string(), "2026-11-20T10:59:59.999Z");
        assert_eq!(batch.origins[0].claims, [("tenant".into(), "acme".into(), Trust::Trusted)]);
    }
}

#[test]
fn credits_and_taxes_are_left_out_and_counted() {
    let text = "ChargeCategory,ChargePeriodStart,BilledCost\n\
                Usage,2026-11-20T10:00:00Z,1\nCredit,2026-11-20T10:00:00Z,-5\nTax,2026-11-20T10:00:00Z,0.2\n\
                Usage,2026-11-20T10:00:00Z,-1\n";
    let (batch, wrong, left_out) = read(text);
    assert_eq!((batch.rows.len(), wrong.len()), (1, 0));
    let left: Vec<_> = left_out.iter().map(|(kind, (count, sum))| (&**kind, *count, sum.picos())).collect();
    let usd = 1_000_000_000_000;
    assert_eq!(left, [("Credit", 1, -5 * usd), ("Tax", 1, usd / 5), ("negative usage", 1, -usd)]);
}

#[test]
fn a_row_that_cannot_be_used_is_told_with_its_line() {
    let text = "ChargePeriodStart,BilledCost,BillingCurrency\n\
                2026-11-20T10:00:00Z,much,USD\n2026-11-20T10:00:00Z,1,EUR\nyesterday,1,USD\n\
                2026-11-20T10:00:00Z,1,USD\n2026-11-20T10:00:00Z\n";
    let (batch, wrong, _) = read(text);
    assert_eq!(batch.rows.len(), 1);
    let told: Vec<_> = wrong.iter().map(|w| (w.at, w.reason)).collect();
    assert_eq!(told, [2, 3, 4, 6].map(|line| (line, Reason::BadField)));
    assert!(wrong[1].detail.contains("only USD"), "{}", wrong[1].detail);
}

#[test]
fn a_table_that_is_no_bill_says_which_column_is_missing() {
    let error = Bill::new("x.csv", "a,b\n1,2\n".as_bytes()).unwrap_err();
    assert!(error.to_string().contains("no column `BilledCost`"), "{error}");
}

#[test]
fn a_quote_that_is_never_closed_ends_the_file_and_not_the_memory() {
    let endless = "x".repeat(9 << 20);
    let text = format!("ChargePeriodStart,BilledCost\n2026-11-20T10:00:00Z,1\n\"{endless}");
    let mut bill = Bill::new("x.csv", text.as_bytes()).unwrap();
    let mut out = UsageBatchBuilder::new(IdKey([1, 2]), SOURCE, false);
    let error = bill.read(100, &mut out, &mut Vec::new()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("a row has more than 4 MiB"), "{cause}");
    assert_eq!(out.len(), 1);
}
