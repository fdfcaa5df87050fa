//! A packet says the same wherever it lies: in memory, or in a source that gives it a few bytes at a time. Findings,
//! places, digests, verdicts and decoded attachments are compared, for every packet of the tests, for edited ones,
//! and for pieces of every size from a byte up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may end at what it did not expect"
)]

mod dsig_support;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use truc_envelope::dsig::{
    DsigPolicy, DsigVerdict, Sha1Policy, SignOptions, SigningKey, sign, sign_from, verify, verify_from,
};
use truc_envelope::seal::Trust;
use truc_envelope::{
    Limits, Packet, PacketSource, decode_attachment, decode_attachment_from, lint, lint_from, read,
    read_from, sha256_of,
};
use truc_model::Sha256;

/// Bytes that come in pieces: of one size, or of changing sizes up to it.
struct Pieces<'a> {
    bytes: &'a [u8],
    size: usize,
    changing: bool,
}

impl PacketSource for Pieces<'_> {
    fn size(&self) -> io::Result<u64> {
        self.bytes.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let size = if self.changing {
            1 + usize::try_from(offset.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33).unwrap() % self.size
        } else {
            self.size
        };
        let length = buffer.len().min(size);
        self.bytes.read_at(offset, &mut buffer[..length])
    }
}

/// Compares everything, in pieces of these sizes.
fn check(bytes: &[u8], sizes: &[usize], policy: &DsigPolicy, trust: &Trust, what: &str) {
    let today = jiff::civil::date(2030, 1, 1);
    let now: jiff::Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
    let limits = &policy.limits;
    let reading = read(bytes, limits);
    let linted = lint(bytes, limits, today);
    let verdict = verify(bytes, policy, trust, now);
    for &size in sizes {
        for changing in [false, true] {
            let source = Pieces {
                bytes,
                size,
                changing,
            };
            let note = || format!("{what} in pieces of {size}");
            assert_eq!(read_from(&source, limits).unwrap(), reading, "{}", note());
            assert_eq!(lint_from(&source, limits, today).unwrap(), linted, "{}", note());
            assert_eq!(
                verify_from(&source, policy, trust, now, &[]).unwrap(),
                verdict,
                "{}",
                note()
            );
            assert_eq!(sha256_of(&source).unwrap(), Sha256::of(bytes));
            let Ok(reading) = &reading else { continue };
            let Packet::Document(document) = &reading.packet else {
                continue;
            };
            for attachment in &document.attachments {
                let mut decoded = Vec::new();
                decode_attachment_from(&source, attachment, &mut decoded).unwrap();
                assert_eq!(
                    decoded,
                    decode_attachment(bytes, attachment).unwrap(),
                    "{}",
                    note()
                );
            }
        }
    }
}

/// What every packet is checked with.
fn any_trust() -> (DsigPolicy, Trust) {
    let policy = DsigPolicy {
        sha1: Sha1Policy::Allowed,
        ..DsigPolicy::default()
    };
    let anchors = documents().join("attacks/xml/anchors.pem");
    let trust = Trust::new(&[fs::read_to_string(anchors).unwrap()]).unwrap();
    (policy, trust)
}

fn documents() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/documents")
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files_below(&entry, found);
        } else if entry.extension().is_some_and(|e| e == "edxml" || e == "xml") {
            found.push(entry);
        }
    }
    found.sort();
}

#[test]
fn every_packet_of_the_tests() {
    let (policy, trust) = any_trust();
    let mut files = Vec::new();
    files_below(&documents(), &mut files);
    assert!(files.len() > 100, "only {} packets", files.len());
    for (number, file) in files.iter().enumerate() {
        let bytes = fs::read(file).unwrap();
        let sizes: &[usize] = match bytes.len() {
            // Every size has its turn, and a byte at a time where that does not take long.
            ..8_000 => &[1, 2 + number % 61, 4096],
            8_000..100_000 => &[7 + number % 97, 8192],
            _ => &[65_521],
        };
        check(&bytes, sizes, &policy, &trust, &file.display().to_string());
    }
}

#[test]
fn real_packets_where_they_are_at_hand() {
    let (policy, trust) = any_trust();
    let mut files = Vec::new();
    files_below(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples/edxml"),
        &mut files,
    );
    let mut count = 0;
    for file in &files {
        let bytes = fs::read(file).unwrap();
        if bytes.len() < 3_000_000 {
            count += 1;
            check(
                &bytes,
                &[10_007, 65_536],
                &policy,
                &trust,
                &file.display().to_string(),
            );
        }
    }
    if count == 0 {
        eprintln!("SKIPPED: no samples beside the repository");
    }
    println!("{count} real packets read in pieces");
}

