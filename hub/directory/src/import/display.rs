//! A report for people: what was read, what is wrong, what is different.

use std::fmt;

use super::ImportReport;
use crate::problem::Severity;

/// Most lines shown of one list; the JSON has them all.
const SHOWN_MAX: usize = 40;
/// Most problems shown.
const PROBLEMS_MAX: usize = 200;

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = &self.changes;
        let of = |severity| {
            self.problems
                .iter()
                .filter(|problem| problem.severity == severity)
                .count()
        };
        let left_out = self.rows - self.taken.min(self.rows);
        writeln!(f, "Đọc {} dòng: nhận {}, bỏ {left_out}", self.rows, self.taken)?;
        for (label, count) in [
            ("lỗi", of(Severity::Error)),
            ("cảnh báo", of(Severity::Warning)),
            ("thêm mới", changes.added.len()),
            ("thay đổi", changes.changed.len()),
            ("không đổi", changes.unchanged),
            ("không có trong tệp", changes.gone.len()),
        ] {
            writeln!(f, "  {label:<19}{count:>7}")?;
        }
        list(f, "Vấn đề", &self.problems, PROBLEMS_MAX, |f, problem| {
            writeln!(f, "  {problem}")
        })?;
        list(f, "Thêm mới", &changes.added, SHOWN_MAX, |f, added| {
            row(
                f,
                &format!("dòng {}", added.line),
                &added.subject.to_string(),
                &added.name,
            )
        })?;
        list(f, "Thay đổi", &changes.changed, SHOWN_MAX, |f, changed| {
            let line = format!("dòng {}", changed.line);
            row(f, &line, &changed.subject.to_string(), &changed.name)?;
            for field in &changed.fields {
                let (old, new) = (field.old.as_deref(), field.new.as_deref());
                let (old, new) = (old.unwrap_or("(trống)"), new.unwrap_or("(trống)"));
                writeln!(f, "  {:<10}   {:<14} {old} → {new}", "", field.field)?;
            }
            Ok(())
        })?;
        let title = "Có trong danh mục, không có trong tệp (giữ nguyên, không xóa)";
        list(f, title, &changes.gone, SHOWN_MAX, |f, gone| {
            row(f, "", &gone.subject.to_string(), &gone.name)
        })
    }
}

/// Columns of a code or a system id; a longer one pushes its own name aside.
const SUBJECT_WIDTH: usize = 24;

fn row(f: &mut fmt::Formatter<'_>, line: &str, subject: &str, name: &str) -> fmt::Result {
    let text = format!("  {line:<10} {subject:<SUBJECT_WIDTH$} {name}");
    writeln!(f, "{}", text.trim_end())
}

fn list<T>(
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
