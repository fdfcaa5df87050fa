//! One file of the corpus: a message as it reached the hub, what the hub knew, and what it must say.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use truc_envelope::seal::{
    BoundCertificate, CrlPolicy, Expected, MissingCrl, StaleCrl, Tolerance, Trust, verify,
};
use truc_model::{MessageId, Sha256, SystemId};

/// Files are named as in `pki/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What is tried, and what an honest hub must make of it.
    pub(crate) what: String,
    /// The refusal's code; `valid` in a control.
    pub(crate) expected: String,
    /// The refusal's place; empty in a control.
    pub(crate) place: String,
    /// The hub's clock.
    pub(crate) now: Timestamp,
    /// The system that submits, as the broker vouches for it.
    pub(crate) system: SystemId,
    /// The AMQP `message_id`.
    pub(crate) message_id: MessageId,
    /// The message's body.
    pub(crate) body: String,
    /// The header `truc-seal`.
    pub(crate) seal: String,
    /// Certificates bound to the system.
    pub(crate) bound: Vec<String>,
    /// Trust anchors.
    pub(crate) anchors: Vec<String>,
    /// Revocation lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) crls: Vec<String>,
    /// Whether a stale list refuses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) refuse_stale_crl: bool,
    /// Whether a missing list refuses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) refuse_missing_crl: bool,
}

impl Case {
    /// Code and place of the refusal, or `valid` and nothing.
    pub(crate) fn judge(&self) -> (String, String) {
        let bound: Vec<BoundCertificate> = self
            .bound
            .iter()
            .map(|name| BoundCertificate::from_pem(&file(name)).unwrap_or_else(|e| panic!("{name}: {e}")))
            .collect();
        let files = |names: &[String]| names.iter().map(|name| file(name)).collect::<Vec<_>>();
        let trust = Trust::new(&files(&self.anchors))
            .and_then(|trust| trust.with_crls(&files(&self.crls)))
            .unwrap()
            .with_crl_policy(CrlPolicy {
                missing: if self.refuse_missing_crl {
                    MissingCrl::Refuse
                } else {
                    MissingCrl::Accept
                },
                stale: if self.refuse_stale_crl {
                    StaleCrl::Refuse
                } else {
                    StaleCrl::Use
                },
            });
        let expected = Expected {
            system: &self.system,
            message_id: self.message_id,
            sha256: Sha256::of(self.body.as_bytes()),
            size: self.body.len() as u64,
            now: self.now,
            tolerance: Tolerance::default(),
        };
        match verify(&self.seal, &expected, &bound, &trust) {
            Ok(_) => (super::VALID.to_owned(), String::new()),
            Err(refusal) => (refusal.code.to_string(), refusal.place.to_string()),
        }
    }
}

/// The corpus.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/documents/attacks/seal")
}

fn file(name: &str) -> String {
    let path = folder().join("pki").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
