//! The packets of the demo: plausible documents of Tuyên Quang, with a small real PDF each. Subjects and
//! people are made up.

use jiff::civil::Date;
use truc_envelope::{
    Attachment, Business, DocumentNumber, DocumentPacket, DocumentType, Organization, OtherInfo,
    Promulgation, Signer, TraceHeader, write_document,
};
use truc_model::{Operation, Urgency};

/// What differs from packet to packet.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// Sender: code and name.
    pub from: (&'a str, &'a str),
    /// Recipients: code and name.
    pub to: Vec<(String, String)>,
    /// Number, e.g. 112.
    pub number: u32,
    /// Notation, e.g. `BC-UBND`.
    pub notation: &'a str,
    /// Name of the type, e.g. `Báo cáo`.
    pub type_name: &'a str,
    /// Number of the type among administrative documents.
    pub type_detail: u32,
    /// Abstract.
    pub subject: &'a str,
    /// Urgency.
    pub urgency: Urgency,
    /// Date of issue.
    pub issued: Date,
    /// Bytes of filler in the attachment, to reach a size.
    pub filler: usize,
}

impl<'a> Draft<'a> {
    /// A letter (*công văn*) of no urgency; what differs is changed in the value.
    #[must_use]
    pub fn letter(from: (&'a str, &'a str), to: &[(&str, &str)], number: u32, issued: Date) -> Self {
        Self {
            from,
            to: to
                .iter()
                .map(|(code, name)| ((*code).to_owned(), (*name).to_owned()))
                .collect(),
            number,
            notation: "VP-TH",
            type_name: "Công văn",
            type_detail: 18,
            subject: "V/v báo cáo",
            urgency: Urgency::Normal,
            issued,
            filler: 0,
        }
    }

    /// `<code>,<date>,<number>/<notation>`: the usual form of a DocumentId.
    #[must_use]
    pub fn document_id(&self) -> String {
        format!(
            "{},{},{}/{}",
            self.from.0,
            self.issued.strftime("%Y/%m/%d"),
            self.number,
            self.notation
        )
    }

    /// The packet's bytes, in the strict form.
    #[must_use]
    pub fn packet(&self) -> Vec<u8> {
        let file = pdf(
            &format!("{} {}/{}", self.from.0, self.number, self.notation),
            self.filler,
        );
        let organization = |code: &str, name: &str| Organization::new(code, name);
        let document = DocumentPacket {
            from: organization(self.from.0, self.from.1),
            to: self
                .to
                .iter()
                .map(|(code, name)| organization(code, name))
                .collect(),
            document_id: self.document_id(),
            code: DocumentNumber::new(self.number.to_string(), self.notation),
            promulgation: Promulgation {
                place: Some("Tuyên Quang".to_owned()),
                date: Some(self.issued),
            },
            document_type: DocumentType {
                number: Some(2),
                detail: Some(self.type_detail),
                name: Some(self.type_name.to_owned()),
            },
            subject: self.subject.to_owned(),
            signer: Signer {
                competence: Some("TM. ỦY BAN NHÂN DÂN".to_owned()),
                position: Some("Chủ tịch".to_owned()),
                full_name: Some("Người ký mẫu".to_owned()),
            },
            other: OtherInfo {
                priority: self.urgency,
                promulgation_amount: Some(1),
                page_amount: Some(1),
                ..OtherInfo::default()
            },
            trace: vec![TraceHeader {
                organ_id: Some(self.from.0.to_owned()),
                timestamp: Some(self.issued.at(8, 0, 0, 0)),
            }],
            business: Business {
                operation: Operation::New,
                reason: Some("Văn bản điện tử mới".to_owned()),
                ..Business::default()
            },
            attachments: vec![Attachment::of(
                "1",
                format!("{}-{}.pdf", self.number, self.notation),
                Some("application/pdf"),
                &file,
            )],
            ..DocumentPacket::default()
        };
        write_document(&document, &[&file])
    }
}

/// A PDF of one page with one line of text, and `filler` bytes of comment.
#[must_use]
pub fn pdf(line: &str, filler: usize) -> Vec<u8> {
    let text: String = line
        .chars()
        .filter(|c| c.is_ascii() && !"()\\".contains(*c))
        .collect();
    let stream = format!("BT /F1 14 Tf 72 760 Td ({text}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
         /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()),
    ];
    let mut bytes = b"%PDF-1.4\n".to_vec();
    if filler > 0 {
        bytes.push(b'%');
        bytes.extend(
            line.bytes()
                .filter(u8::is_ascii_alphanumeric)
                .cycle()
                .take(filler),
        );
        bytes.push(b'\n');
    }
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(bytes.len());
        bytes.extend(format!("{} 0 obj\n{object}\nendobj\n", index + 1).bytes());
    }
    let table = bytes.len();
    bytes.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for offset in &offsets {
        bytes.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    bytes.extend(
        format!(
            "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n",
            objects.len() + 1
        )
        .bytes(),
    );
    bytes
}

#[cfg(test)]
mod tests {
    use truc_envelope::{Limits, lint};

    use super::*;

    #[test]
    fn the_demo_sends_strict_packets() {
        let (from, to) = (("000.00.09.H60", "Sở"), [("000.00.34.H60", "UBND huyện")]);
        let letter = Draft::letter(from, &to, 12, jiff::civil::date(2026, 3, 1));
        let draft = Draft {
            urgency: Urgency::Urgent,
            filler: 100,
            ..letter
        };
        let found = lint(&draft.packet(), &Limits::default(), jiff::civil::date(2026, 3, 2));
        assert!(
            found.strict_ok() && found.findings.is_empty(),
            "{:?}",
            found.findings
        );
    }
}
