//! `truc migrate`: the ledger's tables.

use serde_json::json;
use truc_ledger_sqlite::SqliteStore;

use super::Context;
use super::answer::{Answer, Trouble};
use crate::config::LedgerKind;

/// Creates the tables, or brings them to this program's version.
///
/// # Errors
/// [`Trouble`] when the file cannot be made, is held by another program, or is a newer program's.
pub(super) async fn migrate(context: &Context) -> Result<Answer, Trouble> {
    let config = context.config()?;
    let path = &config.ledger.path;
    let (before, after) = match config.ledger.kind {
        LedgerKind::Sqlite => {
            let done = SqliteStore::migrate(path)
                .await
                .map_err(truc_ledger::LedgerError::from)?;
            (done.from, done.to)
        }
    };
    let text = match before {
        0 => format!("Đã tạo sổ cái mới {} (phiên bản bảng {after}).", path.display()),
        same if same == after => format!(
            "Sổ cái {} đã ở phiên bản bảng {after}; không có gì phải làm.",
            path.display()
        ),
        old => format!(
            "Đã nâng sổ cái {} từ phiên bản bảng {old} lên {after}.",
            path.display()
        ),
    };
    Answer::fine(
        text,
        &json!({ "path": path, "from": before, "to": after, "changed": before != after }),
    )
}
