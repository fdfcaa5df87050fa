//! The reader of packets, beside its linter and the writer.

use std::sync::LazyLock;

use jiff::civil::Date;
use truc_envelope::{
    Level, Limits, Packet, Reading, Rejection, SignaturePresence, decode_attachment, lint, read, read_from,
    write_document, write_status,
};
use truc_model::{Refusal, Sha256};

use crate::edits::edited;
use crate::packets::{WORDS, assert_same, facts, files};
use crate::pieces::Pieces;
use crate::place::{Lines, MAX_EXPECTED, assert_sayable, assert_within};

/// The linter's day; long after the packets' dates.
const TODAY: Date = jiff::civil::date(2030, 1, 1);
/// Most findings of one refused packet.
const MAX_REFUSALS: usize = 50;
/// Most warnings of one packet: 200, and one for each code that came later.
const MAX_WARNINGS: usize = 300;

/// Limits within which every one of the others lies, and that a fuzzer's inputs reach.
const TIGHT: Limits = Limits {
    max_bytes: 6 * 1024,
    max_depth: 7,
    max_elements: 90,
    max_attributes: 2,
    max_attribute_bytes: 100,
    max_value_bytes: 120,
    max_text_bytes: 1500,
    max_recipients: 2,
    max_attachments: 1,
};

static ORIGINALS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    files("strict", "edxml")
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect()
});

/// Input: a packet; or a byte below 9, the number of a sound packet, and a script of edits to it.
///
/// # Panics
/// When the reader breaks a promise: see the functions below.
pub fn envelope(data: &[u8]) {
    match data {
        [..=8, number, script @ ..] => {
            let original = &ORIGINALS[usize::from(*number) % ORIGINALS.len()];
            examine(&edited(original, script, WORDS));
        }
        packet => examine(packet),
    }
}

fn examine(packet: &[u8]) {
    let limits = Limits::default();
    let outcome = read(packet, &limits);
    let pieces = Pieces::of(packet);
    let in_pieces = read_from(&pieces, &limits).expect("bytes in memory can be read");
    assert_eq!(outcome, in_pieces, "the same bytes read otherwise in pieces");
    let strict = the_linter_agrees(packet, &outcome);
    match &outcome {
        Ok(reading) => {
            facts_are_of_these_bytes(packet, reading);
            writing_keeps_the_facts(packet, reading, strict);
        }
        Err(rejection) => refusals_are_in_order(packet, rejection),
    }
    tight_limits_are_kept(packet, &outcome);
    line_ends_and_the_mark_mean_nothing(packet, &outcome);
}

/// Every refusal and warning of the reader is the linter's too, and places lie inside. Says whether the packet
/// is of the strict form.
fn the_linter_agrees(packet: &[u8], outcome: &Result<Reading, Rejection>) -> bool {
    let lint = lint(packet, &Limits::default(), TODAY);
    let strict = lint.strict_ok();
    let lines = Lines::of(packet);
    for finding in &lint.findings {
        assert_within(&finding.place, &lines);
        if let Some(found) = &finding.found {
            assert_sayable(found, Refusal::FOUND_MAX + 1);
        }
        if let Some(expected) = &finding.expected {
            assert_sayable(expected, MAX_EXPECTED);
        }
    }
    match outcome {
        Ok(reading) => {
            assert!(
                reading.warnings.len() <= MAX_WARNINGS,
                "{} warnings",
                reading.warnings.len()
            );
            let today = reading.warnings_on(TODAY);
            let errors = reading
                .warnings
                .iter()
                .chain(&today)
                .filter(|warning| warning.code.refused_in_strict())
                .count();
            let found = lint.findings.iter().filter(|f| f.level == Level::Error).count();
            assert_eq!(errors, found, "the linter's errors are not the reader's");
        }
        Err(rejection) => {
            assert!(!strict, "the linter accepts what the reader refuses");
            let codes = rejection.findings.iter().map(|refusal| refusal.code.as_str());
            let said = lint.findings.iter().map(|finding| finding.code.as_str());
            assert!(
                codes.eq(said.take(rejection.findings.len())),
                "other refusals than the linter's"
            );
        }
    }
    strict
}

fn refusals_are_in_order(packet: &[u8], rejection: &Rejection) {
    assert!(
        (1..=MAX_REFUSALS).contains(&rejection.findings.len()),
        "{} findings",
        rejection.findings.len()
    );
    assert!(
        rejection.findings.is_sorted_by_key(|refusal| refusal.code),
        "findings out of precedence"
    );
    let lines = Lines::of(packet);
    for refusal in &rejection.findings {
        assert_within(&refusal.place, &lines);
    }
}

