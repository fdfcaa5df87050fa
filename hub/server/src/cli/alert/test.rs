//! `truc alert test`: a marked test to each channel, and plainly what came back.

use clap::Args;
use serde_json::json;
use truc_model::AlertPostUid;

use super::super::Context;
use super::super::answer::{Answer, Exit, Trouble};
use super::super::show::Table;
use crate::alert::channel::outlet;
use crate::alert::message::Message;
use crate::config::alert::Channel;
use crate::telemetry::chain;

/// Options of `truc alert test`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Only this channel
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
}

/// Sends them, one after another.
///
/// # Errors
/// [`Trouble`] when there is no such channel, or none at all.
pub(super) async fn test(context: &Context, options: &Options) -> Result<Answer, Trouble> {
    let config = context.config()?;
    let wanted = |channel: &&Channel| {
        let only = options.channel.as_deref();
        only.is_none_or(|name| name == channel.name())
    };
    let channels: Vec<&Channel> = config.alert.channels.iter().filter(wanted).collect();
    if channels.is_empty() {
        let known: Vec<&str> = config.alert.channels.iter().map(Channel::name).collect();
        return Err(match &options.channel {
            Some(name) => Trouble::new(
                format!("there is no channel {name}"),
                format!("name one of: {}", known.join(", ")),
            ),
            None => Trouble::new(
                "no channel of alerts is configured",
                "copy [[alert.channels]] of config/samples/alert.toml into your configuration",
            ),
        });
    }
    let mut table = Table::new(&["Kênh", "Loại", "Kết quả", ">Thời gian", "Chi tiết"]);
    let mut lines = Vec::new();
    let mut all = true;
    for channel in channels {
        let now = context.clock.now();
        let id = AlertPostUid::new(context.random.uuid_v7(now));
        let message = Message::test(id, channel.name(), &config.hub.name, now);
        let kind = match channel {
            Channel::Webhook(_) => "webhook",
            Channel::Mail(_) => "mail",
        };
        let (name, result) = (channel.name(), outlet(channel).send(&message).await);
        match result {
            Ok(sent) => {
                let took_ms = u64::try_from(sent.took.as_millis()).unwrap_or(u64::MAX);
                table.row([name, kind, "ĐƯỢC", &format!("{took_ms} ms"), &sent.answer]);
                lines.push(json!({
                    "channel": name, "kind": kind, "id": id, "sent": true,
                    "answer": sent.answer, "took_ms": took_ms,
                }));
            }
            Err(error) => {
                all = false;
                let why = chain(&error);
                table.row([name, kind, "KHÔNG", "", &why]);
                lines.push(json!({
                    "channel": name, "kind": kind, "id": id, "sent": false,
                    "failure": error.word(), "why": why,
                }));
            }
        }
    }
    let mut text = table.text();
    text.push_str(if all {
        "\n\nMọi kênh đã nhận. Kiểm tra ở đầu nhận: thông báo có chữ THỬ."
    } else {
        "\n\nCó kênh không nhận.\n→ Sửa theo cột Chi tiết rồi chạy lại."
    });
    Answer::ending(Exit::unless_finding(all), text, &json!({ "channels": lines }))
}
