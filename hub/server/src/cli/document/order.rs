//! An operator's order about a document, from the options to the page: what it would do, the question, what it
//! did. The commands `park`, `release`, `reroute` and `close` differ only in what they order.

use clap::Args;
use serde_json::{Value, json};
use truc_ledger::rows::RecipientRow;
use truc_ledger::{
    DocumentView, OperatorAction, OperatorNo, OperatorOrder, OperatorOutcome, OperatorTarget, Plan,
    PlannedRecipient, operator,
};
use truc_model::delivery::TransportStateName;
use truc_model::{AgencyCode, Party};

use super::super::Context;
use super::super::answer::{Answer, Exit, Trouble};
use super::super::ask::{Consent, consent, who, why};
use super::super::show::{NONE, Table, or_none};
use super::super::words::Opened;
use super::{Found, Which, find, show};
use crate::flow::route::planned_on;

/// What every order needs.
#[derive(Debug, Clone, Args)]
pub struct OrderOptions {
    /// Which document
    #[command(flatten)]
    pub which: Which,
    /// Only for the recipient with this code
    #[arg(long, value_name = "CODE")]
    pub recipient: Option<String>,
    /// Why; kept in the ledger, so no personal data
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Whose order it is, when not the account that runs this
    #[arg(long = "as", value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
}

/// How an order speaks.
pub(super) struct Words {
    /// `Giữ lại`: what is done.
    pub(super) does: &'static str,
    /// The state after it.
    pub(super) after: TransportStateName,
}

/// Shows what the order would do, asks, and gives it.
///
/// # Errors
/// [`Trouble`] when a code names nobody, the reason is empty, or the ledger cannot be written.
pub(super) async fn give(
    context: &Context,
    opened: &Opened,
    options: &OrderOptions,
    action: OperatorAction,
    to: Option<&str>,
    words: &Words,
) -> Result<Answer, Trouble> {
    let view = match find(opened, &options.which.id).await? {
        Found::One(view) => view,
        Found::Other(answer) => return Ok(answer),
    };
    let order = OperatorOrder {
        document: view.document.uid,
        action,
        recipients: targets(opened, &view, options, action, to)?,
        who: who(options.account.as_deref())?,
        why: why(&options.reason)?,
    };
    let sense = operator::preview(&view, &order);
    let preview = preview(opened, &view, &sense, words);
    let mut json = json!({
        "document": view.document.uid.to_string(),
        "done": [],
        "left": left_json(&view, &sense.left),
        "would": sense.fitting.iter().map(|(row, target)| would_json(row, target, words)).collect::<Vec<_>>(),
        "given": false,
    });
    if sense.fitting.is_empty() {
        let text = format!("{preview}\n\nKhông có gì để làm.{}", next_steps(&sense.left));
        return Answer::ending(Exit::Finding, text, &json);
    }
    let question = format!("{} như trên?", words.does);
    let shown = match consent(context, options.yes, &preview, &question)? {
        Consent::Given { shown } => shown,
        Consent::Refused => return Answer::ending(Exit::Finding, "Không làm gì.", &json),
        Consent::Nobody => {
            let text = format!("{preview}\n\nChưa làm gì.\n→ Chạy lại với --yes.");
            return Answer::ending(Exit::Finding, text, &json);
        }
    };
    let outcome = opened.ledger.operator(order).await?;
    json["given"] = true.into();
    json["done"] = done_json(&view, &outcome);
    json["left"] = left_json(&view, &outcome.left);
    let after = after(opened, &view, &outcome, words).await?;
    let text = if shown {
        after
    } else {
        format!("{preview}\n\n{after}")
    };
    Answer::ending(Exit::unless_finding(!outcome.done.is_empty()), text, &json)
}

/// For whom the order is. Without `--recipient`: everybody for whom this kind of order could make sense at
/// all, so that the ones who have the document are not listed as left out.
fn targets(
    opened: &Opened,
    view: &DocumentView,
    options: &OrderOptions,
    action: OperatorAction,
    to: Option<&str>,
) -> Result<Vec<OperatorTarget>, Trouble> {
    let rows: Vec<&RecipientRow> = match &options.recipient {
        Some(code) => vec![recipient(opened, view, code)?],
        None => view
            .recipients
            .iter()
            .filter(|row| concerns(action, row))
            .collect(),
    };
    // Nobody left: then all are shown, each with the reason.
    let rows = if rows.is_empty() {
        view.recipients.iter().collect()
    } else {
        rows
    };
    if to.is_some() && rows.len() > 1 {
        return Err(Trouble::new(
            "--to is for one recipient, and this document has several",
            "name the recipient with --recipient CODE",
        ));
    }
    let targets = rows.into_iter().map(|row| {
        let to = match to {
            Some(code) => Some(named(opened, code)?),
            None => today(opened, row, action),
        };
        Ok(OperatorTarget {
            position: row.position,
            to,
        })
    });
    targets.collect()
}

