//! Bodies apart: accepted, handed out, let go and forgotten without their bytes, and who may read them.

use truc_model::{ParkCause, Sha256};

use super::Bench;
use super::change_kit::{four, recall, three, two};
use super::kit::{Hub, agency, bytes, deliveries, repeat_of, system};
use crate::{
    Body, BodyPlace, DeleteBodies, DeletionCause, DocumentSubmission, EventKind, Fact, LEAVING_MAX,
    LeavingBody, LedgerError, MayRead, RetentionAges, SubmitOutcome, VerifyOptions,
};

const GIGABYTE: u64 = 1 << 30;

async fn may(hub: &Hub, name: &str, sha256: Sha256) -> bool {
    let who = MayRead {
        system: system(name),
        sha256,
    };
    hub.ledger.may_read(&who).await.unwrap()
}

async fn left(hub: &Hub) -> Vec<LeavingBody> {
    let leaving = hub.ledger.leaving_bodies().await.unwrap();
    hub.ledger.bodies_left(leaving.clone()).await.unwrap();
    assert_eq!(hub.ledger.leaving_bodies().await.unwrap(), []);
    leaving
}

/// Accepts a document and orders it back from everybody before it left.
async fn recalled(hub: &Hub, document: &DocumentSubmission, order: &str) {
    let id = document.identity.document_id.clone();
    hub.accept(document.clone()).await;
    let order = recall(hub, order, &id, document.recipients.clone());
    hub.accept(order).await;
}

pub async fn a_body_apart_goes_the_whole_way_without_its_bytes(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let document = hub.document_apart("1", 5 * GIGABYTE);
    let receipt = hub.accept(document.clone()).await;
    assert_eq!((receipt.size, receipt.sha256), (5 * GIGABYTE, document.sha256));
    assert_eq!(
        hub.ledger.body(document.sha256).await.unwrap(),
        Some(document.body.clone())
    );
    assert!(hub.ledger.is_kept_apart(document.sha256).await.unwrap());

    let sent = hub.forward_all().await;
    let message = sent.iter().find(|m| m.outgoing.awaits_taken()).unwrap();
    assert_eq!((&message.body, message.sha256), (&document.body, document.sha256));
    hub.take("so", &[message.delivery]).await;

    // The same key, and the same document under another key: the first receipt, seen or not.
    let again = hub.ledger.submit_document(document.clone()).await.unwrap();
    assert_eq!(
        repeat_of(again),
        truc_model::wire::Receipt::Document(receipt.clone())
    );
    let other = DocumentSubmission {
        key: hub.key("xa"),
        ..document.clone()
    };
    assert!(matches!(
        hub.ledger.submit_document(other).await.unwrap(),
        SubmitOutcome::Repeat(_)
    ));

    let report = hub.ledger.verify(&VerifyOptions::default()).await.unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.bodies, report.apart), (0, 1));
    let kept = hub.ledger.kept_bodies(None, 10).await.unwrap();
    assert_eq!(
        (kept.len(), kept[0].place, kept[0].size),
        (1, BodyPlace::Apart, 5 * GIGABYTE)
    );
    assert_eq!(hub.ledger.leaving_bodies().await.unwrap(), []);
}

pub async fn bodies_apart_cost_a_claim_nothing(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    for n in 0..3 {
        let apart = hub.document_apart(&format!("apart {n}"), GIGABYTE);
        hub.accept(apart).await;
        hub.accept(hub.document(&format!("here {n}"))).await;
    }
    let claimed = hub.claim().await;
    let documents: Vec<_> = claimed.iter().filter(|m| m.outgoing.awaits_taken()).collect();
    assert_eq!(
        documents.len(),
        6,
        "gigabytes that are not loaded do not fill a claim"
    );
    assert_eq!(documents.iter().filter(|m| m.body.here().is_none()).count(), 3);
}

pub async fn a_recall_lets_a_body_apart_leave(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut document = hub.document_apart("1", GIGABYTE);
    document.recipients = vec![two(), three()];
    hub.accept(document.clone()).await;
    // One holder is left: it stays.
    hub.accept(recall(&hub, "R1", "1", vec![two()])).await;
    assert!(hub.ledger.body(document.sha256).await.unwrap().is_some());
    assert_eq!(hub.ledger.leaving_bodies().await.unwrap(), []);
    hub.accept(recall(&hub, "R2", "1", vec![three()])).await;
    assert_eq!(hub.ledger.body(document.sha256).await.unwrap(), None);
    let Fact::BodiesDeleted {
        cause,
        digests,
        sizes,
        ..
    } = hub.last_of(EventKind::BodiesDeleted).await.fact
    else {
        panic!("no event says that the body was deleted");
    };
    assert_eq!(
        (cause, digests, sizes),
        (DeletionCause::Recalled, vec![document.sha256], vec![GIGABYTE])
    );
    let event = hub.last_of(EventKind::BodiesDeleted).await.seq;
    let leaving = LeavingBody {
        sha256: document.sha256,
        size: GIGABYTE,
        event,
    };
    assert_eq!(hub.ledger.leaving_bodies().await.unwrap(), [leaving]);
    hub.sound().await;
    // Somebody's word about an earlier leaving does not count.
    let earlier = LeavingBody {
        event: event - 1,
        ..leaving
    };
    hub.ledger.bodies_left(vec![earlier]).await.unwrap();
    assert_eq!(left(&hub).await, [leaving]);
    // Twice said is once done.
    hub.ledger.bodies_left(vec![leaving]).await.unwrap();
    hub.sound().await;
    let again = hub.ledger.submit_document(document).await.unwrap();
    assert!(
        matches!(again, SubmitOutcome::Repeat(_)),
        "accepted stays accepted"
    );
}