#[test]
fn awkward_ones_in_pieces_of_every_size() {
    let (policy, trust) = any_trust();
    let packet = fs::read_to_string(documents().join("strict/status.edxml")).unwrap();
    let subject = packet.find("</edXML:OrganId>").expect("a value");
    let with = |inside: &str| {
        let (before, after) = packet.split_at(subject);
        format!("{before}{inside}{after}").into_bytes()
    };
    let mut cases: Vec<Vec<u8>> = [
        "\r\n \r\t x\r",
        "]]&gt;]]",
        "a]]>b",
        "<![CDATA[]]]]><![CDATA[>\r\n]]>",
        "<![CDATA[never closed",
        "<!-- -- -->",
        "<!-- never closed",
        "&#x1F600;&#13;\n&lt;",
        "&nbsp;",
        "& alone",
        "&#1;",
        "\u{1}",
        "\u{FFFE}",
        "<x y='1' z=\"2\"/>",
        "<x:y/>",
        "<ds:Signature/>",
        "<!DOCTYPE x>",
        "<?xml version='1.0'?>",
        "</edXML:wrong>",
        "\u{A0}\u{10FFFF}đ",
    ]
    .into_iter()
    .map(with)
    .collect();
    // Inside a signature, where only elements may stand: text, blank at first.
    let signed = fs::read_to_string(documents().join("attacks/xml/control.edxml")).unwrap();
    for (place, inside) in [
        ("<ds:KeyInfo>", format!("{}stray", " \n".repeat(40))),
        ("<ds:SignedInfo>", " \t &#32; x".to_owned()),
        ("<ds:DigestValue>", "<![CDATA[ never closed".to_owned()),
        ("<ds:SignatureValue>", "<!-- x -->".to_owned()),
    ] {
        let at = signed.find(place).expect("a signature of this form") + place.len();
        let (before, after) = signed.split_at(at);
        cases.push(format!("{before}{inside}{after}").into_bytes());
    }
    cases.push([b"\xEF\xBB\xBF", packet.as_bytes()].concat());
    cases.push([b"\xEF\xBB\xBF\xEF\xBB\xBF", packet.as_bytes()].concat());
    cases.push([b"123 ", packet.as_bytes()].concat());
    cases.push([packet.as_bytes(), b"\xFF"].concat());
    cases.push([packet.as_bytes(), "đ".as_bytes().get(..1).unwrap()].concat());
    cases.push([packet.as_bytes(), b"<again/>"].concat());
    cases.push(b"\xFF\xFE<\0".to_vec());
    cases.push(Vec::new());
    cases.push(b"<".to_vec());
    cases.push(with(&" ".repeat(70_000)));
    cases.push(with(&format!("{}x", " ".repeat(70_000))));
    cases.push(with(&"x".repeat(70_000)));
    cases.push(with(&format!("<x {}/>", "a".repeat(70_000))));
    cases.push(with(&format!("<!--{}-->", "a".repeat(70_000))));
    for (number, bytes) in cases.iter().enumerate() {
        let sizes: Vec<usize> = match bytes.len() {
            ..20_000 => (1..=24).chain([64, 1000]).collect(),
            _ => vec![97, 4096, 65_536],
        };
        check(bytes, &sizes, &policy, &trust, &format!("case {number}"));
    }
}

#[test]
fn a_referenced_carriage_return_is_no_line_end() {
    let packet = fs::read_to_string(documents().join("strict/document.edxml")).unwrap();
    let at = packet.find("</edXML:Subject>").expect("a subject");
    let (before, after) = packet.split_at(at);
    let packet = format!("{before}a\r\nb\rc&#13;d&#xD;\ne{after}");
    for size in [1, 2, 3, packet.len()] {
        let source = Pieces {
            bytes: packet.as_bytes(),
            size,
            changing: false,
        };
        let reading = read_from(&source, &Limits::default()).unwrap().unwrap();
        let Packet::Document(document) = reading.packet else {
            panic!("a status")
        };
        assert!(
            document.subject.ends_with("a\nb\nc\rd\r\ne"),
            "{:?}",
            document.subject
        );
    }
}

fn first_below(folder: &str) -> PathBuf {
    let mut files = Vec::new();
    files_below(&documents().join(folder), &mut files);
    files.remove(0)
}

