//! `truc document trace`: where a document is for each recipient, and how it came there.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::json;
use truc_ledger::rows::{OutboxPlace, RecipientRow};
use truc_ledger::{DocumentView, Event, EventRow, Fact};
use truc_model::TransportState;

use super::super::answer::{Answer, Trouble};
use super::super::show::{Table, age, moment, number};
use super::super::words::Opened;
use super::{show, tell};

/// Tells the way of a document.
///
/// # Errors
/// [`Trouble`] when a stored event cannot be read.
pub(super) fn trace(opened: &Opened, view: &DocumentView, now: Timestamp) -> Result<Answer, Trouble> {
    let mut places = Table::new(&["Đơn vị nhận", "Đang ở đâu", "Truyền nhận", "Xử lý"]);
    for recipient in &view.recipients {
        places.row([
            opened.name(&recipient.party),
            place(view, recipient, now),
            recipient.state.name().as_str().to_owned(),
            show::business(recipient),
        ]);
    }
    let mut way = Table::new(&[">Sự kiện", "Thời điểm", "Sự việc", "Mã"]);
    let mut events = Vec::with_capacity(view.trace.len());
    let trace: Vec<Event> = view.trace.iter().map(read).collect::<Result<_, _>>()?;
    for (row, event) in view.trace.iter().zip(&trace) {
        let told = tell::tell(opened, &recipients_then(view, &trace, row.seq), &event.fact);
        events.push(json!({ "seq": row.seq, "at": row.at, "kind": row.kind.as_str(), "vi": told, "fact": event.fact }));
        way.row([
            number(row.seq),
            moment(row.at),
            told,
            row.kind.as_str().to_owned(),
        ]);
    }
    let mut text = format!(
        "{}\n\nVĂN BẢN ĐANG Ở ĐÂU\n{}\n\nDIỄN BIẾN\n{}",
        show::facts(opened, view),
        places.text(),
        way.text()
    );
    for (index, next) in next_steps(view).into_iter().enumerate() {
        text.push_str(if index == 0 { "\n\n→ " } else { "\n→ " });
        text.push_str(next);
    }
    let mut json = show::json_of(view);
    json["trace"] = events.into();
    Answer::fine(text, &json)
}

fn read(row: &EventRow) -> Result<Event, Trouble> {
    row.event().map_err(|error| {
        Trouble::new(
            format!("event {} cannot be read: {error}", row.seq),
            "check the ledger with `truc ledger verify`",
        )
    })
}

/// The recipients as they were at an event: an operator may have named others since.
fn recipients_then<'a>(view: &'a DocumentView, trace: &[Event], seq: u64) -> Cow<'a, [RecipientRow]> {
    let mut rows = Cow::Borrowed(view.recipients.as_slice());
    for event in trace.iter().rev().take_while(|event| event.seq > seq) {
        let (Fact::DeliveryReleased { recipients, .. } | Fact::DeliveryRerouted { recipients, .. }) =
            &event.fact
        else {
            continue;
        };
        for sent in recipients.iter().filter(|sent| sent.from != sent.to) {
            let mut rows = rows.to_mut().iter_mut();
            if let Some(row) = rows.find(|row| row.position == sent.position) {
                row.party = sent.from.clone();
            }
        }
    }
    rows
}

/// One sentence: where it is for this recipient, since when.
fn place(view: &DocumentView, recipient: &RecipientRow, now: Timestamp) -> String {
    let system = show::system_word(recipient);
    match &recipient.state {
        TransportState::Scheduled { since } => {
            let waits = format!("Ở trục, chờ gửi tới hệ thống {system} đã {}", age(*since, now));
            match show::message_of(view, recipient).map(|row| (&row.place, row.attempts)) {
                Some((
                    OutboxPlace::Waiting {
                        not_before: Some(next),
                    },
                    attempts,
                )) if attempts > 0 => {
                    format!("{waits}; đã thử {attempts} lần, thử lại sau {}", moment(*next))
                }
                Some((OutboxPlace::Leased { owner, .. }, _)) => format!("{waits}; {owner} đang gửi"),
                _ => waits,
            }
        }
        TransportState::Forwarded { at, .. } => {
            format!(
                "Trong hộp nhận của hệ thống {system} từ {} ({}), chưa nhận về",
                moment(*at),
                age(*at, now)
            )
        }
        TransportState::Taken { at } => format!("Hệ thống {system} đã nhận về lúc {}", moment(*at)),
        TransportState::Refused { at, code, reason } => {
            format!("Hệ thống {system} từ chối lúc {}: {code}, {reason}", moment(*at))
        }
        TransportState::Withdrawn { at, cause, proof } => format!(
            "Đã lấy lại lúc {} ({}). {}",
            moment(*at),
            cause.label_vi(),
            proof.sentences().0
        ),
        TransportState::Undeliverable { at, cause } => {
            format!(
                "Không gửi được, từ {}. {}",
                moment(*at),
                tell::undeliverable(*cause)
            )
        }
        TransportState::Parked { since, cause } => {
            format!("Trục tạm giữ từ {}. {}", moment(*since), tell::park(*cause))
        }
    }
}

/// What an operator would do about it: one sentence for each kind of trouble.
fn next_steps(view: &DocumentView) -> Vec<&'static str> {
    let any = |holds: fn(&TransportState) -> bool| view.recipients.iter().any(|row| holds(&row.state));
    let mut steps = Vec::new();
    if any(|state| matches!(state, TransportState::Parked { .. })) {
        steps.push(
            "Đang tạm giữ và không tự đi tiếp: xem nguyên nhân ở trên. Cho gửi bằng truc document release, không gửi nữa thì truc document close; có dấu hiệu mật thì không mở, báo người phụ trách bảo mật.",
        );
    }
    if any(|state| matches!(state, TransportState::Undeliverable { .. })) {
        steps.push(
            "Có nơi nhận không gửi được: đơn vị gửi đã được báo; kiểm tra mã bằng truc directory show MÃ.",
        );
    }
    if any(|state| matches!(state, TransportState::Forwarded { .. })) {
        steps.push(
            "Hệ thống nhận chưa lấy về: xem nó có đang chạy không (truc system list); gọi quản trị hệ thống đó. Không chờ nữa thì truc document close.",
        );
    }
    if any(|state| matches!(state, TransportState::Scheduled { .. })) {
        steps.push(
            "Đang chờ gửi: xem RabbitMQ và hộp nhận bằng truc doctor. Giữ lại bằng truc document park, gửi nơi khác bằng truc document reroute.",
        );
    }
    steps
}
