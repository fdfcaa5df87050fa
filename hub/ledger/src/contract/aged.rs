//! Years of traffic for measurements and for tests of plans: an invented province whose documents were accepted,
//! forwarded and taken long ago, some still open.
//!
//! What is written is what the rules write: a group of documents goes through [`crate::rules`] on a twin in memory
//! that continues the ledger's chain, and only what it came to is carried to the back end. So events, chain, receipts
//! and states are true, and the back end is spared everything that ended long ago.
//!
//! Not as in a real province: bodies are a few bytes; recipients whose time limits ended in reality have none, but in
//! one group of fifty; a document's number is not checked against those of earlier groups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use truc_model::wire::{Declined, Intake, Outgoing, Receipt, Taken};
use truc_model::{
    AgencyId, DeliveryUid, DocumentIdentity, MessageId, Operation, Party, Place, Random, Refusal,
    RefusalCode, SeededRandom, Sha256, SignatureState, SignatureStrength, SignatureVerdict, StatusCode,
    SystemId, UndeliverableCause, Urgency,
};

use crate::body::Body;
use crate::command::{
    AttachmentFacts, ClaimRequest, ConflictPolicy, DocumentFacts, DocumentSubmission, Forwarded, HubId, Plan,
    PlannedRecipient, RefusedSubmission, StatusSubmission, SubmissionKey, TakenReport,
};
use crate::error::StoreError;
use crate::event::Head;
use crate::limit::LimitChanges;
use crate::memory::MemoryStore;
use crate::outcome::{Claimed, SubmitOutcome};
use crate::rows::Changes;
use crate::rules::{self, Command, Reply};
use crate::store::Store as _;

/// Agencies of the invented province.
pub const AGENCIES: u32 = 1500;

/// Systems they are on: three large shared ones, the rest smaller.
pub const SYSTEMS: u32 = 24;

/// Documents accepted at one moment.
pub const MOMENT: u64 = 100;

/// Documents of one group, which is saved in one transaction.
pub const GROUP: u64 = 1000;

/// One group of so many keeps its time limits.
pub const LIMITS_KEPT_EVERY: u64 = 50;

/// Of so many documents one is never taken by anybody, and one more never forwarded.
pub const OPEN_EVERY: u64 = 5000;

/// How many recipients documents have, in turn; 4 on average.
const RECIPIENTS: [u32; 20] = [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5, 5, 7, 9, 12, 17];

const TYPES: [(&str, &str); 8] = [
    ("Công văn", "UBND-VP"),
    ("Quyết định", "QĐ-UBND"),
    ("Thông báo", "TB-UBND"),
    ("Báo cáo", "BC-STC"),
    ("Kế hoạch", "KH-SGDĐT"),
    ("Giấy mời", "GM-VP"),
    ("Tờ trình", "TTr-SXD"),
    ("Công văn", "SNV-CCVC"),
];

const SUBJECTS: [&str; 6] = [
    "V/v báo cáo tình hình thực hiện nhiệm vụ phát triển kinh tế - xã hội",
    "V/v triển khai công tác phòng, chống thiên tai và tìm kiếm cứu nạn",
    "Về việc phê duyệt điều chỉnh chủ trương đầu tư dự án nâng cấp đường giao thông liên xã",
    "V/v cử cán bộ, công chức tham gia lớp bồi dưỡng nghiệp vụ",
    "Mời họp giao ban công tác chuyển đổi số",
    "V/v góp ý dự thảo Nghị quyết của Hội đồng nhân dân tỉnh",
];

/// A plan of years of traffic. The same plan writes the same ledger.
#[derive(Debug, Clone)]
pub struct Ageing {
    /// How many documents in all.
    pub documents: u64,
    /// When the first is accepted.
    pub from: Timestamp,
    /// When the last is.
    pub until: Timestamp,
    /// Another seed, other ids.
    pub seed: u64,
}

