//! Finding bodies and letting them go, on a store in a folder and a ledger in memory. Whole documents apart are in
//! `tests/it`.

use std::path::PathBuf;

use tokio::task::yield_now;
use tokio::time::Instant;
use truc_bodies::Settings;
use truc_ledger::{
    Body, ConflictPolicy, DeleteBodies, DocumentFacts, DocumentSubmission, MemoryStore, Plan,
    PlannedRecipient, SubmissionKey, SubmitOutcome,
};
use truc_model::{
    AgencyId, DocumentIdentity, ManualClock, MessageId, Operation, Party, Random, SeededRandom,
    SignatureState, SignatureVerdict, UndeliverableCause, Urgency,
};
use truc_transport::Properties;

use super::*;
use crate::config::Config;

pub(crate) const SENDER: &str = "so-tnmt";

pub(crate) struct Kit {
    clock: Arc<ManualClock>,
    random: SeededRandom,
    pub(crate) bodies: Bodies,
    folder: PathBuf,
    dir: tempfile::TempDir,
}

impl Kit {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("bodies");
        let clock = Arc::new(ManualClock::at("2026-03-02T02:00:00Z".parse().unwrap()));
        let settings = Settings {
            disk_floor_bytes: 0,
            dir: folder.clone(),
            ..Config::default().bodies.settings()
        };
        let random = Arc::new(SeededRandom::new(1));
        let store = BodyStore::open_local(settings, Arc::clone(&clock) as _, Arc::clone(&random) as _).await;
        let ledger = Ledger::start(
            Arc::new(MemoryStore::new()),
            Arc::clone(&clock) as _,
            random,
            truc_ledger::Settings::default(),
        );
        Self {
            bodies: Bodies {
                store: store.unwrap(),
                ledger,
                clock: Arc::clone(&clock) as _,
            },
            clock,
            random: SeededRandom::new(2),
            folder,
            dir,
        }
    }

    pub(crate) async fn upload(&self, who: &str, bytes: &[u8]) -> BodyReference {
        let sha256 = self.bodies.store.put(&system(who), bytes).await.unwrap();
        let size = bytes.len() as u64;
        BodyReference { sha256, size }
    }

    /// What `locate` makes of a message of the sender.
    async fn locate(&self, received: &mut Received) -> Result<Option<Pin>, BodyError> {
        locate(Some(&self.bodies), received).await
    }

    /// A document with a body apart that reaches nobody: it is over at once.
    pub(crate) async fn accepted(&self, named: BodyReference, number: u32) {
        let now = self.clock.now();
        let document = DocumentSubmission {
            key: SubmissionKey {
                system: system(SENDER),
                message_id: MessageId::new(self.random.uuid_v7(now)),
            },
            received_at: now,
            sha256: named.sha256,
            size: named.size,
            body: Body::Apart { size: named.size },
            identity: DocumentIdentity {
                sender: Party::Agency(AgencyId(number)),
                document_id: number.to_string(),
            },
            sender_formerly: vec![],
            sender_code: "000.00.09.H60".to_owned(),
            facts: DocumentFacts {
                number: None,
                notation: None,
                issued_on: None,
                year: None,
                type_name: None,
                subject: None,
                operation: Operation::New,
                urgency: Urgency::Normal,
                refers_to: None,
                attachments: vec![],
                sent_late: None,
            },
            verdict: SignatureVerdict {
                seal: SignatureState::Absent,
                xml: SignatureState::Absent,
                vouched_by_channel: true,
            },
            warnings: vec![],
            recipients: vec![PlannedRecipient::new(
                "000.99.99.H60".to_owned(),
                Party::Unresolved("000.99.99.H60".to_owned()),
                Plan::Undeliverable(UndeliverableCause::UnknownCode),
            )],
            change: None,
            conflict_policy: ConflictPolicy::Park,
            park: None,
            directory_version: 0,
        };
        let outcome = self.bodies.ledger.submit_document(document).await.unwrap();
        assert!(matches!(outcome, SubmitOutcome::Accepted(_)), "{outcome:?}");
        let pin = self
            .bodies
            .store
            .pin(&system(SENDER), named.sha256, named.size)
            .await;
        self.bodies.recorded(pin.unwrap()).await;
    }

    /// An uploaded body that the ledger had and let go.
    async fn leaving(&self, bytes: &[u8], number: u32) -> BodyReference {
        let named = self.upload(SENDER, bytes).await;
        self.accepted(named, number).await;
        self.clock.advance(400 * 24 * 3600);
        let order = DeleteBodies {
            digests: vec![named.sha256],
            ages: Config::default().retention.ages(),
            who: "test".to_owned(),
        };
        let deleted = self.bodies.ledger.delete_bodies(order).await.unwrap();
        assert_eq!(deleted.count, 1);
        assert_eq!(self.left_to_do().await, 1);
        named
    }

    async fn left_to_do(&self) -> usize {
        self.bodies.ledger.leaving_bodies().await.unwrap().len()
    }

    async fn is_stored(&self, named: BodyReference) -> bool {
        self.bodies.store.size(named.sha256).await.unwrap() == Some(named.size)
    }

    /// The disk of the store is gone: a file stands where its folder was.
    fn breaks(&self) {
        std::fs::rename(&self.folder, self.away()).unwrap();
        std::fs::write(&self.folder, b"").unwrap();
    }

    fn mends(&self) {
        std::fs::remove_file(&self.folder).unwrap();
        std::fs::rename(self.away(), &self.folder).unwrap();
    }

    fn away(&self) -> PathBuf {
        self.dir.path().join("away")
    }
}

