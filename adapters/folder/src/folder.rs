//! The adapter itself: the SDK's trait over a directory.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use truc_adapter_sdk::envelope::{Limits, Packet, StatusPacket, read};
use truc_adapter_sdk::model::clock::viet_nam;
use truc_adapter_sdk::model::{Clock, DeliveryUid, DocumentUid, MessageId, Random, Sha256, StatusCode};
use truc_adapter_sdk::{
    Adapter, Answer, IncomingDocument, IncomingNotice, IncomingStatus, PacketBytes, PacketFile, StatusReport,
    Stored, Trouble, Withdrawal, derived_id,
};
use uuid::Uuid;

use crate::facts::Facts;
use crate::filing;
use crate::layout::{Folder, Layout, NAME, PACKET, known, sending};
use crate::orders;
use crate::plan::{self, Keep, Plan};
use crate::sending::{self as on_the_way, Entry, Names, Origin};
use crate::texts;

/// What the parts of the adapter share.
pub struct State {
    /// The directory.
    pub layout: Layout,
    /// Names in use.
    pub names: Names,
    /// How it behaves.
    pub behaviour: Behaviour,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Message ids.
    pub random: Arc<dyn Random>,
}

/// How the adapter behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// Whether status 01 is reported by itself for every recipient of a stored document.
    pub arrived: AutoArrived,
    /// Pause between two looks at the directory.
    pub poll: Duration,
    /// After how long without an answer a packet is published again, under the same message id.
    pub resend_after: Duration,
    /// Largest packet sent in its message, in bytes; those sent apart have the hub's limit.
    pub max_packet_bytes: u64,
    /// Whether larger ones are sent apart, and from which size on; `None`: all go in their message.
    pub apart_over: Option<u64>,
}

/// Whether status 01 (*đã đến*) is reported without anyone asking for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoArrived {
    /// As soon as a document is stored.
    Report,
    /// Only by a file in `status/`.
    LeaveToOthers,
}

/// The folder adapter.
#[derive(Clone)]
pub struct FolderAdapter {
    /// What it works on.
    pub state: Arc<State>,
}

impl FolderAdapter {
    /// Opens a directory, and finishes what the last run left half done. `is_recorded` is
    /// [`truc_adapter_sdk::Client::is_recorded`].
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(
        directory: PathBuf,
        behaviour: Behaviour,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        is_recorded: impl Fn(Uuid) -> bool,
    ) -> io::Result<Self> {
        let layout = Layout::create(&directory)?;
        let finished = plan::recover(&layout, is_recorded)?;
        // Afterwards: a hand-over may put something into sending/, or take it out.
        let names = on_the_way::recover(&layout)?;
        if finished > 0 {
            tracing::info!(finished, "finished what the last run had begun");
        }
        let state = State {
            layout,
            names,
            behaviour,
            clock,
            random,
        };
        Ok(Self {
            state: Arc::new(state),
        })
    }

    /// Runs file work where it does not hold up the runtime.
    async fn blocking(
        &self,
        work: impl FnOnce(&State) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Trouble> {
        let state = Arc::clone(&self.state);
        match tokio::task::spawn_blocking(move || work(&state)).await {
            Ok(result) => Ok(result?),
            Err(panic) => Err(Trouble::failed(panic)),
        }
    }
}

#[async_trait]
impl Adapter for FolderAdapter {
    async fn store(&self, document: &IncomingDocument) -> Result<Stored, Trouble> {
        let document = document.clone();
        self.blocking(move |state| store(state, &document)).await?;
        Ok(Stored::Durable)
    }

    async fn withdraw(&self, delivery: DeliveryUid) -> Result<Withdrawal, Trouble> {
        let state = Arc::clone(&self.state);
        let removing = move || plan::abandon(&state.layout, delivery.uuid());
        match tokio::task::spawn_blocking(removing).await {
            Ok(Ok(true)) => Ok(Withdrawal::Removed),
            Ok(Ok(false)) => Ok(Withdrawal::TooLate),
            Ok(Err(error)) => Err(error.into()),
            Err(panic) => Err(Trouble::failed(panic)),
        }
    }

