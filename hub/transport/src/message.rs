//! A message as this crate sees it: body, properties, headers. The wire's words are in `truc_model::wire`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

/// A message to publish. It is always `mandatory` and persistent (`delivery_mode` 2).
#[derive(Clone, PartialEq, Eq)]
pub struct OutMessage {
    /// The exchange.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// Properties and headers.
    pub properties: Properties,
    /// The body.
    pub body: Arc<[u8]>,
}

impl std::fmt::Debug for OutMessage {
    /// Names and sizes only: bodies and headers are documents, and this lands in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutMessage")
            .field("exchange", &self.exchange)
            .field("routing_key", &self.routing_key)
            .field("kind", &self.properties.kind)
            .field("message_id", &self.properties.message_id)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The AMQP properties in use, and the headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// AMQP `type`: `document`, `status`, `taken`, `receipt`, `refusal`, `notice`.
    pub kind: Option<String>,
    /// The sender's idempotency key.
    pub message_id: Option<String>,
    /// In answers: the `message_id` answered.
    pub correlation_id: Option<String>,
    /// The sending system; RabbitMQ refuses any but the connection's own user.
    pub user_id: Option<String>,
    /// Media type of the body.
    pub content_type: Option<String>,
    /// When it was sent; whole seconds on the wire.
    pub timestamp: Option<Timestamp>,
    /// 0 to 5; higher overtakes ([`crate::Topology::MAX_PRIORITY`]).
    pub priority: Option<u8>,
    /// Name and version of the sending program.
    pub app_id: Option<String>,
    /// The headers.
    pub headers: BTreeMap<String, HeaderValue>,
}

impl Properties {
    /// Most headers read from one message; further ones are left out.
    pub const HEADERS_MAX: usize = 256;

    /// A header that says (with `true`) that something of this message's properties could not be read:
    /// texts that are not UTF-8, headers of unknown types or nested too deep. Texts are then mended with
    /// `?`, headers are left out.
    pub const UNREADABLE: &'static str = "truc-unreadable";

    /// Whether something of them could not be read; see [`Properties::UNREADABLE`].
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.headers.contains_key(Self::UNREADABLE)
    }

    /// The text of a header; `None` when it is absent or of another kind.
    #[must_use]
    pub fn text(&self, header: &str) -> Option<&str> {
        match self.headers.get(header) {
            Some(HeaderValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The number in a header, also one written as text.
    #[must_use]
    pub fn number(&self, header: &str) -> Option<i64> {
        match self.headers.get(header)? {
            HeaderValue::Number(number) => Some(*number),
            HeaderValue::Text(text) => text.trim().parse().ok(),
            HeaderValue::List(_) => None,
        }
    }

    /// The list in a header; a single text is a list of one.
    #[must_use]
    pub fn list(&self, header: &str) -> Vec<&str> {
        match self.headers.get(header) {
            Some(HeaderValue::List(list)) => list.iter().map(String::as_str).collect(),
            Some(HeaderValue::Text(text)) => vec![text],
            _ => Vec::new(),
        }
    }

    /// Sets a header.
    #[must_use]
    pub fn with(mut self, header: &str, value: impl Into<HeaderValue>) -> Self {
        self.headers.insert(header.to_owned(), value.into());
        self
    }
}

/// The value of a header. Other AMQP types are read as the nearest of these, or left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A list of texts.
    List(Vec<String>),
}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for HeaderValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for HeaderValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Vec<String>> for HeaderValue {
    fn from(list: Vec<String>) -> Self {
        Self::List(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_read_forgivingly() {
        let properties = Properties::default()
            .with("a", "x")
            .with("n", 7)
            .with("t", " 8 ")
            .with("l", vec!["p".to_owned(), "q".to_owned()]);
        assert_eq!(properties.text("a"), Some("x"));
        assert_eq!(properties.text("n"), None);
        assert_eq!(properties.number("n"), Some(7));
        assert_eq!(properties.number("t"), Some(8));
        assert_eq!(properties.number("a"), None);
        assert_eq!(properties.list("l"), ["p", "q"]);
        assert_eq!(properties.list("a"), ["x"]);
        assert!(properties.list("none").is_empty());
    }

    #[test]
    fn the_debug_form_holds_no_content() {
        let message = OutMessage {
            exchange: "truc.submit".into(),
            routing_key: "document".into(),
            properties: Properties::default().with("truc-from", "secret header"),
            body: Arc::from(b"secret body".as_slice()),
        };
        let text = format!("{message:?}");
        assert!(text.contains("truc.submit") && text.contains("11"));
        assert!(!text.contains("secret"));
    }
}
