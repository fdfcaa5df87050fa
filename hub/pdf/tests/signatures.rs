//! Own PDFs with own signatures: what is intact, what a change does, and what cannot be told.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod kit;

use kit::{Pdf, Pen, Slot, Style, find};
use truc_model::Sha256;
use truc_model::pdf::{
    Binding, Coverage, DigestState, PdfSignature, PdfSignatures, SubFilter, Unchecked, ValueState,
};
use truc_pdf::{Limits, inspect};

fn look(bytes: &[u8]) -> PdfSignatures {
    inspect(bytes, &Limits::default())
}

fn signatures(bytes: &[u8]) -> Vec<PdfSignature> {
    match look(bytes) {
        PdfSignatures::Signed { signatures } => signatures,
        other => panic!("{other:?}"),
    }
}

/// A signed file whose signature is bent.
fn bent(pen: &Pen, bend: impl FnOnce(&mut Style)) -> Vec<u8> {
    let mut style = pen.style();
    bend(&mut style);
    let mut pdf = Pdf::plain();
    pdf.sign(&Slot::default(), |covered| pen.write(covered, &style));
    pdf.bytes
}

fn signed(pen: &Pen) -> Vec<u8> {
    bent(pen, |_| ())
}

/// The same file with one digit of the page changed.
fn tampered(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = find(&bytes, b"Cong van 123");
    bytes[at + 11] = b'9';
    bytes
}

#[test]
fn an_unsigned_file_has_none() {
    assert_eq!(look(&Pdf::plain().bytes), PdfSignatures::None);
    // A field without a value, as forms have it before anyone signs.
    let mut pdf = Pdf::plain();
    pdf.append(&[(5, "<< /FT /Sig /T (Sig1) >>".to_owned())]);
    assert_eq!(look(&pdf.bytes).word(), "none");
}

#[test]
fn a_signed_file_is_intact_and_says_by_whom() {
    let pen = Pen::new("UBND tỉnh Tuyên Quang");
    let bytes = signed(&pen);
    let found = signatures(&bytes);
    assert_eq!(
        found,
        [PdfSignature {
            kind: SubFilter::Pades,
            digest: DigestState::Intact,
            signature: ValueState::Holds,
            coverage: Coverage::WholeFile,
            signer: Some("UBND tỉnh Tuyên Quang".to_owned()),
            certificate: Some(Sha256::of(&pen.certificate)),
            binding: Binding::Bound,
            signed_at: Some("2026-11-23T01:41:09Z".parse().unwrap()),
            algorithm: Some("ecdsa-p256-sha256".to_owned()),
        }]
    );
    assert_eq!(look(&bytes).word(), "intact");
}

#[test]
fn one_changed_byte_is_seen() {
    let pen = Pen::new("a");
    let found = signatures(&tampered(signed(&pen)));
    assert_eq!(found[0].digest, DigestState::Changed);
    assert_eq!(
        found[0].signature,
        ValueState::Holds,
        "the value itself is unharmed"
    );
    assert_eq!(look(&tampered(signed(&pen))).word(), "changed");
}

#[test]
fn every_byte_of_the_file_counts() {
    let pen = Pen::new("a");
    let bytes = signed(&pen);
    let gap = find(&bytes, b"/Contents <") + 10
        ..find(&bytes, b"> >>\nendobj\nxref\n0 1\n0000000000 65535 f \n1 1") + 1;
    let mut tried = 0;
    for at in (0..bytes.len()).filter(|at| !gap.contains(at)) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x01;
        let word = look(&bytes).word();
        assert_ne!(word, "intact", "byte {at} of {}", bytes.len());
        tried += 1;
    }
    assert!(tried > 1_000, "{tried}");
}

#[test]
fn appended_bytes_leave_it_partial() {
    let mut bytes = signed(&Pen::new("a"));
    bytes.extend(b"% appended\n");
    let found = signatures(&bytes);
    assert_eq!(found[0].coverage, Coverage::Partial { bytes_after: 11 });
    assert!(found[0].is_sound());
    assert_eq!(look(&bytes).word(), "partial");
}

#[test]
fn an_appended_revision_leaves_it_partial() {
    let mut pdf = Pdf::plain();
    pdf.sign(&Slot::default(), |covered| Pen::new("a").sign(covered));
    let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>";
    pdf.append(&[(3, page.to_owned())]);
    assert_eq!(look(&pdf.bytes).word(), "partial");
}

