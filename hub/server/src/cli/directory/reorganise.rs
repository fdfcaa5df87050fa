//! `truc directory reorganise`: a whole reorganisation from one file; a preview of what changes and of what waits
//! and would move, then, when told so, all of it in one transaction.

use std::path::PathBuf;

use clap::Args;
use jiff::civil::Date;
use serde_json::{Value, json};
use truc_directory::{Action, Directory, Editor, Reorganisation, ReorganiseReport};
use truc_ledger::{AtHome, DirectorySummary, NewDirectory, PartyMove, Plan, Reorganise, Reorganised};

use super::super::Context;
use super::super::answer::{Answer, Exit, Trouble};
use super::super::ask::{self, Consent};
use super::super::show::{Table, day, number, or_none};
use super::super::words::{self, Opened, name_of};
use crate::flow::reorganise::{by_way, due, due_order, moves, told};

/// Most lines of what waits that are shown; the JSON has them all.
const WAYS_SHOWN_MAX: usize = 200;

/// Options of `truc directory reorganise`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// CSV of the reorganisation
    #[arg(value_name = "FILE", required_unless_present = "pending")]
    pub file: Option<PathBuf>,
    /// Only show what would change, and what waits and would move; the default
    #[arg(long, conflicts_with = "apply")]
    pub preview: bool,
    /// Carry it out: now, or, when its day is still to come, on that day
    #[arg(long)]
    pub apply: bool,
    /// The decision behind the file, for rows that name none
    #[arg(long, value_name = "TEXT")]
    pub decision: Option<String>,
    /// Whose order it is, instead of the account that runs the program
    #[arg(long = "as", value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Carry it out without asking
    #[arg(long, requires = "apply")]
    pub yes: bool,
    /// List the reorganisations the directory knows, those to come first
    #[arg(long, conflicts_with_all = ["file", "apply", "preview"])]
    pub pending: bool,
}

/// Reorganises.
///
/// # Errors
/// [`Trouble`] when the file or the ledger cannot be read, or nothing can be saved.
pub(super) async fn reorganise(
    context: &Context,
    opened: &Opened,
    options: &Options,
) -> Result<Answer, Trouble> {
    let Some(file) = options.file.as_ref().filter(|_| !options.pending) else {
        return known(opened);
    };
    let who = ask::who(options.account.as_deref())?;
    let csv = words::read_bytes(file)?;
    let report = truc_directory::reorganise(&opened.directory, &csv, options.decision.as_deref());
    let waiting = opened.ledger.at_home().await?;
    // What moves is decided on its day; when that has passed, today.
    let on = report.on.map_or(opened.today, |on| on.max(opened.today));
    let ways = moves(&report.next, &waiting, on);
    let preview = format!(
        "{}\n\n{}",
        plain(&report),
        in_flight(opened, &report.next, &ways, &waiting, on)
    );
    let mut json = json!({
        "applied": false,
        "version": opened.directory.version(),
        "report": report,
        "waiting": waiting_json(&ways, &waiting),
    });
    let refused = report.has_errors() || report.changes.is_empty();
    if refused || !options.apply {
        let last = match (report.has_errors(), report.changes.is_empty()) {
            (true, _) => "Không áp dụng được: hãy sửa các lỗi trên rồi chạy lại. Chưa lưu gì.",
            (_, true) => "Tệp không có gì để thực hiện.",
            _ => "Chưa lưu gì (chỉ xem trước).\n→ Chạy lại với --apply để áp dụng.",
        };
        let exit = Exit::unless_finding(!report.has_errors());
        return Answer::ending(exit, format!("{preview}\n\n{last}"), &json);
    }
    let shown = match ask::consent(context, options.yes, &preview, "Áp dụng đợt sắp xếp này?")? {
        Consent::Given { shown } => shown,
        Consent::Refused => return Answer::fine("Chưa lưu gì.", &json),
        Consent::Nobody => {
            let last = "Chưa lưu gì.\n→ Chạy lại với --apply --yes để áp dụng.";
            return Answer::fine(format!("{preview}\n\n{last}"), &json);
        }
    };
    let (version, counts) = apply(opened, &report, &waiting, &who).await?;
    json["applied"] = Value::Bool(true);
    json["version"] = json!(version);
    json["moved"] = json!(counts);
    let last = done(&report, version, counts, opened.today);
    let text = match shown {
        true => last,
        false => format!("{preview}\n\n{last}"),
    };
    Answer::fine(text, &json)
}

/// Saves it all; gives the directory's version and, when its day has come, what was moved.
async fn apply(
    opened: &Opened,
    report: &ReorganiseReport,
    waiting: &[AtHome],
    who: &str,
) -> Result<(u64, Option<Reorganised>), Trouble> {
    let (current, today) = (&opened.directory, opened.today);
    let of = |ends: bool| {
        let changes = report.changes.iter();
        let some = changes.filter(|change| change.action.ends() == ends && change.action != Action::Open);
        u32::try_from(some.count()).unwrap_or(u32::MAX)
    };
    let opens = report
        .changes
        .iter()
        .filter(|change| change.action == Action::Open);
    let summary = DirectorySummary {
        added: u32::try_from(opens.count()).unwrap_or(u32::MAX),
        changed: of(false),
        closed: of(true),
    };
    let now_due = due(&report.next, today);
    let order = if now_due.is_empty() {
        Reorganise {
            directory: Some(NewDirectory {
                expected_version: current.version(),
                version: report.next.version(),
                json: report.next.to_json(),
                who: who.to_owned(),
                summary,
            }),
            told: report
                .next
                .reorganisations()
                .last()
                .map(|row| told(row, false))
                .into_iter()
                .collect(),
            moves: Vec::new(),
            who: who.to_owned(),
            why: report.decision.clone().unwrap_or_default(),
        }
    } else {
        let mut editor = Editor::new(&report.next);
        editor.mark_moved(today);
        let next = editor.finish();
        due_order(current.version(), &next, &now_due, waiting, today, summary, who)
    };
    let version = order.directory.as_ref().map_or(0, |saved| saved.version);
    let counts = opened.ledger.reorganise(order).await?;
    Ok((version, (!now_due.is_empty()).then_some(counts)))
}

