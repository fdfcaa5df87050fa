//! An operator's orders beside a running hub and a real broker: what waits behind a full inbox is held, sent
//! another way, let go; what lies in the inbox is given up and may still be read.

use std::process::Command;

use serde_json::Value;
use truc_model::wire::{Intake, header};
use truc_model::{Clock, SystemClock};
use truc_server::demo::packets::Draft;
use truc_server::demo::raw::{RawClient, SealChoice};
use truc_server::demo::stage::{Doing, Stage, StageError, now, until};
use truc_tests::{check, fresh_id, play, set};

const SENDER: &str = "so-tnmt";
/// The recipient in the packets, on a system that nobody reads at first, and the one the operator names.
const DISTRICT: (&str, &str) = ("000.00.34.H60", "huyen-tuyen-quang");
const OFFICE: (&str, &str) = ("000.00.01.H60", "ubnd-tinh");

fn packet(number: u32) -> Vec<u8> {
    let from = ("000.00.09.H60", "Sở Tài nguyên và Môi trường");
    Draft::letter(
        from,
        &[(DISTRICT.0, "UBND huyện Hàm Yên")],
        number,
        SystemClock.today(),
    )
    .packet()
}

/// Runs `truc … --json`; gives what it says and its exit code.
fn truc(stage: &Stage, arguments: &[&str]) -> Result<(Value, i32), StageError> {
    let output = Command::new(truc_tests::programs()?.join("truc"))
        .args(arguments)
        .args(["--json", "--config"])
        .arg(&stage.config_file)
        .output()
        .doing("running truc")?;
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Ok((json, output.status.code().unwrap_or(-1)))
}

fn order(stage: &Stage, command: &str, document: &str, more: &[&str]) -> Result<(Value, i32), StageError> {
    let mut arguments = vec![
        "document", command, document, "--reason", "thử", "--as", "truc-ban", "--yes",
    ];
    arguments.extend(more);
    truc(stage, &arguments)
}

/// Takes the next document of an inbox: its id and the codes it is for.
async fn take(reader: &mut RawClient) -> Result<(String, String), StageError> {
    let message = reader.next().await?;
    let id = message.properties.message_id.clone().unwrap_or_default();
    let to = message.properties.list(header::TO).join(",");
    let taken = format!("{{\"taken\":[\"{id}\"]}}");
    reader
        .publish(
            Intake::Taken,
            fresh_id(),
            taken.as_bytes(),
            SealChoice::None,
            now(),
        )
        .await
        .doing("saying taken")?;
    message.ack().await.doing("settling")?;
    Ok((id, to))
}

/// How the first recipient of a document stands.
fn state(stage: &Stage, document: &str) -> Result<String, StageError> {
    let (json, _) = truc(stage, &["document", "show", document])?;
    let state = json["recipients"][0]["transport"]["state"].as_str();
    Ok(state.unwrap_or_default().to_owned())
}

#[test]
fn an_operator_moves_what_waits_behind_a_full_inbox() {
    play(async {
        let set = set("operator", "[delivery]\nwindow = 1\nurgent_extra = 0\n").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut desk = RawClient::connect(stage, stage.system(SENDER)?).await?;
        let mut documents = Vec::new();
        for number in 0..3 {
            let (kind, receipt) = desk
                .submit(
                    Intake::Document,
                    fresh_id(),
                    &packet(number),
                    SealChoice::Right,
                    now(),
                )
                .await?;
            check(kind == "receipt", || receipt.to_string())?;
            documents.push(receipt["document"].as_str().unwrap_or_default().to_owned());
        }
        let [first, held, moved] = documents.as_slice() else {
            return Err(StageError("three documents".to_owned()));
        };
        until("the first to lie in the inbox", async || {
            (state(stage, first).ok()? == "forwarded").then_some(())
        })
        .await?;

        // The others wait behind it, and are listed.
        let (stuck, _) = truc(stage, &["document", "stuck", "--minutes", "0"])?;
        let listed: Vec<&str> = stuck["stuck"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|row| row["document"].as_str())
            .collect();
        check(listed == [held.as_str(), moved.as_str()], || stuck.to_string())?;

        // What lies in the inbox cannot be held or sent another way.
        for command in ["park", "reroute"] {
            let (json, code) = order(stage, command, first, &["--recipient", DISTRICT.0])?;
            check(code == 1 && json["given"] == false, || json.to_string())?;
        }
        let (json, code) = order(stage, "park", held, &[])?;
        check(code == 0, || json.to_string())?;
        let (json, code) = order(stage, "reroute", moved, &["--to", OFFICE.0])?;
        check(code == 0, || json.to_string())?;

        // The office gets it, addressed by its own code.
        let mut office = RawClient::connect(stage, stage.system(OFFICE.1)?).await?;
        let (id, to) = take(&mut office).await?;
        check(json["done"][0]["delivery"] == id, || json.to_string())?;
        check(to.contains(OFFICE.0) && !to.contains(DISTRICT.0), || to.clone())?;

        // Given up while it lies there; the sender is told, and whoever reads it late contradicts nobody's word.
        let (json, code) = order(stage, "close", first, &[])?;
        check(code == 0, || json.to_string())?;
        let mut told = Vec::new();
        while told.len() < 3 {
            let message = desk.next().await?;
            let json: Value = serde_json::from_slice(&message.body).unwrap_or_default();
            message.ack().await.doing("settling")?;
            if let (Some(code), Some(cause)) = (json["code"].as_str(), json["cause"].as_str()) {
                told.push(format!("{code}/{cause}"));
            }
        }
        told.sort_unstable();
        let expected = [
            "parked/operator",
            "recipient-undeliverable/closed-by-operator",
            "successor-used/operator",
        ];
        check(told == expected, || format!("{told:?}"))?;
        let mut district = RawClient::connect(stage, stage.system(DISTRICT.1)?).await?;
        let (late, _) = take(&mut district).await?;
        check(late != id, || late.clone())?;

        // Let go, it comes in a message of its own.
        let (json, code) = order(stage, "release", held, &[])?;
        check(code == 0, || json.to_string())?;
        let (released, to) = take(&mut district).await?;
        check(json["done"][0]["delivery"] == released, || json.to_string())?;
        check(to.contains(DISTRICT.0), || to.clone())?;
        for (document, expected) in [(first, "undeliverable"), (held, "taken"), (moved, "taken")] {
            until(&format!("{document} to be {expected}"), async || {
                (state(stage, document).ok()? == expected).then_some(())
            })
            .await?;
        }
        for check_of in [&["ledger", "verify", "--bodies"][..], &["ledger", "balance"]] {
            let (json, code) = truc(stage, check_of)?;
            check(code == 0, || json.to_string())?;
        }
        println!("one given up, one held and let go, one sent another way; the ledger is whole and balances");
        for client in [desk, office, district] {
            client.close().await;
        }
        Ok(())
    });
}
