//! Statuses on their way back: each reaches the other party once, and the state follows the table.

use truc_ledger::rows::StatusRow;
use truc_model::StatusCode::{
    self, Accepted, Arrived, Assigned, ChangeAgreed, ChangeRefused, Finished, Processing, Rejected, TakeBack,
};
use truc_model::wire::{EDXML, Intake, header};
use truc_model::{DocumentUid, Sha256};
use truc_server::demo::packets::Draft;
use truc_server::demo::raw::SealChoice;
use truc_server::demo::stage::StageError;
use truc_tests::{check, fresh_id, play, set};
use truc_transport::Message;

use super::desk::{Desk, delivery_id};
use super::{
    Agency, ENVIRONMENT, HAM_YEN, LAM_BINH, TUYEN_QUANG, asked_back, letter, named, quiet, sound, standing,
    status, uid, view,
};

/// Who reports what about which recipient, in which words; what the receipt says of it; where the
/// recipient stands afterwards. A row whose effect is `duplicate` is passed on to nobody.
struct Row {
    about: Agency,
    code: StatusCode,
    words: &'static str,
    effect: &'static str,
    business: &'static str,
    change: &'static str,
}

const fn row(
    about: Agency,
    code: StatusCode,
    words: &'static str,
    effect: &'static str,
    business: &'static str,
    change: &'static str,
) -> Row {
    Row {
        about,
        code,
        words,
        effect,
        business,
        change,
    }
}

const ROWS: [Row; 26] = [
    // Every step reported, some twice: the same bytes under another key, or other bytes.
    row(HAM_YEN, Arrived, "", "moved", "arrived", "none"),
    row(HAM_YEN, Arrived, "", "duplicate", "arrived", "none"),
    row(HAM_YEN, Arrived, "lần nữa", "duplicate", "arrived", "none"),
    row(HAM_YEN, Accepted, "", "moved", "accepted", "none"),
    row(HAM_YEN, Accepted, "lần nữa", "duplicate", "accepted", "none"),
    row(HAM_YEN, Assigned, "giao phòng A", "moved", "assigned", "none"),
    row(HAM_YEN, Assigned, "giao phòng A", "duplicate", "assigned", "none"),
    row(HAM_YEN, Assigned, "giao phòng B", "moved", "assigned", "none"),
    row(HAM_YEN, Processing, "", "moved", "processing", "none"),
    row(HAM_YEN, Finished, "", "moved", "done", "none"),
    // Steps left out, then reported late; a refusal after accepting. Nothing moves back.
    row(TUYEN_QUANG, Processing, "", "moved", "processing", "none"),
    row(TUYEN_QUANG, Accepted, "", "late", "processing", "none"),
    row(TUYEN_QUANG, Arrived, "", "late", "processing", "none"),
    row(
        TUYEN_QUANG,
        Rejected,
        "Không đúng thẩm quyền",
        "odd",
        "processing",
        "none",
    ),
    row(
        TUYEN_QUANG,
        Accepted,
        "lần nữa",
        "duplicate",
        "processing",
        "none",
    ),
    row(TUYEN_QUANG, Finished, "", "moved", "done", "none"),
    // Returned, then taken after all.
    row(LAM_BINH, Rejected, "Thiếu phụ lục", "moved", "rejected", "none"),
    row(LAM_BINH, Accepted, "", "moved", "accepted", "none"),
    // Asked back twice: refused, then agreed. 13 runs the other way; the business state stays.
    row(HAM_YEN, TakeBack, "Gửi nhầm", "overlay", "done", "recall-asked"),
    row(HAM_YEN, TakeBack, "Gửi nhầm", "duplicate", "done", "recall-asked"),
    row(
        HAM_YEN,
        ChangeRefused,
        "Đã xử lý xong",
        "overlay",
        "done",
        "recall-refused",
    ),
    row(
        HAM_YEN,
        ChangeRefused,
        "Không trả lại",
        "duplicate",
        "done",
        "recall-refused",
    ),
    row(
        HAM_YEN,
        TakeBack,
        "Gửi nhầm, xin nhắc lại",
        "overlay",
        "done",
        "recall-asked",
    ),
    row(HAM_YEN, ChangeAgreed, "", "overlay", "done", "withdrawn"),
    row(HAM_YEN, ChangeAgreed, "lần nữa", "duplicate", "done", "withdrawn"),
    // An answer to nothing.
    row(LAM_BINH, ChangeAgreed, "", "odd", "accepted", "none"),
];

