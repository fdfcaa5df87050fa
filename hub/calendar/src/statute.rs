//! The holidays the law names, for any year: what a calendar must hold, and the rows of a year to come.
//!
//! Bộ luật Lao động 2019 art. 112(1), and from 2026 Nghị quyết 28/2026/QH16. The Government chooses each year
//! which five days Tết has, which day beside 2 September is off, and what is swapped; what stands here for these
//! is the custom, and therefore only expected.

use std::collections::BTreeSet;

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};

use crate::calendar::WorkCalendar;
use crate::lunar;
use crate::row::{DayOff, Mark};

const CODE: &str = "Bộ luật Lao động 2019, Điều 112(1)";
const IN_LIEU: &str = "Bộ luật Lao động 2019, Điều 111(3)";
const CULTURE_DAY: &str = "Nghị quyết 28/2026/QH16";
/// The first year of the Vietnamese Culture Day.
const CULTURE_DAY_SINCE: i16 = 2026;

/// The days the law itself names, which must be days off whatever else the Government chooses: the date, and
/// its name in Vietnamese. Of Tết the first three days. Empty outside [`lunar::YEARS`].
#[must_use]
pub fn days_of(year: i16) -> Vec<(Date, &'static str)> {
    let (Some(tet), Some(kings)) = (lunar::tet(year), lunar::hung_kings_day(year)) else {
        return Vec::new();
    };
    let mut days = vec![(Date::constant(year, 1, 1), "Tết Dương lịch")];
    days.extend((0..3).filter_map(|n| Some((tet.checked_add(n.days()).ok()?, "Tết Nguyên đán"))));
    days.push((kings, "Giỗ Tổ Hùng Vương"));
    days.push((Date::constant(year, 4, 30), "Ngày Chiến thắng"));
    days.push((Date::constant(year, 5, 1), "Ngày Quốc tế lao động"));
    days.push((Date::constant(year, 9, 2), "Quốc khánh"));
    if year >= CULTURE_DAY_SINCE {
        days.push((Date::constant(year, 11, 24), "Ngày Văn hóa Việt Nam"));
    }
    days
}

/// The rows of a year that has not been announced: every day the law gives, the days in lieu of those on a
/// weekend, all marked [`Mark::Expected`]. `None` outside [`lunar::YEARS`].
///
/// Tết: five days that begin one or two days before the first, whichever needs fewer days in lieu, else two; so
/// it was announced from 2021 to 2027. No swaps: nobody can know them.
#[must_use]
pub fn expected(calendar: &WorkCalendar, year: i16) -> Option<Vec<DayOff>> {
    let tet = lunar::tet(year)?;
    let day = |month, day| Date::constant(year, month, day);
    let national = if matches!(
        day(9, 2).weekday(),
        Weekday::Thursday | Weekday::Sunday | Weekday::Monday
    ) {
        (day(9, 2), day(9, 3))
    } else {
        (day(9, 1), day(9, 2))
    };
    let kings = lunar::hung_kings_day(year)?;
    let mut rows = vec![
        row("Tết Dương lịch", (day(1, 1), day(1, 1)), CODE),
        row("Tết Nguyên đán", five_days(calendar, tet), CODE),
        row("Giỗ Tổ Hùng Vương", (kings, kings), CODE),
        row(
            "Ngày Chiến thắng, Ngày Quốc tế lao động",
            (day(4, 30), day(5, 1)),
            CODE,
        ),
        row("Quốc khánh", national, CODE),
    ];
    let mut taken: BTreeSet<Date> = rows.iter().flat_map(DayOff::days).collect();
    let mut in_lieu = Vec::new();
    for off in &rows {
        for rest in off.days().filter(|day| !calendar.is_in_week(*day)) {
            let mut next = rest;
            // Ends: a week has a working day, and the days taken are few.
            while taken.contains(&next) || !calendar.is_in_week(next) {
                next = next.tomorrow().ok()?;
            }
            taken.insert(next);
            in_lieu.push(row(&format!("Nghỉ bù {}", off.name), (next, next), IN_LIEU));
        }
    }
    rows.extend(in_lieu);
    if year >= CULTURE_DAY_SINCE {
        // No day in lieu: it stands outside the list that article 111(3) speaks of.
        rows.push(row(
            "Ngày Văn hóa Việt Nam",
            (day(11, 24), day(11, 24)),
            CULTURE_DAY,
        ));
    }
    rows.sort_by_key(|row| row.from);
    Some(rows)
}

/// First and last of the five days of Tết.
fn five_days(calendar: &WorkCalendar, tet: Date) -> (Date, Date) {
    let rests = |from: Date| (0..5).filter(|n| !calendar.is_in_week(from + n.days())).count();
    let (one, two) = (tet - 1.day(), tet - 2.days());
    let from = if rests(one) < rests(two) { one } else { two };
    (from, from + 4.days())
}

