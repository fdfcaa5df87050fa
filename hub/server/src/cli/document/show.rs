//! `truc document show`: everything about one document, on one page.

use serde_json::{Value, json};
use truc_ledger::rows::{OutboxPlace, OutboxRow, RecipientRow};
use truc_ledger::{BodyDeletedRow, DeletionCause, DocumentView};
use truc_model::{ChangeState, TransportState};

use super::super::answer::{Answer, Trouble};
use super::super::show::{Facts, NONE, Table, day, moment, number, or_none, size};
use super::super::words::{self, Opened};
use super::{pdf, summary};

/// Shows a document; of many recipients all only when asked for.
///
/// # Errors
/// [`Trouble`] when the answer cannot be written.
pub(super) fn show(opened: &Opened, view: &DocumentView, all: bool) -> Result<Answer, Trouble> {
    let document = &view.document;
    let mut parts = vec![
        facts(opened, view),
        format!("NƠI NHẬN\n{}", recipients(opened, view, all)),
    ];
    if !document.facts.attachments.is_empty() {
        let mut table = Table::new(&["Tệp đính kèm", ">Dung lượng", "Dạng", "SHA-256"]);
        for file in &document.facts.attachments {
            let name = if file.name.is_empty() {
                "(ẩn)"
            } else {
                &file.name
            };
            table.row([
                name.to_owned(),
                size(file.length),
                or_none(file.sniffed.as_deref()),
                file.sha256.to_string(),
            ]);
        }
        parts.push(format!("TỆP ĐÍNH KÈM\n{}", table.text()));
    }
    parts.extend(pdf::part(&document.facts.attachments));
    if !view.statuses.is_empty() {
        let mut table = Table::new(&["Thời điểm", "Trạng thái", "Đơn vị báo", "Kết quả", ">Sự kiện"]);
        for status in &view.statuses {
            table.row([
                moment(status.accepted_at),
                format!("{} {}", status.code, status.code.label_vi()),
                opened.name(&status.reporter),
                super::tell::effect(&status.effect).to_owned(),
                number(status.event),
            ]);
        }
        parts.push(format!("TRẠNG THÁI XỬ LÝ\n{}", table.text()));
    }
    if !document.warnings.is_empty() {
        let mut table = Table::new(&["Cảnh báo", "Vị trí", "Nội dung"]);
        for warning in &document.warnings {
            table.row([
                warning.code.as_str().to_owned(),
                warning.place.to_string(),
                warning.message.vi.clone(),
            ]);
        }
        parts.push(format!("CẢNH BÁO KHI ĐỌC GÓI TIN\n{}", table.text()));
    }
    Answer::fine(parts.join("\n\n"), &json_of(view))
}

/// The head of the page.
pub(super) fn facts(opened: &Opened, view: &DocumentView) -> String {
    let document = &view.document;
    let of = &document.facts;
    let mut facts = Facts::default();
    facts.add("Số, ký hiệu", or_none(document.number_key()));
    facts.add("Trích yếu", of.subject.as_deref().unwrap_or("(không hiển thị)"));
    facts.maybe("Loại văn bản", of.type_name.as_deref());
    facts.maybe("Ngày ban hành", of.issued_on.map(day));
    facts.add("Đơn vị gửi", opened.name(&document.identity.sender));
    facts.add("Độ khẩn", of.urgency.label_vi());
    facts.add("Nghiệp vụ", of.operation.label_vi());
    facts.maybe("Liên quan tới", of.refers_to.as_deref());
    facts.add("Mã trục", document.uid.to_string());
    facts.add("DocumentId", document.identity.document_id.as_str());
    facts.add(
        "Hệ thống gửi",
        format!("{} (message_id {})", document.key.system, document.key.message_id),
    );
    facts.add(
        "Tiếp nhận",
        format!(
            "{} (sự kiện {})",
            moment(document.accepted_at),
            number(document.event)
        ),
    );
    facts.add(
        "Dung lượng",
        format!("{}, SHA-256 {}", size(document.size), document.sha256),
    );
    facts.maybe("Dữ liệu gói tin", deleted(view, document.sha256, document.event));
    facts.add("Chữ ký", words::verdict(&document.verdict));
    if document.held {
        facts.add("Tạm giữ", "cả văn bản chờ cán bộ vận hành xem xét (parked)");
    }
    facts.text()
}

/// That the bytes of a packet are gone, by which event, why; nothing when they are kept. The same bytes may have
/// come again since: only a deletion after the event that brought them counts.
fn deleted(view: &DocumentView, sha256: truc_model::Sha256, since: u64) -> Option<String> {
    let row = deletion(view, sha256, since)?;
    let why = match row.cause {
        DeletionCause::Recalled => "thu hồi, không còn nơi nào giữ",
        DeletionCause::Retention => "hết thời hạn lưu",
    };
    Some(format!(
        "đã xóa lúc {} (sự kiện {}, {why}); mã băm và sổ cái vẫn giữ",
        moment(row.at),
        number(row.event)
    ))
}

/// See [`deleted`].
pub(super) fn deletion(
    view: &DocumentView,
    sha256: truc_model::Sha256,
    since: u64,
) -> Option<&BodyDeletedRow> {
    let mut rows = view.deletions.iter();
    rows.rfind(|row| row.sha256 == sha256 && row.event > since)
}

