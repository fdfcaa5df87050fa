//! Files that want to cost something: limits at their edges, bombs, loops, nesting, and any bytes at all.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod kit;

use std::io::Write as _;

use kit::{Pdf, Pen, Slot};
use proptest::prelude::*;
use truc_model::pdf::{NotInspected, PdfSignatures, Unchecked, Unreadable, ValueState};
use truc_pdf::{Limits, inspect};

fn look(bytes: &[u8]) -> PdfSignatures {
    inspect(bytes, &Limits::default())
}

fn unreadable(why: Unreadable) -> PdfSignatures {
    PdfSignatures::Unreadable { why }
}

fn signed() -> Vec<u8> {
    let mut pdf = Pdf::plain();
    pdf.sign(&Slot::default(), |covered| Pen::new("a").sign(covered));
    pdf.bytes
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// A stream object; what is not text is written as hexadecimal digits.
fn stream(dictionary: &str, content: &[u8]) -> String {
    let digits: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "<< {dictionary} /Filter [/ASCIIHexDecode /FlateDecode] /Length {} >>\nstream\n{digits}>\nendstream",
        digits.len() + 1
    )
}

/// Objects numbered from `first`, in a compressed stream.
fn object_stream(first: usize, objects: &[String]) -> String {
    let (mut index, mut body) = (String::new(), String::new());
    for (number, object) in (first..).zip(objects) {
        index.push_str(&format!("{number} {} ", body.len()));
        body.push_str(object);
        body.push(' ');
    }
    let head = format!("/Type /ObjStm /N {} /First {}", objects.len(), index.len());
    stream(&head, &deflate(format!("{index}{body}").as_bytes()))
}

#[test]
fn bytes_at_the_limit() {
    let bytes = signed();
    let limits = |max_bytes| Limits {
        max_bytes,
        ..Limits::default()
    };
    assert_eq!(inspect(&bytes, &limits(bytes.len())).word(), "intact");
    assert_eq!(
        inspect(&bytes, &limits(bytes.len() - 1)),
        PdfSignatures::Unchecked {
            why: NotInspected::TooLarge
        }
    );
}

#[test]
fn objects_at_the_limit() {
    let bytes = signed();
    let limits = |max_objects| Limits {
        max_objects,
        ..Limits::default()
    };
    // Four of the page, the catalog's second revision in place of its first, field and signature.
    assert_eq!(inspect(&bytes, &limits(6)).word(), "intact");
    assert_eq!(
        inspect(&bytes, &limits(5)),
        unreadable(Unreadable::TooManyObjects)
    );
}

#[test]
fn signatures_at_the_limit() {
    let pen = Pen::new("a");
    let mut pdf = Pdf::plain();
    for _ in 0..Limits::MAX_SIGNATURES {
        pdf.sign(&Slot::default(), |covered| pen.sign(covered));
    }
    assert_eq!(look(&pdf.bytes).word(), "intact");
    pdf.sign(&Slot::default(), |covered| pen.sign(covered));
    assert_eq!(look(&pdf.bytes), unreadable(Unreadable::TooManySignatures));
}

#[test]
fn the_size_of_a_signature_at_the_limit() {
    let bytes = signed();
    let limits = |max_cms_bytes| Limits {
        max_cms_bytes,
        ..Limits::default()
    };
    let reserved = Slot::default().digits / 2;
    assert_eq!(inspect(&bytes, &limits(reserved)).word(), "intact");
    let PdfSignatures::Signed { signatures } = inspect(&bytes, &limits(reserved - 1)) else {
        panic!("not signed");
    };
    let why = Unchecked::TooLarge;
    assert_eq!(signatures[0].signature, ValueState::Unchecked { why });
}

#[test]
fn a_signature_among_compressed_objects_is_no_way_out() {
    // No stretch of the file can be its gap, so it covers nothing; but it is not passed over either.
    let hidden = "<< /Type /Sig /SubFilter /ETSI.CAdES.detached /ByteRange [0 1 2 3] /Contents <3000> >>";
    let escaped = hidden.replace("ByteRange", "#42yteRange");
    for dictionary in [hidden.to_owned(), escaped] {
        let mut pdf = Pdf::plain();
        pdf.append(&[(5, object_stream(6, &[dictionary]))]);
        assert_eq!(look(&pdf.bytes).word(), "broken");
    }
}

#[test]
fn compressed_objects_inflate_up_to_the_budget() {
    let plain = vec![b' '; 1000];
    let limits = |max_inflated_stream, max_inflated| Limits {
        max_inflated_stream,
        max_inflated,
        ..Limits::default()
    };
    let of = |streams: usize| {
        let mut pdf = Pdf::plain();
        let dictionary = "/Type /ObjStm /N 0 /First 0";
        let objects: Vec<_> = (5..5 + streams)
            .map(|number| (number, stream(dictionary, &deflate(&plain))))
            .collect();
        pdf.append(&objects);
        pdf.bytes
    };
    // The limit of a stream holds for each of its filters, and the hexadecimal digits are the shorter one.
    assert_eq!(inspect(&of(1), &limits(1000, 9000)).word(), "none");
    assert_eq!(
        inspect(&of(1), &limits(999, 9000)),
        unreadable(Unreadable::Inflates)
    );
    assert_eq!(inspect(&of(3), &limits(1000, 3000)).word(), "none");
    assert_eq!(
        inspect(&of(3), &limits(1000, 2999)),
        unreadable(Unreadable::Inflates)
    );
}

