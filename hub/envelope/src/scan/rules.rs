//! Why a walk over the tokens ends early, and the rules of XML that the tokens leave to the reader.

use quick_xml::events::{BytesDecl, BytesStart};
use truc_model::RefusalCode;

use crate::limits::{MAX_MARKUP_BYTES, MAX_NAME_BYTES};
use crate::tokens::{Broken, Why};

/// Why the walk ended early.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) code: RefusalCode,
    /// Offset in the packet.
    pub(super) at: usize,
    pub(super) expected: String,
    pub(super) found: String,
}

impl Stop {
    pub(super) fn malformed(at: usize, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            code: RefusalCode::EnvelopeMalformed,
            at,
            expected: expected.into(),
            found: found.into(),
        }
    }

    pub(super) fn limit(at: usize, most: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            code: RefusalCode::EnvelopeLimit,
            at,
            expected: most.into(),
            found: found.into(),
        }
    }
}

/// Only XML 1.0 in UTF-8, declared at the start, `base`. `inside` stands between `<?` and `?>`.
pub(super) fn check_declaration(inside: &str, at: usize, base: usize) -> Result<(), Stop> {
    let declaration = BytesDecl::from_start(BytesStart::from_content(inside, 3));
    if at > base {
        return Err(Stop::malformed(
            at,
            "an XML declaration at the start only",
            "another",
        ));
    }
    match declaration.version() {
        Ok(version) if version == "1.0" => {}
        _ => return Err(Stop::malformed(at, "version 1.0", "another")),
    }
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name))
            if ["utf-8", "utf8", "us-ascii"]
                .iter()
                .any(|n| name.eq_ignore_ascii_case(n)) =>
        {
            Ok(())
        }
        Some(_) => Err(Stop {
            code: RefusalCode::EnvelopeEncoding,
            at,
            expected: "UTF-8".to_owned(),
            found: "another encoding declared".to_owned(),
        }),
    }
}

/// Names of letters, digits and `_ - .`, with at most one prefix.
pub(super) fn check_name(name: &str, at: usize) -> Result<(), Stop> {
    if name.len() > MAX_NAME_BYTES {
        return Err(Stop::limit(
            at,
            format!("names of at most {MAX_NAME_BYTES} bytes"),
            name.len().to_string(),
        ));
    }
    let part = |part: &str| {
        part.chars().next().is_some_and(|c| c == '_' || c.is_alphabetic())
            && part
                .chars()
                .all(|c| matches!(c, '_' | '-' | '.' | '\u{B7}') || c.is_alphanumeric())
    };
    let proper = match name.split_once(':') {
        Some((prefix, local)) => part(prefix) && part(local),
        None => part(name),
    };
    if proper {
        Ok(())
    } else {
        Err(Stop::malformed(at, "a proper name", "another"))
    }
}

/// Prefix and local name.
pub(super) fn split_name(name: &str) -> (Option<&str>, &str) {
    match name.split_once(':') {
        Some((prefix, local)) => (Some(prefix), local),
        None => (None, name),
    }
}

/// A reference to a character that XML does not allow.
pub(super) fn control_reference(c: char, at: usize) -> Stop {
    Stop {
        code: RefusalCode::EnvelopeControlCharacter,
        at,
        expected: "characters that XML allows".to_owned(),
        found: format!("U+{:04X}", u32::from(c)),
    }
}

/// Why there is no token, without the text around: only names of elements are repeated.
pub(super) fn malformed(broken: Broken) -> Stop {
    let at = broken.at;
    match broken.why {
        Why::Mismatched { expected, found } => {
            let found = if check_name(&found, at).is_ok() {
                format!("</{found}>")
            } else {
                "another".to_owned()
            };
            Stop::malformed(at, format!("</{expected}>"), found)
        }
        Why::Unmatched => Stop::malformed(at, "no closing tag here", "one"),
        Why::DoubleHyphen => Stop::malformed(at, "no -- inside a comment", "one"),
        Why::Ampersand => Stop::malformed(at, "& written as &amp;", "& alone"),
        Why::Bang => Stop::malformed(at, "well-formed XML", "unknown or missed symbol in markup"),
        Why::Unclosed(words) => Stop::malformed(at, "well-formed XML", words),
        Why::TooLong => Stop::limit(
            at,
            format!("tags and comments of at most {MAX_MARKUP_BYTES} bytes"),
            "a longer one",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for proper in ["a", "_x", "edXML:To", "Văn-bản.1", "a\u{B7}"] {
            assert!(check_name(proper, 0).is_ok(), "{proper}");
        }
        for other in ["", "1a", "-a", ":a", "a:", "a:b:c", "a:1", "a b", "a<b", "a\"b"] {
            assert!(check_name(other, 0).is_err(), "{other}");
        }
        assert!(check_name(&"n".repeat(MAX_NAME_BYTES), 0).is_ok());
        let stop = check_name(&"n".repeat(MAX_NAME_BYTES + 1), 0).unwrap_err();
        assert_eq!(stop.code, RefusalCode::EnvelopeLimit);
    }
}
