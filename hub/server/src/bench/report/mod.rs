//! What was measured, as tables for people and as JSON for programs, from one list of lines.

mod single;

pub use single::{backlog, broadcast};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde_json::{Map, Value, json};

use crate::bench::load::{Measured, Round};
use crate::bench::plan::{Pace, queue_word};
use crate::bench::stats::median;

/// One figure of a round: in words, key, decimals, and how it is got.
struct Line {
    words: &'static str,
    key: &'static str,
    decimals: usize,
    of: fn(&Round) -> f64,
}

const fn line(words: &'static str, key: &'static str, decimals: usize, of: fn(&Round) -> f64) -> Line {
    Line {
        words,
        key,
        decimals,
        of,
    }
}

const MIB: f64 = 1024.0;

const LINES: [Line; 39] = [
    line(
        "văn bản/giây, trọn đường: trục",
        "hub_per_s",
        0,
        |r| r.hub.run.per_second,
    ),
    line(
        "văn bản/giây, trọn đường: chuyển tiếp trần",
        "bare_per_s",
        0,
        |r| r.bare.per_second,
    ),
    line("tỷ lệ trục / chuyển tiếp trần", "ratio", 3, Round::ratio),
    line(
        "văn bản/giây đã có biên nhận: trục",
        "hub_receipted_per_s",
        0,
        |r| r.hub.run.receipted_per_second,
    ),
    line(
        "văn bản/giây đã có biên nhận: trần",
        "bare_receipted_per_s",
        0,
        |r| r.bare.receipted_per_second,
    ),
    line(
        "gửi → đã lấy, ms: trục, p50",
        "hub_to_taken_p50_ms",
        1,
        |r| r.hub.run.to_taken.p50_ms,
    ),
    line(
        "gửi → đã lấy, ms: trục, p99",
        "hub_to_taken_p99_ms",
        1,
        |r| r.hub.run.to_taken.p99_ms,
    ),
    line(
        "gửi → đã lấy, ms: trục, lâu nhất",
        "hub_to_taken_max_ms",
        1,
        |r| r.hub.run.to_taken.max_ms,
    ),
    line(
        "gửi → đã lấy, ms: trần, p50",
        "bare_to_taken_p50_ms",
        1,
        |r| r.bare.to_taken.p50_ms,
    ),
    line(
        "gửi → đã lấy, ms: trần, p99",
        "bare_to_taken_p99_ms",
        1,
        |r| r.bare.to_taken.p99_ms,
    ),
    line(
        "gửi → đã lấy, ms: trần, lâu nhất",
        "bare_to_taken_max_ms",
        1,
        |r| r.bare.to_taken.max_ms,
    ),
    line(
        "gửi → biên nhận, ms: trục, p50",
        "hub_to_receipt_p50_ms",
        1,
        |r| r.hub.run.to_receipt.p50_ms,
    ),
    line(
        "gửi → biên nhận, ms: trục, p99",
        "hub_to_receipt_p99_ms",
        1,
        |r| r.hub.run.to_receipt.p99_ms,
    ),
    line(
        "bên gửi trễ giờ, ms: trục, p99",
        "hub_lateness_p99_ms",
        1,
        |r| r.hub.run.lateness.p99_ms,
    ),
    line("bộ xử lý, ms/văn bản: trục", "hub_cpu_ms", 3, |r| {
        r.hub.run.middle_cpu_ms
    }),
    line(
        "bộ xử lý, ms/văn bản: RabbitMQ, với trục",
        "hub_broker_cpu_ms",
        3,
        |r| r.hub.run.broker_cpu_ms,
    ),
    line(
        "bộ xử lý, ms/văn bản: cơ sở dữ liệu",
        "hub_store_cpu_ms",
        3,
        |r| r.hub.run.store_cpu_ms,
    ),
    line(
        "bộ xử lý, ms/văn bản: hai đầu, với trục",
        "hub_load_cpu_ms",
        3,
        |r| r.hub.run.load_cpu_ms,
    ),
    line(
        "bộ xử lý, ms/văn bản: chuyển tiếp trần",
        "bare_cpu_ms",
        3,
        |r| r.bare.middle_cpu_ms,
    ),
    line(
        "bộ xử lý, ms/văn bản: RabbitMQ, với trần",
        "bare_broker_cpu_ms",
        3,
        |r| r.bare.broker_cpu_ms,
    ),
    line(
        "bộ xử lý, ms/văn bản: hai đầu, với trần",
        "bare_load_cpu_ms",
        3,
        |r| r.bare.load_cpu_ms,
    ),
    line("máy bận, %: với trục", "hub_machine_busy_pct", 0, |r| {
        r.hub.run.machine.busy * 100.0
    }),
    line(
        "  trong đó việc khác trên máy, %",
        "hub_others_pct",
        1,
        |r| r.hub.run.others * 100.0,
    ),
    line(
        "  bị máy chủ ảo hóa lấy mất, %",
        "hub_stolen_pct",
        1,
        |r| r.hub.run.machine.stolen * 100.0,
    ),
    line("máy bận, %: với trần", "bare_machine_busy_pct", 0, |r| {
        r.bare.machine.busy * 100.0
    }),
    line(
        "  trong đó việc khác trên máy, %",
        "bare_others_pct",
        1,
        |r| r.bare.others * 100.0,
    ),
    line(
        "  bị máy chủ ảo hóa lấy mất, %",
        "bare_stolen_pct",
        1,
        |r| r.bare.machine.stolen * 100.0,
    ),
    line("bộ nhớ của trục khi rỗi, MiB", "hub_idle_mib", 1, |r| {
        r.hub.idle.now_kib as f64 / MIB
    }),
    line(
        "bộ nhớ của trục khi cao nhất, MiB",
        "hub_peak_mib",
        1,
        |r| r.hub.run.memory.peak_kib as f64 / MIB,
    ),
    line(
        "bộ nhớ các tiến trình xem PDF, MiB",
        "hub_below_mib",
        1,
        |r| r.hub.run.memory.below_kib as f64 / MIB,
    ),
    line("giao dịch có ghi sự kiện", "commits", 0, |r| {
        r.hub.commits as f64
    }),
    line("sự kiện mỗi giao dịch", "events_per_commit", 1, |r| {
        r.hub.events as f64 / r.hub.commits.max(1) as f64
    }),
    line(
        "văn bản nhận trong một giao dịch",
        "documents_per_commit",
        1,
        |r| r.hub.documents_per_commit,
    ),
    line(
        "văn bản trong một tin taken: trục",
        "hub_documents_per_taken",
        1,
        |r| r.hub.run.documents_per_taken,
    ),
    line(
        "văn bản trong một tin taken: trần",
        "bare_documents_per_taken",
        1,
        |r| r.bare.documents_per_taken,
    ),
    line(
        "đĩa giữ 4 KiB, trước, ms: p50",
        "flush_before_p50_ms",
        3,
        |r| r.flush_before.p50_ms,
    ),
    line(
        "đĩa giữ 4 KiB, trước, ms: p99",
        "flush_before_p99_ms",
        3,
        |r| r.flush_before.p99_ms,
    ),
    line("đĩa giữ 4 KiB, sau, ms: p50", "flush_after_p50_ms", 3, |r| {
        r.flush_after.p50_ms
    }),
    line("đĩa giữ 4 KiB, sau, ms: p99", "flush_after_p99_ms", 3, |r| {
        r.flush_after.p99_ms
    }),
];

