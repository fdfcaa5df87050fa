//! What a fuzzer starts from: the project's packets and attacks, sound seals, signed PDFs, small zips; and for
//! each way of reading the input at least one that goes it to the end.

use crate::packets::files;
use crate::{Target, pdf, seal, xml_signature};

/// The seeds of a target: name and input, none longer than [`Target::max_len`].
#[must_use]
pub fn seeds(target: Target) -> Vec<(String, Vec<u8>)> {
    let mut seeds = match target {
        Target::Envelope => of_packets(&["strict", "warnings", "refusals"], &[]),
        Target::XmlSignature => {
            let signed: Vec<Vec<u8>> = xml_signature::originals().map(<[u8]>::to_vec).collect();
            of_packets(&["strict", "attacks/xml"], &signed)
        }
        Target::Seal => of_seals(),
        Target::Pdf => of_pdfs(),
        Target::Zip => of_zips(),
    };
    seeds.retain(|(_, input)| input.len() <= target.max_len());
    seeds
}

/// Packets as they stand, and for each number a script of one harmless edit.
fn of_packets(folders: &[&str], more: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for folder in folders {
        for (name, bytes) in files(folder, "edxml") {
            seeds.push((format!("{}-{name}", folder.replace('/', "-")), bytes));
        }
    }
    for (number, bytes) in more.iter().enumerate() {
        seeds.push((format!("signed-{number}"), bytes.clone()));
    }
    for number in 0..16_u8 {
        // A comment and a space: before an end tag, and inside a tag.
        let script = vec![1, number, 0x40, number, 4, 0, 0x80, number, 6, 17];
        seeds.push((format!("script-{number}"), script));
    }
    seeds
}

fn of_seals() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (number, seal) in (0..).zip(seal::originals()) {
        let raw = [&[0, number], seal.as_bytes()].concat();
        seeds.push((format!("seal-{number}"), raw));
        for how in [1, 2, 6, 10] {
            seeds.push((
                format!("script-{how}-{number}"),
                vec![how, number, 0x20, 0, 0, b'x'],
            ));
        }
        let decoded = |part: &str| {
            use base64::Engine as _;
            base64::engine::general_purpose::URL_SAFE_NO_PAD
                .decode(part)
                .unwrap()
        };
        let parts: Vec<Vec<u8>> = seal.split('.').map(decoded).collect();
        let own = [&[3, number], parts[0].as_slice(), b"\n", &parts[1]].concat();
        seeds.push((format!("signed-{number}"), own));
    }
    for (name, json) in files("attacks/seal", "json") {
        let case: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let seal = case["seal"].as_str().unwrap_or("");
        for number in 0..5 {
            seeds.push((
                format!("{name}-{number}"),
                [&[0, number], seal.as_bytes()].concat(),
            ));
        }
    }
    seeds
}

fn of_pdfs() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let (pdfs, signatures) = pdf::originals();
    for (number, bytes) in (0..).zip(pdfs) {
        seeds.push((format!("file-{number}"), bytes));
        seeds.push((format!("script-{number}"), vec![0, number, 0x20, 0, 0, b'x']));
        seeds.push((format!("digits-{number}"), vec![3, number, 0xE0, 40]));
    }
    for (number, cms) in (0..).zip(signatures) {
        seeds.push((
            format!("signature-{number}"),
            [&[1, number], cms.as_slice()].concat(),
        ));
    }
    let objects = b"3 0 4 40 << /Type /Sig /ByteRange [0 1 2 3] >>      << /Contents <3000> >> ";
    seeds.push(("objects".to_owned(), [&[2, 2], objects.as_slice()].concat()));
    seeds
}

fn of_zips() -> Vec<(String, Vec<u8>)> {
    let lists: [&[&str]; 9] = [
        &["a.pdf"],
        &["folder/", "folder/a.XLSX"],
        &["a.pdf", "b.pdf"],
        &["[Content_Types].xml", "word/document.xml"],
        &["[Content_Types].xml", "xl/workbook.xml"],
        &["[Content_Types].xml", "ppt/presentation.xml"],
        &["[Content_Types].xml", "_rels/.rels"],
        &["mimetype", "content.xml"],
        &[],
    ];
    let mut seeds = Vec::new();
    for (number, names) in (0..).zip(lists) {
        for comment in [&b""[..], b"PK\x05\x06 a comment that looks like the end"] {
            let name = format!("zip-{number}-{}", comment.len());
            seeds.push((name, [&[number], zip_of(names, comment).as_slice()].concat()));
        }
    }
    for (number, bytes) in (0..).zip([
        &b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n"[..],
        b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1",
        b"<?xml version=\"1.0\"?><a/>",
        b"{\\rtf1}",
        "Kính gửi".as_bytes(),
    ]) {
        seeds.push((format!("other-{number}"), [&[number], bytes].concat()));
    }
    seeds
}

/// A zip with stored, empty entries of these names.
fn zip_of(names: &[&str], comment: &[u8]) -> Vec<u8> {
    let (mut zip, mut central) = (Vec::new(), Vec::new());
    let short = |n: usize| u16::try_from(n).expect("a small zip").to_le_bytes();
    let long = |n: usize| u32::try_from(n).expect("a small zip").to_le_bytes();
    for name in names {
        let at = zip.len();
        zip.extend_from_slice(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0");
        zip.extend_from_slice(&[0; 12]);
        zip.extend_from_slice(&short(name.len()));
        zip.extend_from_slice(&[0; 2]);
        zip.extend_from_slice(name.as_bytes());
        central.extend_from_slice(b"PK\x01\x02");
        central.extend_from_slice(&[0; 24]);
        central.extend_from_slice(&short(name.len()));
        central.extend_from_slice(&[0; 12]);
        central.extend_from_slice(&long(at));
        central.extend_from_slice(name.as_bytes());
    }
    let start = zip.len();
    zip.extend_from_slice(&central);
    zip.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    zip.extend_from_slice(&short(names.len()));
    zip.extend_from_slice(&short(names.len()));
    zip.extend_from_slice(&long(central.len()));
    zip.extend_from_slice(&long(start));
    zip.extend_from_slice(&short(comment.len()));
    zip.extend_from_slice(comment);
    zip
}
