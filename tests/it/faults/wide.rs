//! A letter to as many recipients as a packet may name, all on one system: their codes travel in one header.

use truc_model::wire::Intake;
use truc_model::{Clock, SystemClock};
use truc_server::demo::packets::Draft;
use truc_server::demo::raw::{RawClient, SealChoice};
use truc_server::demo::stage::now;
use truc_server::flow::checks::recipients::CODES_BYTES_MAX;
use truc_tests::{check, fresh_id, play, set};

use super::{RECIPIENT, SENDER, packet};

/// As many as the default takes.
const RECIPIENTS: usize = 3000;

/// Codes outside the province, all for the national axis, of so many bytes together.
fn letter(bytes: usize) -> Vec<u8> {
    let (each, longer) = (bytes / RECIPIENTS, bytes % RECIPIENTS);
    let codes: Vec<String> = (0..RECIPIENTS)
        .map(|n| {
            let length = each + usize::from(n < longer);
            let begin = format!("G{:02}.{n:010}.0000000000.", n % 89 + 10);
            format!("{begin:0<length$}")
        })
        .collect();
    let to: Vec<(&str, &str)> = codes.iter().map(|code| (code.as_str(), "x")).collect();
    let from = ("000.00.09.H60", "Sở Tài nguyên và Môi trường");
    Draft::letter(from, &to, 1, SystemClock.today()).packet()
}

#[test]
fn as_many_recipients_as_may_be_are_delivered_and_block_nobody() {
    play(async {
        let set = set("faults-wide", "").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut desk = RawClient::connect(stage, stage.system(SENDER)?).await?;
        let (kind, answer) = desk
            .submit(
                Intake::Document,
                fresh_id(),
                &letter(CODES_BYTES_MAX + 1),
                SealChoice::Right,
                now(),
            )
            .await?;
        check(kind == "refusal" && answer["code"] == "recipient-limit", || {
            answer.to_string()
        })?;
        let wide = letter(CODES_BYTES_MAX);
        let (kind, answer) = desk
            .submit(Intake::Document, fresh_id(), &wide, SealChoice::Right, now())
            .await?;
        check(kind == "receipt", || answer.to_string())?;
        let mut axis = RawClient::connect(stage, stage.system("truc-quoc-gia")?).await?;
        let delivery = axis.next().await?;
        check(delivery.body == wide, || "other bytes".to_owned())?;
        let to = delivery.properties.list(truc_model::wire::header::TO);
        check(to.len() == RECIPIENTS, || format!("{} codes", to.len()))?;

        let (kind, answer) = desk
            .submit(Intake::Document, fresh_id(), &packet(2), SealChoice::Right, now())
            .await?;
        check(kind == "receipt", || answer.to_string())?;
        let mut reader = RawClient::connect(stage, stage.system(RECIPIENT)?).await?;
        let _came = reader.next().await?;
        desk.close().await;
        reader.close().await;
        axis.close().await;
        Ok(())
    });
}
