//! What a verdict comes to, in one short column: documents are counted by it without their verdicts being read.
//!
//! JSON: `[seal, xml, vouched]`, where a form is `["valid", strength]`, `["invalid", reason]` or `["absent"]`.

use serde_json::json;
use truc_ledger::StoreError;
use truc_ledger::signatures::{Standing, VerdictKind};
use truc_model::SignatureStrength;

use crate::column::damaged;

/// The column's text.
pub(crate) fn written(kind: &VerdictKind) -> String {
    let form = |standing: &Standing| match standing {
        Standing::Valid(strength) => json!(["valid", strength.as_str()]),
        Standing::Invalid { reason } => json!(["invalid", reason]),
        Standing::Absent => json!(["absent"]),
    };
    json!([form(&kind.seal), form(&kind.xml), kind.vouched_by_channel]).to_string()
}

/// Reads the column.
pub(crate) fn read(text: &str) -> Result<VerdictKind, StoreError> {
    let (seal, xml, vouched_by_channel): (Vec<String>, Vec<String>, bool) =
        serde_json::from_str(text).map_err(|_| damaged("verdict_kind"))?;
    Ok(VerdictKind {
        seal: standing(&seal)?,
        xml: standing(&xml)?,
        vouched_by_channel,
    })
}

fn standing(words: &[String]) -> Result<Standing, StoreError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["valid", strength] => SignatureStrength::from_word(strength).map(Standing::Valid),
        ["invalid", reason] => Some(Standing::Invalid {
            reason: (*reason).to_owned(),
        }),
        ["absent"] => Some(Standing::Absent),
        _ => None,
    }
    .ok_or_else(|| damaged("verdict_kind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let reason = "revoked \"since\"\u{0} yesterday".to_owned();
        let forms = [
            Standing::Valid(SignatureStrength::Current),
            Standing::Invalid { reason },
            Standing::Absent,
        ];
        for seal in &forms {
            for xml in &forms {
                let kind = VerdictKind {
                    seal: seal.clone(),
                    xml: xml.clone(),
                    vouched_by_channel: *seal == Standing::Absent,
                };
                let text = written(&kind);
                // PostgreSQL's text holds every character but this one.
                assert!(!text.contains('\0'));
                assert_eq!(read(&text).unwrap(), kind);
            }
        }
        assert!(read("[]").is_err());
        assert!(read(r#"[["valid","?"],["absent"],true]"#).is_err());
    }
}
