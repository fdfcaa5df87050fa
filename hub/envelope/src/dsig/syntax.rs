//! XML's own rules to the letter, on slices: names, attributes, the declaration, namespace names, characters.
//!
//! The reader forgives; a signature does not. Whatever passes here passes every conforming parser, so
//! that signer, oracle and hub see the same document.

use std::borrow::Cow;

use crate::tokens::{RawAttribute, RawAttributes, disallowed_character, is_allowed};

/// The text is not what XML's grammar asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ungrammatical;

/// Splits the inside of a start tag, behind the element's name, into attributes, each with white space before it
/// (XML 1.0 §3.1).
pub(super) fn attributes(raw: &str) -> impl Iterator<Item = Result<RawAttribute<'_>, Ungrammatical>> {
    RawAttributes::new(raw).map(|found| found.ok().filter(|found| found.spaced).ok_or(Ungrammatical))
}

/// White space of XML (§2.3), not Unicode's.
pub(super) const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

pub(super) fn trim_start(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

/// Only white space.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// A name with at most one prefix (Namespaces in XML §4), each part an `NCName`.
pub(super) fn is_qualified_name(name: &str) -> bool {
    match name.split_once(':') {
        Some((prefix, local)) => is_nc_name(prefix) && is_nc_name(local),
        None => is_nc_name(name),
    }
}

/// A name without a colon.
pub(super) fn is_nc_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(starts_name) && chars.all(continues_name)
}

/// `NameStartChar` of XML 1.0 (fifth edition) §2.3, without the colon.
const fn starts_name(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}'
        | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}'
        | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

const fn continues_name(c: char) -> bool {
    starts_name(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// An attribute's value after normalisation (§3.3.3, all our attributes are CDATA): line ends and tabs
/// written literally are spaces, references are what they name.
pub(super) fn attribute_value(raw: &str) -> Result<Cow<'_, str>, Ungrammatical> {
    if !raw.contains(['\t', '\n', '\r', '&', '<']) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['\t', '\n', '\r', '&', '<']) {
        value.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(reference) = rest.strip_prefix('&') {
            let (name, after) = reference.split_once(';').ok_or(Ungrammatical)?;
            value.push(resolve(name)?);
            rest = after;
        } else if rest.starts_with('<') {
            return Err(Ungrammatical);
        } else {
            value.push(' ');
            rest = rest.strip_prefix("\r\n").unwrap_or(&rest[1..]);
        }
    }
    value.push_str(rest);
    Ok(Cow::Owned(value))
}

/// What a reference names, without `&` and `;`: a character, or one of the five entities that need no
/// declaration.
pub(super) fn resolve(name: &str) -> Result<char, Ungrammatical> {
    let number = match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => name.strip_prefix('#').ok_or(Ungrammatical)?,
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    // `from_str_radix` would take a sign.
    if digits.is_empty() || !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
        return Err(Ungrammatical);
    }
    u32::from_str_radix(digits, radix)
        .ok()
        .and_then(char::from_u32)
        .filter(|c| is_allowed(*c))
        .ok_or(Ungrammatical)
}

/// The inside of `<?xml …?>`, from behind `xml`: version 1.0, UTF-8, in XML's order (§2.8). `None` when
/// it is anything else.
pub(super) fn check_declaration(inside: &str) -> Result<(), Ungrammatical> {
    let mut attributes = attributes(inside);
    let version = attributes.next().ok_or(Ungrammatical)??;
    if version.name != "version" || version.value != "1.0" {
        return Err(Ungrammatical);
    }
    let mut next = attributes.next().transpose()?;
    if let Some(encoding) = next.take_if(|attribute| attribute.name == "encoding") {
        if !encoding.value.eq_ignore_ascii_case("utf-8") {
            return Err(Ungrammatical);
        }
        next = attributes.next().transpose()?;
    }
    if let Some(standalone) = next.take_if(|attribute| attribute.name == "standalone")
        && !matches!(standalone.value, "yes" | "no")
    {
        return Err(Ungrammatical);
    }
    match (next, attributes.next()) {
        (None, None) => Ok(()),
        _ => Err(Ungrammatical),
    }
}

/// A namespace name that canonicalisation works on: an absolute URI. Canonical XML 1.0 §1.3 has it fail
/// on relative ones. `&` is left out too: libxml2 writes it into its canonical form as it is, where others
/// write a reference, so that no two signers would agree.
pub(super) fn is_absolute_uri(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    let scheme_is_proper = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let authority = rest.strip_prefix("//").map(|rest| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        rest.split_at(end)
    });
    let path = authority.map_or(rest, |(_, path)| path);
    let authority_is_proper = authority.is_none_or(|(authority, _)| {
        let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
        has_uri_characters(host, "")
            && !host.is_empty()
            && port.len() <= 5
            && port.bytes().all(|b| b.is_ascii_digit())
    });
    scheme_is_proper
        && authority_is_proper
        && has_uri_characters(path, ":@/?")
        && has_uri_characters(fragment, ":@/?")
}

