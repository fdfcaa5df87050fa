//! `truc calendar extend`.

use clap::Args;
use serde_json::json;
use truc_calendar::{Mark, WorkCalendar, statute};

use super::Which;
use crate::cli::answer::{Answer, Exit, Trouble};

/// Options of `truc calendar extend`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Which year; without it the one after the last of the file
    #[arg(value_name = "YEAR", value_parser = super::year)]
    pub year: Option<i16>,
    /// Which calendar
    #[command(flatten)]
    pub which: Which,
}

/// Prints the rows of a year.
///
/// # Errors
/// [`Trouble`] for a year outside the lunar calendar's reach.
pub(super) fn extend(calendar: &WorkCalendar, year: Option<i16>) -> Result<Answer, Trouble> {
    let year = year.or_else(|| calendar.years().last()?.checked_add(1));
    let rows = year.and_then(|year| Some((year, statute::expected(calendar, year)?)));
    let Some((year, rows)) = rows else {
        return Err(Trouble::new(
            "the calendar has no year to go on from",
            "name the year: truc calendar extend 2028",
        ));
    };
    if calendar.covers(year) {
        return Answer::ending(
            Exit::Finding,
            format!("Lịch đã có năm {year}.\n→ Xem bằng: truc calendar show {year}"),
            &json!({ "year": year, "known": true, "holidays": [] }),
        );
    }
    let text = format!(
        "# {year}: dự kiến. Thêm {year} vào years ở đầu tệp; sửa theo thông báo khi có, nhất là Tết, Quốc khánh và các ngày hoán đổi.\n\n{}",
        statute::as_toml(&rows).trim_end()
    );
    let holidays: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "name": row.name,
                "from": row.from,
                "to": row.to,
                "mark": Mark::as_str(row.mark),
                "source": row.source,
            })
        })
        .collect();
    Answer::fine(
        text,
        &json!({ "year": year, "known": false, "holidays": holidays }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_read_when_they_are_added_to_the_file() {
        let calendar = WorkCalendar::shipped().unwrap();
        let answer = extend(&calendar, None).unwrap();
        assert_eq!(answer.json["year"], 2028);
        let text = format!(
            "{}\n{}\n",
            truc_calendar::CALENDAR.replace("[2025, 2026, 2027]", "[2025, 2026, 2027, 2028]"),
            answer.text
        );
        let extended = WorkCalendar::parse(&text).unwrap();
        assert!(extended.covers(2028));
        // Tết 2028 begins on Wednesday, 26 January: Monday to Friday are expected.
        let faults: Vec<_> = extended
            .check("2027-12-01".parse().unwrap())
            .into_iter()
            .filter(truc_calendar::Finding::is_fault)
            .collect();
        assert_eq!(faults, []);
        assert!(!extended.is_working_day("2028-01-24".parse().unwrap()));
    }

    #[test]
    fn a_year_the_file_has_is_not_written_again() {
        let answer = extend(&WorkCalendar::shipped().unwrap(), Some(2026)).unwrap();
        assert_eq!(answer.exit, Exit::Finding);
    }
}