#[test]
fn a_bomb_of_objects_does_not_go_off() {
    // 64 MiB in some 64 KiB; twice deflated it is less than one.
    let once = deflate(&vec![b' '; 64 * 1024 * 1024]);
    let twice = deflate(&once);
    let head = "/Type /ObjStm /N 1 /First 5";
    let nested = stream(head, &twice).replace("/FlateDecode]", "/FlateDecode /FlateDecode]");
    for bomb in [stream(head, &once), nested] {
        let mut pdf = Pdf::plain();
        pdf.append(&[(5, bomb)]);
        assert_eq!(look(&pdf.bytes), unreadable(Unreadable::Inflates));
    }
}

#[test]
fn a_bomb_in_the_table_does_not_go_off() {
    let bomb = deflate(&vec![0; 64 * 1024 * 1024]);
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let table = stream("/Type /XRef /Size 6 /W [1 2 1] /Root 1 0 R", &bomb);
    bytes.extend(format!("1 0 obj\n{table}\nendobj\nstartxref\n9\n%%EOF\n").bytes());
    assert_eq!(look(&bytes), unreadable(Unreadable::Inflates));
}

#[test]
fn page_content_is_never_inflated() {
    let bomb = deflate(&vec![b' '; 64 * 1024 * 1024]);
    let mut pdf = Pdf::plain();
    pdf.append(&[(4, stream("", &bomb))]);
    pdf.sign(&Slot::default(), |covered| Pen::new("a").sign(covered));
    let limits = Limits {
        max_inflated: 0,
        max_inflated_stream: 0,
        ..Limits::default()
    };
    assert_eq!(inspect(&pdf.bytes, &limits).word(), "intact");
}

#[test]
fn lengths_that_lie() {
    for length in [
        "99999999999999999999",
        "4294967295",
        "-1",
        "4 0 R",
        "5 0 R",
        "(x)",
        "null",
    ] {
        let body = format!("<< /Length {length} >>\nstream\nabc\nendstream");
        let mut pdf = Pdf::plain();
        pdf.append(&[(4, body)]);
        assert_eq!(look(&pdf.bytes).word(), "none", "{length}");
        pdf.sign(&Slot::default(), |covered| Pen::new("a").sign(covered));
        assert_eq!(look(&pdf.bytes).word(), "intact", "{length}");
    }
}

#[test]
fn nesting_at_the_limit() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let inner = "<< /ByteRange [0 1 2 3] /Contents <3000> >>";
        let mut pdf = Pdf::plain();
        pdf.append(&[(5, format!("{open}{inner}{close}"))]);
        look(&pdf.bytes)
    };
    // The dictionary, its list and the numbers are levels too.
    assert_eq!(nested(Limits::MAX_DEPTH - 2).word(), "broken");
    // One deeper the object does not read, and is passed over.
    assert_eq!(nested(Limits::MAX_DEPTH - 1).word(), "none");
    for depth in [1_000, 100_000] {
        assert_eq!(nested(depth).word(), "none", "{depth}");
    }
    for (open, close) in [("<< /A ", " >>"), ("(", ")")] {
        let mut pdf = Pdf::plain();
        pdf.append(&[(5, format!("{}{}", open.repeat(50_000), close.repeat(50_000)))]);
        assert_eq!(look(&pdf.bytes).word(), "none", "{open}");
    }
}

#[test]
fn tables_that_loop() {
    let mut pdf = Pdf::plain();
    pdf.sign(&Slot::default(), |covered| Pen::new("a").sign(covered));
    let text = String::from_utf8_lossy(&pdf.bytes).into_owned();
    let last = text.rfind("startxref\n").unwrap();
    let table: usize = text[last + 10..].lines().next().unwrap().parse().unwrap();
    let prev = text.rfind("/Prev ").unwrap() + 6;
    let old = text[prev..].split(' ').next().unwrap().len();
    let mut bytes = pdf.bytes.clone();
    let own = format!("{table:0old$}");
    // The table names itself as the one before, if the digits fit; else the first one does.
    bytes.splice(prev..prev + old, own.bytes().take(old.max(own.len())));
    assert_ne!(look(&bytes).word(), "intact");
    // Two tables that name each other.
    let body = "%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n";
    let first = body.len();
    let table = |prev: usize| {
        format!(
            "xref\n0 2\n0000000000 65535 f \n0000000009 00000 n \ntrailer\n<< /Size 2 /Root 1 0 R /Prev {prev:04} >>\n"
        )
    };
    let second = first + table(0).len();
    let looped = format!(
        "{body}{}{}startxref\n{second}\n%%EOF\n",
        table(second),
        table(first)
    );
    assert_eq!(look(looped.as_bytes()), PdfSignatures::None);
}

