//! The doctor looks at the ledger: opens, can be written, last event, the end of the chain, its files.

use std::path::{Path, PathBuf};

use truc_ledger::query::PAGE_MAX;
use truc_ledger::{EventRow, Ledger, LedgerError};
use truc_model::Sha256;

use super::super::answer::Trouble;
use super::super::show::{moment, number, size};
use super::{Area, Findings};
use crate::app;
use crate::config::Config;

/// A write-ahead log larger than this was not folded back for long: a reader holds it open.
const WAL_WARN: u64 = 512 << 20;

/// Looks. `events` of the last are checked against the chain.
pub(super) async fn look(config: &Config, ledger: &Ledger, events: u64) -> Findings {
    let mut findings = Findings::new(Area::Ledger);
    let file = config.ledger.file();
    match file.map(|file| std::fs::metadata(file).map_or(0, |found| found.len())) {
        Some(bytes) => findings.ok(format!("mở được {} ({})", config.ledger.place(), size(bytes))),
        None => findings.ok(format!("mở được {}", config.ledger.place())),
    }
    match ledger.head().await {
        Ok(head) if head.seq == 0 => findings.ok("chưa có sự kiện nào"),
        Ok(head) => {
            if let Ok(last) = ledger.events(head.seq, 1).await
                && let Some(row) = last.first()
            {
                findings.ok(format!(
                    "sự kiện cuối: {} lúc {} ({})",
                    number(row.seq),
                    moment(row.at),
                    row.kind.label_vi()
                ));
            }
            chain(ledger, head.seq, events, &mut findings).await;
        }
        Err(error) => unreadable(error, &mut findings),
    }
    writable(config, &mut findings).await;
    if let Some(file) = file {
        wal(file, &mut findings);
    }
    findings
}

async fn chain(ledger: &Ledger, head: u64, events: u64, findings: &mut Findings) {
    let first = head.saturating_sub(events.saturating_sub(1)).max(1);
    let (mut next, mut previous): (u64, Option<EventRow>) = (first, None);
    while next <= head {
        let page = match ledger.events(next, PAGE_MAX).await {
            Ok(page) => page,
            Err(error) => return unreadable(error, findings),
        };
        if page.is_empty() {
            break;
        }
        for row in page {
            if let Some(why) = wrong(previous.as_ref(), &row, next) {
                findings.fault(
                    format!("chuỗi sự kiện sai tại {}: {why}", number(row.seq)),
                    "dừng trục, giữ nguyên tệp, chạy truc ledger verify, báo người phụ trách",
                );
                return;
            }
            next = row.seq + 1;
            previous = Some(row);
        }
    }
    if next <= head {
        findings.fault(
            format!("thiếu sự kiện từ {} đến {}", number(next), number(head)),
            "dừng trục, giữ nguyên tệp, chạy truc ledger verify, báo người phụ trách",
        );
        return;
    }
    findings.ok(format!(
        "{} sự kiện cuối liền mạch và đúng mã băm (toàn bộ: truc ledger verify)",
        number(head + 1 - first)
    ));
}

/// What is wrong with an event beside the one before it.
fn wrong(previous: Option<&EventRow>, row: &EventRow, expected: u64) -> Option<String> {
    if row.seq != expected {
        return Some(format!("thiếu sự kiện {expected}"));
    }
    if Sha256::of(row.canonical.as_bytes()) != row.hash {
        return Some("nội dung không khớp mã băm".to_owned());
    }
    match row.event() {
        Err(error) => Some(error.to_string()),
        Ok(event) if previous.is_some_and(|before| before.hash != event.prev) => {
            Some("không nối với sự kiện trước".to_owned())
        }
        Ok(_) => None,
    }
}

/// Takes the writer's place for a moment and gives it back without a change.
async fn writable(config: &Config, findings: &mut Findings) {
    let tried = async {
        app::open_store(config)
            .await?
            .begin()
            .await
            .map(drop)
            .map_err(LedgerError::from)
            .map_err(Into::into)
    };
    let tried: Result<(), app::AppError> = tried.await;
    match tried {
        Ok(()) => findings.ok("ghi được"),
        Err(error) => {
            let trouble = Trouble::from(error);
            findings.fault(format!("không ghi được: {}", trouble.what), trouble.next);
        }
    }
}

fn wal(path: &Path, findings: &mut Findings) {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    let wal = PathBuf::from(name);
    let bytes = std::fs::metadata(&wal).map_or(0, |file| file.len());
    let what = format!("nhật ký ghi trước (WAL) {}", size(bytes));
    if bytes > WAL_WARN {
        findings.warn(
            what,
            "một chương trình giữ sổ cái mở quá lâu: tìm bằng fuser, đóng nó lại",
        );
    } else {
        findings.ok(what);
    }
}

fn unreadable(error: LedgerError, findings: &mut Findings) {
    let trouble = Trouble::from(error);
    findings.fault(trouble.what, trouble.next);
}

#[cfg(test)]
mod tests {
    use truc_ledger::event::GENESIS;
    use truc_ledger::{Event, Fact, HubId};

    use super::*;

    fn row(seq: u64, prev: Sha256) -> EventRow {
        let fact = Fact::HubStopped {
            hub: HubId::new("hub-1"),
        };
        Event {
            seq,
            at: jiff::Timestamp::UNIX_EPOCH,
            prev,
            fact,
        }
        .row()
        .unwrap()
    }

    #[test]
    fn a_broken_chain_is_seen() {
        let first = row(1, GENESIS);
        let second = row(2, first.hash);
        assert_eq!(wrong(None, &first, 1), None);
        assert_eq!(wrong(Some(&first), &second, 2), None);
        assert!(wrong(Some(&first), &row(2, GENESIS), 2).is_some_and(|why| why.contains("không nối")));
        assert!(
            wrong(Some(&first), &row(3, first.hash), 2).is_some_and(|why| why.contains("thiếu sự kiện 2"))
        );
        let mut changed = second;
        changed.canonical = changed.canonical.replace("hub-1", "hub-2");
        assert!(wrong(Some(&first), &changed, 2).is_some_and(|why| why.contains("mã băm")));
    }
}
