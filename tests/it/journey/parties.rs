//! Which document a status speaks of, and who may speak: found as it is named or by its number, recorded
//! and refused when it is a stranger's or fits nothing.

use jiff::ToSpan as _;
use truc_envelope::ResponseFor;
use truc_ledger::{Ledger, RefusalFilter};
use truc_model::StatusCode::{Accepted, Arrived, Assigned, Finished, Processing, TakeBack};
use truc_model::wire::Intake;
use truc_model::{DocumentUid, RefusalCode, Sha256};
use truc_server::demo::stage::{Doing, StageError};
use truc_tests::{check, play, set};

use super::desk::Desk;
use super::{
    ENVIRONMENT, HAM_YEN, LAM_BINH, PHU_LUU, TUYEN_QUANG, asked_back, letter, named, quiet, sound, standing,
    status, uid, view,
};

#[test]
fn a_status_finds_its_document_or_is_refused_and_recorded() {
    play(async {
        let set = set("journey-parties", "").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut sender = Desk::open(stage, "so-tnmt").await?;
        let mut districts = Desk::open(stage, "huyen-tuyen-quang").await?;
        let mut communes = Desk::open(stage, "xa-tuyen-quang").await?;
        let ledger = stage.ledger().await?;
        let sent = letter(ENVIRONMENT, &[HAM_YEN, TUYEN_QUANG], 11);
        let document = uid(&sender.send(&sent).await?)?;
        let delivery = districts.document(document).await?;
        districts.take(delivery).await?;

        // Strangers: of the same system as a recipient, of another system, and a 13 to one who never got it.
        let stranger = status(LAM_BINH, named(&sent), Accepted, "");
        districts
            .refused(Intake::Status, &stranger, "status-stranger")
            .await?;
        recorded(&ledger, RefusalCode::StatusStranger, &stranger, Some(document)).await?;
        let other = status(PHU_LUU, named(&sent), Arrived, "");
        communes
            .refused(Intake::Status, &other, "status-stranger")
            .await?;
        recorded(&ledger, RefusalCode::StatusStranger, &other, Some(document)).await?;
        let astray = status(ENVIRONMENT, asked_back(&sent, LAM_BINH), TakeBack, "Gửi nhầm");
        sender.refused(Intake::Status, &astray, "status-stranger").await?;
        recorded(&ledger, RefusalCode::StatusStranger, &astray, Some(document)).await?;

        // Documents nobody knows: another name and number, another year, another sender.
        let unknown = ResponseFor {
            document_id: Some("000.00.09.H60,2020/01/01,1/KHONG-CO".to_owned()),
            code: Some("1/KHONG-CO".to_owned()),
            ..named(&sent)
        };
        let last_year = ResponseFor {
            document_id: None,
            promulgation_date: Some(sent.issued.saturating_sub(1.year())),
            ..named(&sent)
        };
        let other_sender = ResponseFor {
            organ_id: PHU_LUU.0.to_owned(),
            ..named(&sent)
        };
        for about in [unknown, last_year, other_sender] {
            let packet = status(HAM_YEN, about, Accepted, "");
            let answer = districts
                .refused(Intake::Status, &packet, "status-unknown-document")
                .await?;
            check(
                answer["where"]["path"]
                    .as_str()
                    .is_some_and(|path| path.ends_with("ResponseFor")),
                || answer.to_string(),
            )?;
            recorded(&ledger, RefusalCode::StatusUnknownDocument, &packet, None).await?;
        }

        // Refused before the document matters: another agency's name, the wrong queue.
        let forged = status(HAM_YEN, named(&sent), Accepted, "");
        communes
            .refused(Intake::Status, &forged, "sender-not-served")
            .await?;
        districts
            .refused(Intake::Document, &forged, "envelope-kind-mismatch")
            .await?;
        let unmoved = standing(&ledger, document, HAM_YEN).await?;
        check(unmoved == ["taken", "unreported", "none"], || {
            format!("{unmoved:?}")
        })?;
        check(view(&ledger, document).await?.statuses.is_empty(), || {
            "a refused status was recorded".to_owned()
        })?;

        // Found: by number and year without a DocumentId, or under another one; under other codes.
        let no_name = ResponseFor {
            document_id: None,
            ..named(&sent)
        };
        let other_name = ResponseFor {
            document_id: Some("53234".to_owned()),
            ..named(&sent)
        };
        let no_number = ResponseFor {
            code: None,
            promulgation_date: None,
            ..named(&sent)
        };
        let other_codes = ResponseFor {
            organ_id: "H60.09".to_owned(),
            ..named(&sent)
        };
        let spaced = ResponseFor {
            code: Some(format!(" {} / {} ", sent.number, sent.notation)),
            document_id: None,
            ..named(&sent)
        };
        for (about, from, code, business) in [
            (no_name, HAM_YEN, Arrived, "arrived"),
            (other_name, HAM_YEN, Accepted, "accepted"),
            (no_number, HAM_YEN, Assigned, "assigned"),
            (other_codes, ("H60.34", HAM_YEN.1), Processing, "processing"),
            (spaced, HAM_YEN, Finished, "done"),
        ] {
            let packet = status(from, about, code, "");
            let receipt = districts.report(&packet).await?;
            check(receipt["document"] == document.to_string(), || {
                receipt.to_string()
            })?;
            let came = sender.status(&packet).await?;
            sender.take(came).await?;
            let [_, now, _] = standing(&ledger, document, HAM_YEN).await?;
            check(now == business, || format!("{code}: {now}"))?;
        }
        let untouched = standing(&ledger, document, TUYEN_QUANG).await?;
        check(untouched == ["taken", "unreported", "none"], || {
            format!("{untouched:?}")
        })?;

        quiet(&ledger).await?;
        let last = uid(&sender.send(&letter(ENVIRONMENT, &[HAM_YEN], 12)).await?)?;
        districts.nothing_else(&ledger, last).await?;
        let last = uid(&sender.send(&letter(ENVIRONMENT, &[PHU_LUU], 13)).await?)?;
        communes.nothing_else(&ledger, last).await?;
        let last = uid(&districts.send(&letter(HAM_YEN, &[ENVIRONMENT], 14)).await?)?;
        sender.nothing_else(&ledger, last).await?;
        let total = sound(&ledger).await?;
        check((total.accepted, total.taken) == (5, 5), || format!("{total:?}"))?;
        for desk in [sender, districts, communes] {
            desk.close().await;
        }
        Ok(())
    });
}

/// The refusal of this packet stands in the ledger, with its bytes as evidence.
async fn recorded(
    ledger: &Ledger,
    code: RefusalCode,
    packet: &[u8],
    document: Option<DocumentUid>,
) -> Result<(), StageError> {
    let filter = RefusalFilter {
        code: Some(code),
        ..RefusalFilter::default()
    };
    let refusals = ledger.refusals(&filter).await.doing("reading the refusals")?;
    let sha256 = Sha256::of(packet);
    let found = refusals.iter().find(|row| row.key.sha256 == sha256);
    check(
        found.is_some_and(|row| row.document == document && row.body_kept && row.intake == Intake::Status),
        || format!("{code:?}: {found:?}"),
    )?;
    let kept = ledger.body(sha256).await.doing("reading a body")?;
    let kept = kept.as_ref().and_then(truc_ledger::Body::here);
    check(kept.is_some_and(|kept| **kept == *packet), || {
        "the refused bytes were not kept".to_owned()
    })
}
