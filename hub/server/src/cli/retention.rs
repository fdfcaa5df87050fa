//! `truc retention …`: which bytes of packets are kept, how old they are, and what goes.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use truc_ledger::{KeptKind, RetentionAges};

use super::Context;
use super::answer::{Answer, Exit, Trouble};
use super::ask::{Consent, consent, who};
use super::show::{NONE, Table, moment, number, size};
use crate::app;
use crate::flow::retention::{Age, Line, Sum, Survey, Swept, survey, sweep};

/// `truc retention …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Delete bytes of packets that were kept long enough; rows, hashes and events stay
    #[command(
        after_help = "Examples:\n  truc retention run --dry-run              what is kept, and what would go\n  truc retention run --yes\n\nHow long is set in [retention]. What is not at its end for every recipient stays, whatever\nits age. Each batch is an event; `truc ledger verify` accepts a missing packet only because\nof it. A running hub does the same every night at retention.run_at."
    )]
    Run(RunOptions),
}

/// Options of `truc retention run`.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// Only show what is kept and what would go
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Whose order it is, when not the account that runs this
    #[arg(long = "as", value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Delete without asking
    #[arg(long)]
    pub yes: bool,
}

/// Does what the command says.
///
/// # Errors
/// [`Trouble`] when the ledger cannot be read or written.
pub(super) async fn answer(context: &Context, command: Command) -> Result<Answer, Trouble> {
    match command {
        Command::Run(options) => run(context, &options).await,
    }
}

async fn run(context: &Context, options: &RunOptions) -> Result<Answer, Trouble> {
    let config = context.config()?;
    let ledger = app::open_ledger(&config, context.clock.clone(), context.random.clone()).await?;
    let ages = config.retention.ages();
    let kept = survey(&ledger, &ages).await?;
    let page = page(&kept, &ages);
    let mut json = json_of(&kept, &ages);
    if options.dry_run || kept.total.due == 0 {
        let last = if kept.total.due == 0 {
            "Không có gì đến hạn xóa."
        } else {
            "Chưa xóa gì (chỉ xem trước).\n→ Chạy lại với --yes để xóa."
        };
        json["deleted"] = Value::Null;
        return Answer::fine(format!("{page}\n\n{last}"), &json);
    }
    let shown = match consent(
        context,
        options.yes,
        &page,
        "Xóa những gì đến hạn? Không khôi phục được.",
    )? {
        Consent::Given { shown } => shown,
        Consent::Refused => {
            json["deleted"] = Value::Null;
            return Answer::ending(Exit::Finding, "Không xóa gì.", &json);
        }
        Consent::Nobody => {
            json["deleted"] = Value::Null;
            let text = format!("{page}\n\nChưa xóa gì.\n→ Chạy lại với --yes để xóa.");
            return Answer::ending(Exit::Finding, text, &json);
        }
    };
    let account = who(options.account.as_deref())?;
    let swept = sweep(&ledger, &ages, &account, || false).await?;
    json["deleted"] = json!({ "count": swept.count, "bytes": swept.bytes, "events": swept.events });
    let done = told(&swept);
    Answer::fine(if shown { done } else { format!("{page}\n\n{done}") }, &json)
}

fn told(swept: &Swept) -> String {
    let mut events: Vec<String> = swept
        .events
        .iter()
        .take(EVENTS_SHOWN)
        .map(|event| number(*event))
        .collect();
    if swept.events.len() > EVENTS_SHOWN {
        events.push("…".to_owned());
    }
    format!(
        "Đã xóa dữ liệu {} gói tin, {} (sự kiện {}).\nSổ cái, mã băm và các sự kiện vẫn giữ nguyên; kiểm tra bằng: truc ledger verify",
        number(swept.count),
        size(swept.bytes),
        events.join(", ")
    )
}

/// Most event numbers in one sentence.
const EVENTS_SHOWN: usize = 5;

fn page(kept: &Survey, ages: &RetentionAges) -> String {
    let mut table = Table::new(&[
        "Loại",
        "Tình trạng",
        "Tuổi",
        ">Gói tin",
        ">Dung lượng",
        "Cũ nhất",
        ">Đến hạn xóa",
        ">Dung lượng xóa",
    ]);
    for (line, sum) in &kept.lines {
        table.row(cells(kind(line.kind), state(line), age(line.age), sum));
    }
    table.row(cells("TỔNG", "", "", &kept.total));
    format!(
        "Thời hạn lưu sau khi xong: gói có tệp đính kèm {} ngày; gói không đính kèm và trạng thái {} ngày; gói bị từ chối {} ngày.\n\n{}",
        number(ages.attachments_days),
        number(ages.packets_days),
        number(ages.refused_days),
        table.text()
    )
}

fn cells(kind: &str, state: &str, age: &str, sum: &Sum) -> [String; 8] {
    [
        kind.to_owned(),
        state.to_owned(),
        age.to_owned(),
        number(sum.count),
        size(sum.bytes),
        sum.oldest.map_or_else(|| NONE.to_owned(), moment),
        number(sum.due),
        size(sum.due_bytes),
    ]
}

const fn kind(kind: KeptKind) -> &'static str {
    match kind {
        KeptKind::Attachments => "Văn bản có tệp đính kèm",
        KeptKind::Packet => "Văn bản không đính kèm",
        KeptKind::Status => "Trạng thái",
        KeptKind::Refused => "Gói bị từ chối",
        KeptKind::Unnamed => "Không rõ của văn bản nào",
    }
}

const fn state(line: &Line) -> &'static str {
    if line.open { "Chưa xong" } else { "Đã xong" }
}

const fn age(age: Age) -> &'static str {
    match age {
        Age::Month => "dưới 30 ngày",
        Age::Quarter => "30–89 ngày",
        Age::Year => "90–364 ngày",
        Age::Older => "từ 365 ngày",
    }
}

fn json_of(kept: &Survey, ages: &RetentionAges) -> Value {
    let sum = |sum: &Sum| {
        json!({
            "count": sum.count,
            "bytes": sum.bytes,
            "oldest": sum.oldest,
            "due": sum.due,
            "due_bytes": sum.due_bytes,
        })
    };
    let lines: Vec<Value> = kept
        .lines
        .iter()
        .map(|(line, of)| {
            let mut json = sum(of);
            json["kind"] = line.kind.as_str().into();
            json["state"] = if line.open { "open" } else { "finished" }.into();
            json["age"] = line.age.as_str().into();
            json
        })
        .collect();
    json!({
        "ages": {
            "attachments_days": ages.attachments_days,
            "packets_days": ages.packets_days,
            "refused_days": ages.refused_days,
        },
        "kept": lines,
        "total": sum(&kept.total),
    })
}
