//! What a channel is told: one message about alerts of one kind, as JSON for programs (`schemas/alert.json`)
//! and as a page for people. Vietnamese first. Codes, ids and counts alone: no personal data.

use jiff::Timestamp;
use serde::Serialize;
use truc_ledger::alert::{AlertLine, AlertPost};
use truc_model::clock::viet_nam;
use truc_model::{AlertChange, AlertKind, AlertPostUid, Severity};

/// Version of the JSON: a higher one may change what members mean, a new member does not change it.
pub const FORMAT: u32 = 1;

/// Why a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Alerts of this kind changed.
    Alerts(AlertKind),
    /// Somebody tries the channel.
    Test,
}

/// A message to one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, the same at every attempt.
    pub id: AlertPostUid,
    /// The channel's name.
    pub channel: String,
    /// The hub that sends it.
    pub hub: String,
    /// When this attempt is made.
    pub at: Timestamp,
    /// Why.
    pub occasion: Occasion,
    /// False when the ledger was not there to keep it: then it comes from the hub's memory alone.
    pub recorded: bool,
    /// What changed.
    pub lines: Vec<AlertLine>,
    /// Changes beyond these lines.
    pub more: u64,
}

impl Message {
    /// The message of a post.
    #[must_use]
    pub fn of(post: AlertPost, hub: &str, at: Timestamp) -> Self {
        Self {
            id: post.post,
            channel: post.channel,
            hub: hub.to_owned(),
            at,
            occasion: Occasion::Alerts(post.kind),
            recorded: true,
            lines: post.lines,
            more: post.more,
        }
    }

    /// A test of a channel, marked as such.
    #[must_use]
    pub fn test(id: AlertPostUid, channel: &str, hub: &str, at: Timestamp) -> Self {
        Self {
            id,
            channel: channel.to_owned(),
            hub: hub.to_owned(),
            at,
            occasion: Occasion::Test,
            recorded: true,
            lines: Vec::new(),
            more: 0,
        }
    }

    /// The gravest severity in it.
    #[must_use]
    pub fn severity(&self) -> Severity {
        let severities = self.lines.iter().map(|line| line.severity);
        severities.max().unwrap_or(Severity::Info)
    }

    /// Whether it brings good news alone.
    fn is_all_clear(&self) -> bool {
        let over = |line: &AlertLine| matches!(line.change, AlertChange::Cleared | AlertChange::Over);
        !self.lines.is_empty() && self.more == 0 && self.lines.iter().all(over)
    }

    /// Its title, in Vietnamese and English.
    #[must_use]
    pub fn title(&self) -> (String, String) {
        let Occasion::Alerts(kind) = self.occasion else {
            return (
                format!("[Trục] THỬ kênh cảnh báo {}", self.channel),
                format!("[Truc] TEST of the alert channel {}", self.channel),
            );
        };
        let severity = self.severity();
        let (vi, en) = kind.sentences();
        let count = match self.lines.len() as u64 + self.more {
            0 | 1 => String::new(),
            several => format!(" ({several})"),
        };
        let (head_vi, head_en) = if self.is_all_clear() {
            ("Đã hết", "all clear")
        } else {
            (severity.label_vi(), severity.as_str())
        };
        (
            format!("[Trục] {head_vi}: {}{count}", vi.trim_end_matches('.')),
            format!("[Truc] {head_en}: {}{count}", en.trim_end_matches('.')),
        )
    }

    /// The bytes a webhook gets.
    ///
    /// # Errors
    /// When a member has no JSON form: a defect of this program.
    pub fn json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let (vi, en) = self.title();
        let kind = match self.occasion {
            Occasion::Alerts(kind) => Some(kind),
            Occasion::Test => None,
        };
        let text = kind.map_or(TEST_SENTENCES, AlertKind::sentences);
        let next = kind.map_or(TEST_NEXT, AlertKind::next);
        serde_json::to_vec(&Body {
            format: FORMAT,
            id: self.id,
            channel: &self.channel,
            hub: &self.hub,
            at: self.at,
            test: kind.is_none(),
            recorded: self.recorded,
            kind,
            severity: self.severity(),
            all_clear: self.is_all_clear(),
            title: Both { vi: &vi, en: &en },
            text: text.into(),
            next: next.into(),
            turn: kind.map(|kind| kind.turn().as_str()),
            page: kind.map(AlertKind::page),
            lines: &self.lines,
            more: self.more,
        })
    }

    /// The page people read.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = String::new();
        let mut say = |line: &str| {
            page.push_str(line);
            page.push('\n');
        };
        let (vi, en, next_vi, next_en) = match self.occasion {
            Occasion::Alerts(kind) => {
                let ((vi, en), (next_vi, next_en)) = (kind.sentences(), kind.next());
                (vi, en, next_vi, next_en)
            }
            Occasion::Test => (TEST_SENTENCES.0, TEST_SENTENCES.1, TEST_NEXT.0, TEST_NEXT.1),
        };
        say(vi);
        say(en);
        if !self.recorded {
            say("");
            say(UNRECORDED.0);
            say(UNRECORDED.1);
        }
        say("");
        say(&format!("Việc cần làm: {next_vi}"));
        say(&format!("What to do:   {next_en}"));
        if let Occasion::Alerts(kind) = self.occasion {
            say(&format!(
                "Lượt xử lý:   {} (turn: {})",
                kind.turn().label_vi(),
                kind.turn_en()
            ));
            say(&format!("Trang:        {}", kind.page()));
        }
        if !self.lines.is_empty() {
            say("");
            for row in table(&self.lines) {
                say(&row);
            }
        }
        if self.more > 0 {
            say(&format!(
                "… và {} mục nữa: truc alert list (and {} more)",
                self.more, self.more
            ));
        }
        say("");
        say(&format!(
            "{} · trục {} · kênh {} · {}",
            moment(self.at),
            self.hub,
            self.channel,
            self.id
        ));
        page
    }
}

