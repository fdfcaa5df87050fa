//! `truc document resend`: an operator's order to send untaken deliveries again.

use clap::Args;
use serde_json::json;
use truc_ledger::{DocumentView, Resend};
use truc_model::{AgencyCode, Party};

use super::super::answer::{Answer, Exit, Trouble};
use super::super::show::number;
use super::super::words::{self, Opened};
use super::Which;

/// Options of `truc document resend`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Which document
    #[command(flatten)]
    pub which: Which,
    /// Only for the recipient with this code (its message goes again as a whole)
    #[arg(long, value_name = "CODE")]
    pub to: Option<String>,
    /// Why; kept in the ledger, so no personal data
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// Sends again.
///
/// # Errors
/// [`Trouble`] when the recipient is none of the document's, there is no reason, or the ledger cannot be
/// written.
pub(super) async fn resend(
    opened: &Opened,
    view: &DocumentView,
    options: &Options,
) -> Result<Answer, Trouble> {
    let why = options.reason.trim();
    if why.is_empty() {
        return Err(Trouble::new(
            "a reason of white space is none",
            "say why with --reason, in a few words",
        ));
    }
    let party = options
        .to
        .as_deref()
        .map(|code| recipient(opened, view, code))
        .transpose()?;
    let order = Resend {
        document: view.document.uid,
        party,
        who: words::account(),
        why: why.to_owned(),
    };
    let outcome = opened.ledger.resend(order).await?;
    let mut lines = Vec::new();
    if !outcome.resent.is_empty() {
        lines.push(format!(
            "Sẽ gửi lại {} gói tin, với mã giao nhận (delivery) như cũ:",
            number(outcome.resent.len() as u64)
        ));
        lines.extend(outcome.resent.iter().map(|delivery| format!("  {delivery}")));
        lines.push(
            "Trục đang chạy sẽ gửi ngay; theo dõi bằng: truc document trace ".to_owned()
                + &view.document.uid.to_string(),
        );
    }
    if !outcome.left.is_empty() {
        lines.push("Không có gì để gửi lại cho:".to_owned());
        for (party, state) in &outcome.left {
            lines.push(format!(
                "  {}: {} ({})",
                opened.name(party),
                state.label_vi(),
                state.as_str()
            ));
        }
        if outcome.resent.is_empty() {
            lines.push(
                "→ Chỉ gửi lại được khi còn scheduled hoặc forwarded; trạng thái khác thì đề nghị bên gửi gửi văn bản mới."
                    .to_owned(),
            );
        }
    }
    let resent: Vec<String> = outcome.resent.iter().map(ToString::to_string).collect();
    let left: Vec<_> = outcome
        .left
        .iter()
        .map(|(party, state)| json!({ "party": party, "state": state }))
        .collect();
    Answer::ending(
        Exit::unless_finding(!outcome.resent.is_empty()),
        lines.join("\n"),
        &json!({ "document": view.document.uid.to_string(), "resent": resent, "left": left }),
    )
}

/// The recipient a code names: as written in the packet, or as the directory knows it.
fn recipient(opened: &Opened, view: &DocumentView, code: &str) -> Result<Party, Trouble> {
    let wanted = opened.party(code);
    let parsed = AgencyCode::parse(code).ok();
    let is_meant =
        |written: &String| written == code || (parsed.is_some() && AgencyCode::parse(written).ok() == parsed);
    view.recipients
        .iter()
        .find(|row| row.party == wanted || row.codes.iter().any(is_meant))
        .map(|row| row.party.clone())
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