fn done(report: &ReorganiseReport, version: u64, counts: Option<Reorganised>, today: Date) -> String {
    let Some(counts) = counts else {
        let on = report.on.map_or_else(String::new, day);
        return format!(
            "Đã lưu danh mục phiên bản {version}. Từ ngày {on} các mã được phân giải theo đợt sắp xếp này; đúng ngày đó trục tự chuyển văn bản còn chờ.\nHôm nay là {}.",
            day(today)
        );
    };
    format!(
        "Đã lưu danh mục phiên bản {version} và chuyển văn bản còn chờ trong cùng một lần ghi:\n  chuyển đi        {:>9}\n  tạm giữ          {:>9}\n  không gửi được   {:>9}\n  gộp nơi nhận     {:>9}\n  để nguyên        {:>9}",
        number(counts.moved),
        number(counts.parked),
        number(counts.undeliverable),
        number(counts.merged),
        number(counts.left)
    )
}

/// What waits and would move, and what is out and stays.
fn in_flight(opened: &Opened, next: &Directory, ways: &[PartyMove], waiting: &[AtHome], on: Date) -> String {
    let out: u64 = waiting
        .iter()
        .filter(|row| {
            ways.iter()
                .any(|way| way.party == row.party && way.system == row.system)
        })
        .map(|row| row.out)
        .sum();
    let mut table = Table::new(&[
        "Đang chờ cho",
        "Hệ thống",
        ">Lượt nhận",
        "Sẽ đi tới",
        "Hệ thống mới",
    ]);
    let ways_counted = by_way(ways, waiting);
    let total: u64 = ways_counted.iter().map(|(_, count)| count).sum();
    for (way, count) in ways_counted.iter().take(WAYS_SHOWN_MAX) {
        let (to, system) = match &way.to.plan {
            Plan::Deliver { system } => (name_of(next, &way.to.party, on), Some(system)),
            Plan::Park(_) => (
                format!("(tạm giữ) {}", or_none(Some(way.to.successors.join(", ")))),
                None,
            ),
            Plan::Undeliverable(_) => ("(không gửi được)".to_owned(), None),
        };
        table.row([
            name_of(&opened.directory, &way.party, opened.today),
            way.system.to_string(),
            number(*count),
            to,
            or_none(system),
        ]);
    }
    if table.is_empty() {
        return format!("Văn bản đang chờ: không có gì phải chuyển vào ngày {}.", day(on));
    }
    let more = match ways_counted.len().checked_sub(WAYS_SHOWN_MAX) {
        Some(more @ 1..) => format!("\n… và {more} dòng nữa"),
        _ => String::new(),
    };
    format!(
        "VĂN BẢN ĐANG CHỜ, ngày {}\n{}{more}\n\n{} lượt nhận đang chờ sẽ đổi hướng; {} lượt đã gửi, chưa lấy về, ở nguyên chỗ cũ.",
        day(on),
        table.text(),
        number(total),
        number(out)
    )
}

fn waiting_json(ways: &[PartyMove], waiting: &[AtHome]) -> Vec<Value> {
    by_way(ways, waiting)
        .into_iter()
        .map(|(way, count)| {
            let (plan, system) = match &way.to.plan {
                Plan::Deliver { system } => ("deliver", Some(system)),
                Plan::Park(_) => ("park", None),
                Plan::Undeliverable(_) => ("undeliverable", None),
            };
            json!({
                "party": way.party, "system": way.system, "recipients": count, "plan": plan,
                "to": way.to.party, "code": way.to.code, "to_system": system,
                "successors": way.to.successors,
            })
        })
        .collect()
}

/// The reorganisations the directory knows.
fn known(opened: &Opened) -> Result<Answer, Trouble> {
    let mut rows: Vec<&Reorganisation> = opened.directory.reorganisations().iter().collect();
    rows.sort_by_key(|row| (row.moved, row.on));
    let mut table = Table::new(&["Ngày", "Tình trạng", ">Dòng", "Quyết định", "Tệp (sha-256)"]);
    for row in &rows {
        let state = match (row.moved, row.on <= opened.today) {
            (true, _) => "đã thực hiện",
            (false, true) => "đến ngày, chờ trục chuyển văn bản",
            (false, false) => "sẽ thực hiện",
        };
        table.row([
            day(row.on),
            state.to_owned(),
            number(u64::from(row.rows)),
            or_none(row.decision.as_deref()),
            row.file.to_string().chars().take(16).collect(),
        ]);
    }
    let text = match table.is_empty() {
        true => "Danh mục chưa có đợt sắp xếp tổ chức nào.".to_owned(),
        false => table.text(),
    };
    Answer::fine(
        text,
        &json!({ "version": opened.directory.version(), "reorganisations": rows }),
    )
}

/// The report without characters that would move the cursor: it quotes the file.
fn plain(report: &ReorganiseReport) -> String {
    let text: String = report
        .to_string()
        .chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect();
    text.trim_end().to_owned()
}
