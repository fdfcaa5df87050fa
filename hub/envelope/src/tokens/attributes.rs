//! The inside of a start tag, behind the element's name, split into attributes.

/// Splits attributes: name and value as written. After a fault nothing more is said.
pub(crate) struct RawAttributes<'a> {
    rest: &'a str,
}

/// One attribute as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawAttribute<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    /// Whether white space stands before it, as XML asks (1.0 §3.1).
    pub(crate) spaced: bool,
}

/// The text is not of the form `name S? = S? "value"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ungrammatical;

impl<'a> RawAttributes<'a> {
    pub(crate) const fn new(raw: &'a str) -> Self {
        Self { rest: raw }
    }
}

impl<'a> Iterator for RawAttributes<'a> {
    type Item = Result<RawAttribute<'a>, Ungrammatical>;

    fn next(&mut self) -> Option<Self::Item> {
        let trimmed = trim_start(self.rest);
        if trimmed.is_empty() {
            return None;
        }
        let spaced = trimmed.len() < self.rest.len();
        let (item, rest) = match attribute(trimmed, spaced) {
            Some((attribute, rest)) => (Ok(attribute), rest),
            None => (Err(Ungrammatical), ""),
        };
        self.rest = rest;
        Some(item)
    }
}

fn attribute(text: &str, spaced: bool) -> Option<(RawAttribute<'_>, &str)> {
    let end = text.bytes().position(|b| b == b'=' || super::is_space(b))?;
    let (name, rest) = text.split_at_checked(end)?;
    let rest = trim_start(trim_start(rest).strip_prefix('=')?);
    let quote = *rest.as_bytes().first().filter(|b| matches!(b, b'"' | b'\''))?;
    let rest = rest.get(1..)?;
    let end = memchr::memchr(quote, rest.as_bytes())?;
    let value = rest.get(..end)?;
    let after = rest.get(end + 1..)?;
    Some((RawAttribute { name, value, spaced }, after))
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, expected: &[Result<(&str, &str, bool), Ungrammatical>]) {
        let found: Vec<_> = RawAttributes::new(raw)
            .map(|item| item.map(|a| (a.name, a.value, a.spaced)))
            .collect();
        assert_eq!(found, expected, "{raw}");
    }

    #[test]
    fn forms() {
        check("", &[]);
        check(" \n", &[]);
        check(
            " a='1' b = \"<'>\"\t",
            &[Ok(("a", "1", true)), Ok(("b", "<'>", true))],
        );
        check(" a='1'b='2'", &[Ok(("a", "1", true)), Ok(("b", "2", false))]);
        check(" ='1'", &[Ok(("", "1", true))]);
        for raw in [" a", " a=", " a=1", " a b='1'", " a='1", " a=\"1'"] {
            check(raw, &[Err(Ungrammatical)]);
        }
        check(" a='1' b c='2'", &[Ok(("a", "1", true)), Err(Ungrammatical)]);
    }
}