#[test]
fn objects_that_refer_in_circles() {
    let mut pdf = Pdf::plain();
    pdf.append(&[
        (5, "<< /Length 6 0 R >>\nstream\nabc\nendstream".to_owned()),
        (6, "7 0 R".to_owned()),
        (7, "6 0 R".to_owned()),
        (8, "<< /Length 8 0 R >>\nstream\nabc\nendstream".to_owned()),
    ]);
    assert_eq!(look(&pdf.bytes).word(), "none");
}

#[test]
fn encrypted_files_are_said_to_be() {
    let encrypt = "<< /Filter /Standard /V 1 /R 2 /P -4 /O <00> /U <00> >>";
    for handler in [encrypt, "<< /Filter /Other >>", "<< >>"] {
        let mut pdf = Pdf::plain();
        pdf.append(&[(5, handler.to_owned())]);
        let text = pdf.bytes.clone();
        let at = text.len() - "startxref\n0000\n%%EOF\n".len();
        let trailer = kit::find(&text[at - 60..], b"/Root 1 0 R") + at - 60;
        pdf.bytes
            .splice(trailer..trailer, b"/Encrypt 5 0 R ".iter().copied());
        assert_eq!(look(&pdf.bytes), unreadable(Unreadable::Encrypted), "{handler}");
    }
}

#[test]
fn what_is_no_pdf_is_damaged() {
    for bytes in [
        &b""[..],
        b"%PDF",
        b"%PDF-1.7\n",
        b"%PDF-1.7\nstartxref\n0\n%%EOF",
        b"hello",
        &[0xFF; 4096],
    ] {
        assert_eq!(look(bytes), unreadable(Unreadable::Damaged));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        prop_assert!(PdfSignatures::WORDS.contains(&look(&bytes).word()));
    }

    /// Bytes that look like a PDF reach further in.
    #[test]
    fn any_tokens_never_panic(tokens in proptest::collection::vec(0..TOKENS.len(), 0..200)) {
        let mut bytes = b"%PDF-1.7\n".to_vec();
        for token in tokens {
            bytes.extend(TOKENS[token].bytes());
        }
        prop_assert!(PdfSignatures::WORDS.contains(&look(&bytes).word()));
    }

    /// A signed file with some bytes replaced, put in or taken out is never intact, unless what is signed is the same
    /// to the byte and the report too: what can change is how the digits of the signature are written, and the
    /// version numbers in it that nobody signs.
    #[test]
    fn changes_never_panic_and_never_pass(edits in proptest::collection::vec((0_usize..7000, any::<u8>(), 0_u8..3), 1..6)) {
        let original = signed();
        let mut bytes = original.clone();
        for (at, byte, kind) in edits {
            let at = at % bytes.len();
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        let report = look(&bytes);
        if report.word() == "intact" {
            let from = kit::find(&original, b"/Contents <") + b"/Contents <".len();
            let to = from + kit::find(&original[from..], b">");
            prop_assert_eq!(bytes.len(), original.len());
            prop_assert_eq!(&bytes[..from], &original[..from]);
            prop_assert_eq!(&bytes[to..], &original[to..]);
            prop_assert_eq!(report, look(&original));
        }
    }

    /// Any bytes in place of the signature.
    #[test]
    fn any_signature_never_panics(cms in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut pdf = Pdf::plain();
        pdf.sign(&Slot::default(), |_| cms);
        prop_assert!(["unchecked", "broken", "changed"].contains(&look(&pdf.bytes).word()));
    }

    /// A real signature with some bytes changed.
    #[test]
    fn a_bent_signature_never_panics(edits in proptest::collection::vec((0_usize..900, any::<u8>()), 1..4)) {
        let mut pdf = Pdf::plain();
        pdf.sign(&Slot::default(), |covered| {
            let mut cms = Pen::new("a").sign(covered);
            for (at, byte) in edits {
                let at = at % cms.len();
                cms[at] = byte;
            }
            cms
        });
        prop_assert!(PdfSignatures::WORDS.contains(&look(&pdf.bytes).word()));
    }
}

const TOKENS: [&str; 40] = [
    "1 0 obj\n",
    "2 0 obj\n",
    "endobj\n",
    "<< ",
    ">> ",
    "[ ",
    "] ",
    "/Type ",
    "/Sig ",
    "/ByteRange ",
    "/Contents ",
    "/ObjStm ",
    "/XRef ",
    "/Length ",
    "/Filter ",
    "/FlateDecode ",
    "/Root 1 0 R ",
    "/Size ",
    "/Prev ",
    "/Encrypt ",
    "/W [1 2 1] ",
    "/Index ",
    "/N ",
    "/First ",
    "0 ",
    "1 ",
    "9 ",
    "65535 ",
    "4294967296 ",
    "-1 ",
    "2 0 R ",
    "<3000> ",
    "(text) ",
    "stream\n",
    "\nendstream\n",
    "xref\n0 1\n0000000000 65535 f \n",
    "trailer\n",
    "startxref\n9\n%%EOF\n",
    "%",
    "\n",
];
