//! The canonical form byte for byte beside libxml2 and bergshamra, on generated documents.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use truc_envelope::Limits;
use truc_envelope::dsig::{Canonicalization, canonical_form};
use truc_oracles::{Bergshamra, Generator, is_there, seed, xmllint};

/// Documents compared with libxml2, each in two forms.
const DOCUMENTS: usize = 3_000;
/// Documents handed to one process.
const BATCH: usize = 250;

fn ours(document: &str, form: Canonicalization, prefixes: &[&str]) -> Option<Vec<u8>> {
    canonical_form(document.as_bytes(), form, prefixes, &Limits::default()).ok()
}

/// Compares in batches, and finds the one that differs.
fn compare(documents: &[String], form: Canonicalization) {
    for batch in documents.chunks(BATCH) {
        let expected: Vec<u8> = batch.iter().flat_map(|d| ours(d, form, &[]).unwrap()).collect();
        if xmllint(batch, form).as_ref() == Some(&expected) {
            continue;
        }
        for document in batch {
            let theirs = xmllint(std::slice::from_ref(document), form);
            let theirs = theirs.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let own = String::from_utf8(ours(document, form, &[]).unwrap()).unwrap();
            assert_eq!(theirs.as_deref(), Some(own.as_str()), "{form}: {document:?}");
        }
        panic!("a batch differs, and no document in it");
    }
}

const WITH_COMMENTS: [Canonicalization; 2] = [
    Canonicalization::InclusiveWithComments,
    Canonicalization::ExclusiveWithComments,
];

#[test]
fn the_canonical_form_is_libxml2s() {
    if !is_there("xmllint") {
        return;
    }
    let mut generator = Generator::new(seed(11));
    let documents: Vec<String> = (0..DOCUMENTS).map(|_| generator.document()).collect();
    for form in WITH_COMMENTS {
        compare(&documents, form);
    }
    let bytes: usize = documents.iter().map(String::len).sum();
    eprintln!("canonical as libxml2: {DOCUMENTS} documents in 2 forms, {bytes} bytes, 0 differences");
}

/// Whatever we take for XML, libxml2 does too, and writes it the same.
#[test]
fn what_we_accept_libxml2_accepts() {
    if !is_there("xmllint") {
        return;
    }
    let mut generator = Generator::new(seed(12));
    let mut accepted = Vec::new();
    let mut tried = 0;
    while tried < 20 * DOCUMENTS {
        let document = broken(&mut generator);
        tried += 1;
        if ours(&document, Canonicalization::InclusiveWithComments, &[]).is_some() {
            accepted.push(document);
        }
    }
    for form in WITH_COMMENTS {
        compare(&accepted, form);
    }
    eprintln!(
        "broken documents: {tried} tried, {} accepted, all by libxml2 too",
        accepted.len()
    );
    assert!(accepted.len() > tried / 50, "{}", accepted.len());
}

/// A document with one to three places put wrong.
fn broken(generator: &mut Generator) -> String {
    const PIECES: [&str; 44] = [
        "<",
        ">",
        "&",
        "'",
        "\"",
        "/",
        "=",
        " ",
        "!",
        "?",
        "-",
        "--",
        "]]>",
        "<!--",
        "-->",
        "<![CDATA[",
        "<?",
        "?>",
        "<a>",
        "</a>",
        "<a/>",
        "xmlns=''",
        " xmlns='urn:a'",
        " xmlns:p=''",
        " xmlns:p='x'",
        " xmlns:p='a:b c'",
        " xmlns:xml='urn:x'",
        " p:x='1'",
        "&amp;",
        "&#0;",
        "&#65;",
        "&x;",
        "\u{1}",
        "\u{FFFE}",
        "x:",
        ":",
        "\u{B7}",
        "<?xml version='1.0'?>",
        "\u{FEFF}",
        "http:",
        "#",
        "%",
        "\r",
        "ª",
    ];
    let mut document = generator.document();
    for _ in 0..=generator.below(3) {
        let mut at = generator.below(document.len() + 1);
        while !document.is_char_boundary(at) {
            at -= 1;
        }
        match generator.below(3) {
            0 => document.insert_str(at, generator.pick(&PIECES)),
            1 => {
                let mut end = (at + 1 + generator.below(8)).min(document.len());
                while !document.is_char_boundary(end) {
                    end += 1;
                }
                document.replace_range(at..end, "");
            }
            _ => {
                let end = document[at..].chars().next().map_or(at, |c| at + c.len_utf8());
                document.replace_range(at..end, generator.pick(&PIECES));
            }
        }
    }
    document
}

/// All four forms, and lists of prefixes, which xmllint cannot be asked for.
#[test]
fn the_canonical_form_is_bergshamras() {
    // Its parser keeps line ends in attribute values, and carriage returns in CDATA and instructions, where
    // XML 1.0 (§3.3.3, §2.11) has spaces and line feeds: libxml2 above is the witness for those.
    let mut generator = Generator::new(seed(13)).with_plain_line_ends();
    let lists: [&[&str]; 4] = [&[], &["p", "q"], &[""], &["a", "", "ns-x", "unknown"]];
    let mut compared = 0;
    for _ in 0..DOCUMENTS {
        let document = generator.document();
        let document = document.trim_start_matches('\u{FEFF}');
        for form in Canonicalization::ALL {
            let prefixes = if form.uri().contains("exc") {
                lists[generator.below(lists.len())]
            } else {
                &[]
            };
            let named: Vec<&str> = prefixes
                .iter()
                .map(|prefix| if prefix.is_empty() { "#default" } else { prefix })
                .collect();
            let own = String::from_utf8(ours(document, *form, prefixes).unwrap()).unwrap();
            let theirs = Bergshamra::canonical(document, *form, &named).unwrap();
            assert_eq!(
                String::from_utf8(theirs).unwrap(),
                own,
                "{form} {named:?}: {document:?}"
            );
            compared += 1;
        }
    }
    eprintln!("canonical as bergshamra: {compared} comparisons, 0 differences");
}