fn system(name: &str) -> SystemId {
    SystemId::new(name).unwrap()
}

fn message(user: Option<&str>, body: &[u8]) -> Message {
    Message {
        body: body.to_vec(),
        properties: Properties {
            user_id: user.map(str::to_owned),
            ..Properties::default()
        },
        redelivered: false,
        exchange: String::new(),
        routing_key: String::new(),
    }
}

/// A message of the sender that names a body.
fn naming(named: BodyReference) -> Received {
    of(Intake::Document, Some(SENDER), named.to_string().into(), b"")
}

fn of(intake: Intake, user: Option<&str>, header: HeaderValue, body: &[u8]) -> Received {
    let mut message = message(user, body);
    message.properties.headers.insert(header::BODY.to_owned(), header);
    Received::new(intake, message, "2026-03-02T02:00:00Z".parse().unwrap())
}

#[track_caller]
fn refusal(received: &Received) -> (RefusalCode, bool) {
    match &received.packet {
        PacketAt::Nowhere { named, why } => (why.code, named.is_some()),
        other => panic!("expected nowhere, found {other:?}"),
    }
}

#[tokio::test]
async fn a_message_that_names_no_body_carries_its_packet() {
    let kit = Kit::new().await;
    let received = message(Some(SENDER), b"packet");
    let mut received = Received::new(Intake::Document, received, kit.clock.now());
    assert!(kit.locate(&mut received).await.unwrap().is_none());
    assert!(matches!(received.packet, PacketAt::Message));
}

#[tokio::test]
async fn a_body_is_found_and_held_until_it_is_recorded() {
    let kit = Kit::new().await;
    let named = kit.upload(SENDER, b"some bytes").await;
    let mut received = naming(named);
    let pin = kit.locate(&mut received).await.unwrap().unwrap();
    let PacketAt::Apart(local) = &received.packet else {
        panic!("not found: {:?}", received.packet);
    };
    assert_eq!((local.sha256, local.size), (named.sha256, named.size));
    assert!(kit.bodies.holds(&pin));
    let rows = Rows(kit.bodies.ledger.clone());
    kit.clock.advance(30 * 3600);
    // So late nothing may be committed on it, and the pin has ended.
    assert!(!kit.bodies.holds(&pin));
    kit.bodies.release(pin).await;
    let pin = kit.locate(&mut received).await.unwrap().unwrap();
    let removal = kit.bodies.store.remove(named.sha256, &rows).await.unwrap();
    assert_eq!(removal, Removal::Pinned);
    // Nothing was recorded: it is nobody's, and older than one waits for its message.
    kit.bodies.release(pin).await;
    let removal = kit.bodies.store.remove(named.sha256, &rows).await.unwrap();
    assert_eq!(removal, Removal::Removed);
}

