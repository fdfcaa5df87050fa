//! `truc envelope show`: a packet on one page.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde_json::{Value, json};
use truc_envelope::{
    Attachment, DocumentPacket, Organization, Packet, Reading, Rejection, SignaturePresence, StatusPacket,
    Warning, Wrapping,
};
use truc_model::warning::WarningLevel;

use super::super::answer::{Answer, Exit, Trouble};
use super::super::show::{Facts, NONE, Table, day, number, one_line, or_none, size};
use super::packet_file::PacketFile;

/// Shows packets.
///
/// # Errors
/// [`Trouble`] when a file cannot be read.
pub(super) fn show(files: &[PathBuf], today: Date) -> Result<Answer, Trouble> {
    let mut pages = Vec::with_capacity(files.len());
    let mut values = Vec::with_capacity(files.len());
    let mut refused = 0;
    for file in files {
        let packet = PacketFile::open(file)?;
        let outcome = truc_envelope::read_from(&packet, &PacketFile::limits())
            .map_err(|error| Trouble::reading(file, &error))?;
        let (page, value) = match outcome {
            Ok(reading) => accepted(file, &reading, today),
            Err(rejection) => {
                refused += 1;
                rejected(file, &rejection)
            }
        };
        pages.push(page);
        values.push(value);
    }
    Answer::ending(
        Exit::unless_finding(refused == 0),
        pages.join("\n\n"),
        &json!({ "files": values }),
    )
}

fn accepted(file: &Path, reading: &Reading, today: Date) -> (String, Value) {
    let mut parts = vec![file.display().to_string()];
    let mut facts = Facts::default();
    match &reading.packet {
        Packet::Document(document) => document_facts(&mut facts, document),
        Packet::Status(status) => status_facts(&mut facts, status),
    }
    facts.add(
        "Dung lượng",
        format!("{}, SHA-256 {}", size(reading.size), reading.sha256),
    );
    parts.push(facts.text());
    if let Packet::Document(document) = &reading.packet {
        parts.push(format!("Nơi nhận\n{}", organizations(&document.to)));
        if !document.attachments.is_empty() {
            parts.push(format!("Tệp đính kèm\n{}", attachments(&document.attachments)));
        }
    }
    let warnings: Vec<Warning> = reading
        .warnings
        .iter()
        .cloned()
        .chain(reading.warnings_on(today))
        .collect();
    if !warnings.is_empty() {
        let mut table = Table::new(&["Mức", "Mã", "Vị trí", "Nội dung"]);
        for warning in &warnings {
            let level = match warning.code.level() {
                WarningLevel::Warning => "cảnh báo",
                WarningLevel::Note => "ghi chú",
            };
            table.row([
                level.to_owned(),
                warning.code.as_str().to_owned(),
                warning.place.to_string(),
                warning.code.sentences().0.to_owned(),
            ]);
        }
        parts.push(format!("Chưa đúng chuẩn, trục vẫn đọc được\n{}", table.text()));
    }
    let value = json!({
        "file": file, "accepted": true, "sha256": reading.sha256, "size": reading.size,
        "packet": reading.packet, "warnings": warnings,
    });
    (parts.join("\n\n"), value)
}

fn rejected(file: &Path, rejection: &Rejection) -> (String, Value) {
    let mut table = Table::new(&["Mã", "Vị trí", "Nội dung", "Cần", "Gặp"]);
    for finding in &rejection.findings {
        table.row([
            finding.code.as_str().to_owned(),
            finding.place.to_string(),
            finding.code.sentences().0.to_owned(),
            finding.expected.clone(),
            finding.found.clone(),
        ]);
    }
    let text = format!(
        "{}\n\nTrục sẽ từ chối gói tin này:\n{}",
        file.display(),
        table.text()
    );
    (
        text,
        json!({ "file": file, "accepted": false, "findings": rejection.findings }),
    )
}

