//! Whom the hub trusts: anchors, revocation lists, policy; and what that says about one certificate.
//!
//! From bytes: reading files, fetching lists and keeping them fresh is the caller's work. A CA's
//! certificate alone can be an anchor; a signer's own self-signed certificate cannot, because as an
//! anchor it could vouch for others.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::Timestamp;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use truc_model::{Place, Refusal, RefusalCode};
use webpki::{
    ALL_VERIFICATION_ALGS, CertRevocationList, EndEntityCert, Error, ExpirationPolicy,
    ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, OwnedCertRevocationList,
    RequiredEkuNotFoundContext, RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
    VerifiedPath, anchor_from_trusted_cert,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::certificate::{BoundCertificate, CertificateError, certificates};
use super::policy::{CrlPolicy, EkuPolicy, MissingCrl, StaleCrl};
use super::proven::{Proven, Window};

/// Most trust anchors.
pub const MAX_ANCHORS: usize = 256;
/// Most intermediate certificates that the hub itself supplies.
pub const MAX_POOL_INTERMEDIATES: usize = 256;
/// Most revocation lists.
pub const MAX_CRLS: usize = 256;

/// Trust anchors, revocation lists and policy, ready to judge certificates.
///
/// Known limit, from webpki: two authorities of the same name with different keys need their lists
/// under different names; a list whose signature does not fit its issuer refuses the certificate.
pub struct Trust {
    anchors: Vec<TrustAnchor<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
    /// Newest first: webpki asks the first list of an issuer only.
    crls: Vec<DatedCrl>,
    eku: EkuPolicy,
    crl_policy: CrlPolicy,
    /// Chains that held under all of the above: whoever changes any of it begins with none.
    pub(super) proven: Proven,
}

struct DatedCrl {
    issued: i64,
    /// `None`: no successor is announced, and so it never goes stale.
    next_update: Option<i64>,
    /// Its issuer's name as it stands.
    issuer: Vec<u8>,
    list: CertRevocationList<'static>,
}

/// Anchors or lists cannot be read. `number` counts the texts given, from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// A certificate cannot be read.
    #[error("certificate file {number} cannot be read")]
    Certificate {
        /// Which text.
        number: usize,
        /// Why.
        #[source]
        source: CertificateError,
    },
    /// An anchor or intermediate is not an authority's certificate.
    #[error("certificate file {number} holds a certificate that is no authority's (basicConstraints CA)")]
    NotAnAuthority {
        /// Which text.
        number: usize,
    },
    /// A revocation list cannot be read, is a delta list, or is not of version 2.
    #[error("revocation list file {number} holds no complete X.509 version 2 list in PEM or DER")]
    Crl {
        /// Which text.
        number: usize,
    },
    /// More than the limit.
    #[error("expected at most {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// Not an object identifier.
    #[error("expected an object identifier such as 1.3.6.1.5.5.7.3.4")]
    BadOid,
}

impl Trust {
    /// Anchors from PEM texts, each with one or more CA certificates. Without any, nothing is trusted.
    ///
    /// # Errors
    /// [`TrustError`] for a text without a certificate, a certificate that is no CA's, or too many.
    pub fn new<T: AsRef<[u8]>>(anchors_pem: &[T]) -> Result<Self, TrustError> {
        let mut anchors = Vec::new();
        for (number, certificate) in authorities(anchors_pem)? {
            let anchor = anchor_from_trusted_cert(&certificate).map_err(|_| TrustError::Certificate {
                number,
                source: CertificateError::Der,
            })?;
            anchors.push(anchor.to_owned());
        }
        limit(anchors.len(), "trust anchors", MAX_ANCHORS)?;
        Ok(Self {
            anchors,
            intermediates: Vec::new(),
            crls: Vec::new(),
            eku: EkuPolicy::default(),
            crl_policy: CrlPolicy::default(),
            proven: Proven::default(),
        })
    }