    async fn status(&self, status: &IncomingStatus) -> Result<Stored, Trouble> {
        let status = status.clone();
        self.blocking(move |state| status_in(state, &status)).await?;
        Ok(Stored::Durable)
    }

    async fn answered(&self, answer: &Answer) -> Result<(), Trouble> {
        let answer = answer.clone();
        self.blocking(move |state| filing::answer(state, &answer)).await
    }

    async fn notice(&self, notice: &IncomingNotice) -> Result<(), Trouble> {
        let notice = notice.clone();
        self.blocking(move |state| notice_in(state, &notice)).await
    }

    async fn recorded(&self, id: Uuid) {
        let forgotten = self.blocking(move |state| plan::forget(&state.layout, id)).await;
        if let Err(trouble) = forgotten {
            // It is tried again at the next start.
            tracing::warn!(%id, error = %trouble, "a finished hand-over could not be cleared away");
        }
    }
}

fn store(state: &State, document: &IncomingDocument) -> io::Result<()> {
    let id = document.delivery.uuid();
    let mut plan = Plan::new(Keep::UntilRecorded);
    // Written down before: what it says stands, built anew it would bear another time of receipt.
    if !plan::is_written(&state.layout, id) {
        let facts = Facts::of(document);
        let json = serde_json::to_vec_pretty(&facts)?;
        plan.write(id, &known(document.delivery), json.clone());
        // The side file first, so that a packet is never seen without its facts.
        plan.write(id, &Folder::In.file(&format!("{}.json", document.delivery)), json);
        if let Some(page) = orders::page(&facts) {
            plan.write(id, &Folder::In.file(&format!("{}.txt", document.delivery)), page);
        }
        let packet = Folder::In.file(&facts.packet);
        match &document.bytes {
            PacketBytes::Memory(bytes) => plan.write(id, &packet, bytes.to_vec()),
            PacketBytes::File(file) => plan.rename(&beside(state, document, file)?, &packet),
        }
        if state.behaviour.arrived == AutoArrived::Report {
            for (message_id, entry, packet) in arrivals(&facts) {
                plan.write_folder(
                    id,
                    &sending(message_id),
                    vec![(NAME, entry.text().into_bytes()), (PACKET, packet)],
                );
            }
        }
        if facts.content.is_none() {
            tracing::warn!(delivery = %document.delivery, "stored, but its content cannot be read here");
        }
    }
    plan.carry_out(&state.layout, id)?;
    tracing::info!(delivery = %document.delivery, document = %document.document, bytes = document.bytes.len(), "stored");
    Ok(())
}

/// Where a fetched packet lies below the directory: it is moved, not copied.
fn beside(state: &State, document: &IncomingDocument, file: &PacketFile) -> io::Result<String> {
    if let Some(below) = state.layout.below(&file.path) {
        return Ok(below);
    }
    // The client keeps its state elsewhere.
    let copy = Folder::State.file(&format!("{}.fetched", document.delivery));
    document.bytes.copy_to(&state.layout.path(&copy))?;
    Ok(copy)
}

/// Status 01 for each recipient. Key and bytes follow from the facts, so that the hub takes a second one,
/// should there ever be one, for the same.
fn arrivals(facts: &Facts) -> Vec<(MessageId, Entry, Vec<u8>)> {
    let Some(content) = &facts.content else {
        return Vec::new();
    };
    content
        .recipients
        .iter()
        // A recall and an update are answered by 15 or 16, which a clerk decides.
        .filter(|recipient| content.is_new_for(&recipient.organ_id))
        .map(|recipient| {
            let code = recipient.organ_id.as_str();
            let delivery = facts.delivery.uuid();
            let key = derived_id(&[b"arrived", delivery.as_bytes(), code.as_bytes()]);
            let name = format!("01-{}-{code}", facts.delivery);
            let report = StatusReport::about(
                recipient.organization(),
                content.about(&content.sender.organ_id),
                StatusCode::Arrived,
                facts.received_at,
            );
            let entry = Entry {
                file: name.clone(),
                name,
                origin: Origin::Arrived,
            };
            (MessageId::new(key), entry, report.packet())
        })
        .collect()
}

/// `status-in/<delivery>.json`.
#[derive(Debug, Serialize)]
struct StatusFacts {
    delivery: DeliveryUid,
    document: DocumentUid,
    /// The sender's `DocumentId` of the document it speaks of.
    document_id: Option<String>,
    /// The document's number and notation.
    document_code: Option<String>,
    from: String,
    from_name: Option<String>,
    to: Vec<String>,
    code: Option<StatusCode>,
    label: Option<&'static str>,
    description: Option<String>,
    reported_at: Option<String>,
    received_at: jiff::Timestamp,
    packet: String,
    sha256: Sha256,
    /// On a take-back: the deliveries that are here and are asked back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    withdraws: Vec<DeliveryUid>,
}

fn status_in(state: &State, status: &IncomingStatus) -> io::Result<()> {
    let id = status.delivery.uuid();
    let mut plan = Plan::new(Keep::UntilRecorded);
    if !plan::is_written(&state.layout, id) {
        let packet = match read(&status.bytes, &Limits::default()).map(|reading| reading.packet) {
            Ok(Packet::Status(packet)) => Some(*packet),
            _ => None,
        };
        let about = packet.as_ref().map(|packet| &packet.response_for);
        let code = packet.as_ref().map(|packet| packet.code).or(status.code);
        let field = |of: fn(&StatusPacket) -> Option<String>| packet.as_ref().and_then(of);
        let facts = StatusFacts {
            delivery: status.delivery,
            document: status.document,
            document_id: about.and_then(|about| about.document_id.clone()),
            document_code: about.and_then(|about| about.code.clone()),
            from: field(|packet| Some(packet.from.organ_id.clone())).unwrap_or_else(|| status.from.clone()),
            from_name: field(|packet| packet.from.organ_name.clone()),
            to: status.to.clone(),
            code,
            label: code.map(StatusCode::label_vi),
            description: field(|packet| packet.description.clone()),
            reported_at: field(|packet| {
                let at = packet.timestamp?.to_zoned(viet_nam()).ok()?;
                Some(at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
            }),
            received_at: status.received_at,
            packet: format!("{}.edxml", status.delivery),
            sha256: status.sha256,
            withdraws: status.withdraws.clone(),
        };
        let json = serde_json::to_vec_pretty(&facts)?;
        if let (Some(StatusCode::TakeBack), Some(packet)) = (code, &packet) {
            let page = orders::take_back(packet, status);
            plan.write(
                id,
                &Folder::StatusIn.file(&format!("{}.txt", status.delivery)),
                page,
            );
        }
        plan.write(
            id,
            &Folder::StatusIn.file(&format!("{}.json", status.delivery)),
            json,
        );
        plan.write(id, &Folder::StatusIn.file(&facts.packet), status.bytes.to_vec());
    }
    plan.carry_out(&state.layout, id)?;
    tracing::info!(delivery = %status.delivery, document = %status.document, "a status came");
    Ok(())
}

fn notice_in(state: &State, notice: &IncomingNotice) -> io::Result<()> {
    let mut plan = Plan::new(Keep::UntilRecorded);
    let said = &notice.notice;
    // One event may bring several notices: the id keeps them apart.
    let id = notice.id.to_string();
    let name = format!("{:010}-{}-{}", said.event, said.code.as_str(), &id[..8]);
    plan.write(
        notice.id,
        &Folder::Notices.file(&format!("{name}.txt")),
        texts::notice(said),
    );
    plan.write(
        notice.id,
        &Folder::Notices.file(&format!("{name}.json")),
        notice.json.to_vec(),
    );
    plan.carry_out(&state.layout, notice.id)?;
    tracing::warn!(document = %said.document, code = said.code.as_str(), "a notice came");
    Ok(())
}
