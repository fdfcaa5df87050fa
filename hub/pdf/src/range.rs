//! Which bytes a signature covers: its `ByteRange`, held against the file.
//!
//! The two stretches must leave out exactly the hexadecimal string of the signature, and this string must be
//! the one the dictionary holds. Anything else in the gap would be content that nobody signed.

use truc_model::pdf::Coverage;

use crate::find::Found;

/// The bytes a signature covers.
pub(crate) struct Covered<'a> {
    /// The stretch before the signature, and the one after it.
    pub(crate) parts: [&'a [u8]; 2],
    /// How much of the file that is.
    pub(crate) coverage: Coverage,
    /// Where the second stretch ends.
    pub(crate) end: usize,
}

impl<'a> Covered<'a> {
    /// `None` when the range is not two stretches within the file.
    pub(crate) fn of(bytes: &'a [u8], found: &Found) -> Option<Self> {
        let &[start, length, second, second_length] = found.byte_range.as_deref()? else {
            return None;
        };
        let gap_start = start.checked_add(length)?;
        let end = second.checked_add(second_length)?;
        if gap_start > second {
            return None;
        }
        let parts = [bytes.get(start..gap_start)?, bytes.get(second..end)?];
        let gap = bytes.get(gap_start..second)?;
        let coverage = if start != 0 || !is_exactly(gap, &found.contents) {
            Coverage::Hole
        } else if end == bytes.len() {
            Coverage::WholeFile
        } else {
            Coverage::Partial {
                bytes_after: (bytes.len() - end) as u64,
            }
        };
        Some(Self { parts, coverage, end })
    }

    /// Digest of the covered bytes.
    pub(crate) fn digest(&self, algorithm: &'static ring::digest::Algorithm) -> ring::digest::Digest {
        let mut context = ring::digest::Context::new(algorithm);
        for part in self.parts {
            context.update(part);
        }
        context.finish()
    }
}

/// Whether the gap is `<`, the hexadecimal digits of `contents`, `>`, and nothing else: not even white space.
fn is_exactly(gap: &[u8], contents: &[u8]) -> bool {
    let Some(digits) = gap.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">")) else {
        return false;
    };
    let value = |digit: u8| char::from(digit).to_digit(16);
    digits.len() == contents.len() * 2
        && digits
            .chunks_exact(2)
            .zip(contents)
            .all(|(pair, &byte)| match (value(pair[0]), value(pair[1])) {
                (Some(high), Some(low)) => high * 16 + low == u32::from(byte),
                _ => false,
            })
}

#[cfg(test)]
mod tests {
    use truc_model::pdf::SubFilter;

    use super::*;

    fn found(byte_range: Option<&[usize]>) -> Found {
        Found {
            kind: SubFilter::Pades,
            byte_range: byte_range.map(<[usize]>::to_vec),
            contents: vec![0xAB, 0x01],
            signed_at: None,
        }
    }

    fn coverage(file: &str, range: &[usize]) -> Option<Coverage> {
        Covered::of(file.as_bytes(), &found(Some(range))).map(|covered| covered.coverage)
    }

    #[test]
    fn the_gap_is_exactly_the_signature() {
        assert_eq!(
            coverage("head<AB01>tail", &[0, 4, 10, 4]),
            Some(Coverage::WholeFile)
        );
        assert_eq!(
            coverage("head<ab01>tail", &[0, 4, 10, 4]),
            Some(Coverage::WholeFile)
        );
        assert_eq!(
            coverage("head<AB01>tail more", &[0, 4, 10, 4]),
            Some(Coverage::Partial { bytes_after: 5 })
        );
        for (file, range) in [
            ("head<AB01>tail", [1, 3, 10, 4]),
            ("head<AB01>tail", [0, 3, 10, 4]),
            ("head<AB01>tail", [0, 4, 11, 3]),
            ("head<AB01>tail", [0, 5, 9, 5]),
            ("head<AB02>tail", [0, 4, 10, 4]),
            ("head<AB 1>tail", [0, 4, 10, 4]),
            ("head<AB01 >tail", [0, 4, 11, 4]),
            ("head<AB01FF>tail", [0, 4, 12, 4]),
            ("head<A>tail...", [0, 4, 7, 7]),
            ("head(AB01)tail", [0, 4, 10, 4]),
        ] {
            assert_eq!(coverage(file, &range), Some(Coverage::Hole), "{file} {range:?}");
        }
    }

    #[test]
    fn a_range_outside_the_file_is_none() {
        for range in [
            &[0, 4, 10, 5][..],
            &[0, 4, 10],
            &[0, 4, 10, 4, 0],
            &[],
            &[0, 12, 10, 4],
            &[0, 4, usize::MAX, 4],
            &[4, usize::MAX, 10, 4],
        ] {
            assert_eq!(coverage("head<AB01>tail", range), None, "{range:?}");
        }
        assert!(Covered::of(b"head<AB01>tail", &found(None)).is_none());
    }
}
