//! Updates and replacements: who gets them, in what order, and what comes back.

use truc_model::delivery::TransportStateName as State;
use truc_model::wire::Outgoing;
use truc_model::{
    ChangeState, Operation, RefusalCode, Sha256, TransportState, Urgency, WarningCode, WithdrawCause,
    WithdrawProof,
};

use super::Bench;
use super::change_kit::{document, four, packet, recall, row, three, told, two, withdrawn};
use super::kit::{Hub, agency, deliveries, refusal_of};
use crate::{
    Claimed, DocumentChange, DocumentSubmission, PlannedRecipient, PublishFailure, ReplacedDocument,
};

/// An update of the document `of`.
fn update(
    hub: &Hub,
    id: &str,
    of: &str,
    recipients: Vec<PlannedRecipient>,
    removed: Vec<PlannedRecipient>,
    added: Vec<PlannedRecipient>,
) -> DocumentSubmission {
    let document_id = of.to_owned();
    let change = DocumentChange::Update {
        document_id,
        removed,
        added,
    };
    packet(hub, id, Operation::Update, recipients, change)
}

/// A document that takes the place of `of`.
fn replacement(
    hub: &Hub,
    id: &str,
    of: &str,
    recipients: Vec<PlannedRecipient>,
    listed: Vec<PlannedRecipient>,
) -> DocumentSubmission {
    let replaced = vec![ReplacedDocument {
        document_id: of.to_owned(),
        recipients: listed,
    }];
    packet(
        hub,
        id,
        Operation::Replacement,
        recipients,
        DocumentChange::Replacement { replaced },
    )
}

fn carriers(claimed: &[Claimed]) -> Vec<&Claimed> {
    claimed
        .iter()
        .filter(|m| m.outgoing == Outgoing::Document)
        .collect()
}

pub async fn an_update_follows_its_document_and_is_answered(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut urgent = update(&hub, "U", "1", vec![two(), four()], vec![], vec![]);
    urgent.facts.urgency = Urgency::Express;
    let uid = hub
        .accept(document(&hub, "1", vec![two(), four()]))
        .await
        .document;
    let order = hub.accept(urgent).await;
    assert!(order.recipients.iter().all(|line| line.state == State::Scheduled));
    assert_eq!(
        row(&hub, uid, 0).await,
        (State::Scheduled, ChangeState::UpdateAsked)
    );
    // However urgent it is, the document goes first; while the document fails, the update waits.
    let claimed = hub.claim().await;
    let first: Vec<_> = carriers(&claimed)
        .iter()
        .map(|m| (m.document, m.priority))
        .collect();
    let second = Some(order.document);
    assert_eq!(first, [(Some(uid), 0), (Some(uid), 0), (second, 0), (second, 0)]);
    for message in carriers(&claimed) {
        super::change_kit::fail(&hub, message.delivery, PublishFailure::Nacked).await;
    }
    let request = crate::ClaimRequest {
        max: 1,
        ..crate::ClaimRequest::usual(super::kit::owner())
    };
    let one = hub.ledger.claim(request).await.unwrap();
    assert_eq!(carriers(&one)[0].document, Some(uid));
    let rest = hub.claim().await;
    let rest: Vec<_> = carriers(&rest).iter().map(|m| m.document).collect();
    assert_eq!(
        rest,
        [Some(uid), second],
        "the update of the one whose document is not out waits"
    );
    hub.minutes(60);
    let sent = hub.forward_all().await;
    for name in ["so", "tt"] {
        hub.take(name, &deliveries(&sent, name)).await;
    }
    // 15: a new revision; the business state is what it was. 16: back to what it was.
    hub.record(hub.status("03", "1")).await;
    let agreed = hub.record(hub.status("15", "U")).await;
    assert_eq!((agreed.effect.as_str(), agreed.document), ("overlay", uid));
    let view = hub.view(uid).await;
    assert_eq!(
        (view.recipients[0].change, view.recipients[0].revision),
        (ChangeState::UpdateAgreed, 1)
    );
    let mut refused = hub.status("16", "1");
    (refused.reporter, refused.reporter_code) = (agency(4), "H53.4".to_owned());
    hub.record(refused).await;
    assert_eq!(
        row(&hub, uid, 1).await,
        (State::Taken, ChangeState::UpdateRefused)
    );
    let on = hub.record(hub.status("06", "1")).await;
    assert_eq!(on.effect, "moved");
    // 01 to 06 about the update itself stay with it.
    let own = hub.record(hub.status("01", "U")).await;
    assert_eq!((own.effect.as_str(), own.document), ("moved", order.document));
    hub.sound().await;
}

