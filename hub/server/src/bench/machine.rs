//! What the machine did meanwhile: processor time and memory of processes and all below them, of the
//! whole machine, and how long the disk takes to keep something. Linux's `/proc`, nothing else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::demo::stage::{Doing, StageError};

/// Appends in one measurement of the flush latency, and bytes of each.
const FLUSHES: usize = 300;
const FLUSH_BYTES: usize = 4096;

/// Linux tells processor time in ticks of this length, on every processor it runs on (`USER_HZ`, proc(5)).
const TICK: Duration = Duration::from_millis(10);

/// Deepest tree of processes that is followed.
const DEPTH_MAX: usize = 8;

/// How long the disk takes to keep 4 KiB more.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Flush {
    /// The middle one of many, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
}

/// Appends to a file in `dir`, each flushed (`fdatasync`), as a commit is.
///
/// # Errors
/// [`StageError`] when the disk refuses.
pub async fn flush_latency(dir: &Path) -> Result<Flush, StageError> {
    let path = dir.join("flush-latency");
    tokio::task::spawn_blocking(move || {
        let mut file = File::create(&path).doing("measuring the disk")?;
        let mut times = Vec::with_capacity(FLUSHES);
        for _ in 0..FLUSHES {
            let start = Instant::now();
            file.write_all(&[0x54; FLUSH_BYTES]).doing("measuring the disk")?;
            file.sync_data().doing("measuring the disk")?;
            times.push(start.elapsed());
        }
        std::fs::remove_file(&path).doing("measuring the disk")?;
        times.sort_unstable();
        let ms = |at: usize| times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
        Ok(Flush {
            p50_ms: ms(FLUSHES / 2),
            p99_ms: ms(FLUSHES * 99 / 100),
        })
    })
    .await
    .doing("measuring the disk")?
}

/// Processor time so far of every process, and of the whole machine.
#[derive(Debug, Clone)]
pub struct Moment {
    processes: BTreeMap<u32, Process>,
    machine: Machine,
}

#[derive(Debug, Clone, Copy)]
struct Process {
    parent: u32,
    /// Its own, and that of children it has waited for.
    ticks: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Machine {
    busy: u64,
    waiting: u64,
    stolen: u64,
    all: u64,
}

impl Moment {
    /// As of now.
    ///
    /// # Errors
    /// [`StageError`] when `/proc` does not read.
    pub fn now() -> Result<Self, StageError> {
        let mut processes = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").doing("reading /proc")? {
            let name = entry.doing("reading /proc")?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // Processes come and go while this is read.
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if let Some(process) = process(&stat) {
                processes.insert(pid, process);
            }
        }
        let stat = std::fs::read_to_string("/proc/stat").doing("reading /proc/stat")?;
        Ok(Self {
            processes,
            machine: machine(&stat),
        })
    }

    /// Processor time of a process and all below it, since `earlier`.
    #[must_use]
    pub fn spent_since(&self, earlier: &Self, root: u32) -> Duration {
        let ticks = self.ticks(root).saturating_sub(earlier.ticks(root));
        TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    /// What the whole machine did since `earlier`.
    #[must_use]
    pub fn machine_since(&self, earlier: &Self) -> Busy {
        let (now, then) = (self.machine, earlier.machine);
        let all = now.all.saturating_sub(then.all).max(1) as f64;
        let share = |now: u64, then: u64| now.saturating_sub(then) as f64 / all;
        Busy {
            seconds: now.busy.saturating_sub(then.busy) as f64 * TICK.as_secs_f64(),
            busy: share(now.busy, then.busy),
            waiting_for_disk: share(now.waiting, then.waiting),
            stolen: share(now.stolen, then.stolen),
        }
    }

    /// `root` and everything below it.
    fn tree(&self, root: u32) -> Vec<u32> {
        let mut found = vec![root];
        let mut fresh = vec![root];
        for _ in 0..DEPTH_MAX {
            fresh = self
                .processes
                .iter()
                .filter(|(_, process)| fresh.contains(&process.parent))
                .map(|(pid, _)| *pid)
                .collect();
            found.extend(&fresh);
        }
        found
    }

    fn ticks(&self, root: u32) -> u64 {
        let own = |pid: &u32| self.processes.get(pid).map_or(0, |process| process.ticks);
        self.tree(root).iter().map(own).sum()
    }
}

/// What the processors of the machine did in a span, as shares of all of them.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Busy {
    /// Processor time of everything that ran.
    pub seconds: f64,
    /// Share of the processors that worked.
    pub busy: f64,
    /// Share that had nothing to do but wait for a disk.
    pub waiting_for_disk: f64,
    /// Share that a virtual machine's host gave to others.
    pub stolen: f64,
}