fn concerns(action: OperatorAction, row: &RecipientRow) -> bool {
    match (action, row.state.name()) {
        (OperatorAction::Release { .. }, state) => state == TransportStateName::Parked,
        (OperatorAction::Park | OperatorAction::Reroute, state) => state == TransportStateName::Scheduled,
        (OperatorAction::Close, _) => !row.state.is_final(),
    }
}

/// The agency that `--to` names.
fn named(opened: &Opened, code: &str) -> Result<PlannedRecipient, Trouble> {
    let planned = planned_on(&opened.directory, code, opened.today);
    match &planned.plan {
        Plan::Deliver { .. } => Ok(planned),
        Plan::Undeliverable(cause) => Err(Trouble::new(
            format!("nothing can be sent to {code}: {}", cause.as_str()),
            "look for the code with `truc directory show`",
        )),
        Plan::Park(cause) => Err(Trouble::new(
            format!("nothing can be sent to {code}: {}", cause.as_str()),
            "name one of its successors with --to",
        )),
    }
}

/// Where the same recipient is reached today, when that is another system than at acceptance.
fn today(opened: &Opened, row: &RecipientRow, action: OperatorAction) -> Option<PlannedRecipient> {
    if !matches!(action, OperatorAction::Release { .. } | OperatorAction::Reroute) {
        return None;
    }
    let planned = planned_on(&opened.directory, row.code(), opened.today);
    match &planned.plan {
        Plan::Deliver { system } if row.system.as_ref() != Some(system) || planned.party != row.party => {
            Some(planned)
        }
        _ => None,
    }
}

/// The recipient a code names: as written in the packet, or as the directory knows it.
///
/// # Errors
/// [`Trouble`] when it is none of this document's.
pub(super) fn recipient<'a>(
    opened: &Opened,
    view: &'a DocumentView,
    code: &str,
) -> Result<&'a RecipientRow, Trouble> {
    let wanted: Party = opened.party(code);
    let parsed = AgencyCode::parse(code).ok();
    let is_meant =
        |written: &String| written == code || (parsed.is_some() && AgencyCode::parse(written).ok() == parsed);
    view.recipients
        .iter()
        .find(|row| row.party == wanted || row.codes.iter().any(is_meant))
        .ok_or_else(|| {
            Trouble::new(
                format!("{code} is no recipient of this document"),
                format!(
                    "see its recipients with `truc document show {}`",
                    view.document.uid
                ),
            )
        })
}

fn preview(opened: &Opened, view: &DocumentView, sense: &operator::Sense<'_>, words: &Words) -> String {
    let mut table = Table::new(&["Đơn vị nhận", "Hiện nay", "Sau lệnh", "Hệ thống", "Ghi chú"]);
    for (row, target) in &sense.fitting {
        let party = target.party(row);
        let note = if *party == row.party {
            NONE.to_owned()
        } else {
            format!("chuyển cho {}", opened.name(party))
        };
        table.row([
            opened.name(&row.party),
            show::transport(row),
            words.after.label_vi().to_owned(),
            or_none(target.system(row)),
            note,
        ]);
    }
    for (position, no) in &sense.left {
        let row = view.recipients.iter().find(|row| row.position == *position);
        table.row([
            row.map_or_else(|| NONE.to_owned(), |row| opened.name(&row.party)),
            row.map_or_else(|| NONE.to_owned(), show::transport),
            "giữ nguyên".to_owned(),
            or_none(row.and_then(|row| row.system.as_ref())),
            reason(*no).to_owned(),
        ]);
    }
    format!(
        "{} — văn bản {} ({})\n\n{}",
        words.does,
        or_none(view.document.number_key()),
        view.document.uid,
        table.text()
    )
}

/// The page after it: every recipient as it stands now.
async fn after(
    opened: &Opened,
    before: &DocumentView,
    outcome: &OperatorOutcome,
    words: &Words,
) -> Result<String, Trouble> {
    let Some(view) = opened.ledger.document(before.document.uid).await? else {
        return Err(truc_ledger::LedgerError::UnknownDocument.into());
    };
    let mut table = Table::new(&["Đơn vị nhận", "Trước", "Nay", "Hệ thống", "Gói giao (delivery)"]);
    for done in &outcome.done {
        let row = view.recipients.iter().find(|row| row.position == done.position);
        table.row([
            opened.name(&done.party),
            done.before.label_vi().to_owned(),
            row.map_or_else(|| done.after.label_vi().to_owned(), show::transport),
            or_none(row.and_then(|row| row.system.as_ref())),
            or_none(done.delivery),
        ]);
    }
    let mut text = format!("Đã ghi lệnh «{}»:\n\n{}", words.does, table.text());
    if !outcome.left.is_empty() {
        text.push_str(&format!("\n\n{} nơi nhận giữ nguyên.", outcome.left.len()));
        text.push_str(&next_steps(&outcome.left));
    }
    text.push_str(&format!(
        "\n\nTheo dõi bằng: truc document trace {}",
        view.document.uid
    ));
    Ok(text)
}

