//! `truc document resend`: an operator's order to send untaken deliveries again.

use clap::Args;
use serde_json::{Value, json};
use truc_ledger::rows::RecipientRow;
use truc_ledger::{DocumentView, OperatorNo, Resend};
use truc_model::TransportState;
use truc_model::delivery::TransportStateName;

use super::super::Context;
use super::super::answer::{Answer, Exit, Trouble};
use super::super::ask::{Consent, consent, who, why};
use super::super::show::{NONE, Table, number, or_none};
use super::super::words::Opened;
use super::order::{OrderOptions, next_steps, reason, recipient};
use super::show;

/// Options of `truc document resend`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Of every order
    #[command(flatten)]
    pub order: OrderOptions,
}

/// Sends again. A message goes as a whole, to all recipients it carries.
///
/// # Errors
/// [`Trouble`] when the recipient is none of the document's, there is no reason, or the ledger cannot be
/// written.
pub(super) async fn resend(
    context: &Context,
    opened: &Opened,
    view: &DocumentView,
    options: &Options,
) -> Result<Answer, Trouble> {
    let only = match &options.order.recipient {
        Some(code) => Some(recipient(opened, view, code)?.party.clone()),
        None => None,
    };
    let order = Resend {
        document: view.document.uid,
        party: only,
        who: who(options.order.account.as_deref())?,
        why: why(&options.order.reason)?,
    };
    let asked = view
        .recipients
        .iter()
        .filter(|row| order.party.as_ref().is_none_or(|party| *party == row.party));
    let sorted: Vec<(&RecipientRow, Option<OperatorNo>)> =
        asked.map(|row| (row, refusal(view, row))).collect();
    let preview = preview(opened, view, &sorted);
    let left: Vec<(u32, OperatorNo)> = sorted
        .iter()
        .filter_map(|(row, no)| no.map(|no| (row.position, no)))
        .collect();
    let mut json = json!({
        "document": view.document.uid.to_string(),
        "resent": [],
        "left": sorted.iter().filter_map(|(row, no)| Some(left_json(row, (*no)?))).collect::<Vec<_>>(),
        "given": false,
    });
    if left.len() == sorted.len() {
        let text = format!("{preview}\n\nKhông có gì để gửi lại.{}", next_steps(&left));
        return Answer::ending(Exit::Finding, text, &json);
    }
    let shown = match consent(context, options.order.yes, &preview, "Gửi lại như trên?")? {
        Consent::Given { shown } => shown,
        Consent::Refused => return Answer::ending(Exit::Finding, "Không làm gì.", &json),
        Consent::Nobody => {
            let text = format!("{preview}\n\nChưa làm gì.\n→ Chạy lại với --yes.");
            return Answer::ending(Exit::Finding, text, &json);
        }
    };
    let outcome = opened.ledger.resend(order).await?;
    let resent: Vec<String> = outcome.resent.iter().map(ToString::to_string).collect();
    let mut text = format!(
        "Sẽ gửi lại {} gói tin, với mã giao nhận (delivery) như cũ:",
        number(resent.len() as u64)
    );
    for delivery in &resent {
        text.push_str(&format!("\n  {delivery}"));
    }
    text.push_str(&format!(
        "\nTrục đang chạy sẽ gửi ngay; theo dõi bằng: truc document trace {}",
        view.document.uid
    ));
    json["given"] = true.into();
    let any = !resent.is_empty();
    json["resent"] = resent.into();
    let text = if shown {
        text
    } else {
        format!("{preview}\n\n{text}")
    };
    Answer::ending(Exit::unless_finding(any), text, &json)
}

/// Why there is nothing to send again to this recipient; the ledger decides again.
fn refusal(view: &DocumentView, row: &RecipientRow) -> Option<OperatorNo> {
    match &row.state {
        TransportState::Parked { cause, .. } => Some(OperatorNo::Held(*cause)),
        state if state.is_final() => Some(OperatorNo::Ended(state.name())),
        _ if row.recalled.is_some() => Some(OperatorNo::TakenBack),
        _ if show::message_of(view, row).is_none() => Some(OperatorNo::Ended(row.state.name())),
        _ => None,
    }
}

fn preview(opened: &Opened, view: &DocumentView, sorted: &[(&RecipientRow, Option<OperatorNo>)]) -> String {
    let mut table = Table::new(&["Đơn vị nhận", "Hiện nay", "Sau lệnh", "Hệ thống", "Ghi chú"]);
    for (row, no) in sorted {
        let (after, note) = match no {
            None => (TransportStateName::Scheduled.label_vi(), NONE),
            Some(no) => ("giữ nguyên", reason(*no)),
        };
        table.row([
            opened.name(&row.party),
            show::transport(row),
            after.to_owned(),
            or_none(row.system.as_ref()),
            note.to_owned(),
        ]);
    }
    format!(
        "Gửi lại — văn bản {} ({})\n\n{}",
        or_none(view.document.number_key()),
        view.document.uid,
        table.text()
    )
}

fn left_json(row: &RecipientRow, no: OperatorNo) -> Value {
    json!({
        "position": row.position,
        "code": row.code(),
        "party": row.party,
        "state": row.state.name(),
        "why": no.to_string(),
    })
}
