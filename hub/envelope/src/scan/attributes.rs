//! The attributes of one element, and the namespaces in scope, as the reader wants them: it forgives undeclared
//! prefixes that are usual.

use std::borrow::Cow;

use quick_xml::escape::unescape;

use super::rules::{Stop, check_name, control_reference, split_name};
use crate::limits::Limits;
use crate::tokens::{RawAttributes, is_allowed};
use crate::vocabulary::Family;

/// Most namespace declarations in scope.
pub(super) const MAX_BINDINGS: usize = 128;

const NS_XML: &str = "http://www.w3.org/XML/1998/namespace";
const NS_XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// An attribute as read.
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    /// As written, for a namespace declaration.
    raw: &'a str,
    pub(super) value: Cow<'a, str>,
}

/// Reads the attributes of an element whose tag begins at `at`.
pub(super) fn read<'a>(
    raw: &'a str,
    at: usize,
    limits: &Limits,
    found: &mut Vec<Attribute<'a>>,
) -> Result<(), Stop> {
    if raw.len() > limits.max_attribute_bytes {
        let most = format!("at most {} bytes of attributes", limits.max_attribute_bytes);
        return Err(Stop::limit(at, most, raw.len().to_string()));
    }
    for attribute in RawAttributes::new(raw) {
        let form = || Stop::malformed(at, "attributes of the form name=\"value\", each once", "others");
        let attribute = attribute.map_err(|_| form())?;
        if found.iter().any(|other| other.name == attribute.name) {
            return Err(form());
        }
        if found.len() == limits.max_attributes {
            let most = format!("at most {} attributes", limits.max_attributes);
            return Err(Stop::limit(at, most, format!("{} or more", found.len() + 1)));
        }
        check_name(attribute.name, at)?;
        if memchr::memchr(b'<', attribute.value.as_bytes()).is_some() {
            return Err(Stop::malformed(at, "no < in an attribute", "one"));
        }
        let value = unescape(attribute.value)
            .map_err(|_| Stop::malformed(at, "only predefined entities", "another in an attribute"))?;
        if let Some(bad) = value.chars().find(|c| !is_allowed(*c)) {
            return Err(control_reference(bad, at));
        }
        found.push(Attribute {
            name: attribute.name,
            raw: attribute.value,
            value,
        });
    }
    Ok(())
}

/// What a prefix means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning<'b> {
    Bound(Family, &'b str),
    /// No prefix, and no default namespace.
    Unbound,
    Unknown,
}

/// The namespace declarations in scope, innermost last.
#[derive(Default)]
pub(super) struct Bindings {
    text: String,
    list: Vec<Binding>,
    depth: usize,
}

struct Binding {
    depth: usize,
    /// Where in the text prefix and namespace begin; the namespace ends where the next binding begins.
    start: usize,
    namespace: usize,
    end: usize,
    family: Family,
}

impl Bindings {
    /// Enters an element with what it declares.
    pub(super) fn enter(&mut self, attributes: &[Attribute<'_>], at: usize) -> Result<(), Stop> {
        self.depth += 1;
        for attribute in attributes {
            let prefix = match attribute.name.strip_prefix("xmlns") {
                Some("") => "",
                Some(rest) => match rest.strip_prefix(':') {
                    Some(prefix) => prefix,
                    None => continue,
                },
                None => continue,
            };
            let namespace = attribute.raw;
            let improper = match prefix {
                "" => false,
                "xml" => namespace != NS_XML,
                "xmlns" => true,
                _ => namespace == NS_XML || namespace == NS_XMLNS,
            };
            if improper {
                return Err(Stop::malformed(
                    at,
                    "namespaces declared as XML allows",
                    "another declaration",
                ));
            }
            if prefix == "xml" {
                continue;
            }
            if self.list.len() >= MAX_BINDINGS {
                let most = format!("at most {MAX_BINDINGS} namespaces in scope");
                return Err(Stop::limit(at, most, "more"));
            }
            let start = self.text.len();
            self.text.push_str(prefix);
            self.text.push_str(namespace);
            self.list.push(Binding {
                depth: self.depth,
                start,
                namespace: start + prefix.len(),
                end: self.text.len(),
                family: Family::of(namespace),
            });
        }
        Ok(())
    }

    /// Leaves the element last entered.
    pub(super) fn leave(&mut self) {
        while let Some(binding) = self.list.pop_if(|binding| binding.depth >= self.depth) {
            self.text.truncate(binding.start);
        }
        self.depth = self.depth.saturating_sub(1);
    }

    /// What an element's prefix means.
    pub(super) fn of_element(&self, prefix: Option<&str>) -> Meaning<'_> {
        match prefix {
            Some(prefix) => self.of_attribute(prefix),
            None => match self.find("") {
                Some((_, "")) | None => Meaning::Unbound,
                Some((family, namespace)) => Meaning::Bound(family, namespace),
            },
        }
    }

