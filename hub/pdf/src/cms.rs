//! The signature itself: CMS `SignedData` (RFC 5652 §5), read as far as a PDF needs it.

use der::asn1::ObjectIdentifier;
use der::{Decode as _, Tag, TagNumber};
use jiff::Timestamp;
use truc_model::Sha256;
use truc_model::pdf::{Binding, Unchecked};

use crate::time;
use crate::tlv::{Cursor, Tlv};

/// `id-signedData`.
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// The attribute `messageDigest`.
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// The attribute `signingTime`.
const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
/// The attribute `signingCertificateV2` (RFC 5035).
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
/// SHA-256.
pub(crate) const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// Most certificates of one signature that are looked at; a chain has three or four.
pub(crate) const MAX_CERTIFICATES: usize = 32;
/// Most signed attributes; signers write four to seven.
pub(crate) const MAX_ATTRIBUTES: usize = 64;

/// A signature with one signer.
pub(crate) struct Cms<'a> {
    /// `eContentType`.
    pub(crate) content_type: ObjectIdentifier,
    /// `eContent`: absent in a detached signature.
    pub(crate) content: Option<&'a [u8]>,
    /// The certificates in it, each in DER, unread.
    pub(crate) certificates: Vec<&'a [u8]>,
    /// Who signed.
    pub(crate) sid: SignerId<'a>,
    /// `digestAlgorithm`.
    pub(crate) digest: ObjectIdentifier,
    /// `signedAttrs`, when there are any.
    pub(crate) attributes: Option<Attributes<'a>>,
    /// `signatureAlgorithm`.
    pub(crate) algorithm: Algorithm<'a>,
    /// `signature`.
    pub(crate) signature: &'a [u8],
}

/// How a signature names its signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignerId<'a> {
    /// Issuer (DER) and serial number (content of the INTEGER).
    Issued {
        /// The issuer's name in DER.
        issuer: &'a [u8],
        /// The serial number, big-endian with its sign.
        serial: &'a [u8],
    },
    /// The certificate's subject key identifier.
    Key(&'a [u8]),
}

/// An algorithm with its parameters, in DER.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Algorithm<'a> {
    pub(crate) oid: ObjectIdentifier,
    pub(crate) parameters: Option<Tlv<'a>>,
}

/// `signedAttrs`.
pub(crate) struct Attributes<'a> {
    raw: &'a [u8],
    /// Type and the SET of values.
    all: Vec<(ObjectIdentifier, Tlv<'a>)>,
}

impl<'a> Cms<'a> {
    /// Reads `Contents`: one `ContentInfo`, and after it nothing but the zeros that fill the space reserved.
    ///
    /// # Errors
    /// [`Unchecked`]: `Form` when it is not that, `Signers` when it does not have exactly one signer.
    pub(crate) fn read(contents: &'a [u8]) -> Result<Self, Unchecked> {
        let info = Tlv::first(contents).ok_or(Unchecked::Form)?;
        if contents[info.raw.len()..].iter().any(|byte| *byte != 0) {
            return Err(Unchecked::Form);
        }
        let (mut head, signers) = Self::signed_data(info).ok_or(Unchecked::Form)?;
        let [signer] = signers.as_slice() else {
            return Err(Unchecked::Signers);
        };
        head.signer_info(*signer).ok_or(Unchecked::Form)?;
        Ok(head)
    }

    /// All but the signer, and the first two `SignerInfo`s.
    fn signed_data(info: Tlv<'a>) -> Option<(Self, Vec<Tlv<'a>>)> {
        let mut info = sequence(info)?;
        if oid(info.next()?)? != SIGNED_DATA {
            return None;
        }
        let data = info.expect(Tlv::context(TagNumber::N0))?;
        let mut data = sequence(data.inside()?.next()?)?;
        let _version = data.expect(Tag::Integer)?;
        let _digests = data.expect(Tag::Set)?;
        let mut encapsulated = sequence(data.next()?)?;
        let content_type = oid(encapsulated.next()?)?;
        let content = match encapsulated.optional(Tlv::context(TagNumber::N0)) {
            Some(explicit) => Some(explicit.inside()?.expect(Tag::OctetString)?.value),
            None => None,
        };
        let mut certificates = Vec::new();
        if let Some(set) = data.optional(Tlv::context(TagNumber::N0)) {
            let mut set = set.inside()?;
            while !set.is_finished() && certificates.len() < MAX_CERTIFICATES {
                certificates.push(set.next()?.raw);
            }
        }
        let _revocations = data.optional(Tlv::context(TagNumber::N1));
        let mut set = data.expect(Tag::Set)?.inside()?;
        let mut signers = Vec::new();
        while !set.is_finished() && signers.len() < 2 {
            signers.push(set.next()?);
        }
        let head = Self {
            content_type,
            content,
            certificates,
            sid: SignerId::Key(&[]),
            digest: SHA256,
            attributes: None,
            algorithm: Algorithm {
                oid: SHA256,
                parameters: None,
            },
            signature: &[],
        };
        Some((head, signers))
    }