/// The middle of a figure over the rounds.
fn middle(measured: &Measured, of: fn(&Round) -> f64) -> f64 {
    median(measured.rounds.iter().map(of).collect())
}

/// Every figure of every round of one cell.
#[must_use]
pub fn details(measured: &Measured) -> String {
    let mut table = plain();
    let mut head = vec!["".to_owned(), "JSON".to_owned()];
    head.extend((1..=measured.rounds.len()).map(|number| format!("vòng {number}")));
    head.push("giữa".to_owned());
    table.set_header(head);
    for line in &LINES {
        let mut row = vec![line.words.to_owned(), line.key.to_owned()];
        let values = measured.rounds.iter().map(line.of);
        row.extend(
            values
                .chain([middle(measured, line.of)])
                .map(|value| format!("{value:.*}", line.decimals)),
        );
        table.add_row(row);
    }
    align(&mut table, 2);
    let threads = measured.rounds.last().map(|round| {
        let mut threads: Vec<_> = round.hub.threads.iter().collect();
        threads.sort_by(|a, b| b.1.total_cmp(a.1));
        let words: Vec<String> = threads
            .into_iter()
            .filter(|(_, ms)| **ms >= 0.0005)
            .map(|(name, ms)| format!("{name} {ms:.3}"))
            .collect();
        format!("luồng của trục, ms/văn bản: {}", words.join(", "))
    });
    format!("{table}\n{}", threads.unwrap_or_default())
}

