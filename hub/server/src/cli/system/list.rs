//! `truc system list`.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::json;
use truc_directory::{System, SystemStatus};
use truc_envelope::seal::BoundCertificate;
use truc_model::SystemId;

use super::super::Context;
use super::super::answer::{Answer, Trouble};
use super::super::show::{NONE, Table, age, day, number};
use super::super::words::{self, Opened};
use super::broker;

/// Lists systems. Without the broker the column of accounts is empty and says why.
///
/// # Errors
/// [`Trouble`] when the ledger cannot be read.
pub(super) async fn list(context: &Context, opened: &Opened) -> Result<Answer, Trouble> {
    let now = context.clock.now();
    let inboxes: HashMap<SystemId, _> = opened
        .ledger
        .inbox_counts()
        .await?
        .into_iter()
        .map(|inbox| (inbox.system.clone(), inbox))
        .collect();
    let accounts = accounts(context).await;
    let mut table = Table::new(&[
        "Hệ thống",
        "Tên",
        "Loại",
        ">Cơ quan",
        "Chứng thư đến",
        "Tài khoản",
        ">Chờ gửi",
        ">Trong hộp nhận",
        "Lâu nhất",
    ]);
    let mut rows = Vec::new();
    for system in opened.directory.systems() {
        let serves = opened
            .directory
            .agencies()
            .filter(|agency| agency.assigned(opened.today) == Some(&system.id))
            .count();
        let until = certificate_until(system, opened.today);
        let has_account = accounts.as_ref().ok().map(|known| known.contains(&system.id));
        let inbox = inboxes.get(&system.id);
        let scheduled = inbox.map_or(0, |inbox| inbox.scheduled + inbox.leased);
        let forwarded = inbox.map_or(0, |inbox| inbox.forwarded);
        let oldest = inbox.and_then(|inbox| inbox.oldest);
        let mut kind = words::kind(system.kind).to_owned();
        if system.status == SystemStatus::Disabled {
            kind.push_str(", TẠM KHÓA");
        }
        table.row([
            system.id.to_string(),
            system.name.clone(),
            kind,
            number(serves as u64),
            until.map_or_else(|| NONE.to_owned(), |until| until_words(until, now)),
            match has_account {
                Some(true) => "có",
                Some(false) => "CHƯA",
                None => "?",
            }
            .to_owned(),
            number(scheduled),
            number(forwarded),
            oldest.map_or_else(|| NONE.to_owned(), |oldest| age(oldest, now)),
        ]);
        rows.push(json!({
            "system": system.id, "name": system.name, "kind": system.kind, "status": system.status,
            "agencies": serves, "certificates_until": until, "account": has_account,
            "scheduled": scheduled, "forwarded": forwarded, "oldest": oldest,
        }));
    }
    let mut text = if table.is_empty() {
        "Chưa có hệ thống nào.\n→ truc directory import FILE --systems FILE, hoặc truc system add".to_owned()
    } else {
        table.text()
    };
    let why = accounts.as_ref().err().map(|trouble| trouble.what.clone());
    if let Err(trouble) = &accounts
        && !table.is_empty()
    {
        text.push_str(&format!(
            "\n\nKhông hỏi được RabbitMQ về tài khoản: {}\n→ {}",
            trouble.what, trouble.next
        ));
    }
    let stray: Vec<String> = accounts
        .iter()
        .flatten()
        .filter(|id| opened.directory.system(id).is_none())
        .map(ToString::to_string)
        .collect();
    if !stray.is_empty() {
        text.push_str(&format!(
            "\n\nTài khoản RabbitMQ không có trong danh mục: {}",
            stray.join(", ")
        ));
    }
    Answer::fine(
        text,
        &json!({ "systems": rows, "accounts_unknown": why, "stray_accounts": stray }),
    )
}

async fn accounts(context: &Context) -> Result<BTreeSet<SystemId>, Trouble> {
    let accounts = broker::accounts(&context.config()?)?;
    Ok(broker::list(&accounts)
        .await?
        .into_iter()
        .filter_map(|account| account.system)
        .collect())
}

/// The last moment at which one of the certificates bound today is valid.
fn certificate_until(system: &System, today: jiff::civil::Date) -> Option<Timestamp> {
    system
        .certificates_on(today)
        .filter_map(|row| BoundCertificate::from_pem(&row.pem).ok())
        .map(|certificate| certificate.not_after())
        .max()
}

fn until_words(until: Timestamp, now: Timestamp) -> String {
    let date = day(until.to_zoned(truc_model::clock::viet_nam()).date());
    if until < now {
        format!("{date} (HẾT HẠN)")
    } else {
        date
    }
}
