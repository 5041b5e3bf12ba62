//! Where a bill has what is needed, under the names that exports give it.

use csv::StringRecord;

/// What is looked for, under each name that it has: FOCUS, CUR, and CUR 2.0 (which Data Exports write).
const NAMES: [(Column, &[&str]); 12] = [
    (Column::Amount, &["BilledCost", "lineItem/UnblendedCost", "line_item_unblended_cost"]),
    (Column::Currency, &["BillingCurrency", "lineItem/CurrencyCode", "line_item_currency_code"]),
    (Column::Start, &["ChargePeriodStart", "lineItem/UsageStartDate", "line_item_usage_start_date"]),
    (Column::End, &["ChargePeriodEnd", "lineItem/UsageEndDate", "line_item_usage_end_date"]),
    (Column::Category, &["ChargeCategory", "lineItem/LineItemType", "line_item_line_item_type"]),
    (Column::Account, &["SubAccountId", "lineItem/UsageAccountId", "line_item_usage_account_id"]),
    (Column::Region, &["RegionId", "product/regionCode", "product_region_code", "product/region"]),
    (Column::Service, &["ServiceName", "lineItem/ProductCode", "line_item_product_code"]),
    (Column::Sku, &["SkuId", "lineItem/UsageType", "line_item_usage_type"]),
    (Column::Unit, &["PricingUnit", "pricing/unit", "pricing_unit"]),
    (Column::Resource, &["ResourceId", "lineItem/ResourceId", "line_item_resource_id"]),
    (Column::Tags, &["Tags", "resource_tags"]),
];
/// How CUR names a column of a tag.
const TAG_COLUMN: &str = "resourceTags/user:";

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Amount,
    Currency,
    Start,
    End,
    Category,
    Account,
    Region,
    Service,
    Sku,
    Unit,
    Resource,
    Tags,
}

/// Where the columns of one bill stand.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    at: [Option<usize>; NAMES.len()],
    /// Columns that hold one tag each.
    pub tags: Vec<(usize, Box<str>)>,
}

impl Columns {
    /// Finds them in the head; the name of a column that a bill cannot do without, where it is missing.
    pub fn of(head: &StringRecord) -> Result<Self, &'static str> {
        let find = |names: &[&str]| {
            head.iter().position(|cell| names.iter().any(|name| cell.trim().eq_ignore_ascii_case(name)))
        };
        let at = NAMES.map(|(_, names)| find(names));
        for (column, missing) in [(Column::Amount, "BilledCost"), (Column::Start, "ChargePeriodStart")] {
            if at[column as usize].is_none() {
                return Err(missing);
            }
        }
        let tag = |(at, cell): (usize, &str)| Some((at, cell.trim().strip_prefix(TAG_COLUMN)?.into()));
        Ok(Self { at, tags: head.iter().enumerate().filter_map(tag).collect() })
    }

    /// A cell, trimmed; empty where the bill has no such column.
    pub fn cell<'r>(&self, row: &'r StringRecord, column: Column) -> &'r str {
        self.at[column as usize].and_then(|at| row.get(at)).unwrap_or("").trim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_stands_where_its_number_says() {
        for (at, (column, names)) in NAMES.iter().enumerate() {
            assert_eq!(*column as usize, at, "{names:?}");
        }
    }
}
