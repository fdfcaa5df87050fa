//! Documents taken back, wherever they are: in the ledger, in an inbox that nobody reads, in the hands of an adapter that
//! cannot store them yet, or with the recipient. By recall, take-back, update and replacement.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use truc_adapter_sdk::{
    Adapter, Answer, Client, Config, IncomingDocument, IncomingNotice, IncomingStatus, Stored, Trouble,
    Withdrawal,
};
use truc_envelope::{
    Attachment, DocumentPacket, Limits, Packet, ReceiverChange, Replacement, Update, read, write_document,
};
use truc_ledger::Ledger;
use truc_model::StatusCode::{ChangeAgreed, ChangeRefused, TakeBack};
use truc_model::wire::{Intake, header};
use truc_model::{
    DeliveryUid, DocumentUid, Operation, Sha256, SystemClock, SystemRandom, TransportState, WithdrawCause,
    WithdrawProof,
};
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{Doing, Stage, StageError, until};
use truc_tests::{check, play, set};

use crate::python::{client, run};

use super::desk::{Desk, delivery_id};
use super::{
    Agency, ENVIRONMENT, HAM_YEN, LAM_BINH, OFFICE, PHU_LUU, TUYEN_QUANG, asked_back, letter, named,
    recipient, sound, standing, stands, status, uid, view,
};

/// A packet of the letter's sender that speaks of it.
fn about(sent: &Draft<'_>, order: &Draft<'_>, change: impl FnOnce(&mut DocumentPacket)) -> Vec<u8> {
    let reading = read(&order.packet(), &Limits::default());
    let Ok(Packet::Document(document)) = reading.map(|reading| reading.packet) else {
        return Vec::new();
    };
    let mut packet = *document;
    packet.business.document_id = Some(sent.document_id());
    packet.business.reason = Some("Ban hành nhầm".to_owned());
    change(&mut packet);
    // A recall alone brings nothing.
    if packet.business.operation == Operation::Recall {
        packet.attachments = Vec::new();
        return write_document(&packet, &[]);
    }
    packet.attachments = vec![Attachment::of("a", "a.txt", None, b"abc")];
    write_document(&packet, &[b"abc"])
}

/// A recall of the letter for these recipients.
fn recall(sent: &Draft<'_>, to: &[Agency], number: u32) -> Vec<u8> {
    about(sent, &letter(ENVIRONMENT, to, number), |packet| {
        packet.business.operation = Operation::Recall;
    })
}

async fn submitted(sender: &mut Desk, packet: &[u8]) -> Result<DocumentUid, StageError> {
    let (kind, receipt) = sender.submit(Intake::Document, packet).await?;
    check(kind == "receipt", || format!("{kind} {receipt}"))?;
    uid(&receipt)
}

/// Waits until the document is withdrawn for a recipient, for this cause and with this proof; and the sender knows.
async fn withdrawn(
    ledger: &Ledger,
    sender: &mut Desk,
    document: DocumentUid,
    to: Agency,
    cause: WithdrawCause,
    proof: WithdrawProof,
) -> Result<(), StageError> {
    stands(ledger, document, to, "withdrawn").await?;
    let state = recipient(&view(ledger, document).await?, to)?.state.clone();
    check(
        matches!(&state, TransportState::Withdrawn { cause: why, proof: how, .. } if (*why, *how) == (cause, proof)),
        || format!("{}: {state:?}", to.0),
    )?;
    let notice = sender.notice(document).await?;
    check(
        notice["code"] == "withdrawn" && notice["cause"] == proof.as_str() && notice["recipient"] == to.0,
        || notice.to_string(),
    )
}

async fn body_is_gone(ledger: &Ledger, packet: &[u8]) -> Result<(), StageError> {
    let body = ledger.body(Sha256::of(packet)).await.doing("asking for a body")?;
    check(body.is_none(), || {
        "the bytes of a recalled document are kept".to_owned()
    })
}

