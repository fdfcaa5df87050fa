//! A packet that is signed inside (XML-DSig) and not sealed: accepted when the signature holds and is by a
//! certificate of the calling system, refused with its reason otherwise, recorded beside a seal.

use serde_json::Value;
use truc_envelope::dsig::{SignOptions, SigningKey, sign};
use truc_model::wire::{Intake, header};
use truc_model::{Clock, SystemClock};
use truc_server::demo::packets::Draft;
use truc_server::demo::raw::{RawClient, SealChoice};
use truc_server::demo::stage::{Connected, Doing, StageError, now};
use truc_tests::{check, fresh_id, play, set};

fn signing_key(system: &Connected) -> Result<SigningKey, StageError> {
    let read = |path| std::fs::read_to_string(path).doing("reading a key");
    SigningKey::from_pem(&read(&system.key_file)?, &read(&system.certificate_file)?).doing("reading a key")
}

fn signed(number: u32, key: &SigningKey) -> Result<Vec<u8>, StageError> {
    let (from, to) = (
        ("000.00.09.H60", "Sở Tài nguyên và Môi trường"),
        [("000.00.34.H60", "UBND huyện Hàm Yên")],
    );
    let packet = Draft::letter(from, &to, number, SystemClock.today()).packet();
    sign(&packet, key, &SignOptions::default()).doing("signing a packet")
}

#[test]
fn an_xml_signature_answers_for_a_packet_or_its_flaw_is_named() {
    play(async {
        let set = set("signatures", "").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let (own, other) = (stage.system("so-tnmt")?, stage.system("ubnd-tinh")?);
        let recipient = stage.system("huyen-tuyen-quang")?;
        let mut client = RawClient::connect(stage, own).await?;
        let mut reader = RawClient::connect(stage, recipient).await?;
        let mut submit = async |body: &[u8], seal: SealChoice<'_>| {
            client
                .submit(Intake::Document, fresh_id(), body, seal, now())
                .await
        };
        let state = async |reader: &mut RawClient| -> Result<Value, StageError> {
            let delivery = reader.next().await?;
            let text = delivery
                .properties
                .text(header::SIGNATURE)
                .unwrap_or_default()
                .to_owned();
            delivery.ack().await.doing("settling")?;
            serde_json::from_str(&text).doing("reading the verdict")
        };

        let good = signed(1, &signing_key(own)?)?;
        let (kind, answer) = submit(&good, SealChoice::None).await?;
        check(kind == "receipt", || format!("{kind} {answer}"))?;
        let verdict = state(&mut reader).await?;
        check(
            verdict["xml"]["state"] == "valid" && verdict["seal"]["state"] == "absent",
            || verdict.to_string(),
        )?;

        let changed = String::from_utf8(signed(2, &signing_key(own)?)?)
            .doing("reading a packet")?
            .replacen("V/v báo cáo", "V/v báo cáO", 1);
        let stranger = signed(3, &signing_key(other)?)?;
        for (body, reason) in [(changed.as_bytes(), "dsig-digest"), (&stranger[..], "")] {
            let (kind, answer) = submit(body, SealChoice::None).await?;
            check(
                kind == "refusal" && answer["code"] == "xml-signature-invalid",
                || format!("{kind} {answer}"),
            )?;
            let found = answer["found"].as_str().unwrap_or_default();
            check(found.starts_with(reason), || answer.to_string())?;
        }

        // A seal answers for the bytes; the signature inside is recorded as what it is.
        let (kind, answer) = submit(changed.as_bytes(), SealChoice::Right).await?;
        check(kind == "receipt", || format!("{kind} {answer}"))?;
        let verdict = state(&mut reader).await?;
        check(
            verdict["xml"]["state"] == "invalid" && verdict["xml"]["reason"] == "dsig-digest",
            || verdict.to_string(),
        )?;
        check(verdict["seal"]["state"] == "valid", || verdict.to_string())?;
        client.close().await;
        reader.close().await;
        Ok(())
    });
}
