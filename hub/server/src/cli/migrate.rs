//! `truc migrate`: the ledger's tables.

use serde_json::json;

use super::Context;
use super::answer::{Answer, Trouble};
use crate::store;

/// Creates the tables, or brings them to this program's version.
///
/// # Errors
/// [`Trouble`] when the file cannot be made, is held by another program, or is a newer program's.
pub(super) async fn migrate(context: &Context) -> Result<Answer, Trouble> {
    let config = context.config()?;
    let place = config.ledger.place();
    let (before, after) = store::migrate(&config).await?;
    let text = match before {
        0 => format!("Đã tạo sổ cái mới {place} (phiên bản bảng {after})."),
        same if same == after => {
            format!("Sổ cái {place} đã ở phiên bản bảng {after}; không có gì phải làm.")
        }
        old => format!("Đã nâng sổ cái {place} từ phiên bản bảng {old} lên {after}."),
    };
    Answer::fine(
        text,
        &json!({ "path": place, "from": before, "to": after, "changed": before != after }),
    )
}
