//! `truc alert list`: what is open, and what is on its way.

use clap::Args;
use serde_json::{Value, json};
use truc_ledger::alert::{AlertFilter, AlertPost, AlertRow, PostPlace};
use truc_ledger::query::PAGE_MAX;
use truc_model::{AlertKind, Severity};

use super::super::answer::{Answer, Exit, Trouble};
use super::super::show::{NONE, Table, age, moment, number};
use super::super::words::Opened;

/// Options of `truc alert list`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Only alerts of this kind (may be repeated)
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub kind: Vec<AlertKind>,
    /// Only alerts raised by an event after the one with this number: the next page
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub after: u64,
    /// Most lines
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
}

fn kind(word: &str) -> Result<AlertKind, String> {
    AlertKind::from_word(word).ok_or_else(|| {
        let known: Vec<&str> = AlertKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("expected one of {}", known.join(", "))
    })
}

/// Lists them.
///
/// # Errors
/// [`Trouble`] when the ledger cannot be read.
pub(super) async fn list(opened: &Opened, options: &Options) -> Result<Answer, Trouble> {
    let filter = AlertFilter {
        kinds: options.kind.clone(),
        after: options.after,
        limit: options.limit.into(),
    };
    let rows = opened.ledger.open_alerts(&filter).await?;
    let total = opened.ledger.alert_count().await?;
    let posts = opened.ledger.alert_posts().await?;
    let now = opened.ledger.now();
    let mut table = Table::new(&[
        "Mức độ",
        "Cảnh báo",
        "Đối tượng",
        "Từ lúc",
        "Đã",
        "Lượt xử lý",
        "Chi tiết",
    ]);
    for row in &rows {
        table.row([
            row.severity.label_vi().to_owned(),
            row.kind.to_string(),
            row.subject.clone(),
            moment(row.raised_at),
            age(row.raised_at, now),
            row.kind.turn().label_vi().to_owned(),
            details(row),
        ]);
    }
    let mut text = if table.is_empty() {
        "Không có cảnh báo nào đang mở.".to_owned()
    } else {
        format!(
            "{}\n\n{} trên {} cảnh báo đang mở. Việc cần làm: docs/reference/alerts/<cảnh báo>.md",
            table.text(),
            number(rows.len() as u64),
            number(total)
        )
    };
    if let Some(last) = rows.last().filter(|_| rows.len() == usize::from(options.limit)) {
        text.push_str(&format!("\nTrang sau: --after {}", last.event));
    }
    if let Some(way) = on_their_way(&posts) {
        text.push_str(&format!("\n{way}"));
    }
    let json = json!({
        "open": total,
        "alerts": rows.iter().map(json_of).collect::<Vec<_>>(),
        "waiting": count(&posts, |place| !matches!(place, PostPlace::Dead { .. })),
        "dead": count(&posts, |place| matches!(place, PostPlace::Dead { .. })),
    });
    let critical = rows.iter().any(|row| row.severity == Severity::Critical);
    Answer::ending(Exit::unless_finding(!critical), text, &json)
}

fn count(posts: &[AlertPost], of: impl Fn(&PostPlace) -> bool) -> usize {
    posts.iter().filter(|post| of(&post.place)).count()
}

fn on_their_way(posts: &[AlertPost]) -> Option<String> {
    let dead = count(posts, |place| matches!(place, PostPlace::Dead { .. }));
    let waiting = posts.len() - dead;
    if posts.is_empty() {
        return None;
    }
    let more = if posts.len() == PAGE_MAX {
        " hoặc hơn"
    } else {
        ""
    };
    let mut text = format!("Thông báo chờ gửi: {}{more}.", number(waiting as u64));
    if dead > 0 {
        text.push_str(&format!(
            " Không gửi được: {} → truc alert dead list",
            number(dead as u64)
        ));
    }
    Some(text)
}

fn details(row: &AlertRow) -> String {
    let mut parts: Vec<String> = row
        .facts
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !row.agencies.is_empty() {
        parts.push(row.agencies.join(" "));
    }
    if parts.is_empty() {
        NONE.to_owned()
    } else {
        parts.join(", ")
    }
}

fn json_of(row: &AlertRow) -> Value {
    json!({
        "alert": row.alert,
        "kind": row.kind,
        "severity": row.severity,
        "subject": row.subject,
        "event": row.event,
        "raised_at": row.raised_at,
        "changed_at": row.changed_at,
        "seen_at": row.seen_at,
        "seen": row.seen,
        "turn": row.kind.turn().as_str(),
        "agencies": row.agencies,
        "system": row.system,
        "document": row.document,
        "facts": row.facts,
        "text": { "vi": row.kind.sentences().0, "en": row.kind.sentences().1 },
        "next": { "vi": row.kind.next().0, "en": row.kind.next().1 },
        "page": row.kind.page(),
    })
}
