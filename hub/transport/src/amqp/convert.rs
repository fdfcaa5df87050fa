//! Properties to and from AMQP's types. Reading forgives everything; writing says what does not fit.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};

use crate::message::{HeaderValue, Properties};

/// Survives a restart of the broker (AMQP `delivery_mode`).
const PERSISTENT: u8 = 2;

/// Most bytes of a header's value in AMQP's own form, and of all headers together. They travel in one frame of
/// 128 KiB unless the broker is set otherwise; a larger one ends the whole connection, with everything on it.
pub(super) const HEADERS_BYTES_MAX: usize = 120 * 1024;

/// Most bytes of a short string.
const SHORT_MAX: usize = 255;

/// A property, a header's name or all headers together that AMQP cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{what}' has {bytes} bytes, AMQP takes {limit}")]
pub(super) struct TooLong {
    what: &'static str,
    bytes: usize,
    limit: usize,
}

/// A short string, or the reason why not. (lapin's own conversion panics.)
pub(super) fn short(what: &'static str, text: &str) -> Result<ShortString, TooLong> {
    ShortString::try_new(text).map_err(|_| TooLong {
        what,
        bytes: text.len(),
        limit: SHORT_MAX,
    })
}

/// For publishing. Always persistent.
pub(super) fn to_amqp(properties: &Properties) -> Result<BasicProperties, TooLong> {
    let mut amqp = BasicProperties::default().with_delivery_mode(PERSISTENT);
    if let Some(text) = &properties.kind {
        amqp = amqp.with_type(short("type", text)?);
    }
    if let Some(text) = &properties.message_id {
        amqp = amqp.with_message_id(short("message_id", text)?);
    }
    if let Some(text) = &properties.correlation_id {
        amqp = amqp.with_correlation_id(short("correlation_id", text)?);
    }
    if let Some(text) = &properties.user_id {
        amqp = amqp.with_user_id(short("user_id", text)?);
    }
    if let Some(text) = &properties.content_type {
        amqp = amqp.with_content_type(short("content_type", text)?);
    }
    if let Some(text) = &properties.app_id {
        amqp = amqp.with_app_id(short("app_id", text)?);
    }
    if let Some(priority) = properties.priority {
        amqp = amqp.with_priority(priority);
    }
    if let Some(seconds) = properties
        .timestamp
        .and_then(|time| u64::try_from(time.as_second()).ok())
    {
        amqp = amqp.with_timestamp(seconds);
    }
    if !properties.headers.is_empty() {
        let bytes = properties
            .headers
            .iter()
            .map(|(name, value)| written(name, value))
            .sum();
        if bytes > HEADERS_BYTES_MAX {
            return Err(TooLong {
                what: "headers",
                bytes,
                limit: HEADERS_BYTES_MAX,
            });
        }
        let mut table = FieldTable::default();
        for (name, value) in &properties.headers {
            table.insert(short("header name", name)?, value_to_amqp(value));
        }
        amqp = amqp.with_headers(table);
    }
    Ok(amqp)
}

/// Bytes of one header on the wire: a byte for the name's length, one for the kind, four for the length of what
/// has one; each item of a list has a kind and a length, too.
fn written(name: &str, value: &HeaderValue) -> usize {
    let value = match value {
        HeaderValue::Text(text) => 4 + text.len(),
        HeaderValue::Number(_) => 8,
        HeaderValue::List(list) => 4 + list.iter().map(|item| 5 + item.len()).sum::<usize>(),
    };
    1 + name.len() + 1 + value
}

fn value_to_amqp(value: &HeaderValue) -> AMQPValue {
    match value {
        HeaderValue::Text(text) => AMQPValue::LongString(text.as_str().into()),
        HeaderValue::Number(number) => AMQPValue::LongLongInt(*number),
        HeaderValue::List(list) => {
            let items: Vec<_> = list
                .iter()
                .map(|item| AMQPValue::LongString(item.as_str().into()))
                .collect();
            AMQPValue::FieldArray(FieldArray::from(items))
        }
    }
}

/// From a delivery.
pub(super) fn from_amqp(amqp: &BasicProperties) -> Properties {
    let text = |value: &Option<ShortString>| value.as_ref().map(|text| text.as_str().to_owned());
    Properties {
        kind: text(amqp.kind()),
        message_id: text(amqp.message_id()),
        correlation_id: text(amqp.correlation_id()),
        user_id: text(amqp.user_id()),
        content_type: text(amqp.content_type()),
        app_id: text(amqp.app_id()),
        priority: *amqp.priority(),
        timestamp: amqp
            .timestamp()
            .and_then(|seconds| i64::try_from(seconds).ok())
            .and_then(|seconds| Timestamp::from_second(seconds).ok()),
        headers: amqp.headers().as_ref().map(from_table).unwrap_or_default(),
    }
}

/// What a reader gets of properties that were written: for the twin in memory. An error is in words.
pub(crate) fn as_on_the_wire(properties: &Properties) -> Result<Properties, String> {
    let written = to_amqp(properties).map_err(|error| error.to_string())?;
    Ok(from_amqp(&written))
}

fn from_table(table: &FieldTable) -> BTreeMap<String, HeaderValue> {
    table
        .inner()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), from_value(value)?)))
        .take(Properties::HEADERS_MAX)
        .collect()
}

