//! The two headers that name a part of a body: `Content-Range` of a PUT, `Range` of a GET (RFC 9110 §14).

use std::ops::Range;

/// What a PUT says about the bytes it brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `bytes <start>-<end>/<total>`.
    Bytes {
        /// First byte.
        start: u64,
        /// How many bytes.
        length: u64,
        /// Of how many.
        total: u64,
    },
    /// `bytes */<total>`: none; go on with what is there.
    Nothing {
        /// Of how many.
        total: u64,
    },
}

/// Reads `Content-Range`. The whole size must be told: quota and room are judged by it. `None` when it does not read.
#[must_use]
pub fn content_range(text: &str) -> Option<Part> {
    let (part, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let total = number(total)?;
    if part == "*" {
        return Some(Part::Nothing { total });
    }
    let (first, last) = part.split_once('-')?;
    let (start, last) = (number(first)?, number(last)?);
    if start > last || last >= total {
        return None;
    }
    Some(Part::Bytes {
        start,
        length: last - start + 1,
        total,
    })
}

/// What a GET is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The whole body: there is no `Range`, or one that may be ignored (several ranges, another unit, nonsense).
    Whole,
    /// One part of it.
    Part(Range<u64>),
    /// A part that lies outside.
    Outside,
}

/// Reads `Range` for a body of `size` bytes.
#[must_use]
pub fn range(text: &str, size: u64) -> Wanted {
    let Some((first, last)) = text
        .trim()
        .strip_prefix("bytes=")
        .filter(|ranges| !ranges.contains(','))
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::Whole;
    };
    let (start, end) = match (first.trim(), last.trim()) {
        ("", "") => return Wanted::Whole,
        // The last so many bytes.
        ("", count) => match number(count) {
            Some(0) => return Wanted::Outside,
            Some(count) => (size.saturating_sub(count), size),
            None => return Wanted::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => (first, size),
            None => return Wanted::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(size)),
            _ => return Wanted::Whole,
        },
    };
    if start < size && start < end {
        Wanted::Part(start..end)
    } else {
        Wanted::Outside
    }
}

/// Digits alone: `parse` would take a sign, too.
fn number(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_names_its_part_and_the_whole() {
        let bytes = |start, length, total| Some(Part::Bytes { start, length, total });
        assert_eq!(content_range("bytes 0-0/1"), bytes(0, 1, 1));
        assert_eq!(content_range("bytes 5-9/10"), bytes(5, 5, 10));
        assert_eq!(content_range("bytes */10"), Some(Part::Nothing { total: 10 }));
        let most = u64::MAX;
        assert_eq!(
            content_range(&format!("bytes 0-{}/{most}", most - 1)),
            bytes(0, most, most)
        );
        for bad in [
            "",
            "bytes",
            "bytes 0-9",
            "bytes 0-9/*",
            "bytes 0-10/10",
            "bytes 5-4/10",
            "bytes +1-2/3",
            "bytes 1-/3",
            "items 0-1/2",
            "bytes 0-1/18446744073709551616",
            "bytes 0-1/2/3",
            "bytes */",
        ] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_get_asks_for_one_part() {
        let size = 10;
        for (text, wanted) in [
            ("bytes=0-", Wanted::Part(0..10)),
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=9-", Wanted::Part(9..10)),
            ("bytes=3-100", Wanted::Part(3..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-100", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Outside),
            ("bytes=11-12", Wanted::Outside),
            ("bytes=-0", Wanted::Outside),
            ("bytes=5-4", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(range(text, size), wanted, "{text}");
        }
        assert_eq!(
            range("bytes=0-18446744073709551615", u64::MAX),
            Wanted::Part(0..u64::MAX)
        );
    }
}
