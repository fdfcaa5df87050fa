//! The pages of `docs/reference/` that speak of packets are in step with the code.

#![allow(clippy::unwrap_used, reason = "a test may end at what it did not expect")]

use std::path::{Path, PathBuf};

use truc_envelope::{Limits, lint};
use truc_model::WarningCode;
use truc_model::warning::WarningLevel;

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference")
}

#[test]
fn every_warning_has_its_page_and_every_page_its_warning() {
    let folder = reference().join("warnings");
    let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for code in WarningCode::ALL {
        let page = std::fs::read_to_string(folder.join(format!("{code}.md"))).unwrap_or_default();
        let (vi, en) = code.sentences();
        let level = match code.level() {
            WarningLevel::Note => "ghi chú · note",
            WarningLevel::Warning => "cảnh báo · warning",
        };
        let strict = if code.refused_in_strict() {
            "từ chối · refuses it"
        } else {
            "chấp nhận · accepts it"
        };
        for expected in [
            format!("# `{code}`\n"),
            format!("> {vi}\n"),
            format!("> {en}\n"),
            format!("| Mức · Level | {level} |"),
            format!("| Dạng chuẩn · Strict form | {strict} |"),
        ] {
            assert!(page.contains(&expected), "{code}.md lacks: {expected}");
        }
        assert!(
            index.contains(&format!("| [`{code}`]({code}.md) | {level} | {strict} | {en} |")),
            "{code}"
        );
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(
            stem == "README" || WarningCode::from_word(&stem).is_some(),
            "{stem}.md has no code"
        );
    }
}

#[test]
fn the_examples_of_the_format_are_strict() {
    let page = std::fs::read_to_string(reference().join("edxml.md")).unwrap();
    let examples: Vec<&str> = page
        .split("```xml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let lint = lint(
            example.as_bytes(),
            &Limits::default(),
            jiff::civil::date(2025, 6, 1),
        );
        assert_eq!(lint.findings, [], "{example}");
    }
}
