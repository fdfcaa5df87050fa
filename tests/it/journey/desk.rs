//! A desk: a bare client of one system that keeps everything it was sent until it is asked for, so that
//! what came twice, or should not have come, is found.

use serde_json::Value;
use truc_ledger::Ledger;
use truc_model::wire::{Intake, Outgoing, header};
use truc_model::{DocumentUid, MessageId, Sha256};
use truc_server::demo::packets::Draft;
use truc_server::demo::raw::{RawClient, SealChoice};
use truc_server::demo::stage::{Doing, Stage, StageError, now, until};
use truc_tests::{check, fresh_id};
use truc_transport::{Delivery, Message};

/// See the module.
pub(super) struct Desk {
    client: RawClient,
    system: String,
    /// Came and was not asked for yet.
    kept: Vec<Delivery>,
}

impl Desk {
    /// Sits down at a system's inbox.
    pub(super) async fn open(stage: &Stage, system: &str) -> Result<Self, StageError> {
        let client = RawClient::connect(stage, stage.system(system)?).await?;
        Ok(Self::with(client, system))
    }

    /// The same with a client one already has.
    pub(super) fn with(client: RawClient, system: &str) -> Self {
        Self {
            client,
            system: system.to_owned(),
            kept: Vec::new(),
        }
    }

    /// Submits a packet, sealed, and gives the answer: AMQP type and JSON.
    pub(super) async fn submit(
        &mut self,
        intake: Intake,
        body: &[u8],
    ) -> Result<(String, Value), StageError> {
        self.submit_as(intake, fresh_id(), body, SealChoice::Right).await
    }

    /// The same under a given key, sealed or not.
    pub(super) async fn submit_as(
        &mut self,
        intake: Intake,
        id: MessageId,
        body: &[u8],
        seal: SealChoice<'_>,
    ) -> Result<(String, Value), StageError> {
        self.client
            .publish(intake, id, body, seal, now())
            .await
            .doing("submitting")?;
        let asked = id.to_string();
        let answer = self
            .awaited("the answer to a submission", |message| {
                message.properties.correlation_id.as_deref() == Some(&asked) && !is(message, Outgoing::Notice)
            })
            .await?;
        let kind = answer.properties.kind.clone().unwrap_or_default();
        let json = serde_json::from_slice(&answer.body).doing("reading an answer")?;
        answer.ack().await.doing("settling an answer")?;
        Ok((kind, json))
    }

    /// Submits a letter; gives its receipt.
    pub(super) async fn send(&mut self, letter: &Draft<'_>) -> Result<Value, StageError> {
        let (kind, receipt) = self.submit(Intake::Document, &letter.packet()).await?;
        check(kind == "receipt", || {
            format!("{}: {kind} {receipt}", letter.document_id())
        })?;
        Ok(receipt)
    }

    /// Submits a status packet; gives its receipt.
    pub(super) async fn report(&mut self, packet: &[u8]) -> Result<Value, StageError> {
        let (kind, receipt) = self.submit(Intake::Status, packet).await?;
        check(kind == "receipt" && receipt["receipt"] == "status", || {
            format!("{kind} {receipt}")
        })?;
        Ok(receipt)
    }

    /// Submits something that must be refused with `code`; gives the refusal.
    pub(super) async fn refused(
        &mut self,
        intake: Intake,
        packet: &[u8],
        code: &str,
    ) -> Result<Value, StageError> {
        let (kind, answer) = self.submit(intake, packet).await?;
        check(kind == "refusal" && answer["code"] == code, || {
            format!("expected {code}, got {kind} {answer}")
        })?;
        Ok(answer)
    }

    /// The message that brings a document, unsettled.
    pub(super) async fn document(&mut self, document: DocumentUid) -> Result<Delivery, StageError> {
        self.awaited(&format!("document {document}"), |message| {
            is(message, Outgoing::Document) && speaks_of(message, document)
        })
        .await
    }

