//! `truc envelope lint`: everything there is to say of a packet, one finding a line, as compilers write
//! them, so that editors can jump to the place.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde_json::json;
use truc_envelope::{Level, Lint, LintFinding};
use truc_model::Place;

use super::super::answer::{Answer, Exit, Trouble};
use super::super::show::{number, one_line};
use super::packet_file::PacketFile;

/// Lints packets.
///
/// # Errors
/// [`Trouble`] when a file cannot be read.
pub(super) fn lint(files: &[PathBuf], today: Date) -> Result<Answer, Trouble> {
    let mut pages = Vec::with_capacity(files.len());
    let mut values = Vec::with_capacity(files.len());
    let mut strict = true;
    for file in files {
        let packet = PacketFile::open(file)?;
        let lint = truc_envelope::lint_from(&packet, &PacketFile::limits(), today)
            .map_err(|error| Trouble::reading(file, &error))?;
        strict &= lint.strict_ok();
        values.push(json!({ "file": file, "strict_ok": lint.strict_ok(), "findings": lint.findings }));
        pages.push(page(file, &lint));
    }
    Answer::ending(
        Exit::unless_finding(strict),
        pages.join("\n\n"),
        &json!({ "strict_ok": strict, "files": values }),
    )
}

fn page(file: &Path, lint: &Lint) -> String {
    let count = |level: Level| {
        lint.findings
            .iter()
            .filter(|finding| finding.level == level)
            .count() as u64
    };
    let mut lines: Vec<String> = lint
        .findings
        .iter()
        .map(|finding| lines_of(file, finding))
        .collect();
    let verdict = if lint.strict_ok() {
        "đúng dạng chuẩn"
    } else {
        "không đúng dạng chuẩn"
    };
    lines.push(format!(
        "{}: {verdict}; {} lỗi, {} cảnh báo, {} ghi chú",
        file.display(),
        number(count(Level::Error)),
        number(count(Level::Warning)),
        number(count(Level::Note))
    ));
    lines.join("\n")
}

fn lines_of(file: &Path, finding: &LintFinding) -> String {
    let level = match finding.level {
        Level::Error => "LỖI",
        Level::Warning => "CẢNH BÁO",
        Level::Note => "GHI CHÚ",
    };
    let (path, position) = match &finding.place {
        // What is absent has no line.
        Place::Element { path, line: 0, .. } => (path.clone(), String::new()),
        Place::Element { path, line, column } => (path.clone(), format!("{line}:{column}:")),
        other => (other.to_string(), String::new()),
    };
    let mut text = format!(
        "{}:{position} {level} {}\n    {}\n    {}\n    {}",
        file.display(),
        finding.code,
        one_line(&path),
        finding.vi,
        finding.en
    );
    if let (Some(expected), Some(found)) = (&finding.expected, &finding.found) {
        text.push_str(&format!(
            "\n    cần: {}; gặp: {}",
            one_line(expected),
            one_line(found)
        ));
    }
    text
}
