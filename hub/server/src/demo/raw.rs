//! A client without an adapter: publishes and reads under a system's own account, message by message, so
//! that what an adapter would never do can be tried: a repeat, a changed body, a missing seal.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use truc_envelope::seal::{Claims, SealingKey, make};
use truc_model::wire::{EDXML, Intake, JSON, SUBMIT_EXCHANGE, header, inbox};
use truc_model::{MessageId, Sha256, SystemId};
use truc_transport::{
    AmqpBroker, Broker, Consumer, Delivery, HeaderValue, OutMessage, Properties, PublishError, Publisher,
};

use super::stage::{Connected, Doing, PATIENCE, Stage, StageError};

/// Unsettled messages a raw client holds at most.
const PREFETCH: u16 = 200;

/// See the module.
pub struct RawClient {
    system: SystemId,
    key: SealingKey,
    broker: Arc<AmqpBroker>,
    publisher: Arc<dyn Publisher>,
    consumer: Box<dyn Consumer>,
    /// Documents and statuses that came while an answer was waited for; the broker keeps them for the
    /// adapter, as they are never settled here.
    kept: Vec<Delivery>,
}

/// What the seal of a raw submission says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealChoice<'a> {
    /// It seals the body.
    Right,
    /// There is none.
    None,
    /// It was made over these bytes, whatever the body is.
    Over(&'a [u8]),
}

impl RawClient {
    /// Connects under the system's own account. Its adapter must not be running: one inbox, one reader.
    ///
    /// # Errors
    /// [`StageError`] when the broker refuses.
    pub async fn connect(stage: &Stage, system: &Connected) -> Result<Self, StageError> {
        let broker = stage.connect(system).await?;
        let publisher = broker.publisher().await.doing("publishing")?;
        let consumer = broker
            .consume(&inbox(&system.id), PREFETCH, "raw")
            .await
            .doing("reading the inbox")?;
        Ok(Self {
            system: system.id.clone(),
            key: stage.sealing_key(system)?,
            broker,
            publisher,
            consumer,
            kept: Vec::new(),
        })
    }

    /// Publishes a packet and gives nothing but whether the broker took it.
    ///
    /// # Errors
    /// [`PublishError`] as the broker says.
    pub async fn publish(
        &self,
        intake: Intake,
        message_id: MessageId,
        body: &[u8],
        seal: SealChoice<'_>,
        at: Timestamp,
    ) -> Result<(), PublishError> {
        let mut headers = BTreeMap::new();
        let sealed = match seal {
            SealChoice::Right => Some(body),
            SealChoice::Over(bytes) => Some(bytes),
            SealChoice::None => None,
        };
        if let Some(bytes) = sealed {
            let claims = Claims {
                iss: self.system.clone(),
                jti: message_id,
                iat: at,
                sha256: Sha256::of(bytes),
                size: bytes.len() as u64,
            };
            if let Ok(seal) = make(&self.key, &claims) {
                headers.insert(header::SEAL.to_owned(), HeaderValue::Text(seal));
            }
        }
        let content_type = if intake == Intake::Taken { JSON } else { EDXML };
        let message = OutMessage {
            exchange: SUBMIT_EXCHANGE.to_owned(),
            routing_key: intake.as_str().to_owned(),
            properties: Properties {
                kind: Some(intake.as_str().to_owned()),
                message_id: Some(message_id.to_string()),
                user_id: Some(self.system.to_string()),
                content_type: Some(content_type.to_owned()),
                timestamp: Some(at),
                app_id: Some("raw".to_owned()),
                headers,
                ..Properties::default()
            },
            body: Arc::from(body),
        };
        self.publisher.publish(message).await?.await.map(|_confirmed| ())
    }

    /// Publishes a packet and waits for the hub's answer: AMQP type and JSON.
    ///
    /// # Errors
    /// [`StageError`] when no answer comes.
    pub async fn submit(
        &mut self,
        intake: Intake,
        message_id: MessageId,
        body: &[u8],
        seal: SealChoice<'_>,
        at: Timestamp,
    ) -> Result<(String, Value), StageError> {
        self.publish(intake, message_id, body, seal, at)
            .await
            .doing("publishing")?;
        self.answer(message_id).await
    }

    /// Waits for the answer to a submission and settles it.
    ///
    /// # Errors
    /// [`StageError`] when none comes.
    pub async fn answer(&mut self, message_id: MessageId) -> Result<(String, Value), StageError> {
        let wanted = message_id.to_string();
        loop {
            let delivery = self.next().await?;
            let kind = delivery.properties.kind.clone().unwrap_or_default();
            if delivery.properties.correlation_id.as_deref() == Some(&wanted) {
                let json = serde_json::from_slice(&delivery.body).doing("reading an answer")?;
                delivery.ack().await.doing("settling an answer")?;
                return Ok((kind, json));
            }
            if kind == "notice" {
                delivery.ack().await.doing("settling a notice")?;
            } else {
                self.kept.push(delivery);
            }
        }
    }

    /// The next message of the inbox, unsettled.
    ///
    /// # Errors
    /// [`StageError`] when none comes.
    pub async fn next(&mut self) -> Result<Delivery, StageError> {
        match tokio::time::timeout(PATIENCE, self.consumer.next()).await {
            Ok(Some(delivery)) => Ok(delivery),
            Ok(None) => Err(StageError("the inbox was closed".to_owned())),
            Err(_) => Err(StageError(format!(
                "nothing came to the inbox within {} s",
                PATIENCE.as_secs()
            ))),
        }
    }

    /// Closes the connection; what was not settled goes back to the inbox.
    pub async fn close(self) {
        drop(self.kept);
        self.broker.close().await;
    }
}
