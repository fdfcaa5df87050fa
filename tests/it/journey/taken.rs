//! What recipients' systems say of deliveries: stored, declined, nothing at all, or of another's.

use truc_ledger::event::TakenBy;
use truc_ledger::{Fact, Ledger, Resend};
use truc_model::StatusCode::Arrived;
use truc_model::wire::header;
use truc_model::{DeliveryUid, TransportState};
use truc_server::demo::stage::{Doing, StageError, until};
use truc_tests::{check, fresh_id, play, set};

use super::desk::{Desk, delivery_id};
use super::{
    ENVIRONMENT, HAM_YEN, LAM_BINH, OFFICE, PHU_LUU, TUYEN_QUANG, facts, letter, named, quiet, recipient,
    sound, standing, stands, status, uid, view,
};

#[test]
fn taken_is_believed_of_ones_own_deliveries_only() {
    play(async {
        let set = set("journey-taken", "").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut sender = Desk::open(stage, "so-tnmt").await?;
        let mut districts = Desk::open(stage, "huyen-tuyen-quang").await?;
        let mut communes = Desk::open(stage, "xa-tuyen-quang").await?;
        let ledger = stage.ledger().await?;

        // 01 of one recipient speaks for that one alone, though the message carries two.
        let sent = letter(ENVIRONMENT, &[HAM_YEN, TUYEN_QUANG], 1);
        let document = uid(&sender.send(&sent).await?)?;
        let delivery = districts.document(document).await?;
        stands(&ledger, document, HAM_YEN, "forwarded").await?;
        let arrived = status(HAM_YEN, named(&sent), Arrived, "");
        districts.report(&arrived).await?;
        check(
            standing(&ledger, document, HAM_YEN).await? == ["taken", "arrived", "none"],
            || "01".to_owned(),
        )?;
        let [other, ..] = standing(&ledger, document, TUYEN_QUANG).await?;
        check(other == "forwarded", || {
            format!("01 of another recipient made it {other}")
        })?;
        let by_status = facts(&ledger).await?.iter().any(|fact| {
            matches!(fact, Fact::DeliveryTaken { document: of, by: TakenBy::Status, recipients, .. }
                if *of == document && recipients == &[0])
        });
        check(by_status, || {
            "no event says that the status implied it".to_owned()
        })?;
        let came = sender.status(&arrived).await?;
        sender.take(came).await?;
        let id = delivery_id(&delivery);
        districts.take(delivery).await?;
        stands(&ledger, document, TUYEN_QUANG, "taken").await?;

        // Said again, it changes nothing; of a delivery that is none of this system's, it is noted.
        let foreign = uid(&sender.send(&letter(ENVIRONMENT, &[PHU_LUU], 2)).await?)?;
        let theirs = communes.document(foreign).await?;
        let their_id = delivery_id(&theirs);
        stands(&ledger, foreign, PHU_LUU, "forwarded").await?;
        districts.say(&format!("{{\"taken\":[\"{id}\"]}}")).await?;
        districts.say(&format!("{{\"taken\":[\"{their_id}\"]}}")).await?;
        odd(&ledger, "huyen-tuyen-quang", &their_id, Odd::Unknown).await?;
        districts
            .say(&format!(
                "{{\"refused\":[{{\"delivery\":\"{their_id}\",\"code\":\"x\",\"reason\":\"y\"}}]}}"
            ))
            .await?;
        let nobody = fresh_id().to_string();
        districts.say(&format!("{{\"taken\":[\"{nobody}\"]}}")).await?;
        odd(&ledger, "huyen-tuyen-quang", &nobody, Odd::Unknown).await?;
        let [unmoved, ..] = standing(&ledger, foreign, PHU_LUU).await?;
        check(unmoved == "forwarded", || {
            format!("a stranger's word made it {unmoved}")
        })?;

        // Declined by its own system: final, and the sender is told why.
        communes
            .say(&format!(
                "{{\"refused\":[{{\"delivery\":\"{their_id}\",\"code\":\"unknown-unit\",\"reason\":\"Đơn vị đã chuyển\"}}]}}"
            ))
            .await?;
        theirs.ack().await.doing("settling")?;
        let notice = sender.notice(foreign).await?;
        check(
            notice["code"] == "recipient-refused" && notice["cause"] == "unknown-unit",
            || notice.to_string(),
        )?;
        check(notice["recipient"] == PHU_LUU.0, || notice.to_string())?;
        check(
            notice["message"]["vi"]
                .as_str()
                .is_some_and(|text| text.contains("Đơn vị đã chuyển")),
            || notice.to_string(),
        )?;
        let declined = recipient(&view(&ledger, foreign).await?, PHU_LUU)?.state.clone();
        check(
            matches!(&declined, TransportState::Refused { code, reason, .. }
                if code == "unknown-unit" && reason == "Đơn vị đã chuyển"),
            || format!("{declined:?}"),
        )?;
        communes.say(&format!("{{\"taken\":[\"{their_id}\"]}}")).await?;
        odd(&ledger, "xa-tuyen-quang", &their_id, Odd::Contradicted).await?;
        let [ended, ..] = standing(&ledger, foreign, PHU_LUU).await?;
        check(ended == "refused", || {
            format!("taken after refused made it {ended}")
        })?;

        again(&mut sender, &mut districts, &ledger).await?;

        // An inbox nobody reads: it is there, it waits, nothing is lost.
        let unread = uid(&sender.send(&letter(ENVIRONMENT, &[OFFICE], 4)).await?)?;
        stands(&ledger, unread, OFFICE, "forwarded").await?;

        quiet(&ledger).await?;
        let last = uid(&sender.send(&letter(ENVIRONMENT, &[LAM_BINH], 5)).await?)?;
        districts.nothing_else(&ledger, last).await?;
        let last = uid(&sender.send(&letter(ENVIRONMENT, &[PHU_LUU], 6)).await?)?;
        communes.nothing_else(&ledger, last).await?;
        let last = uid(&districts.send(&letter(HAM_YEN, &[ENVIRONMENT], 7)).await?)?;
        sender.nothing_else(&ledger, last).await?;
        let total = sound(&ledger).await?;
        check(
            (total.accepted, total.taken, total.refused, total.waiting) == (8, 6, 1, 1),
            || format!("{total:?}"),
        )?;
        for desk in [sender, districts, communes] {
            desk.close().await;
        }
        Ok(())
    });
}