/// Why it is left as it is.
pub(super) fn reason(no: OperatorNo) -> &'static str {
    match no {
        OperatorNo::NoRecipient => "không phải nơi nhận của văn bản này",
        OperatorNo::Ended(TransportStateName::Taken) => "hệ thống nhận đã lấy về",
        OperatorNo::Ended(TransportStateName::Withdrawn) => "đã được lấy lại, thu hồi",
        OperatorNo::Ended(_) => "đã kết thúc",
        OperatorNo::NotHeld(_) => "không bị tạm giữ",
        OperatorNo::Held(_) => "đang bị tạm giữ",
        OperatorNo::MayBeOut => "đã gửi đi, hoặc có thể đã gửi đi",
        OperatorNo::TakenBack => "bên gửi đang thu hồi, chờ trả lời",
        OperatorNo::SecretMarking => "có dấu hiệu mật",
        OperatorNo::NoSuccessorNamed => "chưa chỉ định đơn vị kế thừa",
        OperatorNo::NoSystem => "không có hệ thống nào phục vụ",
        OperatorNo::AlreadyRecipient => "đơn vị đó đã là nơi nhận",
        OperatorNo::SameWay => "vẫn gửi tới đúng chỗ đó",
        OperatorNo::BytesDeleted => "dữ liệu gói tin đã bị xóa",
    }
}

/// What to do instead; each once.
pub(super) fn next_steps(left: &[(u32, OperatorNo)]) -> String {
    let mut steps: Vec<&'static str> = Vec::new();
    for (_, no) in left {
        let step = next_step(*no);
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps.iter().map(|step| format!("\n→ {step}")).collect()
}

fn next_step(no: OperatorNo) -> &'static str {
    match no {
        OperatorNo::NoRecipient => "Xem các nơi nhận bằng truc document show.",
        OperatorNo::Ended(TransportStateName::Taken) => {
            "Đã nhận về thì trục không lấy lại được: bên gửi gửi gói thu hồi (loại 1) hoặc trạng thái 13."
        }
        OperatorNo::Ended(_) => "Đã kết thúc thì không đổi nữa: đề nghị bên gửi gửi văn bản mới.",
        OperatorNo::NotHeld(_) => {
            "Chỉ cho gửi được cái đang tạm giữ; muốn gửi lại thì dùng truc document resend."
        }
        OperatorNo::Held(_) => {
            "Đang tạm giữ: cho gửi bằng truc document release (đổi nơi nhận: thêm --to MÃ)."
        }
        OperatorNo::MayBeOut => {
            "Có thể đã nằm trong hộp nhận: chờ hệ thống đó lấy về, hoặc đóng bằng truc document close."
        }
        OperatorNo::TakenBack => "Chờ câu trả lời 15 hoặc 16, hoặc chờ trục dọn hộp nhận.",
        OperatorNo::SecretMarking => {
            "Không mở văn bản. Chỉ người có thẩm quyền về bảo mật mới cho gửi, thêm --authorised."
        }
        OperatorNo::NoSuccessorNamed => "Chỉ định đơn vị kế thừa bằng --to MÃ.",
        OperatorNo::NoSystem => {
            "Gán hệ thống cho đơn vị trong danh mục, hoặc chỉ định nơi khác bằng --to MÃ."
        }
        OperatorNo::AlreadyRecipient => "Nơi đó sẽ nhận hai lần: đóng lượt này bằng truc document close.",
        OperatorNo::SameWay => "Chỉ định nơi khác bằng --to MÃ, hoặc đổi hệ thống phục vụ trong danh mục.",
        OperatorNo::BytesDeleted => "Không còn dữ liệu để gửi: đề nghị bên gửi gửi văn bản mới.",
    }
}

fn code_of(view: &DocumentView, position: u32) -> Option<&str> {
    let row = view.recipients.iter().find(|row| row.position == position);
    row.map(RecipientRow::code)
}

fn would_json(row: &RecipientRow, target: &OperatorTarget, words: &Words) -> Value {
    json!({
        "position": row.position,
        "code": row.code(),
        "party": target.party(row),
        "system": target.system(row),
        "before": row.state.name(),
        "after": words.after,
    })
}

fn done_json(view: &DocumentView, outcome: &OperatorOutcome) -> Value {
    let done = outcome.done.iter().map(|done| {
        json!({
            "position": done.position,
            "code": code_of(view, done.position),
            "party": done.party,
            "before": done.before,
            "after": done.after,
            "delivery": done.delivery.map(|uid| uid.to_string()),
        })
    });
    done.collect()
}

fn left_json(view: &DocumentView, left: &[(u32, OperatorNo)]) -> Value {
    let left = left.iter().map(|(position, no)| {
        json!({ "position": position, "code": code_of(view, *position), "why": no.to_string() })
    });
    left.collect()
}
