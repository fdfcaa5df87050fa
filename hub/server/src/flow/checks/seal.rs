//! The seal: when there is one it must hold, whatever the policy asks for. A packet whose seal does not
//! hold was changed on the way or sealed by a stranger; both are refused before its bytes are read.

use truc_envelope::seal::{Expected, verify};
use truc_model::{SignatureState, wire::header};
use truc_transport::HeaderValue;

use super::{Examination, Next};

/// See the module.
pub fn check(e: &mut Examination<'_>) -> Next {
    let (Some(system), Some(message_id)) = (e.system.clone(), e.message_id) else {
        return Next::Stop;
    };
    let Some(value) = e.received.message.properties.headers.get(header::SEAL) else {
        return Next::Continue;
    };
    let seal = match value {
        HeaderValue::Text(seal) => seal.as_str(),
        // Not text: the verifier refuses the empty string as malformed, with its usual words.
        HeaderValue::Number(_) | HeaderValue::List(_) => "",
    };
    let expected = Expected {
        system: &system,
        message_id,
        sha256: e.sha256,
        size: e.received.size(),
        now: e.received.received_at,
        tolerance: e.rules.seal_tolerance,
    };
    match verify(seal, &expected, e.rules.certificates_of(&system), &e.rules.trust) {
        Ok(valid) => {
            e.seal = SignatureState::from(valid);
            Next::Continue
        }
        Err(refusal) => {
            e.seal = SignatureState::Invalid {
                reason: refusal.code.as_str().to_owned(),
            };
            e.findings.push(refusal);
            Next::Stop
        }
    }
}
