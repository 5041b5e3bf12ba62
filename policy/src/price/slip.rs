//! What somebody may have meant who wrote a price that is not believed.
//!
//! A slip of units is a power of ten: a price per token typed as one per million, a price per thousand, a
//! decimal point too far. So the suggestion is the new price moved by that power which brings it near the
//! price that is known, and never the known price itself, which nobody wrote.

use std::ops::RangeInclusive;

use crate::money::TokenRate;

/// A slip of the decimal point is that far away at most: 12 places.
const PLACES: u32 = 12;

/// A price moved by a power of ten is what was meant where it is within three times of a known one.
const NEAR: u64 = 3;

/// The powers of ten that units of prices differ by, the most usual first: per million, per thousand.
const UNITS: [u32; 2] = [6, 3];

/// The new price moved by a power of ten, near one of the known prices; where none is known, moved from one
/// unit to another and believable. In pico-dollars.
pub(super) fn meant(new: u64, known: &[u64], believed: RangeInclusive<u64>) -> Option<u64> {
    let is_near = |picos: &u64| {
        known.iter().any(|known| *picos < known.saturating_mul(NEAR) && *known < picos.saturating_mul(NEAR))
    };
    if !known.is_empty() {
        return (1..=PLACES).flat_map(|places| moved(new, places)).find(is_near);
    }
    if believed.contains(&new) {
        return None;
    }
    UNITS.into_iter().flat_map(|places| moved(new, places)).find(|picos| believed.contains(picos))
}

/// The price so many places further right and left, where it is still a whole number of pico-dollars.
fn moved(picos: u64, places: u32) -> impl Iterator<Item = u64> {
    let by = 10_u64.checked_pow(places);
    let less = by.and_then(|by| picos.checked_div(by).filter(|less| less.checked_mul(by) == Some(picos)));
    let more = by.and_then(|by| picos.checked_mul(by));
    less.into_iter().chain(more)
}

/// What to do about a price that is not believed.
pub(super) fn instead(meant: Option<String>) -> String {
    match meant {
        Some(meant) => format!("did you mean {meant}? if not, add the key to `accept`"),
        None => "correct it, or add the key to `accept`".to_owned(),
    }
}

/// A rate as the short form has it: "`3.30 USD per 1M tokens`".
pub(super) fn in_short(rate: TokenRate) -> String {
    format!("`{rate}`")
}

/// A rate for people, and as LiteLLM's file has it: "3.30 USD per 1M tokens, `3.3e-06`".
pub(super) fn in_both_forms(rate: TokenRate) -> String {
    format!("{rate}, `{}`", per_token(rate))
}

/// A rate in USD per token, as LiteLLM writes it: `3.3e-06`.
pub(super) fn per_token(rate: TokenRate) -> String {
    let picos = rate.picos().to_string();
    let digits = picos.trim_end_matches('0');
    let Some((first, rest)) = digits.split_at_checked(1) else { return "0.0".to_owned() };
    // As many digits as before the point, less one, less the 12 decimals of a pico-dollar.
    let exponent = i64::try_from(picos.len()).unwrap_or(0).saturating_sub(13);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{first}{point}{rest}e{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BELIEVED: RangeInclusive<u64> = 1_000..=1_000_000_000;

    #[test]
    fn a_slip_of_any_power_of_ten_is_found_by_a_known_price() {
        for places in 1..=11 {
            let slipped = 3_300_000 * 10_u64.pow(places);
            assert_eq!(meant(slipped, &[3_000_000], BELIEVED), Some(3_300_000), "{places}");
        }
        for places in 1..=5 {
            let slipped = 3_300_000 / 10_u64.pow(places);
            assert_eq!(meant(slipped, &[3_000_000], BELIEVED), Some(3_300_000), "{places}");
        }
    }

    #[test]
    fn what_is_no_power_of_ten_away_is_not_guessed() {
        assert_eq!(meant(10_000_000, &[3_200_000], BELIEVED), None, "three times is no slip of the point");
        assert_eq!(meant(4_000_000, &[], BELIEVED), None, "it is believable already");
    }

    #[test]
    fn without_a_known_price_units_are_tried() {
        assert_eq!(meant(3_300_000_000_000, &[], BELIEVED), Some(3_300_000), "per million as per token");
        assert_eq!(meant(3, &[], BELIEVED), Some(3_000_000), "per token as per million");
    }

    #[test]
    fn a_rate_is_written_as_litellm_writes_it() {
        for (picos, text) in [
            (3_300_000, "3.3e-06"),
            (330_000, "3.3e-07"),
            (16_500_000, "1.65e-05"),
            (1, "1e-12"),
            (1_000_000_000_000, "1e+00"),
            (0, "0.0"),
        ] {
            assert_eq!(per_token(TokenRate::from_picos(picos).expect("in range")), text);
        }
    }
}
