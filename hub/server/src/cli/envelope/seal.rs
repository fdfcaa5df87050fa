//! `truc envelope seal`, and `verify` of a seal: the header `truc-seal` by hand, to try an adapter against.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use truc_envelope::seal::{self, BoundCertificate, Claims, Expected, SealingKey, Tolerance, Trust};
use truc_envelope::{PacketSource as _, sha256_of};
use truc_model::{MessageId, Sha256, SystemId};

use super::super::Context;
use super::super::answer::{Answer, Exit, Trouble};
use super::super::show::{Facts, moment, or_none};
use super::super::words;
use super::packet_file::PacketFile;
use crate::config::Config;

/// Options of `truc envelope seal`.
#[derive(Debug, Clone, Args)]
pub struct SealOptions {
    /// Private key, PEM (PKCS#8)
    #[arg(long, value_name = "PEM")]
    pub key: PathBuf,
    /// Its certificate, PEM, intermediates after it
    #[arg(long, value_name = "PEM")]
    pub cert: PathBuf,
    /// The system that submits
    #[arg(long, value_name = "ID")]
    pub system: SystemId,
    /// The AMQP message_id it will be sent under
    #[arg(long, value_name = "UUID")]
    pub message_id: MessageId,
    /// The packet
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// A seal with everything it is compared with.
pub(super) struct Sealed<'a> {
    pub(super) value: &'a str,
    pub(super) system: &'a SystemId,
    pub(super) message_id: MessageId,
    /// Files with the certificates bound to the system.
    pub(super) certificates: &'a [PathBuf],
    pub(super) packet: &'a PacketFile,
    /// Where the packet is.
    pub(super) path: &'a Path,
    pub(super) now: jiff::Timestamp,
}

/// Makes a seal; the answer is the header's value and nothing else.
///
/// # Errors
/// [`Trouble`] when a file cannot be read, or key and certificate do not fit.
pub(super) fn seal(context: &Context, options: &SealOptions) -> Result<Answer, Trouble> {
    let key = SealingKey::from_pem(
        &words::read_text(&options.key)?,
        &words::read_text(&options.cert)?,
    )
    .map_err(|error| {
        Trouble::of(
            &error,
            "give the key (PKCS#8 PEM) and the certificate that belongs to it",
        )
    })?;
    let packet = PacketFile::open(&options.file)?;
    let (sha256, size) = measure(&packet, &options.file)?;
    let claims = Claims {
        iss: options.system.clone(),
        jti: options.message_id,
        iat: context.clock.now(),
        sha256,
        size,
    };
    let value = seal::make(&key, &claims)
        .map_err(|error| Trouble::of(&error, "check the key with another tool, such as openssl"))?;
    let json = json!({
        "header": truc_model::wire::header::SEAL,
        "seal": value,
        "algorithm": key.algorithm().to_string(),
        "certificate": key.thumbprint(),
        "sha256": claims.sha256,
        "size": claims.size,
        "sealed_at": claims.iat,
    });
    Answer::fine(value, &json)
}

/// What a seal says of the bytes.
fn measure(packet: &PacketFile, path: &Path) -> Result<(Sha256, u64), Trouble> {
    let measured = sha256_of(packet).and_then(|sha256| Ok((sha256, packet.size()?)));
    measured.map_err(|error| Trouble::reading(path, &error))
}

/// Verifies a seal as the hub would.
///
/// # Errors
/// [`Trouble`] when a file cannot be read.
pub(super) fn verify(sealed: &Sealed<'_>, config: &Config, trust: &Trust) -> Result<Answer, Trouble> {
    let mut bound = Vec::with_capacity(sealed.certificates.len());
    for path in sealed.certificates {
        let certificate = BoundCertificate::from_pem(&words::read_text(path)?).map_err(|error| {
            Trouble::of(&error, format!("{} must be a certificate in PEM", path.display()))
        })?;
        bound.push(certificate);
    }
    let (sha256, size) = measure(sealed.packet, sealed.path)?;
    let expected = Expected {
        system: sealed.system,
        message_id: sealed.message_id,
        sha256,
        size,
        now: sealed.now,
        tolerance: Tolerance {
            max_ahead: Duration::from_secs(config.seal.max_ahead_s.into()),
            max_age: Duration::from_secs(u64::from(config.seal.max_age_days) * 24 * 60 * 60),
        },
    };
    match seal::verify(sealed.value, &expected, &bound, trust) {
        Ok(valid) => {
            let mut facts = Facts::default();
            facts.add("Người niêm", valid.signer());
            facts.add("Lúc", moment(valid.signed_at()));
            facts.add("Thuật toán", valid.algorithm().to_string());
            facts.add("Chứng thư", valid.thumbprint().to_string());
            let text = format!("Dấu niêm HỢP LỆ.\n{}", facts.text());
            Answer::fine(
                text,
                &json!({ "valid": true, "seal": truc_model::SignatureState::from(valid) }),
            )
        }
        Err(refusal) => {
            let (vi, en) = refusal.code.sentences();
            let mut facts = Facts::default();
            facts.add("Ở", refusal.place.to_string());
            facts.add("Cần", refusal.expected.as_str());
            facts.add(
                "Gặp",
                or_none(Some(refusal.found.as_str()).filter(|found| !found.is_empty())),
            );
            facts.add("Ai xử lý", refusal.code.actor().labels().0);
            facts.add("Gửi lại", refusal.code.retry().sentences().0);
            let text = format!(
                "Dấu niêm KHÔNG hợp lệ: {}\n{vi}\n{en}\n\n{}",
                refusal.code,
                facts.text()
            );
            Answer::ending(
                Exit::Finding,
                text,
                &json!({ "valid": false, "refusal": refusal }),
            )
        }
    }
}