pub async fn an_update_adds_and_removes_recipients(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = hub
        .accept(document(&hub, "1", vec![two(), three()]))
        .await
        .document;
    let sent = hub.forward_all().await;
    let delivery = deliveries(&sent, "so")[0];
    let order = update(&hub, "U", "1", vec![two()], vec![three()], vec![four()]);
    let order = hub.accept(order).await.document;
    assert_eq!(row(&hub, uid, 0).await.1, ChangeState::UpdateAsked);
    assert_eq!(row(&hub, uid, 1).await.1, ChangeState::RecallAsked);
    // To whom it stays an update, to whom it goes an order that overtakes, and to the new one a document.
    let claimed = hub.forward_all().await;
    let mut carried: Vec<_> = carriers(&claimed)
        .iter()
        .map(|m| (m.to.clone(), m.priority, m.withdraws.clone()))
        .collect();
    carried.sort();
    assert_eq!(
        carried,
        [
            (vec![two().code], 0, vec![]),
            (
                vec![three().code],
                crate::ANSWER_PRIORITY,
                vec![(delivery, vec![three().code])]
            ),
            (vec![four().code], 0, vec![]),
        ]
    );
    withdrawn(&hub, delivery, &["H53.3"]).await;
    let view = hub.view(uid).await;
    assert!(matches!(
        view.recipients[1].state,
        TransportState::Withdrawn {
            cause: WithdrawCause::Removed,
            proof: WithdrawProof::AdapterSaid,
            ..
        }
    ));
    // The one who was added has no other document: a recall reaches it there.
    let all = vec![two(), four()];
    let receipt = hub.accept(recall(&hub, "R", "1", all)).await;
    assert!(
        receipt
            .recipients
            .iter()
            .all(|line| line.state == State::Scheduled)
    );
    let claimed = hub.forward_all().await;
    let withdraws: usize = carriers(&claimed).iter().map(|m| m.withdraws.len()).sum();
    assert_eq!(
        withdraws, 3,
        "the document and its update on so, the update on tt"
    );
    let added = hub.view(order).await;
    assert_eq!(added.recipients[1].change, ChangeState::RecallAsked);
    hub.sound().await;
}

pub async fn a_recall_ends_updates_that_did_not_leave(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = hub.accept(hub.document("1")).await.document;
    let sent = hub.forward_all().await;
    hub.take("so", &deliveries(&sent, "so")).await;
    let order = hub
        .accept(update(&hub, "U", "1", vec![two()], vec![], vec![]))
        .await
        .document;
    hub.accept(recall(&hub, "R", "1", vec![two()])).await;
    assert_eq!(row(&hub, uid, 0).await, (State::Taken, ChangeState::RecallAsked));
    assert!(matches!(
        hub.view(order).await.recipients[0].state,
        TransportState::Withdrawn {
            cause: WithdrawCause::OrderMoot,
            ..
        }
    ));
    let claimed = hub.forward_all().await;
    assert_eq!(carriers(&claimed).len(), 1);
    assert_eq!(told(&claimed), [(two().code, "never-left".to_owned())]);
    hub.sound().await;
}

pub async fn an_update_after_a_recall_is_left_out(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = hub
        .accept(document(&hub, "1", vec![two(), four()]))
        .await
        .document;
    let sent = hub.forward_all().await;
    hub.take("tt", &deliveries(&sent, "tt")).await;
    hub.accept(recall(&hub, "R", "1", vec![two()])).await;
    let receipt = hub
        .accept(update(&hub, "U", "1", vec![two(), four()], vec![], vec![]))
        .await;
    assert_eq!(receipt.warnings[0].code, WarningCode::UpdateAfterRecall);
    let states: Vec<State> = receipt.recipients.iter().map(|line| line.state).collect();
    assert_eq!(states, [State::Withdrawn, State::Scheduled]);
    assert_eq!(row(&hub, uid, 0).await.1, ChangeState::RecallAsked);
    hub.accept(recall(&hub, "R2", "1", vec![four()])).await;
    let late = update(&hub, "U2", "1", vec![two(), four()], vec![], vec![]);
    let answer = refusal_of(hub.ledger.submit_document(late).await.unwrap());
    assert_eq!(answer.code, RefusalCode::UpdateOfRecalled);
    let unknown = update(&hub, "U3", "lạ", vec![two()], vec![], vec![]);
    let answer = refusal_of(hub.ledger.submit_document(unknown).await.unwrap());
    assert_eq!(answer.code, RefusalCode::ChangeUnknownDocument);
    hub.sound().await;
}

