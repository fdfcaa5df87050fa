//! Somebody answers for the bytes: what the system's policy asks for is there, and holds.

use truc_directory::SignaturePolicy;
use truc_model::{RefusalCode, SignatureState, refusal::Place, wire::header};

use super::{Examination, Next};

/// See the module.
pub fn check(e: &mut Examination<'_>) -> Next {
    let Some(system) = e.system.as_ref().and_then(|id| e.rules.directory.system(id)) else {
        return Next::Stop;
    };
    let sealed = matches!(e.seal, SignatureState::Valid { .. });
    let signed = matches!(e.xml, SignatureState::Valid { .. });
    let (answered, asked) = match system.policy.signature {
        SignaturePolicy::ChannelVouches | SignaturePolicy::None => (true, ""),
        SignaturePolicy::Either => (
            sealed || signed,
            "a seal, or an XML signature, by a certificate registered for this system",
        ),
        SignaturePolicy::Seal => (sealed, "a seal by a certificate registered for this system"),
        SignaturePolicy::XmlDsig => (
            signed,
            "an XML signature by a certificate registered for this system",
        ),
    };
    if answered {
        return Next::Continue;
    }
    match e.xml_flaw.take() {
        Some(flaw) if system.policy.signature != SignaturePolicy::Seal => e.findings.push(flaw),
        Some(_) | None => {
            let place = match system.policy.signature {
                SignaturePolicy::XmlDsig => Place::Element {
                    path: "edXML/edXMLEnvelope/edXMLHeader/Signature".to_owned(),
                    line: 0,
                    column: 0,
                },
                _ => Place::header(header::SEAL),
            };
            e.refuse(RefusalCode::SealMissing, place, asked, "none");
        }
    }
    Next::Continue
}
