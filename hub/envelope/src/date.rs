//! Dates and times as packets write them. The usual form is `yyyy/MM/dd` and `yyyy/MM/dd HH:mm:ss`;
//! other forms in use are read too, and told apart so that they can be warned of.
//!
//! The position of the four-digit year decides; day and month stand in Vietnamese order. Without a
//! zone it is Viet Nam time (UTC+07:00, no daylight saving; QĐ 28/2018 art. 14(4)); with one, the time
//! is turned into it.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};

/// Viet Nam's offset from UTC.
const VIET_NAM_SECONDS: i64 = 7 * 3600;
/// Longest text worth reading as a date.
const MAX_CHARS: usize = 40;

/// How a date was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The usual one.
    Usual,
    /// Another in use.
    Other,
}

/// No date, or a day that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Impossible;

/// Reads a calendar day. A time of day, where one is written, is dropped.
pub(crate) fn read_date(text: &str) -> Result<(Date, Form), Impossible> {
    let (moment, day_form, time) = read_any(text)?;
    let form = if time == TimePart::Absent {
        day_form
    } else {
        Form::Other
    };
    Ok((moment.date(), form))
}

/// Reads a moment, to the second.
pub(crate) fn read_timestamp(text: &str) -> Result<(DateTime, Form), Impossible> {
    let (moment, day_form, time) = read_any(text)?;
    let form = if time == TimePart::Usual {
        day_form
    } else {
        Form::Other
    };
    Ok((moment, form))
}

/// `yyyy/MM/dd`.
pub(crate) fn write_date(date: Date) -> String {
    format!("{:04}/{:02}/{:02}", date.year(), date.month(), date.day())
}

/// `yyyy/MM/dd HH:mm:ss`.
pub(crate) fn write_timestamp(moment: DateTime) -> String {
    format!(
        "{} {:02}:{:02}:{:02}",
        write_date(moment.date()),
        moment.hour(),
        moment.minute(),
        moment.second()
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimePart {
    Absent,
    Usual,
    Other,
}

fn read_any(text: &str) -> Result<(DateTime, Form, TimePart), Impossible> {
    if text.len() > MAX_CHARS {
        return Err(Impossible);
    }
    let (day, time) = match text.split_once([' ', 'T', 't']) {
        Some((day, time)) => (day, Some((time.trim(), text.as_bytes()[day.len()] == b' '))),
        None => (text, None),
    };
    let (date, form) = read_day(day)?;
    let Some((time, after_space)) = time else {
        return Ok((date.at(0, 0, 0, 0), form, TimePart::Absent));
    };
    let (clock, offset) = split_zone(time)?;
    let (time_of_day, usual) = read_time(clock)?;
    let mut moment = date.to_datetime(time_of_day);
    if let Some(offset) = offset {
        moment = moment
            .checked_add(SignedDuration::from_secs(VIET_NAM_SECONDS - offset))
            .map_err(|_| Impossible)?;
    }
    let part = if usual && after_space && offset.is_none() {
        TimePart::Usual
    } else {
        TimePart::Other
    };
    Ok((moment, form, part))
}

fn read_day(text: &str) -> Result<(Date, Form), Impossible> {
    let separator = text.chars().find(|c| !c.is_ascii_digit()).ok_or(Impossible)?;
    if !matches!(separator, '/' | '-' | '.') {
        return Err(Impossible);
    }
    let mut parts = text.split(separator);
    let (Some(first), Some(month), Some(last), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Impossible);
    };
    let (year, day) = match (first.len(), last.len()) {
        (4, 1 | 2) => (first, last),
        (1 | 2, 4) => (last, first),
        _ => return Err(Impossible),
    };
    let date = Date::new(number(year, 4)?, number(month, 2)?, number(day, 2)?).map_err(|_| Impossible)?;
    let form = if text == write_date(date) {
        Form::Usual
    } else {
        Form::Other
    };
    Ok((date, form))
}

/// Time of day, and whether it is the usual `HH:mm:ss`.
fn read_time(text: &str) -> Result<(Time, bool), Impossible> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    if fraction.is_some_and(|f| f.is_empty() || !f.bytes().all(|b| b.is_ascii_digit())) {
        return Err(Impossible);
    }
    let mut parts = clock.split(':');
    let (Some(hour), Some(minute), second, None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Impossible);
    };
    let time = Time::new(
        number(hour, 2)?,
        number(minute, 2)?,
        number(second.unwrap_or("0"), 2)?,
        0,
    )
    .map_err(|_| Impossible)?;
    Ok((time, fraction.is_none() && clock.len() == 8))
}

