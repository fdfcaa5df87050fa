//! A reorganisation for people: what was read, what is wrong, what changes.

use std::fmt;

use jiff::civil::Date;

use super::{AgencyChange, ReorganiseReport};
use crate::problem::Severity;

/// Most problems shown; the JSON has them all.
const PROBLEMS_MAX: usize = 200;
/// Most changes shown.
const CHANGES_MAX: usize = 500;

impl fmt::Display for ReorganiseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |severity| {
            let all = self.problems.iter();
            all.filter(|problem| problem.severity == severity).count()
        };
        let day = self.on.map_or_else(|| "(chưa rõ ngày)".to_owned(), written);
        let decision = self.decision.as_deref().unwrap_or("(không ghi)");
        writeln!(f, "Sắp xếp tổ chức từ ngày {day}, theo {decision}")?;
        writeln!(
            f,
            "Đọc {} dòng: thực hiện được {}, {} lỗi, {} cảnh báo",
            self.rows,
            self.taken,
            of(Severity::Error),
            of(Severity::Warning)
        )?;
        some(f, "Vấn đề", &self.problems, PROBLEMS_MAX, |f, problem| {
            writeln!(f, "  {problem}")
        })?;
        some(f, "Thay đổi", &self.changes, CHANGES_MAX, change)
    }
}

fn change(f: &mut fmt::Formatter<'_>, change: &AgencyChange) -> fmt::Result {
    let code = change.code.as_ref().map_or("", |code| code.as_str());
    let line = format!("dòng {}", change.line);
    let text = format!(
        "  {line:<10} {:<14} {code:<18} {}",
        change.action.label_vi(),
        change.name
    );
    writeln!(f, "{}", text.trim_end())?;
    for field in change.fields.iter().filter(|_| !change.action.ends()) {
        let (old, new) = (field.old.as_deref(), field.new.as_deref());
        let (old, new) = (old.unwrap_or("(trống)"), new.unwrap_or("(trống)"));
        writeln!(f, "  {:<10}   {:<12} {old} → {new}", "", field.field)?;
    }
    for (code, name) in &change.successors {
        writeln!(f, "  {:<10}   → {code} {name}", "")?;
    }
    if change.action.ends() && change.successors.is_empty() {
        writeln!(f, "  {:<10}   không có cơ quan kế thừa", "")?;
    }
    if let Some(until) = change.grace_until {
        // People read the last day, not the first day after.
        let last = until.yesterday().unwrap_or(until);
        let what = match change.successors.len() {
            0 | 1 => "mã cũ còn được chuyển tiếp",
            _ => "văn bản gửi mã cũ được giữ chờ xem xét",
        };
        writeln!(f, "  {:<10}   {what} đến hết {}", "", written(last))?;
    }
    Ok(())
}

fn written(day: Date) -> String {
    day.strftime("%d/%m/%Y").to_string()
}

fn some<T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    items: &[T],
    max: usize,
    show: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    for item in items.iter().take(max) {
        show(f, item)?;
    }
    match items.len().checked_sub(max) {
        Some(more @ 1..) => writeln!(f, "  … và {more} mục nữa"),
        _ => Ok(()),
    }
}
