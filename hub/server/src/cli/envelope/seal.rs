//! `truc envelope seal` and `verify`: the header `truc-seal` by hand, to try an adapter against.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use truc_envelope::seal::{self, BoundCertificate, Claims, Expected, SealingKey, Tolerance};
use truc_model::{MessageId, Sha256, SystemId};

use super::super::Context;
use super::super::answer::{Answer, Exit, Trouble};
use super::super::show::{Facts, moment, or_none};
use super::super::words;
use crate::app;

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

/// Options of `truc envelope verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyOptions {
    /// The seal: the header's value
    #[arg(
        long,
        value_name = "VALUE",
        required_unless_present = "seal_file",
        conflicts_with = "seal_file"
    )]
    pub seal: Option<String>,
    /// A file with the seal
    #[arg(long, value_name = "FILE")]
    pub seal_file: Option<PathBuf>,
    /// Certificates bound to the system, PEM
    #[arg(long, value_name = "PEM", required = true)]
    pub cert: Vec<PathBuf>,
    /// Trust anchors, PEM; without any those of the configuration
    #[arg(long, value_name = "PEM")]
    pub anchors: Vec<PathBuf>,
    /// Revocation lists, PEM or DER; without any those of the configuration
    #[arg(long, value_name = "FILE")]
    pub crl: Vec<PathBuf>,
    /// The system that submitted
    #[arg(long, value_name = "ID")]
    pub system: SystemId,
    /// The AMQP message_id
    #[arg(long, value_name = "UUID")]
    pub message_id: MessageId,
    /// As if the hub received it at this moment (Viet Nam time, or with an offset); default now
    #[arg(long, value_name = "TIME", value_parser = words::since)]
    pub at: Option<jiff::Timestamp>,
    /// The packet
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
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
    let body = super::read(&options.file)?;
    let claims = Claims {
        iss: options.system.clone(),
        jti: options.message_id,
        iat: context.clock.now(),
        sha256: Sha256::of(&body),
        size: body.len() as u64,
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

/// Verifies a seal as the hub would.
///
/// # Errors
/// [`Trouble`] when a file cannot be read.
pub(super) fn verify(context: &Context, options: &VerifyOptions) -> Result<Answer, Trouble> {
    let mut config = context.config()?;
    if !options.anchors.is_empty() {
        config.seal.anchors.clone_from(&options.anchors);
    }
    if !options.crl.is_empty() {
        config.seal.crls.clone_from(&options.crl);
    }
    if config.seal.anchors.is_empty() {
        return Err(Trouble::new(
            "there are no trust anchors",
            "name them with --anchors, or in seal.anchors",
        ));
    }
    let trust = app::trust(&config)?;
    let mut bound = Vec::with_capacity(options.cert.len());
    for path in &options.cert {
        let certificate = BoundCertificate::from_pem(&words::read_text(path)?).map_err(|error| {
            Trouble::of(&error, format!("{} must be a certificate in PEM", path.display()))
        })?;
        bound.push(certificate);
    }
    let value = match (&options.seal, &options.seal_file) {
        (Some(value), _) => value.clone(),
        (None, Some(file)) => words::read_text(file)?,
        // clap asks for one of the two.
        (None, None) => String::new(),
    };
    let body = super::read(&options.file)?;
    let expected = Expected {
        system: &options.system,
        message_id: options.message_id,
        sha256: Sha256::of(&body),
        size: body.len() as u64,
        now: options.at.unwrap_or_else(|| context.clock.now()),
        tolerance: Tolerance {
            max_ahead: Duration::from_secs(config.seal.max_ahead_s.into()),
            max_age: Duration::from_secs(u64::from(config.seal.max_age_days) * 24 * 60 * 60),
        },
    };
    match seal::verify(value.trim(), &expected, &bound, &trust) {
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