/// Rows as they stand in a calendar's file.
#[must_use]
pub fn as_toml(rows: &[DayOff]) -> String {
    let text = |row: &DayOff| {
        format!(
            "[[holiday]]\nname = \"{}\"\nfrom = \"{}\"\nto = \"{}\"\nmark = \"{}\"\nsource = \"{}\"\n",
            row.name,
            row.from,
            row.to,
            row.mark.as_str(),
            row.source
        )
    };
    rows.iter().map(text).collect::<Vec<_>>().join("\n")
}

fn row(name: &str, (from, to): (Date, Date), source: &str) -> DayOff {
    DayOff {
        name: name.to_owned(),
        from,
        to,
        mark: Mark::Expected,
        source: source.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> WorkCalendar {
        WorkCalendar::shipped().unwrap()
    }

    fn days_off(year: i16) -> BTreeSet<Date> {
        let rows = expected(&shipped(), year).unwrap();
        rows.iter()
            .flat_map(DayOff::days)
            .filter(|day| shipped().is_in_week(*day))
            .collect()
    }

    #[test]
    fn what_is_expected_of_announced_years_is_what_was_announced() {
        // Working days off as announced, without swaps, which nobody can expect.
        for (year, announced) in [
            (
                2025,
                "01-01 01-27 01-28 01-29 01-30 01-31 04-07 04-30 05-01 09-01 09-02",
            ),
            (
                2026,
                "01-01 02-16 02-17 02-18 02-19 02-20 04-27 04-30 05-01 09-01 09-02 11-24",
            ),
            (
                2027,
                "01-01 02-04 02-05 02-08 02-09 02-10 04-16 04-30 05-03 09-02 09-03 11-24",
            ),
        ] {
            let days: Vec<String> = days_off(year)
                .iter()
                .map(|day| day.strftime("%m-%d").to_string())
                .collect();
            assert_eq!(days.join(" "), announced, "{year}");
        }
    }

    #[test]
    fn tet_begins_when_it_did() {
        // As announced in each of these years, days in lieu left out.
        for (year, from, to) in [
            (2021, (2, 10), (2, 14)),
            (2022, (1, 31), (2, 4)),
            (2023, (1, 20), (1, 24)),
            (2024, (2, 8), (2, 12)),
            (2025, (1, 27), (1, 31)),
            (2026, (2, 16), (2, 20)),
            (2027, (2, 4), (2, 8)),
        ] {
            let rows = expected(&shipped(), year).unwrap();
            let row = rows.iter().find(|row| row.name == "Tết Nguyên đán").unwrap();
            assert_eq!(row.from, Date::constant(year, from.0, from.1));
            assert_eq!(row.to, Date::constant(year, to.0, to.1));
        }
    }

    #[test]
    fn the_day_beside_2_september_is_the_one_that_was_chosen() {
        // As announced in each of these years.
        for (year, month_day) in [
            (2021, 903),
            (2022, 901),
            (2023, 901),
            (2024, 903),
            (2025, 901),
            (2026, 901),
            (2027, 903),
        ] {
            let rows = expected(&shipped(), year).unwrap();
            let row = rows.iter().find(|row| row.name == "Quốc khánh").unwrap();
            let other = if row.from.day() == 2 { row.to } else { row.from };
            assert_eq!(i32::from(other.month()) * 100 + i32::from(other.day()), month_day);
        }
    }

    #[test]
    fn a_day_on_a_weekend_has_one_in_lieu() {
        // 2 September 2023 was a Saturday: Monday the 4th was off.
        assert!(days_off(2023).contains(&Date::constant(2023, 9, 4)));
        // 30 April 2028 is a Sunday, 1 May off anyway: the 2nd in lieu.
        assert!(days_off(2028).contains(&Date::constant(2028, 5, 2)));
        // The Culture Day has none: 24 November 2029 is a Saturday.
        assert!(!days_off(2029).contains(&Date::constant(2029, 11, 26)));
    }

    #[test]
    fn rows_of_a_year_read_back_and_hold_every_day_of_the_law() {
        for year in 2026..=2060 {
            let rows = expected(&shipped(), year).unwrap();
            let text = format!(
                "years = [{year}]\n[working]\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\nhours = [\"07:30-11:30\"]\n{}",
                as_toml(&rows)
            );
            let calendar = WorkCalendar::parse(&text).unwrap_or_else(|error| panic!("{year}: {error}"));
            for (day, name) in days_of(year) {
                assert!(!calendar.is_working_day(day), "{day} {name}");
            }
        }
        assert!(expected(&shipped(), 2200).is_none());
        assert!(days_of(2200).is_empty());
    }
}
