//! `truc document …`: documents and where they are.

mod close;
mod late;
mod list;
mod order;
mod park;
mod pdf;
mod release;
mod reroute;
mod resend;
mod show;
mod signatures;
mod states;
mod stuck;
mod summary;
mod tell;
mod trace;

use clap::Subcommand;
use serde_json::json;
use truc_ledger::{DocumentView, Fact};

use super::Context;
use super::answer::{Answer, Exit, Trouble};
use super::words::Opened;

/// `truc document …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List documents, newest first
    #[command(
        after_help = "Examples:\n  truc document list\n  truc document list --agency 000.20.30.H60 --since 01/11/2026\n  truc document list --system xa-tuyen-quang --state forwarded\n  truc document list --number 1234\n\nStates: scheduled, forwarded, taken, refused, withdrawn, undeliverable, parked."
    )]
    List(list::Options),
    /// Show one document: facts, recipients, attachments, statuses
    #[command(
        after_help = "Examples:\n  truc document show 1234/UBND-VP\n  truc document show 01890a5d-ac96-774b-bcce-b302099a8057\n  truc document show 1234/UBND-VP --all\n\nID is the hub's id, the sender's DocumentId, a message_id, a delivery id, or number/notation.\nOf many recipients a page is shown, those first that have not taken it."
    )]
    Show(ShowOptions),
    /// Tell the way of one document, event by event, and where it stands for each recipient
    #[command(
        after_help = "Examples:\n  truc document trace 1234/UBND-VP\n  truc document trace 000.00.00.H60,2026/11/23,1234/UBND-VP\n\nID is the hub's id, the sender's DocumentId, a message_id, a delivery id, or number/notation."
    )]
    Trace(Which),
    /// List who is late: which limit, since when, by how much, whose turn it is
    #[command(
        after_help = "Examples:\n  truc document late\n  truc document late --agency 000.20.30.H60 --kind acceptance\n  truc document late --kind sending --since 01/11/2026\n\nKinds: sending (issued to received), arrival (01), acceptance (02, 03), answer (15, 16).\nThe latest first, in working time by the working calendar.\nWithout --kind: what is open now; sending is judged once and listed by --kind sending."
    )]
    Late(late::Options),
    /// List what waits in the ledger for too long, and why it does not go out
    #[command(
        after_help = "Examples:\n  truc document stuck\n  truc document stuck --minutes 30\n\nThe oldest first. Behind a full inbox it goes as soon as that system takes what lies there."
    )]
    Stuck(stuck::Options),
    /// Count documents by who answers for them, and attached PDFs by what they bear
    #[command(
        after_help = "Examples:\n  truc document signatures --since 01/11/2026 --until 30/11/2026\n  truc document signatures --json | jq .answered_by\n\nOf documents accepted in the period; refusals because of a signature are counted apart.\nWords: docs/reference/xml-signature.md, pdf-signature.md."
    )]
    Signatures(signatures::Options),
    /// Print the life of a document at one recipient: every state, every event
    #[command(
        after_help = "Examples:\n  truc document states\n  truc document states --json | jq '.[].name'\n\nComputed by the program itself. Signs: ✓ moves, ✓* moves and skips steps, ✓! moves oddly,\ndup again, late older step, warn does not fit, skip left out, rec recorded only, – nothing."
    )]
    States,
    /// Send untaken deliveries of a document again, under the same delivery ids
    #[command(
        after_help = "Examples:\n  truc document resend 1234/UBND-VP --reason 'hộp nhận bị xóa nhầm'\n  truc document resend 1234/UBND-VP --recipient 000.20.30.H60 --reason 'khôi phục sao lưu' --yes\n\nAn adapter that has a delivery already recognises it by its id. A message goes as a whole.\nThe reason is kept in the ledger: no personal data."
    )]
    Resend(resend::Options),
    /// Hold deliveries that were never sent, until they are released
    #[command(
        after_help = "Examples:\n  truc document park 1234/UBND-VP --reason 'chờ bên gửi xác nhận'\n  truc document park 1234/UBND-VP --recipient 000.20.30.H60 --reason 'đơn vị đang sáp nhập' --yes\n\nWhat was published, or may have been, cannot be held. The sender is told."
    )]
    Park(park::Options),
    /// Let held deliveries go
    #[command(
        after_help = "Examples:\n  truc document release 1234/UBND-VP --reason 'bên gửi đã xác nhận'\n  truc document release 1234/UBND-VP --recipient 000.20.30.H60 --to 000.21.30.H60 --reason 'QĐ 12'\n  truc document release 1234/UBND-VP --authorised --reason 'đã giải mật, công văn 15'\n\nA document with a marking of secrecy is released only with --authorised, which the event says.\nWhat waits because its agency was split needs --to."
    )]
    Release(release::Options),
    /// Send deliveries that were never sent to another agency, or by another system
    #[command(
        after_help = "Examples:\n  truc document reroute 1234/UBND-VP --recipient 000.20.30.H60 --to 000.21.30.H60 --reason 'QĐ 12'\n  truc document reroute 1234/UBND-VP --reason 'đơn vị đã chuyển hệ thống' --yes\n\nWithout --to: the same agencies, by the systems that serve them today. What was published, or\nmay have been, stays: it could be read at both places. What is held is released, not rerouted."
    )]
    Reroute(reroute::Options),
    /// Give up deliveries that are not at their end; the sender is told
    #[command(
        after_help = "Examples:\n  truc document close 1234/UBND-VP --recipient 000.20.30.H60 --reason 'đơn vị đã giải thể'\n\nThe delivery ends as undeliverable, for good. What lies in an inbox may still be read there."
    )]
    Close(close::Options),
}

