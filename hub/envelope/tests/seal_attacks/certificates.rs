//! Attacks by certificates: strangers, times, revocation, authorities as signers, broken chains, wrong
//! usages, weak keys. The seals themselves are right.

use super::case::Case;
use super::pki::{BODY, DAY, NOW, Pki, at, claims_of};

/// Name and case of each.
pub(crate) fn cases(pki: &Pki) -> Vec<(String, Case)> {
    let mut all = leaves(pki);
    all.extend(revocation(pki));
    all.extend(moments(pki));
    all
}

fn refused(pki: &Pki, leaf: &str, what: &str, code: &str, field: &str) -> Case {
    Case {
        what: what.to_owned(),
        expected: code.to_owned(),
        place: format!("certificate {field}"),
        ..pki.good(leaf)
    }
}

/// Each bound to the system by an operator who was deceived.
fn leaves(pki: &Pki) -> Vec<(String, Case)> {
    let usage = "certificate-usage";
    let untrusted = "certificate-untrusted";
    let mut all: Vec<(String, Case)> = [
        (
            "certificate-expired",
            "expired.pem",
            "Expired a day before sealing.",
            "certificate-expired",
            "notAfter",
        ),
        (
            "certificate-not-yet-valid",
            "not-yet-valid.pem",
            "Valid from a day after sealing.",
            "certificate-not-yet-valid",
            "notBefore",
        ),
        (
            "certificate-other-root",
            "other-root.pem",
            "Of an authority that the hub does not trust.",
            untrusted,
            "issuer",
        ),
        (
            "certificate-twin-root",
            "twin-root.pem",
            "Of an authority with the trusted one's name and a key of its own.",
            untrusted,
            "issuer",
        ),
        (
            "certificate-twin-root-key-id",
            "twin-root-same-key-id.pem",
            "The same, with the trusted one's key identifier copied.",
            untrusted,
            "issuer",
        ),
        (
            "certificate-self-signed",
            "self-signed.pem",
            "Signed by itself.",
            untrusted,
            "issuer",
        ),
        (
            "certificate-missing-intermediate",
            "chained.pem",
            "Right, and bound without the intermediate above it.",
            untrusted,
            "issuer",
        ),
        (
            "certificate-issued-by-a-leaf",
            "issued-by-a-leaf.pem",
            "Issued by another system's certificate, which is no authority's.",
            untrusted,
            "issuer",
        ),
        (
            "certificate-path-length",
            "below-path-length.pem",
            "An authority below one that may have none below it.",
            untrusted,
            "issuer",
        ),
        (
            "certificate-critical-extension",
            "critical-extension.pem",
            "A critical extension that nobody knows.",
            untrusted,
            "issuer",
        ),
        (
            "certificate-expired-intermediate",
            "below-expired-intermediate.pem",
            "Right, below an intermediate that expired a day before sealing.",
            "certificate-expired",
            "issuer notAfter",
        ),
        (
            "certificate-ca-as-leaf",
            "ca-as-leaf.pem",
            "An authority's own certificate as the signer's.",
            usage,
            "basicConstraints",
        ),
        (
            "certificate-server-only",
            "server-only.pem",
            "Issued for web servers (extendedKeyUsage serverAuth alone).",
            usage,
            "extendedKeyUsage",
        ),
        (
            "certificate-server-intermediate",
            "below-server-intermediate.pem",
            "Its intermediate may issue for web servers only.",
            usage,
            "extendedKeyUsage",
        ),
        (
            "certificate-encipherment-only",
            "encipherment-only.pem",
            "Issued for encryption (keyUsage keyEncipherment alone).",
            usage,
            "keyUsage",
        ),
        (
            "certificate-weak-rsa",
            "rsa1024.pem",
            "RSA of 1024 bits, rightly signed.",
            "certificate-weak-key",
            "subjectPublicKeyInfo",
        ),
        (
            "certificate-other-curve",
            "p384.pem",
            "P-384, with which no seal is made; the signature is made up.",
            "certificate-weak-key",
            "subjectPublicKeyInfo",
        ),
    ]
    .map(|(name, leaf, what, code, field)| (name.to_owned(), refused(pki, leaf, what, code, field)))
    .to_vec();
    for (name, case) in &mut all {
        if name == "certificate-missing-intermediate" {
            case.bound = vec!["chained-alone.pem".to_owned()];
        }
    }
    let nobody = Case {
        anchors: Vec::new(),
        ..refused(
            pki,
            "p256.pem",
            "A hub without trust anchors trusts nobody.",
            untrusted,
            "issuer",
        )
    };
    all.push(("certificate-no-anchors".to_owned(), nobody));
    let without_cert_sign = refused(
        pki,
        "issued-without-cert-sign.pem",
        "Issued by an authority whose keyUsage does not let it issue (RFC 5280 §6.1.4 n).",
        untrusted,
        "issuer",
    );
    all.push((
        "certificate-issuer-without-cert-sign".to_owned(),
        without_cert_sign,
    ));
    all
}

