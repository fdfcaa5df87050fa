//! The table for people and the object for programs, from one list of lines.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Round;
use super::options::Options;

/// One line of the table: name, key, decimals, and how it is got from a round.
type Line = (&'static str, &'static str, usize, fn(&Options, &Round) -> f64);

const LINES: [Line; 14] = [
    ("accepted, documents/s", "accepted_per_s", 0, |o, r| {
        rate(o, r.hub.accepted)
    }),
    (
        "accepted, forwarded and taken, documents/s",
        "taken_per_s",
        0,
        |o, r| rate(o, r.hub.taken),
    ),
    ("bare forwarder, messages/s", "bare_per_s", 0, |o, r| {
        rate(o, r.bare)
    }),
    ("accepted / bare", "accepted_to_bare", 3, |_, r| {
        r.bare.as_secs_f64() / r.hub.accepted.as_secs_f64()
    }),
    (
        "accepted, forwarded and taken / bare",
        "taken_to_bare",
        3,
        |_, r| r.bare.as_secs_f64() / r.hub.taken.as_secs_f64(),
    ),
    ("flush before, median, ms", "flush_before_median_ms", 3, |_, r| {
        ms(r.flush_before.median)
    }),
    ("flush before, p99, ms", "flush_before_p99_ms", 3, |_, r| {
        ms(r.flush_before.p99)
    }),
    ("flush after, median, ms", "flush_after_median_ms", 3, |_, r| {
        ms(r.flush_after.median)
    }),
    ("flush after, p99, ms", "flush_after_p99_ms", 3, |_, r| {
        ms(r.flush_after.p99)
    }),
    (
        "transactions that accepted documents",
        "accepting_transactions",
        0,
        |_, r| r.hub.accepting as f64,
    ),
    (
        "documents accepted in one of them",
        "documents_per_transaction",
        1,
        |o, r| o.documents as f64 / r.hub.accepting.max(1) as f64,
    ),
    (
        "transactions that wrote events",
        "writing_transactions",
        0,
        |_, r| r.hub.writing as f64,
    ),
    ("hub, peak memory, MiB", "hub_memory_mib", 1, |_, r| {
        r.hub.memory_kib as f64 / 1024.0
    }),
    ("hub, processor time, s", "hub_processor_s", 2, |_, r| {
        r.hub.processor.as_secs_f64()
    }),
];

fn rate(options: &Options, took: Duration) -> f64 {
    options.documents as f64 / took.as_secs_f64()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The middle one, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

pub(super) fn print_table(options: &Options, rounds: &[Round]) {
    let head: String = (1..=rounds.len())
        .map(|n| format!("{:>10}", format!("round {n}")))
        .collect();
    println!("{:<44}{head}{:>10}", "", "median");
    for (name, _, decimals, value) in LINES {
        let values: Vec<f64> = rounds.iter().map(|round| value(options, round)).collect();
        let cells: String = values
            .iter()
            .map(|value| format!("{value:>10.decimals$}"))
            .collect();
        println!("{name:<44}{cells}{:>10.decimals$}", median(values));
    }
}

pub(super) fn as_json(options: &Options, rounds: &[Round], rabbitmq: &str, processors: usize) -> Value {
    let object = |value: &dyn Fn(&Line) -> f64| -> Value {
        LINES
            .iter()
            .map(|line| (line.1.to_owned(), json!(value(line))))
            .collect::<Map<_, _>>()
            .into()
    };
    let of = |round: &Round| object(&|line| line.3(options, round));
    json!({
        "documents": options.documents,
        "bytes": options.size,
        "processors": processors,
        "rabbitmq": rabbitmq,
        "rounds": rounds.iter().map(of).collect::<Vec<_>>(),
        "median": object(&|line| median(rounds.iter().map(|round| line.3(options, round)).collect())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }
}
