//! What the tests of XML signatures share: authorities and keys that are the same at every run, a packet, and
//! signatures with any `SignedInfo` one likes.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "helpers of tests: a panic is the failure, and not every test uses all of them"
)]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use ring::signature::Ed25519KeyPair;
use truc_envelope::dsig::{
    Canonicalization, DsigPolicy, DsigVerdict, SignOptions, SigningKey, canonical_form, sign, verify,
};
use truc_envelope::seal::Trust;
use truc_envelope::{
    Attachment, Business, DocumentNumber, DocumentPacket, Limits, Organization, Promulgation, TraceHeader,
    write_document,
};
use truc_model::Sha256;

pub(crate) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
pub(crate) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(crate) const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
pub(crate) const ED25519: &str = "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519";

/// 2026-06-01T00:00:00Z: certificates are valid round it, verdicts are as of it.
pub(crate) const NOW: i64 = 1_780_272_000;
pub(crate) const DAY: i64 = 86_400;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// An Ed25519 key of which the name is the secret: the same at every run, and nobody's.
pub(crate) fn key(name: &str) -> KeyPair {
    KeyPair::try_from(pkcs8(name)).unwrap()
}

/// RFC 8410 §7: the seed in its wrapping.
pub(crate) fn pkcs8(name: &str) -> Vec<u8> {
    let mut der = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ];
    der.extend_from_slice(Sha256::of(format!("truc test key {name}").as_bytes()).as_bytes());
    der
}

