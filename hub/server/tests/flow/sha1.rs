//! XML signatures that rest on SHA-1: refused, unless the system's policy allows them, and then said.

#[path = "../../../envelope/tests/dsig_support/mod.rs"]
mod dsig_support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dsig_support::{
    Ca, ENVELOPED, EXCLUSIVE, Leaf, Recipe, packet, reference, transforms, validity, with_signature,
};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use truc_directory::{CertificateRow, Sha1Policy, SignaturePolicy, SystemPolicy, Validity};
use truc_envelope::Limits;
use truc_envelope::dsig::{Canonicalization, DigestAlgorithm, canonical_form};
use truc_ledger::{DocumentFilter, Period, Standing};
use truc_model::wire::{Intake, header};
use truc_model::{Sha256, SignatureState, SignatureStrength, SystemId};
use truc_server::config::Config;

use super::Twin;

/// The packet, signed with SHA-1 as its digest.
fn signed(leaf: &Leaf) -> String {
    let unsigned = packet();
    let form = canonical_form(
        unsigned.as_bytes(),
        Canonicalization::Exclusive,
        &[],
        &Limits::default(),
    )
    .unwrap();
    let mut recipe = Recipe::of(&unsigned, leaf);
    recipe.references = reference(
        "URI=\"\"",
        &transforms(&[ENVELOPED, EXCLUSIVE]),
        DigestAlgorithm::Sha1.uri(),
        &STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &form)),
    );
    with_signature(&unsigned, &recipe.signed_by("signer"))
}

/// A hub that trusts `ca`, on which the sender must sign inside with `leaf`'s key.
async fn hub(dir: &tempfile::TempDir, ca: &Ca, leaf: &Leaf, xml_sha1: Sha1Policy) -> Twin {
    let mut config = Config::default();
    config.seal.anchors = vec![dir.path().join("root.pem")];
    std::fs::write(&config.seal.anchors[0], ca.pem()).unwrap();
    let system = SystemId::new("so-tnmt").unwrap();
    let row = CertificateRow {
        pem: leaf.certificate_pem.clone(),
        thumbprint: Sha256::of(&leaf.certificate),
        valid: Validity::ALWAYS,
    };
    let policy = SystemPolicy {
        signature: SignaturePolicy::XmlDsig,
        xml_sha1,
        ..SystemPolicy::default()
    };
    let change = |editor: &mut truc_directory::Editor<'_>| {
        editor.set_policy(&system, policy).unwrap();
        editor.add_certificate(&system, row).unwrap();
    };
    Twin::start_as(config, change, |app| app).await
}

#[tokio::test]
async fn sha1_passes_only_where_the_policy_allows_it_and_the_verdict_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::root("root");
    let leaf = ca.leaf("signer", |params| validity(params, -99, 99));
    let body = signed(&leaf);

    let strict = hub(&dir, &ca, &leaf, Sha1Policy::Refuse).await;
    let mut sender = strict.consumer("so-tnmt").await;
    strict.submit("so-tnmt", Intake::Document, body.as_bytes()).await;
    let answer = sender.next().await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(json["code"], "xml-signature-invalid", "{json}");
    assert!(json.to_string().contains("dsig-sha1"), "{json}");
    strict.end().await;

    let lenient = hub(&dir, &ca, &leaf, Sha1Policy::Allow).await;
    let mut sender = lenient.consumer("so-tnmt").await;
    let mut recipient = lenient.consumer("ubnd-tinh").await;
    lenient.submit("so-tnmt", Intake::Document, body.as_bytes()).await;
    let answer = sender.next().await.unwrap();
    let json = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.properties.kind.as_deref(), Some("receipt"), "{json}");
    let documents = lenient
        .ledger
        .documents(&DocumentFilter::default())
        .await
        .unwrap();
    let view = lenient.ledger.document(documents[0].uid).await.unwrap().unwrap();
    let SignatureState::Valid {
        strength, algorithm, ..
    } = &view.document.verdict.xml
    else {
        panic!("{:?}", view.document.verdict);
    };
    assert_eq!(*strength, SignatureStrength::LegacySha1);
    assert_eq!(algorithm, "ed25519 (sha1)");
    // Counted as such, and told to the recipient.
    let counts = lenient.ledger.signature_counts(Period::default()).await.unwrap();
    let (kind, count) = counts.documents.first_key_value().unwrap();
    assert_eq!(
        (&kind.xml, *count),
        (&Standing::Valid(SignatureStrength::LegacySha1), 1)
    );
    let delivery = recipient.next().await.unwrap();
    let verdict = delivery.properties.text(header::SIGNATURE).unwrap();
    let verdict: serde_json::Value = serde_json::from_str(verdict).unwrap();
    assert_eq!(verdict["xml"]["strength"], "legacy-sha1");
    lenient.end().await;
}