fn document_facts(facts: &mut Facts, document: &DocumentPacket) {
    let text = document.code.to_string();
    facts.add(
        "Gói tin",
        format!(
            "văn bản, {}",
            document.business.operation.label_vi().to_lowercase()
        ),
    );
    facts.add(
        "Số, ký hiệu",
        if text.is_empty() { NONE.to_owned() } else { text },
    );
    facts.add(
        "Trích yếu",
        if document.subject.is_empty() {
            NONE.to_owned()
        } else {
            document.subject.clone()
        },
    );
    facts.maybe("Loại văn bản", document.document_type.name.as_deref());
    facts.maybe("Ngày ban hành", document.promulgation.date.map(day));
    facts.maybe("Nơi ban hành", document.promulgation.place.as_deref());
    facts.add("Đơn vị gửi", organization(&document.from));
    facts.add("DocumentId", document.document_id.as_str());
    facts.add("Độ khẩn", document.other.priority.label_vi());
    facts.maybe("Phạm vi", document.other.sphere.as_deref());
    facts.maybe("Hạn hồi báo", document.due_date.map(day));
    facts.maybe("Người ký", document.signer.full_name.as_deref());
    facts.maybe("Chức vụ", document.signer.position.as_deref());
    facts.maybe("Liên quan tới", document.business.document_id.as_deref());
    facts.maybe("Lý do", document.business.reason.as_deref());
    if !document.response_for.is_empty() {
        let answered: Vec<String> = document
            .response_for
            .iter()
            .map(|answered| or_none(answered.code.as_deref().or(answered.document_id.as_deref())))
            .collect();
        facts.add("Trả lời văn bản", answered.join("; "));
    }
    facts.add(
        "Chữ ký trong gói",
        match document.signature {
            SignaturePresence::Absent => "không có",
            SignaturePresence::XmlDsig => "có chữ ký XML (chưa được kiểm tra)",
            SignaturePresence::OtherForm => "có phần tử Signature, không phải chữ ký XML",
        },
    );
}

fn status_facts(facts: &mut Facts, status: &StatusPacket) {
    facts.add("Gói tin", "trạng thái xử lý");
    facts.add(
        "Trạng thái",
        format!("{} {}", status.code, status.code.label_vi()),
    );
    facts.add("Đơn vị báo", organization(&status.from));
    facts.add("Báo cho", status.response_for.organ_id.as_str());
    facts.maybe("Về văn bản số", status.response_for.code.as_deref());
    facts.maybe("Ban hành", status.response_for.promulgation_date.map(day));
    facts.maybe("DocumentId", status.response_for.document_id.as_deref());
    facts.maybe("Lý do, ý kiến", status.description.as_deref());
    facts.maybe(
        "Thời điểm",
        status
            .timestamp
            .map(|at| at.strftime("%d/%m/%Y %H:%M:%S").to_string()),
    );
}

fn organization(organization: &Organization) -> String {
    match organization.organ_name.as_deref() {
        Some(name) => format!("{} ({})", one_line(name), one_line(&organization.organ_id)),
        None => one_line(&organization.organ_id),
    }
}

fn organizations(organizations: &[Organization]) -> String {
    let mut table = Table::new(&["Mã định danh", "Tên"]);
    for one in organizations {
        table.row([one.organ_id.clone(), or_none(one.organ_name.as_deref())]);
    }
    table.text()
}

fn attachments(attachments: &[Attachment]) -> String {
    let mut table = Table::new(&[">#", "Tên", ">Dung lượng", "Dạng", "Nhãn", "SHA-256"]);
    for (index, file) in attachments.iter().enumerate() {
        let sniffed = match file.wrapper {
            Wrapping::None => file.sniffed.as_str().to_owned(),
            Wrapping::Wrapped => format!("{} (bọc zip)", file.sniffed.as_str()),
            Wrapping::OddZip => format!("{} (zip lạ)", file.sniffed.as_str()),
        };
        table.row([
            number(index as u64 + 1),
            file.name.clone(),
            size(file.length),
            sniffed,
            or_none(file.declared_type.as_deref()),
            file.sha256.to_string(),
        ]);
    }
    table.text()
}
