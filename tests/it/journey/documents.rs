//! A document on its way out: one message for all agencies of one system, with its facts in headers and
//! its bytes as they were sent.

use lapin::options::BasicGetOptions;
use lapin::types::AMQPValue;
use lapin::{Connection, ConnectionProperties};
use truc_model::wire::{EDXML, Intake, header};
use truc_model::{Sha256, SignatureState, SignatureVerdict, Urgency};
use truc_server::demo::stage::{Doing, StageError, until};
use truc_tests::{check, play, set};

use super::desk::Desk;
use super::{ENVIRONMENT, HAM_YEN, LAM_BINH, PHU_LUU, TUYEN_QUANG, letter, quiet, sound, standing, uid};

#[test]
fn a_document_for_several_agencies_of_one_system_is_one_message() {
    play(async {
        let set = set("journey-documents", "").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let mut sender = Desk::open(stage, "so-tnmt").await?;
        let mut districts = Desk::open(stage, "huyen-tuyen-quang").await?;
        let ledger = stage.ledger().await?;

        // A form no writer of ours has: line ends of another system, a comment, an element nobody knows.
        let mut urgent = letter(ENVIRONMENT, &[HAM_YEN, PHU_LUU, TUYEN_QUANG], 1);
        urgent.urgency = Urgency::Urgent;
        let text = String::from_utf8(urgent.packet()).doing("reading a packet")?;
        let odd =
            text.replace('\n', "\r\n")
                .replacen("</edXML:Subject>", "</edXML:Subject><!-- as it came -->", 1);
        check(odd.contains("as it came"), || {
            "the packet has no Subject to change".to_owned()
        })?;
        let packet = odd.into_bytes();
        let (kind, receipt) = sender.submit(Intake::Document, &packet).await?;
        check(kind == "receipt", || receipt.to_string())?;
        let document = uid(&receipt)?;
        let deliveries: Vec<&str> = (0..3)
            .map(|n| receipt["recipients"][n]["delivery"].as_str().unwrap_or_default())
            .collect();
        check(
            deliveries[0] == deliveries[2] && deliveries[0] != deliveries[1],
            || receipt.to_string(),
        )?;

        let came = districts.document(document).await?;
        let text = |name: &str| came.properties.text(name).unwrap_or_default().to_owned();
        check(came.body == packet, || {
            "the bytes are not those that were sent".to_owned()
        })?;
        check(
            came.properties.list(header::TO) == [HAM_YEN.0, TUYEN_QUANG.0],
            || format!("{:?}", came.properties),
        )?;
        check(text(header::FROM) == ENVIRONMENT.0, || text(header::FROM))?;
        check(text(header::SHA256) == Sha256::of(&packet).to_string(), || {
            text(header::SHA256)
        })?;
        let size = i64::try_from(packet.len()).doing("measuring a packet")?;
        check(came.properties.number(header::SIZE) == Some(size), || {
            format!("{:?}", came.properties)
        })?;
        check(came.properties.number(header::ATTEMPT) == Some(1), || {
            format!("{:?}", came.properties)
        })?;
        check(text(header::DELIVERY) == deliveries[0], || text(header::DELIVERY))?;
        check(
            came.properties.message_id.as_deref() == Some(deliveries[0]),
            || format!("{:?}", came.properties),
        )?;
        let accepted_at = receipt["accepted_at"].as_str().unwrap_or_default();
        let hop = format!("{} {accepted_at}", stage.config.hub.code);
        check(text(header::TRACE) == hop, || {
            format!("{} is not {hop}", text(header::TRACE))
        })?;
        let properties = &came.properties;
        check(properties.content_type.as_deref() == Some(EDXML), || {
            format!("{properties:?}")
        })?;
        check(properties.priority == Some(Urgency::Urgent.number()), || {
            format!("{properties:?}")
        })?;
        check(
            properties
                .app_id
                .as_deref()
                .is_some_and(|app| app.starts_with("truc/")),
            || format!("{properties:?}"),
        )?;
        check(
            properties.timestamp.is_some() && properties.correlation_id.is_none(),
            || format!("{properties:?}"),
        )?;
        check(!properties.headers.contains_key(header::STATUS), || {
            format!("{properties:?}")
        })?;
        check(!properties.headers.contains_key(header::SEAL), || {
            format!("{properties:?}")
        })?;
        let verdict: SignatureVerdict =
            serde_json::from_str(&text(header::SIGNATURE)).doing("reading truc-signature")?;
        let sealed = matches!(&verdict.seal, SignatureState::Valid { algorithm, signer, .. }
            if algorithm == "ES256" && signer == "so-tnmt");
        check(sealed && verdict.xml == SignatureState::Absent, || {
            format!("{verdict:?}")
        })?;
        check(!verdict.vouched_by_channel, || format!("{verdict:?}"))?;
        districts.take(came).await?;
        until("both districts to have taken it", async || {
            let [first, ..] = standing(&ledger, document, HAM_YEN).await.ok()?;
            let [second, ..] = standing(&ledger, document, TUYEN_QUANG).await.ok()?;
            (first == "taken" && second == "taken").then_some(())
        })
        .await?;
        println!("one message for two districts, headers as documented, bytes as sent");

        on_the_bare_wire(stage, &packet, deliveries[1]).await?;
        let [commune, ..] = standing(&ledger, document, PHU_LUU).await?;
        check(commune == "forwarded", || {
            format!("an unread delivery is {commune}")
        })?;

        quiet(&ledger).await?;
        let last = uid(&sender.send(&letter(ENVIRONMENT, &[LAM_BINH], 2)).await?)?;
        districts.nothing_else(&ledger, last).await?;
        let total = sound(&ledger).await?;
        check((total.accepted, total.taken, total.waiting) == (4, 3, 1), || {
            format!("{total:?}")
        })?;
        sender.close().await;
        districts.close().await;
        Ok(())
    });
}

