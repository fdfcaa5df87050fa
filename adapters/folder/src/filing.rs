//! Filing an answer: the packet leaves `sending/`, and what the hub said stands beside it.

use std::io;

use truc_adapter_sdk::model::wire::{Receipt, RefusalAnswer};
use truc_adapter_sdk::model::{MessageId, Place, Refusal, RefusalCode};
use truc_adapter_sdk::{Answer, Outcome, derived_id};

use crate::folder::State;
use crate::layout::{Folder, PACKET, REPORT, sending};
use crate::plan::{Keep, Plan};
use crate::sending::{Entry, Origin};
use crate::texts::{self, LOCAL_EVENT};

/// Files the hub's answer.
///
/// # Errors
/// What the operating system says. Calling again goes on where it stopped.
pub fn answer(state: &State, answer: &Answer) -> io::Result<()> {
    let entry = match answer.message_id {
        Some(message_id) => Entry::read(&state.layout, message_id)?,
        None => None,
    };
    let mut filing = Filing {
        plan: Plan::new(Keep::UntilRecorded),
        id: answer.id,
        message_id: answer.message_id,
        entry: entry.as_ref(),
    };
    match &answer.outcome {
        Outcome::Accepted(receipt) => filing.accepted(receipt, &answer.json),
        Outcome::Refused(refusal) => filing.refused(refusal, &answer.json),
    }
    filing.plan.carry_out(&state.layout, answer.id)?;
    if let Some(entry) = &entry {
        state.names.release(entry);
        // By its id and not by its file's name: clerks name files after subjects and people.
        let (origin, message_id) = (entry.origin, answer.message_id.map(|id| id.to_string()));
        match &answer.outcome {
            Outcome::Accepted(_) => tracing::info!(?origin, message_id, "accepted by the hub"),
            Outcome::Refused(refusal) => {
                tracing::warn!(?origin, message_id, code = %refusal.code, "refused by the hub");
            }
        }
    }
    Ok(())
}

/// Files what the adapter itself cannot send: it never reached the hub.
///
/// # Errors
/// What the operating system says.
pub fn refuse_here(state: &State, message_id: MessageId, finding: Refusal) -> io::Result<()> {
    let Some(entry) = Entry::read(&state.layout, message_id)? else {
        return Ok(());
    };
    let now = state.clock.now();
    let Some(refusal) = RefusalAnswer::of(Some(message_id), vec![finding], LOCAL_EVENT, now) else {
        return Ok(());
    };
    tracing::warn!(origin = ?entry.origin, %message_id, code = %refusal.code, "cannot be sent");
    let id = derived_id(&[b"refused here", message_id.uuid().as_bytes()]);
    let mut filing = Filing {
        plan: Plan::new(Keep::No),
        id,
        message_id: Some(message_id),
        entry: Some(&entry),
    };
    let json = serde_json::to_vec_pretty(&refusal)?;
    filing.refused(&refusal, &json);
    filing.plan.carry_out(&state.layout, id)?;
    state.names.release(&entry);
    Ok(())
}

/// A finding about a key of a report file.
#[must_use]
pub fn at_key(code: RefusalCode, key: &str, expected: &str, found: impl Into<String>) -> Refusal {
    let pointer = format!("/{key}");
    Refusal::new(code, Place::Json { pointer }, expected, found)
}

struct Filing<'a> {
    plan: Plan,
    id: uuid::Uuid,
    message_id: Option<MessageId>,
    entry: Option<&'a Entry>,
}

impl Filing<'_> {
    fn accepted(&mut self, receipt: &Receipt, json: &[u8]) {
        let Some(entry) = self.entry else {
            self.write(&Folder::Receipts.file(&format!("{}.json", self.stray())), json);
            return;
        };
        let name = &entry.name;
        match entry.origin {
            Origin::Out => {
                self.write(&Folder::Receipts.file(&format!("{name}.json")), json);
                let text = match receipt {
                    Receipt::Document(receipt) => texts::receipt(&entry.file, self.message_id, receipt),
                    Receipt::Status(receipt) => texts::status_receipt(&entry.file, receipt),
                };
                self.write(&Folder::Receipts.file(&format!("{name}.txt")), text.as_bytes());
                self.take(PACKET, &Folder::Sent.file(&format!("{name}.edxml")));
            }
            Origin::Status => {
                self.write(&Folder::StatusSent.file(&format!("{name}.json")), json);
                self.take(PACKET, &Folder::StatusSent.file(&format!("{name}.edxml")));
                self.take(REPORT, &Folder::StatusSent.file(&format!("{name}.txt")));
            }
            // Nobody waits for it; the hub's ledger has it.
            Origin::Arrived => {}
        }
        self.clear();
    }

    fn refused(&mut self, refusal: &RefusalAnswer, json: &[u8]) {
        let Some(entry) = self.entry else {
            let name = self.stray();
            self.write(&Folder::Refused.file(&format!("{name}.json")), json);
            let text = texts::refusal(&name, self.message_id, refusal);
            self.write(&Folder::Refused.file(&format!("{name}.txt")), text.as_bytes());
            return;
        };
        let name = &entry.name;
        let text = texts::refusal(&entry.file, self.message_id, refusal);
        match entry.origin {
            Origin::Out | Origin::Arrived => {
                self.write(&Folder::Refused.file(&format!("{name}.json")), json);
                self.write(&Folder::Refused.file(&format!("{name}.txt")), text.as_bytes());
                self.take(PACKET, &Folder::Refused.file(&format!("{name}.edxml")));
            }
            Origin::Status => {
                self.write(&Folder::StatusRefused.file(&format!("{name}.json")), json);
                let reason = Folder::StatusRefused.file(&format!("{name}.reason.txt"));
                self.write(&reason, text.as_bytes());
                self.take(PACKET, &Folder::StatusRefused.file(&format!("{name}.edxml")));
                self.take(REPORT, &Folder::StatusRefused.file(&format!("{name}.txt")));
            }
        }
        self.clear();
    }

    /// The name of an answer to nothing that waits here: sent by another program under this system's
    /// name, or its folder was removed by hand. Kept, as nothing may be silent.
    fn stray(&self) -> String {
        let id = self.message_id.map_or(self.id, MessageId::uuid);
        tracing::warn!(%id, "an answer to nothing that waits here");
        format!("unmatched-{id}")
    }

    fn write(&mut self, to: &str, bytes: &[u8]) {
        self.plan.write(self.id, to, bytes);
    }

    fn take(&mut self, file: &str, to: &str) {
        if let Some(message_id) = self.message_id {
            self.plan.rename(&format!("{}/{file}", sending(message_id)), to);
        }
    }

    fn clear(&mut self) {
        if let Some(message_id) = self.message_id {
            self.plan.remove(&sending(message_id));
        }
    }
}
