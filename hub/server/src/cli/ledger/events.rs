//! `truc ledger events`: what happened to the hub itself; a document's events are `truc document trace`.

use clap::Args;
use serde_json::{Value, json};
use truc_ledger::{EventKind, LedgerError};

use super::super::answer::{Answer, Trouble};
use super::super::document;
use super::super::show::{Table, moment, number};
use super::super::words::Opened;

/// What is listed when nothing is asked for: starts and stops, what an operator changed, what could not be
/// handled.
const USUAL: &[EventKind] = &[
    EventKind::HubStarted,
    EventKind::HubStopped,
    EventKind::DirectoryChanged,
    EventKind::ReorganisationPlanned,
    EventKind::DirectoryReorganised,
    EventKind::SystemChanged,
    EventKind::TrustChanged,
    EventKind::DeadLettered,
];

/// Options of `truc ledger events`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Only events of this kind (may be repeated)
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub kind: Vec<EventKind>,
    /// Only events before the one with this number: the next page
    #[arg(long, value_name = "N")]
    pub before: Option<u64>,
    /// Most lines
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
}

/// Lists events, newest first.
///
/// # Errors
/// [`Trouble`] when the ledger cannot be read.
pub(super) async fn list(opened: &Opened, options: &Options) -> Result<Answer, Trouble> {
    let kinds = if options.kind.is_empty() {
        USUAL
    } else {
        &options.kind
    };
    let limit = usize::from(options.limit);
    let rows = opened.ledger.events_of_hub(kinds, options.before, limit).await?;
    let mut table = Table::new(&[">Sự kiện", "Thời điểm", "Loại", "Nội dung"]);
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        let event = row
            .event()
            .map_err(|_| LedgerError::Contradiction("an event that cannot be read"))?;
        table.row([
            number(row.seq),
            moment(row.at),
            row.kind.as_str().to_owned(),
            document::tell_of_hub(opened, &event.fact),
        ]);
        // The canonical form, as it is hashed.
        events.push(serde_json::from_str::<Value>(&row.canonical).unwrap_or_default());
    }
    let text = if table.is_empty() {
        "Không có sự kiện nào.".to_owned()
    } else if rows.len() == limit {
        let last = rows.last().map_or(0, |row| row.seq);
        format!("{}\n\nCó thể còn nữa (--before {last}).", table.text())
    } else {
        table.text()
    };
    Answer::fine(text, &json!({ "events": events }))
}

fn kind(word: &str) -> Result<EventKind, String> {
    EventKind::from_word(word).ok_or_else(|| {
        let all: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("expected one of {}", all.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_kind_names_the_right_ones() {
        assert_eq!(kind("trust-changed"), Ok(EventKind::TrustChanged));
        assert!(kind("trust").unwrap_err().contains("trust-changed"));
    }
}
