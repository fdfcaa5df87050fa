//! The Vietnamese lunar calendar, as far as holidays need it: which day is the n-th of a lunar month?
//!
//! New moons and the sun's longitude by the truncated series of J. Meeus, *Astronomical Algorithms*; the rules
//! of the calendar (the month of the winter solstice is the eleventh, a month without a principal term is leap)
//! on the meridian of Ha Noi, UTC+7. That is why Tết is at times a day before the Chinese new year (2007, 2030).
//!
//! Good for [`YEARS`]; tests hold it against known dates from 2000 to 2050.

use std::f64::consts::PI;
use std::ops::RangeInclusive;

use jiff::civil::Date;

/// The years it is reckoned for. Before 1968 Viet Nam used another meridian.
pub const YEARS: RangeInclusive<i16> = 1968..=2199;

/// Mean length of a lunar month, in days.
const MONTH: f64 = 29.530_588_853;
/// The Julian day on which the count of new moons begins (1 January 1900).
const EPOCH: f64 = 2_415_021.076_998_695;
/// The Julian day number of 1 January 1970.
const JULIAN_1970: i64 = 2_440_588;
/// Hours ahead of UTC.
const ZONE_HOURS: f64 = 7.0;

/// The Gregorian date of a day of a lunar month that is not leap, or `None` outside [`YEARS`], months 1 to 12
/// and days 1 to 30 (a 30th of a month of 29 days is the first of the next).
#[must_use]
pub fn date_of(year: i16, month: u8, day: u8) -> Option<Date> {
    if !YEARS.contains(&year) || !(1..=12).contains(&month) || !(1..=30).contains(&day) {
        return None;
    }
    // A lunar year's months are numbered from the eleventh of the year before.
    let (from, to) = if month < 11 {
        (eleventh_month(year - 1)?, eleventh_month(year)?)
    } else {
        (eleventh_month(year)?, eleventh_month(year + 1)?)
    };
    let first = (0.5 + (from as f64 - EPOCH) / MONTH).floor();
    let mut offset = (i64::from(month) - 11).rem_euclid(12);
    if to - from > 365 && offset >= leap_offset(first) {
        offset += 1;
    }
    from_julian(new_moon_day(first + offset as f64) + i64::from(day) - 1)
}

/// The first day of the lunar year (*mùng 1 Tết*).
#[must_use]
pub fn tet(year: i16) -> Option<Date> {
    date_of(year, 1, 1)
}

/// The Hùng Kings' day: the tenth of the third month.
#[must_use]
pub fn hung_kings_day(year: i16) -> Option<Date> {
    date_of(year, 3, 10)
}

/// Julian day number on which the eleventh month of the lunar year begins: the month of the winter solstice.
fn eleventh_month(year: i16) -> Option<i64> {
    let last_day = to_julian(Date::new(year, 12, 31).ok()?);
    let number = ((last_day - 2_415_021) as f64 / MONTH).floor();
    let begin = new_moon_day(number);
    Some(if solar_term(begin) >= 9 {
        new_moon_day(number - 1.0)
    } else {
        begin
    })
}

/// Which month after the eleventh is leap: the first in which the sun does not enter a new sign.
fn leap_offset(first: f64) -> i64 {
    let sign = |index: i64| solar_term(new_moon_day(first + index as f64));
    (2..14)
        .find(|index| sign(*index) == sign(index - 1))
        .unwrap_or(14)
        - 1
}

/// The twelfth of the ecliptic in which the sun stands as the day begins: 0 from the spring equinox, 9 from the
/// winter solstice.
fn solar_term(julian_day: i64) -> i64 {
    let moment = julian_day as f64 - 0.5 - ZONE_HOURS / 24.0;
    let t = (moment - 2_451_545.0) / 36_525.0;
    let rad = PI / 180.0;
    let anomaly = (357.529_10 + 35_999.050_30 * t - 0.000_155_9 * t * t - 0.000_000_48 * t * t * t) * rad;
    let mean = 280.466_45 + 36_000.769_83 * t + 0.000_303_2 * t * t;
    let centre = (1.914_600 - 0.004_817 * t - 0.000_014 * t * t) * anomaly.sin()
        + (0.019_993 - 0.000_101 * t) * (2.0 * anomaly).sin()
        + 0.000_290 * (3.0 * anomaly).sin();
    let longitude = ((mean + centre) * rad).rem_euclid(2.0 * PI);
    (longitude / PI * 6.0).floor() as i64
}

/// The Julian day number, in Viet Nam, of the n-th new moon since 1 January 1900.
fn new_moon_day(n: f64) -> i64 {
    (new_moon(n) + 0.5 + ZONE_HOURS / 24.0).floor() as i64
}

