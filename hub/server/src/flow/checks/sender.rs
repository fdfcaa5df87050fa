//! The sender: `From` resolves, and the calling system serves it. The check is on the authenticated
//! connection, never on what the packet says of itself.

use truc_directory::Resolution;
use truc_envelope::Packet;
use truc_model::{RefusalCode, refusal::Place};

use super::{Examination, Next};

/// See the module.
pub fn check(e: &mut Examination<'_>) -> Next {
    let (Some(system), Some(reading)) = (e.system.clone(), e.reading.as_ref()) else {
        return Next::Stop;
    };
    let code = match &reading.packet {
        Packet::Document(document) => document.from.organ_id.clone(),
        Packet::Status(status) => status.from.organ_id.clone(),
    };
    let place = Place::Element {
        path: "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/From/OrganId".to_owned(),
        line: 0,
        column: 0,
    };
    let directory = &e.rules.directory;
    let resolution = directory.resolve(&code, e.rules.today);
    match &resolution {
        // A closed code still names its agency: what it sent before must stay reachable for its statuses and
        // recalls, which come from whoever took over, or from the system it had.
        Resolution::Known { .. }
        | Resolution::Outside { .. }
        | Resolution::Closed { .. }
        | Resolution::Split { .. } => {}
        Resolution::SystemCode { .. } | Resolution::Unknown { .. } | Resolution::BadCode(_) => {
            e.refuse(
                RefusalCode::SenderCodeUnknown,
                place,
                "an agency code of the directory",
                code,
            );
            return Next::Continue;
        }
    }
    let named = resolution.party(&code);
    let speaks_of_old = match &reading.packet {
        Packet::Status(_) => true,
        Packet::Document(document) => !document.business.operation.brings_a_document(),
    };
    let sender = match speaks_of_old {
        true => directory.sender_of_old(&code, &system, e.rules.today),
        false => directory.sender(&code, &system, e.rules.today),
    };
    if sender.is_none() {
        e.refuse(
            RefusalCode::SenderNotServed,
            place,
            format!("an agency that system {system} serves"),
            code,
        );
    }
    e.sender = Some(sender.unwrap_or(named));
    Next::Continue
}