#[tokio::test]
async fn what_names_no_body_as_it_must_is_refused_by_its_code() {
    let kit = Kit::new().await;
    let named = kit.upload(SENDER, b"some bytes").await;
    let text = || HeaderValue::from(named.to_string());
    let none: &[u8] = b"";
    let (malformed, unfit) = (
        RefusalCode::BodyReferenceMalformed,
        RefusalCode::BodyReferenceUnfit,
    );
    let cases = [
        (Intake::Document, HeaderValue::from("md5:1"), none, malformed),
        (Intake::Document, HeaderValue::Number(7), none, malformed),
        (Intake::Status, text(), none, unfit),
        (Intake::Taken, text(), none, unfit),
        (Intake::Document, text(), &b"x"[..], unfit),
    ];
    for (intake, header, body, code) in cases {
        let mut received = of(intake, Some(SENDER), header, body);
        assert!(kit.locate(&mut received).await.unwrap().is_none());
        let is_read = code != RefusalCode::BodyReferenceMalformed;
        assert_eq!(refusal(&received), (code, is_read));
    }
    // A hub that serves no bodies takes none.
    let mut received = naming(named);
    assert!(locate(None, &mut received).await.unwrap().is_none());
    assert_eq!(refusal(&received), (RefusalCode::BodyReferenceUnfit, true));
}

#[tokio::test]
async fn a_body_of_nobody_or_of_another_is_missing() {
    let kit = Kit::new().await;
    let named = kit.upload("xa-a", b"some bytes").await;
    let unknown = BodyReference {
        sha256: Sha256::of(b"other bytes"),
        size: 11,
    };
    for (user, named) in [
        (Some(SENDER), unknown),
        // Knowing the digest is no proof of having the bytes.
        (Some(SENDER), named),
        (None, named),
        (Some("Not A System"), named),
    ] {
        let mut received = of(Intake::Document, user, named.to_string().into(), b"");
        assert!(kit.locate(&mut received).await.unwrap().is_none());
        assert_eq!(refusal(&received), (RefusalCode::BodyMissing, true), "{user:?}");
    }
    let own = kit.upload(SENDER, b"some bytes").await;
    let longer = BodyReference {
        size: own.size + 1,
        ..own
    };
    let mut received = naming(longer);
    assert!(kit.locate(&mut received).await.unwrap().is_none());
    assert_eq!(refusal(&received), (RefusalCode::BodySizeDiffers, true));
}

/// A ledger that is away.
struct Away;

#[async_trait]
impl Named for Away {
    async fn is_named(&self, _: Sha256) -> Result<bool, NamedError> {
        Err("away".into())
    }
}

#[tokio::test]
async fn a_body_on_its_way_out_is_missing_and_can_be_sent_anew() {
    let kit = Kit::new().await;
    let named = kit.upload(SENDER, b"some bytes").await;
    kit.clock.advance(30 * 3600);
    assert!(kit.bodies.store.remove(named.sha256, &Away).await.is_err());
    let mut received = naming(named);
    assert!(kit.locate(&mut received).await.unwrap().is_none());
    assert_eq!(refusal(&received), (RefusalCode::BodyMissing, true));
}

