//! `truc system certificates`: every certificate that is or was bound to a system, and how it stands.
//!
//! How one stands is what the hub would say of a seal made with it now. A certificate that is unbound
//! before it ends is not told as ending: it was replaced in time.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;
use truc_directory::{CertificateRow, Validity};
use truc_envelope::seal::{BoundCertificate, CertificateError, Trust};
use truc_model::clock::viet_nam;
use truc_model::{RefusalCode, SystemId};

use super::super::Context;
use super::super::answer::{Answer, Exit, Trouble};
use super::super::show::{NONE, Table, day, number};
use super::super::words::Opened;
use super::CertificatesOptions;
use crate::telemetry::chain;
use crate::trust;

/// Characters of a thumbprint that people are shown; `--json` has all.
const THUMBPRINT_SHOWN: usize = 12;

const DAY_S: i64 = 24 * 60 * 60;

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Seals by it pass, and will for longer than was asked.
    Ok,
    /// Seals by it pass; it ends in so many whole days.
    Ending(i64),
    /// It has ended.
    Expired,
    /// It begins later.
    NotYetValid,
    /// It, or one above it, is on a revocation list.
    Revoked,
    /// It leads to no anchor of this hub, or a list that is asked for is missing or stale.
    Untrusted,
    /// Its usages or its key are not for sealing.
    Unusable(RefusalCode),
    /// It is no longer bound.
    Unbound,
    /// Its PEM does not read.
    Unreadable,
    /// Anchors and lists do not read, so all that is known are its dates.
    Unknown,
}

impl Standing {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Ending(_) => "ending",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Revoked => "revoked",
            Self::Untrusted => "not-trusted",
            Self::Unusable(_) => "unusable",
            Self::Unbound => "unbound",
            Self::Unreadable => "unreadable",
            Self::Unknown => "unknown",
        }
    }

    fn label_vi(self) -> String {
        match self {
            Self::Ok => "tốt".to_owned(),
            Self::Ending(0) => "HẾT HẠN trong ngày".to_owned(),
            Self::Ending(days) => format!("hết hạn sau {days} ngày"),
            Self::Expired => "ĐÃ HẾT HẠN".to_owned(),
            Self::NotYetValid => "chưa có hiệu lực".to_owned(),
            Self::Revoked => "ĐÃ BỊ THU HỒI".to_owned(),
            Self::Untrusted => "KHÔNG ĐƯỢC TIN CẬY".to_owned(),
            Self::Unusable(code) => format!("KHÔNG DÙNG ĐƯỢC ({code})"),
            Self::Unbound => "thôi gắn".to_owned(),
            Self::Unreadable => "KHÔNG ĐỌC ĐƯỢC".to_owned(),
            Self::Unknown => "không rõ".to_owned(),
        }
    }

    /// Whether someone must do something.
    const fn is_finding(self) -> bool {
        !matches!(self, Self::Ok | Self::NotYetValid | Self::Unbound)
    }
}

/// One certificate of one system.
struct Line<'a> {
    system: &'a SystemId,
    row: &'a CertificateRow,
    read: Result<BoundCertificate, CertificateError>,
    standing: Standing,
}

/// What a certificate is held against.
struct Measure<'a> {
    trust: Option<&'a Trust>,
    now: Timestamp,
    today: Date,
    days: i64,
}

/// Lists the certificates.
///
/// # Errors
/// [`Trouble`] when there is no configuration.
pub(super) fn list(
    context: &Context,
    opened: &Opened,
    options: &CertificatesOptions,
) -> Result<Answer, Trouble> {
    let now = context.clock.now();
    let loaded = trust::load(&context.config()?.seal);
    let measure = Measure {
        trust: loaded.as_ref().ok().map(|loaded| &loaded.trust),
        now,
        today: opened.today,
        days: options.days.into(),
    };
    let mut lines: Vec<Line<'_>> = opened
        .directory
        .systems()
        .flat_map(|system| system.certificates.iter().map(|row| (&system.id, row)))
        .map(|(system, row)| {
            let read = BoundCertificate::from_pem(&row.pem);
            let standing = measure.standing(row.valid, &read);
            Line {
                system,
                row,
                read,
                standing,
            }
        })
        .collect();
    lines.sort_by_key(|line| {
        let end = line
            .read
            .as_ref()
            .map_or(Timestamp::MIN, BoundCertificate::not_after);
        (line.standing == Standing::Unbound, end, line.system.clone())
    });

    let findings = lines.iter().filter(|line| line.standing.is_finding()).count();
    let mut text = if lines.is_empty() {
        "Chưa có chứng thư nào được gắn với hệ thống.\n→ truc system add ID --certificate PEM".to_owned()
    } else {
        page(&lines, now, findings)
    };
    let why = loaded.as_ref().err().map(|error| chain(error));
    if let Some(why) = &why {
        text.push_str(&format!(
            "\n\nKhông xem được thu hồi và tin cậy: {why}\n→ sửa seal.anchors và seal.crls trong cấu hình"
        ));
    }
    Answer::ending(
        Exit::unless_finding(findings == 0 && why.is_none()),
        text,
        &json!({
            "at": now,
            "days": options.days,
            "findings": findings,
            "trust_unknown": why,
            "certificates": lines.iter().map(|line| line.json(now)).collect::<Vec<_>>(),
        }),
    )
}

