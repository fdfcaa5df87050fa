//! The XML signature inside the packet (XML-DSig): judged where there is one, by the certificates bound to
//! the calling system. It refuses nothing by itself: a seal can stand in its place, and what a gateway
//! relays cannot have kept its signature whole. Whether somebody answers for the bytes is the next check's.

use truc_directory as directory;
use truc_envelope::dsig::{DsigPolicy, DsigVerdict, Sha1Policy, verify_from};
use truc_envelope::{Packet, SignaturePresence};
use truc_model::{Refusal, RefusalCode, SignatureState, refusal::Place};

use super::{Examination, Next};

/// See the module.
pub fn check(e: &mut Examination<'_>) -> Next {
    let (Some(system), Some(Packet::Document(document))) = (
        e.system.as_ref(),
        e.reading.as_ref().map(|reading| &reading.packet),
    ) else {
        return Next::Continue;
    };
    if document.signature != SignaturePresence::XmlDsig {
        return Next::Continue;
    }
    let bound = e.rules.certificates_of(system);
    let asked = e
        .rules
        .directory
        .system(system)
        .map(|known| known.policy.xml_sha1);
    let policy = DsigPolicy {
        limits: e.limits(),
        sha1: match asked.unwrap_or_default() {
            directory::Sha1Policy::Refuse => Sha1Policy::Refused,
            directory::Sha1Policy::Allow => Sha1Policy::Allowed,
        },
    };
    let source = e.received.source();
    let verdict = match verify_from(source, &policy, &e.rules.trust, e.received.received_at, bound) {
        Ok(verdict) => verdict,
        Err(error) => {
            e.unreadable = Some(error);
            return Next::Stop;
        }
    };
    match verdict {
        DsigVerdict::Valid(valid) if bound.iter().any(|known| known.thumbprint() == valid.thumbprint()) => {
            e.xml = DsigVerdict::Valid(valid).into();
        }
        DsigVerdict::Valid(valid) => {
            // A good signature of a stranger to this system says nothing about this system.
            e.xml = SignatureState::Invalid {
                reason: RefusalCode::CertificateUnknown.as_str().to_owned(),
            };
            e.xml_flaw = Some(Refusal::new(
                RefusalCode::XmlSignatureInvalid,
                Place::certificate("SHA-256"),
                "a certificate registered for this system",
                valid.thumbprint().to_string(),
            ));
        }
        DsigVerdict::Invalid(flaw) => {
            let found = format!("{}: {}", flaw.reason, flaw.found);
            e.xml_flaw = Some(Refusal::new(
                RefusalCode::XmlSignatureInvalid,
                flaw.place.clone(),
                flaw.expected.clone(),
                found,
            ));
            e.xml = DsigVerdict::Invalid(flaw).into();
        }
        DsigVerdict::Absent { .. } => {}
    }
    Next::Continue
}
