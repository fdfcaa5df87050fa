//! Signatures that hold, by keys that nobody should trust.

use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SerialNumber};

use crate::dsig_support::{Ca, Leaf, Recipe, key, packet, validity, with_signature, x509};
use crate::{Attack, World, attack};

/// The packet signed by `name`'s key, with these certificates.
fn signed_by(name: &str, leaf: &Leaf, more: &[&[u8]]) -> String {
    let mut recipe = Recipe::of(&packet(), leaf);
    let mut certificates = vec![leaf.certificate.as_slice()];
    certificates.extend(more);
    recipe.key_info = Some(x509(&certificates));
    with_signature(&packet(), &recipe.signed_by(name))
}

pub(crate) fn attacks(world: &World) -> Vec<Attack> {
    let of_root = |name, expected, change: &dyn Fn(&mut rcgen::CertificateParams)| {
        attack(
            name,
            expected,
            signed_by("signer", &world.root.leaf("signer", change), &[]),
        )
    };
    let authority = world.authority.der();
    let below = world.authority.leaf("signer", |_| ());
    let stranger = Ca::root("stranger");
    let mut attacks = vec![
        of_root("signer-expired", "certificate-expired", &|params| {
            validity(params, -20, -10);
        }),
        of_root("signer-not-yet-valid", "certificate-not-yet-valid", &|params| {
            validity(params, 10, 20);
        }),
        of_root("signer-revoked", "certificate-revoked", &|params| {
            params.serial_number = Some(SerialNumber::from(9));
        }),
        of_root("signer-for-servers", "certificate-usage", &|params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }),
        of_root("signer-for-encryption", "certificate-usage", &|params| {
            params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
        }),
        attack(
            "signer-of-an-unknown-authority",
            "certificate-untrusted",
            signed_by("signer", &stranger.leaf("signer", |_| ()), &[]),
        ),
        attack(
            "signer-of-an-authority-of-the-same-name",
            "certificate-untrusted",
            {
                let double = Ca::named("root", "not the root");
                signed_by("signer", &double.leaf("signer", |_| ()), &[&double.der()])
            },
        ),
        attack("signer-by-itself", "certificate-untrusted", {
            let mut params = rcgen::CertificateParams::default();
            validity(&mut params, -10, 10);
            params.serial_number = Some(SerialNumber::from(7));
            let own = params.self_signed(&key("own")).unwrap();
            let leaf = Leaf {
                key_pem: String::new(),
                certificate_pem: own.pem(),
                certificate: own.der().to_vec(),
            };
            signed_by("own", &leaf, &[])
        }),
        attack(
            "signer-is-an-authority",
            "certificate-usage",
            signed_by("authority", &world.authority.as_leaf("authority"), &[]),
        ),
    ];
    attacks.extend([
        attack(
            "chain-control",
            "valid",
            signed_by("signer", &below, &[&authority]),
        ),
        attack(
            "chain-without-intermediate",
            "certificate-untrusted",
            signed_by("signer", &below, &[]),
        ),
        attack("chain-intermediate-expired", "certificate-expired", {
            let old = world.root.intermediate("old", |params| {
                validity(params, -100, -1);
            });
            signed_by("signer", &old.leaf("signer", |_| ()), &[&old.der()])
        }),
        attack("chain-intermediate-revoked", "certificate-revoked", {
            let revoked = world.root.intermediate("revoked", |params| {
                params.serial_number = Some(SerialNumber::from(3));
            });
            signed_by("signer", &revoked.leaf("signer", |_| ()), &[&revoked.der()])
        }),
        attack("chain-intermediate-is-no-authority", "certificate-untrusted", {
            let leaf = world.root.intermediate("no authority", |params| {
                params.is_ca = IsCa::ExplicitNoCa;
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            });
            signed_by("signer", &leaf.leaf("signer", |_| ()), &[&leaf.der()])
        }),
    ]);
    attacks
}