impl Measure<'_> {
    fn standing(&self, bound: Validity, read: &Result<BoundCertificate, CertificateError>) -> Standing {
        if bound.to.is_some_and(|to| to <= self.today) {
            return Standing::Unbound;
        }
        let Ok(certificate) = read else {
            return Standing::Unreadable;
        };
        let refused = self
            .trust
            .and_then(|trust| trust.check(certificate, self.now, self.now).err());
        if let Some(refusal) = refused {
            return match refusal.code {
                RefusalCode::CertificateExpired => Standing::Expired,
                RefusalCode::CertificateNotYetValid => Standing::NotYetValid,
                RefusalCode::CertificateRevoked => Standing::Revoked,
                RefusalCode::CertificateUntrusted => Standing::Untrusted,
                other => Standing::Unusable(other),
            };
        }
        let end = certificate.not_after();
        if end < self.now {
            return Standing::Expired;
        }
        let unbound_before = bound.to.is_some_and(|to| to <= end.to_zoned(viet_nam()).date());
        match self.trust {
            _ if seconds_left(end, self.now) <= self.days * DAY_S && !unbound_before => {
                Standing::Ending(days_left(end, self.now))
            }
            Some(_) => Standing::Ok,
            None => Standing::Unknown,
        }
    }
}

impl Line<'_> {
    fn json(&self, now: Timestamp) -> serde_json::Value {
        let read = self.read.as_ref().ok();
        json!({
            "system": self.system,
            "subject": read.and_then(BoundCertificate::subject_cn),
            "thumbprint": self.row.thumbprint,
            "not_before": read.map(BoundCertificate::not_before),
            "not_after": read.map(BoundCertificate::not_after),
            "bound_from": self.row.valid.from,
            "bound_to": self.row.valid.to,
            "days_left": read.map(|read| days_left(read.not_after(), now)),
            "status": self.standing.word(),
            "code": match self.standing {
                Standing::Unusable(code) => Some(code),
                _ => None,
            },
            "finding": self.standing.is_finding(),
        })
    }
}

