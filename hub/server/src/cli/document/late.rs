//! `truc document late`: who is late, with what, by how much, and whose turn it is.

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use truc_calendar::{Deadlines, Standing};
use truc_ledger::{LimitLine, SentLateLine, SentLateQuery};
use truc_model::clock::viet_nam;
use truc_model::{LimitKind, Party};

use crate::cli::Context;
use crate::cli::answer::{Answer, Trouble};
use crate::cli::show::{NONE, Table, number};
use crate::cli::words::{self, Opened};
use crate::deadlines;
use crate::flow::limits::{self, LateQuery, LateStep};

/// How far back documents that were sent late are listed when nothing else is asked.
const SENT_LATE_DAYS: i64 = 30;

/// Options of `truc document late`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Sent by or addressed to the agency with this code
    #[arg(long, value_name = "CODE")]
    pub agency: Option<String>,
    /// Only this limit
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub kind: Option<LimitKind>,
    /// With --kind sending: accepted on or after this day (or moment); otherwise the last 30 days
    #[arg(long, value_name = "DATE", value_parser = words::since)]
    pub since: Option<Timestamp>,
    /// Most lines
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
}

/// Lists what is late, the latest first.
///
/// # Errors
/// [`Trouble`] when ledger, calendar or limits cannot be read.
pub(super) async fn late(context: &Context, opened: &Opened, options: &Options) -> Result<Answer, Trouble> {
    let deadlines = deadlines::load(&context.config()?.limits)?;
    let party = options.agency.as_deref().map(|code| opened.party(code));
    if options.kind == Some(LimitKind::Sending) {
        let since = context.clock.now() - SignedDuration::from_hours(24 * SENT_LATE_DAYS);
        let query = SentLateQuery {
            party,
            since: Some(options.since.unwrap_or(since)),
            max: usize::from(options.limit),
        };
        return sent_late(opened, &deadlines, &query).await;
    }
    let asked = LateQuery {
        kind: options.kind,
        party,
        max: usize::from(options.limit),
    };
    let (late, more) = limits::late(&opened.ledger, &deadlines, &asked, context.clock.now()).await?;
    answer(opened, &deadlines, &late, more)
}

fn answer(opened: &Opened, deadlines: &Deadlines, late: &[LateStep], more: bool) -> Result<Answer, Trouble> {
    let mut table = Table::new(&[
        "Mã trục",
        "Số, ký hiệu",
        "Nơi nhận",
        "Thời hạn",
        "Hạn",
        ">Trễ (giờ làm việc)",
        "Lượt xử lý",
    ]);
    for LateStep { line, standing } in late {
        table.row([
            line.limit.key.document.to_string(),
            line.number.clone().unwrap_or_else(|| line.document_id.clone()),
            opened.name(&line.recipient),
            line.limit.key.kind.label_vi().to_owned(),
            minute(standing.due),
            standing.late_by.in_words_vi(deadlines.calendar().day_length()),
            format!("{} · {}", standing.turn.label_vi(), whose(opened, line, standing)),
        ]);
    }
    let text = match late.len() {
        0 => "Không có gì quá hạn.".to_owned(),
        found => format!(
            "{}\n\n{} dòng quá hạn{}",
            table.text(),
            number(found as u64),
            if more {
                " trễ nhất; còn nữa (--limit, --agency, --kind)."
            } else {
                "."
            }
        ),
    };
    let lines: Vec<_> = late
        .iter()
        .map(|step| json_of(&step.line, &step.standing))
        .collect();
    Answer::fine(text, &json!({ "late": lines, "more": more }))
}

/// The agency whose turn it is.
fn whose(opened: &Opened, line: &LimitLine, standing: &Standing) -> String {
    use truc_model::Turn::{ProvinceIt, RecipientClerk, RecipientIt, SenderClerk, SenderIt};
    match standing.turn {
        SenderClerk | SenderIt => code_of(opened, &line.sender, &line.sender_code),
        RecipientClerk | RecipientIt => code_of(opened, &line.recipient, &line.recipient_code),
        ProvinceIt => line
            .system
            .as_ref()
            .map_or(NONE, |system| system.as_str())
            .to_owned(),
    }
}

