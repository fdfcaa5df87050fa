//! A stack of names, in one string.

/// Names, the last on top.
#[derive(Debug, Default)]
pub(crate) struct Names {
    text: String,
    starts: Vec<usize>,
}

impl Names {
    pub(crate) fn push(&mut self, name: &str) {
        self.starts.push(self.text.len());
        self.text.push_str(name);
    }

    /// Takes the last away.
    pub(crate) fn pop(&mut self) {
        if let Some(start) = self.starts.pop() {
            self.text.truncate(start);
        }
    }

    pub(crate) fn last(&self) -> Option<&str> {
        self.text.get(*self.starts.last()?..)
    }

    pub(crate) const fn len(&self) -> usize {
        self.starts.len()
    }

    /// From the first to the last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let ends = self.starts.iter().skip(1).copied().chain([self.text.len()]);
        self.starts
            .iter()
            .zip(ends)
            .map(|(start, end)| self.text.get(*start..end).unwrap_or_default())
    }
}