pub async fn an_update_waits_with_its_document(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut held = hub.document("1");
    held.park = Some(truc_model::ParkCause::SecretMarking);
    hub.accept(held).await;
    let receipt = hub
        .accept(update(&hub, "U", "1", vec![two(), four()], vec![], vec![]))
        .await;
    let states: Vec<State> = receipt.recipients.iter().map(|line| line.state).collect();
    assert_eq!(states, [State::Parked, State::Scheduled]);
    hub.sound().await;
}

pub async fn a_replacement_takes_the_place(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    // At home and addressed again: never sent. At home and not addressed: marked, and sent.
    let uid = hub
        .accept(document(&hub, "1", vec![two(), four()]))
        .await
        .document;
    let new = hub
        .accept(replacement(&hub, "N", "1", vec![two(), three()], vec![]))
        .await
        .document;
    assert_eq!(row(&hub, uid, 0).await, (State::Withdrawn, ChangeState::None));
    assert_eq!(row(&hub, uid, 1).await, (State::Scheduled, ChangeState::Replaced));
    let claimed = hub.forward_all().await;
    assert_eq!(told(&claimed), [(two().code, "never-left".to_owned())]);
    let carrier = carriers(&claimed)
        .into_iter()
        .find(|m| m.document == Some(new))
        .unwrap();
    assert_eq!(carrier.replaces, [uid]);
    hub.take("tt", &deliveries(&claimed, "tt")).await;
    let mut late = hub.status("03", "1");
    (late.reporter, late.reporter_code) = (agency(4), four().code);
    let late = hub.record(late).await;
    assert_eq!((late.effect.as_str(), late.passed_on), ("ended", true));
    // Only those listed.
    let uid = hub
        .accept(document(&hub, "2", vec![two(), three()]))
        .await
        .document;
    let sent = hub.forward_all().await;
    hub.take("so", &deliveries(&sent, "so")).await;
    hub.accept(replacement(&hub, "N2", "2", vec![two(), three()], vec![three()]))
        .await;
    assert_eq!(row(&hub, uid, 0).await.1, ChangeState::None);
    assert_eq!(row(&hub, uid, 1).await, (State::Taken, ChangeState::Replaced));
    // Unknown and foreign ones are named in the receipt, and the new document goes.
    let receipt = hub
        .accept(replacement(&hub, "N3", "lạ", vec![two()], vec![]))
        .await;
    assert_eq!(receipt.warnings[0].code, WarningCode::ReplacesUnknown);
    let mut foreign = replacement(&hub, "N4", "2", vec![two()], vec![]);
    foreign.identity.sender = agency(7);
    let receipt = hub.accept(foreign).await;
    assert_eq!(receipt.warnings[0].code, WarningCode::ReplacesForeign);
    assert_eq!(receipt.recipients[0].state, State::Scheduled);
    // One that waits for an operator replaces nothing.
    let uid = hub.accept(hub.document("3")).await.document;
    let mut held = replacement(&hub, "N5", "3", vec![two()], vec![]);
    held.park = Some(truc_model::ParkCause::SecretMarking);
    hub.accept(held).await;
    assert_eq!(row(&hub, uid, 0).await, (State::Scheduled, ChangeState::None));
    hub.sound().await;
}

