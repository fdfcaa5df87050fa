//! The body: in the message, within its limit, or apart and there. What is apart was looked for before the checks began;
//! here that becomes a finding, after the caller is known and has a key to be answered by.

use truc_model::{RefusalCode, refusal::Place};

use super::{Examination, Next};
use crate::flow::bodies::PacketAt;

/// See the module.
pub fn check(e: &mut Examination<'_>) -> Next {
    match &e.received.packet {
        PacketAt::Message => in_message(e),
        PacketAt::Apart(_) => Next::Continue,
        PacketAt::Nowhere { why, .. } => {
            e.findings.push((**why).clone());
            Next::Stop
        }
    }
}

fn in_message(e: &mut Examination<'_>) -> Next {
    let size = e.received.message.body.len();
    if size == 0 {
        e.refuse(RefusalCode::BodyEmpty, Place::Message, "a packet", "0 bytes");
        return Next::Stop;
    }
    if size > e.rules.max_body_bytes {
        let most = format!("at most {} bytes", e.rules.max_body_bytes);
        e.refuse(
            RefusalCode::BodyTooLarge,
            Place::Message,
            most,
            format!("{size} bytes"),
        );
        return Next::Stop;
    }
    Next::Continue
}
