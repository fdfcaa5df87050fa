//! Recalls, updates, replacements and take-backs, for the clerk: a page beside the packet that says what is asked, of
//! which document, and how to answer. Vietnamese first, then English.
//!
//! What it leaves out: carrying the order out. Documents in `in/` belong to whoever takes them away, and what a clerk
//! has printed or forwarded no program can find.

use truc_adapter_sdk::IncomingStatus;
use truc_adapter_sdk::envelope::StatusPacket;
use truc_adapter_sdk::model::{DeliveryUid, Operation};

use crate::facts::{Content, Facts};
use crate::texts::Page;

/// `in/<delivery>.txt`, beside a packet that speaks of another document; `None` for a new one.
#[must_use]
pub fn page(facts: &Facts) -> Option<String> {
    let content = facts.content.as_ref()?;
    let mut page = Page::new_of(content.operation)?;
    page.line(
        "Nơi gửi · From",
        &format!("{} {}", content.sender.organ_id, content.sender.organ_name),
    );
    page.line("Số, ký hiệu · Number", &content.code);
    page.line("Cho · For", &names(content));
    for document_id in &content.speaks_of {
        page.line("Văn bản nói đến · Document", document_id);
    }
    if let Some(reason) = &content.reason {
        page.line("Lý do · Reason", reason);
    }
    here(&mut page, &facts.withdraws);
    let (vi, en) = demand(content.operation);
    page.line("Việc phải làm", vi);
    page.line("To do", en);
    if !content.operation.brings_a_document() {
        answer(&mut page, Some(facts.delivery));
    }
    Some(page.text())
}

/// `status-in/<delivery>.txt`, beside a status 13.
#[must_use]
pub fn take_back(packet: &StatusPacket, status: &IncomingStatus) -> String {
    let mut page = Page::new(
        "NƠI GỬI XIN LẤY LẠI VĂN BẢN",
        "The sender asks for a document back",
    );
    let from = &packet.from;
    page.line(
        "Nơi gửi · From",
        &format!(
            "{} {}",
            from.organ_id,
            from.organ_name.as_deref().unwrap_or_default()
        ),
    );
    page.line("Cho · For", &status.to.join(", "));
    let about = &packet.response_for;
    if let Some(document_id) = &about.document_id {
        page.line("Văn bản nói đến · Document", document_id);
    }
    if let Some(code) = &about.code {
        page.line("Số, ký hiệu · Number", code);
    }
    if let Some(reason) = &packet.description {
        page.line("Lý do · Reason", reason);
    }
    here(&mut page, &status.withdraws);
    let (vi, en) = demand(Operation::Recall);
    page.line("Việc phải làm", vi);
    page.line("To do", en);
    answer(&mut page, status.withdraws.first().copied());
    page.text()
}

/// What the recipient has to do. The law gives no right to refuse a recall (QĐ 28/2018 art. 9(2); NĐ 30/2020 art. 18(4)b).
const fn demand(operation: Operation) -> (&'static str, &'static str) {
    match operation {
        Operation::Recall => (
            "Hủy văn bản và mọi bản sao trong hệ thống của đơn vị, giữ lại yêu cầu này, rồi báo cáo.",
            "Destroy the document and every copy of it in your system, keep this order, then report.",
        ),
        Operation::Update => (
            "Thay nội dung hoặc nơi nhận như gói tin này nêu, rồi báo cáo.",
            "Change content or recipients as this packet says, then report.",
        ),
        Operation::New | Operation::Replacement => (
            "Dùng văn bản này thay cho văn bản nói đến ở trên.",
            "Use this document instead of the one named above.",
        ),
    }
}

fn here(page: &mut Page, withdraws: &[DeliveryUid]) {
    for delivery in withdraws {
        page.line("Đã nhận tại đây · Received here", &format!("in/{delivery}.edxml"));
    }
}

fn answer(page: &mut Page, delivery: Option<DeliveryUid>) {
    let delivery = delivery.map_or_else(
        || "<mã lần giao của văn bản · the document's delivery>".to_owned(),
        |delivery| delivery.to_string(),
    );
    page.list(
        "Báo cáo: thả vào status/ một tệp · To report, drop a file into status/",
        [
            format!("delivery = \"{delivery}\""),
            "code = \"15\"  (đã làm · done)".to_owned(),
            "code = \"16\" và reason = \"…\"  (không làm được, ngoại lệ · cannot be done, an exception)"
                .to_owned(),
        ]
        .into_iter(),
    );
}

fn names(content: &Content) -> String {
    let all = content.recipients.iter();
    let names: Vec<&str> = all.map(|recipient| recipient.organ_name.as_str()).collect();
    names.join(", ")
}

impl Page {
    fn new_of(operation: Operation) -> Option<Self> {
        Some(match operation {
            Operation::New => return None,
            Operation::Recall => Self::new("YÊU CẦU THU HỒI VĂN BẢN", "A document is recalled"),
            Operation::Update => Self::new("VĂN BẢN ĐƯỢC CẬP NHẬT", "A document is updated"),
            Operation::Replacement => Self::new("VĂN BẢN THAY THẾ", "A document replaces another"),
        })
    }
}
