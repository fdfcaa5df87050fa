//! What several commands say and ask in the same way: periods, agencies by name, accounts, ids.

use std::path::Path;

use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, ToSpan as _};
use truc_directory::{Directory, Sha1Policy, SignaturePolicy, SystemKind};
use truc_ledger::Ledger;
use truc_model::clock::viet_nam;
use truc_model::{AgencyCode, Party, SignatureState, SignatureStrength, SignatureVerdict};

use super::Context;
use super::answer::Trouble;
use super::show::NONE;
use crate::app;

/// The ledger and the directory in force: what most commands begin with.
pub(super) struct Opened {
    pub(super) ledger: Ledger,
    pub(super) directory: Directory,
    /// Today, in Viet Nam.
    pub(super) today: Date,
}

impl Opened {
    /// Opens both. A hub that runs at the same time is not disturbed.
    ///
    /// # Errors
    /// [`Trouble`] when the configuration, the ledger or the directory cannot be read.
    pub(super) async fn open(context: &Context) -> Result<Self, Trouble> {
        let config = context.config()?;
        let ledger = app::open_ledger(&config, context.clock.clone(), context.random.clone()).await?;
        let directory = app::directory(&ledger).await?;
        Ok(Self {
            ledger,
            directory,
            today: context.clock.today(),
        })
    }

    /// An agency as people know it: its name and the code in force, or the code as written.
    pub(super) fn name(&self, party: &Party) -> String {
        name_of(&self.directory, party, self.today)
    }

    /// The party a code names: the agency that has or had it, else what it resolves to today.
    pub(super) fn party(&self, code: &str) -> Party {
        let registered = AgencyCode::parse(code).ok();
        match registered
            .as_ref()
            .and_then(|code| self.directory.find_code(code))
        {
            Some(agency) => Party::Agency(agency.id),
            None => self.directory.resolve(code, self.today).party(code.trim()),
        }
    }
}

/// See [`Opened::name`].
pub(super) fn name_of(directory: &Directory, party: &Party, on: Date) -> String {
    match party {
        Party::Agency(id) => match directory.agency(*id) {
            Some(agency) => {
                let name = agency.name(on).unwrap_or(NONE);
                match agency
                    .code(on)
                    .or_else(|| agency.codes.first().map(|row| &row.code))
                {
                    Some(code) => format!("{name} ({code})"),
                    None => name.to_owned(),
                }
            }
            None => id.to_string(),
        },
        Party::Outside(code) => format!("{code} (ngoài tỉnh)"),
        Party::Unresolved(raw) if raw.is_empty() => "(không rõ)".to_owned(),
        Party::Unresolved(raw) => format!("{raw} (không có trong danh mục)"),
    }
}

/// The first moment of a period: a day (`2026-11-23`, `23/11/2026`) from its midnight in Viet Nam, or a
/// moment (`2026-11-23T14:05`, with or without an offset).
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    Ok(moment(text)?.0)
}

/// The end of a period, excluded: a day counts as a whole, so it is the midnight after it.
pub(super) fn until(text: &str) -> Result<Timestamp, String> {
    Ok(moment(text)?.1)
}

/// A day, `2026-11-23` or `23/11/2026`.
pub(super) fn date(text: &str) -> Result<Date, String> {
    let text = text.trim();
    // Not `parse`: it takes a moment for its day.
    ["%Y-%m-%d", "%d/%m/%Y"]
        .into_iter()
        .find_map(|form| Date::strptime(form, text).ok())
        .ok_or_else(|| format!("expected a day such as 2026-11-23 or 23/11/2026, found {text}"))
}

fn moment(text: &str) -> Result<(Timestamp, Timestamp), String> {
    let text = text.trim();
    let bad =
        || format!("expected a day (2026-11-23, 23/11/2026) or a moment (2026-11-23T14:05), found {text}");
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok((at, at));
    }
    let at = |local: DateTime| {
        local
            .to_zoned(viet_nam())
            .map(|zoned| zoned.timestamp())
            .map_err(|_| bad())
    };
    if let Ok(day) = date(text) {
        let next = day.checked_add(1.day()).map_err(|_| bad())?;
        return Ok((at(day.into())?, at(next.into())?));
    }
    let local: DateTime = text.parse().map_err(|_| bad())?;
    Ok((at(local)?, at(local)?))
}

/// The operator's account, for the ledger: never a person's name.
pub(super) fn account() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|account| !account.trim().is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// Reads a text file.
pub(super) fn read_text(path: &Path) -> Result<String, Trouble> {
    std::fs::read_to_string(path).map_err(|error| Trouble::reading(path, &error))
}

