//! `truc ledger …`: does it balance, is it whole, what happened to the hub itself.

mod apart;
mod events;

use std::io::{IsTerminal as _, Write as _};

use clap::{Args, Subcommand};
use serde_json::json;
use truc_ledger::{Balance, BalanceFilter, BalanceRow, Bodies, VerifyOptions};

use super::Context;
use super::answer::{Answer, Exit, Trouble};
use super::show::{Facts, Table, number};
use super::words::{self, Opened};
use crate::app::AppError;
use crate::web;

use self::apart::{Apart, How};

/// `truc ledger …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Accepted = taken + waiting + refused + withdrawn + undeliverable, per sending agency
    #[command(
        after_help = "Examples:\n  truc ledger balance\n  truc ledger balance --agency 000.20.30.H60 --since 01/11/2026 --until 30/11/2026\n\nCounted three times: at acceptance, by the states now, by a replay of all events.\nExit 1 when they disagree."
    )]
    Balance(BalanceOptions),
    /// Check the chain of events, the states against a replay, and the bodies
    #[command(
        after_help = "Examples:\n  truc ledger verify\n  truc ledger verify --bodies           every packet in the ledger against its digest; takes long\n  truc ledger verify --bodies=read      those in the store of bodies are read, too\n\nPackets apart are looked for in the store of bodies, by their size, and with =read by their\ndigest. Reads only; a running hub is not disturbed. Exit 1 on any difference."
    )]
    Verify(VerifyArguments),
    /// What happened to the hub itself, newest first: starts, changes of directory, systems and trust
    #[command(
        after_help = "Examples:\n  truc ledger events\n  truc ledger events --kind trust-changed      which anchors and revocation lists, since when\n  truc ledger events --json | jq .events[0]\n\nThe events of a document: truc document trace."
    )]
    Events(events::Options),
}

/// Options of `truc ledger balance`.
#[derive(Debug, Clone, Args)]
pub struct BalanceOptions {
    /// Only documents sent by the agency with this code
    #[arg(long, value_name = "CODE")]
    pub agency: Option<String>,
    /// Accepted on or after this day (or moment), Viet Nam time
    #[arg(long, value_name = "DATE", value_parser = words::since)]
    pub since: Option<jiff::Timestamp>,
    /// Accepted on or before this day (or before this moment)
    #[arg(long, value_name = "DATE", value_parser = words::until)]
    pub until: Option<jiff::Timestamp>,
}

/// Options of `truc ledger verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArguments {
    /// Every packet in the ledger against its digest, not a sample; those apart against the store of bodies: their
    /// size, with `=read` their digest, too
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "look")]
    pub bodies: Option<How>,
}

/// Does what the command says.
///
/// # Errors
/// [`Trouble`] when the ledger cannot be read.
pub(super) async fn answer(context: &Context, command: Command) -> Result<Answer, Trouble> {
    let opened = Opened::open(context).await?;
    match command {
        Command::Balance(options) => balance(&opened, &options).await,
        Command::Verify(options) => verify(context, &opened, &options).await,
        Command::Events(options) => events::list(&opened, &options).await,
    }
}

async fn balance(opened: &Opened, options: &BalanceOptions) -> Result<Answer, Trouble> {
    let filter = BalanceFilter {
        sender: options.agency.as_deref().map(|code| opened.party(code)),
        since: options.since,
        until: options.until,
    };
    let balance = opened.ledger.balance(&filter).await?;
    let holds = balance.balances();
    let json = json!({
        "balances": holds,
        "rows": balance.rows.iter().map(|row| json_of(opened, row)).collect::<Vec<_>>(),
        "total": json_of(opened, &balance.total),
        "by_events": balance.by_events.iter().map(|row| json_of(opened, row)).collect::<Vec<_>>(),
    });
    Answer::ending(Exit::unless_finding(holds), balance_page(opened, &balance), &json)
}

const HEADS: &[&str] = &[
    "Đơn vị gửi",
    ">Văn bản",
    ">Lượt gửi",
    ">Đã nhận",
    ">Đang chờ",
    ">Từ chối",
    ">Lấy lại",
    ">Không gửi được",
    ">Trả tại cổng",
];

fn balance_page(opened: &Opened, balance: &Balance) -> String {
    let mut table = Table::new(HEADS);
    for row in &balance.rows {
        table.row(cells(sender(opened, row), row));
    }
    table.row(cells("TỔNG".to_owned(), &balance.total));
    let mut text = table.text();
    if balance.balances() {
        text.push_str("\n\nCân đối: CÓ. Lượt gửi = đã nhận + đang chờ + từ chối + lấy lại + không gửi được,\nvà khớp với các sự kiện trong sổ cái. (Trả tại cổng: chưa từng được tiếp nhận, đếm riêng.)");
        return text;
    }
    text.push_str("\n\nCân đối: KHÔNG.");
    for row in balance.rows.iter().filter(|row| !row.adds_up()) {
        text.push_str(&format!(
            "\n  {}: các cột không cộng thành lượt gửi",
            sender(opened, row)
        ));
    }
    let differing: Vec<&BalanceRow> = balance
        .by_events
        .iter()
        .filter(|row| !balance.rows.contains(row))
        .collect();
    if !differing.is_empty() || balance.rows.len() != balance.by_events.len() {
        let mut by_events = Table::new(HEADS);
        for row in differing {
            by_events.row(cells(sender(opened, row), row));
        }
        text.push_str(&format!("\n\nTheo sự kiện thì phải là:\n{}", by_events.text()));
    }
    text.push_str("\n→ Dừng trục, giữ nguyên tệp sổ cái, chạy truc ledger verify và báo người phụ trách.");
    text
}

