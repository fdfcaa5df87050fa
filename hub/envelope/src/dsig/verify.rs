//! The judgement: form, algorithms, digest, signature, certificate, in this order.

use std::io;

use jiff::Timestamp;
use ring::digest;
use rustls_pki_types::CertificateDer;
use truc_model::{Place, Refusal, RefusalCode};

use super::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use super::canonical::{self, Observer, Sink};
use super::events::Events;
use super::flaw::Flaw;
use super::search::{self, Found, misplaced_after};
use super::signature::Signature;
use super::text::{Mark, Text, mentions};
use super::verdict::{AbsentReason, DsigReason, DsigVerdict, InvalidDsig, ValidDsig};
use super::{MAX_CERTIFICATES, NS_DSIG};
use crate::limits::Limits;
use crate::seal::{BoundCertificate, KeyKind, Trust};
use crate::source::PacketSource;

/// What the operator decides about XML signatures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DsigPolicy {
    /// Whether SHA-1 will do.
    pub sha1: Sha1Policy,
    /// The reader's limits.
    pub limits: Limits,
}

/// Whether SHA-1 will do, as digest or in an RSA signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sha1Policy {
    /// No.
    #[default]
    Refused,
    /// Yes, for a system that cannot do better; the verdict says so.
    Allowed,
}

/// Judges the packet's XML signature as of the moment `at`. The key is that of a certificate in `KeyInfo`.
///
/// Never panics, whatever the bytes. Memory: the packet, which is borrowed, and some tens of kilobytes.
#[must_use]
pub fn verify(packet: &[u8], policy: &DsigPolicy, trust: &Trust, at: Timestamp) -> DsigVerdict {
    verify_with_candidates(packet, policy, trust, at, &[])
}

/// [`verify`], where the signer's certificate may also be one of `bound`, those that the directory
/// binds to the system: signers that leave their certificate out of `KeyInfo` can be judged then.
#[must_use]
pub fn verify_with_candidates(
    packet: &[u8],
    policy: &DsigPolicy,
    trust: &Trust,
    at: Timestamp,
    bound: &[BoundCertificate],
) -> DsigVerdict {
    verify_from(&packet, policy, trust, at, bound).unwrap_or_else(|_| {
        // Bytes in memory can always be read.
        DsigVerdict::Invalid(Box::new(InvalidDsig {
            reason: DsigReason::NotXml,
            place: Place::Message,
            expected: "a packet that can be read".to_owned(),
            found: "another".to_owned(),
        }))
    })
}

/// [`verify_with_candidates`] of a packet where it lies. Memory: some hundred kilobytes, however large it is; it is
/// walked over up to four times (is it text, where is the signature, what is its digest, on which line is a flaw).
///
/// # Errors
/// When the source cannot be read: then nothing is said about the signature.
pub fn verify_from(
    source: &dyn PacketSource,
    policy: &DsigPolicy,
    trust: &Trust,
    at: Timestamp,
    bound: &[BoundCertificate],
) -> io::Result<DsigVerdict> {
    let limits = &policy.limits;
    let judged = match Text::open(source, Mark::Skipped, limits)? {
        Err(flaw) => Err(flaw),
        Ok(text) => {
            let found = search::find(&text, limits);
            text.failure()?;
            let judged = match found {
                Ok(Found::Absent(why)) => Ok(DsigVerdict::Absent { why }),
                Ok(Found::Signature(signature)) => judge(&text, &signature, policy, trust, at, bound),
                Err(flaw) => unsigned(source, flaw)?,
            };
            text.failure()?;
            judged
        }
    };
    match judged {
        Ok(verdict) => Ok(verdict),
        Err(flaw) => Ok(DsigVerdict::Invalid(Box::new(flaw.resolve(source)?))),
    }
}

/// What has no signature is not judged by a signature's rules: the reader forgives more. But it must have nothing
/// that a forgiving reader could take for an XML signature: the namespace's name, or a prefix that is declared
/// nowhere.
fn unsigned(source: &dyn PacketSource, flaw: Flaw) -> io::Result<Result<DsigVerdict, Flaw>> {
    if flaw.reason == DsigReason::Misplaced {
        return Ok(Err(flaw));
    }
    let words: [&[u8]; 3] = [b"xmldsig", b":Signature", b"Signature>"];
    Ok(match mentions(source, words)? {
        [false, false, looks_signed] => Ok(DsigVerdict::Absent {
            why: if looks_signed {
                AbsentReason::EdxmlNamespace
            } else {
                AbsentReason::None
            },
        }),
        _ => Err(flaw),
    })
}

