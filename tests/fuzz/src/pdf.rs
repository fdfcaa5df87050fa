//! Signatures inside a PDF: an indicator in closed words, and never "intact" for what was not signed.

use std::io::Write as _;
use std::ops::Range;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use truc_model::Sha256;
use truc_model::pdf::{Binding, Coverage, NotInspected, PdfSignature, PdfSignatures};
use truc_pdf::{Limits, inspect};

use crate::edits::edited;
use crate::folder;

/// Limits that a fuzzer's inputs reach.
const LIMITS: Limits = Limits {
    max_bytes: 64 * 1024,
    max_objects: 60,
    max_signatures: 3,
    max_cms_bytes: 4 * 1024,
    max_inflated_stream: 64 * 1024,
    max_inflated: 128 * 1024,
};

struct World {
    files: Vec<Vec<u8>>,
    signed: Vec<Signed>,
}

/// What one key once signed. No key is kept.
struct Signed {
    certificate: Sha256,
    /// The file up to where the signature covers it.
    file: Vec<u8>,
    /// The signature's digits in it, which nobody signs.
    gap: Range<usize>,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder().join("seeds/pdf"))
            .expect("the folder of seeds")
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
            .collect();
        files.sort();
        let files: Vec<Vec<u8>> = files.into_iter().map(|(_, bytes)| bytes).collect();
        let mut signed = Vec::new();
        for file in &files {
            let PdfSignatures::Signed { signatures } = inspect(file, &Limits::default()) else {
                continue;
            };
            for (signature, (gap, end)) in signatures.iter().zip(ranges(file)) {
                if signature.is_sound() {
                    signed.push(Signed {
                        certificate: signature.certificate.expect("a sound signature has one"),
                        file: file[..end].to_vec(),
                        gap,
                    });
                }
            }
        }
        assert!(signed.len() >= 5, "only {} signatures in the seeds", signed.len());
        Self { files, signed }
    }
}

/// Gap and end of each `ByteRange`, in the order of the file.
fn ranges(file: &[u8]) -> Vec<(Range<usize>, usize)> {
    let text: String = file.iter().map(|byte| char::from(*byte)).collect();
    text.split("/ByteRange [")
        .skip(1)
        .map(|rest| {
            let numbers: Vec<usize> = rest
                .split(']')
                .next()
                .unwrap_or("")
                .split_whitespace()
                .map(|number| number.parse().expect("a number"))
                .collect();
            (numbers[1]..numbers[2], numbers[2] + numbers[3])
        })
        .collect()
}

/// Texts that mean something in a PDF.
const WORDS: &[&str] = &[
    ">/A 1/B<",
    ">/A<",
    ">",
    "> ",
    "/ByteRange [0 1 2 3]",
    "/ByteRange ",
    "/Contents <00>",
    "/Contents ",
    "/Type /Sig ",
    "/SubFilter /adbe.pkcs7.sha1",
    "/SubFilter /ETSI.RFC3161",
    "/Filter /FlateDecode ",
    "/Filter [/ASCIIHexDecode /FlateDecode]",
    "/Length 0 ",
    "/Length 9 0 R ",
    "/Type /ObjStm /N 1 /First 4 ",
    "/Type /XRef /W [1 2 1] ",
    "/Encrypt << >> ",
    "/Prev 9 ",
    "/Root 1 0 R ",
    "/#54ype ",
    "<< ",
    " >>",
    "[",
    "]",
    "<",
    "(",
    ")",
    "1 0 R",
    "7 0 R ",
    "5 0 obj\n",
    "\nendobj\n",
    "stream\n",
    "\nendstream",
    "xref\n0 1\n0000000000 65535 f \n",
    "trailer\n<< /Size 9 /Root 1 0 R >>\n",
    "startxref\n0\n%%EOF\n",
    "%%EOF\n",
    "%",
    "0",
    "-1",
    "4294967296",
    "99999999999999999999",
    "null",
    " ",
    "\n",
    "\u{0}",
];

/// Input: a file; or, after a byte below 9 that says how, the number of a file and edits to it, or a signature
/// (CMS) to be put into a sound file, or objects to be compressed in a file, or words to be written over a
/// signature's digits.
///
/// # Panics
/// When a promise is broken: see the functions below.
pub fn pdf(data: &[u8]) {
    match data {
        [how @ ..=8, which, rest @ ..] => match how % 4 {
            0 => {
                let file = &WORLD.files[usize::from(*which) % WORLD.files.len()];
                examine(&edited(file, rest, WORDS));
            }
            1 => {
                let signed = &WORLD.signed[usize::from(*which) % WORLD.signed.len()];
                examine(&with_signature(signed, rest));
            }
            2 => examine(&with_objects(*which, rest)),
            _ => {
                let signed = &WORLD.signed[usize::from(*which) % WORLD.signed.len()];
                examine(&with_digits(signed, rest));
            }
        },
        file => examine(file),
    }
}

