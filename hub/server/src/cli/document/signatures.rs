//! `truc document signatures`: how many documents of a period are signed how, and what their PDFs bear.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};
use truc_ledger::{AnsweredBy, Period, SignatureCounts, Standing, VerdictKind};
use truc_model::{PdfSignatures, RefusalCode, SignatureStrength};

use super::super::answer::{Answer, Trouble};
use super::super::show::{NONE, Table, number};
use super::super::words::{self, Opened};
use super::pdf;

/// Options of `truc document signatures`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Accepted on or after this day (or moment), Viet Nam time
    #[arg(long, value_name = "DATE", value_parser = words::since)]
    pub since: Option<jiff::Timestamp>,
    /// Accepted on or before this day (or before this moment)
    #[arg(long, value_name = "DATE", value_parser = words::until)]
    pub until: Option<jiff::Timestamp>,
}

/// Counts.
///
/// # Errors
/// [`Trouble`] when the ledger cannot be read.
pub(super) async fn signatures(opened: &Opened, options: &Options) -> Result<Answer, Trouble> {
    let period = Period {
        since: options.since,
        until: options.until,
    };
    let counts = opened.ledger.signature_counts(period).await?;
    Answer::fine(page(&counts), &json_of(&counts))
}

fn page(counts: &SignatureCounts) -> String {
    let mut parts = vec![documents(counts)];
    let forms = forms(counts);
    if !forms.is_empty() {
        parts.push(format!("TỪNG HÌNH THỨC\n{}", forms.text()));
    }
    parts.extend(pdfs(counts));
    parts.extend(refused(counts));
    parts.join("\n\n")
}

/// Who answers for the documents: one line for each, those nobody answers for by the reason.
fn documents(counts: &SignatureCounts) -> String {
    let mut lines: BTreeMap<(AnsweredBy, &str, String), u64> = BTreeMap::new();
    for (kind, n) in &counts.documents {
        let key = (kind.answered_by(), kind.word(), why(kind));
        *lines.entry(key).or_insert(0) += n;
    }
    let mut table = Table::new(&["Bảo đảm bởi", "Kết quả", "Ghi chú", ">Văn bản"]);
    for ((by, word, why), n) in &lines {
        table.row([answered_by(*by), word, why, &number(*n)]);
    }
    let total = counts.documents.values().sum::<u64>();
    if total == 0 {
        return "Không có văn bản nào được tiếp nhận trong thời gian này.".to_owned();
    }
    table.row(["TỔNG", "", "", &number(total)]);
    table.text()
}

/// What is worth knowing of those that are alike: SHA-1, or why a signature that was there does not answer.
fn why(kind: &VerdictKind) -> String {
    let said = |label: &str, standing: &Standing| match standing {
        Standing::Valid(SignatureStrength::LegacySha1) => Some(format!("{label} dùng SHA-1")),
        Standing::Invalid { reason } => Some(format!("{label}: {reason}")),
        Standing::Valid(SignatureStrength::Current) | Standing::Absent => None,
    };
    let parts: Vec<String> = [said(SEAL, &kind.seal), said(XML, &kind.xml)]
        .into_iter()
        .flatten()
        .collect();
    if parts.is_empty() {
        NONE.to_owned()
    } else {
        parts.join("; ")
    }
}

const SEAL: &str = "dấu niêm";
const XML: &str = "chữ ký XML";

/// Seal and XML signature each for itself.
fn forms(counts: &SignatureCounts) -> Table {
    let mut lines: BTreeMap<(&str, &str, String), u64> = BTreeMap::new();
    for (kind, n) in &counts.documents {
        for (form, standing) in [(SEAL, &kind.seal), (XML, &kind.xml)] {
            let (word, why) = words_of(standing);
            *lines
                .entry((form, word, why.unwrap_or(NONE).to_owned()))
                .or_insert(0) += n;
        }
    }
    let mut table = Table::new(&["Hình thức", "Kết quả", "Lý do", ">Văn bản"]);
    for ((form, word, why), n) in &lines {
        table.row([form, *word, why, &number(*n)]);
    }
    table
}

fn words_of(standing: &Standing) -> (&'static str, Option<&str>) {
    match standing {
        Standing::Valid(SignatureStrength::Current) => ("valid", None),
        Standing::Valid(strength) => ("valid", Some(strength.as_str())),
        Standing::Invalid { reason } => ("invalid", Some(reason)),
        Standing::Absent => ("absent", None),
    }
}

/// `None` when nobody looked at any.
fn pdfs(counts: &SignatureCounts) -> Option<String> {
    let mut table = Table::new(&["Kết quả", "Từ mã", "Lý do", ">Tệp"]);
    for word in PdfSignatures::WORDS {
        for (kind, n) in counts.pdfs.iter().filter(|(kind, _)| kind.word == word) {
            table.row([pdf::label(word), word, kind.reason.unwrap_or(NONE), &number(*n)]);
        }
    }
    let total = counts.pdfs.values().sum::<u64>();
    (total > 0).then(|| {
        table.row(["TỔNG", "", "", &number(total)]);
        format!(
            "CHỮ KÝ TRONG TỆP PDF (để tham khảo; giá trị pháp lý do nơi nhận kiểm tra)\n{}",
            table.text()
        )
    })
}