/// Reads a file.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, Trouble> {
    std::fs::read(path).map_err(|error| Trouble::reading(path, &error))
}

/// A system's kind as people say it, and the word of the directory.
pub(super) const fn kind(kind: SystemKind) -> &'static str {
    match kind {
        SystemKind::Tenant => "dùng chung (tenant)",
        SystemKind::Agency => "của một cơ quan (agency)",
        SystemKind::Gateway => "cổng ra ngoài tỉnh (gateway)",
    }
}

/// A policy on signatures as people say it, and the word of the directory.
pub(super) const fn policy(policy: SignaturePolicy) -> &'static str {
    match policy {
        SignaturePolicy::Either => "dấu niêm hoặc chữ ký XML (either)",
        SignaturePolicy::Seal => "dấu niêm (seal)",
        SignaturePolicy::XmlDsig => "chữ ký XML (xml-dsig)",
        SignaturePolicy::ChannelVouches => "kênh chuyển bảo đảm (channel)",
        SignaturePolicy::None => "không đòi hỏi (none)",
    }
}

/// Whether XML signatures may rest on SHA-1, in words.
pub(super) const fn sha1(policy: Sha1Policy) -> &'static str {
    match policy {
        Sha1Policy::Refuse => "không chấp nhận (refuse)",
        Sha1Policy::Allow => "chấp nhận, có ghi rõ trong kết quả kiểm tra (allow)",
    }
}

/// The verdict on a signature in one line.
pub(super) fn verdict(verdict: &SignatureVerdict) -> String {
    let mut parts = Vec::new();
    for (label, state) in [("dấu niêm", &verdict.seal), ("chữ ký XML", &verdict.xml)] {
        match state {
            SignatureState::Valid {
                algorithm,
                signer,
                strength,
                ..
            } => {
                let weak = match strength {
                    SignatureStrength::Current => String::new(),
                    SignatureStrength::LegacySha1 => {
                        format!("; dùng SHA-1, chính sách cho phép [{}]", strength.as_str())
                    }
                };
                parts.push(format!("{label} hợp lệ ({algorithm}, {signer}{weak})"));
            }
            SignatureState::Invalid { reason } => parts.push(format!("{label} không hợp lệ ({reason})")),
            SignatureState::Absent => {}
        }
    }
    if verdict.vouched_by_channel {
        parts.push("kênh chuyển bảo đảm".to_owned());
    }
    if parts.is_empty() {
        parts.push("không có chữ ký".to_owned());
    }
    format!("{} [{}]", parts.join("; "), verdict.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_whole_day_in_viet_nam() {
        for text in ["2026-11-23", "23/11/2026", " 23/11/2026 "] {
            assert_eq!(since(text).unwrap().to_string(), "2026-11-22T17:00:00Z", "{text}");
            assert_eq!(until(text).unwrap().to_string(), "2026-11-23T17:00:00Z", "{text}");
        }
        assert_eq!(
            since("2026-11-23T14:05").unwrap().to_string(),
            "2026-11-23T07:05:00Z"
        );
        assert_eq!(
            until("2026-11-23T14:05:00Z").unwrap().to_string(),
            "2026-11-23T14:05:00Z"
        );
        for bad in ["", "yesterday", "31/02/2026", "2026-13-01", "11/23/2026"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn verdicts_in_words() {
        let nothing = SignatureVerdict {
            seal: SignatureState::Absent,
            xml: SignatureState::Absent,
            vouched_by_channel: false,
        };
        assert_eq!(verdict(&nothing), "không có chữ ký [absent]");
        let sealed = SignatureVerdict {
            seal: SignatureState::Valid {
                algorithm: "ES256".to_owned(),
                certificate: String::new(),
                signer: "so-tnmt".to_owned(),
                signed_at: None,
                strength: SignatureStrength::Current,
            },
            xml: SignatureState::Invalid {
                reason: "dsig-digest".to_owned(),
            },
            ..nothing
        };
        assert_eq!(
            verdict(&sealed),
            "dấu niêm hợp lệ (ES256, so-tnmt); chữ ký XML không hợp lệ (dsig-digest) [valid]"
        );
        let legacy = SignatureVerdict {
            seal: SignatureState::Absent,
            xml: SignatureState::Valid {
                algorithm: "rsa-sha1".to_owned(),
                certificate: String::new(),
                signer: "so-tnmt".to_owned(),
                signed_at: None,
                strength: SignatureStrength::LegacySha1,
            },
            ..sealed
        };
        assert_eq!(
            verdict(&legacy),
            "chữ ký XML hợp lệ (rsa-sha1, so-tnmt; dùng SHA-1, chính sách cho phép [legacy-sha1]) [valid]"
        );
    }
}