#[test]
fn a_second_signature_covers_the_first() {
    let (leader, agency) = (Pen::new("Lãnh đạo"), Pen::new("Cơ quan"));
    let mut pdf = Pdf::plain();
    pdf.sign(&Slot::default(), |covered| leader.sign(covered));
    let first = pdf.bytes.len() as u64;
    pdf.sign(&Slot::default(), |covered| agency.sign(covered));
    let found = signatures(&pdf.bytes);
    let bytes_after = pdf.bytes.len() as u64 - first;
    let seen: Vec<_> = found.iter().map(|s| (s.signer.as_deref(), s.coverage)).collect();
    assert_eq!(
        seen,
        [
            (Some("Lãnh đạo"), Coverage::Partial { bytes_after }),
            (Some("Cơ quan"), Coverage::WholeFile)
        ]
    );
    assert_eq!(look(&pdf.bytes).word(), "intact");
    assert_eq!(look(&tampered(pdf.bytes)).word(), "changed");
}

#[test]
fn what_hides_in_the_gap_is_seen() {
    let slot = Slot {
        stowaway: " /Hidden (pay 1 000 000)",
        ..Slot::default()
    };
    let mut pdf = Pdf::plain();
    pdf.sign(&slot, |covered| Pen::new("a").sign(covered));
    let found = signatures(&pdf.bytes);
    assert_eq!(
        found[0].digest,
        DigestState::Intact,
        "the digest alone would not tell"
    );
    assert_eq!(found[0].coverage, Coverage::Hole);
    assert_eq!(look(&pdf.bytes).word(), "broken");
}

#[test]
fn another_signature_than_the_gaps_is_seen() {
    // A second Contents after the gap: which one counts is the reader's choice, so neither may.
    let mut bytes = signed(&Pen::new("a"));
    let at = find(&bytes, b"/M (D:20261123084109+07'00')");
    bytes[at..at + 28].copy_from_slice(b"/Contents <00>/M(D:20261123)");
    assert_ne!(look(&bytes).word(), "intact");
}

#[test]
fn ranges_that_are_none_are_broken() {
    for range in [
        "[0 1 2]        ",
        "[-1 2 3 4]     ",
        "[0 1 9999999 1]",
        "[(a) 1 2 3]    ",
        "null           ",
        "7 0 R          ",
    ] {
        let dictionary =
            format!("<< /Type /Sig /SubFilter /ETSI.CAdES.detached /ByteRange {range} /Contents <3000> >>");
        let mut pdf = Pdf::plain();
        pdf.append(&[(5, dictionary)]);
        let found = signatures(&pdf.bytes);
        assert_eq!(found[0].coverage, Coverage::Hole, "{range}");
        assert_eq!(look(&pdf.bytes).word(), "broken", "{range}");
    }
}

#[test]
fn another_certificate_under_the_same_name_is_seen() {
    let pen = Pen::new("a");
    let bytes = bent(&pen, |style| style.names = vec![7; 32]);
    assert_eq!(signatures(&bytes)[0].binding, Binding::Other);
    assert_eq!(look(&bytes).word(), "broken");
    let bytes = bent(&pen, |style| style.names.clear());
    assert_eq!(signatures(&bytes)[0].binding, Binding::Absent);
    assert_eq!(
        look(&bytes).word(),
        "intact",
        "older forms do not have the attribute"
    );
}

#[test]
fn a_foreign_value_is_broken() {
    // First a value that was bent; then one by another key than the certificate's.
    let (pen, other) = (Pen::new("a"), Pen::new("b"));
    let mut pdf = Pdf::plain();
    pdf.sign(&Slot::default(), |covered| {
        let mut cms = pen.sign(covered);
        // The last byte is in the signature value.
        *cms.last_mut().unwrap() ^= 1;
        cms
    });
    assert_eq!(signatures(&pdf.bytes)[0].signature, ValueState::Broken);
    assert_eq!(look(&pdf.bytes).word(), "broken");
    let mut pdf = Pdf::plain();
    let thief = Pen {
        certificate: pen.certificate.clone(),
        ..other
    };
    pdf.sign(&Slot::default(), |covered| thief.sign(covered));
    assert_eq!(signatures(&pdf.bytes)[0].signer.as_deref(), Some("a"));
    assert_eq!(look(&pdf.bytes).word(), "broken");
}

#[test]
fn without_attributes_the_value_says_both() {
    let pen = Pen::new("a");
    let bytes = bent(&pen, |style| style.attributes = false);
    assert_eq!(look(&bytes).word(), "intact");
    assert_eq!(look(&tampered(bytes)).word(), "changed");
}

