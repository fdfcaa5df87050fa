//! When things are due: a table of cases reckoned by hand, around weekends, Tết, swapped days, the edges of
//! working hours and every urgency. Working hours are 07:30–11:30 and 13:30–17:00, seven and a half hours a day.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use truc_calendar::{Deadlines, WorkingTime};
use truc_model::clock::viet_nam;
use truc_model::{LimitKind, Turn, Urgency};

use LimitKind::{Acceptance, Answer, Arrival};
use Urgency::{Express, ExpressTimed, Normal, Urgent, VeryUrgent};

fn deadlines() -> Deadlines {
    Deadlines::shipped().unwrap()
}

/// `2026-02-13 16:55` in Viet Nam time.
fn at(text: &str) -> Timestamp {
    let local: DateTime = text.replace(' ', "T").parse().unwrap();
    viet_nam().to_timestamp(local).unwrap()
}

fn shown(at: Timestamp) -> String {
    at.to_zoned(viet_nam()).strftime("%Y-%m-%d %H:%M").to_string()
}

#[test]
fn steps_are_due_when_reckoned_by_hand() {
    let cases: &[(LimitKind, Urgency, &str, &str)] = &[
        // Arrival, normal: by 17:00 of the day of delivery, and never within its last working hour.
        (Arrival, Normal, "2026-03-03 07:30", "2026-03-03 17:00"),
        (Arrival, Normal, "2026-03-03 09:12", "2026-03-03 17:00"),
        (Arrival, Normal, "2026-03-03 05:00", "2026-03-03 17:00"), // before work: this day's
        (Arrival, Normal, "2026-03-03 12:00", "2026-03-03 17:00"), // over lunch
        (Arrival, Normal, "2026-03-03 16:00", "2026-03-03 17:00"), // one hour left exactly
        (Arrival, Normal, "2026-03-03 16:01", "2026-03-04 07:31"), // 59 min today, one tomorrow
        (Arrival, Normal, "2026-03-03 16:55", "2026-03-04 08:25"), // 5 min today, 55 tomorrow
        (Arrival, Normal, "2026-03-03 16:59", "2026-03-04 08:29"),
        (Arrival, Normal, "2026-03-03 17:00", "2026-03-04 17:00"), // closed: delivered the next day
        (Arrival, Normal, "2026-03-03 23:59", "2026-03-04 17:00"),
        (Arrival, Normal, "2026-03-06 16:55", "2026-03-09 08:25"), // Friday: the rest on Monday
        (Arrival, Normal, "2026-03-06 17:30", "2026-03-09 17:00"), // Friday after work
        (Arrival, Normal, "2026-03-07 10:00", "2026-03-09 17:00"), // Saturday
        (Arrival, Normal, "2026-03-08 23:00", "2026-03-09 17:00"), // Sunday
        // Around Tết 2026 (off from 14 to 22 February).
        (Arrival, Normal, "2026-02-13 16:55", "2026-02-23 08:25"), // the last day before
        (Arrival, Normal, "2026-02-13 17:00", "2026-02-23 17:00"),
        (Arrival, Normal, "2026-02-17 00:00", "2026-02-23 17:00"), // the first day of Tết
        (Arrival, Normal, "2026-02-22 20:00", "2026-02-23 17:00"),
        // Tết 2025 (25 January to 2 February) and 2027 (4 to 10 February, a Thursday to a Wednesday).
        (Arrival, Normal, "2025-01-24 17:00", "2025-02-03 17:00"),
        (Arrival, Normal, "2027-02-03 16:30", "2027-02-11 08:00"),
        // A swapped Saturday is a working day; the day it was swapped for is not.
        (Arrival, Normal, "2026-01-10 08:00", "2026-01-10 17:00"),
        (Arrival, Normal, "2026-01-02 08:00", "2026-01-05 17:00"),
        (Arrival, Normal, "2025-04-25 17:30", "2025-04-26 17:00"), // the Saturday before 30 April 2025
        (Arrival, Normal, "2025-04-29 17:30", "2025-05-05 17:00"), // 30/4, 1/5, swapped 2/5, weekend
        (Arrival, Normal, "2026-08-21 17:10", "2026-08-22 17:00"),
        (Arrival, Normal, "2026-08-28 17:10", "2026-09-03 17:00"), // weekend, swapped 31/8, 1/9, 2/9
        // Single holidays.
        (Arrival, Normal, "2026-04-25 09:00", "2026-04-28 17:00"), // Kings' day on Sunday, Monday in lieu
        (Arrival, Normal, "2026-11-24 09:00", "2026-11-25 17:00"), // Culture Day, a Tuesday
        (Arrival, Normal, "2025-11-24 09:00", "2025-11-24 17:00"), // not yet a holiday in 2025
        (Arrival, Normal, "2027-04-30 09:00", "2027-05-04 17:00"), // 30/4, 1/5 Saturday, 3/5 in lieu
        // Arrival, urgent: two working hours.
        (Arrival, Urgent, "2026-03-03 08:00", "2026-03-03 10:00"),
        (Arrival, Urgent, "2026-03-03 09:30", "2026-03-03 11:30"), // ends as the morning ends
        (Arrival, Urgent, "2026-03-03 09:31", "2026-03-03 13:31"), // over lunch
        (Arrival, VeryUrgent, "2026-03-03 12:00", "2026-03-03 15:30"),
        (Arrival, Express, "2026-03-03 15:00", "2026-03-03 17:00"), // ends as the day ends
        (Arrival, ExpressTimed, "2026-03-03 15:01", "2026-03-04 07:31"),
        (Arrival, Urgent, "2026-03-06 16:30", "2026-03-09 09:00"), // half an hour on Friday
        (Arrival, Urgent, "2026-02-13 16:00", "2026-02-23 08:30"), // across Tết
        // Acceptance, normal: by the end of the next working day.
        (Acceptance, Normal, "2026-03-03 09:00", "2026-03-04 17:00"),
        (Acceptance, Normal, "2026-03-03 16:59", "2026-03-04 17:00"),
        (Acceptance, Normal, "2026-03-03 17:00", "2026-03-05 17:00"), // delivered on the 4th
        (Acceptance, Normal, "2026-03-06 09:00", "2026-03-09 17:00"), // Friday: Monday
        (Acceptance, Normal, "2026-03-07 09:00", "2026-03-10 17:00"), // Saturday counts as Monday
        (Acceptance, Normal, "2026-02-13 09:00", "2026-02-23 17:00"), // across Tết
        (Acceptance, Normal, "2026-02-18 09:00", "2026-02-24 17:00"),
        (Acceptance, Normal, "2026-01-09 09:00", "2026-01-10 17:00"), // the next day is a worked Saturday
        (Acceptance, Normal, "2026-11-23 09:00", "2026-11-25 17:00"), // over the Culture Day
        // Acceptance of urgent ones: four working hours, express two.
        (Acceptance, Urgent, "2026-03-03 09:00", "2026-03-03 15:00"), // 2:30, lunch, 1:30
        (Acceptance, VeryUrgent, "2026-03-03 16:00", "2026-03-04 10:30"),
        (Acceptance, Express, "2026-03-03 09:00", "2026-03-03 11:00"),
        (Acceptance, ExpressTimed, "2026-03-06 16:00", "2026-03-09 08:30"),
        // The answer to a recall: one working day.
        (Answer, Normal, "2026-03-03 10:15", "2026-03-04 10:15"),
        (Answer, Normal, "2026-03-03 12:10", "2026-03-04 13:30"), // counted from the afternoon's beginning
        (Answer, Normal, "2026-03-06 16:00", "2026-03-09 16:00"),
        (Answer, Normal, "2026-03-07 16:00", "2026-03-10 07:30"), // Saturday counts as Monday's opening
        (Answer, Normal, "2026-02-13 08:00", "2026-02-23 08:00"),
        (Answer, Urgent, "2026-03-03 13:30", "2026-03-04 08:00"), // 3:30 today, 30 min tomorrow
    ];
    assert!(cases.len() >= 40);
    let deadlines = deadlines();
    for (kind, urgency, began, due) in cases {
        let found = deadlines.due(*kind, *urgency, at(began)).unwrap();
        assert_eq!(shown(found), *due, "{kind:?} {urgency:?} from {began}");
    }
}