    /// Adds intermediate CA certificates (PEM) that signers forget to send. They are not trusted
    /// themselves: they help to find the way to an anchor.
    ///
    /// # Errors
    /// [`TrustError`], as [`Trust::new`].
    pub fn with_intermediates<T: AsRef<[u8]>>(mut self, pem: &[T]) -> Result<Self, TrustError> {
        let more = authorities(pem)?;
        self.intermediates
            .extend(more.into_iter().map(|(_, certificate)| certificate));
        limit(
            self.intermediates.len(),
            "intermediate certificates",
            MAX_POOL_INTERMEDIATES,
        )?;
        Ok(self.with_nothing_proven())
    }

    /// Adds revocation lists, PEM (one or more a text) or DER (one). Of several lists of one issuer
    /// the newest counts.
    ///
    /// # Errors
    /// [`TrustError`] for a text without a list, a list that cannot be read, or too many.
    pub fn with_crls<T: AsRef<[u8]>>(mut self, lists: &[T]) -> Result<Self, TrustError> {
        for (index, text) in lists.iter().enumerate() {
            let read = dated_crls(text.as_ref()).ok_or(TrustError::Crl { number: index + 1 })?;
            self.crls.extend(read);
        }
        limit(self.crls.len(), "revocation lists", MAX_CRLS)?;
        self.crls.sort_by_key(|crl| Reverse(crl.issued));
        Ok(self.with_nothing_proven())
    }

    /// Sets which purposes a certificate may seal under.
    #[must_use]
    pub fn with_eku_policy(mut self, policy: EkuPolicy) -> Self {
        self.eku = policy;
        self.with_nothing_proven()
    }

    /// Sets what silent or outdated revocation lists mean.
    #[must_use]
    pub fn with_crl_policy(mut self, policy: CrlPolicy) -> Self {
        self.crl_policy = policy;
        self.with_nothing_proven()
    }

    fn with_nothing_proven(self) -> Self {
        Self {
            proven: Proven::default(),
            ..self
        }
    }

    /// Whether `certificate` could seal at the moment `signed_at`: chain, validity, revocation, usage, key.
    /// The findings come in order of precedence; a revoked certificate is refused whenever it was revoked,
    /// because who has its key can also write an earlier `iat`. For the same reason it is `now`, the judge's
    /// own clock, that says whether a revocation list is stale: one that ended cannot know who was revoked since.
    ///
    /// # Errors
    /// [`Refusal`] with one of the `certificate-…` codes and the field of the certificate.
    pub fn check(
        &self,
        certificate: &BoundCertificate,
        signed_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.check_chain(certificate, signed_at, now)?;
        check_key(certificate)
    }

    /// [`Trust::check`] but for the key: seals and XML signatures take different kinds.
    pub(crate) fn check_chain(
        &self,
        certificate: &BoundCertificate,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (chain, second) = (certificate.chain(), at.as_second());
        if self.proven.holds(chain, second, now.as_second()) {
            return self.check_usage(certificate);
        }
        match self.build_path(certificate, at, now) {
            Ok(window) => self.proven.remember(chain, window),
            Err(error @ (Error::CertExpired { .. } | Error::CertNotValidYet { .. })) => {
                // webpki looks at the dates first; a stranger's certificate is a stranger's first.
                let inside = at.max(certificate.not_before()).min(certificate.not_after());
                if let Err(inner) = self.build_path(certificate, inside, now)
                    && code_of(&inner) == RefusalCode::CertificateUntrusted
                {
                    return Err(chain_refusal(&inner, certificate, at));
                }
                return Err(chain_refusal(&error, certificate, at));
            }
            Err(error) => return Err(chain_refusal(&error, certificate, at)),
        }
        self.check_usage(certificate)
    }