/// An authority.
pub(crate) struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn root(name: &str) -> Self {
        Self::named(name, name)
    }

    /// A root whose key is not the one of its name.
    pub(crate) fn named(name: &str, key_name: &str) -> Self {
        let issuer = CertifiedIssuer::self_signed(ca_params(name), key(key_name)).unwrap();
        Self { issuer }
    }

    pub(crate) fn intermediate(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let issuer = CertifiedIssuer::signed_by(params, key(name), &self.issuer).unwrap();
        Self { issuer }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn leaf(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let key = key(name);
        let key_pem = key.serialize_pem();
        self.leaf_for(&key, key_pem, change)
    }

    pub(crate) fn leaf_for(
        &self,
        key: &impl rcgen::PublicKeyData,
        key_pem: String,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Leaf {
        let mut params = leaf_params();
        change(&mut params);
        let certificate = params.signed_by(key, &self.issuer).unwrap();
        Leaf {
            key_pem,
            certificate_pem: certificate.pem(),
            certificate: certificate.der().to_vec(),
        }
    }

    /// A list that revokes these serial numbers.
    pub(crate) fn crl(&self, serials: &[u64]) -> String {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let revoked_certs = serials
            .iter()
            .map(|serial| RevokedCertParams {
                serial_number: SerialNumber::from(*serial),
                revocation_time: epoch + seconds(NOW - DAY),
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
        CertificateRevocationListParams {
            this_update: epoch + seconds(NOW - DAY),
            next_update: epoch + seconds(NOW + DAY),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer)
        .unwrap()
        .pem()
        .unwrap()
    }

    /// As a signer, which it may not be.
    pub(crate) fn as_leaf(&self, name: &str) -> Leaf {
        Leaf {
            key_pem: key(name).serialize_pem(),
            certificate_pem: self.pem(),
            certificate: self.issuer.der().to_vec(),
        }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }
}

/// A key with its certificate.
pub(crate) struct Leaf {
    pub(crate) key_pem: String,
    pub(crate) certificate_pem: String,
    pub(crate) certificate: Vec<u8>,
}

impl Leaf {
    pub(crate) fn signing_key(&self) -> SigningKey {
        SigningKey::from_pem(&self.key_pem, &self.certificate_pem).unwrap()
    }

    /// A packet signed as the product signs.
    pub(crate) fn sign(&self, packet: &str) -> String {
        let signed = sign(packet.as_bytes(), &self.signing_key(), &SignOptions::default()).unwrap();
        String::from_utf8(signed).unwrap()
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(SerialNumber::from(1));
    validity(&mut params, -100, 100);
    params
}

fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Sở Tài nguyên và Môi trường");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    params.serial_number = Some(SerialNumber::from(7));
    validity(&mut params, -10, 10);
    params
}

/// Sets the validity, in days from [`NOW`]. (rcgen's kind of time is of a crate that is not among ours.)
pub(crate) fn validity(params: &mut CertificateParams, from: i64, until: i64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + seconds(NOW + from * DAY);
    params.not_after = epoch + seconds(NOW + until * DAY);
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap())
}

/// The verdict as of [`now`], with SHA-1 refused.
pub(crate) fn judge(packet: &str, trust: &Trust) -> DsigVerdict {
    verify(packet.as_bytes(), &DsigPolicy::default(), trust, now())
}

/// The verdict in one word.
pub(crate) fn word(verdict: &DsigVerdict) -> String {
    match verdict {
        DsigVerdict::Absent { why } => format!("absent {}", why.as_str()),
        DsigVerdict::Invalid(invalid) => invalid.reason.to_string(),
        DsigVerdict::Valid(_) => "valid".to_owned(),
    }
}

/// A document with one attachment.
pub(crate) fn packet() -> String {
    let file = b"%PDF-1.7\nb\xc3\xa1o c\xc3\xa1o";
    let document = DocumentPacket {
        from: Organization::new("000.00.09.H60", "Sở Tài nguyên và Môi trường"),
        to: vec![Organization::new("000.00.00.H60", "UBND tỉnh")],
        document_id: "000.00.09.H60,2026/05/20,1234/STNMT-VP".to_owned(),
        code: DocumentNumber::new("1234", "STNMT-VP"),
        promulgation: Promulgation {
            place: Some("Tuyên Quang".to_owned()),
            date: Some(jiff::civil::date(2026, 5, 20)),
        },
        subject: "V/v báo cáo <công tác> & kế hoạch".to_owned(),
        trace: vec![TraceHeader {
            organ_id: Some("000.00.09.H60".to_owned()),
            timestamp: Some(jiff::civil::date(2026, 5, 20).at(8, 0, 0, 0)),
        }],
        business: Business::default(),
        attachments: vec![Attachment::of(
            "file-1",
            "bao-cao.pdf",
            Some("application/pdf"),
            file,
        )],
        ..DocumentPacket::default()
    };
    String::from_utf8(write_document(&document, &[file])).unwrap()
}

/// The parts of a `SignedInfo`, each of which a test may put wrong.
pub(crate) struct Recipe {
    pub(crate) canonicalization: String,
    pub(crate) method: String,
    pub(crate) references: String,
    /// Between `SignatureValue` and `KeyInfo`'s place.
    pub(crate) key_info: Option<String>,
    /// After `KeyInfo`.
    pub(crate) rest: String,
}

impl Recipe {
    /// As the product would write it for `packet`.
    pub(crate) fn of(packet: &str, leaf: &Leaf) -> Self {
        Self {
            canonicalization: method("CanonicalizationMethod", EXCLUSIVE),
            method: method("SignatureMethod", ED25519),
            references: reference(
                "URI=\"\"",
                &transforms(&[ENVELOPED, EXCLUSIVE]),
                SHA256,
                &digest(packet),
            ),
            key_info: Some(x509(&[&leaf.certificate])),
            rest: String::new(),
        }
    }

    /// The signature, rightly made by `name`'s key.
    pub(crate) fn signed_by(&self, name: &str) -> String {
        let signed_info = format!(
            "<ds:SignedInfo xmlns:ds=\"{DSIG}\">{}{}{}</ds:SignedInfo>",
            self.canonicalization, self.method, self.references
        );
        // Exclusively written, it is the same by itself and in its place.
        let message = canonical_form(
            signed_info.as_bytes(),
            Canonicalization::Exclusive,
            &[],
            &Limits::default(),
        )
        .unwrap();
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8(name)).unwrap();
        self.with_value(&STANDARD.encode(key.sign(&message)))
    }

    pub(crate) fn with_value(&self, value: &str) -> String {
        format!(
            "<ds:Signature xmlns:ds=\"{DSIG}\"><ds:SignedInfo>{}{}{}</ds:SignedInfo>\
             <ds:SignatureValue>{value}</ds:SignatureValue>{}{}</ds:Signature>",
            self.canonicalization,
            self.method,
            self.references,
            self.key_info.as_deref().unwrap_or(""),
            self.rest
        )
    }
}

pub(crate) fn method(element: &str, algorithm: &str) -> String {
    format!("<ds:{element} Algorithm=\"{algorithm}\"></ds:{element}>")
}

pub(crate) fn transforms(algorithms: &[&str]) -> String {
    algorithms
        .iter()
        .map(|algorithm| method("Transform", algorithm))
        .collect()
}

pub(crate) fn reference(attributes: &str, transforms: &str, digest_method: &str, digest: &str) -> String {
    format!(
        "<ds:Reference {attributes}><ds:Transforms>{transforms}</ds:Transforms>{}\
         <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>",
        method("DigestMethod", digest_method)
    )
}

pub(crate) fn x509(certificates: &[&[u8]]) -> String {
    let all: String = certificates
        .iter()
        .map(|der| {
            format!(
                "<ds:X509Certificate>{}</ds:X509Certificate>",
                STANDARD.encode(der)
            )
        })
        .collect();
    format!("<ds:KeyInfo><ds:X509Data>{all}</ds:X509Data></ds:KeyInfo>")
}

/// SHA-256 of the exclusive form, in base64.
pub(crate) fn digest(packet: &str) -> String {
    let form = canonical_form(
        packet.as_bytes(),
        Canonicalization::Exclusive,
        &[],
        &Limits::default(),
    )
    .unwrap();
    STANDARD.encode(Sha256::of(&form).as_bytes())
}

/// The packet with `signature` as the last child of its header.
pub(crate) fn with_signature(packet: &str, signature: &str) -> String {
    replaced(
        packet,
        "</edXML:edXMLHeader>",
        &format!("{signature}</edXML:edXMLHeader>"),
    )
}

/// Replaces the one place where `from` stands.
pub(crate) fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from}");
    text.replacen(from, to, 1)
}

/// The part of `text` from `start` to the end of `end`.
pub(crate) fn part<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap();
    let to = from + text[from..].find(end).unwrap() + end.len();
    &text[from..to]
}

/// The one signature of a packet.
pub(crate) fn signature(packet: &str) -> &str {
    part(packet, "<ds:Signature ", "</ds:Signature>")
}
