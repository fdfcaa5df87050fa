//! `truc directory …`: import with a preview, look, check.

mod import;
mod reorganise;
mod show;

use clap::Subcommand;
use serde_json::json;
use truc_directory::Severity;

use super::Context;
use super::answer::{Answer, Exit, Trouble};
use super::show::number;
use super::words::Opened;

/// `truc directory …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Import agencies (and systems) from CSV: shows every difference first
    #[command(
        after_help = "Examples:\n  truc directory import tuyen-quang.csv --dry-run\n  truc directory import tuyen-quang.csv --systems tuyen-quang-systems.csv --yes\n  truc directory import xa-moi.csv --decision 'QĐ 12/QĐ-UBND' --yes\n\nColumns: code,name[,other_codes,parent,level,system,valid_from,valid_to,decision,note];\nthe header line is required.\nRows with an error are left out and reported by line; nothing is ever removed by an import.\nAt a terminal it asks before it saves; elsewhere it saves only with --yes.\nA running hub notices the new version.\nExit 1 when rows were left out."
    )]
    Import(import::Options),
    /// Show the directory, one agency by its code, or agencies by a part of their name
    #[command(
        after_help = "Examples:\n  truc directory show                        overview\n  truc directory show 000.20.30.H60          one code: whose, served by whom, since when\n  truc directory show 'tuyen quang'          by name, with or without diacritics\n  truc directory show H60.30.20 --date 2025-06-30\n\nExit 1 when nothing is found."
    )]
    Show(show::Options),
    /// One agency: its codes, names, parents, systems and successors through time
    #[command(
        subcommand,
        after_help = "Examples:\n  truc directory agency show H60.30.20\n  truc directory agency show 'minh xuan'"
    )]
    Agency(Agency),
    /// Carry out a whole reorganisation from one CSV file: shows first what changes and what waits and would move
    #[command(
        after_help = "Examples:\n  truc directory reorganise reorganisation-2025.csv\n  truc directory reorganise reorganisation-2025.csv --apply\n  truc directory reorganise sap-xep.csv --decision 'NQ 12/NQ-HĐND' --apply --yes\n  truc directory reorganise --pending\n\nColumns: action,on[,old_code,new_code,name,parent,level,system,grace_until,decision,note];\nactions: open recode rename move reassign merge split abolish home.\nOne error and nothing is applied; all of it is one transaction. When its day is still to come\nthe directory knows it at once, and a running hub moves what waits on that day.\nExit 1 when the file has errors."
    )]
    Reorganise(reorganise::Options),
    /// Look for ways that lead nowhere, or to two places
    #[command(
        after_help = "Examples:\n  truc directory check\n  truc directory check --json\n\nExit 1 on any error (LỖI); warnings leave it at 0."
    )]
    Check,
}

/// `truc directory agency …`.
#[derive(Debug, Subcommand)]
pub enum Agency {
    /// Show one agency by any code it ever had, or by a part of its name
    #[command(
        after_help = "Examples:\n  truc directory agency show H60.30.20\n  truc directory agency show 'minh xuan' --date 2025-06-30\n\nExit 1 when nothing is found."
    )]
    Show(show::Options),
}

/// Does what the command says.
///
/// # Errors
/// [`Trouble`] when the ledger or a file cannot be read, or the new version cannot be saved.
pub(super) async fn answer(context: &Context, command: Command) -> Result<Answer, Trouble> {
    let opened = Opened::open(context).await?;
    match command {
        Command::Import(options) => import::import(context, &opened, &options).await,
        Command::Show(options) | Command::Agency(Agency::Show(options)) => show::show(&opened, &options),
        Command::Reorganise(options) => reorganise::reorganise(context, &opened, &options).await,
        Command::Check => check(&opened),
    }
}

fn check(opened: &Opened) -> Result<Answer, Trouble> {
    let problems = truc_directory::check(&opened.directory, opened.today);
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    let warnings = problems.len() - errors;
    let mut lines = Vec::with_capacity(problems.len() + 2);
    for problem in &problems {
        let (vi, _) = problem.kind.sentences();
        let level = if problem.severity == Severity::Error {
            "LỖI     "
        } else {
            "CẢNH BÁO"
        };
        let found = if problem.found.is_empty() {
            String::new()
        } else {
            format!(" «{}»", problem.found)
        };
        lines.push(format!("{level}  {}: {vi}{found}", problem.kind.code()));
    }
    let directory = &opened.directory;
    let summary = format!(
        "Danh mục phiên bản {}: {} cơ quan, {} hệ thống; {} lỗi, {} cảnh báo.",
        directory.version(),
        number(directory.agencies().len() as u64),
        number(directory.systems().len() as u64),
        number(errors as u64),
        number(warnings as u64)
    );
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(summary);
    if directory.version() == 0 {
        lines.push("→ Danh mục còn trống: truc directory import FILE".to_owned());
    }
    Answer::ending(
        Exit::unless_finding(errors == 0),
        lines.join("\n"),
        &json!({ "version": directory.version(), "errors": errors, "warnings": warnings, "problems": problems }),
    )
}