pub async fn a_body_that_leaves_is_kept_again_when_it_is_named_anew(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document_apart("1", GIGABYTE);
    let by = |name: &str, number: u32| {
        let mut other = first.clone();
        (other.key, other.identity.sender) = (hub.key(name), agency(number));
        other
    };
    let kept = async || hub.ledger.is_kept_apart(first.sha256).await.unwrap();
    recalled(&hub, &first, "R").await;
    assert!(!kept().await);
    let leaving = hub.ledger.leaving_bodies().await.unwrap();
    hub.accept(by("xb", 7)).await;
    assert!(kept().await);
    assert_eq!(hub.ledger.leaving_bodies().await.unwrap(), []);
    // The store's late word about the first leaving changes nothing.
    hub.ledger.bodies_left(leaving).await.unwrap();
    assert!(kept().await);
    hub.sound().await;

    // Brought, let go and brought again in one batch; and brought and let go.
    let third = hub.document_apart("3", 3);
    let order = recall(&hub, "R3", "3", third.recipients.clone());
    let mut late = third.clone();
    (late.key, late.identity.sender) = (hub.key("xc"), agency(8));
    let fourth = hub.document_apart("4", 4);
    let order_of_fourth = recall(&hub, "R4", "4", fourth.recipients.clone());
    let (a, b, c, d, e) = tokio::join!(
        hub.ledger.submit_document(third.clone()),
        hub.ledger.submit_document(order),
        hub.ledger.submit_document(late),
        hub.ledger.submit_document(fourth.clone()),
        hub.ledger.submit_document(order_of_fourth),
    );
    for outcome in [a, b, c, d, e] {
        assert!(matches!(outcome.unwrap(), SubmitOutcome::Accepted(_)));
    }
    assert!(hub.ledger.is_kept_apart(third.sha256).await.unwrap());
    assert!(!hub.ledger.is_kept_apart(fourth.sha256).await.unwrap());
    let leaving: Vec<Sha256> = left(&hub).await.iter().map(|row| row.sha256).collect();
    assert_eq!(leaving, [fourth.sha256]);
    hub.sound().await;
}

pub async fn one_digest_is_in_one_place(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let variant = |of: &DocumentSubmission, name: &str, number: u32, body: Body| {
        let mut other = of.clone();
        (other.key, other.identity.sender, other.body) = (hub.key(name), agency(number), body);
        other
    };
    // First here: it stays here, and travels in its messages.
    let here = hub.document("1");
    let size = here.size;
    hub.accept(here.clone()).await;
    hub.accept(variant(&here, "xb", 7, Body::Apart { size })).await;
    assert_eq!(
        hub.ledger.body(here.sha256).await.unwrap(),
        Some(here.body.clone())
    );
    let sent = hub.forward_all().await;
    let bodies: Vec<_> = sent
        .iter()
        .filter(|m| m.outgoing.awaits_taken())
        .map(|m| &m.body)
        .collect();
    assert_eq!(bodies, [&here.body, &here.body]);
    // First apart: it stays apart, also when both come in one batch.
    let whole = hub.document("2");
    let apart = variant(&whole, "xa", 1, Body::Apart { size: whole.size });
    let inline = variant(&whole, "xb", 7, whole.body.clone());
    let (a, b) = tokio::join!(
        hub.ledger.submit_document(apart),
        hub.ledger.submit_document(inline.clone()),
    );
    assert!(a.unwrap().receipt().is_some() && b.unwrap().receipt().is_some());
    hub.accept(variant(&whole, "xc", 8, whole.body.clone())).await;
    let kept = hub.ledger.body(whole.sha256).await.unwrap();
    assert_eq!(kept, Some(Body::Apart { size: whole.size }));
    assert_eq!(hub.ledger.kept_bodies(None, 10).await.unwrap().len(), 2);
    // What leaves is not kept: the same bytes may come in a message, and stay when the others have left.
    let gone = hub.document("3");
    recalled(
        &hub,
        &variant(&gone, "xa", 1, Body::Apart { size: gone.size }),
        "R",
    )
    .await;
    assert_eq!(hub.ledger.body(gone.sha256).await.unwrap(), None);
    hub.accept(variant(&gone, "xb", 7, gone.body.clone())).await;
    assert_eq!(left(&hub).await.len(), 1);
    let kept = hub.ledger.body(gone.sha256).await.unwrap();
    assert_eq!(bytes(&kept.unwrap()), bytes(&gone.body));
    hub.sound().await;
}

