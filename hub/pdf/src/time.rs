//! Times as PDF (ISO 32000-2 §7.9.4) and CMS (`UTCTime`, `GeneralizedTime`) write them. What does not read is
//! no time: it is only ever a claim.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// `D:YYYYMMDDHHmmSSOHH'mm'`, from the year on everything optional; without an offset it counts as UTC.
pub(crate) fn pdf(text: &[u8]) -> Option<Timestamp> {
    let text = text.strip_prefix(b"D:").unwrap_or(text);
    let digits = text
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count()
        .min(14);
    if digits < 4 || digits % 2 == 1 {
        return None;
    }
    let (mut local, rest) = ([*b"0000", *b"0101", *b"0000", *b"0000"].concat(), &text[digits..]);
    local.truncate(14);
    local[..digits].copy_from_slice(&text[..digits]);
    at(&local, offset(rest)?)
}

/// `YYMMDDHHMMSSZ`; years from 50 on are of the last century (RFC 5280 §4.1.2.5.1).
pub(crate) fn utc(text: &[u8]) -> Option<Timestamp> {
    let digits: &[u8; 12] = text.strip_suffix(b"Z")?.try_into().ok()?;
    let century: &[u8] = if digits[0] >= b'5' { b"19" } else { b"20" };
    at(&[century, digits].concat(), Offset::UTC)
}

/// `YYYYMMDDHHMMSS[.f]Z`; fractions are dropped.
pub(crate) fn generalized(text: &[u8]) -> Option<Timestamp> {
    let text = text.strip_suffix(b"Z")?;
    let (seconds, fraction) = text.split_at_checked(14)?;
    let plain = match fraction.split_first() {
        None => true,
        Some((b'.' | b',', digits)) => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    };
    plain.then(|| at(seconds, Offset::UTC))?
}

/// `Z`, nothing, or `+07'00'` with either apostrophe left out.
fn offset(text: &[u8]) -> Option<Offset> {
    let (sign, rest) = match text.split_first() {
        None | Some((b'Z', _)) => return Some(Offset::UTC),
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        Some(_) => return None,
    };
    let hours = number(rest.get(..2)?)?;
    let rest = rest[2..].strip_prefix(b"'").unwrap_or(&rest[2..]);
    let minutes = match rest.get(..2) {
        Some(minutes) => number(minutes)?,
        None => 0,
    };
    Offset::from_seconds(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60)).ok()
}

/// Fourteen digits at an offset.
fn at(digits: &[u8], offset: Offset) -> Option<Timestamp> {
    let part = |from: usize, length: usize| number(digits.get(from..from + length)?);
    let two = |from| i8::try_from(part(from, 2)?).ok();
    // A leap second is the second before it.
    let second = two(12)?.min(59);
    let local = DateTime::new(part(0, 4)?, two(4)?, two(6)?, two(8)?, two(10)?, second, 0).ok()?;
    let utc = local
        .checked_sub(SignedDuration::from_secs(offset.seconds().into()))
        .ok()?;
    Offset::UTC.to_timestamp(utc).ok()
}

fn number(digits: &[u8]) -> Option<i16> {
    digits.iter().try_fold(0_i16, |value, digit| {
        let digit = i16::try_from(char::from(*digit).to_digit(10)?).ok()?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(at: Option<Timestamp>) -> String {
        at.map_or("-".to_owned(), |at| at.to_string())
    }

    #[test]
    fn pdf_dates() {
        for (text, expected) in [
            ("D:20261123084109Z", "2026-11-23T08:41:09Z"),
            ("D:20261123084109+07'00'", "2026-11-23T01:41:09Z"),
            ("D:20261123084109+07'00", "2026-11-23T01:41:09Z"),
            ("D:20261123084109+0730", "2026-11-23T01:11:09Z"),
            ("D:20261123084109-03", "2026-11-23T11:41:09Z"),
            ("20261123084109", "2026-11-23T08:41:09Z"),
            ("D:202611", "2026-11-01T00:00:00Z"),
            ("D:2026", "2026-01-01T00:00:00Z"),
            ("D:20261123084160Z", "2026-11-23T08:41:59Z"),
            ("D:20261323084109Z", "-"),
            ("D:20260230", "-"),
            ("D:202", "-"),
            ("D:20261", "-"),
            ("D:20261123084109?", "-"),
            ("D:20261123084109+99'99'", "-"),
            ("", "-"),
        ] {
            assert_eq!(shown(pdf(text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn asn1_times() {
        assert_eq!(shown(utc(b"261123084109Z")), "2026-11-23T08:41:09Z");
        assert_eq!(shown(utc(b"501123084109Z")), "1950-11-23T08:41:09Z");
        assert_eq!(shown(utc(b"2611230841Z")), "-");
        assert_eq!(shown(utc(b"261123084109")), "-");
        assert_eq!(shown(generalized(b"20261123084109Z")), "2026-11-23T08:41:09Z");
        assert_eq!(shown(generalized(b"20261123084109.25Z")), "2026-11-23T08:41:09Z");
        for bad in [
            &b"20261123084109"[..],
            b"20261123084109.Z",
            b"2026112308410Z",
            b"Z",
            b"",
        ] {
            assert_eq!(shown(generalized(bad)), "-");
        }
    }
}