impl Ageing {
    /// So many documents over the three years before `until`.
    pub fn three_years(documents: u64, until: Timestamp) -> Self {
        Self {
            documents,
            from: until - SignedDuration::from_hours(3 * 365 * 24),
            until,
            seed: 5,
        }
    }

    /// When the document of this number is accepted.
    pub fn moment(&self, number: u64) -> Timestamp {
        let span = i128::from(self.until.as_microsecond() - self.from.as_microsecond());
        let at = span * i128::from(number) / i128::from(self.documents.max(1));
        self.from + SignedDuration::from_micros(i64::try_from(at).unwrap_or(i64::MAX))
    }

    /// Everything that a group of documents brings, from its first to its last message; `head` is the end of the
    /// chain it continues.
    ///
    /// # Errors
    /// [`StoreError`] when the rules find a contradiction: a defect.
    pub async fn group(&self, head: Head, first: u64, count: u64) -> Result<Changes, StoreError> {
        let mut group = Group {
            store: MemoryStore::continuing(head),
            random: Arc::new(SeededRandom::new(self.seed ^ first.wrapping_mul(0x9E37_79B9))),
            now: self.moment(first),
        };
        let mut number = first;
        while number < first + count {
            let until = (number + MOMENT).min(first + count);
            // Everything about the documents of a moment is over before the next one.
            let slot = self.moment(until).as_microsecond() - self.moment(number).as_microsecond();
            let step = SignedDuration::from_micros((slot / 16).max(1));
            group.now = self.moment(number).max(group.now);
            group.documents(number..until, step).await?;
            number = until;
        }
        let mut changes = group.store.into_changes().await;
        if !(first / GROUP).is_multiple_of(LIMITS_KEPT_EVERY) {
            changes.limits = LimitChanges::default();
        }
        Ok(changes)
    }
}

struct Group {
    store: MemoryStore,
    random: Arc<SeededRandom>,
    now: Timestamp,
}

impl Group {
    async fn run(&mut self, commands: Vec<Command>) -> Result<Vec<Reply>, StoreError> {
        let mut tx = self.store.begin().await?;
        let random = Arc::clone(&self.random) as Arc<dyn Random>;
        let batch = rules::run(tx.as_mut(), self.now, random, &commands).await?;
        tx.commit().await?;
        let replies: Result<Vec<Reply>, _> = batch.replies.into_iter().collect();
        replies.map_err(|error| StoreError::Backend(error.into()))
    }

    async fn documents(
        &mut self,
        numbers: std::ops::Range<u64>,
        step: SignedDuration,
    ) -> Result<(), StoreError> {
        let mut commands = Vec::new();
        for number in numbers.clone() {
            commands.push(Command::Document(Box::new(self.document(number))));
            if number % 100 == 7 {
                commands.push(Command::Refused(Box::new(self.refused(number))));
            }
        }
        // What is left open, by the document's number.
        let mut open: BTreeMap<DeliveryUid, Open> = BTreeMap::new();
        let mut statuses = Vec::new();
        let accepted = self.run(commands).await?;
        let accepted = accepted.into_iter().filter_map(|reply| match reply {
            Reply::Submitted(SubmitOutcome::Accepted(Receipt::Document(receipt))) => Some(receipt),
            _ => None,
        });
        for (number, receipt) in numbers.zip(accepted.collect::<Vec<_>>()) {
            let place = match number % OPEN_EVERY {
                17 => Some(Open::Untaken),
                34 => Some(Open::Unsent),
                n if n % 1000 == 51 => Some(Open::Declined),
                _ => None,
            };
            for line in &receipt.recipients {
                if let (Some(delivery), Some(place)) = (line.delivery, place) {
                    open.insert(delivery, place);
                }
            }
            if number % 33 == 5 && place.is_none() {
                statuses.extend(self.statuses(number));
            }
        }
        self.now += step;
        self.deliver(&open, step).await?;
        if !statuses.is_empty() {
            self.run(statuses).await?;
            self.now += step;
            self.deliver(&open, step).await?;
        }
        Ok(())
    }