fn revocation(pki: &Pki) -> Vec<(String, Case)> {
    let (revoked, untrusted) = ("certificate-revoked", "certificate-untrusted");
    let lists = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let case = |leaf, what, code, field, crls: &[&str]| Case {
        crls: lists(crls),
        ..refused(pki, leaf, what, code, field)
    };
    let control = |leaf, what: &str, crls: &[&str]| Case {
        what: format!("Control: {what}"),
        crls: lists(crls),
        ..pki.good(leaf)
    };
    let backdated = pki.seal("revoked.pem", |_, claims| *claims = claims_of(BODY, NOW - DAY));
    [
        ("revoked", case("revoked.pem", "On its issuer's list.", revoked, "serialNumber", &["root.crl"])),
        (
            "revoked-backdated",
            Case {
                seal: backdated,
                ..case("revoked.pem", "On its issuer's list, and the seal dated before the revocation: who stole a key can write any date.", revoked, "serialNumber", &["root.crl"])
            },
        ),
        ("revoked-intermediate", case("below-revoked-intermediate.pem", "The intermediate is on the root's list.", revoked, "serialNumber", &["root.crl"])),
        ("revoked-older-list", case("revoked.pem", "An older list, which knows nothing of it, put first.", revoked, "serialNumber", &["stale.crl", "root.crl"])),
        ("revoked-forged-list", case("revoked.pem", "A newer list in the issuer's name by another key, which revokes nothing.", untrusted, "issuer", &["forged.crl", "root.crl"])),
        ("revoked-other-list", Case {
            refuse_missing_crl: true,
            ..case("p256.pem", "Where a list is asked for, another authority's is none.", untrusted, "cRLDistributionPoints", &["other-root.crl"])
        }),
        ("crl-missing", Case {
            refuse_missing_crl: true,
            ..case("p256.pem", "Where a list is asked for, there is none.", untrusted, "cRLDistributionPoints", &[])
        }),
        ("crl-stale", Case {
            refuse_stale_crl: true,
            ..case("p256.pem", "Where fresh lists are asked for, the list is a day past its nextUpdate.", untrusted, "cRLDistributionPoints", &["stale.crl"])
        }),
        ("control-crl", Case {
            refuse_missing_crl: true,
            refuse_stale_crl: true,
            ..control("p256.pem", "on a fresh list of its issuer it does not stand. It holds.", &["root.crl"])
        }),
        ("control-crl-stale", control("p256.pem", "where stale lists are used, it holds.", &["stale.crl"])),
    ]
    .map(|(name, case)| (name.to_owned(), case))
    .to_vec()
}

/// A seal can be dated, within the tolerance: what counts is the certificate at that moment.
fn moments(pki: &Pki) -> Vec<(String, Case)> {
    let dated =
        |leaf: &str, seconds: i64| pki.seal(leaf, |_, claims| *claims = claims_of(BODY, NOW + seconds));
    [
        (
            "certificate-expired-between",
            Case {
                now: at(10 * DAY + 60),
                seal: dated("p256.pem", 10 * DAY + 1),
                ..refused(
                    pki,
                    "p256.pem",
                    "Sealed one second after the certificate's end.",
                    "certificate-expired",
                    "notAfter",
                )
            },
        ),
        (
            "certificate-begun-after",
            Case {
                now: at(-10 * DAY + 60),
                seal: dated("p256.pem", -10 * DAY - 1),
                ..refused(
                    pki,
                    "p256.pem",
                    "Sealed one second before the certificate's beginning.",
                    "certificate-not-yet-valid",
                    "notBefore",
                )
            },
        ),
        (
            "control-last-second",
            Case {
                what: "Control: sealed in the certificate's last second, arrived a minute later. It holds."
                    .to_owned(),
                now: at(10 * DAY + 60),
                seal: dated("p256.pem", 10 * DAY),
                ..pki.good("p256.pem")
            },
        ),
    ]
    .map(|(name, case)| (name.to_owned(), case))
    .to_vec()
}
