//! One usage as bytes, on its way through the sort.
//!
//! Small, because ten million of them are sorted; without a schema of its own, because nothing keeps them for
//! longer than the command runs. Each begins with where it stands in the order, and how long it is.

use policy::fact::{Billed, FactId, InstanceUse, Origin, Quantities, Usage, UsageFlags};
use policy::money::Money;
use policy::price::TokenCounts;
use policy::rule::ChargeKind;
use policy::time::Timestamp;

/// Whose a usage is: of the origins that are known by number, or one of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// By its number.
    Known(u32),
    /// Beyond the origins that are kept: with its digest.
    Own(Box<Origin>, u128),
}

/// A usage with all that a batch keeps beside it. Its `origin` and `key` mean nothing here.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'k> {
    /// Where it stands in the order: milliseconds since the epoch.
    pub at: Timestamp,
    /// Number of its source.
    pub source: u16,
    /// Whose it is.
    pub whose: Whose,
    /// The usage.
    pub usage: Usage,
    /// Its raw id.
    pub key: &'k str,
    /// Its further ids.
    pub links: Vec<FactId>,
}

/// Why bytes are no row: the file that they were put in was changed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sorted rows cannot be read back")]
pub struct Torn;

/// Bytes before what is in a row: its place in the order, and its length.
pub const HEAD: usize = 12;

/// Appends a row.
pub fn write(row: &Row<'_>, out: &mut Vec<u8>) {
    let (usage, began) = (&row.usage, out.len());
    out.extend_from_slice(&row.at.millis().to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    number(zigzag(usage.occurred_at.since(row.at).millis()), out);
    out.extend_from_slice(&usage.id.0.to_le_bytes());
    out.extend_from_slice(&usage.content.to_le_bytes());
    number(u64::from(row.source), out);
    match &row.whose {
        Whose::Known(origin) => number(u64::from(*origin) + 1, out),
        Whose::Own(origin, digest) => {
            number(0, out);
            out.extend_from_slice(&digest.to_le_bytes());
            let bytes = postcard::to_stdvec(origin).unwrap_or_default();
            number(bytes.len() as u64, out);
            out.extend_from_slice(&bytes);
        }
    }
    number(u64::from(usage.flags.0), out);
    quantities(&usage.quantities, out);
    number(row.key.len() as u64, out);
    out.extend_from_slice(row.key.as_bytes());
    number(row.links.len() as u64, out);
    for link in &row.links {
        out.extend_from_slice(&link.0.to_le_bytes());
    }
    let length = u32::try_from(out.len() - began).unwrap_or(u32::MAX);
    out[began + 8..began + HEAD].copy_from_slice(&length.to_le_bytes());
}

fn quantities(used: &Quantities, out: &mut Vec<u8>) {
    match used {
        Quantities::Tokens(t) => {
            out.push(0);
            for count in [t.input, t.cache_read, t.cache_write_5m, t.cache_write_1h, t.output] {
                number(count, out);
            }
        }
        Quantities::Instance(i) => {
            out.push(1);
            out.extend_from_slice(&i.start.millis().to_le_bytes());
            out.extend_from_slice(&i.end.millis().to_le_bytes());
            number(u64::from(i.share_milli), out);
        }
        Quantities::Other(units) => {
            out.push(2);
            number(*units, out);
        }
        Quantities::Nothing => out.push(3),
        Quantities::Billed(billed) => {
            out.push(4);
            out.extend_from_slice(&billed.amount.picos().to_le_bytes());
            out.push(billed.kind as u8);
        }
    }
}

/// LEB128.
fn number(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7F) as u8);
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Where a row stands in the order, and its length in bytes.
///
/// # Errors
/// When there are fewer bytes than [`HEAD`].
pub fn head(bytes: &[u8]) -> Result<(Timestamp, usize), Torn> {
    let mut rest = Rest(bytes);
    let at = Timestamp::from_millis(i64::from_le_bytes(rest.take()?));
    let length = usize::try_from(u32::from_le_bytes(rest.take()?)).map_err(|_| Torn)?;
    Ok((at, length))
}

/// Reads a row from its bytes.
///
/// # Errors
/// When they do not hold a whole row.
pub fn read(bytes: &[u8]) -> Result<Row<'_>, Torn> {
    let (at, length) = head(bytes)?;
    let mut rest = Rest(bytes.get(HEAD..length).ok_or(Torn)?);
    let away = unzigzag(rest.number()?);
    let id = FactId(u128::from_le_bytes(rest.take()?));
    let content = u32::from_le_bytes(rest.take()?);
    let source = u16::try_from(rest.number()?).map_err(|_| Torn)?;
    let whose = rest.whose()?;
    let flags = UsageFlags(u16::try_from(rest.number()?).map_err(|_| Torn)?);
    let quantities = rest.quantities()?;
    let length = rest.length()?;
    let key = std::str::from_utf8(rest.bytes(length)?).map_err(|_| Torn)?;
    let count = rest.length()?;
    let mut links = Vec::new();
    for _ in 0..count {
        links.push(FactId(u128::from_le_bytes(rest.take()?)));
    }
    let occurred_at = Timestamp::from_millis(at.millis().wrapping_add(away));
    let usage =
        Usage { id, content, origin: 0, key: 0, key_len: 0, flags, occurred_at, quantities, position: None };
    Ok(Row { at, source, whose, usage, key, links })
}

struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn bytes(&mut self, count: usize) -> Result<&'b [u8], Torn> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Torn)?;
        self.0 = rest;
        Ok(head)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Torn> {
        self.bytes(N)?.try_into().map_err(|_| Torn)
    }

    fn number(&mut self) -> Result<u64, Torn> {
        let (mut value, mut shift) = (0_u64, 0_u32);
        loop {
            let [byte] = self.take()?;
            value |= u64::from(byte & 0x7F).checked_shl(shift).ok_or(Torn)?;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    fn length(&mut self) -> Result<usize, Torn> {
        usize::try_from(self.number()?).map_err(|_| Torn)
    }

    fn whose(&mut self) -> Result<Whose, Torn> {
        match self.number()? {
            0 => {
                let digest = u128::from_le_bytes(self.take()?);
                let length = self.length()?;
                let origin = postcard::from_bytes(self.bytes(length)?).map_err(|_| Torn)?;
                Ok(Whose::Own(Box::new(origin), digest))
            }
            known => Ok(Whose::Known(u32::try_from(known - 1).map_err(|_| Torn)?)),
        }
    }

    fn quantities(&mut self) -> Result<Quantities, Torn> {
        let [kind] = self.take()?;
        Ok(match kind {
            0 => {
                let mut counts = [0; 5];
                for count in &mut counts {
                    *count = self.number()?;
                }
                let [input, cache_read, cache_write_5m, cache_write_1h, output] = counts;
                Quantities::Tokens(TokenCounts { input, cache_read, cache_write_5m, cache_write_1h, output })
            }
            1 => Quantities::Instance(InstanceUse {
                start: Timestamp::from_millis(i64::from_le_bytes(self.take()?)),
                end: Timestamp::from_millis(i64::from_le_bytes(self.take()?)),
                share_milli: u32::try_from(self.number()?).map_err(|_| Torn)?,
            }),
            2 => Quantities::Other(self.number()?),
            3 => Quantities::Nothing,
            4 => {
                let amount = Money::from_picos(i128::from_le_bytes(self.take()?));
                let kinds = [ChargeKind::Tokens, ChargeKind::Gpu, ChargeKind::Other];
                let [kind] = self.take()?;
                let kind = kinds.into_iter().find(|known| *known as u8 == kind).ok_or(Torn)?;
                Quantities::Billed(Billed { amount, kind })
            }
            _ => return Err(Torn),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(quantities: Quantities, whose: Whose) -> Row<'static> {
        let at = Timestamp::from_millis(1_793_491_200_000);
        let usage = Usage {
            id: FactId(u128::MAX - 7),
            content: 0xDEAD_BEEF,
            origin: 0,
            key: 0,
            key_len: 0,
            flags: UsageFlags(257),
            occurred_at: Timestamp::from_millis(1_793_491_100_123),
            quantities,
            position: None,
        };
        Row {
            at,
            source: 300,
            whose,
            usage,
            key: "111122223333:us-east-1:ä",
            links: vec![FactId(1), FactId(2)],
        }
    }

    #[test]
    fn every_kind_of_usage_comes_back_as_it_went() {
        let counts = TokenCounts {
            input: 0,
            cache_read: 127,
            cache_write_5m: 128,
            cache_write_1h: u64::MAX,
            output: 1,
        };
        let (start, end) = (Timestamp::from_millis(-5), Timestamp::MAX);
        let amount = Money::from_picos(-3);
        let origin = Origin { model: "m".into(), account: "1".into(), ..Origin::default() };
        let all = [
            row(Quantities::Tokens(counts), Whose::Known(0)),
            row(Quantities::Instance(InstanceUse { start, end, share_milli: 7 }), Whose::Known(u32::MAX)),
            row(Quantities::Other(9), Whose::Own(Box::new(origin), 77)),
            row(Quantities::Nothing, Whose::Known(3)),
            row(Quantities::Billed(Billed { amount, kind: ChargeKind::Gpu }), Whose::Known(4)),
        ];
        let mut bytes = Vec::new();
        for row in &all {
            write(row, &mut bytes);
        }
        let mut rest = &bytes[..];
        for row in &all {
            let (at, length) = head(rest).unwrap();
            assert_eq!(at, row.at);
            assert_eq!(read(rest), Ok(row.clone()));
            rest = &rest[length..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn bytes_that_were_cut_are_torn_and_no_panic() {
        let mut bytes = Vec::new();
        write(&row(Quantities::Nothing, Whose::Known(3)), &mut bytes);
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]).unwrap_err(), Torn, "{end}");
        }
    }
}
