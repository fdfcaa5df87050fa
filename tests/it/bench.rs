//! `truc bench` measures and balances: counts and shape, never times.

use truc_server::bench::backlog::Backlog;
use truc_server::bench::broadcast::Broadcast;
use truc_server::bench::load::Load;
use truc_server::bench::plan::{Cell, Pace, Signed, Store};
use truc_server::bench::{Asked, Measurement, run};
use truc_server::config::QueueType;
use truc_server::demo::stage::StageError;
use truc_tests::{check, play, programs};

const fn cell(queue: QueueType, signed: Signed) -> Cell {
    Cell {
        kib: 12,
        ledger: Store::Sqlite,
        queue,
        signed,
    }
}

const fn load(cell: Cell, pace: Pace, rounds: usize) -> Measurement {
    Measurement::Load(Load {
        cell,
        systems: 2,
        warm_up: 3,
        documents: 20,
        pace,
        rounds,
    })
}

/// All measurements on one broker; a figure comes out only when everything was receipted, delivered, taken once,
/// and balances.
#[test]
fn every_measurement_balances() {
    play(async {
        let programs = programs()?;
        let asked = Asked {
            program: programs.join("truc"),
            measurements: vec![
                load(
                    cell(QueueType::Classic, Signed::SealEs256),
                    Pace::Full { in_flight: 4 },
                    2,
                ),
                load(
                    cell(QueueType::Quorum, Signed::XmlRsa),
                    Pace::Rate { per_second: 100 },
                    1,
                ),
                Measurement::Broadcast(Broadcast {
                    cell: cell(QueueType::Classic, Signed::SealEs256),
                    systems: 3,
                    recipients: 7,
                    packets: 2,
                }),
                Measurement::Backlog(Backlog {
                    cell: cell(QueueType::Classic, Signed::SealEs256),
                    systems: 4,
                    documents: 24,
                    recipients: 2,
                }),
            ],
            // Not the folder for temporary files: it may lie in memory, which the bench refuses.
            dir: Some(programs),
            quiet: true,
            config: truc_server::config::Config::default(),
        };
        let found = Box::pin(run(&asked)).await?;
        let json = &found.json;
        let same = |what: &str, pointer: &str, expected: serde_json::Value| {
            let value = json.pointer(pointer).cloned().unwrap_or_default();
            check(value == expected, || {
                format!("{what}: {pointer} is {value}, not {expected}")
            })
        };
        same("documents", "/cells/0/load/documents", 20.into())?;
        same(
            "the default configuration",
            "/cells/0/configuration",
            serde_json::json!([]),
        )?;
        same(
            "what differs is named",
            "/cells/1/configuration",
            serde_json::json!(["broker.queue_type = \"quorum\""]),
        )?;
        for (at, rounds) in [(0, 2), (1, 1)] {
            let cell = &json["cells"][at];
            check(
                cell["rounds"].as_array().is_some_and(|all| all.len() == rounds),
                || format!("{rounds} rounds: {cell}"),
            )?;
            for round in cell["rounds"].as_array().into_iter().flatten() {
                figures(round)?;
            }
            figures(&cell["median"])?;
        }
        let packets = |of: &str| json["single"][0]["broadcast"][of].as_array().map(Vec::len);
        check(packets("hub") == Some(2) && packets("bare") == Some(2), || {
            format!("two packets each: {}", json["single"][0])
        })?;
        // Four inboxes hold one message each; the rest waits.
        same("what waits", "/single/1/backlog/waiting", 44.into())?;
        for words in [
            "tỷ lệ trục / chuyển tiếp trần",
            "taken cuối cùng đã ghi",
            "đang chờ khi trục khởi động",
        ] {
            check(found.text.contains(words), || {
                format!("{words:?} is not in\n{}", found.text)
            })?;
        }
        Ok(())
    });
}

/// The figures of a round are there, and those that cannot be zero are not.
fn figures(of: &serde_json::Value) -> Result<(), StageError> {
    for key in [
        "hub_per_s",
        "bare_per_s",
        "ratio",
        "hub_to_taken_p50_ms",
        "bare_to_taken_max_ms",
        "hub_idle_mib",
        "hub_peak_mib",
        "commits",
        "documents_per_commit",
        "flush_before_p50_ms",
        "flush_after_p99_ms",
    ] {
        check(of[key].as_f64().is_some_and(|figure| figure > 0.0), || {
            format!("{key} is missing or zero in {of}")
        })?;
    }
    Ok(())
}
