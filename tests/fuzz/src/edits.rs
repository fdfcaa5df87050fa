//! A script of edits: a few bytes that say how a sound document is changed. A fuzzer that mutates the script
//! changes one thing at a time in a document of kilobytes, at places where it matters.

/// Bytes of one step: place (two), what to do, with what.
const STEP: usize = 4;
/// Most steps of a script.
pub(crate) const MAX_STEPS: usize = 24;
/// Most bytes that one step copies: a document must not double at each.
const MAX_PIECE: usize = 512;

/// The document after the script. Steps act one after the other, each on what the one before left; what is left
/// over of the script is ignored. `words` are texts worth putting in.
pub(crate) fn edited(document: &[u8], script: &[u8], words: &[&str]) -> Vec<u8> {
    let mut bytes = document.to_vec();
    for step in script.chunks_exact(STEP).take(MAX_STEPS) {
        let &[high, low, action, argument] = step else {
            break;
        };
        let share = usize::from(high) << 8 | usize::from(low);
        // The place as a share of the whole, so that it reaches everywhere in a document of any length.
        let at = (share * (bytes.len() + 1)) >> 16;
        let word = words
            .get(usize::from(argument) % words.len().max(1))
            .unwrap_or(&"")
            .as_bytes();
        match action % 11 {
            0 => bytes
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte = argument),
            1 => bytes.insert(at, argument),
            2 => drop(bytes.drain(at..bytes.len().min(at + usize::from(argument % 32) + 1))),
            3 => insert(&mut bytes, at, word),
            4 => {
                let at = next(&bytes, at, b"<");
                insert(&mut bytes, at, word);
            }
            5 => {
                let at = (next(&bytes, at, b">") + 1).min(bytes.len());
                insert(&mut bytes, at, word);
            }
            6 => {
                let at = next(&bytes, at, b">/ ");
                insert(&mut bytes, at, word);
            }
            // A piece that begins like markup, from elsewhere.
            7 => {
                let from = next(&bytes, (usize::from(argument) * bytes.len()) >> 8, b"<");
                let to = (next(&bytes, from, b">") + 1).min(bytes.len());
                let piece = bytes[from..to.min(from + MAX_PIECE)].to_vec();
                let at = next(&bytes, at, b"<");
                insert(&mut bytes, at, &piece);
            }
            // A longer piece, of whole lines.
            8 => {
                let from = next(&bytes, (usize::from(argument) * bytes.len()) >> 8, b"\n");
                let to = next(&bytes, (from + 200).min(bytes.len()), b"\n");
                let piece = bytes[from..to.min(from + MAX_PIECE)].to_vec();
                let at = next(&bytes, at, b"\n");
                insert(&mut bytes, at, &piece);
            }
            // In place of as many bytes: where a document names offsets, nothing else may move.
            9 => bytes
                .iter_mut()
                .skip(at)
                .zip(word)
                .for_each(|(byte, new)| *byte = *new),
            // A line less, or the rest.
            _ => {
                let from = next(&bytes, at, b"\n");
                let to = match argument {
                    255 => bytes.len(),
                    _ => next(&bytes, (from + 1).min(bytes.len()), b"\n"),
                };
                bytes.drain(from..to);
            }
        }
    }
    bytes
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

/// The place of the next of these bytes, or the end.
fn next(bytes: &[u8], from: usize, any: &[u8]) -> usize {
    bytes[from..]
        .iter()
        .position(|byte| any.contains(byte))
        .map_or(bytes.len(), |at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(script: &[u8], expected: &str) {
        let document = b"<a>1</a>\n<b>2</b>\n";
        assert_eq!(
            String::from_utf8(edited(document, script, &["", "<!---->"])).unwrap(),
            expected
        );
    }

    #[test]
    fn steps() {
        check(&[], "<a>1</a>\n<b>2</b>\n");
        check(&[0, 0, 0, b'X'], "Xa>1</a>\n<b>2</b>\n");
        check(&[0, 0, 1, b'X'], "X<a>1</a>\n<b>2</b>\n");
        check(&[0, 0, 2, 2], "1</a>\n<b>2</b>\n");
        check(&[0xFF, 0xFF, 3, 1], "<a>1</a>\n<b>2</b>\n<!---->");
        check(&[0x10, 0, 4, 1], "<a>1<!----></a>\n<b>2</b>\n");
        check(&[0, 0, 5, 1], "<a><!---->1</a>\n<b>2</b>\n");
        check(&[0, 0, 6, 1], "<a<!---->>1</a>\n<b>2</b>\n");
        check(&[0x10, 0, 7, 0], "<a>1<a></a>\n<b>2</b>\n");
        check(&[0, 0, 8, 0], "<a>1</a>\n<b>2</b>\n\n<b>2</b>\n");
        check(&[0, 0, 9, 1], "<!---->>\n<b>2</b>\n");
        check(&[0xFF, 0xFF, 9, 1], "<a>1</a>\n<b>2</b>\n");
        check(&[0, 0, 10, 0], "<a>1</a>\n");
        check(&[0, 0, 10, 255], "<a>1</a>");
    }

    #[test]
    fn a_script_ends_after_its_most_steps() {
        let script = [0, 0, 1, b'x'].repeat(MAX_STEPS + 1);
        assert_eq!(edited(b"", &script, &[]).len(), MAX_STEPS);
    }

    #[test]
    fn a_document_does_not_double_at_each_step() {
        let document = [b"<".as_slice(), &[b'x'; 2 * MAX_PIECE]].concat();
        let script = [0, 0, 7, 0].repeat(MAX_STEPS);
        let edited = edited(&document, &script, &[]);
        assert_eq!(edited.len(), document.len() + MAX_STEPS * MAX_PIECE);
    }

    #[test]
    fn nothing_can_be_edited_too() {
        for action in 0..11 {
            for argument in [0, 1, 255] {
                for place in [0, 0x80, 0xFF] {
                    let _ = edited(b"", &[place, place, action, argument], &[]);
                }
            }
        }
    }
}
