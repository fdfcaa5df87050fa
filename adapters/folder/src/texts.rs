//! What people read: receipts, refusals and notices as aligned lines, Vietnamese first, then English.

use jiff::Timestamp;
use truc_adapter_sdk::model::clock::viet_nam;
use truc_adapter_sdk::model::delivery::TransportStateName;
use truc_adapter_sdk::model::wire::{DocumentReceipt, Notice, RefusalAnswer, StatusReceipt};
use truc_adapter_sdk::model::{MessageId, Place};

/// `receipts/<name>.txt`, for what was sent under `sent_as`.
#[must_use]
pub fn receipt(file: &str, sent_as: Option<MessageId>, receipt: &DocumentReceipt) -> String {
    // The receipt of the first submission answers every later one with the same bytes.
    let is_repeat = sent_as.is_some_and(|id| id != receipt.message_id);
    let mut page = if is_repeat {
        Page::new(
            "VĂN BẢN NÀY ĐÃ ĐƯỢC TIẾP NHẬN TỪ TRƯỚC: ĐÂY LÀ BIÊN NHẬN LẦN ĐẦU, TRỤC KHÔNG GIAO LẦN NỮA",
            "The hub had accepted this document before: this is its first receipt, nothing is delivered again",
        )
    } else {
        Page::new("TRỤC ĐÃ TIẾP NHẬN VĂN BẢN", "The hub has accepted the document")
    };
    page.line("Tệp · File", file);
    page.line("Mã văn bản · DocumentId", &receipt.document_id);
    page.line("Mã trên trục · Document", &receipt.document.to_string());
    page.line("Thời điểm · When", &time(receipt.accepted_at));
    page.line("Sự kiện · Event", &receipt.event.to_string());
    page.line("Dung lượng · Size", &format!("{} byte", receipt.size));
    page.line("SHA-256", &receipt.sha256.to_string());
    page.line("message_id", &receipt.message_id.to_string());
    page.list(
        "Nơi nhận · Recipients",
        receipt.recipients.iter().map(|line| {
            let cause = line
                .cause
                .as_deref()
                .map_or_else(String::new, |cause| format!(" ({cause})"));
            format!("{}: {}{cause}", line.code, state(line.state))
        }),
    );
    page.list(
        "Lưu ý · Warnings",
        receipt.warnings.iter().map(|line| {
            format!(
                "{} — {}: {} {}",
                line.code, line.place, line.message.vi, line.message.en
            )
        }),
    );
    page.text()
}

/// `receipts/<name>.txt`, when a whole status packet was dropped in `out/`.
#[must_use]
pub fn status_receipt(file: &str, receipt: &StatusReceipt) -> String {
    let mut page = Page::new("TRỤC ĐÃ TIẾP NHẬN TRẠNG THÁI", "The hub has accepted the status");
    page.line("Tệp · File", file);
    page.line(
        "Trạng thái · Status",
        &format!("{} {}", receipt.status, receipt.status.label_vi()),
    );
    page.line("Mã trên trục · Document", &receipt.document.to_string());
    page.line("Thời điểm · When", &time(receipt.accepted_at));
    page.line("Sự kiện · Event", &receipt.event.to_string());
    page.line("Kết quả · Effect", &receipt.effect);
    page.line("message_id", &receipt.message_id.to_string());
    page.text()
}

/// `refused/<name>.txt` and `status/refused/<name>.reason.txt`.
#[must_use]
pub fn refusal(file: &str, message_id: Option<MessageId>, refusal: &RefusalAnswer) -> String {
    let mut page = if refusal.event == LOCAL_EVENT {
        Page::new(
            "CHƯA GỬI LÊN TRỤC: TỆP KHÔNG DÙNG ĐƯỢC",
            "Not sent to the hub: the file cannot be used",
        )
    } else {
        Page::new("TRỤC TỪ CHỐI GÓI TIN", "The hub has refused the packet")
    };
    let (actor_vi, actor_en) = refusal.actor.labels();
    let (retry_vi, retry_en) = refusal.retry.sentences();
    page.line("Tệp · File", file);
    page.line("Mã lỗi · Code", refusal.code.as_str());
    page.line("Lý do", &refusal.message.vi);
    page.line("Reason", &refusal.message.en);
    page.line("Vị trí · Where", &place(&refusal.place));
    page.line("Yêu cầu · Expected", &refusal.expected);
    page.line("Thực tế · Found", &refusal.found);
    page.line("Người xử lý · Who must act", &format!("{actor_vi} · {actor_en}"));
    page.line("Gửi lại", retry_vi);
    page.line("Sending again", retry_en);
    page.line("Thời điểm · When", &time(refusal.refused_at));
    if refusal.event != LOCAL_EVENT {
        page.line("Sự kiện · Event", &refusal.event.to_string());
    }
    if let Some(message_id) = message_id {
        page.line("message_id", &message_id.to_string());
    }
    page.list(
        "Các lỗi khác · Further findings",
        refusal.also.iter().map(|finding| {
            let (vi, en) = finding.code.sentences();
            format!(
                "{} — {}: {vi} {en} ({} → {})",
                finding.code,
                place(&finding.place),
                finding.expected,
                finding.found
            )
        }),
    );
    page.text()
}

