//! Namespaces in scope: what each prefix means at the element one stands in.

use std::borrow::Cow;

/// What the prefix `xml` means, declared or not.
pub(super) const NS_XML: &str = "http://www.w3.org/XML/1998/namespace";
/// What no prefix may mean.
pub(super) const NS_XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// A declaration: an empty prefix is the default namespace, an empty URI takes it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binding<'a> {
    pub(super) prefix: &'a str,
    pub(super) uri: Cow<'a, str>,
}

/// The declarations in force, outermost first, with the depth of the element that made each.
///
/// Bounded by the limits on depth and attributes: each open element adds at most its attributes.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope<'a> {
    bindings: Vec<(usize, Binding<'a>)>,
}

impl<'a> Scope<'a> {
    pub(super) fn declare(&mut self, depth: usize, binding: Binding<'a>) {
        self.bindings.push((depth, binding));
    }

    /// Ends the elements deeper than or at `depth`.
    pub(super) fn leave(&mut self, depth: usize) {
        while self.bindings.pop_if(|(made_at, _)| *made_at >= depth).is_some() {}
    }

    /// What a prefix means; the empty one is the default namespace. `None` when nothing is declared.
    pub(super) fn lookup(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(NS_XML);
        }
        let (_, binding) = self.bindings.iter().rev().find(|(_, b)| b.prefix == prefix)?;
        Some(&binding.uri)
    }

    /// The declarations of the element at `depth` itself.
    pub(super) fn declared_at(&self, depth: usize) -> impl Iterator<Item = &Binding<'a>> {
        self.bindings
            .iter()
            .rev()
            .take_while(move |(made_at, _)| *made_at >= depth)
            .map(|(_, binding)| binding)
    }

    /// Every prefix that means something, with what it means now.
    pub(super) fn in_force(&self) -> Vec<&Binding<'a>> {
        let mut found: Vec<&Binding<'a>> = Vec::new();
        for (_, binding) in self.bindings.iter().rev() {
            if !found.iter().any(|inner| inner.prefix == binding.prefix) {
                found.push(binding);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding<'a>(prefix: &'a str, uri: &'a str) -> Binding<'a> {
        Binding {
            prefix,
            uri: Cow::Borrowed(uri),
        }
    }

    #[test]
    fn the_innermost_declaration_counts_until_its_element_ends() {
        let mut scope = Scope::default();
        scope.declare(1, binding("", "u:1"));
        scope.declare(1, binding("p", "u:p"));
        scope.declare(3, binding("", ""));
        assert_eq!(scope.lookup(""), Some(""));
        assert_eq!(scope.lookup("p"), Some("u:p"));
        assert_eq!(scope.lookup("q"), None);
        assert_eq!(scope.lookup("xml"), Some(NS_XML));
        assert_eq!(scope.in_force().len(), 2);
        assert_eq!(scope.declared_at(3).count(), 1);
        assert_eq!(scope.declared_at(2).count(), 1);
        scope.leave(2);
        assert_eq!(scope.lookup(""), Some("u:1"));
        scope.leave(1);
        assert_eq!(scope.lookup(""), None);
    }
}
