//! What the hub answers to submissions that are wrong, repeated or held, on the wire itself.

use jiff::ToSpan as _;
use serde_json::Value;
use truc_model::wire::Intake;
use truc_model::{Clock, MessageId, SystemClock};
use truc_server::demo::packets::Draft;
use truc_server::demo::raw::{RawClient, SealChoice};
use truc_server::demo::stage::{Doing, StageError, now};
use truc_tests::{check, fresh_id, play, set};

const ENVIRONMENT: (&str, &str) = ("000.00.09.H60", "Sở Tài nguyên và Môi trường");

fn draft(number: u32) -> Draft<'static> {
    Draft::letter(
        ENVIRONMENT,
        &[("000.00.34.H60", "UBND huyện Hàm Yên")],
        number,
        SystemClock.today(),
    )
}

struct Desk {
    client: RawClient,
}

impl Desk {
    async fn answer(
        &mut self,
        id: MessageId,
        body: &[u8],
        seal: SealChoice<'_>,
    ) -> Result<(String, Value), StageError> {
        self.client.submit(Intake::Document, id, body, seal, now()).await
    }

    async fn refused(&mut self, body: &[u8], seal: SealChoice<'_>, code: &str) -> Result<Value, StageError> {
        let (kind, answer) = self.answer(fresh_id(), body, seal).await?;
        check(kind == "refusal" && answer["code"] == code, || {
            format!("expected {code}, got {kind} {answer}")
        })?;
        for key in ["message", "where", "expected", "found", "actor", "retry", "event"] {
            check(!answer[key].is_null(), || {
                format!("{code} does not say {key}: {answer}")
            })?;
        }
        check(answer["message"]["vi"] != answer["message"]["en"], || {
            format!("{code} has one language")
        })?;
        Ok(answer)
    }

    async fn accepted(&mut self, body: &[u8]) -> Result<Value, StageError> {
        let (kind, answer) = self.answer(fresh_id(), body, SealChoice::Right).await?;
        check(kind == "receipt", || {
            format!("expected a receipt, got {kind} {answer}")
        })?;
        Ok(answer)
    }
}