/// Unreserved characters, sub-delimiters, `%` with two digits (RFC 3986 §2), and those of `more`.
fn has_uri_characters(text: &str, more: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => {
            matches!(bytes.get(at + 1..at + 3), Some(digits) if digits.iter().all(u8::is_ascii_hexdigit))
        }
        b'-' | b'.' | b'_' | b'~' => true,
        b'!' | b'$' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => true,
        other => other.is_ascii_alphanumeric() || more.as_bytes().contains(other),
    })
}

/// Where the first character stands that XML does not allow (§2.2).
pub(super) fn first_disallowed(text: &str) -> Option<usize> {
    disallowed_character(text).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(raw: &str) -> Option<Vec<(&str, &str)>> {
        super::attributes(raw)
            .map(|found| found.ok().map(|a| (a.name, a.value)))
            .collect()
    }

    #[test]
    fn attributes_are_split_as_the_grammar_says() {
        assert_eq!(attributes("  "), Some(vec![]));
        assert_eq!(
            attributes(" a = 'x\"y' b=\"\""),
            Some(vec![("a", "x\"y"), ("b", "")])
        );
        for bad in [
            "a='x'",
            " a='x'b='y'",
            " a",
            " a=",
            " a=x",
            " a='x",
            " ='x'=",
            " a 'x'",
            " a='x' b",
        ] {
            assert!(
                attributes(bad).is_none_or(|found| found.iter().any(|(name, _)| !is_qualified_name(name))),
                "{bad}"
            );
        }
    }

    #[test]
    fn values_are_normalised() {
        let value = |raw: &'static str| attribute_value(raw).map(Cow::into_owned);
        assert_eq!(value("a\tb\r\nc\rd\ne"), Ok("a b c d e".to_owned()));
        assert_eq!(value("&#9;&#xA;&#13;&lt;&amp;"), Ok("\t\n\r<&".to_owned()));
        for bad in [
            "<",
            "&",
            "&;",
            "&x;",
            "&#;",
            "&#x;",
            "&#-1;",
            "&#+65;",
            "&#0;",
            "&#xFFFE;",
            "&#xD800;",
            "&#X41;",
            "&lt",
            "&#99999999999;",
        ] {
            assert_eq!(value(bad), Err(Ungrammatical), "{bad}");
        }
    }

    #[test]
    fn names_of_the_fifth_edition() {
        for good in ["a", "_", "edXML:To", "Văn-bản.1", "a\u{B7}", "ý", "\u{10000}"] {
            assert!(is_qualified_name(good), "{good}");
        }
        for bad in [
            "", ":", "a:", ":a", "a:b:c", "1", "-a", "a:1", "ª", "µ", "×", "a b", "a/",
        ] {
            assert!(!is_qualified_name(bad), "{bad}");
        }
    }

    #[test]
    fn declarations() {
        for good in [
            " version=\"1.0\"",
            " version='1.0' encoding='UTF-8'",
            " version=\"1.0\" encoding=\"utf-8\" standalone=\"no\" ",
            " version = '1.0' standalone='yes'",
        ] {
            assert_eq!(check_declaration(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            " version='1.1'",
            " encoding='UTF-8'",
            " encoding='UTF-8' version='1.0'",
            " version='1.0' encoding='UTF-16'",
            " version='1.0' standalone='maybe'",
            " version='1.0' standalone='yes' encoding='UTF-8'",
            " version='1.0' encoding='UTF-8' encoding='UTF-8'",
            " version='1.0' encoding='UTF-8' more='1'",
            "version='1.0'",
        ] {
            assert_eq!(check_declaration(bad), Err(Ungrammatical), "{bad}");
        }
    }

    #[test]
    fn namespace_names() {
        for good in [
            "http://www.w3.org/2000/09/xmldsig#",
            "urn:a",
            "a:b",
            "http://h:80/p?q#f",
            "http://www.mic.gov.vn/TBT/QCVN_102_2016",
            "x:%41",
        ] {
            assert!(is_absolute_uri(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "a/b",
            "../a",
            "#a",
            ":a",
            "1:a",
            "a b:c",
            "a:b c",
            "a:ă",
            "a:%4",
            "a:%zz",
            "a:b#c#d",
            "http://h:x/",
            "http://h/?a&b",
            "http://",
            "http://[::1]/",
            "a:\t",
        ] {
            assert!(!is_absolute_uri(bad), "{bad}");
        }
    }

    #[test]
    fn characters_are_looked_at_in_lanes_and_at_their_seams() {
        for before in [0, 1, 61, 62, 63, 64, 65, 127, 128, 200] {
            let blank = "x".repeat(before);
            assert_eq!(first_disallowed(&blank), None);
            for (bad, found) in [
                ("\u{1}", true),
                ("\u{FFFE}", true),
                ("\u{FFFF}", true),
                ("\u{FFFD}", false),
                ("\u{FEFF}", false),
                ("\t\r\n\u{7F}\u{85}", false),
            ] {
                let text = format!("{blank}{bad}");
                assert_eq!(
                    first_disallowed(&text),
                    found.then_some(before),
                    "{before} {bad:?}"
                );
            }
        }
    }
}