const TEST_SENTENCES: (&str, &str) = (
    "Đây là thông báo thử; không có sự cố nào.",
    "This is a test; nothing is wrong.",
);

const TEST_NEXT: (&str, &str) = (
    "Không cần làm gì: kênh này hoạt động.",
    "Nothing: this channel works.",
);

const UNRECORDED: (&str, &str) = (
    "Sổ cái không ghi được, nên thông báo này chỉ có trong bộ nhớ của trục và có thể lặp lại.",
    "The ledger does not commit: this message stands in the hub's memory alone and may come again.",
);

/// The JSON of a message, member by member.
#[derive(Serialize)]
struct Body<'a> {
    format: u32,
    id: AlertPostUid,
    channel: &'a str,
    hub: &'a str,
    at: Timestamp,
    test: bool,
    recorded: bool,
    kind: Option<AlertKind>,
    severity: Severity,
    all_clear: bool,
    title: Both<'a>,
    text: Both<'a>,
    next: Both<'a>,
    turn: Option<&'static str>,
    page: Option<String>,
    lines: &'a [AlertLine],
    more: u64,
}

#[derive(Serialize)]
struct Both<'a> {
    vi: &'a str,
    en: &'a str,
}

impl From<(&'static str, &'static str)> for Both<'static> {
    fn from((vi, en): (&'static str, &'static str)) -> Self {
        Self { vi, en }
    }
}

/// `23/11/2026 14:05:09`, Viet Nam time (`spec/console.md` §3).
#[must_use]
pub fn moment(at: Timestamp) -> String {
    at.to_zoned(viet_nam()).strftime("%d/%m/%Y %H:%M:%S").to_string()
}

/// The facts of a line, `name=value` each.
#[must_use]
pub fn facts(line: &AlertLine) -> String {
    let mut facts: Vec<String> = line
        .facts
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !line.agencies.is_empty() {
        facts.push(format!("agencies={}", line.agencies.join(" ")));
    }
    facts.join(", ")
}

