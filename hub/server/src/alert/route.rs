//! Who is told what, and when: the rules of the configuration, the time to gather, the quiet hours.

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use truc_ledger::alert::{AlertRow, Route, Routed};
use truc_model::clock::viet_nam;
use truc_model::{AlertChange, AlertKind, Severity, SystemId};

use crate::config::alert::{Alert, Channel, Rule};

/// What decides where a change of an alert goes.
#[derive(Debug, Clone, Copy)]
pub struct Matter<'a> {
    /// Its kind.
    pub kind: AlertKind,
    /// Its subject.
    pub subject: &'a str,
    /// How severe.
    pub severity: Severity,
    /// The system concerned.
    pub system: Option<&'a SystemId>,
    /// Codes of the agencies concerned.
    pub agencies: &'a [String],
}

/// The channels that an alert goes to, in the order of the configuration.
pub fn channels<'a>(alert: &'a Alert, matter: Matter<'_>) -> Vec<&'a Channel> {
    let told = |name: &str| {
        alert.rules.is_empty()
            || alert
                .rules
                .iter()
                .any(|rule| rule.channels.iter().any(|channel| channel == name) && holds(rule, matter))
    };
    alert
        .channels
        .iter()
        .filter(|channel| told(channel.name()) && !is_about_itself(channel, matter))
        .collect()
}

/// A channel that fails is told of by the others: it would not take it.
fn is_about_itself(channel: &Channel, matter: Matter<'_>) -> bool {
    matter.kind == AlertKind::ChannelFailing && matter.subject == channel.name()
}

fn holds(rule: &Rule, matter: Matter<'_>) -> bool {
    let systems =
        rule.systems.is_empty() || matter.system.is_some_and(|system| rule.systems.contains(system));
    let agencies = rule.agencies.is_empty()
        || matter
            .agencies
            .iter()
            .any(|code| rule.agencies.iter().any(|above| is_below(code, above)));
    (rule.kinds.is_empty() || rule.kinds.contains(&matter.kind))
        && rule.severity <= matter.severity
        && systems
        && agencies
}

