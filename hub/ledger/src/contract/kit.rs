//! What the cases share: a hub in small, and short words for long values.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use truc_model::delivery::TransportStateName;
use truc_model::wire::{Declined, DocumentReceipt, Intake, Outgoing, Receipt, StatusReceipt, Taken};
use truc_model::{
    AgencyId, DeliveryUid, DocumentIdentity, DocumentUid, ManualClock, MessageId, Operation, Party, Place,
    Random, Refusal, RefusalCode, SeededRandom, Sha256, SignatureState, SignatureVerdict, StatusCode,
    SystemId, Urgency,
};

use super::Bench;
use crate::{
    BalanceFilter, Body, ClaimRequest, Claimed, ConflictPolicy, DocumentFacts, DocumentSubmission,
    DocumentView, Event, EventKind, Forwarded, HubId, Ledger, Plan, PlannedRecipient, RefusedSubmission,
    Settings, StatusSubmission, SubmissionKey, SubmitOutcome, TakenOutcome, TakenReport, VerifyOptions,
};

/// When every case begins: 1 January 2026, 08:00 in Viet Nam.
pub const START: i64 = 1_767_229_200;

/// A ledger on a bench, with a clock set by hand and repeatable ids.
pub struct Hub {
    pub ledger: Ledger,
    pub clock: Arc<ManualClock>,
    ids: SeededRandom,
}

pub fn agency(number: u32) -> Party {
    Party::Agency(AgencyId(number))
}

pub fn system(name: &str) -> SystemId {
    SystemId::new(name).unwrap()
}

pub fn owner() -> HubId {
    HubId::new("hub-1")
}

/// One recipient: code, agency, system.
pub fn to(code: &str, number: u32, name: &str) -> PlannedRecipient {
    PlannedRecipient::new(
        code.to_owned(),
        agency(number),
        Plan::Deliver { system: system(name) },
    )
}

/// The bytes of a body that is here.
pub fn bytes(body: &Body) -> Arc<[u8]> {
    let here = body.here().cloned();
    here.unwrap_or_else(|| panic!("expected bytes, found {body:?}"))
}

impl Hub {
    pub async fn open(bench: &dyn Bench) -> Self {
        Self::with(bench, Settings::default(), 1).await
    }