/// One row for each cell.
#[must_use]
pub fn overview(all: &[Measured]) -> String {
    let mut table = plain();
    table.set_header([
        "KiB",
        "sổ",
        "hàng đợi",
        "ký",
        "trục/s",
        "trần/s",
        "tỷ lệ",
        "p50 ms",
        "p99 ms",
        "max ms",
        "CPU trục",
        "CPU RMQ",
        "CPU CSDL",
        "CPU đầu",
        "MiB",
        "vb/giao dịch",
        "đĩa p50/p99 ms",
        "khác %",
    ]);
    for measured in all {
        let cell = &measured.load.cell;
        let middle = |of: fn(&Round) -> f64| middle(measured, of);
        table.add_row([
            cell.kib.to_string(),
            cell.ledger.as_str().to_owned(),
            queue_word(cell.queue).to_owned(),
            cell.signed.as_str().to_owned(),
            format!("{:.0}", middle(|r| r.hub.run.per_second)),
            format!("{:.0}", middle(|r| r.bare.per_second)),
            format!("{:.2}", middle(Round::ratio)),
            format!("{:.1}", middle(|r| r.hub.run.to_taken.p50_ms)),
            format!("{:.1}", middle(|r| r.hub.run.to_taken.p99_ms)),
            format!("{:.1}", middle(|r| r.hub.run.to_taken.max_ms)),
            format!("{:.3}", middle(|r| r.hub.run.middle_cpu_ms)),
            format!("{:.3}", middle(|r| r.hub.run.broker_cpu_ms)),
            format!("{:.3}", middle(|r| r.hub.run.store_cpu_ms)),
            format!("{:.3}", middle(|r| r.hub.run.load_cpu_ms)),
            format!("{:.0}", middle(|r| r.hub.run.memory.peak_kib as f64 / MIB)),
            format!("{:.0}", middle(|r| r.hub.documents_per_commit)),
            format!(
                "{:.2}/{:.1}",
                middle(|r| f64::midpoint(r.flush_before.p50_ms, r.flush_after.p50_ms)),
                middle(|r| r.flush_before.p99_ms.max(r.flush_after.p99_ms))
            ),
            format!("{:.0}", middle(|r| r.hub.run.others.max(r.bare.others) * 100.0)),
        ]);
    }
    align(&mut table, 4);
    table.to_string()
}

/// What was done, in a line or two above a table.
#[must_use]
pub fn heading(measured: &Measured) -> String {
    let load = &measured.load;
    let pace = match load.pace {
        Pace::Full { in_flight } => format!("hết sức, mỗi bên gửi chờ nhiều nhất {in_flight} biên nhận"),
        Pace::Rate { per_second } => format!("{per_second} văn bản/giây"),
    };
    let configuration = configuration(&measured.configuration);
    format!(
        "{}: {} văn bản mỗi vòng ({} byte), {} hệ thống, {pace}; {configuration}",
        load.cell.name(),
        load.documents,
        measured.bytes,
        load.systems
    )
}

fn configuration(differences: &[String]) -> String {
    if differences.is_empty() {
        "cấu hình mặc định".to_owned()
    } else {
        format!("cấu hình mặc định, khác: {}", differences.join(", "))
    }
}

/// Everything, for programs.
#[must_use]
pub fn as_json(all: &[Measured]) -> Value {
    let cells = all.iter().map(|measured| {
        let figures = |of: &dyn Fn(&Line) -> f64| -> Value {
            LINES
                .iter()
                .map(|line| (line.key.to_owned(), json!(of(line))))
                .collect::<Map<_, _>>()
                .into()
        };
        json!({
            "load": measured.load,
            "bytes": measured.bytes,
            "configuration": measured.configuration,
            "rounds": measured.rounds.iter().map(|round| figures(&|line| (line.of)(round))).collect::<Vec<_>>(),
            "median": figures(&|line| middle(measured, line.of)),
            "threads_ms": measured.rounds.iter().map(|round| &round.hub.threads).collect::<Vec<_>>(),
        })
    });
    cells.collect()
}

/// A table without lines.
fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

/// Figures to the right, from a column on.
fn align(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