    /// Everything that waits goes out and is taken, but for what stays open; then what that brought goes out.
    async fn deliver(
        &mut self,
        open: &BTreeMap<DeliveryUid, Open>,
        step: SignedDuration,
    ) -> Result<(), StoreError> {
        loop {
            let request = ClaimRequest {
                lease: Duration::from_micros(1),
                max: usize::MAX,
                answers_max: usize::MAX,
                bytes_max: u64::MAX,
                window: u32::MAX,
                ..ClaimRequest::usual(HubId::new("hub-1"))
            };
            let replies = self.run(vec![Command::Claim(request)]).await?;
            let mut claimed: Vec<Claimed> = Vec::new();
            for reply in replies {
                if let Reply::Claimed(messages) = reply {
                    claimed.extend(messages);
                }
            }
            claimed.retain(|message| open.get(&message.delivery) != Some(&Open::Unsent));
            if claimed.is_empty() {
                return Ok(());
            }
            self.now += step;
            let confirms = claimed.iter().map(|message| Forwarded {
                delivery: message.delivery,
                at: self.now,
                attempt: message.attempt,
            });
            let mut commands = vec![Command::Forwarded(confirms.collect())];
            let mut said: BTreeMap<SystemId, Taken> = BTreeMap::new();
            for message in claimed.iter().filter(|message| message.outgoing.awaits_taken()) {
                let taken = said.entry(message.system.clone()).or_default();
                match open
                    .get(&message.delivery)
                    .filter(|_| message.outgoing == Outgoing::Document)
                {
                    None => taken.taken.push(message.delivery),
                    Some(Open::Declined) => taken.refused.push(Declined {
                        delivery: message.delivery,
                        code: "unknown-unit".to_owned(),
                        reason: "không có đơn vị này".to_owned(),
                    }),
                    Some(Open::Untaken | Open::Unsent) => {}
                }
            }
            self.run(std::mem::take(&mut commands)).await?;
            self.now += step;
            said.retain(|_, taken| !taken.taken.is_empty() || !taken.refused.is_empty());
            let reports = said.into_iter().map(|(system, taken)| {
                Command::Taken(TakenReport {
                    system,
                    message_id: Some(self.message_id()),
                    taken,
                })
            });
            let reports: Vec<Command> = reports.collect();
            if !reports.is_empty() {
                self.run(reports).await?;
            }
            self.now += step;
        }
    }

    fn message_id(&self) -> MessageId {
        MessageId::new(self.random.uuid_v7(self.now))
    }

    fn document(&self, number: u64) -> DocumentSubmission {
        document(number, self.message_id(), self.now)
    }

    fn refused(&self, number: u64) -> RefusedSubmission {
        let body = format!("refused {number}");
        let sender = sender(number);
        RefusedSubmission {
            system: Some(system_of(sender)),
            message_id: Some(self.message_id()),
            intake: Intake::Document,
            received_at: self.now,
            sha256: Sha256::of(body.as_bytes()),
            size: body.len() as u64,
            sender: Some(Party::Agency(AgencyId(sender))),
            findings: vec![Refusal::new(
                RefusalCode::SealMissing,
                Place::header("truc-seal"),
                "a seal",
                "none",
            )],
            body: None,
        }
    }

    /// 01 and 03 of the first recipient that can be reached.
    fn statuses(&self, number: u64) -> Vec<Command> {
        let document = self.document(number);
        let reached = document
            .recipients
            .iter()
            .find_map(|recipient| match &recipient.plan {
                Plan::Deliver { system } => Some((recipient, system.clone())),
                _ => None,
            });
        let Some((recipient, system)) = reached else {
            return Vec::new();
        };
        let status = |code: StatusCode| {
            let body: Arc<[u8]> = Arc::from(format!("status {} {number}", code.digits()).as_bytes());
            Command::Status(Box::new(StatusSubmission {
                key: SubmissionKey {
                    system: system.clone(),
                    message_id: self.message_id(),
                },
                received_at: self.now,
                sha256: Sha256::of(&body),
                size: body.len() as u64,
                body,
                code,
                reporter: recipient.party.clone(),
                reporter_formerly: Vec::new(),
                reporter_code: recipient.code.clone(),
                about: document.identity.sender.clone(),
                about_formerly: Vec::new(),
                about_code: document.sender_code.clone(),
                document_id: Some(document.identity.document_id.clone()),
                number: None,
                year: None,
                to_system: None,
                reason_given: false,
                warnings: Vec::new(),
            }))
        };
        let codes = [StatusCode::from_digits("01"), StatusCode::from_digits("03")];
        codes.into_iter().flatten().map(status).collect()
    }
}

