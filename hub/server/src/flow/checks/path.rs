//! The path: a packet that already carries this hub's own system code twice is going round in a loop.
//! Once is a document coming back by the national axis, which is allowed.

use truc_envelope::Packet;
use truc_model::{AgencyCode, RefusalCode, refusal::Place};

use super::{Examination, Next};

/// How often this hub's own code may stand in the trace list.
pub const OWN_HOPS_MAX: usize = 1;

/// See the module.
pub fn check(e: &mut Examination<'_>) -> Next {
    let Some(Packet::Document(document)) = e.reading.as_ref().map(|reading| &reading.packet) else {
        return Next::Continue;
    };
    let own = document
        .trace
        .iter()
        .filter_map(|hop| hop.organ_id.as_deref())
        .filter_map(|code| AgencyCode::parse(code).ok())
        .filter(|code| *code == e.rules.hub_code)
        .count();
    if own > OWN_HOPS_MAX {
        let place = Place::Element {
            path: "edXML/edXMLEnvelope/edXMLHeader/TraceHeaderList/TraceHeader".to_owned(),
            line: 0,
            column: 0,
        };
        e.refuse(
            RefusalCode::Loop,
            place,
            format!("at most {OWN_HOPS_MAX} hop of {}", e.rules.hub_code),
            own.to_string(),
        );
    }
    Next::Continue
}