    fn signer_info(&mut self, signer: Tlv<'a>) -> Option<()> {
        let mut signer = sequence(signer)?;
        let _version = signer.expect(Tag::Integer)?;
        let sid = signer.next()?;
        self.sid = match sid.tag {
            Tag::Sequence => {
                let mut issued = sid.inside()?;
                SignerId::Issued {
                    issuer: issued.expect(Tag::Sequence)?.raw,
                    serial: issued.expect(Tag::Integer)?.value,
                }
            }
            Tag::ContextSpecific {
                constructed: false,
                number: TagNumber::N0,
            } => SignerId::Key(sid.value),
            _ => return None,
        };
        self.digest = Algorithm::of(signer.next()?)?.oid;
        if let Some(attributes) = signer.optional(Tlv::context(TagNumber::N0)) {
            self.attributes = Some(Attributes::of(attributes)?);
        }
        self.algorithm = Algorithm::of(signer.next()?)?;
        self.signature = signer.expect(Tag::OctetString)?.value;
        Some(())
    }

    /// `messageDigest`.
    pub(crate) fn message_digest(&self) -> Option<&'a [u8]> {
        let value = self.attributes.as_ref()?.single(MESSAGE_DIGEST)?;
        (value.tag == Tag::OctetString).then_some(value.value)
    }

    /// `signingTime`: the signer's claim.
    pub(crate) fn signed_at(&self) -> Option<Timestamp> {
        let value = self.attributes.as_ref()?.single(SIGNING_TIME)?;
        match value.tag {
            Tag::UtcTime => time::utc(value.value),
            Tag::GeneralizedTime => time::generalized(value.value),
            _ => None,
        }
    }

    /// Whether `signingCertificateV2` names the certificate with this digest.
    pub(crate) fn binding(&self, certificate: Sha256) -> Binding {
        let named = self
            .attributes
            .as_ref()
            .and_then(|attributes| attributes.single(SIGNING_CERTIFICATE))
            .and_then(first_certificate);
        match named {
            Some(digest) if digest == certificate.as_bytes() => Binding::Bound,
            Some(_) => Binding::Other,
            None => Binding::Absent,
        }
    }
}

/// The digest of the first certificate that the attribute names, when it is SHA-256 (which is the default).
fn first_certificate(attribute: Tlv<'_>) -> Option<&[u8]> {
    let mut list = sequence(sequence(attribute)?.next()?)?;
    let mut id = sequence(list.next()?)?;
    if let Some(algorithm) = id.optional(Tag::Sequence)
        && Algorithm::of(algorithm)?.oid != SHA256
    {
        return None;
    }
    Some(id.expect(Tag::OctetString)?.value)
}

impl<'a> Attributes<'a> {
    fn of(tlv: Tlv<'a>) -> Option<Self> {
        let mut set = tlv.inside()?;
        let mut all = Vec::new();
        while !set.is_finished() {
            if all.len() == MAX_ATTRIBUTES {
                return None;
            }
            let mut attribute = sequence(set.next()?)?;
            all.push((oid(attribute.next()?)?, attribute.expect(Tag::Set)?));
        }
        Some(Self { raw: tlv.raw, all })
    }

    /// What is signed: the attributes as they came, under the tag SET (RFC 5652 §5.4).
    pub(crate) fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = self.raw.to_vec();
        bytes[0] = 0x31;
        bytes
    }

    /// The only value of the only attribute of a type.
    pub(crate) fn single(&self, kind: ObjectIdentifier) -> Option<Tlv<'a>> {
        let mut of_kind = self.all.iter().filter(|(oid, _)| *oid == kind);
        let (_, values) = of_kind.next()?;
        let mut values = values.inside()?;
        let value = values.next()?;
        (of_kind.next().is_none() && values.is_finished()).then_some(value)
    }
}

impl<'a> Algorithm<'a> {
    /// Reads an `AlgorithmIdentifier`.
    pub(crate) fn of(tlv: Tlv<'a>) -> Option<Self> {
        let mut inside = sequence(tlv)?;
        let oid = oid(inside.next()?)?;
        let parameters = if inside.is_finished() {
            None
        } else {
            Some(inside.next()?)
        };
        Some(Self { oid, parameters })
    }
}

/// Into a SEQUENCE.
pub(crate) fn sequence(tlv: Tlv<'_>) -> Option<Cursor<'_>> {
    if tlv.tag == Tag::Sequence {
        tlv.inside()
    } else {
        None
    }
}

/// An OBJECT IDENTIFIER.
pub(crate) fn oid(tlv: Tlv<'_>) -> Option<ObjectIdentifier> {
    ObjectIdentifier::from_der(tlv.raw).ok()
}
