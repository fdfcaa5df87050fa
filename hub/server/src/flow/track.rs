//! Track: what recipients say of deliveries. `taken` ends a delivery (or, with a reason, declines it);
//! statuses go the way of submissions ([`super::route`]) and are applied by the ledger in the same
//! commit that passes them on, so that each valid one is passed on exactly once.

use truc_ledger::{TakenOutcome, TakenReport};
use truc_model::wire::Taken;
use truc_model::{MessageId, Refusal, RefusalCode, Sha256, SystemId, refusal::Place};
use truc_transport::Settlement;

use super::Received;
use super::ingest::{Evidence, Intakes, bury, settle};
use super::record::{Unrecorded, record_refusal, until_committed_or_given_up};
use super::verify::Refused;
use crate::telemetry::{Event, emit};

/// Records one `taken` message and settles it; gives whether it was settled.
pub async fn taken(intakes: &Intakes, received: Received, settlement: Settlement) -> bool {
    let properties = &received.message.properties;
    let system = properties
        .user_id
        .as_deref()
        .and_then(|id| SystemId::new(id).ok())
        .filter(|id| intakes.rules.borrow().directory.system(id).is_some());
    let message_id = properties
        .message_id
        .as_deref()
        .and_then(|id| id.parse::<MessageId>().ok());

    let evidence = Evidence::of(&received, Sha256::of(&received.message.body));

    let (system, report) = match (system, read(&received.message.body)) {
        (Some(system), Ok(report)) => (system, report),
        (system, report) => {
            let finding = match report {
                Err(finding) => finding,
                Ok(_) => Refusal::new(
                    RefusalCode::SystemUnknown,
                    Place::header("user_id"),
                    "a registered system",
                    received.message.properties.user_id.clone().unwrap_or_default(),
                ),
            };
            let attributable = system.is_some();
            let refused = Refused {
                system,
                message_id,
                received_at: received.received_at,
                sha256: Sha256::of(&received.message.body),
                size: received.message.body.len() as u64,
                intake: received.intake,
                sender: None,
                findings: vec![finding],
            };
            return loop {
                match record_refusal(&intakes.ledger, &refused).await {
                    Ok(recorded) if attributable => break settle(settlement, &recorded).await,
                    Ok(recorded) => break bury(settlement, &recorded).await,
                    Err(Unrecorded::Closed) => break false,
                    Err(Unrecorded::OwnFault(_)) => {
                        if intakes.gives_up(&evidence).await {
                            break settlement.dead_letter().await.is_ok();
                        }
                    }
                }
            };
        }
    };

    let report = TakenReport {
        system,
        message_id,
        taken: report,
    };
    let outcome: TakenOutcome = loop {
        match until_committed_or_given_up(|| intakes.ledger.taken(report.clone())).await {
            Ok(outcome) => break outcome,
            Err(Unrecorded::Closed) => return false,
            Err(Unrecorded::OwnFault(_)) => {
                if intakes.gives_up(&evidence).await {
                    return settlement.dead_letter().await.is_ok();
                }
            }
        }
    };
    emit(Event::Taken {
        system: &report.system,
        outcome: &outcome,
    });
    settlement.ack().await.is_ok()
}

/// Reads the JSON of a `taken` message within its limits.
fn read(body: &[u8]) -> Result<Taken, Refusal> {
    let malformed = |expected: &str, found: String| {
        Refusal::new(
            RefusalCode::TakenMalformed,
            Place::Json {
                pointer: String::new(),
            },
            expected.to_owned(),
            found,
        )
    };
    let report: Taken = serde_json::from_slice(body)
        .map_err(|error| malformed("JSON as in schemas/taken.json", error.to_string()))?;
    let count = report.taken.len() + report.refused.len() + report.withdrawn.len();
    if count == 0 || count > Taken::MAX_DELIVERIES {
        return Err(malformed(
            &format!("1 to {} deliveries", Taken::MAX_DELIVERIES),
            count.to_string(),
        ));
    }
    for declined in &report.refused {
        if declined.code.is_empty() || declined.code.chars().count() > Taken::CODE_MAX {
            return Err(malformed(
                &format!("a code of 1 to {} characters", Taken::CODE_MAX),
                format!("{} characters", declined.code.chars().count()),
            ));
        }
        if declined.reason.chars().count() > Taken::REASON_MAX {
            return Err(malformed(
                &format!("a reason of at most {} characters", Taken::REASON_MAX),
                format!("{} characters", declined.reason.chars().count()),
            ));
        }
    }
    let mut codes_bytes = 0;
    for code in report.withdrawn.iter().flat_map(|withdrawn| &withdrawn.codes) {
        codes_bytes += code.len();
        if code.is_empty() || codes_bytes > Taken::CODES_BYTES_MAX {
            return Err(malformed(
                &format!(
                    "codes, not empty, of at most {} bytes in all",
                    Taken::CODES_BYTES_MAX
                ),
                format!("{} bytes", code.len().max(codes_bytes)),
            ));
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_is_read_within_its_limits() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let list = |n: usize| format!("{{\"taken\":[{}]}}", vec![format!("\"{id}\""); n].join(","));
        assert_eq!(read(list(1).as_bytes()).unwrap().taken.len(), 1);
        assert!(read(list(Taken::MAX_DELIVERIES).as_bytes()).is_ok());
        let reason = |n: usize| {
            format!(
                "{{\"refused\":[{{\"delivery\":\"{id}\",\"code\":\"x\",\"reason\":\"{}\"}}]}}",
                "đ".repeat(n)
            )
        };
        assert!(read(reason(Taken::REASON_MAX).as_bytes()).is_ok());
        let codes = |n: usize, length: usize| {
            let list = vec![format!("\"{}\"", "x".repeat(length)); n].join(",");
            format!("{{\"withdrawn\":[{{\"delivery\":\"{id}\",\"for\":[{list}]}}]}}")
        };
        let codes_max = Taken::CODES_BYTES_MAX / 32;
        assert_eq!(read(codes(codes_max, 32).as_bytes()).unwrap().withdrawn.len(), 1);
        let all = format!("{{\"withdrawn\":[{{\"delivery\":\"{id}\"}}]}}");
        assert!(read(all.as_bytes()).unwrap().withdrawn[0].codes.is_empty());
        for bad in [
            String::new(),
            "{}".to_owned(),
            "[]".to_owned(),
            "{\"taken\":[\"1\"]}".to_owned(),
            "{\"token\":[]}".to_owned(),
            list(Taken::MAX_DELIVERIES + 1),
            reason(Taken::REASON_MAX + 1),
            codes(codes_max + 1, 32),
            codes(1, 0),
        ] {
            assert_eq!(
                read(bad.as_bytes()).unwrap_err().code,
                RefusalCode::TakenMalformed
            );
        }
    }
}