fn judge(
    text: &Text<'_>,
    signature: &Signature,
    policy: &DsigPolicy,
    trust: &Trust,
    at: Timestamp,
    bound: &[BoundCertificate],
) -> Result<DsigVerdict, Flaw> {
    check_sha1(signature, policy)?;
    check_digest(text, signature, &policy.limits)?;
    let signed = signed_info(text, signature, &policy.limits)?;
    let signer = signer(signature, &signed, trust, at, bound)?;
    Ok(DsigVerdict::Valid(Box::new(ValidDsig {
        algorithm: signature.algorithm,
        canonicalization: signature.document.algorithm,
        digest: signature.digest_algorithm,
        thumbprint: signer.thumbprint(),
        signer: signer
            .subject_cn()
            .map_or_else(|| format!("serial {}", signer.serial()), str::to_owned),
    })))
}

fn check_sha1(signature: &Signature, policy: &DsigPolicy) -> Result<(), Flaw> {
    if policy.sha1 == Sha1Policy::Allowed {
        return Ok(());
    }
    let refuse = |path: &str, at| {
        let path = format!("{SIGNATURE_PATH}/SignedInfo/{path}");
        Err(Flaw::on(DsigReason::Sha1, path, at, "SHA-256 or better", "SHA-1"))
    };
    if signature.algorithm == SignatureAlgorithm::RsaSha1 {
        return refuse("SignatureMethod", signature.algorithm_at);
    }
    if signature.digest_algorithm == DigestAlgorithm::Sha1 {
        return refuse("Reference/DigestMethod", signature.digest_algorithm_at);
    }
    Ok(())
}

/// Short for wherever it stands: there is only one.
const SIGNATURE_PATH: &str = "edXMLHeader/Signature";

