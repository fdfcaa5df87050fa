//! A dropped report: a small file in `status/` that says what became of a document.
//!
//! ```text
//! delivery = "01890a5d-ac96-774b-bcce-b302099a8057"
//! code     = "03"
//! ```
//!
//! It is TOML; bare `key = value` or `key: value` lines are read too, because clerks' programs write them.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use jiff::Timestamp;
use truc_adapter_sdk::StatusReport;
use truc_adapter_sdk::envelope::{DocumentPacket, Limits, Packet, read};
use truc_adapter_sdk::model::{DeliveryUid, Place, Refusal, RefusalCode, StatusCode};

use crate::facts::{Agency, Content, Facts, same_code};
use crate::filing::at_key;
use crate::layout::{Folder, Layout, known, plain_name};

/// Longest report file, in bytes.
pub const REPORT_MAX: u64 = 64 * 1024;

/// The keys a report may have.
pub const KEYS: [&str; 6] = ["delivery", "code", "reason", "agency", "sent", "to"];

/// Makes the report that a file asks for. The outer error is the disk's and passes; the inner one is for
/// whoever wrote the file.
///
/// # Errors
/// What the operating system says.
pub fn build(layout: &Layout, bytes: &[u8], now: Timestamp) -> io::Result<Result<StatusReport, Refusal>> {
    let wanted = match Wanted::read(bytes) {
        Ok(wanted) => wanted,
        Err(finding) => return Ok(Err(finding)),
    };
    match &wanted.about {
        About::Received { delivery, agency } => {
            let facts = match fs::read(layout.path(&known(*delivery))) {
                Ok(json) => serde_json::from_slice::<Facts>(&json).ok(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            Ok(wanted.on_received(facts, *delivery, agency.as_deref(), now))
        }
        About::Sent { name, to } => {
            let packet = match fs::read(layout.path(&Folder::Sent.file(&format!("{name}.edxml")))) {
                Ok(bytes) => read(&bytes, &Limits::default()).ok(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            let packet = packet.and_then(|reading| match reading.packet {
                Packet::Document(packet) => Some(*packet),
                Packet::Status(_) => None,
            });
            Ok(wanted.on_sent(packet, to, now))
        }
    }
}

/// What a report file says.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    about: About,
    code: StatusCode,
    reason: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum About {
    /// A document received: any code but 13.
    Received {
        delivery: DeliveryUid,
        agency: Option<String>,
    },
    /// A document sent, to be given back by one recipient: 13.
    Sent { name: String, to: String },
}

impl Wanted {
    fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let keys = keys(bytes)?;
        if let Some(odd) = keys.keys().find(|key| !KEYS.contains(&key.as_str())) {
            // The key itself is not quoted: without an `=` it may be any sentence.
            let found = format!("{} characters", odd.chars().count());
            let expected = format!("only the keys {}", KEYS.join(", "));
            return Err(Refusal::new(
                RefusalCode::EnvelopeBadValue,
                Place::Message,
                expected,
                found,
            ));
        }
        let get = |key: &str| {
            keys.get(key)
                .map(String::as_str)
                .filter(|value| !value.is_empty())
        };

        let digits = get("code").unwrap_or_default();
        let padded = format!("{digits:0>2}");
        let code = StatusCode::from_digits(&padded).map_err(|error| {
            let found = if digits.chars().all(|c| c.is_ascii_digit()) {
                digits
            } else {
                "no number"
            };
            let found = if digits.is_empty() { "nothing" } else { found };
            let said = error.to_string();
            let expected = said.strip_prefix("expected ").unwrap_or(&said);
            at_key(RefusalCode::StatusCodeUnknown, "code", expected, found)
        })?;
        let reason = get("reason").map(str::to_owned);
        if code.needs_reason() && reason.is_none() {
            let expected = format!("a reason, which status {code} needs");
            return Err(at_key(
                RefusalCode::StatusReasonMissing,
                "reason",
                &expected,
                "nothing",
            ));
        }
        let missing =
            |key, expected: &str| at_key(RefusalCode::EnvelopeMissingElement, key, expected, "nothing");
        let about = if code == StatusCode::TakeBack {
            About::Sent {
                name: plain_name(
                    get("sent")
                        .ok_or_else(|| missing("sent", "the name of a packet in sent/, for status 13"))?,
                ),
                to: get("to")
                    .ok_or_else(|| missing("to", "the code of the recipient to give it back, for status 13"))?
                    .to_owned(),
            }
        } else {
            let text = get("delivery")
                .ok_or_else(|| missing("delivery", "the delivery's id, as in the side file in in/"))?;
            About::Received {
                delivery: delivery(text)?,
                agency: get("agency").map(str::to_owned),
            }
        };
        Ok(Self { about, code, reason })
    }

    fn on_received(
        &self,
        facts: Option<Facts>,
        delivery: DeliveryUid,
        agency: Option<&str>,
        now: Timestamp,
    ) -> Result<StatusReport, Refusal> {
        let unknown = |expected| {
            at_key(
                RefusalCode::StatusUnknownDocument,
                "delivery",
                expected,
                delivery.to_string(),
            )
        };
        let facts = facts.ok_or_else(|| unknown("the id of a document received here"))?;
        let content: Content = facts
            .content
            .ok_or_else(|| unknown("a document whose packet this adapter can read"))?;
        let from = reporter(&content.recipients, agency)?;
        let about = content.about(&content.sender.organ_id);
        Ok(StatusReport::about(from.organization(), about, self.code, now)
            .with_description(self.reason.clone()))
    }

    fn on_sent(
        &self,
        packet: Option<DocumentPacket>,
        to: &str,
        now: Timestamp,
    ) -> Result<StatusReport, Refusal> {
        let packet = packet.ok_or_else(|| {
            let expected = "the name of a document in sent/";
            at_key(
                RefusalCode::StatusUnknownDocument,
                "sent",
                expected,
                "no such packet",
            )
        })?;
        let Some(recipient) = packet.to.iter().find(|agency| same_code(&agency.organ_id, to)) else {
            let expected = codes(packet.to.iter().map(|agency| agency.organ_id.as_str()));
            return Err(at_key(
                RefusalCode::StatusStranger,
                "to",
                &expected,
                "another code",
            ));
        };
        let reason = self.reason.clone().unwrap_or_default();
        Ok(StatusReport::take_back(
            &packet,
            &recipient.organ_id,
            &reason,
            now,
        ))
    }
}

/// Which agency reports: the one named, or the only one.
fn reporter<'a>(recipients: &'a [Agency], agency: Option<&str>) -> Result<&'a Agency, Refusal> {
    let expected = || codes(recipients.iter().map(|agency| agency.organ_id.as_str()));
    match (agency, recipients) {
        (None, [only]) => Ok(only),
        (None, _) => Err(at_key(
            RefusalCode::EnvelopeMissingElement,
            "agency",
            &format!("which agency reports: {}", expected()),
            "nothing",
        )),
        (Some(code), _) => recipients
            .iter()
            .find(|agency| same_code(&agency.organ_id, code))
            .ok_or_else(|| at_key(RefusalCode::StatusStranger, "agency", &expected(), "another code")),
    }
}

/// Most codes listed in an answer.
const CODES_LISTED: usize = 20;

fn codes<'a>(codes: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = codes.collect();
    let mut text = all[..all.len().min(CODES_LISTED)].join(", ");
    if all.len() > CODES_LISTED {
        text.push_str(", …");
    }
    text
}