/// What a document's deliveries are left as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// In the inboxes.
    Untaken,
    /// In the ledger.
    Unsent,
    /// Nothing is open: the adapters declined them.
    Declined,
}

/// Well mixed bits of a number.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Half of all documents are sent by a tenth of the agencies.
fn sender(number: u64) -> u32 {
    let bits = mixed(number);
    let among = if bits & 1 == 0 { AGENCIES / 10 } else { AGENCIES };
    u32::try_from((bits >> 8) % u64::from(among)).unwrap_or(0)
}

/// Six agencies in ten are on the three shared systems.
#[must_use]
pub fn system_of(agency: u32) -> SystemId {
    let number = if agency % 10 < 6 {
        agency % 3
    } else {
        3 + agency % (SYSTEMS - 3)
    };
    SystemId::new(&format!("he-thong-{number:02}")).unwrap()
}

/// The code of an agency.
#[must_use]
pub fn code_of(agency: u32) -> String {
    format!("000.{:02}.{:02}.H53", agency % 100, agency / 100)
}

/// The `DocumentId` of the document of this number.
#[must_use]
pub fn document_id(number: u64) -> String {
    format!("{}.{number:09}", code_of(sender(number)))
}

/// The number that [`document_id`] was made of.
#[must_use]
pub fn number_of(document_id: &str) -> Option<u64> {
    document_id.rsplit('.').next()?.parse().ok()
}

/// Number and notation of the document of this number, as one types them into a search.
#[must_use]
pub fn number_and_notation(number: u64) -> (String, String) {
    let (_, notation) = TYPES[usize::try_from(number % TYPES.len() as u64).unwrap_or(0)];
    ((1 + number % 4999).to_string(), notation.to_owned())
}

/// The document of this number, as its system submits it.
#[must_use]
pub fn document(number: u64, message_id: MessageId, at: Timestamp) -> DocumentSubmission {
    let bits = mixed(!number);
    let sender = sender(number);
    let body: Arc<[u8]> = Arc::from(format!("document {number}").as_bytes());
    let sha256 = Sha256::of(&body);
    let (plain, notation) = number_and_notation(number);
    let type_name = TYPES[usize::try_from(number % TYPES.len() as u64).unwrap_or(0)].0;
    let issued = at.to_zoned(truc_model::clock::viet_nam()).date();
    let system = system_of(sender);
    let recipients = RECIPIENTS[usize::try_from(bits % RECIPIENTS.len() as u64).unwrap_or(0)];
    let recipients = (0..recipients).map(|place| recipient(sender, bits, place));
    DocumentSubmission {
        key: SubmissionKey {
            system: system.clone(),
            message_id,
        },
        received_at: at,
        sha256,
        size: body.len() as u64,
        body: Body::Here(body),
        identity: DocumentIdentity {
            sender: Party::Agency(AgencyId(sender)),
            document_id: document_id(number),
        },
        sender_formerly: Vec::new(),
        sender_code: code_of(sender),
        facts: DocumentFacts {
            number: Some(plain),
            notation: Some(notation),
            issued_on: Some(issued),
            year: Some(issued.year()),
            type_name: Some(type_name.to_owned()),
            subject: Some(SUBJECTS[usize::try_from((bits >> 20) % 6).unwrap_or(0)].to_owned()),
            operation: Operation::New,
            urgency: match bits >> 60 {
                0 => Urgency::Express,
                1 | 2 => Urgency::Urgent,
                _ => Urgency::Normal,
            },
            refers_to: None,
            attachments: vec![AttachmentFacts {
                name: "van-ban.pdf".to_owned(),
                length: 80_000 + bits % 400_000,
                sha256,
                sniffed: Some("pdf".to_owned()),
                note: None,
                signature: None,
            }],
            sent_late: None,
        },
        verdict: SignatureVerdict {
            seal: SignatureState::Valid {
                algorithm: "ES256".to_owned(),
                certificate: Sha256::of(system.as_str().as_bytes()).to_string(),
                signer: system.as_str().to_owned(),
                signed_at: Some(at),
                strength: SignatureStrength::Current,
            },
            xml: SignatureState::Absent,
            vouched_by_channel: false,
        },
        warnings: Vec::new(),
        recipients: recipients.collect(),
        change: None,
        conflict_policy: ConflictPolicy::Park,
        park: None,
        directory_version: 1,
    }
}