/// `notices/<event>-<code>.txt`.
#[must_use]
pub fn notice(notice: &Notice) -> String {
    let mut page = Page::new("THÔNG BÁO CỦA TRỤC", "A notice of the hub");
    page.line("Loại · Kind", notice.code.as_str());
    page.line("Nội dung", &notice.message.vi);
    page.line("In words", &notice.message.en);
    page.line("Mã văn bản · DocumentId", &notice.document_id);
    page.line("Mã trên trục · Document", &notice.document.to_string());
    page.line(
        "Nơi nhận · Recipient",
        notice.recipient.as_deref().unwrap_or("tất cả · all"),
    );
    page.line("Nguyên nhân · Cause", &notice.cause);
    page.line("Thời điểm · When", &time(notice.at));
    page.line("Sự kiện · Event", &notice.event.to_string());
    page.text()
}

/// The event number of a refusal that this adapter made itself: the hub's begin at 1.
pub const LOCAL_EVENT: u64 = 0;

/// Vietnamese and English words for where a delivery stands.
fn state(state: TransportStateName) -> &'static str {
    match state {
        TransportStateName::Scheduled => "chờ gửi · scheduled",
        TransportStateName::Forwarded => "đã gửi · forwarded",
        TransportStateName::Taken => "đã nhận về hệ thống · taken",
        TransportStateName::Refused => "hệ thống nhận từ chối · refused",
        TransportStateName::Withdrawn => "đã lấy lại · withdrawn",
        TransportStateName::Undeliverable => "không gửi được · undeliverable",
        TransportStateName::Parked => "chờ cán bộ vận hành · parked",
    }
}

/// A key of a report file is written as its name; everything else as it stands.
fn place(place: &Place) -> String {
    match place {
        Place::Json { pointer } => pointer.trim_start_matches('/').to_owned(),
        Place::Message => "cả tệp · the whole file".to_owned(),
        other => other.to_string(),
    }
}

fn time(at: Timestamp) -> String {
    at.to_zoned(viet_nam())
        .strftime("%d/%m/%Y %H:%M:%S (UTC+7)")
        .to_string()
}

/// Lines whose colons stand below each other.
pub(crate) struct Page {
    title: (&'static str, &'static str),
    lines: Vec<(String, String)>,
    lists: Vec<(String, Vec<String>)>,
}

impl Page {
    pub(crate) const fn new(vi: &'static str, en: &'static str) -> Self {
        Self {
            title: (vi, en),
            lines: Vec::new(),
            lists: Vec::new(),
        }
    }

    pub(crate) fn line(&mut self, label: &str, value: &str) {
        // One line each, whatever a value holds.
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        self.lines.push((label.to_owned(), value));
    }

    pub(crate) fn list(&mut self, label: &str, items: impl Iterator<Item = String>) {
        let items: Vec<String> = items.collect();
        if !items.is_empty() {
            self.lists.push((label.to_owned(), items));
        }
    }