/// Names a document.
#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// The hub's id, the sender's DocumentId, a message_id, a delivery id, or number/notation
    #[arg(value_name = "ID")]
    pub id: String,
}

/// What to show.
#[derive(Debug, Clone, clap::Args)]
pub struct ShowOptions {
    /// Which document
    #[command(flatten)]
    pub which: Which,
    /// Every recipient, however many there are
    #[arg(long)]
    pub all: bool,
}

/// Does what the command says.
///
/// # Errors
/// [`Trouble`] when the ledger cannot be read, or the order cannot be carried out.
pub(super) async fn answer(context: &Context, command: Command) -> Result<Answer, Trouble> {
    if matches!(command, Command::States) {
        return states::states();
    }
    let opened = Opened::open(context).await?;
    match command {
        Command::List(options) => list::list(&opened, &options).await,
        Command::Signatures(options) => signatures::signatures(&opened, &options).await,
        Command::Late(options) => late::late(context, &opened, &options).await,
        Command::Stuck(options) => stuck::stuck(context, &opened, &options).await,
        Command::Show(options) => match find(&opened, &options.which.id).await? {
            Found::One(view) => show::show(&opened, &view, options.all),
            Found::Other(answer) => Ok(answer),
        },
        Command::Trace(which) => match find(&opened, &which.id).await? {
            Found::One(view) => trace::trace(&opened, &view, context.clock.now()),
            Found::Other(answer) => Ok(answer),
        },
        Command::Park(options) => park::park(context, &opened, &options).await,
        Command::Release(options) => release::release(context, &opened, &options).await,
        Command::Reroute(options) => reroute::reroute(context, &opened, &options).await,
        Command::Close(options) => close::close(context, &opened, &options).await,
        Command::States => states::states(),
        Command::Resend(options) => match find(&opened, &options.order.which.id).await? {
            Found::One(view) => resend::resend(context, &opened, &view, &options).await,
            Found::Other(answer) => Ok(answer),
        },
    }
}

/// Tells what happened to the hub itself.
pub(super) fn tell_of_hub(opened: &Opened, fact: &Fact) -> String {
    tell::tell(opened, &[], fact)
}

/// What an id names.
enum Found {
    /// One document.
    One(Box<DocumentView>),
    /// None, or several: the answer to give.
    Other(Answer),
}

async fn find(opened: &Opened, id: &str) -> Result<Found, Trouble> {
    let uids = opened.ledger.find(id).await?;
    if let [uid] = uids.as_slice()
        && let Some(view) = opened.ledger.document(*uid).await?
    {
        return Ok(Found::One(Box::new(view)));
    }
    let mut views = Vec::with_capacity(uids.len());
    for uid in &uids {
        views.extend(opened.ledger.document(*uid).await?);
    }
    let text = if views.is_empty() {
        format!(
            "Không tìm thấy văn bản nào theo «{}».\n→ Tìm theo số hoặc đơn vị: truc document list --number … --agency …",
            super::show::one_line(id)
        )
    } else {
        format!(
            "Có {} văn bản khớp với «{}»:\n\n{}\n\n→ Gọi lại với mã trục (cột đầu) của văn bản cần xem.",
            views.len(),
            super::show::one_line(id),
            list::table_of(opened, &views)
        )
    };
    let matches: Vec<String> = uids.iter().map(ToString::to_string).collect();
    Ok(Found::Other(Answer::ending(
        Exit::Finding,
        text,
        &json!({ "found": null, "matches": matches }),
    )?))
}