#[test]
fn sending_is_due_by_the_date_of_issue() {
    let cases: &[(Urgency, &str, &str)] = &[
        (Normal, "2026-03-03", "2026-03-04 11:30"),
        (Normal, "2026-03-06", "2026-03-09 11:30"), // Friday: Monday morning
        (Normal, "2026-03-07", "2026-03-09 11:30"), // signed on Saturday: Monday morning, too
        (Normal, "2026-02-13", "2026-02-23 11:30"), // the last day before Tết
        (Normal, "2026-02-17", "2026-02-23 11:30"),
        (Normal, "2026-01-09", "2026-01-10 11:30"), // a worked Saturday
        (Normal, "2026-11-23", "2026-11-25 11:30"),
        (Urgent, "2026-03-03", "2026-03-03 17:00"),
        (VeryUrgent, "2026-03-03", "2026-03-03 17:00"),
        (Express, "2026-03-07", "2026-03-09 17:00"),
        (ExpressTimed, "2026-02-17", "2026-02-23 17:00"),
    ];
    let deadlines = deadlines();
    for (urgency, issued, due) in cases {
        let issued: Date = issued.parse().unwrap();
        let found = deadlines.sending_due(*urgency, issued).unwrap();
        assert_eq!(shown(found), *due, "{urgency:?} of {issued}");
    }
}

