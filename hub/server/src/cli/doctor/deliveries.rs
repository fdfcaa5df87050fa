//! The doctor looks at deliveries: what nobody takes, and what waits for an operator.

use std::collections::BTreeMap;
use std::time::Duration;

use truc_ledger::DocumentFilter;
use truc_ledger::query::PAGE_MAX;
use truc_model::SystemId;
use truc_model::delivery::TransportStateName;

use super::super::answer::Trouble;
use super::super::show::{age, number};
use super::{Area, Findings, Parts};
use crate::config::Config;

/// Looks.
pub(super) async fn look(config: &Config, parts: Option<&Parts<'_>>) -> Findings {
    let mut findings = Findings::new(Area::Deliveries);
    let Some(parts) = parts else {
        findings.unknown("không xem được vì sổ cái không mở được", "sửa lỗi sổ cái ở trên");
        return findings;
    };
    let now = parts.context.clock.now();
    let hours = config.delivery.not_taken_after_h;
    match parts
        .ledger
        .late_untaken(Duration::from_secs(hours.saturating_mul(3600)))
        .await
    {
        Ok(late) if late.is_empty() => findings.ok(format!(
            "không có gói tin nào nằm quá {hours} giờ mà chưa được nhận về"
        )),
        Ok(late) => {
            let mut by_system: BTreeMap<&SystemId, (u64, jiff::Timestamp)> = BTreeMap::new();
            for one in &late {
                let entry = by_system.entry(&one.system).or_insert((0, one.forwarded_at));
                entry.0 += 1;
                entry.1 = entry.1.min(one.forwarded_at);
            }
            let more = if late.len() == PAGE_MAX { " trở lên" } else { "" };
            for (system, (count, oldest)) in by_system {
                findings.warn(
                    format!(
                        "{system}: {}{more} gói tin đã gửi quá {hours} giờ, chưa nhận về; lâu nhất {}",
                        number(count),
                        age(oldest, now)
                    ),
                    format!("gọi quản trị hệ thống {system}; xem: truc document list --system {system} --state forwarded"),
                );
            }
        }
        Err(error) => unreadable(error, &mut findings),
    }
    let parked = DocumentFilter {
        state: Some(TransportStateName::Parked),
        limit: PAGE_MAX,
        ..DocumentFilter::default()
    };
    match parts.ledger.documents(&parked).await {
        Ok(lines) if lines.is_empty() => findings.ok("không có văn bản nào bị tạm giữ"),
        Ok(lines) => {
            let more = if lines.len() == PAGE_MAX {
                " trở lên"
            } else {
                ""
            };
            findings.warn(
                format!(
                    "{}{more} văn bản tạm giữ, chờ cán bộ vận hành",
                    number(lines.len() as u64)
                ),
                "truc document list --state parked",
            );
        }
        Err(error) => unreadable(error, &mut findings),
    }
    findings
}

fn unreadable(error: truc_ledger::LedgerError, findings: &mut Findings) {
    let trouble = Trouble::from(error);
    findings.fault(trouble.what, trouble.next);
}
