//! The text of an element as it comes, in pieces of any size: what it is made into must not depend on them.

use super::tree::{NodeId, Tree};

/// One run of text, between two other tokens.
///
/// A run of white space before any other text is indentation, and no value: it is taken away again when nothing
/// else follows in the run, and until then it has no limit, but no more of it is kept than a value may have.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Blank so far, in an element without text.
    blank: bool,
}

/// A value beyond its limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Run {
    /// Adds a piece to the element's text: of the run before, or with `continues` of this one.
    pub(super) fn add(
        &mut self,
        tree: &mut Tree,
        id: NodeId,
        piece: &str,
        continues: bool,
        most: usize,
    ) -> Result<(), TooLong> {
        if !continues {
            self.end(tree, id);
            self.blank = tree.text(id).is_empty();
        }
        if self.blank && piece.trim_ascii().is_empty() {
            if tree.text(id).len() <= most {
                tree.add_text(id, piece);
            }
            return Ok(());
        }
        self.blank = false;
        check(tree.text(id).len(), most)?;
        tree.add_text(id, piece);
        check(tree.text(id).len(), most)
    }

    /// The run is over: what was blank is gone.
    pub(super) fn end(&mut self, tree: &mut Tree, id: NodeId) {
        if std::mem::take(&mut self.blank) {
            tree.clear_text(id);
        }
    }
}

const fn check(length: usize, most: usize) -> Result<(), TooLong> {
    if length > most { Err(TooLong) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Family;

    /// Runs of text in one element, each cut into pieces of `size` bytes; what the element's text is then.
    fn text(runs: &[&str], size: usize, most: usize) -> Result<String, TooLong> {
        let mut tree = Tree::default();
        let id = tree.add(None, "a", None, Family::None, 0..3);
        let mut run = Run::default();
        for text in runs {
            for (number, piece) in text.as_bytes().chunks(size).enumerate() {
                let piece = std::str::from_utf8(piece).unwrap();
                run.add(&mut tree, id, piece, number > 0, most)?;
            }
            run.end(&mut tree, id);
        }
        Ok(tree.text(id).to_owned())
    }

    #[test]
    fn indentation_is_no_value_however_it_comes() {
        let long = " ".repeat(100);
        for size in [1, 2, 3, 7, 200] {
            assert_eq!(text(&["  "], size, 9).unwrap(), "");
            assert_eq!(text(&["  ", " a ", "  "], size, 9).unwrap(), " a   ");
            assert_eq!(text(&[&long, "ab"], size, 9).unwrap(), "ab");
            assert_eq!(text(&[" a", "b"], size, 9).unwrap(), " ab");
            assert_eq!(text(&[&format!("{long}a")], size, 9), Err(TooLong));
            assert_eq!(text(&["12345678", "9"], size, 9).unwrap(), "123456789");
            assert_eq!(text(&["12345678", "90"], size, 9), Err(TooLong));
            assert_eq!(text(&["        9"], size, 9).unwrap(), "        9");
            assert_eq!(text(&["         9"], size, 9), Err(TooLong));
        }
    }
}
