//! Making a signature: one element, spliced into the packet's bytes, which stay as they are.

use std::fmt::Write as _;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::algorithm::{Canonicalization, DigestAlgorithm, ENVELOPED};
use super::canonical;
use super::events::Events;
use super::flaw::Flaw;
use super::key::SigningKey;
use super::search::{Found, find, header_end};
use super::signature::Written;
use super::text::{Mark, Text};
use super::verdict::{AbsentReason, DsigReason};
use super::verify::{Digest, signed_info};
use super::{NS_DSIG, NS_EXCLUSIVE};
use crate::limits::Limits;
use crate::source::{PacketSource, for_each_block};

/// How to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignOptions {
    /// How the packet and `SignedInfo` are written to be signed.
    pub canonicalization: Canonicalization,
    /// The packet's digest.
    pub digest: DigestAlgorithm,
    /// Of an exclusive canonicalisation: prefixes that are written wherever they are in scope; empty for
    /// the default namespace. At most [`super::MAX_PREFIXES`].
    pub prefixes: Vec<String>,
}

impl Default for SignOptions {
    /// Exclusive canonicalisation, which stays true when an envelope is put round the packet, and SHA-256.
    fn default() -> Self {
        Self {
            canonicalization: Canonicalization::Exclusive,
            digest: DigestAlgorithm::Sha256,
            prefixes: Vec::new(),
        }
    }
}

/// The packet was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Not XML to the letter, or beyond a limit: no signature over it would be accepted.
    #[error("expected a packet that a signature can cover: {0}")]
    Packet(DsigReason),
    /// It has a signature, or an element that looks like one.
    #[error("the packet already has a signature")]
    Signed,
    /// No `edXMLHeader` to put it into.
    #[error("expected edXML/edXMLEnvelope/edXMLHeader")]
    NoHeader,
    /// SHA-1, a prefix that is none, too many, or prefixes where the canonicalisation is not exclusive.
    #[error("expected options that the verifier accepts")]
    Options,
    /// ring refused to sign, which for a loaded key means that the system gave no randomness.
    #[error("the signature could not be made")]
    Signing,
}

/// Signs a packet (strict form, without signature): its bytes, with `Signature` as the last child of
/// `edXMLHeader`, in it the certificate and its intermediates.
///
/// RSA-PSS and ECDSA take randomness from the operating system (ring accepts no other); RSA PKCS#1 v1.5 and
/// Ed25519 give the same bytes each time.
///
/// # Errors
/// [`SignError`].
pub fn sign(packet: &[u8], key: &SigningKey, options: &SignOptions) -> Result<Vec<u8>, SignError> {
    let mut signed = Vec::new();
    sign_from(&packet, key, options, &Limits::default(), &mut signed)
        // Bytes in memory can always be read and written.
        .unwrap_or(Err(SignError::Packet(DsigReason::Limit)))
        .map(|()| signed)
}

/// [`sign`] of a packet where it lies, into a writer. Memory: some hundred kilobytes, however large it is. `limits` are
/// those of the readers that shall accept it. Nothing is written when it cannot be signed.
///
/// # Errors
/// When the source cannot be read or the writer fails; what was written by then is worthless. Inside, [`SignError`].
pub fn sign_from(
    source: &dyn PacketSource,
    key: &SigningKey,
    options: &SignOptions,
    limits: &Limits,
    out: &mut dyn io::Write,
) -> io::Result<Result<(), SignError>> {
    let (at, element) = match signature(source, key, options, limits)? {
        Ok(made) => made,
        Err(error) => return Ok(Err(error)),
    };
    let at = at as u64;
    for_each_block(source, 0, at, &mut |block| out.write_all(block))?;
    out.write_all(element.as_bytes())?;
    for_each_block(source, at, u64::MAX, &mut |block| out.write_all(block))?;
    Ok(Ok(()))
}

/// The element, and where it belongs.
fn signature(
    source: &dyn PacketSource,
    key: &SigningKey,
    options: &SignOptions,
    limits: &Limits,
) -> io::Result<Result<(usize, String), SignError>> {
    if let Err(error) = check(options) {
        return Ok(Err(error));
    }
    let refuse = |flaw: Flaw| SignError::Packet(flaw.reason);
    let unsigned = match Text::open(source, Mark::Kept, limits)? {
        Ok(unsigned) => unsigned,
        Err(flaw) => return Ok(Err(refuse(flaw))),
    };
    let prepared = prepare(&unsigned, options, limits);
    unsigned.failure()?;
    let (at, digest) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Err(error)),
    };
    let template = Spliced {
        source,
        at: at as u64,
        inserted: element(key, options, &digest, PLACEHOLDER).into_bytes(),
    };
    let message = match Text::open(&template, Mark::Kept, limits)? {
        Ok(text) => {
            let message = match find(&text, limits) {
                Ok(Found::Signature(signature)) => signed_info(&text, &signature, limits).map_err(refuse),
                _ => Err(SignError::Packet(DsigReason::Limit)),
            };
            text.failure()?;
            message
        }
        Err(flaw) => Err(refuse(flaw)),
    };
    Ok(message.and_then(|message| {
        let value = key.sign(&message).ok_or(SignError::Signing)?;
        Ok((at, element(key, options, &digest, &STANDARD.encode(value))))
    }))
}