    /// Gives for which other moments the path that was found stands.
    fn build_path(
        &self,
        certificate: &BoundCertificate,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<Window, Error> {
        let leaf = EndEntityCert::try_from(certificate.leaf())?;
        let time = unix_time(at.as_second());
        let intermediates: Vec<CertificateDer<'_>> = certificate
            .intermediates()
            .iter()
            .chain(&self.intermediates)
            .cloned()
            .collect();
        let crls: Vec<&CertRevocationList<'_>> = self.crls.iter().map(|crl| &crl.list).collect();
        let revocation = match RevocationOptionsBuilder::new(&crls) {
            Ok(builder) => Some(
                builder
                    .with_depth(RevocationCheckDepth::Chain)
                    .with_status_policy(match self.crl_policy.missing {
                        MissingCrl::Accept => UnknownStatusPolicy::Allow,
                        MissingCrl::Refuse => UnknownStatusPolicy::Deny,
                    })
                    // webpki would judge it at `at`: see `lists_are_fresh`.
                    .with_expiration_policy(ExpirationPolicy::Ignore)
                    .build(),
            ),
            // The builder refuses an empty set; without lists "missing" is decided here.
            Err(_) if self.crl_policy.missing == MissingCrl::Refuse => {
                return Err(Error::UnknownRevocationStatus);
            }
            Err(_) => None,
        };
        let purposes = ChainPurposes::of(&self.eku, certificate);
        let holds = |path: &VerifiedPath<'_>| {
            every_issuer_may_issue(path)?;
            self.lists_are_fresh(path, now)
        };
        leaf.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &self.anchors,
            &intermediates,
            time,
            purposes,
            revocation,
            Some(&holds),
        )
        .and_then(|path| self.window(&path))
    }

    /// Where the policy asks for it, every list that speaks for a certificate of the path is in force `now`.
    fn lists_are_fresh(&self, path: &VerifiedPath<'_>, now: Timestamp) -> Result<(), Error> {
        match self.window(path)?.fresh_before {
            Some(next_update) if next_update <= now.as_second() => Err(Error::CrlExpired {
                time: unix_time(now.as_second()),
                next_update: unix_time(next_update),
            }),
            _ => Ok(()),
        }
    }

    /// When a path stands: what is found at one moment is found at every other within it, as nothing else that
    /// is looked at depends on time.
    fn window(&self, path: &VerifiedPath<'_>) -> Result<Window, Error> {
        let mut window = Window {
            from: i64::MIN,
            to: i64::MAX,
            fresh_before: None,
        };
        let leaf = path.end_entity().der();
        let above = path.intermediate_certificates().map(|issuer| issuer.der());
        for der in std::iter::once(leaf).chain(above) {
            let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| Error::BadDer)?;
            let validity = certificate.validity();
            window.from = window.from.max(validity.not_before.timestamp());
            window.to = window.to.min(validity.not_after.timestamp());
            if self.crl_policy.stale == StaleCrl::Use {
                continue;
            }
            let issuer = certificate.issuer().as_raw();
            let list = self.crls.iter().find(|crl| crl.issuer == issuer);
            let ends = list.and_then(|crl| crl.next_update).into_iter();
            window.fresh_before = ends.chain(window.fresh_before).min();
        }
        Ok(window)
    }

    fn check_usage(&self, certificate: &BoundCertificate) -> Result<(), Refusal> {
        if certificate.is_ca() {
            return Err(usage("basicConstraints", "an end entity", "an authority (CA)"));
        }
        if certificate.key_usage_signs() == Some(false) {
            return Err(usage("keyUsage", "digitalSignature or nonRepudiation", "neither"));
        }
        if !self.eku.allows(certificate.purposes()) {
            return Err(usage(
                "extendedKeyUsage",
                format!("one of {}", self.eku.accepted().join(", ")),
                certificate
                    .purposes()
                    .map_or_else(|| "none".to_owned(), |purposes| purposes.join(", ")),
            ));
        }
        Ok(())
    }
}

/// The keys of all issuers on the path may sign certificates (RFC 5280 §6.1.4 n): webpki itself does not
/// look at key usage. An authority without the extension may (§4.2.1.3).
fn every_issuer_may_issue(path: &VerifiedPath<'_>) -> Result<(), Error> {
    let may_issue = |der: &CertificateDer<'_>| {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let usage = certificate.key_usage().ok()?;
        Some(usage.is_none_or(|usage| usage.value.key_cert_sign()))
    };
    path.intermediate_certificates()
        .all(|issuer| may_issue(&issuer.der()) == Some(true))
        .then_some(())
        .ok_or(Error::EndEntityUsedAsCa)
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust")
            .field("anchors", &self.anchors.len())
            .field("intermediates", &self.intermediates.len())
            .field("crls", &self.crls.len())
            .field("eku", &self.eku)
            .field("crl_policy", &self.crl_policy)
            .finish()
    }
}