#[test]
fn at_home_or_in_an_inbox_that_nobody_reads() {
    play(async {
        let set = set("recall-home", "[delivery]\nwindow = 2\nurgent_extra = 8\n").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut sender = Desk::open(stage, "so-tnmt").await?;
        let ledger = stage.ledger().await?;
        let letters: Vec<Draft<'_>> = (1..=3).map(|n| letter(ENVIRONMENT, &[OFFICE], n)).collect();
        let mut documents = Vec::new();
        for sent in &letters {
            documents.push(uid(&sender.send(sent).await?)?);
        }
        // The window holds two; the third is at home.
        stands(&ledger, documents[0], OFFICE, "forwarded").await?;
        stands(&ledger, documents[1], OFFICE, "forwarded").await?;
        stands(&ledger, documents[2], OFFICE, "scheduled").await?;

        submitted(&mut sender, &recall(&letters[2], &[OFFICE], 11)).await?;
        let (cause, home) = (WithdrawCause::Recalled, WithdrawProof::NeverLeft);
        withdrawn(&ledger, &mut sender, documents[2], OFFICE, cause, home).await?;
        body_is_gone(&ledger, &letters[2].packet()).await?;

        // The first lies in the inbox, before everything else but the order; nobody reads it, so the hub takes it out.
        submitted(&mut sender, &recall(&letters[0], &[OFFICE], 12)).await?;
        body_is_gone(&ledger, &letters[0].packet()).await?;
        withdrawn(
            &ledger,
            &mut sender,
            documents[0],
            OFFICE,
            cause,
            WithdrawProof::Cleaned,
        )
        .await?;

        // Twice, by another, or of nothing: each has its code.
        let (kind, answer) = sender
            .submit(Intake::Document, &recall(&letters[0], &[OFFICE], 13))
            .await?;
        check(kind == "refusal" && answer["code"] == "recall-repeated", || {
            format!("{kind} {answer}")
        })?;
        let unknown = recall(&letter(ENVIRONMENT, &[OFFICE], 99), &[OFFICE], 14);
        sender
            .refused(Intake::Document, &unknown, "change-unknown-document")
            .await?;
        let nobody = recall(&letters[1], &[HAM_YEN], 15);
        sender.refused(Intake::Document, &nobody, "recall-nobody").await?;

        // Whoever begins to read finds the second, unharmed, and never the others.
        let mut office = Desk::open(stage, "ubnd-tinh").await?;
        let second = office.document(documents[1]).await?;
        check(second.body == letters[1].packet(), || "other bytes".to_owned())?;
        office.take(second).await?;
        stands(&ledger, documents[1], OFFICE, "taken").await?;
        for gone in [documents[0], documents[2]] {
            let [state, ..] = standing(&ledger, gone, OFFICE).await?;
            check(state == "withdrawn", || state.to_owned())?;
        }
        check(
            !office.has_document(documents[0]) && !office.has_document(documents[2]),
            || "a withdrawn document was handed out".to_owned(),
        )?;
        sound(&ledger).await?;
        sender.close().await;
        office.close().await;
        Ok(())
    });
}

/// A client in another language, which knows the wire from its page alone.
#[test]
fn a_python_client_obeys_the_order() {
    play(async {
        let set = set("recall-python", "").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut sender = Desk::open(stage, "so-tnmt").await?;
        let ledger = stage.ledger().await?;
        // Somebody reads the inbox, and settles nothing: the hub does not clean it.
        let mut reader = Desk::open(stage, "ubnd-tinh").await?;
        let (sent, other) = (
            letter(ENVIRONMENT, &[OFFICE], 1),
            letter(ENVIRONMENT, &[OFFICE], 2),
        );
        let document = uid(&sender.send(&sent).await?)?;
        let kept = uid(&sender.send(&other).await?)?;
        let held = [reader.document(document).await?, reader.document(kept).await?];
        stands(&ledger, document, OFFICE, "forwarded").await?;
        let order = submitted(&mut sender, &recall(&sent, &[OFFICE], 3)).await?;
        let ordered = reader.document(order).await?;
        stands(&ledger, order, OFFICE, "forwarded").await?;
        drop((held, ordered));
        reader.close().await;

        let out = stage.dir.join("python-inbox");
        let mut receive = client(stage, stage.system("ubnd-tinh")?, "receive")?;
        receive
            .arg("--out")
            .arg(&out)
            .args(["--count", "1", "--timeout", "60"]);
        tokio::task::spawn_blocking(move || run(&mut receive))
            .await
            .doing("receiving")??;
        let proof = WithdrawProof::AdapterSaid;
        withdrawn(
            &ledger,
            &mut sender,
            document,
            OFFICE,
            WithdrawCause::Recalled,
            proof,
        )
        .await?;
        stands(&ledger, kept, OFFICE, "taken").await?;
        let files = std::fs::read_dir(&out)
            .doing("reading the inbox")?
            .filter_map(Result::ok);
        let packets: Vec<Vec<u8>> = files
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "edxml"))
            .filter_map(|entry| std::fs::read(entry.path()).ok())
            .collect();
        check(packets == [other.packet()], || {
            format!("{} packets, or other bytes", packets.len())
        })?;
        sound(&ledger).await?;
        sender.close().await;
        Ok(())
    });
}

