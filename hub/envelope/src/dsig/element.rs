//! The start tag one stands at: its name and its attributes, apart from namespace declarations.

/// An attribute that is no namespace declaration, its value normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
}

impl<'a> Attribute<'a> {
    /// Empty without one.
    pub(super) fn prefix(&self) -> &'a str {
        split(self.name).0
    }

    pub(super) fn local(&self) -> &'a str {
        split(self.name).1
    }
}

/// Attributes, one behind the other in one string.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    text: String,
    /// Where a name begins, its value, and where that ends.
    list: Vec<(usize, usize, usize)>,
}

impl Attributes {
    pub(super) fn push(&mut self, name: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(name);
        self.text.push_str(value);
        self.list.push((start, start + name.len(), self.text.len()));
    }

    pub(super) fn truncate(&mut self, length: usize) {
        if let Some((start, ..)) = self.list.get(length) {
            self.text.truncate(*start);
            self.list.truncate(length);
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }

    /// In the order they were pushed.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Attribute<'_>> + ExactSizeIterator {
        let part = |start: usize, end: usize| self.text.get(start..end).unwrap_or_default();
        self.list.iter().map(move |(name, value, end)| Attribute {
            name: part(*name, *value),
            value: part(*value, *end),
        })
    }

    /// The value of the attribute of this name.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.iter().find(|a| a.name == name).map(|a| a.value)
    }
}

/// A start tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) name: &'a str,
    pub(super) attributes: &'a Attributes,
}

impl<'a> Element<'a> {
    /// Empty without one.
    pub(super) fn prefix(&self) -> &'a str {
        split(self.name).0
    }

    pub(super) fn local(&self) -> &'a str {
        split(self.name).1
    }
}

/// Prefix, empty without one, and local name.
pub(super) fn split(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_back_as_pushed() {
        let mut attributes = Attributes::default();
        attributes.push("xml:lang", "vi");
        attributes.push("a", "");
        assert_eq!(attributes.value("xml:lang"), Some("vi"));
        assert_eq!(attributes.value("a"), Some(""));
        assert_eq!(attributes.value("lang"), None);
        let first = attributes.iter().next().unwrap();
        assert_eq!((first.prefix(), first.local()), ("xml", "lang"));
        attributes.truncate(1);
        assert_eq!(attributes.len(), 1);
        attributes.truncate(5);
        assert_eq!(attributes.iter().count(), 1);
        assert_eq!(split("a"), ("", "a"));
    }
}
