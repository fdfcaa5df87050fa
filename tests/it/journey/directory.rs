//! A system that joins while the hub runs: no restart, no document lost on the way from the old one.

use jiff::SignedDuration;
use truc_directory::{CertificateRow, Editor, System, SystemKind, Validity as DatedValidity};
use truc_ledger::{DirectorySummary, Ledger, LedgerError, NewDirectory};
use truc_model::{AgencyCode, Clock, SystemClock, SystemId, SystemRandom};
use truc_server::app;
use truc_server::authority::{LeafKey, Validity, write_key_file};
use truc_server::demo::raw::RawClient;
use truc_server::demo::stage::{Connected, Doing, Stage, StageError, now, until};
use truc_tests::{check, node, play, set};
use truc_transport::Broker as _;

use super::desk::Desk;
use super::{Agency, ENVIRONMENT, LAM_BINH, letter, quiet, recipient, sound, stands, uid, view};

/// Served by `ubnd-tinh` at first.
const JUSTICE: Agency = ("000.00.16.H60", "Sở Tư pháp");
const NEW: &str = "so-tu-phap";

#[test]
fn a_new_system_is_served_without_a_restart() {
    play(async {
        let set = set("journey-directory", "").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut sender = Desk::open(stage, "so-tnmt").await?;
        let ledger = stage.ledger().await?;
        let before = uid(&sender.send(&letter(ENVIRONMENT, &[JUSTICE], 1)).await?)?;
        stands(&ledger, before, JUSTICE, "forwarded").await?;

        let new = joined(stage, &ledger).await?;
        node()
            .await?
            .accounts(&stage.vhost)
            .ensure_system(&new.id, &new.password)
            .await
            .doing("making an account")?;

        // The hub declares the inbox by itself; then what is accepted goes there.
        let broker = stage.connect(&new).await?;
        let inbox = truc_model::wire::inbox(&new.id);
        until("the inbox of the new system", async || {
            broker.queue_depth(&inbox).await.ok()
        })
        .await?;
        broker.close().await;
        let mut desk = Desk::with(RawClient::connect(stage, &new).await?, NEW);
        let mut by_the_old_way = 1;
        let after = loop {
            let document = uid(&sender
                .send(&letter(ENVIRONMENT, &[JUSTICE], 10 + by_the_old_way))
                .await?)?;
            let row = recipient(&view(&ledger, document).await?, JUSTICE)?.clone();
            if row.system.as_ref() == Some(&new.id) {
                break document;
            }
            by_the_old_way += 1;
            check(by_the_old_way < 1000, || {
                "the new directory did not come into force".to_owned()
            })?;
        };
        let came = desk.document(after).await?;
        desk.take(came).await?;
        stands(&ledger, after, JUSTICE, "taken").await?;

        // It may send at once, under its own seal; its receipt comes to its own inbox.
        let document = uid(&desk.send(&letter(JUSTICE, &[ENVIRONMENT, LAM_BINH], 1)).await?)?;
        let came = sender.document(document).await?;
        sender.take(came).await?;
        let (kind, answer) = {
            let mut old = Desk::open(stage, "ubnd-tinh").await?;
            let answer = old
                .submit(
                    truc_model::wire::Intake::Document,
                    &letter(JUSTICE, &[ENVIRONMENT], 2).packet(),
                )
                .await?;
            old.close().await;
            answer
        };
        check(kind == "refusal" && answer["code"] == "sender-not-served", || {
            format!("{kind} {answer}")
        })?;

        // What was forwarded before stays where it was sent: in the old system's inbox, waiting.
        let row = recipient(&view(&ledger, before).await?, JUSTICE)?.clone();
        check(
            row.system.is_some_and(|system| system.as_str() == "ubnd-tinh"),
            || "it moved".to_owned(),
        )?;
        check(row.state.name().as_str() == "forwarded", || {
            format!("{:?}", row.state)
        })?;
        quiet(&ledger).await?;
        let last = uid(&sender.send(&letter(ENVIRONMENT, &[JUSTICE], 3)).await?)?;
        desk.nothing_else(&ledger, last).await?;
        let total = sound(&ledger).await?;
        let waiting = u64::from(by_the_old_way) + 1;
        check((total.accepted, total.waiting) == (waiting + 3, waiting), || {
            format!("{total:?}")
        })?;
        sender.close().await;
        desk.close().await;
        Ok(())
    });
}

/// Registers the system in the next version of the directory, with a certificate, for its agency.
async fn joined(stage: &Stage, ledger: &Ledger) -> Result<Connected, StageError> {
    let id = SystemId::new(NEW).doing("naming a system")?;
    let validity = Validity {
        not_before: now()
            .saturating_sub(SignedDuration::from_hours(1))
            .doing("dating a certificate")?,
        not_after: now()
            .saturating_add(SignedDuration::from_hours(24))
            .doing("dating a certificate")?,
    };
    let issued = stage
        .authority
        .issue(&id, LeafKey::Ed25519, validity, &SystemRandom::default())
        .doing("issuing a certificate")?;
    let connected = Connected {
        password: format!("stage-{id}"),
        key_file: stage.dir.join(format!("{id}.key.pem")),
        certificate_file: stage.dir.join(format!("{id}.pem")),
        folder: stage.dir.join("folders").join(id.as_str()),
        id: id.clone(),
    };
    write_key_file(&connected.key_file, &issued.key_pem).doing("writing a key")?;
    std::fs::write(&connected.certificate_file, &issued.certificate_pem).doing("writing a certificate")?;

    let current = app::directory(ledger).await.doing("reading the directory")?;
    let code = AgencyCode::parse(JUSTICE.0).doing("reading a code")?;
    let agency = current.find_code(&code).map(|agency| agency.id);
    let agency = agency.ok_or_else(|| StageError(format!("{code} is not in the sample directory")))?;
    let mut editor = Editor::new(&current);
    editor
        .add_system(System::new(
            id.clone(),
            "Hệ thống của Sở Tư pháp",
            SystemKind::Agency,
        ))
        .doing("adding it")?;
    let row = CertificateRow {
        pem: issued.certificate_pem,
        thumbprint: issued.thumbprint,
        valid: DatedValidity::ALWAYS,
    };
    editor
        .add_certificate(&id, row)
        .doing("binding its certificate")?;
    editor
        .assign(agency, Some(&id), SystemClock.today())
        .doing("assigning it")?;
    let next = editor.finish();
    let order = NewDirectory {
        expected_version: current.version(),
        version: next.version(),
        json: next.to_json(),
        who: "operator".to_owned(),
        summary: DirectorySummary {
            added: 1,
            changed: 1,
            ..DirectorySummary::default()
        },
    };
    ledger
        .save_directory(order.clone())
        .await
        .doing("saving the directory")?;
    // Two editors cannot overwrite each other.
    let moved = ledger.save_directory(order).await;
    check(matches!(moved, Err(LedgerError::DirectoryMoved { .. })), || {
        format!("{moved:?}")
    })?;
    Ok(connected)
}
