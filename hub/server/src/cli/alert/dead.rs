//! `truc alert dead …`: messages that a channel did not take, and sending them again.

use clap::{Args, Subcommand};
use serde_json::json;
use truc_ledger::alert::{AlertPost, AlertRevive, PostPlace};
use truc_model::AlertPostUid;

use super::super::answer::{Answer, Exit, Trouble};
use super::super::show::{NONE, Table, moment, number};
use super::super::words::Opened;

/// `truc alert dead …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Those that were tried in vain
    #[command(
        after_help = "Examples:\n  truc alert dead list\n  truc alert dead list --json\n\nExit 1 when there are some."
    )]
    List,
    /// Have them sent again, from the first attempt
    #[command(
        after_help = "Examples:\n  truc alert dead retry\n  truc alert dead retry 01890a5d-ac96-774b-bcce-b302099a8057\n\nFirst mend the channel: truc alert test. A running hub sends them."
    )]
    Retry(Retry),
}

/// Options of `truc alert dead retry`.
#[derive(Debug, Clone, Args)]
pub struct Retry {
    /// Only this message
    #[arg(value_name = "ID")]
    pub post: Option<AlertPostUid>,
}

/// Does what the command says.
///
/// # Errors
/// [`Trouble`] when the ledger cannot be read, or there is no such message.
pub(super) async fn answer(opened: &Opened, command: Command) -> Result<Answer, Trouble> {
    match command {
        Command::List => list(opened).await,
        Command::Retry(options) => retry(opened, &options).await,
    }
}

async fn list(opened: &Opened) -> Result<Answer, Trouble> {
    let posts = opened.ledger.alert_posts().await?;
    let dead: Vec<(&AlertPost, jiff::Timestamp)> = posts
        .iter()
        .filter_map(|post| match post.place {
            PostPlace::Dead { at } => Some((post, at)),
            _ => None,
        })
        .collect();
    let mut table = Table::new(&[
        "Thông báo",
        "Kênh",
        "Cảnh báo",
        ">Mục",
        ">Số lần",
        "Bỏ lúc",
        "Nguyên nhân",
    ]);
    for (post, at) in &dead {
        table.row([
            post.post.to_string(),
            post.channel.clone(),
            post.kind.to_string(),
            number(post.lines.len() as u64 + post.more),
            number(post.attempts),
            moment(*at),
            post.failure.clone().unwrap_or_else(|| NONE.to_owned()),
        ]);
    }
    let text = if table.is_empty() {
        "Không có thông báo nào bị bỏ.".to_owned()
    } else {
        format!(
            "{}\n\n→ Sửa kênh (truc alert test), rồi truc alert dead retry",
            table.text()
        )
    };
    let json = json!({ "dead": dead.iter().map(|(post, at)| json!({
        "id": post.post,
        "channel": post.channel,
        "kind": post.kind,
        "lines": post.lines,
        "more": post.more,
        "created_at": post.created_at,
        "attempts": post.attempts,
        "dead_since": at,
        "failure": post.failure,
    })).collect::<Vec<_>>() });
    Answer::ending(Exit::unless_finding(dead.is_empty()), text, &json)
}

async fn retry(opened: &Opened, options: &Retry) -> Result<Answer, Trouble> {
    let order = AlertRevive { post: options.post };
    let revived = opened.ledger.revive_alerts(order).await?;
    if let (0, Some(post)) = (revived, options.post) {
        return Err(Trouble::new(
            format!("no dead letter {post}"),
            "see them with `truc alert dead list`",
        ));
    }
    let text = match revived {
        0 => "Không có thông báo nào để gửi lại.".to_owned(),
        count => format!("{} thông báo sẽ được trục đang chạy gửi lại.", number(count)),
    };
    Answer::fine(text, &json!({ "revived": revived }))
}
