//! The packet: read tolerantly, and of the kind the message declares.

use truc_envelope::Digested;
use truc_model::{DocumentKind, RefusalCode, refusal::Place, wire::Intake};

use super::{Examination, Next};

/// See the module.
pub fn check(e: &mut Examination<'_>) -> Next {
    let packet = Digested {
        source: e.received.source(),
        sha256: e.sha256,
    };
    let read = match truc_envelope::read_from(&packet, &e.limits()) {
        Ok(read) => read,
        Err(error) => {
            e.unreadable = Some(error);
            return Next::Stop;
        }
    };
    match read {
        Ok(reading) => {
            let kind = reading.packet.kind();
            let declared = match e.received.intake {
                Intake::Document => DocumentKind::Document,
                Intake::Status | Intake::Taken => DocumentKind::Status,
            };
            e.reading = Some(reading);
            if kind != declared {
                e.refuse(
                    RefusalCode::EnvelopeKindMismatch,
                    Place::header("type"),
                    declared.as_str(),
                    kind.as_str(),
                );
                return Next::Stop;
            }
            Next::Continue
        }
        Err(rejection) => {
            e.findings.extend(rejection.findings);
            Next::Stop
        }
    }
}