/// webpki asks about the purposes of every certificate on the path. The leaf is judged by
/// [`Trust::check_usage`]; an intermediate that restricts purposes must allow one of the leaf's.
struct ChainPurposes<'a> {
    /// Empty: nothing to hold an intermediate to.
    wanted: Vec<&'a String>,
}

impl<'a> ChainPurposes<'a> {
    fn of(policy: &'a EkuPolicy, leaf: &BoundCertificate) -> Self {
        let wanted = policy
            .accepted()
            .iter()
            .filter(|oid| leaf.purposes().is_none_or(|purposes| purposes.contains(oid)))
            .collect();
        Self { wanted }
    }
}

impl ExtendedKeyUsageValidator for ChainPurposes<'_> {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let mut present = Vec::new();
        for purpose in purposes {
            present.push(purpose?.to_decoded_oid());
        }
        let allowed = |oid: &Vec<usize>| {
            let dotted: Vec<String> = oid.iter().map(ToString::to_string).collect();
            let dotted = dotted.join(".");
            dotted == ANY_PURPOSE || self.wanted.iter().any(|wanted| **wanted == dotted)
        };
        if self.wanted.is_empty() || present.is_empty() || present.iter().any(allowed) {
            return Ok(());
        }
        Err(Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext {
            required: KeyUsage::client_auth(),
            present,
        }))
    }
}

/// `anyExtendedKeyUsage`, which an authority may have without naming purposes.
const ANY_PURPOSE: &str = "2.5.29.37.0";

fn check_key(certificate: &BoundCertificate) -> Result<(), Refusal> {
    let kind = certificate.key_kind();
    if kind.is_strong() {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::CertificateWeakKey,
        Place::certificate("subjectPublicKeyInfo"),
        "RSA of 2048 to 8192 bits, P-256 or Ed25519",
        kind.to_string(),
    ))
}

fn usage(field: &str, expected: impl Into<String>, found: impl Into<String>) -> Refusal {
    Refusal::new(
        RefusalCode::CertificateUsage,
        Place::certificate(field),
        expected,
        found,
    )
}

const fn code_of(error: &Error) -> RefusalCode {
    match error {
        Error::CertExpired { .. } => RefusalCode::CertificateExpired,
        Error::CertNotValidYet { .. } => RefusalCode::CertificateNotYetValid,
        Error::CertRevoked => RefusalCode::CertificateRevoked,
        Error::CaUsedAsEndEntity | Error::EmptyEkuExtension | Error::RequiredEkuNotFoundContext(_) => {
            RefusalCode::CertificateUsage
        }
        _ => RefusalCode::CertificateUntrusted,
    }
}

fn chain_refusal(error: &Error, certificate: &BoundCertificate, at: Timestamp) -> Refusal {
    let refuse = |field: &str, expected: String, found: String| {
        Refusal::new(code_of(error), Place::certificate(field), expected, found)
    };
    match error {
        Error::CertExpired { not_after, .. } => {
            let end = moment(*not_after);
            let whose = if end == certificate.not_after() {
                "notAfter"
            } else {
                "issuer notAfter"
            };
            refuse(whose, format!("valid at {at}"), end.to_string())
        }
        Error::CertNotValidYet { not_before, .. } => {
            let start = moment(*not_before);
            let whose = if start == certificate.not_before() {
                "notBefore"
            } else {
                "issuer notBefore"
            };
            refuse(whose, format!("valid at {at}"), start.to_string())
        }
        Error::CertRevoked => refuse(
            "serialNumber",
            "on no revocation list".to_owned(),
            format!("revoked ({} or its issuer)", certificate.serial()),
        ),
        Error::CaUsedAsEndEntity => refuse(
            "basicConstraints",
            "an end entity".to_owned(),
            "an authority (CA)".to_owned(),
        ),
        Error::EmptyEkuExtension | Error::RequiredEkuNotFoundContext(_) => refuse(
            "extendedKeyUsage",
            "a purpose for sealing, in the issuers' certificates too".to_owned(),
            "other purposes".to_owned(),
        ),
        Error::UnknownRevocationStatus => refuse(
            "cRLDistributionPoints",
            "a revocation list of its issuer".to_owned(),
            "none".to_owned(),
        ),
        Error::CrlExpired { time, next_update } => refuse(
            "cRLDistributionPoints",
            format!("a revocation list in force at {}", moment(*time)),
            format!("nextUpdate {}", moment(*next_update)),
        ),
        other => refuse(
            "issuer",
            "a chain to a trust anchor of this hub".to_owned(),
            untrusted_because(other).to_owned(),
        ),
    }
}