fn deletion_json(view: &DocumentView, sha256: truc_model::Sha256, since: u64) -> Value {
    let Some(row) = deletion(view, sha256, since) else {
        return Value::Null;
    };
    json!({ "at": row.at, "event": row.event, "cause": row.cause, "size": row.size })
}

fn recipients(opened: &Opened, view: &DocumentView, all: bool) -> String {
    let mut table = Table::new(&[
        "Đơn vị nhận",
        "Mã ghi trong gói",
        "Hệ thống",
        "Truyền nhận",
        "Từ lúc",
        "Xử lý",
    ]);
    let shown = summary::shown(&view.recipients, all);
    let left_out = view.recipients.len() - shown.len();
    for recipient in shown {
        table.row([
            opened.name(&recipient.party),
            recipient.codes.join(", "),
            or_none(recipient.system.as_ref()),
            transport(recipient),
            moment(recipient.state.since()),
            business(recipient),
        ]);
    }
    if table.is_empty() {
        return "(không có)".to_owned();
    }
    let mut parts = Vec::new();
    if view.recipients.len() > 1 {
        parts.push(summary::line(&view.recipients));
    }
    parts.push(table.text());
    if left_out > 0 {
        let left_out = number(left_out as u64);
        parts.push(format!("… và {left_out} nơi nhận khác: xem đủ bằng --all"));
    }
    parts.join("\n")
}

/// The transport state in words, with its cause.
pub(super) fn transport(recipient: &RecipientRow) -> String {
    let label = recipient.state.name().label_vi();
    match &recipient.state {
        TransportState::Undeliverable { cause, .. } => format!("{label} ({})", cause.as_str()),
        TransportState::Parked { cause, .. } => format!("{label} ({})", cause.as_str()),
        TransportState::Refused { code, .. } => format!("{label} ({code})"),
        TransportState::Withdrawn { cause, proof, .. } => {
            format!("{label} ({}, {})", cause.as_str(), proof.as_str())
        }
        TransportState::Forwarded { attempt, .. } if *attempt > 1 => format!("{label} (lần {attempt})"),
        _ => label.to_owned(),
    }
}

/// The business state in words, with what was asked.
pub(super) fn business(recipient: &RecipientRow) -> String {
    let mut text = recipient.business.label_vi().to_owned();
    if recipient.change != ChangeState::None {
        text.push_str(&format!("; {}", recipient.change.label_vi().to_lowercase()));
    }
    if recipient.revision > 0 {
        text.push_str(&format!("; bản sửa đổi {}", recipient.revision));
    }
    text
}

/// The message that carries the document to a recipient, as long as it is not done.
pub(super) fn message_of<'a>(view: &'a DocumentView, recipient: &RecipientRow) -> Option<&'a OutboxRow> {
    view.outbox
        .iter()
        .find(|row| Some(row.delivery) == recipient.delivery)
}

/// The document for programs.
pub(super) fn json_of(view: &DocumentView) -> Value {
    let document = &view.document;
    let recipients: Vec<Value> = view
        .recipients
        .iter()
        .map(|recipient| {
            let message = message_of(view, recipient);
            json!({
                "position": recipient.position,
                "party": recipient.party,
                "codes": recipient.codes,
                "system": recipient.system,
                "delivery": recipient.delivery.map(|uid| uid.to_string()),
                "transport": recipient.state,
                "business": recipient.business,
                "change": recipient.change,
                "revision": recipient.revision,
                "recalled_by_event": recipient.recalled,
                "attempts": message.map(|row| row.attempts),
                "next_try": message.and_then(|row| match row.place {
                    OutboxPlace::Waiting { not_before } => not_before,
                    _ => None,
                }),
            })
        })
        .collect();
    let statuses: Vec<Value> = view
        .statuses
        .iter()
        .map(|status| {
            json!({
                "event": status.event,
                "recipient": status.recipient,
                "code": status.code,
                "reporter": status.reporter,
                "system": status.key.system,
                "message_id": status.key.message_id.to_string(),
                "accepted_at": status.accepted_at,
                "effect": status.effect,
                "passed_on_to": status.to_system,
                "bytes_deleted": deletion_json(view, status.sha256, status.event),
            })
        })
        .collect();
    json!({
        "document": document.uid.to_string(),
        "event": document.event,
        "sender": document.identity.sender,
        "sender_code": document.sender_code,
        "document_id": document.identity.document_id,
        "number": document.number_key(),
        "system": document.key.system,
        "message_id": document.key.message_id.to_string(),
        "received_at": document.received_at,
        "accepted_at": document.accepted_at,
        "sha256": document.sha256,
        "size": document.size,
        "bytes_deleted": deletion_json(view, document.sha256, document.event),
        "facts": document.facts,
        "signature": document.verdict,
        "attachment_signatures": pdf::counts(&document.facts.attachments),
        "warnings": document.warnings,
        "directory": document.directory_version,
        "held": document.held,
        "recipients": recipients,
        "statuses": statuses,
    })
}

/// A system's id, or [`NONE`].
pub(super) fn system_word(recipient: &RecipientRow) -> String {
    recipient
        .system
        .as_ref()
        .map_or_else(|| NONE.to_owned(), ToString::to_string)
}
