//! Somebody answers for the bytes: what the system's policy asks for is there.
//!
//! XML signatures are recognised and carried; until this hub judges them they do not satisfy a policy,
//! so that a placeholder cannot pass for a signature.

use truc_directory::SignaturePolicy;
use truc_model::{RefusalCode, SignatureState, refusal::Place, wire::header};

use super::{Examination, Next};

/// See the module.
pub fn check(e: &mut Examination<'_>) -> Next {
    let Some(system) = e.system.as_ref().and_then(|id| e.rules.directory.system(id)) else {
        return Next::Stop;
    };
    let sealed = matches!(e.seal, SignatureState::Valid { .. });
    match system.policy.signature {
        SignaturePolicy::ChannelVouches | SignaturePolicy::None => {}
        SignaturePolicy::Either | SignaturePolicy::Seal | SignaturePolicy::XmlDsig if sealed => {}
        SignaturePolicy::Either | SignaturePolicy::Seal | SignaturePolicy::XmlDsig => {
            e.refuse(
                RefusalCode::SealMissing,
                Place::header(header::SEAL),
                "a seal by a certificate registered for this system",
                "none",
            );
        }
    }
    Next::Continue
}