    pub(crate) fn text(&self) -> String {
        let width = self
            .lines
            .iter()
            .map(|(label, _)| label.chars().count())
            .max()
            .unwrap_or(0);
        let mut text = format!("{}\n{}\n\n", self.title.0, self.title.1);
        for (label, value) in &self.lines {
            text.push_str(&format!("{label:width$} : {value}\n"));
        }
        for (label, items) in &self.lists {
            text.push_str(&format!("\n{label}\n"));
            for item in items {
                text.push_str(&format!("  - {item}\n"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use truc_adapter_sdk::model::wire::{RecipientLine, WarningLine};
    use truc_adapter_sdk::model::{
        DocumentUid, Party, Refusal, RefusalCode, Sha256, StatusCode, WarningCode,
    };
    use uuid::Uuid;

    use super::*;

    fn at() -> Timestamp {
        "2026-03-02T18:30:15Z".parse().unwrap()
    }

    fn id() -> MessageId {
        MessageId::new(Uuid::from_u128(7))
    }

    fn finding(code: RefusalCode, place: Place) -> Refusal {
        Refusal::new(code, place, "exactly one", "none")
    }

    #[test]
    fn a_refusal_as_people_read_it() {
        let element = Place::Element {
            path: "edXML/To".to_owned(),
            line: 12,
            column: 3,
        };
        let findings = vec![
            finding(RefusalCode::AttachmentMissing, Place::Message),
            finding(RefusalCode::RecipientMissing, element),
        ];
        let answer = RefusalAnswer::of(Some(id()), findings, 41, at()).unwrap();
        let expected = "\
TRỤC TỪ CHỐI GÓI TIN
The hub has refused the packet

Tệp · File               : cv 12.edxml
Mã lỗi · Code            : recipient-missing
Lý do                    : Văn bản không có nơi nhận.
Reason                   : The document has no recipient.
Vị trí · Where           : edXML/To (12:3)
Yêu cầu · Expected       : exactly one
Thực tế · Found          : none
Người xử lý · Who must act : văn thư đơn vị gửi · the sender's clerk
Gửi lại                  : Sửa lỗi rồi gửi lại như một lần gửi mới.
Sending again            : Correct it, then send it again as a new submission.
Thời điểm · When         : 03/03/2026 01:30:15 (UTC+7)
Sự kiện · Event          : 41
message_id               : 00000000-0000-0000-0000-000000000007

Các lỗi khác · Further findings
  - attachment-missing — cả tệp · the whole file: Văn bản không có tệp đính kèm. The document has no attachment. (exactly one → none)
";
        let found = refusal("cv 12.edxml", Some(id()), &answer);
        // The colons stand below the longest label's; the page above is written with another width.
        assert_eq!(squeezed(&found), squeezed(expected));
        let colons: Vec<usize> = found
            .lines()
            .filter_map(|line| line.split_once(" : "))
            .map(|(label, _)| label.chars().count())
            .collect();
        assert!(colons.windows(2).all(|pair| pair[0] == pair[1]), "{found}");
    }

    /// Runs of spaces made one.
    fn squeezed(text: &str) -> Vec<String> {
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn a_receipt_as_people_read_it() {
        let said = DocumentReceipt {
            message_id: id(),
            document: DocumentUid::new(Uuid::from_u128(8)),
            document_id: "H60.1,2026/03/02,12/STC-VP".to_owned(),
            event: 40,
            accepted_at: at(),
            sha256: Sha256::of(b"abc"),
            size: 3,
            recipients: vec![
                RecipientLine {
                    code: "H60.2.3".to_owned(),
                    party: Party::Unresolved(String::new()),
                    state: TransportStateName::Scheduled,
                    delivery: None,
                    cause: None,
                },
                RecipientLine {
                    code: "H99".to_owned(),
                    party: Party::Unresolved("H99".to_owned()),
                    state: TransportStateName::Undeliverable,
                    delivery: None,
                    cause: Some("unknown-code".to_owned()),
                },
            ],
            warnings: vec![WarningLine::new(WarningCode::DateForm, Place::Message)],
        };
        let text = receipt("a.edxml", Some(id()), &said);
        assert!(text.starts_with("TRỤC ĐÃ TIẾP NHẬN VĂN BẢN\n"), "{text}");
        let again = receipt("a.edxml", Some(MessageId::new(Uuid::from_u128(9))), &said);
        assert!(
            again.starts_with("VĂN BẢN NÀY ĐÃ ĐƯỢC TIẾP NHẬN TỪ TRƯỚC"),
            "{again}"
        );
        for line in [
            "Mã văn bản · DocumentId : H60.1,2026/03/02,12/STC-VP",
            "  - H60.2.3: chờ gửi · scheduled",
            "  - H99: không gửi được · undeliverable (unknown-code)",
            "  - date-form — message: Ngày không ở dạng yyyy/MM/dd. A date is not of the form yyyy/MM/dd.",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn values_stay_on_their_line() {
        let mut answer =
            RefusalAnswer::of(None, vec![finding(RefusalCode::Loop, Place::Message)], 0, at()).unwrap();
        answer.found = "a\nTệp · File : forged".to_owned();
        let text = refusal("x", None, &answer);
        assert_eq!(text.lines().filter(|line| line.starts_with("Tệp")).count(), 1);
        assert!(text.starts_with("CHƯA GỬI LÊN TRỤC"));
    }

    #[test]
    fn a_status_receipt_names_the_status() {
        let said = StatusReceipt {
            message_id: id(),
            document: DocumentUid::new(Uuid::from_u128(8)),
            status: StatusCode::Finished,
            recipient: Party::Unresolved(String::new()),
            event: 5,
            accepted_at: at(),
            effect: "moved".to_owned(),
            passed_on: true,
        };
        assert!(status_receipt("a", &said).contains("06 Hoàn thành"));
    }
}