/// Resident memory of a process and of those below it, in KiB. What several share is counted for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Now.
    pub now_kib: u64,
    /// The most it ever had.
    pub peak_kib: u64,
    /// Now, of all below it together.
    pub below_kib: u64,
}

/// Memory of a process.
///
/// # Errors
/// [`StageError`] when it has ended.
pub fn memory(root: u32) -> Result<Memory, StageError> {
    let text = std::fs::read_to_string(format!("/proc/{root}/status")).doing("reading a process's memory")?;
    let below = Moment::now()?
        .tree(root)
        .into_iter()
        .filter(|pid| *pid != root)
        .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).ok())
        .filter_map(|text| kib(&text, "VmRSS:"))
        .sum();
    Ok(Memory {
        now_kib: kib(&text, "VmRSS:").unwrap_or_default(),
        peak_kib: kib(&text, "VmHWM:").unwrap_or_default(),
        below_kib: below,
    })
}

/// Processor time of a process's threads by name, most first: where the time goes, roughly.
#[must_use]
pub fn threads(root: u32) -> Vec<(String, Duration)> {
    let mut by_name: BTreeMap<String, u64> = BTreeMap::new();
    let tasks = std::fs::read_dir(format!("/proc/{root}/task"))
        .into_iter()
        .flatten();
    for task in tasks.flatten() {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        if let (Some(name), Some(process)) = (thread_name(&stat), process(&stat)) {
            *by_name.entry(name).or_default() += process.ticks;
        }
    }
    let mut all: Vec<(String, Duration)> = by_name
        .into_iter()
        .map(|(name, ticks)| {
            (
                name,
                TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX)),
            )
        })
        .collect();
    all.sort_by_key(|(_, spent)| std::cmp::Reverse(*spent));
    all
}

/// The name in brackets, without a number at its end: workers of one kind count together.
fn thread_name(stat: &str) -> Option<String> {
    let name = stat.split_once('(')?.1.rsplit_once(") ")?.0;
    Some(
        name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-')
            .to_owned(),
    )
}

/// Fields 4 (parent) and 14 to 17 (time), counted behind the name in brackets (proc(5)).
fn process(stat: &str) -> Option<Process> {
    let behind = stat.rsplit_once(") ")?.1;
    let fields: Vec<&str> = behind.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        parent: u32::try_from(number(1)?).ok()?,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
    })
}

/// The line `cpu`: user, nice, system, idle, iowait, irq, softirq, steal.
fn machine(stat: &str) -> Machine {
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    let at = |field: usize| ticks.get(field).copied().unwrap_or_default();
    let all: u64 = ticks.iter().sum();
    Machine {
        busy: at(0) + at(1) + at(2) + at(5) + at(6),
        waiting: at(4),
        stolen: at(7),
        all,
    }
}

fn kib(status: &str, key: &str) -> Option<u64> {
    status.lines().find_map(|line| {
        let value = line.strip_prefix(key)?;
        value.split_whitespace().next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read_behind_the_name() {
        let stat = "42 (a b) c) 3) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 5";
        let process = process(stat).unwrap();
        assert_eq!((process.parent, process.ticks), (7, 127));
        assert_eq!(
            thread_name("7 (tokio-rt-worker-12) S 1").unwrap(),
            "tokio-rt-worker"
        );
        let machine = machine("cpu  10 1 5 100 7 2 3 4 0 0\ncpu0 1 1 1 1");
        assert_eq!(
            (machine.busy, machine.waiting, machine.stolen, machine.all),
            (21, 7, 4, 132)
        );
        assert_eq!(kib("VmHWM:\t   1234 kB\nVmRSS:\t 99 kB\n", "VmRSS:"), Some(99));
    }

    #[test]
    fn this_process_has_memory_and_its_children_count() {
        let own = std::process::id();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let seen = memory(own).unwrap();
        let tree = Moment::now().unwrap().tree(own);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(seen.now_kib > 0 && seen.peak_kib >= seen.now_kib, "{seen:?}");
        assert!(tree.contains(&child.id()), "{tree:?}");
        assert!(memory(u32::MAX).is_err());
    }

    #[tokio::test]
    async fn a_flush_takes_some_time() {
        let dir = tempfile::tempdir().unwrap();
        let flush = flush_latency(dir.path()).await.unwrap();
        assert!(flush.p50_ms > 0.0 && flush.p99_ms >= flush.p50_ms, "{flush:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