/// Aligned columns, a head first.
fn table(lines: &[AlertLine]) -> Vec<String> {
    let mut rows = vec![["Thay đổi", "Đối tượng", "Mức độ", "Từ lúc", "Lúc", "Chi tiết"].map(str::to_owned)];
    rows.extend(lines.iter().map(|line| {
        [
            line.change.label_vi().to_owned(),
            line.subject.clone(),
            line.severity.label_vi().to_owned(),
            moment(line.raised_at),
            moment(line.at),
            facts(line),
        ]
    }));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter()
        .map(|row| {
            let mut text = String::new();
            for (cell, width) in row.iter().zip(widths) {
                text.push_str(&format!("{cell:<width$}  "));
            }
            text.trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::Value;
    use truc_ledger::alert::AlertFacts;
    use truc_model::{Random as _, SeededRandom};

    use super::*;

    pub(in crate::alert) fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_400_000 + second).unwrap()
    }

    pub(in crate::alert) fn line(change: AlertChange, subject: &str) -> AlertLine {
        let id = SeededRandom::new(subject.len() as u64).uuid_v7(at(0));
        AlertLine {
            alert: truc_model::AlertUid::new(id),
            change,
            subject: subject.to_owned(),
            severity: Severity::Warning,
            raised_at: at(0),
            at: at(60),
            agencies: vec!["000.00.15.H60".to_owned()],
            system: None,
            document: None,
            facts: AlertFacts::from([("deliveries".to_owned(), "12".to_owned())]),
        }
    }

    pub(in crate::alert) fn message(lines: Vec<AlertLine>) -> Message {
        Message {
            id: AlertPostUid::new(SeededRandom::new(7).uuid_v7(at(0))),
            channel: "phong-truc".to_owned(),
            hub: "hub-1".to_owned(),
            at: at(90),
            occasion: Occasion::Alerts(AlertKind::NotTaken),
            recorded: true,
            lines,
            more: 0,
        }
    }

    #[test]
    fn people_read_a_table() {
        let mut message = message(vec![
            line(AlertChange::Raised, "so-tnmt"),
            line(AlertChange::Cleared, "ubnd-xa-son-duong"),
        ]);
        message.more = 3;
        let page = message.page();
        let rows: Vec<&str> = page.lines().filter(|row| row.contains("2026 ")).collect();
        assert_eq!(rows.len(), 3, "{page}");
        let column = |row: &str| row.split("Cảnh báo").next().unwrap().chars().count();
        assert_eq!(column(rows[0]), column(rows[1]), "{page}");
        for word in [
            "Việc cần làm",
            "What to do",
            "deliveries=12",
            "và 3 mục nữa",
            "hub-1",
        ] {
            assert!(page.contains(word), "{word}: {page}");
        }
        assert_eq!(
            message.title().0,
            "[Trục] Cảnh báo: Hệ thống nhận đã lâu không lấy văn bản về (5)"
        );
    }

    #[test]
    fn good_news_says_so() {
        let message = message(vec![line(AlertChange::Cleared, "so-tnmt")]);
        assert!(message.title().0.starts_with("[Trục] Đã hết: "));
        let json: Value = serde_json::from_slice(&message.json().unwrap()).unwrap();
        assert_eq!(json["all_clear"], true);
        assert_eq!(json["lines"][0]["change"], "cleared");
    }

    #[test]
    fn a_test_is_marked() {
        let id = AlertPostUid::new(SeededRandom::new(1).uuid_v7(at(0)));
        let test = Message::test(id, "phong-truc", "hub-1", at(0));
        let json: Value = serde_json::from_slice(&test.json().unwrap()).unwrap();
        assert_eq!((&json["test"], &json["kind"]), (&Value::Bool(true), &Value::Null));
        assert!(test.title().0.contains("THỬ") && test.page().contains("thông báo thử"));
    }

    /// The members that a schema describes, which must all be there.
    fn described(schema: &Value) -> Vec<String> {
        let required = schema["required"].as_array().unwrap();
        let mut names: Vec<String> = required
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        names.sort();
        let described: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        let mut sorted: Vec<String> = described.into_iter().cloned().collect();
        sorted.sort();
        assert_eq!(names, sorted, "every member is described and always there");
        names
    }

    fn members(value: &Value) -> Vec<String> {
        let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    }

    /// `TRUC_UPDATE=1 cargo test -p truc-server alert::message` rewrites the example.
    #[test]
    fn the_schema_and_its_example_are_the_programs() {
        let schemas = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        let schema: Value =
            serde_json::from_str(&std::fs::read_to_string(schemas.join("alert.json")).unwrap()).unwrap();
        let message = message(vec![line(AlertChange::Raised, "so-tnmt")]);
        let value: Value = serde_json::from_slice(&message.json().unwrap()).unwrap();
        assert_eq!(members(&value), described(&schema));
        assert_eq!(members(&value["lines"][0]), described(&schema["$defs"]["line"]));
        let words = |place: &Value| place["enum"].as_array().unwrap().clone();
        let kinds: Vec<Value> = AlertKind::ALL.iter().map(|kind| kind.as_str().into()).collect();
        assert_eq!(words(&schema["$defs"]["kind"]), kinds);
        let severities: Vec<Value> = Severity::ALL
            .iter()
            .map(|severity| severity.as_str().into())
            .collect();
        assert_eq!(words(&schema["$defs"]["severity"]), severities);
        let line = &schema["$defs"]["line"]["properties"];
        let changes: Vec<Value> = AlertChange::ALL
            .iter()
            .map(|change| change.as_str().into())
            .collect();
        assert_eq!(words(&line["change"]), changes);
        let turns = words(&schema["properties"]["turn"]["anyOf"][0]);
        for turn in AlertKind::ALL.iter().map(|kind| kind.turn().as_str()) {
            assert!(turns.contains(&turn.into()), "{turn}");
        }
        assert_eq!(
            schema["properties"]["lines"]["maxItems"],
            truc_ledger::alert::ALERT_LINES_MAX
        );
        let path = schemas.join("examples/alert.json");
        if std::env::var_os("TRUC_UPDATE").is_some() {
            std::fs::write(&path, serde_json::to_string_pretty(&value).unwrap() + "\n").unwrap();
        }
        let example: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(example, value);
    }

    #[test]
    fn what_is_not_recorded_says_so() {
        let mut message = message(vec![line(AlertChange::Raised, "hub-1")]);
        message.recorded = false;
        assert!(message.page().contains("bộ nhớ"));
    }
}
