//! `truc alert rules`: every kind with the channels that get it, as the configuration says.

use serde_json::json;
use truc_model::AlertKind;

use super::super::Context;
use super::super::answer::{Answer, Trouble};
use super::super::show::{NONE, Table};
use crate::config::alert::{Alert, Channel, Rule};

/// Shows them.
///
/// # Errors
/// [`Trouble`] when the configuration cannot be read.
pub(super) fn rules(context: &Context) -> Result<Answer, Trouble> {
    let alert = context.config()?.alert;
    let mut table = Table::new(&["Cảnh báo", "Mức độ", "Lượt xử lý", "Kênh"]);
    let mut kinds = Vec::new();
    for kind in AlertKind::ALL {
        let channels: Vec<String> = alert
            .channels
            .iter()
            .filter_map(|channel| told(&alert, channel, *kind))
            .collect();
        table.row([
            kind.as_str().to_owned(),
            kind.severity().label_vi().to_owned(),
            kind.turn().label_vi().to_owned(),
            if channels.is_empty() {
                NONE.to_owned()
            } else {
                channels.join("; ")
            },
        ]);
        kinds.push(json!({
            "kind": kind,
            "severity": kind.severity(),
            "turn": kind.turn().as_str(),
            "vi": kind.sentences().0,
            "en": kind.sentences().1,
            "page": kind.page(),
            "channels": channels,
        }));
    }
    let mut text = table.text();
    text.push_str(&format!("\n\n{}", quiet(&alert)));
    if alert.channels.is_empty() {
        text.push_str("\nChưa khai kênh nào: cảnh báo chỉ có trong sổ cái và nhật ký (truc alert list).");
    }
    let json = json!({
        "kinds": kinds,
        "channels": alert.channels.iter().map(|channel| json!({
            "name": channel.name(),
            "per_hour": channel.per_hour(),
            "quiet": channel.quiet(),
        })).collect::<Vec<_>>(),
        "quiet_passes": alert.quiet_passes,
    });
    Answer::fine(text, &json)
}

fn quiet(alert: &Alert) -> String {
    if alert.quiet_from == alert.quiet_until {
        return "Không có giờ yên lặng: mọi cảnh báo gửi ngay.".to_owned();
    }
    format!(
        "Giờ yên lặng {} – {}: dưới mức {} thì chờ đến sáng.",
        alert.quiet_from.strftime("%H:%M"),
        alert.quiet_until.strftime("%H:%M"),
        alert.quiet_passes.label_vi()
    )
}

/// Whether and under which conditions a channel is told of a kind.
fn told(alert: &Alert, channel: &Channel, kind: AlertKind) -> Option<String> {
    let name = channel.name();
    if alert.rules.is_empty() {
        return Some(name.to_owned());
    }
    let of_kind = |rule: &&Rule| {
        rule.channels.iter().any(|known| known == name)
            && (rule.kinds.is_empty() || rule.kinds.contains(&kind))
    };
    let conditions: Vec<String> = alert
        .rules
        .iter()
        .filter(of_kind)
        .map(|rule| condition(rule, kind))
        .collect();
    if conditions.is_empty() {
        return None;
    }
    if conditions.iter().any(String::is_empty) {
        return Some(name.to_owned());
    }
    Some(format!("{name} ({})", conditions.join(" | ")))
}

/// What a rule asks beside the kind; empty when nothing that could keep this kind out.
fn condition(rule: &Rule, kind: AlertKind) -> String {
    let mut parts = Vec::new();
    if rule.severity > kind.severity() {
        parts.push(format!("khi {}", rule.severity.label_vi().to_lowercase()));
    }
    if !rule.systems.is_empty() {
        let systems: Vec<&str> = rule.systems.iter().map(|system| system.as_str()).collect();
        parts.push(systems.join(" "));
    }
    if !rule.agencies.is_empty() {
        parts.push(rule.agencies.join(" "));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::context_with;
    use super::*;

    #[test]
    fn every_kind_and_its_channels() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("truc.toml");
        std::fs::write(&path, include_str!("../../../../../config/samples/alert.toml")).unwrap();
        let answer = rules(&context_with(Some(&path))).unwrap();
        let row = |kind: &str| {
            let mut lines = answer.text.lines();
            lines
                .find(|line| line.starts_with(&format!("{kind} ")))
                .unwrap_or_else(|| panic!("no {kind}: {}", answer.text))
                .to_owned()
        };
        assert!(
            row("broker-away").ends_with("phong-truc; thu-truc-ban"),
            "{}",
            row("broker-away")
        );
        assert!(
            row("disk-low").ends_with("phong-truc; thu-truc-ban (khi nghiêm trọng)"),
            "{}",
            row("disk-low")
        );
        assert!(row("not-taken").contains("000.00.15.H60"), "{}", row("not-taken"));
        assert!(answer.text.contains("21:00 – 06:30"), "{}", answer.text);
        assert_eq!(
            answer.json["kinds"].as_array().unwrap().len(),
            AlertKind::ALL.len()
        );
        let nobody = rules(&context_with(None)).unwrap();
        assert!(nobody.text.contains("Chưa khai kênh nào"));
    }
}