fn page(lines: &[Line<'_>], now: Timestamp, findings: usize) -> String {
    let mut table = Table::new(&[
        "Hệ thống",
        "Chủ thể",
        "Dấu vân tay",
        "Hiệu lực từ",
        "đến hết",
        "Gắn từ",
        "thôi gắn từ",
        ">Còn (ngày)",
        "Tình trạng",
    ]);
    let date = |at: Timestamp| day(at.to_zoned(viet_nam()).date());
    let maybe = |date: Option<Date>| date.map_or_else(|| NONE.to_owned(), day);
    for line in lines {
        let read = line.read.as_ref().ok();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        let thumbprint: String = line
            .row
            .thumbprint
            .to_string()
            .chars()
            .take(THUMBPRINT_SHOWN)
            .collect();
        table.row([
            line.system.to_string(),
            or_none(read.and_then(|read| read.subject_cn().map(str::to_owned))),
            format!("{thumbprint}…"),
            or_none(read.map(|read| date(read.not_before()))),
            or_none(read.map(|read| date(read.not_after()))),
            maybe(line.row.valid.from),
            maybe(line.row.valid.to),
            or_none(read.map(|read| number(days_left(read.not_after(), now)))),
            line.standing.label_vi(),
        ]);
    }
    let mut text = table.text();
    if findings > 0 {
        text.push_str(&format!(
            "\n\n{} chứng thư cần thay hoặc xem lại.\n→ truc system rotate ID --certificate PEM",
            number(findings as u64)
        ));
    }
    text
}

/// A certificate is valid through its last second, that second included.
fn seconds_left(end: Timestamp, now: Timestamp) -> i64 {
    end.as_second().saturating_sub(now.as_second())
}

/// Whole days until the end; below zero after it.
fn days_left(end: Timestamp, now: Timestamp) -> i64 {
    seconds_left(end, now).div_euclid(DAY_S)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use truc_model::SeededRandom;

    use super::*;
    use crate::authority::{self, Authority, Issued, LeafKey, Revoked};

    /// Noon in Viet Nam.
    fn now() -> Timestamp {
        "2026-11-23T05:00:00Z".parse().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        now() + SignedDuration::from_secs(seconds)
    }

    fn span(from: i64, until: i64) -> authority::Validity {
        authority::Validity {
            not_before: at(from),
            not_after: at(until),
        }
    }

    struct Setting {
        authority: Authority,
        random: SeededRandom,
    }

    impl Setting {
        fn new() -> Self {
            let random = SeededRandom::new(3);
            let authority = Authority::root("A", span(-999 * DAY_S, 999 * DAY_S), &random).unwrap();
            Self { authority, random }
        }

        fn issue(&self, from: i64, until: i64) -> Issued {
            let id = SystemId::new("so-tnmt").unwrap();
            self.authority
                .issue(&id, LeafKey::P256, span(from, until), &self.random)
                .unwrap()
        }

        fn standing(&self, issued: &Issued, trust: Option<&Trust>, bound: Validity) -> Standing {
            let measure = Measure {
                trust,
                now: now(),
                today: now().to_zoned(viet_nam()).date(),
                days: 30,
            };
            measure.standing(bound, &BoundCertificate::from_pem(&issued.certificate_pem))
        }

        fn trust(&self, revoked: &[&Issued]) -> Trust {
            let revoked: Vec<Revoked> = revoked
                .iter()
                .map(|issued| Revoked {
                    serial: issued.serial.clone(),
                    at: at(-60),
                })
                .collect();
            let list = self.authority.crl(&revoked, span(-60, DAY_S)).unwrap();
            Trust::new(&[self.authority.certificate_pem()])
                .unwrap()
                .with_crls(&[list])
                .unwrap()
        }
    }

    #[test]
    fn days_are_counted_to_their_edges() {
        let setting = Setting::new();
        let trust = setting.trust(&[]);
        for (until, expected) in [
            (-1, Standing::Expired),
            (0, Standing::Ending(0)),
            (DAY_S - 1, Standing::Ending(0)),
            (DAY_S, Standing::Ending(1)),
            (30 * DAY_S, Standing::Ending(30)),
            (30 * DAY_S + 1, Standing::Ok),
        ] {
            let issued = setting.issue(-DAY_S, until);
            assert_eq!(
                setting.standing(&issued, Some(&trust), Validity::ALWAYS),
                expected,
                "{until}"
            );
        }
        assert_eq!([days_left(at(-1), now()), days_left(at(-DAY_S), now())], [-1, -1]);
    }

    #[test]
    fn days_ahead_have_a_most() {
        use clap::Parser as _;
        let parses = |days: i64| {
            let days = days.to_string();
            let words = ["truc", "system", "certificates", "--days", &days];
            crate::cli::Cli::try_parse_from(words).is_ok()
        };
        assert!(parses(0) && parses(super::super::DAYS_MAX));
        assert!(!parses(-1) && !parses(super::super::DAYS_MAX + 1));
    }

    #[test]
    fn what_the_hub_would_refuse_is_told_as_such() {
        let setting = Setting::new();
        let (good, bad) = (setting.issue(-1, 90 * DAY_S), setting.issue(-1, 90 * DAY_S));
        let trust = setting.trust(&[&bad]);
        let standing =
            |issued: &Issued, trust: Option<&Trust>| setting.standing(issued, trust, Validity::ALWAYS);
        assert_eq!(standing(&good, Some(&trust)), Standing::Ok);
        assert_eq!(standing(&bad, Some(&trust)), Standing::Revoked);
        assert_eq!(
            standing(&setting.issue(60, 90 * DAY_S), Some(&trust)),
            Standing::NotYetValid
        );
        let stranger = Setting::new().trust(&[]);
        assert_eq!(standing(&good, Some(&stranger)), Standing::Untrusted);
        // Without anchors and lists only the dates can be judged.
        assert_eq!(standing(&good, None), Standing::Unknown);
        assert_eq!(standing(&setting.issue(-9, -1), None), Standing::Expired);
        assert_eq!(standing(&setting.issue(-9, 5 * DAY_S), None), Standing::Ending(5));
    }

    #[test]
    fn one_that_is_replaced_in_time_is_no_finding() {
        let setting = Setting::new();
        let trust = setting.trust(&[]);
        let issued = setting.issue(-DAY_S, 10 * DAY_S);
        let end = at(10 * DAY_S).to_zoned(viet_nam()).date();
        let until = |to: Date| {
            let bound = Validity {
                from: None,
                to: Some(to),
            };
            setting.standing(&issued, Some(&trust), bound)
        };
        let today = now().to_zoned(viet_nam()).date();
        assert_eq!(until(today), Standing::Unbound);
        assert_eq!(until(today.tomorrow().unwrap()), Standing::Ok);
        assert_eq!(until(end), Standing::Ok);
        assert_eq!(until(end.tomorrow().unwrap()), Standing::Ending(10));
    }

    #[test]
    fn findings_are_what_someone_must_act_on() {
        let quiet = [Standing::Ok, Standing::NotYetValid, Standing::Unbound];
        for standing in quiet {
            assert!(!standing.is_finding(), "{standing:?}");
        }
        for standing in [
            Standing::Ending(3),
            Standing::Expired,
            Standing::Revoked,
            Standing::Untrusted,
            Standing::Unusable(RefusalCode::CertificateWeakKey),
            Standing::Unreadable,
            Standing::Unknown,
        ] {
            assert!(standing.is_finding(), "{standing:?}");
        }
    }
}
