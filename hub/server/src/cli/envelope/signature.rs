//! `truc envelope sign`, and `verify` without a seal: the XML signature inside a packet.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use truc_envelope::Limits;
use truc_envelope::dsig::{
    self, AbsentReason, Canonicalization, DsigPolicy, DsigReason, DsigVerdict, InvalidDsig, Sha1Policy,
    SignError, SignOptions, SignatureAlgorithm, SigningKey, Strength, ValidDsig,
};
use truc_envelope::seal::Trust;
use truc_model::SignatureState;

use super::super::answer::{Answer, Exit, Trouble};
use super::super::show::{Facts, or_none};
use super::super::words;
use super::packet_file::{NewFile, PacketFile};

/// Options of `truc envelope sign`.
#[derive(Debug, Clone, Args)]
pub struct SignPacketOptions {
    /// Private key, PEM (PKCS#8): RSA, P-256, P-384 or Ed25519
    #[arg(long, value_name = "PEM")]
    pub key: PathBuf,
    /// Its certificate, PEM, intermediates after it
    #[arg(long, value_name = "PEM")]
    pub cert: PathBuf,
    /// For RSA keys: sign with PSS instead of PKCS#1 v1.5
    #[arg(long)]
    pub pss: bool,
    /// How the packet is written before it is digested
    #[arg(long, value_enum, default_value = "exclusive")]
    pub canonicalization: Form,
    /// Write the signed packet to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The packet, without a signature
    #[arg(value_name = "PACKET")]
    pub file: PathBuf,
}

/// A canonicalisation by a short word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Exclusive XML Canonicalization 1.0
    Exclusive,
    /// Canonical XML 1.0
    Inclusive,
}

/// Signs a packet.
///
/// # Errors
/// [`Trouble`] when a file cannot be read or written, key and certificate do not fit, or the packet cannot
/// be signed.
pub(super) fn sign(options: &SignPacketOptions) -> Result<Answer, Trouble> {
    let mut key = SigningKey::from_pem(
        &words::read_text(&options.key)?,
        &words::read_text(&options.cert)?,
    )
    .map_err(|error| {
        Trouble::of(
            &error,
            "give the key (PKCS#8 PEM) and the certificate that belongs to it",
        )
    })?;
    if options.pss {
        key = key
            .with_algorithm(SignatureAlgorithm::RsaPssSha256)
            .map_err(|error| Trouble::of(&error, "leave --pss out: it is for RSA keys"))?;
    }
    let how = SignOptions {
        canonicalization: match options.canonicalization {
            Form::Exclusive => Canonicalization::Exclusive,
            Form::Inclusive => Canonicalization::Inclusive,
        },
        ..SignOptions::default()
    };
    let packet = PacketFile::open(&options.file)?;
    let facts = |size: u64| {
        json!({
            "algorithm": key.algorithm().as_str(),
            "canonicalization": how.canonicalization.as_str(),
            "digest": how.digest.as_str(),
            "certificate": key.certificate().thumbprint(),
            "size": size,
        })
    };
    if let Some(output) = &options.output {
        let writing = |error: io::Error| {
            Trouble::new(
                format!(
                    "cannot read {} or write {}: {error}",
                    options.file.display(),
                    output.display()
                ),
                "name a packet that can be read, and with --output a file that can be written",
            )
        };
        let mut file = NewFile::beside(output).map_err(writing)?;
        dsig::sign_from(&packet, &key, &how, &PacketFile::limits(), &mut file)
            .map_err(writing)?
            .map_err(unsignable)?;
        let size = file.keep().map_err(writing)?;
        let text = format!("Đã ký: {}", output.display());
        return Answer::fine(text, &facts(size));
    }
    let mut signed = Vec::new();
    // What is printed is held: what is too large for that is signed with --output.
    dsig::sign_from(&packet, &key, &how, &Limits::default(), &mut signed)
        .map_err(|error| Trouble::reading(&options.file, &error))?
        .map_err(unsignable)?;
    let mut facts = facts(signed.len() as u64);
    let text = String::from_utf8(signed)
        .map_err(|error| Trouble::of(&error, "report this as a defect of the program"))?;
    facts["packet"] = Value::from(text.as_str());
    // Printing adds the line end again; outside the root element it signs nothing.
    Answer::fine(text.trim_end_matches('\n'), &facts)
}