#[test]
fn what_cannot_be_told_is_said_so() {
    let pen = Pen::new("a");
    let why = |bytes: &[u8]| {
        let found = signatures(bytes);
        assert_eq!(look(bytes).word(), "unchecked");
        match (found[0].signature, found[0].digest) {
            (ValueState::Unchecked { why }, _) | (_, DigestState::Unchecked { why }) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        why(&bent(&pen, |style| style.certificate = false)),
        Unchecked::Certificate
    );
    assert_eq!(why(&bent(&pen, |style| style.signers = 2)), Unchecked::Signers);
    assert_eq!(why(&bent(&pen, |style| style.signers = 0)), Unchecked::Signers);
    assert_eq!(
        why(&bent(&pen, |style| style.digest_twice = true)),
        Unchecked::Form
    );
    let forms = [
        ("x.y", Unchecked::Kind),
        ("adbe.x509.rsa_sha1", Unchecked::Kind),
        ("adbe.pkcs7.sha1", Unchecked::Sha1),
        ("ETSI.RFC3161", Unchecked::Form),
    ];
    for (sub_filter, expected) in forms {
        let slot = Slot {
            sub_filter,
            ..Slot::default()
        };
        let mut pdf = Pdf::plain();
        pdf.sign(&slot, |covered| pen.sign(covered));
        assert_eq!(why(&pdf.bytes), expected, "{sub_filter}");
    }
    // Not CMS at all, an empty one, and one with something after it.
    for contents in [b"hello".to_vec(), Vec::new(), {
        let mut cms = pen.sign(b"x");
        cms.extend([0, 0, 7]);
        cms
    }] {
        let mut pdf = Pdf::plain();
        pdf.sign(&Slot::default(), |_| contents);
        assert_eq!(why(&pdf.bytes), Unchecked::Form);
    }
}

#[test]
fn the_claimed_time_is_the_attributes_before_the_dictionarys() {
    let bytes = bent(&Pen::new("a"), |style| {
        style.signing_time = Some(b"260102030405Z");
    });
    let at = signatures(&bytes)[0].signed_at.unwrap();
    assert_eq!(at.to_string(), "2026-01-02T03:04:05Z");
    assert_eq!(look(&bytes).word(), "intact");
}

#[test]
fn older_forms_and_other_places_are_found() {
    let pen = Pen::new("a");
    for (sub_filter, direct, kind) in [
        ("adbe.pkcs7.detached", false, SubFilter::Pkcs7Detached),
        ("ETSI.CAdES.detached", true, SubFilter::Pades),
        // A name with escapes is the same name.
        ("adbe.pkcs7#2Edetached", false, SubFilter::Pkcs7Detached),
    ] {
        let slot = Slot {
            sub_filter,
            direct,
            ..Slot::default()
        };
        let mut pdf = Pdf::plain();
        pdf.sign(&slot, |covered| pen.sign(covered));
        assert_eq!(signatures(&pdf.bytes)[0].kind, kind);
        assert_eq!(look(&pdf.bytes).word(), "intact", "{sub_filter}");
    }
}

#[test]
fn a_time_stamp_over_the_document_covers_an_earlier_signature() {
    let (pen, authority) = (Pen::new("a"), Pen::new("Dấu thời gian"));
    let stamp = |covered: &[u8], over: &[u8]| {
        let style = Style {
            content: Some(Pen::time_stamp(over)),
            ..authority.style()
        };
        authority.write(covered, &style)
    };
    let slot = Slot {
        sub_filter: "ETSI.RFC3161",
        ..Slot::default()
    };
    let mut pdf = Pdf::plain();
    pdf.sign(&Slot::default(), |covered| pen.sign(covered));
    let mut other = Pdf::plain();
    pdf.sign(&slot, |covered| stamp(covered, covered));
    let found = signatures(&pdf.bytes);
    assert_eq!(found[1].kind, SubFilter::TimeStamp);
    assert_eq!(found[1].signed_at.unwrap().to_string(), "2026-11-23T09:00:00Z");
    assert!(found[1].is_sound(), "{found:?}");
    assert_eq!(look(&pdf.bytes).word(), "intact");
    // A stamp over other bytes.
    other.sign(&slot, |covered| stamp(covered, b"other"));
    assert_eq!(look(&other.bytes).word(), "changed");
}

#[test]
fn tables_that_are_off_do_not_hide_a_signature() {
    let bytes = signed(&Pen::new("a"));
    // A line put in front, as careless software does: every offset is wrong, and the digest too.
    let mut shifted = bytes[..15].to_vec();
    shifted.extend(b"% one line more\n");
    shifted.extend(&bytes[15..]);
    assert_eq!(look(&shifted).word(), "changed");
    assert_eq!(signatures(&shifted).len(), 1);
    // The end cut off.
    let cut = &bytes[..bytes.len() - 30];
    assert_eq!(signatures(cut).len(), 1);
    assert_ne!(look(cut).word(), "intact");
}