pub async fn a_closed_code_goes_to_its_successor_for_a_time(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut forwarded = two();
    forwarded.successors = vec!["H60.2".to_owned()];
    let mut closed = PlannedRecipient::new(
        "H53.7".to_owned(),
        agency(7),
        crate::Plan::Undeliverable(truc_model::UndeliverableCause::ClosedCode),
    );
    closed.successors = vec!["H60.7".to_owned()];
    let receipt = hub.accept(document(&hub, "1", vec![forwarded, closed])).await;
    assert_eq!(receipt.warnings[0].code, WarningCode::ClosedCodeForwarded);
    let notices: Vec<serde_json::Value> = hub
        .answers("xa")
        .await
        .into_iter()
        .filter(|(kind, _)| *kind == Outgoing::Notice)
        .map(|(_, json)| json)
        .collect();
    let of = |code: &str| notices.iter().find(|json| json["code"] == code).unwrap();
    assert_eq!(of("successor-used")["cause"], "H60.2");
    let words = of("recipient-undeliverable")["message"]["vi"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(words.contains("H60.7"), "{words}");
    hub.sound().await;
}

pub async fn every_order_has_its_own_answer(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = hub.accept(document(&hub, "1", vec![two()])).await.document;
    let first = hub.forward_all().await;
    hub.take("so", &deliveries(&first, "so")).await;
    // Two updates and a recall, each agreed to: each answer moves the overlay, and each is passed on once.
    let mut passed_on = 0;
    for (order, revision) in [("U1", 1), ("U2", 2), ("R", 2)] {
        let packet = if order == "R" {
            recall(&hub, order, "1", vec![two()])
        } else {
            update(&hub, order, "1", vec![two()], vec![], vec![])
        };
        hub.accept(packet).await;
        let sent = hub.forward_all().await;
        hub.take("so", &deliveries(&sent, "so")).await;
        let mut agreed = hub.status("15", "1");
        agreed.sha256 = Sha256::of(order.as_bytes());
        agreed.body = order.as_bytes().into();
        let receipt = hub.record(agreed).await;
        assert_eq!(
            (receipt.effect.as_str(), receipt.passed_on),
            ("overlay", true),
            "{order}"
        );
        assert_eq!(hub.view(uid).await.recipients[0].revision, revision);
        let back = hub.claim().await;
        passed_on += back.iter().filter(|m| m.outgoing == Outgoing::Status).count();
    }
    assert_eq!(passed_on, 3);
    assert_eq!(row(&hub, uid, 0).await.1, ChangeState::Withdrawn);
    // Nothing waits for an answer any more: a further 15 repeats.
    let mut again = hub.status("15", "1");
    again.sha256 = Sha256::of(b"again");
    again.body = b"again".as_slice().into();
    assert_eq!(hub.record(again).await.effect, "duplicate");
}

pub async fn an_order_names_all_it_takes_back_or_each_with_its_codes(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = hub.accept(document(&hub, "1", vec![two()])).await.document;
    let first = deliveries(&hub.forward_all().await, "so");
    // An update brings the document to another on the same system; it travels in one message for both.
    let order = update(&hub, "U", "1", vec![two()], vec![], vec![three()]);
    let order = hub.accept(order).await.document;
    let second = deliveries(&hub.forward_all().await, "so");
    hub.accept(recall(&hub, "R", "1", vec![two()])).await;
    let claimed = hub.claim().await;
    let recalling: Vec<_> = carriers(&claimed)
        .iter()
        .filter(|m| !m.withdraws.is_empty())
        .map(|m| m.withdraws.clone())
        .collect();
    let [withdraws] = recalling.as_slice() else {
        panic!("one order: {recalling:?}");
    };
    let named: Vec<_> = withdraws.iter().map(|(delivery, _)| *delivery).collect();
    for delivery in first.iter().chain(&second) {
        assert!(named.contains(delivery), "{named:?} of {uid} and {order}");
    }
    for (delivery, codes) in withdraws {
        assert_eq!(codes, &[super::change_kit::TWO.to_owned()], "{delivery}");
    }
}

pub async fn the_later_text_of_a_recalled_document_goes_with_it(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = hub
        .accept(document(&hub, "1", vec![two(), four()]))
        .await
        .document;
    let order = update(&hub, "U", "1", vec![two(), four()], vec![], vec![]);
    let (first, later) = (hub.view(uid).await.document.sha256, order.sha256);
    hub.accept(order).await;
    for _ in 0..2 {
        let sent = hub.forward_all().await;
        for name in ["so", "tt"] {
            hub.take(name, &deliveries(&sent, name)).await;
        }
    }
    let kept = async |digest| hub.ledger.body(digest).await.unwrap().is_some();
    // While one has it, both texts stay; they go with the last.
    hub.accept(recall(&hub, "R1", "1", vec![two()])).await;
    assert!(kept(first).await && kept(later).await);
    let last = recall(&hub, "R2", "1", vec![four()]);
    let own = last.sha256;
    hub.accept(last).await;
    assert!(!kept(first).await && !kept(later).await && kept(own).await);
    let report = hub.ledger.verify(&crate::VerifyOptions::default()).await.unwrap();
    assert_eq!(report.findings, []);
}

pub async fn an_update_stays_while_it_has_a_word_to_bring(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    hub.accept(document(&hub, "1", vec![two(), four()])).await;
    let sent = hub.forward_all().await;
    for name in ["so", "tt"] {
        hub.take(name, &deliveries(&sent, name)).await;
    }
    // It removes the second; then the document is recalled from the first as well.
    let order = update(&hub, "U", "1", vec![two()], vec![four()], vec![]);
    let later = order.sha256;
    let order = hub.accept(order).await.document;
    hub.accept(recall(&hub, "R", "1", vec![two()])).await;
    let sent = hub.forward_all().await;
    let removal = carriers(&sent)
        .into_iter()
        .any(|m| m.document == Some(order) && m.system.as_str() == "tt");
    assert!(removal, "the word that removes it goes out");
    assert!(hub.ledger.body(later).await.unwrap().is_some());
}