/// Where the signature belongs, and the digest of the rest, in base64.
fn prepare(
    unsigned: &Text<'_>,
    options: &SignOptions,
    limits: &Limits,
) -> Result<(usize, String), SignError> {
    let refuse = |flaw: Flaw| SignError::Packet(flaw.reason);
    match find(unsigned, limits) {
        Ok(Found::Absent(AbsentReason::None)) => {}
        Ok(_) => return Err(SignError::Signed),
        Err(flaw) => return Err(refuse(flaw)),
    }
    let at = header_end(unsigned, limits)
        .map_err(refuse)?
        .ok_or(SignError::NoHeader)?;
    let written = Written {
        algorithm: options.canonicalization,
        prefixes: options.prefixes.clone(),
    };
    // What is outside `Signature` is already as it will be: the digest can be taken now.
    let mut digest = Digest::new(options.digest);
    let mut events = Events::document(unsigned, limits);
    canonical::document(&mut events, None, &written.method(), &mut (), &mut digest)
        .map_err(|_| SignError::Packet(DsigReason::NotXml))?;
    Ok((at, STANDARD.encode(digest.finish())))
}

/// A packet with something put into it.
struct Spliced<'s> {
    source: &'s dyn PacketSource,
    at: u64,
    inserted: Vec<u8>,
}

impl PacketSource for Spliced<'_> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.source.size()? + self.inserted.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inserted.len() as u64;
        if offset < self.at {
            let room = usize::try_from(self.at - offset).unwrap_or(usize::MAX);
            let room = room.min(buffer.len());
            self.source.read_at(offset, &mut buffer[..room])
        } else if offset - self.at < length {
            self.inserted.read_at(offset - self.at, buffer)
        } else {
            self.source.read_at(offset - length, buffer)
        }
    }
}

/// Stands for the value while `SignedInfo` is written; no part of what is signed.
const PLACEHOLDER: &str = "AAAA";

fn check(options: &SignOptions) -> Result<(), SignError> {
    let named = |prefix: &String| prefix.is_empty() || super::syntax::is_nc_name(prefix);
    let proper = options.digest != DigestAlgorithm::Sha1
        && options.prefixes.len() <= super::MAX_PREFIXES
        && options.prefixes.iter().all(named)
        && (options.prefixes.is_empty() || options.canonicalization.is_exclusive());
    if proper { Ok(()) } else { Err(SignError::Options) }
}

/// Written without white space inside, so that no indentation is signed.
fn element(key: &SigningKey, options: &SignOptions, digest: &str, value: &str) -> String {
    let canonicalization = options.canonicalization.uri();
    let list = if options.prefixes.is_empty() {
        String::new()
    } else {
        let tokens: Vec<&str> = options
            .prefixes
            .iter()
            .map(|prefix| {
                if prefix.is_empty() {
                    "#default"
                } else {
                    prefix.as_str()
                }
            })
            .collect();
        format!(
            "<ec:InclusiveNamespaces xmlns:ec=\"{NS_EXCLUSIVE}\" PrefixList=\"{}\"></ec:InclusiveNamespaces>",
            tokens.join(" ")
        )
    };
    let mut xml = format!(
        "<ds:Signature xmlns:ds=\"{NS_DSIG}\"><ds:SignedInfo>\
         <ds:CanonicalizationMethod Algorithm=\"{canonicalization}\">{list}</ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>\
         <ds:Reference URI=\"\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform>\
         <ds:Transform Algorithm=\"{canonicalization}\">{list}</ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{}\"></ds:DigestMethod>\
         <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>\
         <ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>",
        key.algorithm().uri(),
        options.digest.uri(),
    );
    let certificate = key.certificate();
    let chain =
        std::iter::once(certificate.der()).chain(certificate.intermediates().iter().map(AsRef::as_ref));
    for der in chain.take(super::MAX_CERTIFICATES) {
        // Writing to a String does not fail.
        let _ = write!(
            xml,
            "<ds:X509Certificate>{}</ds:X509Certificate>",
            STANDARD.encode(der)
        );
    }
    xml.push_str("</ds:X509Data></ds:KeyInfo></ds:Signature>");
    xml
}