    /// The message that brings a status packet of these bytes, unsettled.
    pub(super) async fn status(&mut self, packet: &[u8]) -> Result<Delivery, StageError> {
        let sha256 = Sha256::of(packet).to_string();
        self.awaited("a status", |message| {
            is(message, Outgoing::Status) && message.properties.text(header::SHA256) == Some(&sha256)
        })
        .await
    }

    /// The next notice about a document, settled.
    pub(super) async fn notice(&mut self, document: DocumentUid) -> Result<Value, StageError> {
        let notice = self
            .awaited(&format!("a notice about {document}"), |message| {
                is(message, Outgoing::Notice) && speaks_of(message, document)
            })
            .await?;
        let json = serde_json::from_slice(&notice.body).doing("reading a notice")?;
        notice.ack().await.doing("settling a notice")?;
        Ok(json)
    }

    /// Says `taken` for a delivery and settles it.
    pub(super) async fn take(&self, delivery: Delivery) -> Result<(), StageError> {
        let id = delivery_id(&delivery);
        self.say(&format!("{{\"taken\":[\"{id}\"]}}")).await?;
        delivery.ack().await.doing("settling")
    }

    /// Publishes a `taken` message and awaits its confirm. The hub answers none of them, whatever it names.
    pub(super) async fn say(&self, json: &str) -> Result<(), StageError> {
        self.client
            .publish(
                Intake::Taken,
                fresh_id(),
                json.as_bytes(),
                SealChoice::None,
                now(),
            )
            .await
            .doing("saying taken")
    }

    /// Nothing has come that was not asked for, and everything is taken. `last` is a letter sent to this
    /// desk when the ledger had nothing on its way any more: what came before it is all that ever comes.
    pub(super) async fn nothing_else(
        &mut self,
        ledger: &Ledger,
        last: DocumentUid,
    ) -> Result<(), StageError> {
        let marker = self.document(last).await?;
        self.take(marker).await?;
        until(
            &format!("everything at {} to be taken", self.system),
            async || {
                let counts = ledger.inbox_counts().await.ok()?;
                counts
                    .iter()
                    .all(|count| count.system.as_str() != self.system)
                    .then_some(())
            },
        )
        .await?;
        check(self.kept.is_empty(), || {
            let came: Vec<String> = self.kept.iter().map(|delivery| described(delivery)).collect();
            format!(
                "{} was sent more than was asked for: {}",
                self.system,
                came.join("; ")
            )
        })
    }

    /// Whether a document came that was not asked for.
    pub(super) fn has_document(&self, document: DocumentUid) -> bool {
        let mut kept = self.kept.iter();
        kept.any(|delivery| {
            is(&delivery.message, Outgoing::Document) && speaks_of(&delivery.message, document)
        })
    }

    /// Goes home; what was not settled goes back to the inbox.
    pub(super) async fn close(self) {
        drop(self.kept);
        self.client.close().await;
    }

    async fn awaited(
        &mut self,
        what: &str,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Delivery, StageError> {
        if let Some(index) = self.kept.iter().position(|delivery| wanted(&delivery.message)) {
            return Ok(self.kept.remove(index));
        }
        loop {
            let next = self.client.next().await;
            let delivery = next.map_err(|error| StageError(format!("{what} at {}: {error}", self.system)))?;
            if wanted(&delivery.message) {
                return Ok(delivery);
            }
            self.kept.push(delivery);
        }
    }
}

/// The delivery's id, as header and as `message_id`.
pub(super) fn delivery_id(message: &Message) -> String {
    message
        .properties
        .text(header::DELIVERY)
        .unwrap_or_default()
        .to_owned()
}

fn is(message: &Message, outgoing: Outgoing) -> bool {
    message.properties.kind.as_deref() == Some(outgoing.as_str())
}

fn speaks_of(message: &Message, document: DocumentUid) -> bool {
    message.properties.text(header::DOCUMENT) == Some(&document.to_string())
}

fn described(message: &Message) -> String {
    let kind = message.properties.kind.as_deref().unwrap_or_default();
    let code = message.properties.text(header::STATUS).unwrap_or_default();
    let from = message.properties.text(header::FROM).unwrap_or_default();
    format!("{kind} {code} {from}, {} bytes", message.body.len())
}