/// Whether a code is another's or below it: codes are read from the right, and leading groups of zeros mean
/// "as a whole" (`000.00.15.H60` is the department, `000.07.15.H60` an office of it).
fn is_below(code: &str, above: &str) -> bool {
    let is_zero = |group: &str| group.bytes().all(|byte| byte == b'0');
    let mut above: Vec<&str> = above.trim().split('.').collect();
    while above.len() > 1 && above.first().is_some_and(|group| is_zero(group)) {
        above.remove(0);
    }
    let code: Vec<&str> = code.trim().split('.').collect();
    code.len() >= above.len()
        && code[code.len() - above.len()..]
            .iter()
            .zip(&above)
            .all(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// Where the present change of an alert goes, and not before when. `None` when there is nothing to tell.
#[must_use]
pub fn route(alert: &Alert, row: &AlertRow, now: Timestamp) -> Option<Routed> {
    let change = row.untold()?;
    let matter = Matter {
        kind: row.kind,
        subject: &row.subject,
        severity: row.severity,
        system: row.system.as_ref(),
        agencies: &row.agencies,
    };
    // The end of something that happened is told to nobody: it ended when it began.
    let silent = change == AlertChange::Cleared && row.kind.span() == truc_model::alert::Span::Happening;
    let routes = match silent {
        true => Vec::new(),
        false => channels(alert, matter)
            .into_iter()
            .map(|channel| Route {
                channel: channel.name().to_owned(),
                not_before: not_before(alert, channel, row.severity, now),
            })
            .collect(),
    };
    Some(Routed {
        alert: row.alert,
        change,
        severity: row.severity,
        routes,
    })
}

/// The time to gather, or the end of the quiet hours.
fn not_before(alert: &Alert, channel: &Channel, severity: Severity, now: Timestamp) -> Timestamp {
    let gathered = i64::try_from(alert.group_s)
        .ok()
        .and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok())
        .unwrap_or(now);
    if !channel.quiet() || severity >= alert.quiet_passes {
        return gathered;
    }
    quiet_end(alert, gathered).unwrap_or(gathered)
}

/// The end of the quiet hours that `at` lies in.
fn quiet_end(alert: &Alert, at: Timestamp) -> Option<Timestamp> {
    let (from, until) = (alert.quiet_from, alert.quiet_until);
    let local = at.to_zoned(viet_nam()).datetime();
    let (time, day) = (local.time(), local.date());
    let end = if from == until {
        return None;
    } else if from < until {
        (from <= time && time < until).then_some(day)?
    } else if time >= from {
        day.checked_add(1.day()).ok()?
    } else if time < until {
        day
    } else {
        return None;
    };
    Some(end.to_datetime(until).to_zoned(viet_nam()).ok()?.timestamp())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::Config;

    /// The sample configuration.
    pub(in crate::alert) fn sample() -> Alert {
        let text = include_str!("../../../../config/samples/alert.toml");
        let mut merged: toml::Table = crate::config::DEFAULT.parse().unwrap();
        crate::config::lay_over(&mut merged, text.parse().unwrap());
        let config: Config = merged.try_into().unwrap();
        config.alert
    }

    fn names(alert: &Alert, kind: AlertKind, severity: Severity, agencies: &[&str]) -> Vec<String> {
        let agencies: Vec<String> = agencies.iter().map(|&code| code.to_owned()).collect();
        let matter = Matter {
            kind,
            subject: agencies.first().map_or("", String::as_str),
            severity,
            system: None,
            agencies: &agencies,
        };
        channels(alert, matter)
            .iter()
            .map(|c| c.name().to_owned())
            .collect()
    }

    #[test]
    fn rules_add_up() {
        use AlertKind::{BrokerAway, ChannelFailing, NotTaken, PdfUnchecked};
        let alert = sample();
        let (room, mail) = ("phong-truc", "thu-truc-ban");
        assert_eq!(names(&alert, BrokerAway, Severity::Critical, &[]), [room, mail]);
        assert_eq!(names(&alert, NotTaken, Severity::Warning, &[]), [room]);
        assert_eq!(
            names(&alert, NotTaken, Severity::Warning, &["000.07.15.H60"]),
            [room, mail]
        );
        assert_eq!(
            names(&alert, NotTaken, Severity::Warning, &["000.00.16.H60"]),
            [room]
        );
        assert!(names(&alert, PdfUnchecked, Severity::Info, &[]).is_empty());
        let mut open = alert.clone();
        open.rules.clear();
        assert_eq!(names(&open, PdfUnchecked, Severity::Info, &[]), [room, mail]);
        assert_eq!(names(&open, ChannelFailing, Severity::Warning, &[room]), [mail]);
    }

    #[test]
    fn an_agency_has_others_below_it() {
        for (code, above, holds) in [
            ("000.00.15.H60", "000.00.15.H60", true),
            ("000.07.15.H60", "000.00.15.H60", true),
            ("001.07.15.H60", "000.07.15.H60", true),
            ("000.08.15.H60", "000.07.15.H60", false),
            ("000.00.16.H60", "000.00.15.H60", false),
            ("000.00.15.h60", "15.H60", true),
            ("H60", "000.00.15.H60", false),
            ("000.00.15.H60", "H60", true),
            ("000.00.15.H60", "000.00.00.H60", true),
        ] {
            assert_eq!(is_below(code, above), holds, "{code} below {above}");
        }
    }

    fn viet_nam_time(text: &str) -> Timestamp {
        let local: jiff::civil::DateTime = text.parse().unwrap();
        local.to_zoned(viet_nam()).unwrap().timestamp()
    }

    #[test]
    fn the_quiet_hours_end_in_the_morning() {
        let mut alert = sample();
        alert.group_s = 30;
        let channel = alert.channels[0].clone();
        for (now, severity, expected) in [
            ("2026-11-23T14:00:00", Severity::Warning, "2026-11-23T14:00:30"),
            ("2026-11-23T20:59:29", Severity::Warning, "2026-11-23T20:59:59"),
            ("2026-11-23T20:59:30", Severity::Warning, "2026-11-24T06:30:00"),
            ("2026-11-23T23:59:50", Severity::Warning, "2026-11-24T06:30:00"),
            ("2026-11-24T06:29:29", Severity::Warning, "2026-11-24T06:30:00"),
            ("2026-11-24T06:29:30", Severity::Warning, "2026-11-24T06:30:00"),
            ("2026-11-24T06:30:00", Severity::Warning, "2026-11-24T06:30:30"),
            ("2026-11-23T23:00:00", Severity::Critical, "2026-11-23T23:00:30"),
        ] {
            let at = not_before(&alert, &channel, severity, viet_nam_time(now));
            assert_eq!(at, viet_nam_time(expected), "{now} {severity}");
        }
        // By day: from the morning until the evening.
        (alert.quiet_from, alert.quiet_until) = (alert.quiet_until, alert.quiet_from);
        let noon = viet_nam_time("2026-11-23T12:00:00");
        assert_eq!(
            not_before(&alert, &channel, Severity::Info, noon),
            viet_nam_time("2026-11-23T21:00:00")
        );
        alert.quiet_from = alert.quiet_until;
        assert_eq!(
            not_before(&alert, &channel, Severity::Info, noon),
            viet_nam_time("2026-11-23T12:00:30")
        );
    }
}