pub async fn a_body_apart_goes_in_its_time(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let document = hub.document_apart("1", GIGABYTE);
    hub.accept(document.clone()).await;
    let order = DeleteBodies {
        digests: vec![document.sha256],
        ages: RetentionAges {
            attachments_days: 1,
            packets_days: 1,
            refused_days: 1,
        },
        who: "truc".to_owned(),
    };
    hub.minutes(60 * 24 * 3);
    assert_eq!(
        hub.ledger.delete_bodies(order.clone()).await.unwrap().count,
        0,
        "still open"
    );
    let sent = hub.forward_all().await;
    hub.take("so", &deliveries(&sent, "so")).await;
    hub.minutes(60 * 24);
    let deleted = hub.ledger.delete_bodies(order.clone()).await.unwrap();
    assert_eq!((deleted.count, deleted.bytes), (1, GIGABYTE));
    assert_eq!(hub.ledger.delete_bodies(order).await.unwrap().count, 0);
    let leaving = left(&hub).await;
    assert_eq!((leaving.len(), leaving[0].event), (1, deleted.event.unwrap()));
    assert_eq!(hub.ledger.kept_bodies(None, 10).await.unwrap(), []);
    hub.sound().await;
}

pub async fn words_about_leaving_bodies_are_bounded(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let many: Vec<LeavingBody> = (0..=LEAVING_MAX as u64)
        .map(|event| LeavingBody {
            sha256: Sha256::of(&event.to_be_bytes()),
            size: 1,
            event,
        })
        .collect();
    let refused = hub.ledger.bodies_left(many.clone()).await.unwrap_err();
    assert!(matches!(refused, LedgerError::TooMany { max: LEAVING_MAX, .. }));
    // Of what the ledger never knew nothing is left behind.
    hub.ledger.bodies_left(many[1..].to_vec()).await.unwrap();
    assert_eq!(hub.ledger.leaving_bodies().await.unwrap(), []);
    hub.sound().await;
}

pub async fn whoever_sends_or_gets_a_body_may_read_it(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let document = hub.document_apart("1", GIGABYTE);
    let sha256 = document.sha256;
    assert!(!may(&hub, "xa", sha256).await && !may(&hub, "so", sha256).await);
    hub.accept(document.clone()).await;
    assert!(may(&hub, "xa", sha256).await, "the sender");
    assert!(may(&hub, "so", sha256).await, "scheduled");
    assert!(!may(&hub, "xb", sha256).await, "a stranger");
    let sent = hub.forward_all().await;
    assert!(may(&hub, "so", sha256).await, "forwarded");
    hub.take("so", &deliveries(&sent, "so")).await;
    assert!(may(&hub, "so", sha256).await, "taken");

    // Another document with the same bytes, for somebody else, parked: not to be read before it is let go.
    let mut second = document.clone();
    second.key = hub.key("xb");
    second.identity.sender = agency(7);
    second.recipients = vec![four()];
    second.park = Some(ParkCause::SecretMarking);
    hub.accept(second).await;
    assert!(may(&hub, "xb", sha256).await && !may(&hub, "tt", sha256).await);

    // Declined: it does not want it. Taken back: it is to have it no longer, although others still do.
    let declined = hub.document_apart("2", 5);
    hub.accept(declined.clone()).await;
    let sent = hub.forward_all().await;
    hub.decline("so", &deliveries(&sent, "so")).await;
    assert!(!may(&hub, "so", declined.sha256).await);
    let mut partly = hub.document_apart("3", 5);
    partly.recipients = vec![two(), four()];
    hub.accept(partly.clone()).await;
    hub.forward_all().await;
    assert!(may(&hub, "so", partly.sha256).await && may(&hub, "tt", partly.sha256).await);
    hub.accept(recall(&hub, "R", "3", vec![two()])).await;
    assert!(!may(&hub, "so", partly.sha256).await, "ordered back");
    assert!(may(&hub, "tt", partly.sha256).await);
    // Gone: nobody may.
    let gone = hub.document_apart("4", 5);
    recalled(&hub, &gone, "R4").await;
    assert!(!may(&hub, "xa", gone.sha256).await);
    hub.sound().await;
}