#[test]
fn what_is_late_rises_through_its_levels() {
    let deadlines = deadlines();
    // Taken on Thursday, 12 February 2026; due the same day at 17:00; Tết lies between the levels.
    let began = at("2026-02-12 09:00");
    for (now, level, turn, late_min) in [
        ("2026-02-12 16:59", 0, Turn::RecipientClerk, 0),
        ("2026-02-12 17:00", 0, Turn::RecipientClerk, 0), // due is not late
        ("2026-02-12 17:01", 1, Turn::RecipientClerk, 0), // late, though nobody has worked since
        ("2026-02-13 08:30", 1, Turn::RecipientClerk, 60),
        ("2026-02-13 17:00", 1, Turn::RecipientClerk, 450),
        ("2026-02-18 12:00", 2, Turn::RecipientIt, 450), // a working day after: nobody works in Tết
        ("2026-02-23 17:00", 2, Turn::RecipientIt, 900),
        ("2026-02-23 17:01", 3, Turn::ProvinceIt, 900),
        ("2026-03-31 09:00", 3, Turn::ProvinceIt, 900 + 25 * 450 + 90),
    ] {
        let found = deadlines.standing(Arrival, Normal, began, at(now)).unwrap();
        assert_eq!(
            (found.level, found.turn, found.late_by),
            (level, turn, WorkingTime::from_minutes(late_min)),
            "{now}"
        );
    }
}

#[test]
fn one_moment_parts_the_late_from_the_rest() {
    let deadlines = deadlines();
    let kinds = [Arrival, Acceptance, Answer];
    for now in [
        "2026-02-12 17:01",
        "2026-02-18 12:00",
        "2026-02-23 10:00",
        "2026-03-03 13:30",
    ] {
        let now = at(now);
        for kind in kinds {
            for urgency in [Normal, Urgent, Express] {
                for level in 1..=deadlines.levels(kind) {
                    let before = deadlines.began_before(kind, urgency, level, now).unwrap();
                    let reached = |began| deadlines.standing(kind, urgency, began, now).unwrap().level;
                    assert!(reached(before) >= level, "{kind:?} {urgency:?} {level}");
                    let after = Timestamp::from_microsecond(before.as_microsecond() + 1).unwrap();
                    assert!(reached(after) < level, "{kind:?} {urgency:?} {level}");
                }
            }
        }
    }
    let now = at("2026-03-03 13:30");
    assert_eq!(deadlines.began_before(Arrival, Normal, 0, now), None);
    assert_eq!(deadlines.began_before(Arrival, Normal, 4, now), None);
}

#[test]
fn limits_that_fall_due_while_nobody_works_are_refused() {
    let limits = truc_calendar::TIME_LIMITS.replace("\"11:30\"", "\"12:00\"");
    let error = Deadlines::parse(truc_calendar::CALENDAR, &limits).unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(
        source.to_string(),
        "sending: 12:00:00 is not within working hours"
    );
}