fn examine(file: &[u8]) {
    let found = inspect(file, &LIMITS);
    assert_eq!(found, inspect(file, &LIMITS), "the same bytes come out otherwise");
    assert!(PdfSignatures::WORDS.contains(&found.word()), "{}", found.word());
    let json = serde_json::to_value(&found).expect("it has a JSON form");
    assert_eq!(
        serde_json::from_value::<PdfSignatures>(json).expect("and back"),
        found
    );
    let too_large = PdfSignatures::Unchecked {
        why: NotInspected::TooLarge,
    };
    assert_eq!(found == too_large, file.len() > LIMITS.max_bytes);
    let PdfSignatures::Signed { signatures } = &found else {
        return;
    };
    assert!((1..=LIMITS.max_signatures).contains(&signatures.len()));
    for signature in signatures {
        nothing_is_sound_but_what_was_signed(file, signature);
    }
}

/// A sound signature by one of the keys covers what that key signed, and says rightly how much that is. (By
/// other keys there is none: the fuzzer has no key to sign with.)
fn nothing_is_sound_but_what_was_signed(file: &[u8], signature: &PdfSignature) {
    if let Coverage::Partial { bytes_after } = signature.coverage {
        assert!(bytes_after > 0 && bytes_after < file.len() as u64);
    }
    if let Some(name) = &signature.signer {
        assert!(!name.chars().any(char::is_control), "{name:?}");
    }
    if !signature.is_sound() {
        return;
    }
    let genuine = WORLD.signed.iter().any(|signed| {
        let end = signed.file.len();
        let after = match signature.coverage {
            Coverage::WholeFile => 0,
            Coverage::Partial { bytes_after } => bytes_after,
            Coverage::Hole => return false,
        };
        // A signature that does not name its certificate holds with any other of the same key.
        (signature.binding == Binding::Absent || signature.certificate == Some(signed.certificate))
            && file.len() as u64 == end as u64 + after
            && file[..signed.gap.start] == signed.file[..signed.gap.start]
            && file[signed.gap.end..end] == signed.file[signed.gap.end..]
            && is_one_string(&file[signed.gap.clone()])
    });
    assert!(genuine, "sound, and nobody signed it: {signature:?}");
}

/// Hexadecimal digits in angle brackets: what nobody signs leaves room for nothing else.
fn is_one_string(gap: &[u8]) -> bool {
    let [b'<', digits @ .., b'>'] = gap else {
        return false;
    };
    digits.iter().all(u8::is_ascii_hexdigit)
}

/// The signed file with another signature in its gap.
fn with_signature(signed: &Signed, cms: &[u8]) -> Vec<u8> {
    let mut file = signed.file.clone();
    let digits = signed.gap.start + 1..signed.gap.end - 1;
    file[digits.clone()].fill(b'0');
    let text: String = cms.iter().map(|byte| format!("{byte:02x}")).collect();
    let length = text.len().min(digits.len());
    file[digits.start..digits.start + length].copy_from_slice(&text.as_bytes()[..length]);
    file
}

/// The signed file with words written over its digits, where nobody signs it: a byte says where, a byte what.
fn with_digits(signed: &Signed, words: &[u8]) -> Vec<u8> {
    let mut file = signed.file.clone();
    let gap = &mut file[signed.gap.clone()];
    for pair in words.chunks_exact(2).take(MAX_WORDS) {
        let at = (usize::from(pair[0]) * gap.len()) >> 8;
        let word = WORDS[usize::from(pair[1]) % WORDS.len()].bytes();
        for (byte, new) in gap[at..].iter_mut().zip(word) {
            *byte = new;
        }
    }
    file
}

/// Most words written over the digits.
const MAX_WORDS: usize = 8;

/// A file with these bytes as its compressed objects: a table of numbers and places, then the objects.
fn with_objects(count: u8, objects: &[u8]) -> Vec<u8> {
    let first = objects
        .iter()
        .position(|byte| *byte == b'<')
        .unwrap_or(objects.len());
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(objects).expect("into memory");
    let deflated = encoder.finish().expect("into memory");
    let mut file = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n".to_vec();
    let stream = file.len();
    let head = format!(
        "2 0 obj\n<< /Type /ObjStm /N {} /First {first} /Filter /FlateDecode /Length {} >>\nstream\n",
        count % 8,
        deflated.len()
    );
    file.extend_from_slice(head.as_bytes());
    file.extend_from_slice(&deflated);
    file.extend_from_slice(b"\nendstream\nendobj\n");
    let table = file.len();
    let tail = format!(
        "xref\n0 3\n0000000000 65535 f \n0000000009 00000 n \n{stream:010} 00000 n \ntrailer\n\
         << /Size 3 /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n"
    );
    file.extend_from_slice(tail.as_bytes());
    file
}

/// The files, and the signatures in them as DER.
pub(crate) fn originals() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let signature = |signed: &Signed| {
        let digits = &signed.file[signed.gap.start + 1..signed.gap.end - 1];
        let value = |digit: u8| char::from(digit).to_digit(16).expect("a digit");
        digits
            .chunks_exact(2)
            .map(|pair| u8::try_from(value(pair[0]) * 16 + value(pair[1])).expect("two digits"))
            .collect()
    };
    (WORLD.files.clone(), WORLD.signed.iter().map(signature).collect())
}