/// The moment of the n-th new moon, as a Julian day in universal time.
fn new_moon(n: f64) -> f64 {
    let rad = PI / 180.0;
    let t = n / 1236.85;
    let (t2, t3) = (t * t, t * t * t);
    let mean = 2_415_020.759_33 + 29.530_588_68 * n + 0.000_117_8 * t2 - 0.000_000_155 * t3
        + 0.000_33 * ((166.56 + 132.87 * t - 0.009_173 * t2) * rad).sin();
    // Mean anomalies of sun and moon, and the moon's argument of latitude.
    let sun = (359.2242 + 29.105_356_08 * n - 0.000_033_3 * t2 - 0.000_003_47 * t3) * rad;
    let moon = (306.0253 + 385.816_918_06 * n + 0.010_730_6 * t2 + 0.000_012_36 * t3) * rad;
    let node = (21.2964 + 390.670_506_46 * n - 0.001_652_8 * t2 - 0.000_002_39 * t3) * rad;
    let correction = (0.1734 - 0.000_393 * t) * sun.sin() + 0.0021 * (2.0 * sun).sin() - 0.4068 * moon.sin()
        + 0.0161 * (2.0 * moon).sin()
        - 0.0004 * (3.0 * moon).sin()
        + 0.0104 * (2.0 * node).sin()
        - 0.0051 * (sun + moon).sin()
        - 0.0074 * (sun - moon).sin()
        + 0.0004 * (2.0 * node + sun).sin()
        - 0.0004 * (2.0 * node - sun).sin()
        - 0.0006 * (2.0 * node + moon).sin()
        + 0.0010 * (2.0 * node - moon).sin()
        + 0.0005 * (2.0 * moon + sun).sin();
    // Dynamical time runs ahead of universal time; good from 1700 on.
    let ahead = -0.000_278 + 0.000_265 * t + 0.000_262 * t2;
    mean + correction - ahead
}

fn to_julian(day: Date) -> i64 {
    let days = (day - Date::constant(1970, 1, 1)).get_days();
    i64::from(days) + JULIAN_1970
}

fn from_julian(day: i64) -> Option<Date> {
    let span = jiff::Span::new().try_days(day - JULIAN_1970).ok()?;
    Date::constant(1970, 1, 1).checked_add(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first day of Tết as published for Viet Nam, `(year, month, day)`.
    const TET: [(i16, i8, i8); 51] = [
        (2000, 2, 5),
        (2001, 1, 24),
        (2002, 2, 12),
        (2003, 2, 1),
        (2004, 1, 22),
        (2005, 2, 9),
        (2006, 1, 29),
        (2007, 2, 17),
        (2008, 2, 7),
        (2009, 1, 26),
        (2010, 2, 14),
        (2011, 2, 3),
        (2012, 1, 23),
        (2013, 2, 10),
        (2014, 1, 31),
        (2015, 2, 19),
        (2016, 2, 8),
        (2017, 1, 28),
        (2018, 2, 16),
        (2019, 2, 5),
        (2020, 1, 25),
        (2021, 2, 12),
        (2022, 2, 1),
        (2023, 1, 22),
        (2024, 2, 10),
        (2025, 1, 29),
        (2026, 2, 17),
        (2027, 2, 6),
        (2028, 1, 26),
        (2029, 2, 13),
        (2030, 2, 2),
        (2031, 1, 23),
        (2032, 2, 11),
        (2033, 1, 31),
        (2034, 2, 19),
        (2035, 2, 8),
        (2036, 1, 28),
        (2037, 2, 15),
        (2038, 2, 4),
        (2039, 1, 24),
        (2040, 2, 12),
        (2041, 2, 1),
        (2042, 1, 22),
        (2043, 2, 10),
        (2044, 1, 30),
        (2045, 2, 17),
        (2046, 2, 6),
        (2047, 1, 26),
        (2048, 2, 14),
        (2049, 2, 2),
        (2050, 1, 23),
    ];

    #[test]
    fn tet_falls_on_the_known_days() {
        for (year, month, day) in TET {
            assert_eq!(tet(year), Some(Date::constant(year, month, day)));
        }
        // A month before China's in 1985: the calendars' meridians differ.
        assert_eq!(tet(1985), Some(Date::constant(1985, 1, 21)));
    }

    #[test]
    fn the_hung_kings_day_falls_on_the_known_days() {
        for (year, month, day) in [
            (2018, 4, 25),
            (2019, 4, 14),
            (2020, 4, 2),
            (2021, 4, 21),
            (2022, 4, 10),
            // A leap second month stands before it.
            (2023, 4, 29),
            (2024, 4, 18),
            (2025, 4, 7),
            (2026, 4, 26),
            (2027, 4, 16),
        ] {
            assert_eq!(hung_kings_day(year), Some(Date::constant(year, month, day)));
        }
    }

    #[test]
    fn other_days_of_the_year() {
        // Mid-autumn 2025 comes after a leap sixth month; 23 Chạp is before the next Tết.
        assert_eq!(date_of(2025, 8, 15), Some(Date::constant(2025, 10, 6)));
        assert_eq!(date_of(2025, 12, 27), Some(Date::constant(2026, 2, 14)));
        assert_eq!(date_of(2024, 12, 26), Some(Date::constant(2025, 1, 25)));
    }

    #[test]
    fn outside_its_years_it_says_nothing() {
        assert_eq!(tet(1967), None);
        assert!(tet(1968).is_some() && tet(2199).is_some());
        assert_eq!(tet(2200), None);
        assert_eq!(date_of(2026, 0, 1), None);
        assert_eq!(date_of(2026, 13, 1), None);
        assert_eq!(date_of(2026, 1, 0), None);
        assert_eq!(date_of(2026, 1, 31), None);
    }

    #[test]
    fn months_have_29_or_30_days() {
        for year in YEARS {
            for month in 1..=10 {
                let (Some(this), Some(next)) = (date_of(year, month, 1), date_of(year, month + 1, 1)) else {
                    panic!("{year}-{month}");
                };
                let days = (next - this).get_days();
                // A leap month may stand between two.
                assert!(
                    [29, 30, 58, 59, 60].contains(&days),
                    "{year}-{month} has {days} days"
                );
            }
        }
    }
}
