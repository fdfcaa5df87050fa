//! Documents and attached PDFs, counted by what their signatures came to.

use std::collections::BTreeMap;

use truc_model::pdf::{NotInspected, Unreadable};
use truc_model::{PdfSignatures, RefusalCode, SignatureState, SignatureStrength, SignatureVerdict};

use super::Bench;
use super::kit::Hub;
use crate::{
    AnsweredBy, AttachmentFacts, DocumentSubmission, PdfKind, Period, SignatureCounts, Standing, VerdictKind,
};

fn valid(signer: &str, strength: SignatureStrength) -> SignatureState {
    SignatureState::Valid {
        algorithm: "ES256".to_owned(),
        certificate: "0".repeat(64),
        signer: signer.to_owned(),
        signed_at: None,
        strength,
    }
}

fn invalid(reason: &str) -> SignatureState {
    SignatureState::Invalid {
        reason: reason.to_owned(),
    }
}

fn document(
    hub: &Hub,
    id: &str,
    seal: SignatureState,
    xml: SignatureState,
    vouched_by_channel: bool,
) -> DocumentSubmission {
    DocumentSubmission {
        verdict: SignatureVerdict {
            seal,
            xml,
            vouched_by_channel,
        },
        ..hub.document(id)
    }
}

pub async fn documents_are_counted_by_who_answers_for_them(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let absent = || SignatureState::Absent;
    let current = SignatureStrength::Current;
    let legacy = SignatureStrength::LegacySha1;
    let all = [
        (valid("\u{1ea4}p", current), absent(), false),
        (valid("khác", current), absent(), false),
        (absent(), valid("xa", legacy), false),
        (absent(), valid("xa", current), false),
        (absent(), invalid("dsig-digest"), true),
        (absent(), invalid("dsig-digest"), false),
        (absent(), invalid("dsig-\"value\""), false),
        (absent(), absent(), true),
        (absent(), absent(), false),
    ];
    for (n, (seal, xml, vouched)) in all.into_iter().enumerate() {
        hub.accept(document(&hub, &n.to_string(), seal, xml, vouched))
            .await;
    }
    hub.ledger
        .refuse(hub.refused("a", RefusalCode::SealMissing))
        .await
        .unwrap();
    hub.ledger
        .refuse(hub.refused("b", RefusalCode::SealMissing))
        .await
        .unwrap();
    hub.minutes(60);
    let later = hub.ledger.now();
    hub.accept(document(&hub, "later", absent(), absent(), false))
        .await;
    hub.ledger
        .refuse(hub.refused("c", RefusalCode::CertificateRevoked))
        .await
        .unwrap();

    let counts = hub.ledger.signature_counts(Period::default()).await.unwrap();
    assert_eq!(counts.documents.values().sum::<u64>(), 10);
    let kind = |seal, xml, vouched_by_channel| VerdictKind {
        seal,
        xml,
        vouched_by_channel,
    };
    let wrong = |reason: &str| Standing::Invalid {
        reason: reason.to_owned(),
    };
    let none = || Standing::Absent;
    let of = |kind: &VerdictKind| counts.documents.get(kind).copied().unwrap_or(0);
    assert_eq!(of(&kind(Standing::Valid(current), none(), false)), 2);
    assert_eq!(of(&kind(none(), Standing::Valid(legacy), false)), 1);
    assert_eq!(of(&kind(none(), Standing::Valid(current), false)), 1);
    assert_eq!(of(&kind(none(), wrong("dsig-digest"), true)), 1);
    assert_eq!(of(&kind(none(), wrong("dsig-digest"), false)), 1);
    assert_eq!(of(&kind(none(), wrong("dsig-\"value\""), false)), 1);
    assert_eq!(of(&kind(none(), none(), true)), 1);
    assert_eq!(of(&kind(none(), none(), false)), 2);
    let answered = |by: AnsweredBy| {
        let kinds = counts
            .documents
            .iter()
            .filter(|(kind, _)| kind.answered_by() == by);
        kinds.map(|(_, n)| n).sum::<u64>()
    };
    assert_eq!(AnsweredBy::ALL.map(answered), [2, 2, 2, 4]);
    assert_eq!(
        counts.refused,
        BTreeMap::from([
            (RefusalCode::SealMissing, 2),
            (RefusalCode::CertificateRevoked, 1)
        ])
    );

    let before = Period {
        since: None,
        until: Some(later),
    };
    let counts = hub.ledger.signature_counts(before).await.unwrap();
    assert_eq!(counts.documents.values().sum::<u64>(), 9);
    assert_eq!(counts.refused, BTreeMap::from([(RefusalCode::SealMissing, 2)]));
    let after = Period {
        since: Some(later),
        until: None,
    };
    let counts = hub.ledger.signature_counts(after).await.unwrap();
    assert_eq!(
        counts.documents,
        BTreeMap::from([(kind(none(), none(), false), 1)])
    );
    let nothing = Period {
        since: Some(later),
        until: Some(later),
    };
    let counts = hub.ledger.signature_counts(nothing).await.unwrap();
    assert_eq!(counts, SignatureCounts::default());
    hub.sound().await;
}

pub async fn attached_pdfs_are_counted_by_their_word(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let with = |found: &[Option<PdfSignatures>]| {
        let mut submission = hub.document(&hub.new_message_id().to_string());
        let like = submission.facts.attachments[0].clone();
        let attachments = found.iter().map(|signature| AttachmentFacts {
            signature: signature.clone(),
            ..like.clone()
        });
        submission.facts.attachments = attachments.collect();
        submission
    };
    let unreadable = |why| Some(PdfSignatures::Unreadable { why });
    let busy = Some(PdfSignatures::Unchecked {
        why: NotInspected::Busy,
    });
    hub.accept(with(&[
        None,
        Some(PdfSignatures::None),
        unreadable(Unreadable::Time),
    ]))
    .await;
    hub.accept(with(&[])).await;
    hub.minutes(60);
    let since = Some(hub.ledger.now());
    hub.accept(with(&[
        Some(PdfSignatures::None),
        unreadable(Unreadable::Damaged),
        busy,
    ]))
    .await;
    let kind = |word, reason| PdfKind { word, reason };
    let counts = hub.ledger.signature_counts(Period::default()).await.unwrap();
    assert_eq!(
        counts.pdfs,
        BTreeMap::from([
            (kind("none", None), 2),
            (kind("unreadable", Some("time")), 1),
            (kind("unreadable", Some("damaged")), 1),
            (kind("unchecked", Some("busy")), 1),
        ])
    );
    let counts = hub
        .ledger
        .signature_counts(Period { since, until: None })
        .await
        .unwrap();
    assert_eq!(counts.pdfs.len(), 3);
    // The words go out with the document.
    let claimed = hub.forward_all().await;
    let words: Vec<_> = claimed
        .iter()
        .filter(|message| message.verdict.is_some())
        .map(|message| message.attachments.as_ref().map(|words| words.pdf.len()))
        .collect();
    assert_eq!(words, [Some(2), None, Some(3)]);
    let first = claimed
        .iter()
        .find_map(|message| message.attachments.as_ref())
        .unwrap();
    assert_eq!((first.pdf[0].position, first.pdf[0].word.as_str()), (2, "none"));
    assert_eq!(first.pdf[1].reason.as_deref(), Some("time"));
}
