//! Cases reckoned by hand, with the reckoning beside them.

use jiff::SignedDuration;
use truc_model::clock::viet_nam;
use truc_model::{LimitKind, Urgency};

use crate::{Story, at};

/// A case reckoned by hand: what happened, and what is late of it at [`NOW`]: limit, due, minutes of working time.
pub(crate) struct Case {
    pub(crate) story: Story,
    pub(crate) late: &'static [(LimitKind, &'static str, u64)],
}

/// Working hours 07:30–11:30, 13:30–17:00; nobody works from Saturday 14 to Sunday 22 February. From the close on
/// Friday 13 to 10:00 on Tuesday 24: Monday's 450 minutes and 150.
pub(crate) fn cases() -> Vec<Case> {
    use LimitKind::{Acceptance, Answer, Arrival};
    let case = |id: &str, urgency, taken, statuses: &[(&str, &'static str)], late| {
        let taken: Option<&str> = taken;
        let comes = taken.map_or_else(|| at("2026-02-10 08:00"), at) - SignedDuration::from_mins(5);
        Case {
            story: Story {
                id: format!("H{id}"),
                sender: 1,
                recipient: 2,
                urgency,
                issued: comes.to_zoned(viet_nam()).date(),
                comes,
                taken: taken.map(at),
                statuses: statuses.iter().map(|(when, code)| (at(when), *code)).collect(),
            },
            late,
        }
    };
    let normal = Urgency::Normal;
    vec![
        // Friday morning, nothing reported: 01 that day at 17:00, so Monday's 450 and Tuesday's 150; 02 or 03 on the
        // next working day, which is Monday: 150.
        case(
            "01",
            normal,
            Some("2026-02-13 09:00"),
            &[],
            &[
                (Arrival, "13/02/2026 17:00", 600),
                (Acceptance, "23/02/2026 17:00", 150),
            ],
        ),
        // Five minutes before the holidays: 5 of its 60 minutes on Friday, 55 on Monday: 08:25. Monday's 450 - 55, and 150.
        case(
            "02",
            normal,
            Some("2026-02-13 16:55"),
            &[],
            &[
                (Arrival, "23/02/2026 08:25", 545),
                (Acceptance, "23/02/2026 17:00", 150),
            ],
        ),
        // A Saturday, the first day off: delivered on Monday. Acceptance until Tuesday at 17:00: not late.
        case(
            "03",
            normal,
            Some("2026-02-14 10:00"),
            &[],
            &[(Arrival, "23/02/2026 17:00", 150)],
        ),
        // The first night of the year: the same.
        case(
            "04",
            normal,
            Some("2026-02-17 00:30"),
            &[],
            &[(Arrival, "23/02/2026 17:00", 150)],
        ),
        // Urgent, Friday 16:00: one hour on Friday, one on Monday, 08:30: 180 of Monday's morning, 210, and 150. Acceptance
        // four hours: three on Monday, 10:30: 60, 210, 150.
        case(
            "05",
            Urgency::Urgent,
            Some("2026-02-13 16:00"),
            &[],
            &[
                (Arrival, "23/02/2026 08:30", 540),
                (Acceptance, "23/02/2026 10:30", 420),
            ],
        ),
        // Reported in time, but never accepted: due on Friday at 17:00.
        case(
            "06",
            normal,
            Some("2026-02-12 15:00"),
            &[("2026-02-12 16:00", "01")],
            &[(Acceptance, "13/02/2026 17:00", 600)],
        ),
        // 01 came half an hour late, 03 in time: nothing is open.
        case(
            "07",
            normal,
            Some("2026-02-12 15:00"),
            &[("2026-02-13 08:00", "01"), ("2026-02-13 09:00", "03")],
            &[],
        ),
        // Taken back on Friday at 10:15: one working day, Monday 10:15: 75, 210, and 150.
        case(
            "08",
            normal,
            Some("2026-02-10 09:00"),
            &[
                ("2026-02-10 09:30", "01"),
                ("2026-02-10 10:00", "03"),
                ("2026-02-13 10:15", "13"),
            ],
            &[(Answer, "23/02/2026 10:15", 435)],
        ),
        // Taken back on a day off, never accepted: only the answer counts, from Monday 07:30 to Tuesday 07:30.
        case(
            "09",
            normal,
            Some("2026-02-09 09:00"),
            &[("2026-02-21 20:00", "13")],
            &[(Answer, "24/02/2026 07:30", 150)],
        ),
        // Express, Monday 16:30: half an hour, and an hour and a half on Tuesday, 09:00; both limits have two hours.
        case(
            "10",
            Urgency::Express,
            Some("2026-02-23 16:30"),
            &[],
            &[
                (Arrival, "24/02/2026 09:00", 60),
                (Acceptance, "24/02/2026 09:00", 60),
            ],
        ),
        // Monday after work: delivered on Tuesday, nothing due before 17:00.
        case("11", normal, Some("2026-02-23 17:30"), &[], &[]),
        // Never taken: another alert's business.
        case("12", normal, None, &[], &[]),
        // Refused by the clerk, two days late, but done.
        case(
            "13",
            normal,
            Some("2026-02-09 08:00"),
            &[("2026-02-09 09:00", "01"), ("2026-02-12 09:00", "02")],
            &[],
        ),
        // Taken back and given back: nothing is open, whatever it had missed before.
        case(
            "14",
            normal,
            Some("2026-02-10 08:00"),
            &[("2026-02-12 08:00", "13"), ("2026-02-12 09:00", "15")],
            &[],
        ),
        // Taken back, refused at 16:00 on Thursday: to be reported and accepted from then on: the same day at 17:00,
        // an hour later, and Friday at 17:00. Friday's 450, Monday's 450 and 150; then 600.
        case(
            "15",
            normal,
            Some("2026-02-10 08:00"),
            &[("2026-02-12 08:00", "13"), ("2026-02-12 16:00", "16")],
            &[
                (Arrival, "12/02/2026 17:00", 1050),
                (Acceptance, "13/02/2026 17:00", 600),
            ],
        ),
    ]
}

/// Name, issued, received, and when late: due and minutes late.
pub(crate) type Sending = (
    &'static str,
    &'static str,
    &'static str,
    Option<(&'static str, u64)>,
);

/// Documents that were sent late or just not.
pub(crate) const SENT: [Sending; 4] = [
    // The last morning on which it is in time is the first after Tết.
    ("S1", "2026-02-13", "2026-02-23 11:30", None),
    // Half an hour into Monday afternoon.
    (
        "S2",
        "2026-02-13",
        "2026-02-23 14:00",
        Some(("23/02/2026 11:30", 30)),
    ),
    // Signed on a day off: Monday morning too. Monday afternoon's 210 and 90.
    (
        "S3",
        "2026-02-14",
        "2026-02-24 09:00",
        Some(("23/02/2026 11:30", 300)),
    ),
    // The next morning, before Tết.
    ("S4", "2026-02-11", "2026-02-12 08:00", None),
];

pub(crate) fn sent() -> Vec<Story> {
    let story = |(id, issued, comes, _): &(&str, &str, &str, _)| Story {
        id: (*id).to_owned(),
        sender: 3,
        recipient: 4,
        urgency: Urgency::Normal,
        issued: issued.parse().unwrap(),
        comes: at(comes),
        taken: None,
        statuses: vec![],
    };
    SENT.iter().map(story).collect()
}