fn check_digest(text: &Text<'_>, signature: &Signature, limits: &Limits) -> Result<(), Flaw> {
    let mut digest = Digest::new(signature.digest_algorithm);
    let mut events = Events::document(text, limits);
    let mut strangers = Strangers { flaw: None };
    canonical::document(
        &mut events,
        Some(&signature.range),
        &signature.document.method(),
        &mut strangers,
        &mut digest,
    )
    .map_err(|fault| Flaw::of_fault(fault, &events))?;
    if let Some(flaw) = strangers.flaw {
        return Err(flaw);
    }
    let found = digest.finish();
    if found.as_ref() == signature.digest {
        return Ok(());
    }
    Err(Flaw::on(
        DsigReason::Digest,
        format!("{SIGNATURE_PATH}/SignedInfo/Reference/DigestValue"),
        signature.digest_at,
        format!("{} {}", signature.digest_algorithm, hexadecimal(found.as_ref())),
        hexadecimal(&signature.digest),
    ))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Looks out for parts of signatures outside the one that counts.
struct Strangers {
    flaw: Option<Flaw>,
}

impl Observer for Strangers {
    fn start(&mut self, events: &Events<'_>, at: usize) {
        if self.flaw.is_none() && events.namespace() == NS_DSIG {
            self.flaw = Some(misplaced_after(events, at));
        }
    }
}

/// What was signed: `SignedInfo` in its canonical form.
pub(super) fn signed_info(text: &Text<'_>, signature: &Signature, limits: &Limits) -> Result<Vec<u8>, Flaw> {
    let mut signed = Vec::new();
    let mut events = Events::fragment(
        text,
        signature.signed_info.clone(),
        signature.scope.clone(),
        limits,
    );
    canonical::element(
        &mut events,
        &signature.inherited,
        &signature.canonicalization.method(),
        &mut signed,
    )
    .map_err(|fault| Flaw::of_fault(fault, &events))?;
    Ok(signed)
}

/// The certificate whose key made the signature, and that is trusted.
fn signer(
    signature: &Signature,
    signed: &[u8],
    trust: &Trust,
    at: Timestamp,
    bound: &[BoundCertificate],
) -> Result<BoundCertificate, Flaw> {
    let candidates = candidates(signature, bound)?;
    let algorithm = signature.algorithm;
    let fitting: Vec<&BoundCertificate> = candidates
        .iter()
        .filter(|candidate| algorithm.fits(candidate.key_kind()))
        .collect();
    if fitting.is_empty() {
        let found = candidates
            .first()
            .map_or_else(String::new, |c| c.key_kind().to_string());
        let path = format!("{SIGNATURE_PATH}/SignedInfo/SignatureMethod");
        let expected = format!("a key for {algorithm}");
        return Err(Flaw::on(
            DsigReason::KeyKind,
            path,
            signature.algorithm_at,
            expected,
            found,
        ));
    }
    let mut refused = None;
    for certificate in &fitting {
        let kind = certificate.key_kind();
        if !is_strong(kind) || !algorithm.verify(kind, certificate.public_key(), signed, &signature.value) {
            continue;
        }
        match trust.check_chain(certificate, at, at) {
            Ok(()) => return Ok((*certificate).clone()),
            Err(refusal) => {
                refused.get_or_insert(refusal);
            }
        }
    }
    // Nothing can be said about the signature of a key that is not accepted: the chain comes first,
    // then the key's own refusal.
    let weak = fitting.iter().find(|candidate| !is_strong(candidate.key_kind()));
    if let Some(refusal) = refused {
        return Err(Flaw::of_refusal(refusal));
    }
    if let Some(weak) = weak {
        let refusal = trust.check_chain(weak, at, at).err().unwrap_or_else(|| {
            Refusal::new(
                RefusalCode::CertificateWeakKey,
                Place::certificate("subjectPublicKeyInfo"),
                "RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519",
                weak.key_kind().to_string(),
            )
        });
        return Err(Flaw::of_refusal(refusal));
    }
    Err(Flaw::on(
        DsigReason::Signature,
        format!("{SIGNATURE_PATH}/SignatureValue"),
        signature.value_at,
        format!("{algorithm} by a certificate of the signature"),
        "one that does not verify",
    ))
}

const fn is_strong(kind: KeyKind) -> bool {
    matches!(kind, KeyKind::P384) || kind.is_strong()
}

/// Every certificate that may be the signer's, those of the signature first; each of these with the others
/// as intermediates.
fn candidates(signature: &Signature, bound: &[BoundCertificate]) -> Result<Vec<BoundCertificate>, Flaw> {
    debug_assert!(signature.certificates.len() <= MAX_CERTIFICATES);
    let ders: Vec<CertificateDer<'static>> = signature
        .certificates
        .iter()
        .map(|(der, _)| CertificateDer::from(der.clone()))
        .collect();
    let path = format!("{SIGNATURE_PATH}/KeyInfo/X509Data/X509Certificate");
    let mut found = Vec::new();
    for (index, der) in ders.iter().enumerate() {
        let certificate = BoundCertificate::from_der(der.clone()).map_err(|error| {
            Flaw::on(
                DsigReason::CertificateUnreadable,
                path.clone(),
                signature.certificates[index].1,
                "an X.509 certificate in DER",
                error.to_string(),
            )
        })?;
        let others = ders.iter().enumerate().filter(|(other, _)| *other != index);
        found.push(certificate.with_intermediates(others.map(|(_, der)| der.clone()).collect()));
    }
    for certificate in bound {
        if !found
            .iter()
            .any(|known| known.thumbprint() == certificate.thumbprint())
        {
            found.push(certificate.clone());
        }
    }
    if found.is_empty() {
        return Err(Flaw::on(
            DsigReason::CertificateMissing,
            path,
            signature.range.start,
            "the signer's certificate",
            "none",
        ));
    }
    Ok(found)
}

/// Canonical bytes gathered before they are digested, in bytes.
const BUFFER: usize = 8 * 1024;

/// A digest that is fed in small pieces.
pub(super) struct Digest {
    context: digest::Context,
    buffer: Vec<u8>,
}

impl Digest {
    pub(super) fn new(algorithm: DigestAlgorithm) -> Self {
        Self {
            context: digest::Context::new(algorithm.ring()),
            buffer: Vec::with_capacity(BUFFER),
        }
    }

    pub(super) fn finish(mut self) -> digest::Digest {
        self.context.update(&self.buffer);
        self.context.finish()
    }
}

impl Sink for Digest {
    fn take(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.context.update(&self.buffer);
            self.buffer.clear();
            if bytes.len() > BUFFER {
                self.context.update(bytes);
                return;
            }
        }
        self.buffer.extend_from_slice(bytes);
    }
}