/// Killed while it cleans an inbox, before and after the message is out: nothing untrue is recorded, and the order settles it.
#[test]
fn killed_while_it_cleans_an_inbox() {
    play(async {
        for (step, in_inbox) in [("cleaning-begun:1", true), ("cleaning-taken-out:1", false)] {
            let name = format!("recall-{}", &step[9..step.len() - 2]);
            let set = set(&name, "").await?;
            let stage = &set.stage;
            let mut hub = stage.start_hub(Some(step))?;
            let mut sender = Desk::open(stage, "so-tnmt").await?;
            let ledger = stage.ledger().await?;
            let (sent, other) = (
                letter(ENVIRONMENT, &[OFFICE], 1),
                letter(ENVIRONMENT, &[OFFICE], 2),
            );
            let document = uid(&sender.send(&sent).await?)?;
            let kept = uid(&sender.send(&other).await?)?;
            stands(&ledger, document, OFFICE, "forwarded").await?;
            stands(&ledger, kept, OFFICE, "forwarded").await?;
            let order = submitted(&mut sender, &recall(&sent, &[OFFICE], 3)).await?;
            until("the hub to die", async || hub.ended().ok().flatten()).await?;

            let _hub = stage.start_hub(None)?;
            // Nobody can prove any more that nobody had it: it stays as it was.
            let last = uid(&sender.send(&letter(ENVIRONMENT, &[OFFICE], 4)).await?)?;
            stands(&ledger, last, OFFICE, "forwarded").await?;
            let [state, ..] = standing(&ledger, document, OFFICE).await?;
            check(state == "forwarded", || format!("{step}: {state}"))?;

            let mut office = Desk::open(stage, "ubnd-tinh").await?;
            let order = office.document(order).await?;
            let withdraws = order.properties.list(header::WITHDRAWS).join(",");
            let ordered = delivery_id(&order);
            office
                .say(&format!(
                    "{{\"withdrawn\":[{{\"delivery\":\"{withdraws}\"}}],\"taken\":[\"{ordered}\"]}}"
                ))
                .await?;
            order.ack().await.doing("settling")?;
            let proof = WithdrawProof::AdapterSaid;
            withdrawn(
                &ledger,
                &mut sender,
                document,
                OFFICE,
                WithdrawCause::Recalled,
                proof,
            )
            .await?;
            // What else lay in the inbox is there, once, and unharmed.
            for (uid, packet) in [(kept, Some(other.packet())), (last, None)] {
                let came = office.document(uid).await?;
                check(packet.is_none_or(|packet| came.body == packet), || {
                    "other bytes".to_owned()
                })?;
                office.take(came).await?;
            }
            check(office.has_document(document) == in_inbox, || {
                format!("{step}: in the inbox or not")
            })?;
            sound(&ledger).await?;
            sender.close().await;
            office.close().await;
        }
        Ok(())
    });
}

/// Cannot store while told so; removes what it has not stored.
#[derive(Default)]
struct FullDisk {
    full: AtomicBool,
    tried: AtomicUsize,
    stored: AtomicUsize,
}

#[async_trait]
impl Adapter for FullDisk {
    async fn store(&self, _document: &IncomingDocument) -> Result<Stored, Trouble> {
        self.tried.fetch_add(1, Ordering::SeqCst);
        if self.full.load(Ordering::SeqCst) {
            return Err(Trouble::unavailable("the disk is full"));
        }
        self.stored.fetch_add(1, Ordering::SeqCst);
        Ok(Stored::Durable)
    }

    async fn withdraw(&self, _delivery: DeliveryUid) -> Result<Withdrawal, Trouble> {
        Ok(Withdrawal::Removed)
    }

    async fn status(&self, _status: &IncomingStatus) -> Result<Stored, Trouble> {
        Ok(Stored::Durable)
    }

    async fn answered(&self, _answer: &Answer) -> Result<(), Trouble> {
        Ok(())
    }

    async fn notice(&self, _notice: &IncomingNotice) -> Result<(), Trouble> {
        Ok(())
    }
}

fn adapter_of(stage: &Stage, system: &str, state: &Path) -> Result<Client, StageError> {
    let connected = stage.system(system)?;
    let id = system.parse().doing("reading a system id")?;
    let config = Config::new(&stage.amqp_url(connected), id, "test/1", state.to_owned());
    let random = Arc::new(SystemRandom::default());
    Client::start(config, Arc::new(SystemClock), random).doing("starting an adapter")
}

