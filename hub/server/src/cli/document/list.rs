//! `truc document list`.

use clap::Args;
use serde_json::json;
use truc_ledger::{DocumentFilter, DocumentLine, DocumentView, StateCounts};
use truc_model::delivery::TransportStateName;
use truc_model::{Party, SystemId};

use super::super::answer::{Answer, Trouble};
use super::super::show::{NONE, Table, moment, number, or_none};
use super::super::words::{self, Opened};

/// Options of `truc document list`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Sent by or addressed to the agency with this code
    #[arg(long, value_name = "CODE")]
    pub agency: Option<String>,
    /// Submitted by or going to this system
    #[arg(long, value_name = "ID")]
    pub system: Option<SystemId>,
    /// Some recipient stands so
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub state: Option<TransportStateName>,
    /// Accepted on or after this day (or moment), Viet Nam time
    #[arg(long, value_name = "DATE", value_parser = words::since)]
    pub since: Option<jiff::Timestamp>,
    /// Accepted on or before this day (or before this moment)
    #[arg(long, value_name = "DATE", value_parser = words::until)]
    pub until: Option<jiff::Timestamp>,
    /// DocumentId or number/notation contains this (of old documents: begins with it)
    #[arg(long, value_name = "TEXT")]
    pub number: Option<String>,
    /// Most lines
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
}

/// Lists documents.
///
/// # Errors
/// [`Trouble`] when the ledger cannot be read.
pub(super) async fn list(opened: &Opened, options: &Options) -> Result<Answer, Trouble> {
    let limit = usize::from(options.limit);
    let filter = DocumentFilter {
        party: options.agency.as_deref().map(|code| opened.party(code)),
        system: options.system.clone(),
        state: options.state,
        since: options.since,
        until: options.until,
        text: options.number.clone(),
        limit,
        ..DocumentFilter::default()
    };
    let found = opened.ledger.search(&filter).await?;
    let lines = found.lines;
    let mut table = Table::new(HEADS);
    for line in &lines {
        table.row(row(opened, line));
    }
    let mut text = match lines.len() {
        0 => nothing(opened, options),
        found if found == limit => {
            format!(
                "{}\n\n{} văn bản mới nhất; có thể còn nữa (--limit, --until).",
                table.text(),
                number(found as u64)
            )
        }
        found => format!("{}\n\n{} văn bản.", table.text(), number(found as u64)),
    };
    if found.looked_to.is_some() {
        text.push_str(PARTLY_LOOKED);
    }
    let documents: Vec<_> = lines.iter().map(json_of).collect();
    Answer::fine(
        text,
        &json!({ "documents": documents, "looked_to": found.looked_to }),
    )
}

/// A part of a name is looked for so far back; what begins with it was found however old.
const PARTLY_LOOKED: &str = "\n→ Một phần của số, mã chỉ được tìm trong hơn một trăm nghìn văn bản mới nhất; \
     văn bản cũ hơn: gõ từ đầu số, hoặc thêm --until NGÀY.";

/// Nothing found: perhaps because what was asked for does not exist.
fn nothing(opened: &Opened, options: &Options) -> String {
    let mut text = "Không có văn bản nào.".to_owned();
    if let Some(code) = &options.agency
        && matches!(opened.party(code), Party::Unresolved(_))
    {
        text.push_str("\n→ Mã đơn vị này không có trong danh mục: truc directory show TÊN");
    }
    if let Some(id) = &options.system
        && opened.directory.system(id).is_none()
    {
        text.push_str("\n→ Hệ thống này chưa đăng ký: truc system list");
    }
    text
}

const HEADS: &[&str] = &[
    "Mã trục",
    "Tiếp nhận",
    "Đơn vị gửi",
    "Số, ký hiệu",
    "Độ khẩn",
    ">Nơi nhận",
    "Tình trạng",
];

fn row(opened: &Opened, line: &DocumentLine) -> [String; 7] {
    [
        line.uid.to_string(),
        moment(line.accepted_at),
        opened.name(&line.sender),
        line.number.clone().unwrap_or_else(|| NONE.to_owned()),
        line.urgency.label_vi().to_owned(),
        number(line.states.total()),
        states(&line.states),
    ]
}

/// The same columns for documents one has in full.
pub(super) fn table_of(opened: &Opened, views: &[DocumentView]) -> String {
    let mut table = Table::new(HEADS);
    for view in views {
        let mut counts = StateCounts::default();
        for recipient in &view.recipients {
            counts.add(recipient.state.name(), 1);
        }
        let document = &view.document;
        table.row([
            document.uid.to_string(),
            moment(document.accepted_at),
            opened.name(&document.identity.sender),
            or_none(document.number_key()),
            document.facts.urgency.label_vi().to_owned(),
            number(counts.total()),
            states(&counts),
        ]);
    }
    table.text()
}

/// `Đã nhận về hệ thống 3, Chờ gửi 1`: only the states that occur.
fn states(counts: &StateCounts) -> String {
    let total = counts.total();
    let parts: Vec<String> = TransportStateName::ALL
        .into_iter()
        .filter(|state| counts.of(*state) > 0)
        .map(|state| match counts.of(state) {
            count if count == total => state.label_vi().to_owned(),
            count => format!("{} {}", state.label_vi(), number(count)),
        })
        .collect();
    if parts.is_empty() {
        NONE.to_owned()
    } else {
        parts.join(", ")
    }
}

fn json_of(line: &DocumentLine) -> serde_json::Value {
    let states: serde_json::Map<String, serde_json::Value> = TransportStateName::ALL
        .into_iter()
        .map(|state| (state.as_str().to_owned(), line.states.of(state).into()))
        .collect();
    json!({
        "document": line.uid.to_string(),
        "event": line.event,
        "sender": line.sender,
        "sender_code": line.sender_code,
        "document_id": line.document_id,
        "number": line.number,
        "type": line.type_name,
        "operation": line.operation,
        "urgency": line.urgency,
        "system": line.system,
        "accepted_at": line.accepted_at,
        "size": line.size,
        "held": line.held,
        "states": states,
    })
}

fn state(word: &str) -> Result<TransportStateName, String> {
    TransportStateName::from_word(word).ok_or_else(|| {
        let all: Vec<&str> = TransportStateName::ALL
            .into_iter()
            .map(TransportStateName::as_str)
            .collect();
        format!("expected one of {}", all.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_counted_only_when_they_differ() {
        let mut counts = StateCounts::default();
        assert_eq!(states(&counts), NONE);
        counts.add(TransportStateName::Taken, 3);
        assert_eq!(states(&counts), "Đã nhận về hệ thống");
        counts.add(TransportStateName::Scheduled, 1200);
        assert_eq!(states(&counts), "Chờ gửi 1.200, Đã nhận về hệ thống 3");
    }

    #[test]
    fn a_wrong_state_names_the_right_ones() {
        assert_eq!(state("parked"), Ok(TransportStateName::Parked));
        assert!(state("lost").unwrap_err().contains("undeliverable"));
    }
}
