//! Decimal money as bills write it: `0.0039600000`, `-1.5`, `1.2E-7`.

use policy::money::Money;

/// Decimal places of a pico-dollar.
const PLACES: i32 = 12;
/// Digits beyond which an amount is absurd, and would not fit.
const MOST_DIGITS: usize = 34;

/// Reads a decimal amount of USD, to the nearest pico-dollar. `None` for what is no number or too large.
pub(super) fn usd(text: &str) -> Option<Money> {
    let text = text.trim();
    let (text, exponent) = match text.split_once(['e', 'E']) {
        Some((head, exponent)) => (head, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let digits: Vec<u8> = whole.bytes().chain(part.bytes()).collect();
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // The value is `digits` × 10^(exponent − part.len()) USD.
    let shift = exponent.checked_sub(i32::try_from(part.len()).ok()?)?.checked_add(PLACES)?;
    let picos = scaled(&digits, shift)?;
    Some(Money::from_picos(if negative { -picos } else { picos }))
}

/// `digits` × 10^shift, to the nearest.
fn scaled(digits: &[u8], shift: i32) -> Option<i128> {
    let first = digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    let digits = &digits[first..];
    let kept = i64::try_from(digits.len()).ok()? + i64::from(shift.min(0));
    let kept = usize::try_from(kept.max(0)).ok()?;
    let zeros = usize::try_from(shift.max(0)).ok()?;
    if digits.is_empty() {
        return Some(0);
    }
    if kept.checked_add(zeros)? > MOST_DIGITS {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0_i128, |sum, d| sum * 10 + i128::from(d - b'0'));
    let up = shift < 0 && kept < digits.len() && is_half(digits, shift, kept);
    Some(number(&digits[..kept]) * 10_i128.pow(u32::try_from(zeros).ok()?) + i128::from(up))
}

/// Whether what is cut off is at least a half.
fn is_half(digits: &[u8], shift: i32, kept: usize) -> bool {
    let cut = shift.unsigned_abs() as usize;
    // Fewer digits than places that are cut: a zero stands first.
    cut <= digits.len() && digits[kept] >= b'5'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_to_the_last_pico_dollar() {
        for (text, picos) in [
            ("0.0039600000", 3_960_000_000),
            ("1", 1_000_000_000_000),
            (" 12.5 ", 12_500_000_000_000),
            ("-1.5", -1_500_000_000_000),
            ("1.2E-7", 120_000),
            ("5e2", 500_000_000_000_000),
            (".5", 500_000_000_000),
            ("0", 0),
            ("0.0000000000004", 0),
            ("0.0000000000005", 1),
            ("0.00000000000049999", 0),
            ("0.00000000000005", 0),
            ("0.1234567890125", 123_456_789_013),
            ("1E-40", 0),
        ] {
            assert_eq!(usd(text), Some(Money::from_picos(picos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_too_large_is_none() {
        for text in
            ["", "-", ".", "1,5", "1.5 USD", "NaN", "inf", "0x10", "1e", "1e99", "1e2147483647", "--1"]
        {
            assert_eq!(usd(text), None, "{text}");
        }
    }
}
