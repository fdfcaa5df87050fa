//! The world outside the province: letters up and down through the gateway, for which its channel vouches.

use truc_ledger::Fact;
use truc_model::StatusCode::{Accepted, Arrived};
use truc_model::wire::{Intake, header};
use truc_model::{Party, SignatureState, SignatureVerdict};
use truc_server::demo::raw::SealChoice;
use truc_server::demo::stage::{Doing, StageError};
use truc_tests::{check, fresh_id, play, set};

use super::desk::Desk;
use super::{
    ENVIRONMENT, HAM_YEN, MINISTRY, facts, letter, named, quiet, recipient, sound, status, uid, view,
};

#[test]
fn letters_go_up_and_come_down_through_the_gateway() {
    play(async {
        let set = set("journey-gateway", "").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut inside = Desk::open(stage, "so-tnmt").await?;
        let mut gateway = Desk::open(stage, "truc-quoc-gia").await?;
        let ledger = stage.ledger().await?;

        // Up, and 01 down again. The gateway's own packets bear no seal.
        let up = letter(ENVIRONMENT, &[MINISTRY], 1);
        let document = uid(&inside.send(&up).await?)?;
        let came = gateway.document(document).await?;
        check(came.properties.list(header::TO) == [MINISTRY.0], || {
            format!("{:?}", came.properties)
        })?;
        check(came.body == up.packet(), || {
            "the bytes are not those that were sent".to_owned()
        })?;
        gateway.take(came).await?;
        let row = recipient(&view(&ledger, document).await?, MINISTRY)?.clone();
        check(
            matches!(&row.party, Party::Outside(code) if code.to_string() == MINISTRY.0),
            || format!("{row:?}"),
        )?;
        check(
            row.system
                .is_some_and(|system| system.as_str() == "truc-quoc-gia"),
            || "another way".to_owned(),
        )?;
        let arrived = status(MINISTRY, named(&up), Arrived, "");
        let (kind, receipt) = gateway
            .submit_as(Intake::Status, fresh_id(), &arrived, SealChoice::None)
            .await?;
        check(kind == "receipt" && receipt["effect"] == "moved", || {
            format!("{kind} {receipt}")
        })?;
        let came = inside.status(&arrived).await?;
        check(came.body == arrived, || {
            "the bytes are not those that were sent".to_owned()
        })?;
        inside.take(came).await?;

        // Down, and 03 up again.
        let down = letter(MINISTRY, &[ENVIRONMENT], 3301);
        let (kind, receipt) = gateway
            .submit_as(Intake::Document, fresh_id(), &down.packet(), SealChoice::None)
            .await?;
        check(kind == "receipt", || format!("{kind} {receipt}"))?;
        let document = uid(&receipt)?;
        let came = inside.document(document).await?;
        let verdict: SignatureVerdict =
            serde_json::from_str(came.properties.text(header::SIGNATURE).unwrap_or_default())
                .doing("reading truc-signature")?;
        check(
            verdict.word() == "vouched" && verdict.seal == SignatureState::Absent,
            || format!("{verdict:?}"),
        )?;
        check(came.properties.text(header::FROM) == Some(MINISTRY.0), || {
            format!("{:?}", came.properties)
        })?;
        inside.take(came).await?;
        let told = facts(&ledger).await?.into_iter().any(|fact| {
            matches!(fact, Fact::DocumentAccepted { document: of, signature, .. }
                if of == document && signature == "vouched")
        });
        check(told, || {
            "the event does not say that the channel vouches".to_owned()
        })?;
        let accepted = status(ENVIRONMENT, named(&down), Accepted, "");
        inside.report(&accepted).await?;
        let came = gateway.status(&accepted).await?;
        check(came.properties.list(header::TO) == [MINISTRY.0], || {
            format!("{:?}", came.properties)
        })?;
        gateway.take(came).await?;

        // A sealed one is judged all the same, and the province's own names are not the gateway's to use.
        let sealed = letter(MINISTRY, &[ENVIRONMENT], 3302);
        let receipt = gateway.send(&sealed).await?;
        let came = inside.document(uid(&receipt)?).await?;
        let verdict = came
            .properties
            .text(header::SIGNATURE)
            .unwrap_or_default()
            .to_owned();
        check(verdict.contains("ES256"), || verdict)?;
        inside.take(came).await?;
        let changed = letter(MINISTRY, &[ENVIRONMENT], 3303).packet();
        let (kind, answer) = gateway
            .submit_as(
                Intake::Document,
                fresh_id(),
                &changed,
                SealChoice::Over(&sealed.packet()),
            )
            .await?;
        check(
            kind == "refusal"
                && answer["code"]
                    .as_str()
                    .is_some_and(|code| code.starts_with("seal-")),
            || format!("a seal over other bytes: {kind} {answer}"),
        )?;
        for from in [HAM_YEN, ("000.97.97.H60", "Không có")] {
            let (kind, answer) = gateway
                .submit_as(
                    Intake::Document,
                    fresh_id(),
                    &letter(from, &[ENVIRONMENT], 9).packet(),
                    SealChoice::None,
                )
                .await?;
            let refused = ["sender-not-served", "sender-code-unknown"]
                .iter()
                .any(|code| answer["code"] == *code);
            check(kind == "refusal" && refused, || {
                format!("{from:?}: {kind} {answer}")
            })?;
        }

        quiet(&ledger).await?;
        let last = uid(&inside.send(&letter(ENVIRONMENT, &[MINISTRY], 2)).await?)?;
        gateway.nothing_else(&ledger, last).await?;
        let last = uid(&gateway.send(&letter(MINISTRY, &[ENVIRONMENT], 3304)).await?)?;
        inside.nothing_else(&ledger, last).await?;
        let total = sound(&ledger).await?;
        check((total.accepted, total.taken) == (5, 5), || format!("{total:?}"))?;
        inside.close().await;
        gateway.close().await;
        Ok::<(), StageError>(())
    });
}