/// Time goes by itself where nothing else is to do.
#[tokio::test(start_paused = true)]
async fn a_store_with_a_fault_is_asked_again_and_then_the_message_goes_back() {
    let kit = Kit::new().await;
    let named = kit.upload(SENDER, b"some bytes").await;
    kit.breaks();
    let mut received = naming(named);
    let begun = Instant::now();
    assert!(matches!(
        kit.locate(&mut received).await,
        Err(BodyError::Store { .. })
    ));
    let waits: u32 = (1..STORE_ATTEMPTS).sum();
    assert!(begun.elapsed() >= RETRY_MIN * waits, "{:?}", begun.elapsed());
    assert!(begun.elapsed() <= RETRY_MAX * STORE_ATTEMPTS);
    // Nothing is said of a packet that nobody could look for.
    assert!(matches!(received.packet, PacketAt::Message));
    // And one that mends in time is waited for.
    let (found, ()) = tokio::join!(kit.locate(&mut received), async {
        tokio::time::sleep(RETRY_MIN * 2).await;
        kit.mends();
    });
    assert!(found.unwrap().is_some());
    assert!(matches!(received.packet, PacketAt::Apart(_)));
}

#[tokio::test]
async fn a_body_that_the_ledger_let_go_is_deleted_and_the_ledger_told() {
    let kit = Kit::new().await;
    let gone = kit.leaving(b"some bytes", 1).await;
    let kept = kit.upload(SENDER, b"other bytes").await;
    kit.accepted(kept, 2).await;
    kit.bodies.let_go().await;
    assert!(!kit.is_stored(gone).await);
    assert!(kit.is_stored(kept).await);
    assert_eq!(kit.left_to_do().await, 0);
}

#[tokio::test]
async fn a_body_that_somebody_is_about_to_name_leaves_later_or_stays() {
    let kit = Kit::new().await;
    let named = kit.leaving(b"some bytes", 1).await;
    let mut received = naming(named);
    let pin = kit.locate(&mut received).await.unwrap().unwrap();
    kit.bodies.let_go().await;
    assert!(kit.is_stored(named).await);
    assert_eq!(kit.left_to_do().await, 1, "the next look");
    // Named anew, it leaves no longer.
    kit.accepted(named, 2).await;
    kit.bodies.release(pin).await;
    kit.bodies.let_go().await;
    assert!(kit.is_stored(named).await);
    assert_eq!(kit.left_to_do().await, 0);
}

#[tokio::test]
async fn a_body_that_another_system_sent_and_has_not_named_yet_stays_and_the_ledger_is_done() {
    let kit = Kit::new().await;
    let named = kit.leaving(b"some bytes", 1).await;
    kit.upload("xa-a", b"some bytes").await;
    kit.bodies.let_go().await;
    assert!(kit.is_stored(named).await);
    assert_eq!(kit.left_to_do().await, 0);
}

#[tokio::test]
async fn a_store_with_a_fault_deletes_later() {
    let kit = Kit::new().await;
    let named = kit.leaving(b"some bytes", 1).await;
    kit.breaks();
    kit.bodies.let_go().await;
    assert_eq!(kit.left_to_do().await, 1);
    kit.mends();
    assert!(kit.is_stored(named).await);
    kit.bodies.let_go().await;
    assert!(!kit.is_stored(named).await);
    assert_eq!(kit.left_to_do().await, 0);
}

#[tokio::test(start_paused = true)]
async fn the_collector_sweeps_what_nobody_named_and_ends_when_it_is_told_to() {
    let kit = Kit::new().await;
    let (leaving, kept) = (
        kit.leaving(b"leaving", 1).await,
        kit.upload(SENDER, b"kept").await,
    );
    kit.accepted(kept, 2).await;
    let orphan = kit.upload(SENDER, b"orphan").await;
    let (stop, stopping) = watch::channel(false);
    let every = Duration::from_secs(300);
    let collecting = tokio::spawn(kit.bodies.clone().collect(every, stopping));
    while kit.left_to_do().await > 0 {
        yield_now().await;
    }
    assert!(!kit.is_stored(leaving).await);
    tokio::time::sleep(every * 3).await;
    assert!(kit.is_stored(orphan).await, "it is young");
    kit.clock.advance(24 * 3600);
    tokio::time::sleep(every * 2).await;
    assert!(!kit.is_stored(orphan).await);
    assert!(kit.is_stored(kept).await);
    stop.send_replace(true);
    collecting.await.unwrap();
}
