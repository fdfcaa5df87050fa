//! Canonical JSON: the one byte form of a value, so that a digest of it means something.
//!
//! Objects with keys sorted by code point, no white space, integers and strings only, the escapes JSON
//! requires and no others. Fractions and exponents do not occur and are refused.

use serde_json::Value;

/// Deepest nesting written.
pub const DEPTH_MAX: usize = 16;

/// The value has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCanonical {
    /// A number that is no integer of 64 bits.
    #[error("expected integers only")]
    Number,
    /// Nested beyond [`DEPTH_MAX`].
    #[error("expected at most {DEPTH_MAX} levels")]
    Depth,
}

/// Writes `value` canonically.
///
/// # Errors
/// [`NotCanonical`] for fractions and for nesting beyond [`DEPTH_MAX`].
pub fn canonical(value: &Value) -> Result<String, NotCanonical> {
    let mut out = String::with_capacity(256);
    write(value, 0, &mut out)?;
    Ok(out)
}

fn write(value: &Value, depth: usize, out: &mut String) -> Result<(), NotCanonical> {
    if depth > DEPTH_MAX {
        return Err(NotCanonical::Depth);
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) if number.is_i64() || number.is_u64() => out.push_str(&number.to_string()),
        Value::Number(_) => return Err(NotCanonical::Number),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write(item, depth + 1, out)?;
            }
            out.push(']');
        }
        Value::Object(map) => {
            // serde_json keeps insertion order when a feature is switched on anywhere in the build.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (place, (key, item)) in entries.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write(item, depth + 1, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: &Value, expect: Result<&str, NotCanonical>) {
        assert_eq!(canonical(value), expect.map(str::to_owned));
        if let Ok(text) = canonical(value) {
            assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }

    #[test]
    fn one_byte_form() {
        check(
            &json!({"b": [1, -2, u64::MAX], "a": {"ă": null, "a": true}, "": "x"}),
            Ok(r#"{"":"x","a":{"a":true,"ă":null},"b":[1,-2,18446744073709551615]}"#),
        );
        check(
            &json!("\"\\\n\r\t\u{8}\u{c}\u{1}đ/\u{7f}"),
            Ok("\"\\\"\\\\\\n\\r\\t\\b\\f\\u0001đ/\u{7f}\""),
        );
        check(&json!(1.5), Err(NotCanonical::Number));
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(canonical(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(canonical(&nested(DEPTH_MAX + 1)), Err(NotCanonical::Depth));
    }
}