#[test]
fn signed_packets_and_signing_itself() {
    let root = dsig_support::Ca::root("root");
    let leaf = root.leaf("signer", |_| {});
    let trust = Trust::new(&[root.pem()]).unwrap();
    let key = SigningKey::from_pem(&leaf.key_pem, &leaf.certificate_pem).unwrap();
    let (policy, now) = (DsigPolicy::default(), dsig_support::now());
    let mut files = Vec::new();
    files_below(&documents().join("strict"), &mut files);
    let mut signed_some = 0;
    for (number, file) in files.iter().enumerate() {
        let packet = fs::read(file).unwrap();
        let size = 1 + number * 13 % 500;
        let pieces = |bytes| Pieces {
            bytes,
            size,
            changing: true,
        };
        let options = SignOptions::default();
        let expected = sign(&packet, &key, &options);
        let mut signed = Vec::new();
        let outcome = sign_from(&pieces(&packet), &key, &options, &Limits::default(), &mut signed).unwrap();
        assert_eq!(outcome.as_ref().err(), expected.as_ref().err());
        let Ok(expected) = expected else { continue };
        signed_some += 1;
        assert_eq!(signed, expected, "Ed25519 gives the same each time");
        let verdict = verify(&signed, &policy, &trust, now);
        assert!(matches!(verdict, DsigVerdict::Valid(_)), "{verdict:?}");
        assert_eq!(
            verify_from(&pieces(&signed), &policy, &trust, now, &[]).unwrap(),
            verdict
        );
        // One bit of a value turned over.
        let mut spoiled = signed.clone();
        let at = spoiled.len() / 2;
        spoiled[at] ^= 1;
        assert_eq!(
            verify_from(&pieces(&spoiled), &policy, &trust, now, &[]).unwrap(),
            verify(&spoiled, &policy, &trust, now)
        );
    }
    assert!(signed_some > 3, "only {signed_some} packets were signed");
}

/// Fails from an offset on.
struct Failing<'a>(&'a [u8], u64);

impl PacketSource for Failing<'_> {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset >= self.1 {
            return Err(io::Error::other("the disk is gone"));
        }
        let room = usize::try_from(self.1 - offset)
            .unwrap()
            .min(buffer.len())
            .min(50);
        self.0.read_at(offset, &mut buffer[..room])
    }
}

#[test]
fn a_disk_that_fails_says_nothing_of_the_packet() {
    let (policy, trust) = any_trust();
    let now: jiff::Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
    for file in [
        first_below("strict"),
        first_below("attacks/xml"),
        first_below("refusals"),
    ] {
        let packet = fs::read(file).unwrap();
        for at in (0..packet.len() as u64).step_by(37) {
            let source = Failing(&packet, at);
            assert!(read_from(&source, &Limits::default()).is_err(), "at {at}");
            assert!(
                verify_from(&source, &policy, &trust, now, &[]).is_err(),
                "at {at}"
            );
            assert!(sha256_of(&source).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn edited_packets(
        number in 0_usize..1000,
        edits in prop::collection::vec((0_usize..100_000, 0_usize..200, edit()), 1..4),
        size in 1_usize..400,
    ) {
        let (policy, trust) = any_trust();
        let mut files = Vec::new();
        for folder in ["strict", "warnings", "attacks/xml"] {
            files_below(&documents().join(folder), &mut files);
        }
        files.retain(|file| fs::metadata(file).unwrap().len() < 20_000);
        let mut bytes = fs::read(&files[number % files.len()]).unwrap();
        for (at, length, inserted) in edits {
            let at = at % (bytes.len() + 1);
            let end = (at + length / 8).min(bytes.len());
            bytes.splice(at..end, inserted.iter().copied());
        }
        check(&bytes, &[size], &policy, &trust, "an edited packet");
    }
}

fn edit() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        prop::sample::select(vec![
            &b"<a>"[..],
            b"</a>",
            b"<a/>",
            b"&amp;",
            b"&#13;",
            b"&",
            b"]]>",
            b"]",
            b"<![CDATA[",
            b"<!--",
            b"-->",
            b"\r\n",
            b"\r",
            b"\n",
            b"<?p?>",
            b"'",
            b"\"",
            b" ",
            b"=",
            b"\xC4\x91",
            b"\xEF\xBF\xBE",
            b"${",
        ])
        .prop_map(<[u8]>::to_vec),
    ]
}