#[test]
fn wrong_submissions_get_their_code_and_harm_nobody() {
    play(async {
        let set = set(
            "refusals",
            "[intake]\nmax_body_bytes = 300000\nmax_recipients = 50\n",
        )
        .await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let system = stage.system("so-tnmt")?;
        let mut desk = Desk {
            client: RawClient::connect(stage, system).await?,
        };
        let packet = draft(1).packet();
        let text = String::from_utf8(packet.clone()).doing("reading a packet")?;
        let changed = |from: &str, to: &str| text.replacen(from, to, 1).into_bytes();

        desk.refused(&packet, SealChoice::None, "seal-missing").await?;
        desk.refused(
            &changed("V/v báo cáo", "V/v bao cao"),
            SealChoice::Over(&packet),
            "seal-claims",
        )
        .await?;
        let mut flipped = packet.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        desk.refused(&flipped, SealChoice::Over(&packet), "seal-body-mismatch")
            .await?;
        desk.refused(
            &changed("<?xml", "<!DOCTYPE x>\n<?xml"),
            SealChoice::Right,
            "envelope-doctype",
        )
        .await?;
        desk.refused(b"<a>", SealChoice::Right, "envelope-malformed")
            .await?;
        desk.refused(b"<a/>", SealChoice::Right, "envelope-unknown-root")
            .await?;
        desk.refused(&[0xFF, 0xFE, 0x00], SealChoice::Right, "envelope-encoding")
            .await?;
        desk.refused(
            &changed(ENVIRONMENT.0, "000.00.00.H60"),
            SealChoice::Right,
            "sender-not-served",
        )
        .await?;
        desk.refused(
            &changed(ENVIRONMENT.0, "000.98.97.H60"),
            SealChoice::Right,
            "sender-code-unknown",
        )
        .await?;
        desk.refused(&vec![b' '; 300_001], SealChoice::Right, "body-too-large")
            .await?;
        let mut many = draft(2);
        many.to = (0..51)
            .map(|n| (format!("000.{n:02}.{n:02}.G01"), "Bộ".to_owned()))
            .collect();
        desk.refused(&many.packet(), SealChoice::Right, "recipient-limit")
            .await?;

        // A refusal does not bind the key: the same bytes pass once what was missing is there.
        let id = fresh_id();
        let (kind, _) = desk.answer(id, &packet, SealChoice::None).await?;
        check(kind == "refusal", || kind.clone())?;
        let (kind, receipt) = desk.answer(id, &packet, SealChoice::Right).await?;
        check(kind == "receipt", || format!("{kind} {receipt}"))?;

        // From here on the key belongs to these bytes.
        let (kind, again) = desk.answer(id, &packet, SealChoice::Right).await?;
        check(kind == "receipt" && again == receipt, || {
            format!("{kind} {again}")
        })?;
        // A repeat is a repeat even when it could not be accepted today.
        let (kind, again) = desk.answer(id, &packet, SealChoice::None).await?;
        check(kind == "receipt" && again == receipt, || {
            format!("{kind} {again}")
        })?;
        let (kind, answer) = desk.answer(id, &draft(3).packet(), SealChoice::Right).await?;
        check(
            kind == "refusal" && answer["code"] == "message-id-conflict",
            || format!("{kind} {answer}"),
        )?;
        // The same bytes under another key are the same document.
        let (kind, again) = desk.answer(fresh_id(), &packet, SealChoice::Right).await?;
        check(kind == "receipt" && again == receipt, || {
            format!("{kind} {again}")
        })?;

        // The document's identity with other bytes is held.
        let mut other = draft(1);
        other.subject = "V/v báo cáo (sửa)";
        let parked = desk.accepted(&other.packet()).await?;
        check(parked["recipients"][0]["state"] == "parked", || {
            parked.to_string()
        })?;
        check(parked["recipients"][0]["cause"] == "identity-conflict", || {
            parked.to_string()
        })?;

        // A marking of secrecy is held, and stands nowhere but in the stored bytes.
        let mut secret = draft(4);
        secret.subject = "TỐI MẬT - Kế hoạch QZX-7788";
        let quarantined = desk.accepted(&secret.packet()).await?;
        check(quarantined["recipients"][0]["cause"] == "secret-marking", || {
            quarantined.to_string()
        })?;
        let log = std::fs::read_to_string(stage.dir.join("hub.log")).doing("reading the log")?;
        check(!log.contains("QZX-7788"), || {
            "the log tells a quarantined subject".to_owned()
        })?;
        check(!log.contains("V/v"), || "the log tells a subject".to_owned())?;

        // Two codes of one agency, twice in To: one delivery.
        let mut twice = draft(5);
        twice.to = ["000.00.34.H60", "H60.34", "000.00.34.H60"]
            .map(|code| (code.to_owned(), "Hàm Yên".to_owned()))
            .to_vec();
        let once = desk.accepted(&twice.packet()).await?;
        let deliveries: std::collections::BTreeSet<String> = once["recipients"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|line| line["party"].to_string())
            .collect();
        check(deliveries.len() == 1, || once.to_string())?;

        // One unknown recipient does not stop the other.
        let mut mixed = draft(6);
        mixed.to.push(("000.97.97.H60".to_owned(), "Không có".to_owned()));
        mixed.to.push(("00.53.W00".to_owned(), "Hệ thống".to_owned()));
        let receipt = desk.accepted(&mixed.packet()).await?;
        let line = |n: usize| {
            (
                receipt["recipients"][n]["state"].clone(),
                receipt["recipients"][n]["cause"].clone(),
            )
        };
        check(line(0).0 == "scheduled", || receipt.to_string())?;
        check(line(1) == ("undeliverable".into(), "unknown-code".into()), || {
            receipt.to_string()
        })?;
        check(line(2) == ("undeliverable".into(), "system-code".into()), || {
            receipt.to_string()
        })?;

        // A seal too old or from the future.
        let (kind, answer) = desk
            .client
            .submit(
                Intake::Document,
                fresh_id(),
                &draft(7).packet(),
                SealChoice::Right,
                now() + 1.hour(),
            )
            .await?;
        check(kind == "refusal" && answer["code"] == "seal-claims", || {
            format!("{kind} {answer}")
        })?;

        // A status on the document queue, and JSON that is no `taken`.
        let (kind, answer) = desk
            .client
            .submit(
                Intake::Taken,
                fresh_id(),
                b"{\"token\":1}",
                SealChoice::None,
                now(),
            )
            .await?;
        check(kind == "refusal" && answer["code"] == "taken-malformed", || {
            format!("{kind} {answer}")
        })?;

        let ledger = stage.ledger().await?;
        let balance = ledger
            .balance(&truc_ledger::BalanceFilter::default())
            .await
            .doing("balancing")?;
        check(balance.balances(), || format!("{balance:?}"))?;
        let report = ledger
            .verify(&truc_ledger::VerifyOptions::default())
            .await
            .doing("verifying")?;
        check(report.is_sound(), || format!("{report:?}"))?;
        desk.client.close().await;
        Ok(())
    });
}