/// The recipients of one document are neighbours in a round through the province: all different, none the sender.
fn recipient(sender: u32, bits: u64, place: u32) -> PlannedRecipient {
    let start = u32::try_from((bits >> 8) % u64::from(AGENCIES)).unwrap_or(0);
    let mut agency = (start + place * 7) % AGENCIES;
    if agency == sender {
        agency = (start + AGENCIES - 7) % AGENCIES;
    }
    let plan = if place == 0 && bits.is_multiple_of(257) {
        Plan::Undeliverable(UndeliverableCause::UnknownCode)
    } else {
        Plan::Deliver {
            system: system_of(agency),
        }
    };
    PlannedRecipient::new(code_of(agency), Party::Agency(AgencyId(agency)), plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Bench as _;
    use crate::contract::MemoryBench;
    use crate::{BalanceFilter, Ledger, Settings, VerifyOptions};
    use truc_model::ManualClock;

    #[tokio::test]
    async fn an_aged_ledger_is_sound_and_can_be_continued() {
        let store = MemoryBench::default().open().await;
        let until = Timestamp::from_second(crate::contract::kit::START).unwrap();
        let ageing = Ageing::three_years(2 * GROUP, until);
        let mut head = Head::EMPTY;
        for first in [0, GROUP] {
            let changes = ageing.group(head, first, GROUP).await.unwrap();
            let last = changes.events.last().unwrap();
            head = Head {
                seq: last.seq,
                hash: last.hash,
            };
            let mut tx = store.begin().await.unwrap();
            tx.save(changes).await.unwrap();
            tx.commit().await.unwrap();
        }
        let clock = Arc::new(ManualClock::at(until));
        let random = Arc::new(SeededRandom::new(9));
        let ledger = Ledger::start(store, clock, random, Settings::default());
        let report = ledger.verify(&VerifyOptions::default()).await.unwrap();
        assert_eq!(report.findings, []);
        let balance = ledger.balance(&BalanceFilter::default()).await.unwrap();
        assert!(balance.balances(), "{balance:#?}");
        assert_eq!(balance.total.documents, 2 * GROUP);
        let per_document = balance.total.accepted as f64 / (2 * GROUP) as f64;
        assert!((3.5..4.5).contains(&per_document), "{per_document}");
        assert!(balance.total.waiting > 0 && balance.total.refused > 0 && balance.total.undeliverable > 0);
        let found = ledger.find(&document_id(1234)).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(number_of(&document_id(1234)), Some(1234));
        // It goes on as any ledger does.
        let submission = document(2 * GROUP, MessageId::new(random_uuid()), until);
        let outcome = ledger.submit_document(submission).await.unwrap();
        assert!(matches!(outcome, SubmitOutcome::Accepted(_)), "{outcome:?}");
    }

    fn random_uuid() -> uuid::Uuid {
        SeededRandom::new(77).uuid_v7(Timestamp::UNIX_EPOCH)
    }
}
