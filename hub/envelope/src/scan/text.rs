//! The text of an element as it comes, in pieces of any size: what it is made into must not depend on them.

use super::tree::{LineEnds, NodeId, Tree};

/// One run of text, between two other tokens.
///
/// A run of white space before any other text is indentation, and no value: it is taken away again when nothing
/// else follows in the run, and until then it has no limit, but no more of it is kept than a value may have.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Blank so far, in an element without text.
    blank: bool,
}

/// A piece of text.
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    /// Whether it is another piece of the run before.
    pub(super) continues: bool,
    pub(super) line_ends: LineEnds,
}

/// A value beyond its limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Run {
    /// Adds a piece to the element's text.
    pub(super) fn add(
        &mut self,
        tree: &mut Tree,
        id: NodeId,
        piece: Piece<'_>,
        most: usize,
    ) -> Result<(), TooLong> {
        let Piece {
            text: piece,
            continues,
            line_ends,
        } = piece;
        if !continues {
            self.end(tree, id);
            self.blank = tree.text(id).is_empty();
        }
        if self.blank && piece.trim_ascii().is_empty() {
            // Of too much, enough is kept to tell that it is.
            let _ = add(tree, id, piece, line_ends, most);
            return Ok(());
        }
        self.blank = false;
        add(tree, id, piece, line_ends, most)
    }

    /// The run is over: what was blank is gone.
    pub(super) fn end(&mut self, tree: &mut Tree, id: NodeId) {
        if std::mem::take(&mut self.blank) {
            tree.clear_text(id);
        }
    }
}

/// Adds as much of a piece as goes over the limit, and no more.
fn add(tree: &mut Tree, id: NodeId, piece: &str, line_ends: LineEnds, most: usize) -> Result<(), TooLong> {
    let mut rest = piece;
    loop {
        let length = tree.text(id).len();
        if length > most {
            return Err(TooLong);
        }
        if rest.is_empty() {
            return Ok(());
        }
        // Mended line ends are shorter: then there is another turn.
        let mut end = rest.len().min(most - length + 1);
        while !rest.is_char_boundary(end) || rest.get(end - 1..end + 1) == Some("\r\n") {
            end += 1;
        }
        let (now, later) = rest.split_at(end);
        tree.add_text(id, now, line_ends);
        rest = later;
    }
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
                let piece = Piece {
                    text: std::str::from_utf8(piece).unwrap(),
                    continues: number > 0,
                    line_ends: LineEnds::Mended,
                };
                run.add(&mut tree, id, piece, most)?;
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
            assert_eq!(text(&["12345678\n"], size, 9).unwrap(), "12345678\n");
        }
        // Line ends are mended before they are counted; they come in one piece.
        let ends = "\r\n".repeat(9);
        for size in [2, 4, 18, 40] {
            assert_eq!(
                text(&["x", &ends[2..]], size, 9).unwrap(),
                format!("x{}", "\n".repeat(8))
            );
            assert_eq!(text(&["x", &ends], size, 9), Err(TooLong));
            assert_eq!(text(&[&ends, "x"], size, 9).unwrap(), "x");
            assert_eq!(text(&[&format!("{ends}x")], 20, 9), Err(TooLong));
        }
    }
}