    pub async fn with(bench: &dyn Bench, settings: Settings, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(START).unwrap()));
        let random = Arc::new(SeededRandom::new(seed));
        let ledger = Ledger::start(bench.open().await, Arc::clone(&clock) as _, random, settings);
        Self {
            ledger,
            clock,
            ids: SeededRandom::new(!seed),
        }
    }

    pub fn new_message_id(&self) -> MessageId {
        MessageId::new(self.ids.uuid_v7(self.ledger.now()))
    }

    pub fn key(&self, name: &str) -> SubmissionKey {
        SubmissionKey {
            system: system(name),
            message_id: self.new_message_id(),
        }
    }

    /// A document of agency 1 on system `xa`, for agency 2 on system `so`. Its bytes are its name.
    pub fn document(&self, id: &str) -> DocumentSubmission {
        let body: Arc<[u8]> = Arc::from(format!("packet {id}").as_bytes());
        DocumentSubmission {
            key: self.key("xa"),
            received_at: self.ledger.now(),
            sha256: Sha256::of(&body),
            size: body.len() as u64,
            body: body.into(),
            identity: DocumentIdentity {
                sender: agency(1),
                document_id: id.to_owned(),
            },
            sender_formerly: vec![],
            sender_code: "000.20.31.H53".to_owned(),
            facts: facts(id),
            verdict: SignatureVerdict {
                seal: SignatureState::Absent,
                xml: SignatureState::Absent,
                vouched_by_channel: true,
            },
            warnings: vec![],
            recipients: vec![to("000.00.12.H53", 2, "so")],
            change: None,
            conflict_policy: ConflictPolicy::Park,
            park: None,
            directory_version: 1,
        }
    }

    /// A document whose body travels apart: no more of it than digest and size anywhere.
    pub fn document_apart(&self, id: &str, size: u64) -> DocumentSubmission {
        DocumentSubmission {
            size,
            body: Body::Apart { size },
            ..self.document(id)
        }
    }

    /// The same document with other bytes, under a key of its own.
    pub fn rival(&self, of: &DocumentSubmission) -> DocumentSubmission {
        let mut body = bytes(&of.body).to_vec();
        body.push(b'!');
        DocumentSubmission {
            key: self.key(of.key.system.as_str()),
            sha256: Sha256::of(&body),
            size: body.len() as u64,
            body: body.into(),
            ..of.clone()
        }
    }

    pub async fn accept(&self, submission: DocumentSubmission) -> DocumentReceipt {
        match self.ledger.submit_document(submission).await.unwrap() {
            SubmitOutcome::Accepted(Receipt::Document(receipt)) => receipt,
            other => panic!("expected a document accepted, found {other:?}"),
        }
    }

    /// A status of agency 2 about a document of agency 1.
    pub fn status(&self, code: &str, document_id: &str) -> StatusSubmission {
        let key = self.key("so");
        let body: Arc<[u8]> = Arc::from(format!("status {code} {document_id} {}", key.message_id).as_bytes());
        StatusSubmission {
            key,
            received_at: self.ledger.now(),
            sha256: Sha256::of(&body),
            size: body.len() as u64,
            body,
            code: StatusCode::from_digits(code).unwrap(),
            reporter: agency(2),
            reporter_formerly: vec![],
            reporter_code: "000.00.12.H53".to_owned(),
            about: agency(1),
            about_formerly: vec![],
            about_code: "000.20.31.H53".to_owned(),
            document_id: Some(document_id.to_owned()),
            number: None,
            year: None,
            to_system: None,
            reason_given: false,
            warnings: vec![],
        }
    }

    /// 13: agency 1 asks agency 2 to give a document back.
    pub fn take_back(&self, document_id: &str) -> StatusSubmission {
        let status = self.status("13", document_id);
        StatusSubmission {
            key: self.key("xa"),
            reporter: status.about,
            reporter_code: status.about_code,
            about: status.reporter,
            about_code: status.reporter_code,
            ..status
        }
    }

    pub async fn record(&self, status: StatusSubmission) -> StatusReceipt {
        match self.ledger.submit_status(status).await.unwrap() {
            SubmitOutcome::Accepted(Receipt::Status(receipt)) => receipt,
            other => panic!("expected a status accepted, found {other:?}"),
        }
    }

    /// A refused submission of system `xa`.
    pub fn refused(&self, body: &str, code: RefusalCode) -> RefusedSubmission {
        RefusedSubmission {
            system: Some(system("xa")),
            message_id: Some(self.new_message_id()),
            intake: Intake::Document,
            received_at: self.ledger.now(),
            sha256: Sha256::of(body.as_bytes()),
            size: body.len() as u64,
            sender: Some(agency(1)),
            findings: vec![Refusal::new(code, Place::Message, "better", "worse")],
            body: None,
        }
    }

    pub async fn claim(&self) -> Vec<Claimed> {
        self.ledger.claim(ClaimRequest::usual(owner())).await.unwrap()
    }

    pub async fn confirm(&self, claimed: &[Claimed]) {
        let confirms = claimed.iter().map(|message| Forwarded {
            delivery: message.delivery,
            at: self.ledger.now(),
            attempt: message.attempt,
        });
        self.ledger.forwarded(confirms.collect()).await.unwrap();
    }

    /// Forwards everything that can be; gives it.
    pub async fn forward_all(&self) -> Vec<Claimed> {
        let mut all = Vec::new();
        loop {
            let claimed = self.claim().await;
            if claimed.is_empty() {
                return all;
            }
            self.confirm(&claimed).await;
            all.extend(claimed);
        }
    }

    /// Forwards everything; gives the answers to one system as (type, JSON).
    pub async fn answers(&self, name: &str) -> Vec<(Outgoing, serde_json::Value)> {
        answers(&self.forward_all().await, name)
    }

    pub async fn take(&self, name: &str, deliveries: &[DeliveryUid]) -> TakenOutcome {
        self.say(name, deliveries, &[]).await
    }

    pub async fn decline(&self, name: &str, deliveries: &[DeliveryUid]) -> TakenOutcome {
        self.say(name, &[], deliveries).await
    }

    async fn say(&self, name: &str, taken: &[DeliveryUid], refused: &[DeliveryUid]) -> TakenOutcome {
        let declined = refused.iter().map(|delivery| Declined {
            delivery: *delivery,
            code: "unknown-unit".to_owned(),
            reason: "không có đơn vị này".to_owned(),
        });
        let report = TakenReport {
            system: system(name),
            message_id: Some(self.new_message_id()),
            taken: Taken {
                taken: taken.to_vec(),
                refused: declined.collect(),
                ..Taken::default()
            },
        };
        self.ledger.taken(report).await.unwrap()
    }

    pub async fn view(&self, document: DocumentUid) -> DocumentView {
        self.ledger
            .document(document)
            .await
            .unwrap()
            .expect("the document")
    }

    /// The transport states of a document's recipients, by position.
    pub async fn states(&self, document: DocumentUid) -> Vec<TransportStateName> {
        let view = self.view(document).await;
        view.recipients.iter().map(|row| row.state.name()).collect()
    }

    /// How many events there are of each kind.
    pub async fn events(&self) -> BTreeMap<EventKind, usize> {
        let mut counts = BTreeMap::new();
        for row in self.ledger.events(1, usize::MAX).await.unwrap() {
            *counts.entry(row.kind).or_insert(0) += 1;
        }
        counts
    }

    pub async fn count(&self, kind: EventKind) -> usize {
        self.events().await.get(&kind).copied().unwrap_or(0)
    }

    /// The last event of a kind: what it raised or told may follow it.
    pub async fn last_of(&self, kind: EventKind) -> Event {
        let rows = self.ledger.events(1, usize::MAX).await.unwrap();
        let row = rows.iter().rev().find(|row| row.kind == kind).unwrap();
        row.event().unwrap()
    }

    pub async fn last_event(&self) -> Event {
        let head = self.ledger.head().await.unwrap();
        let rows = self.ledger.events(head.seq, 1).await.unwrap();
        rows.last().expect("an event").event().unwrap()
    }

    /// Every case ends with this: the whole ledger is sound and balances.
    pub async fn sound(&self) {
        let report = self.ledger.verify(&VerifyOptions::default()).await.unwrap();
        assert_eq!(report.findings, []);
        let balance = self.ledger.balance(&BalanceFilter::default()).await.unwrap();
        assert!(balance.balances(), "{balance:#?}");
    }

    pub fn minutes(&self, minutes: i64) {
        self.clock.advance(minutes * 60);
    }
}

