//! The arguments.

use std::path::PathBuf;

use truc_server::demo::stage::StageError;

/// The help text.
pub(super) const HELP: &str = "\
Measures the hub under load beside a bare forwarder on the same broker, and the disk's flush latency.

usage: truc-bench [DOCUMENTS] [--size BYTES] [--rounds N] [--dir DIR] [--json]

  DOCUMENTS     documents in each round (10000)
  --size BYTES  bytes of each packet, at least 5000 (10240)
  --rounds N    rounds, hub and forwarder in turn; the medians are shown (3)
  --dir DIR     where broker and ledger lie, on the disk to be measured (beside this program)
  --json        one JSON object instead of the table";

/// Most documents in a round: they are made before the clock starts and held in memory.
const DOCUMENTS_MAX: usize = 200_000;
/// Most rounds.
const ROUNDS_MAX: usize = 99;

/// What is measured, and how often.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) documents: usize,
    pub(super) size: usize,
    pub(super) rounds: usize,
    pub(super) dir: Option<PathBuf>,
    pub(super) json: bool,
}

/// Reads the arguments; `None` asks for the help.
pub(super) fn read(mut words: impl Iterator<Item = String>) -> Result<Option<Options>, StageError> {
    let mut options = Options {
        documents: 10_000,
        size: 10_240,
        rounds: 3,
        dir: None,
        json: false,
    };
    let number = |word: Option<String>, min: usize, max: usize| {
        let number = word.as_deref().and_then(|word| word.parse().ok());
        number.filter(|n| (min..=max).contains(n)).ok_or_else(|| {
            StageError(format!(
                "expected a number from {min} to {max}, found {:?}",
                word.unwrap_or_default()
            ))
        })
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--json" => options.json = true,
            "--size" => options.size = number(words.next(), 5_000, 16 << 20)?,
            "--rounds" => options.rounds = number(words.next(), 1, ROUNDS_MAX)?,
            "--dir" => {
                let dir = words
                    .next()
                    .ok_or_else(|| StageError("expected a folder after --dir".to_owned()))?;
                options.dir = Some(PathBuf::from(dir));
            }
            _ => options.documents = number(Some(word), 1, DOCUMENTS_MAX)?,
        }
    }
    Ok(Some(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(line: &str) -> Result<Option<Options>, StageError> {
        read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_within_their_limits() {
        let options = read_line("500 --rounds 99 --size 5000 --json").unwrap().unwrap();
        assert_eq!(
            (options.documents, options.rounds, options.size, options.json),
            (500, 99, 5000, true)
        );
        assert!(read_line("--help").unwrap().is_none());
        assert!(read_line("200000").is_ok());
        for bad in [
            "0",
            "200001",
            "--rounds 0",
            "--rounds 100",
            "--size 4999",
            "--size",
            "--dir",
            "--quick",
        ] {
            assert!(read_line(bad).is_err(), "{bad}");
        }
    }
}