/// A delivery's id, or the name of one of its files.
fn delivery(text: &str) -> Result<DeliveryUid, Refusal> {
    let file = text.rsplit(['/', '\\']).next().unwrap_or(text);
    let id = file
        .strip_suffix(".json")
        .or_else(|| file.strip_suffix(".edxml"))
        .unwrap_or(file);
    id.parse().map_err(|_| {
        let expected = "the delivery's id, as in the side file in in/";
        at_key(RefusalCode::EnvelopeBadValue, "delivery", expected, "not a UUID")
    })
}

/// TOML if it is, else lines.
fn keys(bytes: &[u8]) -> Result<BTreeMap<String, String>, Refusal> {
    let bad = |expected: &str, found: String| {
        Refusal::new(RefusalCode::EnvelopeBadValue, Place::Message, expected, found)
    };
    if bytes.len() as u64 > REPORT_MAX {
        let expected = format!("at most {REPORT_MAX} bytes");
        return Err(bad(&expected, format!("{} bytes", bytes.len())));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| bad("UTF-8 text", "other bytes".to_owned()))?
        .trim_start_matches('\u{feff}');
    if let Ok(table) = text.parse::<toml::Table>() {
        return Ok(table
            .into_iter()
            .map(|(key, value)| {
                let value = match value {
                    toml::Value::String(text) => text.trim().to_owned(),
                    other => other.to_string(),
                };
                (key.to_lowercase(), value)
            })
            .collect());
    }
    let mut keys = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(split) = line.find(['=', ':']) else {
            return Err(bad(
                "lines of the form key = value",
                format!("line {}", number + 1),
            ));
        };
        let value = line[split + 1..].trim().trim_matches(['"', '\'']).trim();
        keys.insert(line[..split].trim().to_lowercase(), value.to_owned());
    }
    Ok(keys)
}
