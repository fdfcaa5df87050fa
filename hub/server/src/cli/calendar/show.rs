//! `truc calendar show`.

use clap::Args;
use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};
use serde_json::json;
use truc_calendar::{DayKind, Mark, WorkCalendar};

use super::Which;
use crate::cli::answer::{Answer, Trouble};
use crate::cli::show::{Table, day};

/// Options of `truc calendar show`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Which year
    #[arg(value_name = "YEAR", value_parser = super::year)]
    pub year: Option<i16>,
    /// Which calendar
    #[command(flatten)]
    pub which: Which,
}

/// Shows every special day of a year, in order.
///
/// # Errors
/// [`Trouble`] when the answer has no JSON form.
pub(super) fn show(calendar: &WorkCalendar, year: i16) -> Result<Answer, Trouble> {
    let mut table = Table::new(&["Ngày", "Thứ", "Là ngày", "Dịp", "Xác nhận", "Theo văn bản"]);
    let (mut days, mut working) = (Vec::new(), 0u32);
    for date in days_of(year) {
        let kind = calendar.day(date);
        working += u32::from(kind.is_working());
        let (word, vi, name, mark, source) = match kind {
            DayKind::Off(row) => ("off", "nghỉ", &row.name, row.mark, &row.source),
            DayKind::SwappedOff(row) => ("swapped-off", "nghỉ (hoán đổi)", &row.name, row.mark, &row.source),
            DayKind::SwappedWork(row) => ("swapped-work", "làm bù", &row.name, row.mark, &row.source),
            DayKind::Working | DayKind::Rest => continue,
        };
        let confirmed = match mark {
            Mark::Announced => "đã công bố",
            Mark::Expected => "dự kiến",
        };
        table.row([
            day(date),
            weekday(date).to_owned(),
            vi.to_owned(),
            name.clone(),
            confirmed.to_owned(),
            source.clone(),
        ]);
        days.push(json!({
            "date": date,
            "kind": word,
            "name": name,
            "mark": mark.as_str(),
            "source": source,
        }));
    }
    let text = if calendar.covers(year) {
        format!("{}\n\nNăm {year}: {working} ngày làm việc.", table.text())
    } else {
        format!("Lịch chưa có năm {year}: chỉ biết thứ bảy, chủ nhật.\n→ truc calendar extend {year}")
    };
    let json = json!({
        "year": year,
        "known": calendar.covers(year),
        "working_days": working,
        "days": days,
    });
    Answer::fine(text, &json)
}

fn days_of(year: i16) -> impl Iterator<Item = Date> {
    Date::constant(year, 1, 1)
        .series(1.day())
        .take_while(move |day| day.year() == year)
}

fn weekday(date: Date) -> &'static str {
    match date.weekday() {
        Weekday::Monday => "thứ hai",
        Weekday::Tuesday => "thứ ba",
        Weekday::Wednesday => "thứ tư",
        Weekday::Thursday => "thứ năm",
        Weekday::Friday => "thứ sáu",
        Weekday::Saturday => "thứ bảy",
        Weekday::Sunday => "chủ nhật",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_told_day_by_day() {
        let answer = show(&WorkCalendar::shipped().unwrap(), 2026).unwrap();
        let line = |date: &str| {
            let line = answer.text.lines().find(|line| line.starts_with(date));
            line.unwrap_or_else(|| panic!("{date} in\n{}", answer.text))
        };
        assert!(line("10/01/2026").contains("thứ bảy   làm bù"));
        assert!(line("02/01/2026").contains("nghỉ (hoán đổi)"));
        assert!(line("24/11/2026").contains("Ngày Văn hóa Việt Nam"));
        assert!(answer.text.ends_with("Năm 2026: 249 ngày làm việc."));
        assert_eq!(answer.json["days"][0]["date"], "2026-01-01");
    }

    #[test]
    fn a_year_that_is_not_known_says_what_to_do() {
        let answer = show(&WorkCalendar::shipped().unwrap(), 2030).unwrap();
        assert!(
            answer.text.contains("truc calendar extend 2030"),
            "{}",
            answer.text
        );
        assert_eq!(answer.json["known"], false);
    }
}