fn facts_are_of_these_bytes(packet: &[u8], reading: &Reading) {
    assert_eq!(reading.size, packet.len() as u64);
    assert_eq!(reading.sha256, Sha256::of(packet));
    let limits = Limits::default();
    let unknown = match &reading.packet {
        Packet::Document(document) => {
            assert!(!document.from.organ_id.is_empty());
            assert!((1..=limits.max_recipients).contains(&document.to.len()));
            assert!(document.to.iter().all(|to| !to.organ_id.is_empty()));
            assert!(document.attachments.len() <= limits.max_attachments);
            for attachment in &document.attachments {
                let bytes = decode_attachment(packet, attachment).expect("what was read decodes");
                assert_eq!(attachment.length, bytes.len() as u64);
                assert_eq!(attachment.sha256, Sha256::of(&bytes));
            }
            &document.unknown
        }
        Packet::Status(status) => {
            assert!(!status.from.organ_id.is_empty() && !status.response_for.organ_id.is_empty());
            &status.unknown
        }
    };
    for element in unknown {
        assert_eq!(packet.get(element.start), Some(&b'<'), "{}", element.path);
    }
}

/// What was read and is written in the strict form reads the same; of a strict packet, strictly.
fn writing_keeps_the_facts(packet: &[u8], reading: &Reading, strict: bool) {
    let (written, expected) = match &reading.packet {
        Packet::Document(document) => {
            let files: Vec<Vec<u8>> = document
                .attachments
                .iter()
                .map(|attachment| decode_attachment(packet, attachment).expect("what was read decodes"))
                .collect();
            let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
            let mut expected = document.clone();
            // The writer leaves these out.
            expected.signature = SignaturePresence::Absent;
            expected.unknown.clear();
            (write_document(document, &files), Packet::Document(expected))
        }
        Packet::Status(status) => {
            let mut expected = status.clone();
            expected.unknown.clear();
            (write_status(status), Packet::Status(expected))
        }
    };
    let again = match read(&written, &Limits::default()) {
        Ok(again) => again,
        Err(rejection) => panic!(
            "written and refused: {rejection:?}\n{}",
            String::from_utf8_lossy(&written)
        ),
    };
    assert_same(&facts(again.packet), &facts(expected), "written otherwise");
    if strict {
        let lint = lint(&written, &Limits::default(), TODAY);
        assert!(
            lint.strict_ok(),
            "written and no longer strict: {:?}",
            lint.findings
        );
    }
}

/// What tight limits let pass is within them, and says what wide limits say.
fn tight_limits_are_kept(packet: &[u8], wide: &Result<Reading, Rejection>) {
    let Ok(reading) = read(packet, &TIGHT) else {
        return;
    };
    assert_eq!(Ok(&reading), wide.as_ref(), "tight limits change what is read");
    assert!(packet.len() <= TIGHT.max_bytes);
    if let Packet::Document(document) = &reading.packet {
        assert!(document.to.len() <= TIGHT.max_recipients);
        assert!(document.attachments.len() <= TIGHT.max_attachments);
        let values = [
            Some(&document.subject),
            document.content.as_ref(),
            Some(&document.document_id),
        ];
        for value in values.into_iter().flatten() {
            // A character can grow when it is composed, by three at the most (UAX #15).
            assert!(
                value.len() <= 3 * TIGHT.max_value_bytes,
                "a value of {} bytes",
                value.len()
            );
        }
    }
}

/// XML mends line ends (XML 1.0 §2.11), and a byte order mark is no content.
fn line_ends_and_the_mark_mean_nothing(packet: &[u8], outcome: &Result<Reading, Rejection>) {
    let Ok(reading) = outcome else { return };
    if packet.contains(&b'\r') || packet.starts_with(MARK) {
        return;
    }
    let mut other = MARK.to_vec();
    for byte in packet {
        if *byte == b'\n' {
            other.push(b'\r');
        }
        other.push(*byte);
    }
    match read(&other, &Limits::default()) {
        Ok(again) => assert_same(
            &facts(again.packet),
            &facts(reading.packet.clone()),
            "read otherwise with CR LF",
        ),
        Err(rejection) => panic!("refused with CR LF: {rejection:?}"),
    }
}

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";