fn sender(opened: &Opened, row: &BalanceRow) -> String {
    row.sender
        .as_ref()
        .map_or_else(|| "(không rõ đơn vị)".to_owned(), |party| opened.name(party))
}

fn cells(name: String, row: &BalanceRow) -> [String; 9] {
    [
        name,
        number(row.documents),
        number(row.accepted),
        number(row.taken),
        number(row.waiting),
        number(row.refused),
        number(row.withdrawn),
        number(row.undeliverable),
        number(row.refused_submissions),
    ]
}

fn json_of(opened: &Opened, row: &BalanceRow) -> serde_json::Value {
    json!({
        "sender": row.sender,
        "name": row.sender.as_ref().map(|party| opened.name(party)),
        "documents": row.documents,
        "accepted": row.accepted,
        "taken": row.taken,
        "waiting": row.waiting,
        "refused": row.refused,
        "withdrawn": row.withdrawn,
        "undeliverable": row.undeliverable,
        "refused_submissions": row.refused_submissions,
    })
}

/// Without `--bodies` every so many are read.
const SAMPLE: u64 = 100;

async fn verify(context: &Context, opened: &Opened, options: &VerifyArguments) -> Result<Answer, Trouble> {
    let bodies = match options.bodies {
        Some(_) => Bodies::All,
        None => Bodies::EveryNth(SAMPLE),
    };
    let head = opened.ledger.head().await?;
    let report = with_progress(head.seq, opened.ledger.verify(&VerifyOptions { bodies })).await?;
    let apart = match options.bodies {
        Some(how) if report.apart > 0 => {
            let config = context.config()?;
            let store = web::look_into_store(&config.bodies, context.clock.clone(), context.random.clone())
                .map_err(AppError::from)?;
            with_progress(head.seq, apart::look(&opened.ledger, &store, how)).await?
        }
        _ => Apart::default(),
    };
    let mut facts = Facts::default();
    facts.add(
        "Sự kiện",
        format!("{} (chuỗi liền mạch từ 1)", number(report.events)),
    );
    facts.add("Văn bản", number(report.documents));
    facts.add("Nơi nhận", number(report.recipients));
    let sample = match options.bodies {
        Some(_) => String::new(),
        None => format!(" (mẫu 1/{SAMPLE}; tất cả: --bodies)"),
    };
    facts.add("Gói tin đối chiếu", format!("{}{sample}", number(report.bodies)));
    facts.add("Gói tin trong kho", apart.line(options.bodies, report.apart));
    facts.add(
        "Đầu chuỗi",
        format!("{} {}", number(report.head.seq), report.head.hash),
    );
    let of_ledger = report.findings.iter().map(ToString::to_string);
    let findings: Vec<String> = of_ledger
        .chain(apart.findings.iter().map(ToString::to_string))
        .collect();
    let is_sound = findings.is_empty();
    let mut text = facts.text();
    if is_sound {
        text.push_str("\n\nSổ cái NGUYÊN VẸN. Ghi lại dòng «Đầu chuỗi» ở nơi khác để lần sau đối chiếu.");
    } else {
        text.push_str(&format!(
            "\n\nSổ cái CÓ SAI LỆCH, {} điểm:",
            number(findings.len() as u64)
        ));
        for finding in &findings {
            text.push_str(&format!("\n  LỖI  {}", super::show::one_line(finding)));
        }
        if !report.is_sound() {
            text.push_str("\n→ Dừng trục, giữ nguyên tệp sổ cái, báo người phụ trách; khôi phục từ bản sao lưu gần nhất còn nguyên vẹn.");
        }
        if !apart.findings.is_empty() {
            text.push_str("\n→ Kho tệp lớn: kiểm tra ổ đĩa của bodies.dir hoặc kho S3, khôi phục các tệp được nêu từ bản sao lưu của kho.");
        }
    }
    Answer::ending(
        Exit::unless_finding(is_sound),
        text,
        &json!({
            "sound": is_sound,
            "events": report.events,
            "documents": report.documents,
            "recipients": report.recipients,
            "bodies": report.bodies,
            "apart": {
                "kept": report.apart,
                "looked_at": apart.looked_at,
                "bytes": apart.bytes,
                "read": apart.read,
            },
            "head": { "seq": report.head.seq, "hash": report.head.hash },
            "findings": findings,
        }),
    )
}

/// Says on a terminal's standard error that long work goes on.
async fn with_progress<T>(events: u64, work: impl Future<Output = T>) -> T {
    const EVERY: std::time::Duration = std::time::Duration::from_secs(2);
    if !std::io::stderr().is_terminal() {
        return work.await;
    }
    let started = std::time::Instant::now();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.tick().await;
    tokio::pin!(work);
    let mut told = false;
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = ticks.tick() => {
                told = true;
                // Ignored on purpose: progress is a courtesy.
                let _ = write!(
                    std::io::stderr(),
                    "\rđang kiểm tra {} sự kiện … {} giây",
                    number(events),
                    started.elapsed().as_secs()
                );
            }
        }
    };
    if told {
        let _ = writeln!(std::io::stderr());
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn progress_gives_what_the_work_gave() {
        assert_eq!(with_progress(1, async { 7 }).await, 7);
    }
}
