//! Tables of the measurements that are no rounds: a broadcast and a backlog.

use super::{MIB, align, plain};
use crate::bench::plan::queue_word;
use crate::bench::stats::median;
use crate::bench::{backlog, broadcast};

/// A broadcast: a row for each time, hub beside forwarder.
#[must_use]
pub fn broadcast(measured: &broadcast::Measured) -> String {
    let broadcast::Broadcast {
        cell,
        systems,
        recipients,
        packets,
    } = measured.broadcast;
    let mut table = plain();
    let mut head = vec![String::new()];
    for name in ["trục", "trần"] {
        head.extend((1..=packets).map(|number| format!("{name} {number}")));
        head.push(format!("{name} giữa"));
    }
    head.push("tỷ lệ".to_owned());
    table.set_header(head);
    type Get = fn(&broadcast::Times) -> f64;
    let rows: [(&str, Get); 5] = [
        ("biên nhận tới bên gửi, ms", |times| times.receipt_ms),
        ("hệ thống đầu tiên có, ms", |times| times.first_ms),
        ("hệ thống cuối cùng có, ms", |times| times.last_ms),
        ("taken cuối cùng đã nói, ms", |times| times.taken_ms),
        ("taken cuối cùng đã ghi, ms", |times| times.done_ms),
    ];
    for (words, get) in rows {
        let mut row = vec![words.to_owned()];
        let mut middles = Vec::new();
        for times in [&measured.hub, &measured.bare] {
            let values: Vec<f64> = times.iter().map(get).collect();
            row.extend(values.iter().map(|value| format!("{value:.0}")));
            middles.push(median(values));
            row.push(format!("{:.0}", middles[middles.len() - 1]));
        }
        row.push(format!("{:.2}", middles[1] / middles[0].max(f64::EPSILON)));
        table.add_row(row);
    }
    align(&mut table, 1);
    format!(
        "phát {} byte tới {recipients} nơi nhận ở {systems} hệ thống (biên nhận {} byte), {}, {}; {}\n{table}\n\
         bộ xử lý mỗi lần phát: trục {:.0} ms, RabbitMQ {:.0} ms; bộ nhớ của trục: rỗi {:.1} MiB, cao nhất {:.1} MiB\n\
         đĩa giữ 4 KiB: trước {:.2}/{:.1} ms, sau {:.2}/{:.1} ms (p50/p99)",
        measured.bytes,
        measured.receipt_bytes,
        cell.ledger.as_str(),
        queue_word(cell.queue),
        super::configuration(&measured.configuration),
        measured.hub_cpu_ms,
        measured.broker_cpu_ms,
        measured.idle.now_kib as f64 / MIB,
        measured.memory.peak_kib as f64 / MIB,
        measured.flush_before.p50_ms,
        measured.flush_before.p99_ms,
        measured.flush_after.p50_ms,
        measured.flush_after.p99_ms,
    )
}

/// A backlog: a line for each figure.
#[must_use]
pub fn backlog(measured: &backlog::Measured) -> String {
    let backlog = &measured.backlog;
    let mut table = plain();
    let mut row = |words: &str, value: String| {
        table.add_row([words.to_owned(), value]);
    };
    row("nhận và ghi hết, giây", format!("{:.1}", measured.accepting_s));
    row("đang chờ khi trục khởi động", measured.waiting.to_string());
    row(
        "khởi động → văn bản đầu tiên tới nơi, ms",
        format!("{:.0}", measured.first_ms),
    );
    row(
        "khởi động → văn bản cuối cùng đã lấy, giây",
        format!("{:.1}", measured.last_s),
    );
    row("lượt gửi/giây", format!("{:.0}", measured.per_second));
    let mib = |kib: u64| format!("{:.1}", kib as f64 / MIB);
    row(
        "bộ nhớ lúc văn bản đầu tiên tới, MiB",
        mib(measured.at_first.peak_kib),
    );
    row("bộ nhớ cao nhất tới cuối, MiB", mib(measured.at_end.peak_kib));
    row(
        "đĩa giữ 4 KiB, trước, ms p50/p99",
        format!(
            "{:.2}/{:.1}",
            measured.flush_before.p50_ms, measured.flush_before.p99_ms
        ),
    );
    row(
        "đĩa giữ 4 KiB, sau, ms p50/p99",
        format!(
            "{:.2}/{:.1}",
            measured.flush_after.p50_ms, measured.flush_after.p99_ms
        ),
    );
    align(&mut table, 1);
    format!(
        "{} văn bản cho {} nơi nhận mỗi văn bản, {} hệ thống, {}; {}\n{table}",
        backlog.documents,
        backlog.recipients,
        backlog.systems,
        backlog.cell.name(),
        super::configuration(&measured.configuration),
    )
}
