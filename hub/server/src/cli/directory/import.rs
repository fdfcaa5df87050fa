//! `truc directory import`: a preview of every difference, then, when told so, the new version.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use truc_directory::{Directory, ImportOptions, ImportReport, import_agencies, import_systems};
use truc_ledger::{DirectorySummary, NewDirectory};

use super::super::Context;
use super::super::answer::{Answer, Exit, Trouble};
use super::super::words::{self, Opened};

/// Options of `truc directory import`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// CSV of agencies
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// CSV of systems, read first
    #[arg(long, value_name = "FILE")]
    pub systems: Option<PathBuf>,
    /// Only show what would change
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// The decision behind the file, for rows that name none
    #[arg(long, value_name = "TEXT")]
    pub decision: Option<String>,
    /// Save without asking
    #[arg(long)]
    pub yes: bool,
}

/// Imports.
///
/// # Errors
/// [`Trouble`] when a file cannot be read, or the new version cannot be saved.
pub(super) async fn import(context: &Context, opened: &Opened, options: &Options) -> Result<Answer, Trouble> {
    let mut how = ImportOptions::on(opened.today);
    how.decision.clone_from(&options.decision);
    let systems = match &options.systems {
        Some(file) => Some(import_systems(&opened.directory, &words::read_bytes(file)?, &how)),
        None => None,
    };
    let base = systems.as_ref().map_or(&opened.directory, |report| &report.next);
    let agencies = import_agencies(base, &words::read_bytes(&options.file)?, &how);
    let preview = preview(systems.as_ref(), &agencies);
    let reports: Vec<&ImportReport> = systems.iter().chain([&agencies]).collect();
    let changed = reports.iter().any(|report| !report.changes.is_empty());
    let left_out = reports.iter().any(|report| report.has_errors());

    let wanted = changed && !options.dry_run;
    let asked = if wanted && !options.yes {
        ask(context, &preview)?
    } else {
        None
    };
    let saved = wanted && (options.yes || asked == Some(true));
    if saved {
        save(opened, &agencies.next, &reports).await?;
    }
    let last = if saved {
        let version = agencies.next.version();
        format!("Đã lưu danh mục phiên bản {version}. Trục đang chạy sẽ tự dùng phiên bản mới.")
    } else if !changed {
        "Không có gì thay đổi; danh mục giữ nguyên.".to_owned()
    } else {
        "Chưa lưu gì (chỉ xem trước).\n→ Chạy lại với --yes để lưu.".to_owned()
    };
    // Who was asked has the preview on the screen already.
    let text = if asked.is_some() {
        last
    } else {
        format!("{preview}\n\n{last}")
    };
    Answer::ending(
        Exit::unless_finding(!left_out),
        text,
        &json!({
            "saved": saved,
            "version": if saved { agencies.next.version() } else { opened.directory.version() },
            "systems": systems,
            "agencies": agencies,
        }),
    )
}

fn preview(systems: Option<&ImportReport>, agencies: &ImportReport) -> String {
    let mut parts = Vec::new();
    if let Some(systems) = systems {
        parts.push(format!("HỆ THỐNG KẾT NỐI\n{}", plain(systems)));
    }
    parts.push(format!("CƠ QUAN\n{}", plain(agencies)));
    parts.join("\n\n")
}

/// The report without characters that would move the cursor: it quotes the file.
fn plain(report: &ImportReport) -> String {
    let text: String = report
        .to_string()
        .chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect();
    text.trim_end().to_owned()
}

/// Asks at a terminal; elsewhere nobody is asked.
fn ask(context: &Context, preview: &str) -> Result<Option<bool>, Trouble> {
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if context.global.json || !terminal {
        return Ok(None);
    }
    let mut out = std::io::stderr();
    let mut answer = String::new();
    write!(out, "{preview}\n\nLưu các thay đổi này? [c/K] ")
        .and_then(|()| out.flush())
        .and_then(|()| std::io::stdin().lock().read_line(&mut answer).map(|_| ()))
        .map_err(|error| Trouble::of(&error, "run it again with --yes to save without being asked"))?;
    let yes = matches!(
        answer.trim().to_lowercase().as_str(),
        "c" | "có" | "co" | "y" | "yes"
    );
    Ok(Some(yes))
}

async fn save(opened: &Opened, next: &Directory, reports: &[&ImportReport]) -> Result<(), Trouble> {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let summary = DirectorySummary {
        added: count(reports.iter().map(|report| report.changes.added.len()).sum()),
        changed: count(reports.iter().map(|report| report.changes.changed.len()).sum()),
        closed: 0,
    };
    let directory = NewDirectory {
        expected_version: opened.directory.version(),
        version: next.version(),
        json: next.to_json(),
        who: words::account(),
        summary,
    };
    Ok(opened.ledger.save_directory(directory).await?)
}
