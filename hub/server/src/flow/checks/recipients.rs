//! Recipients: no more than one packet may name. Whether each can be reached is the route's to say:
//! one unknown recipient does not stop the others.

use truc_envelope::Packet;
use truc_model::{RefusalCode, refusal::Place};

use super::{Examination, Next};

/// See the module.
pub fn check(e: &mut Examination<'_>) -> Next {
    let Some(Packet::Document(document)) = e.reading.as_ref().map(|reading| &reading.packet) else {
        return Next::Continue;
    };
    let count = document.to.len();
    if count > e.rules.max_recipients {
        let place = Place::Element { path: "MessageHeader/To".to_owned(), line: 0, column: 0 };
        let most = format!("at most {} recipients", e.rules.max_recipients);
        e.refuse(RefusalCode::RecipientLimit, place, most, count.to_string());
    }
    Next::Continue
}