pub fn facts(id: &str) -> DocumentFacts {
    DocumentFacts {
        number: Some(id.to_owned()),
        notation: Some("UBND-VP".to_owned()),
        issued_on: Some(jiff::civil::date(2026, 1, 1)),
        year: Some(2026),
        type_name: Some("Công văn".to_owned()),
        subject: Some("Về việc \"thử\"\nnghiệm".to_owned()),
        operation: Operation::New,
        urgency: Urgency::Normal,
        refers_to: None,
        attachments: vec![crate::AttachmentFacts {
            name: "cv.pdf".to_owned(),
            length: 3,
            sha256: Sha256::of(b"pdf"),
            sniffed: Some("pdf".to_owned()),
            note: None,
            signature: None,
        }],
        sent_late: None,
    }
}

pub fn answers(claimed: &[Claimed], name: &str) -> Vec<(Outgoing, serde_json::Value)> {
    let mine = claimed
        .iter()
        .filter(|m| m.system.as_str() == name && !m.outgoing.awaits_taken());
    mine.map(|m| (m.outgoing, serde_json::from_slice(&bytes(&m.body)).unwrap()))
        .collect()
}

/// The messages for one system that await `taken`.
pub fn deliveries(claimed: &[Claimed], name: &str) -> Vec<DeliveryUid> {
    let mine = claimed
        .iter()
        .filter(|m| m.system.as_str() == name && m.outgoing.awaits_taken());
    mine.map(|m| m.delivery).collect()
}

pub fn repeat_of(outcome: SubmitOutcome) -> Receipt {
    match outcome {
        SubmitOutcome::Repeat(receipt) => receipt,
        other => panic!("expected a repeat, found {other:?}"),
    }
}

pub fn refusal_of(outcome: SubmitOutcome) -> truc_model::wire::RefusalAnswer {
    match outcome {
        SubmitOutcome::Refused(answer) => answer,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

pub const HOUR: Duration = Duration::from_hours(1);