/// `None` when no submission was refused for its signature.
fn refused(counts: &SignatureCounts) -> Option<String> {
    let mut table = Table::new(&["Mã", "Nội dung", ">Gói tin"]);
    for (code, n) in refused_for_signatures(counts) {
        table.row([code.as_str(), code.sentences().0, &number(n)]);
    }
    (!table.is_empty()).then(|| {
        format!(
            "BỊ TỪ CHỐI VÌ CHỮ KÝ (chưa từng được tiếp nhận)\n{}",
            table.text()
        )
    })
}

fn refused_for_signatures(counts: &SignatureCounts) -> impl Iterator<Item = (RefusalCode, u64)> {
    let about_signatures = |code: RefusalCode| {
        ["seal-", "certificate-", "xml-signature-"]
            .iter()
            .any(|prefix| code.as_str().starts_with(prefix))
    };
    counts
        .refused
        .iter()
        .map(|(code, n)| (*code, *n))
        .filter(move |(code, _)| about_signatures(*code))
}

const fn answered_by(by: AnsweredBy) -> &'static str {
    match by {
        AnsweredBy::Seal => "dấu niêm (seal)",
        AnsweredBy::Xml => "chữ ký XML (xml)",
        AnsweredBy::Channel => "kênh chuyển (channel)",
        AnsweredBy::None => "không ai (none)",
    }
}

fn json_of(counts: &SignatureCounts) -> Value {
    let standing = |standing: &Standing| match standing {
        Standing::Valid(strength) => json!({ "state": "valid", "strength": strength.as_str() }),
        Standing::Invalid { reason } => json!({ "state": "invalid", "reason": reason }),
        Standing::Absent => json!({ "state": "absent" }),
    };
    let kinds: Vec<Value> = counts
        .documents
        .iter()
        .map(|(kind, n)| {
            json!({
                "answered_by": kind.answered_by().as_str(),
                "word": kind.word(),
                "seal": standing(&kind.seal),
                "xml": standing(&kind.xml),
                "vouched_by_channel": kind.vouched_by_channel,
                "documents": n,
            })
        })
        .collect();
    let mut answered: BTreeMap<&str, u64> = AnsweredBy::ALL.map(|by| (by.as_str(), 0)).into();
    for (kind, n) in &counts.documents {
        *answered.entry(kind.answered_by().as_str()).or_insert(0) += n;
    }
    let pdfs: Vec<Value> = counts
        .pdfs
        .iter()
        .map(|(kind, n)| json!({ "word": kind.word, "reason": kind.reason, "files": n }))
        .collect();
    let refused: BTreeMap<&str, u64> = refused_for_signatures(counts)
        .map(|(code, n)| (code.as_str(), n))
        .collect();
    json!({
        "documents": counts.documents.values().sum::<u64>(),
        "answered_by": answered,
        "kinds": kinds,
        "pdfs": pdfs,
        "refused": refused,
    })
}

#[cfg(test)]
mod tests {
    use truc_ledger::PdfKind;

    use super::*;

    fn kind(seal: Standing, xml: Standing, vouched_by_channel: bool) -> VerdictKind {
        VerdictKind {
            seal,
            xml,
            vouched_by_channel,
        }
    }

    fn counts() -> SignatureCounts {
        let valid = || Standing::Valid(SignatureStrength::Current);
        let wrong = || Standing::Invalid {
            reason: "dsig-digest".to_owned(),
        };
        let legacy = Standing::Valid(SignatureStrength::LegacySha1);
        SignatureCounts {
            documents: BTreeMap::from([
                (kind(valid(), Standing::Absent, false), 1200),
                (kind(valid(), wrong(), false), 3),
                (kind(Standing::Absent, legacy, false), 4),
                (kind(Standing::Absent, wrong(), true), 5),
                (kind(Standing::Absent, Standing::Absent, false), 6),
            ]),
            pdfs: BTreeMap::from([
                (
                    PdfKind {
                        word: "none",
                        reason: None,
                    },
                    10,
                ),
                (
                    PdfKind {
                        word: "unchecked",
                        reason: Some("busy"),
                    },
                    2,
                ),
            ]),
            refused: BTreeMap::from([(RefusalCode::SealMissing, 7), (RefusalCode::Loop, 9)]),
        }
    }

    #[test]
    fn people_read_who_answers_and_why_not() {
        let text = page(&counts());
        for expected in [
            "dấu niêm (seal)",
            "1.200",
            "chữ ký XML dùng SHA-1",
            "chữ ký XML: dsig-digest",
            "kênh chuyển (channel)",
            "1.218",
            "busy",
            "seal-missing",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(!text.contains("loop"), "{text}");
        let nothing = page(&SignatureCounts::default());
        assert_eq!(
            nothing,
            "Không có văn bản nào được tiếp nhận trong thời gian này."
        );
    }

    #[test]
    fn programs_read_every_kind() {
        let json = json_of(&counts());
        assert_eq!(json["documents"], 1218);
        assert_eq!(
            json["answered_by"],
            json!({"seal": 1203, "xml": 4, "channel": 5, "none": 6})
        );
        assert_eq!(json["kinds"].as_array().unwrap().len(), 5);
        assert_eq!(json["refused"], json!({"seal-missing": 7}));
        let busy = json!({"word": "unchecked", "reason": "busy", "files": 2});
        assert!(json["pdfs"].as_array().unwrap().contains(&busy));
    }
}