/// webpki's own texts may repeat names and bytes of a certificate; these do not.
const fn untrusted_because(error: &Error) -> &'static str {
    match error {
        Error::UnknownIssuer => "no anchor or intermediate that issued it",
        Error::InvalidSignatureForPublicKey => "a signature that its issuer did not make",
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "a certificate signed with an algorithm that is not accepted"
        }
        Error::InvalidCrlSignatureForPublicKey
        | Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_)
        | Error::IssuerNotCrlSigner => "a revocation list that its issuer did not sign as one",
        Error::EndEntityUsedAsCa => "an issuer that is no authority (CA)",
        Error::PathLenConstraintViolated => "a chain longer than its authority allows",
        Error::NameConstraintViolation => "a name outside its authority's constraints",
        Error::MaximumPathDepthExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => "a chain too long or too tangled",
        Error::UnsupportedCriticalExtension => "a critical extension that is not known",
        Error::UnsupportedCertVersion => "a certificate that is not of version 3",
        _ => "a certificate on the path that cannot be read",
    }
}

fn unix_time(seconds: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

fn moment(time: UnixTime) -> Timestamp {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::MAX)
}

/// The CA certificates of PEM texts, each with the number of its text.
fn authorities(texts: &[impl AsRef<[u8]>]) -> Result<Vec<(usize, CertificateDer<'static>)>, TrustError> {
    let mut found = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let number = index + 1;
        let wrap = |source| TrustError::Certificate { number, source };
        let ders = certificates(text.as_ref()).map_err(wrap)?;
        if ders.is_empty() {
            return Err(wrap(CertificateError::NoCertificate));
        }
        for der in ders {
            let certificate = BoundCertificate::from_der(der).map_err(wrap)?;
            if !certificate.is_ca() {
                return Err(TrustError::NotAnAuthority { number });
            }
            found.push((number, certificate.into_leaf()));
        }
    }
    Ok(found)
}

/// The lists of one text; `None` when it holds none or one that cannot be read.
fn dated_crls(text: &[u8]) -> Option<Vec<DatedCrl>> {
    // DER begins with SEQUENCE; PEM is text.
    let ders = if text.first() == Some(&0x30) {
        vec![CertificateRevocationListDer::from(text.to_vec())]
    } else {
        CertificateRevocationListDer::pem_slice_iter(text)
            .collect::<Result<Vec<_>, _>>()
            .ok()?
    };
    let lists: Option<Vec<_>> = ders
        .into_iter()
        .map(|der| {
            let (_, parsed) = CertificateRevocationList::from_der(&der).ok()?;
            let list = OwnedCertRevocationList::from_der(&der).ok()?;
            Some(DatedCrl {
                issued: parsed.last_update().timestamp(),
                next_update: parsed.next_update().map(|time| time.timestamp()),
                issuer: parsed.issuer().as_raw().to_vec(),
                list: CertRevocationList::Owned(list),
            })
        })
        .collect();
    lists.filter(|lists| !lists.is_empty())
}

const fn limit(count: usize, what: &'static str, max: usize) -> Result<(), TrustError> {
    if count > max {
        return Err(TrustError::TooMany { what, max });
    }
    Ok(())
}
