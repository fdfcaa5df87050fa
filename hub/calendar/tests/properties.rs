//! What holds of every calendar and every moment: due never while nobody works, never earlier for what began
//! later, and working time adds up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use truc_calendar::{Deadlines, WorkCalendar, WorkingTime};
use truc_model::clock::viet_nam;
use truc_model::{LimitKind, Urgency};

static DEADLINES: LazyLock<Deadlines> = LazyLock::new(|| Deadlines::shipped().unwrap());

/// Seconds from 1 January 2025 to 31 December 2027 in Viet Nam, and a little beyond on both sides.
fn moment() -> impl Strategy<Value = Timestamp> {
    let first: Timestamp = "2024-12-20T00:00:00+07:00".parse().unwrap();
    let last: Timestamp = "2028-01-10T00:00:00+07:00".parse().unwrap();
    // Close to the edges of hours as often as anywhere.
    let edge = (
        0i64..1120,
        prop::sample::select(vec![0, 450, 690, 810, 1020, 1439]),
        -2i64..=2,
    )
        .prop_map(move |(day, minute, second)| {
            first + SignedDuration::from_secs(day * 86_400 + minute * 60 + second)
        });
    let any = (first.as_second()..last.as_second()).prop_map(|at| Timestamp::from_second(at).unwrap());
    prop_oneof![edge, any]
}

fn kind() -> impl Strategy<Value = LimitKind> {
    prop::sample::select(vec![LimitKind::Arrival, LimitKind::Acceptance, LimitKind::Answer])
}

fn urgency() -> impl Strategy<Value = Urgency> {
    (0u8..5).prop_map(|number| Urgency::from_number(number).unwrap())
}

/// Working time, or the close of a span of it.
fn may_be_due(calendar: &WorkCalendar, at: Timestamp) -> bool {
    let local = at.to_zoned(viet_nam());
    calendar.is_working_day(local.date()) && calendar.may_be_due_at(local.time())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_due_while_nobody_works(began in moment(), kind in kind(), urgency in urgency()) {
        let deadlines = &*DEADLINES;
        let due = deadlines.due(kind, urgency, began).unwrap();
        prop_assert!(due > began);
        prop_assert!(may_be_due(deadlines.calendar(), due), "{due}");
        let issued = began.to_zoned(viet_nam()).date();
        let sending = deadlines.sending_due(urgency, issued).unwrap();
        prop_assert!(may_be_due(deadlines.calendar(), sending), "{sending}");
    }

    #[test]
    fn what_begins_later_is_not_due_earlier(
        one in moment(), other in moment(), near in 0i64..20_000, kind in kind(), urgency in urgency(),
    ) {
        let deadlines = &*DEADLINES;
        for (one, other) in [(one.min(other), one.max(other)), (one, one + SignedDuration::from_secs(near))] {
            prop_assert!(deadlines.due(kind, urgency, one) <= deadlines.due(kind, urgency, other));
        }
    }

    #[test]
    fn the_more_urgent_is_not_due_later(began in moment(), kind in kind()) {
        let deadlines = &*DEADLINES;
        let due = |number| deadlines.due(kind, Urgency::from_number(number).unwrap(), began).unwrap();
        for number in 1..=3 {
            prop_assert!(due(number + 1) <= due(number));
        }
        // Two working hours from 16:01 on end tomorrow at 08:01, after the one that a normal one has at least.
        if kind != LimitKind::Arrival {
            prop_assert!(due(1) <= due(0));
        }
    }

    #[test]
    fn working_time_adds_up(from in moment(), one in 1u64..200_000, other in 1u64..200_000) {
        let calendar = DEADLINES.calendar();
        let (one, other) = (WorkingTime::from_seconds(one), WorkingTime::from_seconds(other));
        let step = calendar.add_working_time(from, one);
        prop_assert_eq!(
            calendar.add_working_time(step, other),
            calendar.add_working_time(from, one + other)
        );
        prop_assert_eq!(calendar.working_time_between(from, step), one);
        let end = calendar.add_working_time(step, other);
        prop_assert_eq!(calendar.working_time_between(from, end), one + other);
    }

    #[test]
    fn working_time_between_moments_adds_up(a in moment(), b in moment(), c in moment()) {
        let calendar = DEADLINES.calendar();
        let mut three = [a, b, c];
        three.sort();
        let between = |from, to| calendar.working_time_between(from, to);
        prop_assert_eq!(
            between(three[0], three[1]) + between(three[1], three[2]),
            between(three[0], three[2])
        );
    }

    #[test]
    fn work_begins_again_at_working_time_and_not_before(at in moment()) {
        let calendar = DEADLINES.calendar();
        let next = calendar.next_working_time(at);
        prop_assert!(next >= at && calendar.is_working_time(next));
        prop_assert_eq!(calendar.working_time_between(at, next), WorkingTime::ZERO);
        prop_assert_eq!(calendar.is_working_time(at), next == at);
    }

    #[test]
    fn levels_do_not_fall_as_time_passes(began in moment(), steps in prop::collection::vec(0i64..90_000, 1..30)) {
        let deadlines = &*DEADLINES;
        let (mut now, mut level) = (began, 0);
        for step in steps {
            now += SignedDuration::from_secs(step);
            let found = deadlines.standing(LimitKind::Arrival, Urgency::Normal, began, now).unwrap();
            prop_assert!(found.level >= level);
            prop_assert_eq!(found.level > 0, found.due < now);
            level = found.level;
        }
    }
}
