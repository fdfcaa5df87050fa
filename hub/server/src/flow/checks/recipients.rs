//! The recipients: their codes must fit into one header of a message, `truc-to`, as all of them may be on one
//! system. A message that does not fit ends the broker's connection, and everybody else's with it.

use truc_envelope::Packet;
use truc_model::{RefusalCode, refusal::Place};

use super::{Examination, Next};

/// Most bytes of all recipients' codes together. A header travels in one frame, 128 KiB on RabbitMQ unless set
/// otherwise; a code costs five bytes more in it, and other headers need their room. Codes of 20 characters
/// leave room for 4900, codes of the greatest length for 2800.
pub const CODES_BYTES_MAX: usize = 96 * 1024;

/// See the module.
pub fn check(e: &mut Examination<'_>) -> Next {
    let Some(Packet::Document(document)) = e.reading.as_ref().map(|reading| &reading.packet) else {
        return Next::Continue;
    };
    let bytes: usize = document.to.iter().map(|to| to.organ_id.len()).sum();
    if bytes > CODES_BYTES_MAX {
        let place = Place::Element {
            path: "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/To".to_owned(),
            line: 0,
            column: 0,
        };
        e.refuse(
            RefusalCode::RecipientLimit,
            place,
            format!("codes of at most {CODES_BYTES_MAX} bytes together"),
            bytes.to_string(),
        );
    }
    Next::Continue
}