#[test]
fn in_the_hands_of_an_adapter_that_cannot_store_it() {
    play(async {
        let set = set("recall-held", "").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut sender = Desk::open(stage, "so-tnmt").await?;
        let ledger = stage.ledger().await?;
        let place = tempfile::tempdir().doing("making a directory")?;
        let client = adapter_of(stage, "xa-tuyen-quang", place.path())?;
        let adapter = Arc::new(FullDisk::default());
        adapter.full.store(true, Ordering::SeqCst);
        let (reader, reads) = (client.clone(), Arc::clone(&adapter));
        let running = tokio::spawn(async move { reader.run(&*reads, std::future::pending()).await });

        let sent = letter(ENVIRONMENT, &[PHU_LUU], 1);
        let document = uid(&sender.send(&sent).await?)?;
        until("the adapter to try", async || {
            (adapter.tried.load(Ordering::SeqCst) > 0).then_some(())
        })
        .await?;
        stands(&ledger, document, PHU_LUU, "forwarded").await?;
        let order = submitted(&mut sender, &recall(&sent, &[PHU_LUU], 2)).await?;
        let proof = WithdrawProof::AdapterSaid;
        withdrawn(
            &ledger,
            &mut sender,
            document,
            PHU_LUU,
            WithdrawCause::Recalled,
            proof,
        )
        .await?;
        body_is_gone(&ledger, &sent.packet()).await?;
        until("the order to end", async || {
            let [state, ..] = standing(&ledger, order, PHU_LUU).await.ok()?;
            (state == "taken" || state == "withdrawn").then_some(())
        })
        .await?;

        // With room again, what was not recalled is stored, and nothing else.
        adapter.full.store(false, Ordering::SeqCst);
        let next = uid(&sender.send(&letter(ENVIRONMENT, &[PHU_LUU], 3)).await?)?;
        stands(&ledger, next, PHU_LUU, "taken").await?;
        check(adapter.stored.load(Ordering::SeqCst) == 1, || {
            "the recalled document, or the recall of what nobody has, was handed over".to_owned()
        })?;
        sound(&ledger).await?;
        running.abort();
        client.close().await;
        sender.close().await;
        Ok(())
    });
}

#[test]
fn taken_already_the_recipients_answer() {
    play(async {
        let set = set("recall-taken", "").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut sender = Desk::open(stage, "so-tnmt").await?;
        let mut districts = Desk::open(stage, "huyen-tuyen-quang").await?;
        let ledger = stage.ledger().await?;
        let sent = letter(ENVIRONMENT, &[HAM_YEN, LAM_BINH], 1);
        let document = uid(&sender.send(&sent).await?)?;
        let delivery = districts.document(document).await?;
        districts.take(delivery).await?;
        stands(&ledger, document, LAM_BINH, "taken").await?;

        let packet = recall(&sent, &[HAM_YEN, LAM_BINH], 2);
        let order = submitted(&mut sender, &packet).await?;
        body_is_gone(&ledger, &sent.packet()).await?;
        let came = districts.document(order).await?;
        check(came.body == packet, || "other bytes".to_owned())?;
        check(!came.properties.headers.contains_key(header::WITHDRAWS), || {
            format!("nothing is left to withdraw: {:?}", came.properties)
        })?;
        districts.take(came).await?;
        for (who, code, words, change) in [
            (HAM_YEN, ChangeAgreed, "", "withdrawn"),
            (
                LAM_BINH,
                ChangeRefused,
                "Đã chuyển cơ quan điều tra",
                "recall-refused",
            ),
        ] {
            let answer = status(who, named(&sent), code, words);
            districts.report(&answer).await?;
            let came = sender.status(&answer).await?;
            check(came.body == answer, || "the reason is lost".to_owned())?;
            sender.take(came).await?;
            let [state, _, overlay] = standing(&ledger, document, who).await?;
            check((state, overlay) == ("taken", change), || {
                format!("{}: {state}, {overlay}", who.0)
            })?;
        }
        sound(&ledger).await?;
        sender.close().await;
        districts.close().await;
        Ok(())
    });
}

