//! `truc system rotate`.

use jiff::ToSpan as _;
use serde_json::json;
use truc_directory::{Editor, Validity};
use truc_ledger::Note;

use super::super::Context;
use super::super::answer::{Answer, Trouble};
use super::super::show::{day, moment, number};
use super::super::words::{self, Opened};
use super::broker::{self, NewPassword};
use super::{RotateOptions, certificate, edit_trouble, save};

/// Rotates what was asked for; the certificate first, as it needs no broker.
///
/// # Errors
/// [`Trouble`] when the system or its account is unknown, or ledger or broker cannot be reached.
pub(super) async fn rotate(
    context: &Context,
    opened: &Opened,
    options: &RotateOptions,
) -> Result<Answer, Trouble> {
    let id = &options.id;
    if opened.directory.system(id).is_none() {
        return Err(edit_trouble(&truc_directory::EditError::UnknownSystem(
            id.clone(),
        )));
    }
    // Asked before the certificate is bound, so that a failure leaves nothing half done.
    if let Some(path) = &options.password_file {
        broker::must_be_new(path)?;
    }
    let mut lines = Vec::new();
    let mut json =
        json!({ "system": id, "directory": opened.directory.version(), "password_changed": false });
    if let Some(path) = &options.certificate {
        let (row, read) = certificate(path, Validity::since(opened.today))?;
        let overlap_to = opened
            .today
            .checked_add(i64::from(options.overlap_days).days())
            .map_err(|error| Trouble::of(&error, "choose fewer --overlap-days"))?;
        let mut editor = Editor::new(&opened.directory);
        editor
            .rotate_certificate(id, row, overlap_to)
            .map_err(|error| edit_trouble(&error))?;
        let next = editor.finish();
        save(opened, &next, id, "certificate").await?;
        lines.push(format!(
            "Chứng thư mới của {id}: {}, hết hạn {}.",
            read.thumbprint(),
            moment(read.not_after())
        ));
        lines.push(format!(
            "Chứng thư cũ không còn được chấp nhận từ {}.",
            day(overlap_to)
        ));
        json["directory"] = next.version().into();
        json["thumbprint"] = json!(read.thumbprint());
        json["old_until"] = json!(overlap_to);
    }
    if let Some(path) = &options.password_file {
        let accounts = broker::accounts(&context.config()?)?;
        let known = broker::list(&accounts).await?;
        if !known.iter().any(|account| account.system.as_ref() == Some(id)) {
            return Err(Trouble::new(
                format!("{id} has no broker account"),
                format!("make one with `truc system add {id} --password-file OUT`"),
            ));
        }
        let password = NewPassword::write(path, &context.random)?;
        let done = accounts.rotate_password(id, password.get()).await;
        password.settle(done)?;
        let note = Note::SystemChanged {
            system: id.clone(),
            change: "rotated".to_owned(),
            who: words::account(),
        };
        opened.ledger.note(note).await?;
        lines.push(format!(
            "Mật khẩu mới của {id} ở {} (chỉ chủ tệp đọc được).",
            path.display()
        ));
        json["password_changed"] = true.into();
        json["password_file"] = json!(path);
        if options.disconnect {
            let closed = accounts
                .close_connections(id)
                .await
                .map_err(|error| broker::trouble(&error))?;
            lines.push(format!("Đã ngắt {} kết nối của nó.", number(closed as u64)));
            json["disconnected"] = closed.into();
        } else {
            lines.push(
                "Kết nối đang mở bằng mật khẩu cũ vẫn chạy cho đến khi bị ngắt (--disconnect).".to_owned(),
            );
        }
    }
    Answer::fine(lines.join("\n"), &json)
}