/// Splits off `Z`, `+07:00`, `+0700` or `+07`; the offset in seconds.
fn split_zone(text: &str) -> Result<(&str, Option<i64>), Impossible> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Ok((clock, Some(0)));
    }
    let Some(at) = text.find(['+', '-']) else {
        return Ok((text, None));
    };
    let (clock, zone) = text.split_at(at);
    let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
    let (hours, minutes): (i64, i64) = match digits.len() {
        2 => (number(&digits, 2)?, 0),
        4 if digits.is_ascii() => (number(&digits[..2], 2)?, number(&digits[2..], 2)?),
        _ => return Err(Impossible),
    };
    if hours > 14 || minutes > 59 {
        return Err(Impossible);
    }
    let seconds = hours * 3600 + minutes * 60;
    Ok((
        clock,
        Some(if zone.starts_with('-') { -seconds } else { seconds }),
    ))
}

fn number<T: std::str::FromStr>(digits: &str, max_len: usize) -> Result<T, Impossible> {
    if digits.is_empty() || digits.len() > max_len || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Impossible);
    }
    digits.parse().map_err(|_| Impossible)
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, datetime};

    use super::*;

    #[test]
    fn days() {
        for (text, expected) in [
            ("2015/09/30", Ok((date(2015, 9, 30), Form::Usual))),
            ("2015/9/3", Ok((date(2015, 9, 3), Form::Other))),
            ("30/10/2020", Ok((date(2020, 10, 30), Form::Other))),
            ("05-03-2020", Ok((date(2020, 3, 5), Form::Other))),
            ("2020-03-05", Ok((date(2020, 3, 5), Form::Other))),
            ("2020-03-05T23:30:00Z", Ok((date(2020, 3, 6), Form::Other))),
            ("2020/03/05 00:00:00", Ok((date(2020, 3, 5), Form::Other))),
            ("2014/02/30", Err(Impossible)),
            ("13/13/2020", Err(Impossible)),
            ("10/31/2020", Err(Impossible)),
            ("01/02/03", Err(Impossible)),
            ("2020/01-02", Err(Impossible)),
            ("hôm nay", Err(Impossible)),
            ("", Err(Impossible)),
            ("2020/01/02/03", Err(Impossible)),
            ("+020/01/02", Err(Impossible)),
        ] {
            assert_eq!(read_date(text), expected, "{text}");
        }
    }

    #[test]
    fn moments() {
        let noon = datetime(2020, 10, 30, 12, 0, 0, 0);
        for (text, expected) in [
            ("2020/10/30 12:00:00", Ok((noon, Form::Usual))),
            ("30/10/2020 12:00:00", Ok((noon, Form::Other))),
            ("30-10-2020 12:00:00", Ok((noon, Form::Other))),
            ("2020-10-30T12:00:00", Ok((noon, Form::Other))),
            ("2020/10/30T12:00:00", Ok((noon, Form::Other))),
            ("2020-10-30T05:00:00Z", Ok((noon, Form::Other))),
            ("2020-10-30T12:00:00.250+07:00", Ok((noon, Form::Other))),
            ("2020-10-30T00:00:00-0500", Ok((noon, Form::Other))),
            ("2020/10/30 12:00", Ok((noon, Form::Other))),
            (
                "2020/10/30",
                Ok((datetime(2020, 10, 30, 0, 0, 0, 0), Form::Other)),
            ),
            ("2020/10/30 25:00:00", Err(Impossible)),
            ("2020/10/30 12:00:00+99:00", Err(Impossible)),
            ("2020/10/30 12", Err(Impossible)),
        ] {
            assert_eq!(read_timestamp(text), expected, "{text}");
        }
    }

    #[test]
    fn a_text_longer_than_a_date_is_none() {
        let padded = |length: usize| format!("2020/10/30 12:00:00.{}", "0".repeat(length - 20));
        assert!(read_timestamp(&padded(MAX_CHARS)).is_ok());
        assert_eq!(read_timestamp(&padded(MAX_CHARS + 1)), Err(Impossible));
    }

    #[test]
    fn what_is_written_reads_back_as_usual() {
        let moment = datetime(2026, 1, 2, 3, 4, 5, 0);
        assert_eq!(
            read_timestamp(&write_timestamp(moment)),
            Ok((moment, Form::Usual))
        );
        assert_eq!(
            read_date(&write_date(moment.date())),
            Ok((moment.date(), Form::Usual))
        );
    }
}
