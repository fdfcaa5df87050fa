//! Golden packets: `tests/documents/<group>/<code>[--variant].edxml`, each written for the code in its
//! name, beside `expected.txt`, which lists everything the linter says of each.
//!
//! `UPDATE_EXPECT=1 cargo test -p truc-envelope --test golden` writes the list anew; read the difference
//! before believing it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may end at what it did not expect"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use truc_envelope::{Level, Limits, Lint, lint, read};
use truc_model::{RefusalCode, WarningCode};

/// Long after the packets' dates.
const TODAY: jiff::civil::Date = jiff::civil::date(2025, 6, 1);

fn documents() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/documents")
}

/// Name (`warnings/leading-bytes`) and bytes of every packet of a group.
fn packets(group: &str) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(documents().join(group))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "edxml"))
        .map(|path| {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            (format!("{group}/{stem}"), std::fs::read(&path).unwrap())
        })
        .collect()
}

/// The code a packet is written for.
fn code_of(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap();
    file.split("--").next().unwrap()
}

fn said(bytes: &[u8]) -> Lint {
    lint(bytes, &Limits::default(), TODAY)
}

#[test]
fn strict_packets_are_strict() {
    let packets = packets("strict");
    assert!(packets.len() >= 10);
    for (name, bytes) in packets {
        read(&bytes, &Limits::default()).unwrap_or_else(|rejection| panic!("{name}: {rejection}"));
        let lint = said(&bytes);
        assert!(lint.strict_ok(), "{name}: {:?}", lint.findings);
    }
}

#[test]
fn what_is_warned_of_is_read() {
    for (name, bytes) in packets("warnings") {
        let reading =
            read(&bytes, &Limits::default()).unwrap_or_else(|rejection| panic!("{name}: {rejection}"));
        let code = WarningCode::from_word(code_of(&name)).unwrap_or_else(|| panic!("{name}"));
        let warnings = reading
            .warnings
            .iter()
            .chain(&reading.warnings_on(TODAY))
            .map(|w| w.code)
            .collect::<Vec<_>>();
        // That a time limit is long past is the linter's alone to say.
        assert!(
            warnings.contains(&code) || name.ends_with("--long-past"),
            "{name}: {warnings:?}"
        );
        let finding = said(&bytes)
            .findings
            .into_iter()
            .find(|finding| finding.code == code.as_str())
            .unwrap();
        assert_eq!(finding.level == Level::Error, code.refused_in_strict(), "{name}");
    }
}

#[test]
fn what_is_refused_is_refused_for_its_code_first() {
    for (name, bytes) in packets("refusals") {
        let rejection = read(&bytes, &Limits::default()).expect_err(&name);
        assert_eq!(
            rejection.findings[0].code.as_str(),
            code_of(&name),
            "{:?}",
            rejection.findings
        );
        assert!(
            rejection
                .findings
                .iter()
                .all(|finding| finding.code >= rejection.findings[0].code)
        );
        assert!(!said(&bytes).strict_ok());
    }
}

#[test]
fn every_code_has_its_packet() {
    let has = |group: &str, code: &str| documents().join(group).join(format!("{code}.edxml")).exists();
    for code in WarningCode::ALL {
        // Only the ledger and the directory can know what came before.
        let elsewhere = matches!(
            code,
            WarningCode::NumberRepeated
                | WarningCode::IdentityRepeated
                | WarningCode::ClosedCodeForwarded
                | WarningCode::UpdateAfterRecall
                | WarningCode::ReplacesUnknown
                | WarningCode::ReplacesForeign
        );
        assert!(elsewhere || has("warnings", code.as_str()), "{code}");
    }
    // The kind is what the message declares; the reader is not told.
    let elsewhere = [RefusalCode::EnvelopeKindMismatch];
    let read_here = |code: &RefusalCode| {
        let word = code.as_str();
        ["envelope-", "attachment-", "recipient-", "status-code-"]
            .iter()
            .any(|start| word.starts_with(start))
    };
    for code in RefusalCode::ALL.iter().filter(|code| read_here(code)) {
        assert!(
            elsewhere.contains(code) || has("refusals", code.as_str()),
            "{code}"
        );
    }
}

#[test]
fn everything_said_is_as_expected() {
    let mut report = String::new();
    for group in ["refusals", "strict", "warnings"] {
        for (name, bytes) in packets(group) {
            writeln!(report, "{name}").unwrap();
            for finding in said(&bytes).findings {
                let level = match finding.level {
                    Level::Note => "note",
                    Level::Warning => "warning",
                    Level::Error => "error",
                };
                write!(report, "  {level} {} {}", finding.code, finding.place).unwrap();
                if let (Some(expected), Some(found)) = (finding.expected, finding.found) {
                    write!(report, ": expected {expected}; found {found}").unwrap();
                }
                report.push('\n');
            }
        }
    }
    let path = documents().join("expected.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &report).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (expected, actual)) in expected.lines().zip(report.lines()).enumerate() {
        assert_eq!(actual, expected, "expected.txt, line {}", line + 1);
    }
    assert_eq!(report.lines().count(), expected.lines().count());
}