/// The AMQP types of the headers, as a client in another language sees them. Leaves the message where it is.
async fn on_the_bare_wire(
    stage: &truc_server::demo::stage::Stage,
    packet: &[u8],
    delivery: &str,
) -> Result<(), StageError> {
    let communes = stage.system("xa-tuyen-quang")?;
    let connection = Connection::connect(&stage.amqp_url(communes), ConnectionProperties::default())
        .await
        .doing("connecting")?;
    let channel = connection.create_channel().await.doing("opening a channel")?;
    let message = until("the communes' message", async || {
        channel
            .basic_get(
                "truc.inbox.xa-tuyen-quang".into(),
                BasicGetOptions { no_ack: false },
            )
            .await
            .ok()?
    })
    .await?;
    check(message.data == packet, || {
        "the bytes are not those that were sent".to_owned()
    })?;
    check(*message.properties.delivery_mode() == Some(2), || {
        "the message is not persistent".to_owned()
    })?;
    check(message.properties.user_id().is_none(), || {
        "the hub gives itself out as a system".to_owned()
    })?;
    let headers = message.properties.headers().clone().unwrap_or_default();
    let value = |name: &str| {
        headers
            .inner()
            .iter()
            .find(|(key, _)| key.as_str() == name)
            .map(|(_, value)| value)
    };
    for name in [
        header::DOCUMENT,
        header::DELIVERY,
        header::SHA256,
        header::FROM,
        header::TRACE,
        header::SIGNATURE,
    ] {
        check(matches!(value(name), Some(AMQPValue::LongString(_))), || {
            format!("{name} is {:?}", value(name))
        })?;
    }
    for name in [header::SIZE, header::ATTEMPT] {
        let whole = matches!(
            value(name),
            Some(AMQPValue::LongLongInt(_) | AMQPValue::LongInt(_))
        );
        check(whole, || format!("{name} is {:?}", value(name)))?;
    }
    let listed = matches!(value(header::TO), Some(AMQPValue::FieldArray(list))
        if matches!(list.as_slice(), [AMQPValue::LongString(code)] if code.to_string() == PHU_LUU.0));
    check(listed, || format!("{} is {:?}", header::TO, value(header::TO)))?;
    let own = message.properties.message_id().as_ref().map(ToString::to_string);
    check(own.as_deref() == Some(delivery), || {
        format!("message_id is {own:?}")
    })?;
    connection.close(200, "done".into()).await.doing("closing")
}