#[test]
fn asked_back_by_13_for_one_of_two_in_one_message() {
    play(async {
        let set = set("recall-13", "").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut sender = Desk::open(stage, "so-tnmt").await?;
        let mut districts = Desk::open(stage, "huyen-tuyen-quang").await?;
        let ledger = stage.ledger().await?;
        let sent = letter(ENVIRONMENT, &[HAM_YEN, TUYEN_QUANG], 1);
        let document = uid(&sender.send(&sent).await?)?;
        // In hand, and neither stored nor taken.
        let delivery = districts.document(document).await?;
        stands(&ledger, document, HAM_YEN, "forwarded").await?;
        let back = status(ENVIRONMENT, asked_back(&sent, HAM_YEN), TakeBack, "Gửi nhầm");
        sender.report(&back).await?;
        let order = districts.status(&back).await?;
        let id = delivery_id(&delivery);
        check(order.properties.list(header::WITHDRAWS) == [id.as_str()], || {
            format!("{:?}", order.properties)
        })?;
        check(
            order.properties.list(header::WITHDRAWS_FOR) == [HAM_YEN.0],
            || format!("{:?}", order.properties),
        )?;
        check(order.properties.priority == Some(5), || {
            "it does not overtake".to_owned()
        })?;
        let word = format!("{{\"delivery\":\"{id}\",\"for\":[\"{}\"]}}", HAM_YEN.0);
        let ordered = delivery_id(&order);
        districts
            .say(&format!(
                "{{\"withdrawn\":[{word}],\"taken\":[\"{ordered}\",\"{id}\"]}}"
            ))
            .await?;
        order.ack().await.doing("settling")?;
        delivery.ack().await.doing("settling")?;
        let (cause, proof) = (WithdrawCause::TakenBack, WithdrawProof::AdapterSaid);
        withdrawn(&ledger, &mut sender, document, HAM_YEN, cause, proof).await?;
        stands(&ledger, document, TUYEN_QUANG, "taken").await?;
        sound(&ledger).await?;
        sender.close().await;
        districts.close().await;
        Ok(())
    });
}

#[test]
fn updates_remove_and_add_and_replacements_take_the_place() {
    play(async {
        let set = set("recall-update", "").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut sender = Desk::open(stage, "so-tnmt").await?;
        let mut districts = Desk::open(stage, "huyen-tuyen-quang").await?;
        let mut communes = Desk::open(stage, "xa-tuyen-quang").await?;
        let ledger = stage.ledger().await?;
        let sent = letter(ENVIRONMENT, &[HAM_YEN, LAM_BINH], 1);
        let document = uid(&sender.send(&sent).await?)?;
        let delivery = districts.document(document).await?;
        districts.take(delivery).await?;
        stands(&ledger, document, LAM_BINH, "taken").await?;

        // LAM_BINH is removed, PHU_LUU added; HAM_YEN has the update.
        let update = about(&sent, &letter(ENVIRONMENT, &[HAM_YEN], 2), |packet| {
            packet.business.operation = Operation::Update;
            packet.business.update = Some(Update {
                receivers: vec![
                    ReceiverChange::Removed(LAM_BINH.0.to_owned()),
                    ReceiverChange::Added(PHU_LUU.0.to_owned()),
                ],
                ..Update::default()
            });
        });
        let updating = submitted(&mut sender, &update).await?;
        let added = communes.document(updating).await?;
        check(added.body == update, || "other bytes".to_owned())?;
        communes.take(added).await?;
        stands(&ledger, updating, PHU_LUU, "taken").await?;
        let order = districts.document(updating).await?;
        districts.take(order).await?;
        until("the overlays", async || {
            let [.., kept] = standing(&ledger, document, HAM_YEN).await.ok()?;
            let [.., removed] = standing(&ledger, document, LAM_BINH).await.ok()?;
            (kept == "update-asked" && removed == "recall-asked").then_some(())
        })
        .await?;

        // A replacement of a document that HAM_YEN has: it comes with the name of what it replaces.
        let new = about(&sent, &letter(ENVIRONMENT, &[HAM_YEN], 3), |packet| {
            packet.business.operation = Operation::Replacement;
            packet.business.replacements = vec![Replacement {
                document_id: sent.document_id(),
                organ_ids: Vec::new(),
            }];
        });
        let replacing = submitted(&mut sender, &new).await?;
        let came = districts.document(replacing).await?;
        let replaced = document.to_string();
        check(
            came.properties
                .list(header::REPLACES)
                .contains(&replaced.as_str()),
            || format!("{:?}", came.properties),
        )?;
        districts.take(came).await?;
        let [.., change] = standing(&ledger, document, HAM_YEN).await?;
        check(change == "replaced", || change.to_owned())?;
        sound(&ledger).await?;
        for desk in [sender, districts, communes] {
            desk.close().await;
        }
        Ok(())
    });
}