/// The code in force; the one written when there is none.
fn code_of(opened: &Opened, party: &Party, written: &str) -> String {
    let agency = match party {
        Party::Agency(id) => opened.directory.agency(*id),
        Party::Outside(_) | Party::Unresolved(_) => None,
    };
    agency
        .and_then(|agency| agency.code(opened.today))
        .map_or_else(|| written.to_owned(), ToString::to_string)
}

fn json_of(line: &LimitLine, standing: &Standing) -> serde_json::Value {
    json!({
        "document": line.limit.key.document.to_string(),
        "document_id": line.document_id,
        "number": line.number,
        "sender": line.sender,
        "sender_code": line.sender_code,
        "recipient": line.recipient,
        "recipient_code": line.recipient_code,
        "system": line.system,
        "limit": line.limit.key.kind,
        "urgency": line.limit.urgency,
        "began": line.limit.key.began,
        "due": standing.due,
        "late_by_min": standing.late_by.minutes(),
        "level": standing.level,
        "told": line.limit.told,
        "turn": standing.turn,
        "business": line.business,
        "change": line.change,
    })
}

/// Documents that came later than they should have been sent.
async fn sent_late(opened: &Opened, deadlines: &Deadlines, query: &SentLateQuery) -> Result<Answer, Trouble> {
    let lines = opened.ledger.sent_late(query).await?;
    let mut table = Table::new(&[
        "Mã trục",
        "Số, ký hiệu",
        "Đơn vị gửi",
        "Độ khẩn",
        "Hạn gửi",
        "Tiếp nhận",
        ">Trễ (giờ làm việc)",
    ]);
    for line in &lines {
        let late_by = truc_calendar::WorkingTime::from_seconds(line.late.late_by_min.saturating_mul(60));
        table.row([
            line.document.to_string(),
            line.number.clone().unwrap_or_else(|| line.document_id.clone()),
            opened.name(&line.sender),
            line.urgency.label_vi().to_owned(),
            minute(line.late.due),
            minute(line.received_at),
            late_by.in_words_vi(deadlines.calendar().day_length()),
        ]);
    }
    let text = match lines.len() {
        0 => "Không có văn bản nào gửi chậm.".to_owned(),
        found => format!(
            "{}\n\n{} văn bản gửi chậm sau khi ký.",
            table.text(),
            number(found as u64)
        ),
    };
    let json: Vec<_> = lines.iter().map(sent_json).collect();
    Answer::fine(
        text,
        &json!({ "sent_late": json, "more": lines.len() == query.max }),
    )
}

fn sent_json(line: &SentLateLine) -> serde_json::Value {
    json!({
        "document": line.document.to_string(),
        "document_id": line.document_id,
        "number": line.number,
        "sender": line.sender,
        "sender_code": line.sender_code,
        "urgency": line.urgency,
        "received_at": line.received_at,
        "due": line.late.due,
        "late_by_min": line.late.late_by_min,
    })
}

/// `23/11/2026 14:05`, Viet Nam time.
fn minute(at: Timestamp) -> String {
    at.to_zoned(viet_nam()).strftime("%d/%m/%Y %H:%M").to_string()
}

fn kind(word: &str) -> Result<LimitKind, String> {
    LimitKind::parse(word).ok_or_else(|| {
        let all = LimitKind::ALL.map(LimitKind::as_str);
        format!("expected one of {}", all.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_kind_names_the_right_ones() {
        assert_eq!(kind("answer"), Ok(LimitKind::Answer));
        assert!(
            kind("06")
                .unwrap_err()
                .contains("sending, arrival, acceptance, answer")
        );
    }
}