    /// What an attribute's prefix means.
    pub(super) fn of_attribute(&self, prefix: &str) -> Meaning<'_> {
        match prefix {
            "xml" => Meaning::Bound(Family::Foreign, NS_XML),
            "xmlns" => Meaning::Bound(Family::Foreign, NS_XMLNS),
            _ => match self.find(prefix) {
                // A prefix that is taken back means nothing.
                Some((_, "")) | None => Meaning::Unknown,
                Some((family, namespace)) => Meaning::Bound(family, namespace),
            },
        }
    }

    fn find(&self, prefix: &str) -> Option<(Family, &str)> {
        let part = |start: usize, end: usize| self.text.get(start..end).unwrap_or_default();
        let binding = self
            .list
            .iter()
            .rev()
            .find(|binding| part(binding.start, binding.namespace) == prefix)?;
        Some((binding.family, part(binding.namespace, binding.end)))
    }
}

/// Prefix and local name of an attribute that is in a namespace and declares none.
pub(super) fn qualified(name: &str) -> Option<(&str, &str)> {
    match split_name(name) {
        (Some("xmlns") | None, _) => None,
        (Some(prefix), local) => Some((prefix, local)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(raw: &str) -> Result<Vec<Attribute<'_>>, Stop> {
        let mut found = Vec::new();
        read(raw, 0, &Limits::default(), &mut found).map(|()| found)
    }

    #[test]
    fn declarations_hold_until_their_element_ends() {
        let mut bindings = Bindings::default();
        let outer = attributes(" xmlns='u:1' xmlns:p='u:p' a='1'").unwrap();
        bindings.enter(&outer, 0).unwrap();
        let inner = attributes(" xmlns='' xmlns:p='u:2'").unwrap();
        bindings.enter(&inner, 0).unwrap();
        assert_eq!(bindings.of_element(None), Meaning::Unbound);
        assert_eq!(bindings.of_attribute("p"), Meaning::Bound(Family::Foreign, "u:2"));
        bindings.leave();
        assert_eq!(bindings.of_element(None), Meaning::Bound(Family::Foreign, "u:1"));
        assert_eq!(
            bindings.of_element(Some("p")),
            Meaning::Bound(Family::Foreign, "u:p")
        );
        assert_eq!(bindings.of_attribute("q"), Meaning::Unknown);
        bindings.leave();
        assert_eq!(bindings.of_element(Some("p")), Meaning::Unknown);
        assert!(bindings.text.is_empty());
    }

    #[test]
    fn reserved_prefixes() {
        let enter = |raw: &str| Bindings::default().enter(&attributes(raw).unwrap(), 0);
        assert!(enter(" xmlns:xml='http://www.w3.org/XML/1998/namespace'").is_ok());
        for raw in [
            " xmlns:xml='u:x'",
            " xmlns:xmlns='u:x'",
            " xmlns:p='http://www.w3.org/XML/1998/namespace'",
            " xmlns:p='http://www.w3.org/2000/xmlns/'",
        ] {
            assert!(enter(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn so_many_declarations_and_no_more() {
        let mut bindings = Bindings::default();
        let names: Vec<String> = (0..=MAX_BINDINGS)
            .map(|n| format!(" xmlns:p{n}='u:{n}'"))
            .collect();
        for raw in &names[..MAX_BINDINGS] {
            bindings.enter(&attributes(raw).unwrap(), 0).unwrap();
        }
        let more = attributes(&names[MAX_BINDINGS]).unwrap();
        assert!(bindings.enter(&more, 0).is_err());
    }
}
