//! `truc document stuck`: what waits in the ledger for too long, and why it does not go out.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use truc_ledger::rows::{OutboxPlace, OutboxRow};

use super::super::Context;
use super::super::answer::{Answer, Trouble};
use super::super::show::{Table, age, moment, number, or_none};
use super::super::words::Opened;

/// Options of `truc document stuck`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Waiting for at least so many minutes; without, as long as alert.stuck_h
    #[arg(long, value_name = "N")]
    pub minutes: Option<u32>,
}

/// Lists.
///
/// # Errors
/// [`Trouble`] when the ledger cannot be read.
pub(super) async fn stuck(context: &Context, opened: &Opened, options: &Options) -> Result<Answer, Trouble> {
    let at_least = match options.minutes {
        Some(minutes) => Duration::from_secs(60 * u64::from(minutes)),
        None => Duration::from_secs(context.config()?.alert.stuck_h.saturating_mul(3600)),
    };
    let rows = opened.ledger.stuck(at_least).await?;
    let now = context.clock.now();
    let mut table = Table::new(&["Mã trục", "Hệ thống nhận", "Chờ từ", "Đã chờ", "Vì sao"]);
    for row in &rows {
        table.row([
            or_none(row.document),
            row.system.to_string(),
            moment(row.accepted_at),
            age(row.accepted_at, now),
            why(row, now),
        ]);
    }
    let text = if rows.is_empty() {
        "Không có gì chờ gửi quá lâu.".to_owned()
    } else {
        format!(
            "{}\n\n{} gói tin chờ gửi quá lâu.\n→ Hộp nhận đầy thì gọi quản trị hệ thống đó (truc system list). Chuyển hướng: truc document reroute; thôi gửi: truc document close.",
            table.text(),
            number(rows.len() as u64)
        )
    };
    let stuck: Vec<Value> = rows.iter().map(json_of).collect();
    Answer::fine(text, &json!({ "stuck": stuck }))
}

/// Why it does not go out, as far as the ledger knows.
fn why(row: &OutboxRow, now: Timestamp) -> String {
    match &row.place {
        OutboxPlace::Leased { owner, until } if *until > now => format!("{owner} đang gửi"),
        OutboxPlace::Waiting {
            not_before: Some(next),
        } if *next > now => format!(
            "đã thử {} lần, thử lại sau {}",
            number(row.attempts),
            moment(*next)
        ),
        _ if row.attempts > 0 => format!("đã thử {} lần, đến lượt gửi lại", number(row.attempts)),
        _ => "chờ chỗ trong hộp nhận".to_owned(),
    }
}

fn json_of(row: &OutboxRow) -> Value {
    json!({
        "delivery": row.delivery.to_string(),
        "document": row.document.map(|uid| uid.to_string()),
        "carries": row.outgoing.as_str(),
        "system": row.system,
        "to": row.to,
        "since": row.accepted_at,
        "attempts": row.attempts,
    })
}
