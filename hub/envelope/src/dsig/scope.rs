//! Namespaces in scope: what each prefix means at the element one stands in.

/// What the prefix `xml` means, declared or not.
pub(super) const NS_XML: &str = "http://www.w3.org/XML/1998/namespace";
/// What no prefix may mean.
pub(super) const NS_XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// A declaration: an empty prefix is the default namespace, an empty URI takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Binding<'a> {
    pub(super) prefix: &'a str,
    pub(super) uri: &'a str,
}

/// The declarations in force, outermost first, with the depth of the element that made each. They lie one behind the
/// other in one string.
///
/// Bounded by the limits on depth and attributes: each open element adds at most its attributes.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    text: String,
    bindings: Vec<Held>,
}

/// A declaration in the string.
#[derive(Debug, Clone, Copy)]
struct Held {
    depth: usize,
    prefix: usize,
    uri: usize,
    end: usize,
}

impl Scope {
    pub(super) fn declare(&mut self, depth: usize, prefix: &str, uri: &str) {
        let start = self.text.len();
        self.text.push_str(prefix);
        self.text.push_str(uri);
        self.bindings.push(Held {
            depth,
            prefix: start,
            uri: start + prefix.len(),
            end: self.text.len(),
        });
    }

    /// Ends the elements deeper than or at `depth`.
    pub(super) fn leave(&mut self, depth: usize) {
        while let Some(held) = self.bindings.pop_if(|held| held.depth >= depth) {
            self.text.truncate(held.prefix);
        }
    }

    /// What a prefix means; the empty one is the default namespace. `None` when nothing is declared.
    pub(super) fn lookup(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(NS_XML);
        }
        let mut innermost = self.bindings.iter().rev().map(|held| self.binding(held));
        innermost.find(|b| b.prefix == prefix).map(|b| b.uri)
    }

    /// The declarations of the element at `depth` itself.
    pub(super) fn declared_at(&self, depth: usize) -> impl Iterator<Item = Binding<'_>> {
        self.bindings
            .iter()
            .rev()
            .take_while(move |held| held.depth >= depth)
            .map(|held| self.binding(held))
    }

    /// Every prefix that means something, with what it means now.
    pub(super) fn in_force(&self) -> Vec<Binding<'_>> {
        let mut found: Vec<Binding<'_>> = Vec::new();
        for binding in self.bindings.iter().rev().map(|held| self.binding(held)) {
            if !found.iter().any(|inner| inner.prefix == binding.prefix) {
                found.push(binding);
            }
        }
        found
    }

    /// The same as of elements outside a fragment: at depth 0.
    pub(super) fn outside(&self) -> Self {
        let mut outside = Self::default();
        for binding in self.in_force().into_iter().rev() {
            outside.declare(0, binding.prefix, binding.uri);
        }
        outside
    }

    fn binding(&self, held: &Held) -> Binding<'_> {
        let part = |start: usize, end: usize| self.text.get(start..end).unwrap_or_default();
        Binding {
            prefix: part(held.prefix, held.uri),
            uri: part(held.uri, held.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_declaration_counts_until_its_element_ends() {
        let mut scope = Scope::default();
        scope.declare(1, "", "u:1");
        scope.declare(1, "p", "u:p");
        scope.declare(3, "", "");
        assert_eq!(scope.lookup(""), Some(""));
        assert_eq!(scope.lookup("p"), Some("u:p"));
        assert_eq!(scope.lookup("q"), None);
        assert_eq!(scope.lookup("xml"), Some(NS_XML));
        assert_eq!(scope.in_force().len(), 2);
        assert_eq!(scope.declared_at(3).count(), 1);
        assert_eq!(scope.declared_at(2).count(), 1);
        scope.leave(2);
        assert_eq!(scope.lookup(""), Some("u:1"));
        assert_eq!(scope.outside().declared_at(0).count(), 2);
        scope.leave(1);
        assert_eq!(scope.lookup(""), None);
        assert!(scope.text.is_empty());
    }
}