fn unsignable(error: SignError) -> Trouble {
    Trouble::of(
        &error,
        match error {
            SignError::Packet(DsigReason::Limit) => {
                "sign a packet within the limits; a large one only into a file, with --output"
            }
            _ => {
                "sign packets of the strict form that are not signed yet; truc envelope lint shows what is wrong"
            }
        },
    )
}

/// Judges the packet's XML signature.
///
/// # Errors
/// [`Trouble`] when the packet cannot be read, or there is no JSON form: a defect.
pub(super) fn verify(
    packet: &PacketFile,
    path: &Path,
    trust: &Trust,
    at: jiff::Timestamp,
    sha1: Sha1Policy,
) -> Result<Answer, Trouble> {
    let policy = DsigPolicy {
        sha1,
        limits: PacketFile::limits(),
    };
    let verdict =
        dsig::verify_from(packet, &policy, trust, at, &[]).map_err(|error| Trouble::reading(path, &error))?;
    let state = SignatureState::from(verdict.clone());
    let (exit, text, mut facts) = match &verdict {
        DsigVerdict::Valid(valid) => (Exit::Fine, valid_text(valid), valid_facts(valid)),
        DsigVerdict::Absent { why } => (
            Exit::Finding,
            absent_text(*why).to_owned(),
            json!({ "why": why.as_str() }),
        ),
        DsigVerdict::Invalid(invalid) => (
            Exit::Finding,
            invalid_text(invalid),
            json!({
                "place": invalid.place, "expected": invalid.expected, "found": invalid.found,
                "vi": invalid.reason.sentences().0, "en": invalid.reason.sentences().1,
            }),
        ),
    };
    facts["valid"] = Value::from(exit == Exit::Fine);
    facts["signature"] = json!(state);
    Answer::ending(exit, text, &facts)
}

fn valid_text(valid: &ValidDsig) -> String {
    let mut facts = Facts::default();
    facts.add("Người ký", valid.signer());
    facts.add("Thuật toán", valid.algorithm().as_str());
    facts.add("Giá trị băm", valid.digest().as_str());
    facts.add("Chuẩn hóa", valid.canonicalization().as_str());
    facts.add("Chứng thư", valid.thumbprint().to_string());
    if valid.strength() == Strength::LegacySha1 {
        facts.add("Lưu ý", "dùng SHA-1, thuật toán đã lỗi thời");
    }
    format!("Chữ ký XML HỢP LỆ: phủ toàn bộ gói tin.\n{}", facts.text())
}

fn valid_facts(valid: &ValidDsig) -> Value {
    json!({
        "digest": valid.digest().as_str(),
        "canonicalization": valid.canonicalization().as_str(),
        "strength": valid.strength().as_str(),
    })
}

const fn absent_text(why: AbsentReason) -> &'static str {
    match why {
        AbsentReason::None => "Gói tin KHÔNG CÓ chữ ký XML.",
        AbsentReason::EdxmlNamespace => {
            "Gói tin KHÔNG CÓ chữ ký XML: phần tử Signature nằm trong không gian tên của edXML, không phải của XML Signature."
        }
        AbsentReason::Empty => "Gói tin KHÔNG CÓ chữ ký XML: phần tử chữ ký rỗng.",
    }
}

fn invalid_text(invalid: &InvalidDsig) -> String {
    let (vi, en) = invalid.reason.sentences();
    let mut facts = Facts::default();
    facts.add("Ở", invalid.place.to_string());
    facts.add("Cần", invalid.expected.as_str());
    facts.add(
        "Gặp",
        or_none(Some(invalid.found.as_str()).filter(|found| !found.is_empty())),
    );
    format!(
        "Chữ ký XML KHÔNG hợp lệ: {}\n{vi}\n{en}\n\n{}",
        invalid.reason,
        facts.text()
    )
}