#[test]
fn every_status_reaches_the_other_party_once() {
    play(async {
        let set = set("journey-statuses", "").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut sender = Desk::open(stage, "so-tnmt").await?;
        let mut districts = Desk::open(stage, "huyen-tuyen-quang").await?;
        let ledger = stage.ledger().await?;

        let sent = letter(ENVIRONMENT, &[HAM_YEN, TUYEN_QUANG, LAM_BINH], 1);
        let document = uid(&sender.send(&sent).await?)?;
        let delivery = districts.document(document).await?;
        districts.take(delivery).await?;

        let mut passed_on = Vec::new();
        for row in &ROWS {
            let what = format!("{} {} of {}", row.code, row.words, row.about.0);
            let packet = packet(row, &sent);
            let (reporter, other) = match row.code.is_from_sender() {
                true => (&mut sender, &mut districts),
                false => (&mut districts, &mut sender),
            };
            let receipt = reporter.report(&packet).await?;
            let duplicate = row.effect == "duplicate";
            check(receipt["effect"] == row.effect, || format!("{what}: {receipt}"))?;
            check(receipt["passed_on"] == !duplicate, || {
                format!("{what}: {receipt}")
            })?;
            check(receipt["status"] == row.code.digits(), || {
                format!("{what}: {receipt}")
            })?;
            check(receipt["document"] == document.to_string(), || {
                format!("{what}: {receipt}")
            })?;
            let [transport, business, change] = standing(&ledger, document, row.about).await?;
            check([business, change] == [row.business, row.change], || {
                format!("{what}: {business}, {change}")
            })?;
            check(transport == "taken", || format!("{what}: {transport}"))?;
            if !duplicate {
                let came = other.status(&packet).await?;
                arrived_whole(&came, row, &packet, document)
                    .map_err(|error| StageError(format!("{what}: {error}")))?;
                other.take(came).await?;
                passed_on.push((row.code, Sha256::of(&packet)));
            }
        }

        // The same submission once more is a repeat, not a second status: its first receipt again.
        let again = status(LAM_BINH, named(&sent), Finished, "");
        let id = fresh_id();
        let first = districts
            .submit_as(Intake::Status, id, &again, SealChoice::Right)
            .await?;
        let second = districts
            .submit_as(Intake::Status, id, &again, SealChoice::Right)
            .await?;
        check(first == second && first.1["effect"] == "moved", || {
            format!("{first:?} {second:?}")
        })?;
        let (kind, other) = districts
            .submit_as(Intake::Status, id, &packet(&ROWS[0], &sent), SealChoice::Right)
            .await?;
        check(
            kind == "refusal" && other["code"] == "message-id-conflict",
            || format!("{kind} {other}"),
        )?;
        let came = sender.status(&again).await?;
        sender.take(came).await?;
        passed_on.push((Finished, Sha256::of(&again)));

        // What was not a duplicate stands in the history, in the order it came, and nothing else does.
        let history: Vec<(StatusCode, Sha256)> = view(&ledger, document)
            .await?
            .statuses
            .iter()
            .map(|row: &StatusRow| (row.code, row.sha256))
            .collect();
        check(history == passed_on, || {
            format!("{history:?} is not {passed_on:?}")
        })?;
        quiet(&ledger).await?;
        let to_districts = uid(&sender.send(&letter(ENVIRONMENT, &[HAM_YEN], 2)).await?)?;
        let to_sender = uid(&districts.send(&letter(HAM_YEN, &[ENVIRONMENT], 3)).await?)?;
        districts.nothing_else(&ledger, to_districts).await?;
        sender.nothing_else(&ledger, to_sender).await?;
        let total = sound(&ledger).await?;
        check((total.accepted, total.taken) == (5, 5), || format!("{total:?}"))?;
        println!(
            "{} statuses reported, {} passed on, each once",
            ROWS.len() + 2,
            passed_on.len()
        );
        sender.close().await;
        districts.close().await;
        Ok(())
    });
}

/// A recipient reports on the sender's document; 13 is the sender's word about the recipient's copy.
fn packet(row: &Row, sent: &Draft<'_>) -> Vec<u8> {
    match row.code.is_from_sender() {
        true => status(ENVIRONMENT, asked_back(sent, row.about), row.code, row.words),
        false => status(row.about, named(sent), row.code, row.words),
    }
}

fn arrived_whole(came: &Message, row: &Row, packet: &[u8], document: DocumentUid) -> Result<(), StageError> {
    let (from, to) = match row.code.is_from_sender() {
        true => (ENVIRONMENT, row.about),
        false => (row.about, ENVIRONMENT),
    };
    let properties = &came.properties;
    check(came.body == packet, || {
        "the bytes are not those that were sent".to_owned()
    })?;
    check(properties.text(header::STATUS) == Some(row.code.digits()), || {
        format!("{properties:?}")
    })?;
    check(properties.text(header::FROM) == Some(from.0), || {
        format!("{properties:?}")
    })?;
    check(properties.list(header::TO) == [to.0], || {
        format!("{properties:?}")
    })?;
    check(
        properties.text(header::DOCUMENT) == Some(&document.to_string()),
        || format!("{properties:?}"),
    )?;
    check(
        properties.message_id.as_deref() == Some(&delivery_id(came)),
        || format!("{properties:?}"),
    )?;
    check(properties.number(header::ATTEMPT) == Some(1), || {
        format!("{properties:?}")
    })?;
    check(
        properties.number(header::SIZE) == i64::try_from(packet.len()).ok(),
        || format!("{properties:?}"),
    )?;
    check(properties.text(header::TRACE).is_some(), || {
        format!("{properties:?}")
    })?;
    check(!properties.headers.contains_key(header::SIGNATURE), || {
        format!("{properties:?}")
    })?;
    check(properties.content_type.as_deref() == Some(EDXML), || {
        format!("{properties:?}")
    })
}
