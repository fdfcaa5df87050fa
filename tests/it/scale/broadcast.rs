//! One packet to fifteen hundred recipients: kept once, sent once to each system, and each recipient has a state of its
//! own.

use std::process::Command;
use std::time::Instant;

use futures_util::future::try_join_all;
use truc_ledger::{BalanceFilter, EventKind, VerifyOptions};
use truc_model::wire::{Intake, header, inbox};
use truc_model::{Clock, DocumentUid, Sha256, SystemClock};
use truc_server::bench::province::Province;
use truc_server::demo::packets::Draft;
use truc_server::demo::raw::{RawClient, SealChoice};
use truc_server::demo::stage::{Doing, StageError, now, until};
use truc_tests::{all_taken, check, fresh_id, play, programs, set_of};
use truc_transport::Broker as _;

use super::{lean, take};

/// Systems that receive.
const SYSTEMS: usize = 100;
const RECIPIENTS: usize = 1_500;
/// Of the packet, about: base64 makes four of three.
const PACKET_BYTES: usize = 300_000;

fn packet(province: &Province) -> Vec<u8> {
    let names: Vec<String> = (0..=RECIPIENTS).map(Province::name).collect();
    let to: Vec<(&str, &str)> = (1..=RECIPIENTS)
        .map(|n| (province.agencies[n].as_str(), names[n].as_str()))
        .collect();
    let from = (province.agencies[0].as_str(), names[0].as_str());
    let draft = Draft::letter(from, &to, 1, SystemClock.today());
    let least = draft.packet().len();
    let filler = PACKET_BYTES.saturating_sub(least) / 4 * 3;
    Draft { filler, ..draft }.packet()
}

#[test]
fn a_broadcast_is_kept_once_and_each_recipient_stands_for_itself() {
    play(async {
        let begun = Instant::now();
        let province = Province::one_to_many(SYSTEMS, RECIPIENTS)?;
        let set = set_of(
            "scale-broadcast",
            &province.agencies_csv(),
            &province.systems_csv(),
            "",
        )
        .await?;
        let stage = &set.stage;
        let ledger = stage.ledger().await?;
        let packet = packet(&province);
        let mut hub = stage.start_hub(None)?;
        let mut desk = RawClient::connect(stage, stage.system(&province.systems[0])?).await?;
        println!(
            "a stage of {SYSTEMS} systems: {:.1} s",
            begun.elapsed().as_secs_f64()
        );

        let sent = Instant::now();
        let (kind, receipt) = desk
            .submit(Intake::Document, fresh_id(), &packet, SealChoice::Right, now())
            .await?;
        check(kind == "receipt", || receipt.to_string())?;
        let receipted = sent.elapsed();
        let lines = receipt["recipients"].as_array().cloned().unwrap_or_default();
        check(lines.len() == RECIPIENTS, || {
            format!("{} lines in the receipt", lines.len())
        })?;
        check(lines.iter().all(|line| line["state"] == "scheduled"), || {
            "a line is not scheduled".to_owned()
        })?;
        let document = receipt["document"].as_str().unwrap_or_default();
        let document: DocumentUid = document.parse().doing("reading the receipt")?;

        // All but the last system take it.
        let (last, first) = province.systems[1..]
            .split_last()
            .ok_or_else(|| StageError("no systems".to_owned()))?;
        let taking = first
            .iter()
            .map(async |id| take(stage, stage.system(id)?, 1).await);
        try_join_all(taking).await?;
        let each = RECIPIENTS / SYSTEMS;
        until("all but one system's recipients to be taken", async || {
            let balance = ledger.balance(&BalanceFilter::default()).await.ok()?;
            (balance.total.taken == (RECIPIENTS - each) as u64).then_some(())
        })
        .await?;
        let shown = Command::new(programs()?.join("truc"))
            .args(["document", "show", &document.to_string(), "--config"])
            .arg(&stage.config_file)
            .output()
            .doing("running truc document show")?;
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        check(
            shown.contains("Đã nhận về hệ thống 1.485 / 1.500"),
            || shown.clone(),
        )?;

        // The last one's message is a whole packet, for its recipients alone.
        let last = stage.system(last)?;
        let mut late = RawClient::connect(stage, last).await?;
        let message = late.next().await?;
        check(Sha256::of(&message.body) == Sha256::of(&packet), || {
            "other bytes".to_owned()
        })?;
        let to = message.properties.list(header::TO).len();
        check(to == each, || format!("{to} codes in its message"))?;
        late.close().await;
        take(stage, last, 1).await?;
        all_taken(&ledger).await?;
        println!(
            "1 packet of {} KB to {RECIPIENTS} recipients on {SYSTEMS} systems: receipt after {:.2} s, all taken after {:.2} s",
            packet.len() / 1000,
            receipted.as_secs_f64(),
            sent.elapsed().as_secs_f64()
        );

        // Once in the ledger, once to each system.
        let kept = ledger.kept_bodies(None, 10).await.doing("looking for bodies")?;
        check(kept.len() == 1 && kept[0].documents.len() == 1, || {
            format!("{kept:?}")
        })?;
        let trace = ledger.trace(document).await.doing("reading the trace")?;
        let count = |kind| trace.iter().filter(|row| row.kind == kind).count();
        // Whoever is quick says `taken` before the confirm is recorded; then nothing is left to record of it.
        let (forwarded, taken) = (
            count(EventKind::DeliveryForwarded),
            count(EventKind::DeliveryTaken),
        );
        check(forwarded <= SYSTEMS && taken == SYSTEMS, || {
            format!("{forwarded} times forwarded, {taken} times taken")
        })?;
        let broker = stage.connect(last).await?;
        let depth = broker
            .queue_depth(&inbox(&last.id))
            .await
            .doing("looking into an inbox")?;
        check(depth.ready == 0, || format!("{depth:?}"))?;
        broker.close().await;

        let view = ledger.document(document).await.doing("reading the document")?;
        let view = view.ok_or_else(|| StageError("no document".to_owned()))?;
        check(view.recipients.len() == RECIPIENTS, || {
            format!("{} rows", view.recipients.len())
        })?;
        let balance = ledger
            .balance(&BalanceFilter::default())
            .await
            .doing("balancing")?;
        let total = &balance.total;
        check(
            balance.balances() && total.accepted == RECIPIENTS as u64 && total.taken == RECIPIENTS as u64,
            || format!("{balance:?}"),
        )?;
        let report = ledger
            .verify(&VerifyOptions::default())
            .await
            .doing("checking the ledger")?;
        check(report.is_sound(), || format!("{report:?}"))?;
        lean(&hub, "after a broadcast")?;
        let status = hub.stop()?;
        check(status.success(), || format!("{status}\n{}", hub.log_tail()))?;
        desk.close().await;
        Ok(())
    });
}