/// The nearest of our kinds; tables, bytes, decimals and nothing have none.
fn from_value(value: &AMQPValue) -> Option<HeaderValue> {
    match value {
        AMQPValue::FieldArray(array) => Some(HeaderValue::List(
            array.as_slice().iter().filter_map(item).collect(),
        )),
        _ => match scalar(value)? {
            Scalar::Text(text) => Some(HeaderValue::Text(text)),
            Scalar::Number(number) => Some(HeaderValue::Number(number)),
        },
    }
}

fn item(value: &AMQPValue) -> Option<String> {
    scalar(value).map(|scalar| match scalar {
        Scalar::Text(text) => text,
        Scalar::Number(number) => number.to_string(),
    })
}

enum Scalar {
    Text(String),
    Number(i64),
}

fn scalar(value: &AMQPValue) -> Option<Scalar> {
    Some(match value {
        AMQPValue::LongString(text) => Scalar::Text(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Scalar::Text(text.as_str().to_owned()),
        AMQPValue::Boolean(yes) => Scalar::Text(yes.to_string()),
        AMQPValue::Float(number) => Scalar::Text(number.to_string()),
        AMQPValue::Double(number) => Scalar::Text(number.to_string()),
        AMQPValue::ShortShortInt(number) => Scalar::Number((*number).into()),
        AMQPValue::ShortShortUInt(number) => Scalar::Number((*number).into()),
        AMQPValue::ShortInt(number) => Scalar::Number((*number).into()),
        AMQPValue::ShortUInt(number) => Scalar::Number((*number).into()),
        AMQPValue::LongInt(number) => Scalar::Number((*number).into()),
        AMQPValue::LongUInt(number) => Scalar::Number((*number).into()),
        AMQPValue::LongLongInt(number) => Scalar::Number(*number),
        AMQPValue::Timestamp(seconds) => Scalar::Number(i64::try_from(*seconds).ok()?),
        AMQPValue::DecimalValue(_)
        | AMQPValue::FieldArray(_)
        | AMQPValue::FieldTable(_)
        | AMQPValue::ByteArray(_)
        | AMQPValue::Void => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let properties = Properties {
            kind: Some("document".into()),
            message_id: Some("01890a5d".into()),
            correlation_id: Some("c".into()),
            user_id: Some("vxp".into()),
            content_type: Some("application/edxml+xml".into()),
            timestamp: Some(Timestamp::from_second(1_700_000_000).unwrap()),
            priority: Some(5),
            app_id: Some("truc/0.1".into()),
            headers: BTreeMap::new(),
        }
        .with("truc-from", "000.00.35.H60")
        .with("truc-size", 7)
        .with("truc-to", vec!["a".to_owned(), "đ".to_owned()]);
        assert_eq!(from_amqp(&to_amqp(&properties).unwrap()), properties);
        assert_eq!(*to_amqp(&properties).unwrap().delivery_mode(), Some(2));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let longest = Properties {
            message_id: Some("x".repeat(255)),
            ..Properties::default()
        };
        assert!(to_amqp(&longest).is_ok());
        let longer = Properties {
            message_id: Some("x".repeat(256)),
            ..Properties::default()
        };
        assert_eq!(
            to_amqp(&longer).unwrap_err().to_string(),
            "'message_id' has 256 bytes, AMQP takes 255"
        );
        assert!(to_amqp(&Properties::default().with(&"h".repeat(256), 1)).is_err());
        // One byte for the name, two lengths and a kind, four and five bytes for list and item.
        let item = HEADERS_BYTES_MAX - (1 + 1 + 1 + 4 + 5);
        assert!(to_amqp(&Properties::default().with("h", vec!["x".repeat(item)])).is_ok());
        let error = to_amqp(&Properties::default().with("h", vec!["x".repeat(item + 1)])).unwrap_err();
        assert_eq!(error.to_string(), "'headers' has 122881 bytes, AMQP takes 122880");
    }

    #[test]
    fn any_header_of_a_stranger_is_read_or_left_out() {
        let mut table = FieldTable::default();
        let mut put = |name: &str, value| {
            table.insert(name.into(), value);
        };
        put("text", AMQPValue::LongString(b"a\xffb".to_vec().into()));
        put("short", AMQPValue::ShortUInt(7));
        put("yes", AMQPValue::Boolean(true));
        put("time", AMQPValue::Timestamp(5));
        put("late", AMQPValue::Timestamp(u64::MAX));
        put("none", AMQPValue::Void);
        put("table", AMQPValue::FieldTable(FieldTable::default()));
        put(
            "list",
            AMQPValue::FieldArray(vec![AMQPValue::LongInt(1), AMQPValue::Void].into()),
        );
        let read = from_table(&table);
        assert_eq!(read["text"], HeaderValue::Text("a\u{fffd}b".into()));
        assert_eq!(read["short"], HeaderValue::Number(7));
        assert_eq!(read["yes"], HeaderValue::Text("true".into()));
        assert_eq!(read["time"], HeaderValue::Number(5));
        assert_eq!(read["list"], HeaderValue::List(vec!["1".into()]));
        assert!(!read.contains_key("none") && !read.contains_key("table") && !read.contains_key("late"));

        let mut many = FieldTable::default();
        for number in 0..=Properties::HEADERS_MAX {
            many.insert(format!("h{number}").into(), AMQPValue::LongInt(1));
        }
        assert_eq!(from_table(&many).len(), Properties::HEADERS_MAX);
    }
}
