//! A time stamp over the whole document (`ETSI.RFC3161`): the signature of a time-stamping authority over a
//! `TSTInfo` (RFC 3161 §2.4.2), which holds the digest of the covered bytes.

use der::Tag;
use der::asn1::ObjectIdentifier;
use jiff::Timestamp;
use truc_model::pdf::{DigestState, Unchecked, ValueState};

use crate::cms::{Algorithm, Cms, sequence};
use crate::range::Covered;
use crate::signer::Signer;
use crate::time;
use crate::tlv::Tlv;
use crate::verify::{Checked, Hash, value};

/// `id-ct-TSTInfo`.
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

/// Checks a time stamp over the covered bytes, and takes over its time.
pub(crate) fn check(
    cms: &Cms<'_>,
    covered: &Covered<'_>,
    signer: Option<&Signer>,
    at: &mut Option<Timestamp>,
) -> Checked {
    let read = cms
        .content
        .filter(|_| cms.content_type == TST_INFO)
        .and_then(|content| Some((content, Info::read(content)?)));
    let (Some((content, info)), Some(attributes)) = (read, &cms.attributes) else {
        return Checked::neither(Unchecked::Form);
    };
    *at = info.at;
    let (imprint, hash) = match (Hash::of(info.hash), Hash::of(cms.digest)) {
        (Ok(imprint), Ok(hash)) => (imprint, hash),
        (Err(why), _) | (_, Err(why)) => return Checked::neither(why),
    };
    let digest = if covered.digest(imprint.algorithm()).as_ref() == info.imprint {
        DigestState::Intact
    } else {
        DigestState::Changed
    };
    let own = ring::digest::digest(hash.algorithm(), content);
    let (value, algorithm) = value(cms, &attributes.signed_bytes(), signer, hash);
    Checked {
        digest,
        // The authority's signature must be over this very content.
        value: if cms.message_digest() == Some(own.as_ref()) {
            value
        } else {
            ValueState::Broken
        },
        algorithm,
    }
}

/// What a time stamp says.
struct Info<'a> {
    hash: ObjectIdentifier,
    imprint: &'a [u8],
    at: Option<Timestamp>,
}

impl<'a> Info<'a> {
    fn read(content: &'a [u8]) -> Option<Self> {
        let mut info = sequence(Tlv::first(content)?)?;
        let _version = info.expect(Tag::Integer)?;
        let _policy = info.expect(Tag::ObjectIdentifier)?;
        let mut imprint = sequence(info.next()?)?;
        let hash = Algorithm::of(imprint.next()?)?.oid;
        let imprint = imprint.expect(Tag::OctetString)?.value;
        let _serial = info.expect(Tag::Integer)?;
        let at = time::generalized(info.expect(Tag::GeneralizedTime)?.value);
        Some(Self { hash, imprint, at })
    }
}