/// Read and never settled; an operator sends it again: the same delivery, the same bytes, the next attempt.
async fn again(sender: &mut Desk, districts: &mut Desk, ledger: &Ledger) -> Result<(), StageError> {
    let sent = letter(ENVIRONMENT, &[HAM_YEN], 3);
    let document = uid(&sender.send(&sent).await?)?;
    let first = districts.document(document).await?;
    stands(ledger, document, HAM_YEN, "forwarded").await?;
    let order = Resend {
        document,
        party: None,
        who: "operator".to_owned(),
        why: "chưa thấy".to_owned(),
    };
    let outcome = ledger.resend(order).await.doing("sending again")?;
    let resent: Vec<String> = outcome.resent.iter().map(DeliveryUid::to_string).collect();
    check(resent == [delivery_id(&first)] && outcome.left.is_empty(), || {
        format!("{outcome:?}")
    })?;
    let second = districts.document(document).await?;
    check(delivery_id(&second) == delivery_id(&first), || {
        "it came under another id".to_owned()
    })?;
    check(second.properties.number(header::ATTEMPT) == Some(2), || {
        format!("{:?}", second.properties)
    })?;
    check(second.body == first.body && first.body == sent.packet(), || {
        "it came with other bytes".to_owned()
    })?;
    check(!second.redelivered, || {
        "the broker brought it again, not the hub".to_owned()
    })?;
    stands(ledger, document, HAM_YEN, "forwarded").await?;
    districts.take(second).await?;
    stands(ledger, document, HAM_YEN, "taken").await?;
    districts.take(first).await?;
    let trace = facts(ledger).await?;
    let resends = trace
        .iter()
        .filter(|fact| matches!(fact, Fact::DeliveryResent { who, .. } if who == "operator"));
    check(resends.count() == 1, || {
        "not one event about sending again".to_owned()
    })?;

    // What is final stays.
    let order = Resend {
        document,
        party: None,
        who: "operator".to_owned(),
        why: "lần nữa".to_owned(),
    };
    let outcome = ledger.resend(order).await.doing("sending again")?;
    check(outcome.resent.is_empty() && outcome.left.len() == 1, || {
        format!("{outcome:?}")
    })
}

#[derive(Debug, Clone, Copy)]
enum Odd {
    Unknown,
    Contradicted,
}

/// Waits until an event tells of a `taken` that does not fit.
async fn odd(ledger: &Ledger, who: &str, id: &str, how: Odd) -> Result<(), StageError> {
    let id: DeliveryUid = id.parse().doing("reading a delivery id")?;
    until(
        &format!("the event that {who} spoke of {id} ({how:?})"),
        async || {
            let told = facts(ledger).await.ok()?.into_iter().any(|fact| match fact {
                Fact::TakenOdd {
                    system,
                    unknown,
                    contradicted,
                    ..
                } if system.as_str() == who => match how {
                    Odd::Unknown => unknown.contains(&id),
                    Odd::Contradicted => contradicted.contains(&id),
                },
                _ => false,
            });
            told.then_some(())
        },
    )
    .await
}
