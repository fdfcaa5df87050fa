//! `truc calendar check`.

use jiff::civil::Date;
use serde_json::json;
use truc_calendar::{Finding, WorkCalendar};

use crate::cli::answer::{Answer, Exit, Trouble};

/// Names everything to look at.
///
/// # Errors
/// [`Trouble`] when the answer has no JSON form.
pub(super) fn check(calendar: &WorkCalendar, today: Date) -> Result<Answer, Trouble> {
    let findings = calendar.check(today);
    let (faults, open): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| finding.is_fault());
    let years: Vec<i16> = calendar.years().collect();
    let mut lines = Vec::new();
    lines.extend(faults.iter().map(|finding| format!("LỖI  {finding}")));
    lines.extend(open.iter().map(|finding| format!("CHỜ  {finding}")));
    let shown: Vec<String> = years.iter().map(ToString::to_string).collect();
    lines.push(format!(
        "{}Lịch các năm {}: {}, {}.",
        if lines.is_empty() { "" } else { "\n" },
        shown.join(", "),
        if faults.is_empty() {
            "không có lỗi".to_owned()
        } else {
            format!("{} lỗi, thời hạn sẽ tính sai", faults.len())
        },
        if open.is_empty() {
            "mọi ngày đã được công bố".to_owned()
        } else {
            format!("{} dòng chờ xác nhận", open.len())
        },
    ));
    if !open.is_empty() {
        lines.push(
            "→ Khi có thông báo: sửa ngày, ghi số văn bản vào source và đổi mark thành announced.".to_owned(),
        );
    }
    let json: Vec<_> = findings
        .iter()
        .map(|finding| json!({ "fault": finding.is_fault(), "what": finding.to_string() }))
        .collect();
    Answer::ending(
        Exit::unless_finding(faults.is_empty()),
        lines.join("\n"),
        &json!({ "ok": faults.is_empty(), "years": years, "findings": json }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_days_are_listed_and_are_no_fault() {
        let calendar = WorkCalendar::shipped().unwrap();
        let answer = check(&calendar, Date::constant(2026, 11, 23)).unwrap();
        assert_eq!(answer.exit, Exit::Fine);
        assert!(answer.text.contains("CHỜ  03/05/2027 Nghỉ bù"), "{}", answer.text);
        assert!(answer.text.contains("không có lỗi, 2 dòng chờ xác nhận"));
    }

    #[test]
    fn a_year_that_is_near_and_missing_is_a_fault() {
        let calendar = WorkCalendar::shipped().unwrap();
        let answer = check(&calendar, Date::constant(2027, 10, 1)).unwrap();
        assert_eq!(answer.exit, Exit::Finding);
        assert!(
            answer.text.starts_with("LỖI  chưa có năm 2028"),
            "{}",
            answer.text
        );
        assert_eq!(answer.json["ok"], false);
    }
}
