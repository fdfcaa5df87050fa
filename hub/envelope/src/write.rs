//! The strict form: what the hub and its adapters emit, and the national axis accepts.
//!
//! Prefixes, order and indentation are those of the axis's own tools. Absent values are left out,
//! never written empty. No signature is written: one over other bytes would not hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use truc_model::Operation;

use crate::date::{write_date, write_timestamp};
use crate::packet::{
    Attachment, Business, DocumentPacket, Organization, OtherInfo, PaperCopy, ReceiverChange, ResponseFor,
    RevisedPart, StaffInfo, StatusPacket, TraceHeader, Update,
};
use crate::vocabulary::{NS_QCVN, Tag};

/// Writes a document in the strict form. `attachments` are the files' bytes, one for each of
/// `packet.attachments` and in their order; where the two differ in number the shorter one counts, in
/// the manifest too.
#[must_use]
pub fn write_document(packet: &DocumentPacket, attachments: &[&[u8]]) -> Vec<u8> {
    let files: Vec<(&Attachment, &[u8])> = packet
        .attachments
        .iter()
        .zip(attachments.iter().copied())
        .collect();
    let mut xml = Writer::new();
    xml.envelope(|xml| {
        xml.element(Tag::EdXmlHeader, |xml| {
            xml.element(Tag::MessageHeader, |xml| message_header(xml, packet));
            xml.element(Tag::TraceHeaderList, |xml| trace_list(xml, packet));
        });
        xml.element(Tag::EdXmlBody, |xml| {
            xml.open(Tag::EdXmlManifest, " version=\"1.0\"");
            for (attachment, _) in &files {
                xml.element(Tag::Reference, |xml| {
                    xml.value(Tag::ContentId, &format!("cid:{}", attachment.content_id));
                    xml.optional(Tag::ContentType, attachment.declared_type.as_deref());
                    xml.optional(Tag::Description, attachment.description.as_deref());
                    xml.optional(Tag::AttachmentName, Some(&attachment.name));
                });
            }
            xml.close(Tag::EdXmlManifest);
        });
    });
    if !files.is_empty() {
        xml.attachments(&files);
    }
    xml.finish()
}

/// Writes a status in the strict form.
#[must_use]
pub fn write_status(packet: &StatusPacket) -> Vec<u8> {
    let mut xml = Writer::new();
    xml.envelope(|xml| {
        xml.element(Tag::EdXmlHeader, |xml| {
            xml.element(Tag::MessageHeader, |xml| {
                organization(xml, Tag::From, &packet.from);
                response_for(xml, &packet.response_for);
                staff(xml, packet.staff.as_ref());
                xml.value(Tag::StatusCode, packet.code.digits());
                xml.optional(Tag::Description, packet.description.as_deref());
                xml.optional(Tag::Timestamp, packet.timestamp.map(write_timestamp).as_deref());
            });
        });
    });
    xml.finish()
}

fn message_header(xml: &mut Writer, packet: &DocumentPacket) {
    organization(xml, Tag::From, &packet.from);
    for recipient in &packet.to {
        organization(xml, Tag::To, recipient);
    }
    xml.value(Tag::DocumentId, &packet.document_id);
    xml.group(Tag::Code, |xml| {
        xml.optional(Tag::CodeNumber, packet.code.number.as_deref());
        xml.optional(Tag::CodeNotation, packet.code.notation.as_deref());
    });
    xml.group(Tag::PromulgationInfo, |xml| {
        xml.optional(Tag::Place, packet.promulgation.place.as_deref());
        xml.optional(
            Tag::PromulgationDate,
            packet.promulgation.date.map(write_date).as_deref(),
        );
    });
    xml.group(Tag::DocumentType, |xml| {
        xml.number(Tag::Type, packet.document_type.number);
        xml.number(Tag::TypeDetail, packet.document_type.detail);
        xml.optional(Tag::TypeName, packet.document_type.name.as_deref());
    });
    xml.optional(Tag::Subject, Some(&packet.subject));
    xml.optional(Tag::Content, packet.content.as_deref());
    xml.group(Tag::SignerInfo, |xml| {
        xml.optional(Tag::Competence, packet.signer.competence.as_deref());
        xml.optional(Tag::Position, packet.signer.position.as_deref());
        xml.optional(Tag::FullName, packet.signer.full_name.as_deref());
    });
    xml.optional(Tag::DueDate, packet.due_date.map(write_date).as_deref());
    xml.group(Tag::OtherInfo, |xml| other_info(xml, &packet.other));
    for answered in &packet.response_for {
        response_for(xml, answered);
    }
    xml.number(Tag::SteeringType, packet.steering_type);
    xml.group(Tag::ResponseForTask, |xml| {
        xml.each(Tag::TaskCode, &packet.task_codes);
    });
    xml.optional(Tag::ApplicationType, packet.application_type.as_deref());
    xml.group(Tag::ToPlaces, |xml| xml.each(Tag::Place, &packet.to_places));
}

fn other_info(xml: &mut Writer, other: &OtherInfo) {
    xml.value(Tag::Priority, &other.priority.number().to_string());
    xml.optional(Tag::SphereOfPromulgation, other.sphere.as_deref());
    xml.optional(Tag::TyperNotation, other.typer_notation.as_deref());
    xml.number(Tag::PromulgationAmount, other.promulgation_amount);
    xml.number(Tag::PageAmount, other.page_amount);
    xml.optional(Tag::Direction, other.direction.as_deref());
    xml.optional(Tag::ReplyFors, other.reply_fors.as_deref());
    xml.optional(Tag::ReferenceCodes, other.reference_codes.as_deref());
    xml.group(Tag::Appendixes, |xml| xml.each(Tag::Appendix, &other.appendixes));
}

fn organization(xml: &mut Writer, tag: Tag, organization: &Organization) {
    xml.element(tag, |xml| {
        xml.value(Tag::OrganId, &organization.organ_id);
        xml.optional(
            Tag::OrganizationInCharge,
            organization.organization_in_charge.as_deref(),
        );
        xml.optional(Tag::OrganName, organization.organ_name.as_deref());
        xml.optional(Tag::OrganAdd, organization.address.as_deref());
        xml.optional(Tag::Email, organization.email.as_deref());
        xml.optional(Tag::Telephone, organization.telephone.as_deref());
        xml.optional(Tag::Fax, organization.fax.as_deref());
        xml.optional(Tag::Website, organization.website.as_deref());
    });
}

fn response_for(xml: &mut Writer, about: &ResponseFor) {
    xml.group(Tag::ResponseFor, |xml| {
        xml.optional(Tag::OrganId, Some(&about.organ_id));
        xml.optional(Tag::Code, about.code.as_deref());
        xml.optional(
            Tag::PromulgationDate,
            about.promulgation_date.map(write_date).as_deref(),
        );
        xml.optional(Tag::DocumentId, about.document_id.as_deref());
    });
}

fn staff(xml: &mut Writer, staff: Option<&StaffInfo>) {
    let Some(staff) = staff else { return };
    xml.group(Tag::StaffInfo, |xml| {
        xml.optional(Tag::Department, staff.department.as_deref());
        xml.optional(Tag::DepartmentId, staff.department_id.as_deref());
        xml.optional(Tag::Staff, staff.staff.as_deref());
        xml.optional(Tag::StaffId, staff.staff_id.as_deref());
        xml.optional(Tag::Email, staff.email.as_deref());
        xml.optional(Tag::Mobile, staff.mobile.as_deref());
    });
}

fn trace_list(xml: &mut Writer, packet: &DocumentPacket) {
    for TraceHeader { organ_id, timestamp } in &packet.trace {
        xml.group(Tag::TraceHeader, |xml| {
            xml.optional(Tag::OrganId, organ_id.as_deref());
            xml.optional(Tag::Timestamp, timestamp.map(write_timestamp).as_deref());
        });
    }
    xml.element(Tag::Bussiness, |xml| business(xml, &packet.business));
}

fn business(xml: &mut Writer, business: &Business) {
    xml.optional(Tag::DocumentId, business.document_id.as_deref());
    xml.value(
        Tag::BussinessDocType,
        &Operation::number(business.operation).to_string(),
    );
    xml.optional(Tag::BussinessDocReason, business.reason.as_deref());
    xml.optional(
        Tag::Paper,
        business.paper.map(|paper| match paper {
            PaperCopy::None => "0",
            PaperCopy::Follows => "1",
        }),
    );
    if let Some(update) = &business.update {
        xml.group(Tag::BussinessDocumentInfo, |xml| update_info(xml, update));
    }
    xml.group(Tag::ReplacementInfoList, |xml| {
        for replacement in &business.replacements {
            xml.element(Tag::ReplacementInfo, |xml| {
                xml.value(Tag::DocumentId, &replacement.document_id);
                xml.group(Tag::OrganIdList, |xml| {
                    xml.each(Tag::OrganId, &replacement.organ_ids);
                });
            });
        }
    });
    staff(xml, business.staff.as_ref());
}

fn update_info(xml: &mut Writer, update: &Update) {
    let part = |part: RevisedPart| match part {
        RevisedPart::Unchanged => "0",
        RevisedPart::Changed => "1",
    };
    xml.optional(Tag::DocumentInfo, update.information.map(part));
    xml.optional(Tag::DocumentReceiver, update.recipients.map(part));
    xml.group(Tag::ReceiverList, |xml| {
        for receiver in &update.receivers {
            let (organ_id, change) = match receiver {
                ReceiverChange::Removed(organ_id) => (organ_id, "0"),
                ReceiverChange::Added(organ_id) => (organ_id, "1"),
            };
            xml.element(Tag::Receiver, |xml| {
                xml.value(Tag::OrganId, organ_id);
                xml.value(Tag::ReceiverType, change);
            });
        }
    });
}

/// Writes elements, two spaces further in on each level.
struct Writer {
    xml: Vec<u8>,
    depth: usize,
}

impl Writer {
    fn new() -> Self {
        let mut writer = Self {
            xml: Vec::new(),
            depth: 1,
        };
        writer.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        writer.raw(&format!("<edXML xmlns=\"{NS_QCVN}\">\n"));
        writer
    }

    fn finish(mut self) -> Vec<u8> {
        self.raw("</edXML>\n");
        self.xml
    }

    fn envelope(&mut self, inside: impl FnOnce(&mut Self)) {
        self.open(Tag::EdXmlEnvelope, &format!(" xmlns:edXML=\"{NS_QCVN}\""));
        inside(self);
        self.close(Tag::EdXmlEnvelope);
    }

    /// The files stand outside the envelope, and but for the content without prefix.
    fn attachments(&mut self, files: &[(&Attachment, &[u8])]) {
        self.raw("  <AttachmentEncoded>\n");
        for (attachment, bytes) in files {
            self.raw("    <Attachment>\n");
            let plain = |writer: &mut Self, tag: Tag, value: Option<&str>| {
                let Some(value) = value.filter(|value| !value.is_empty()) else {
                    return;
                };
                writer.raw(&format!("      <{0}>{1}</{0}>\n", tag.as_str(), escape(value)));
            };
            plain(
                self,
                Tag::ContentId,
                Some(&format!("cid:{}", attachment.content_id)),
            );
            plain(self, Tag::AttachmentName, Some(&attachment.name));
            plain(self, Tag::Description, attachment.description.as_deref());
            plain(self, Tag::ContentType, attachment.declared_type.as_deref());
            self.raw(&format!(
                "      <edXML:ContentTransferEncoded xmlns:edXML=\"{NS_QCVN}\">"
            ));
            self.base64(bytes);
            self.raw("</edXML:ContentTransferEncoded>\n    </Attachment>\n");
        }
        self.raw("  </AttachmentEncoded>\n");
    }

    fn base64(&mut self, bytes: &[u8]) {
        /// A multiple of three, so that no padding stands within.
        const CHUNK: usize = 12 * 1024;
        self.xml.reserve(bytes.len() / 3 * 4 + 4);
        for chunk in bytes.chunks(CHUNK) {
            let encoded = STANDARD.encode(chunk);
            self.raw(&encoded);
        }
    }

    fn element(&mut self, tag: Tag, inside: impl FnOnce(&mut Self)) {
        self.open(tag, "");
        inside(self);
        self.close(tag);
    }

    /// An element that is left out when nothing is written inside.
    fn group(&mut self, tag: Tag, inside: impl FnOnce(&mut Self)) {
        let before = self.xml.len();
        self.open(tag, "");
        let opened = self.xml.len();
        inside(self);
        if self.xml.len() == opened {
            self.xml.truncate(before);
            self.depth -= 1;
        } else {
            self.close(tag);
        }
    }

    fn each(&mut self, tag: Tag, values: &[String]) {
        for value in values {
            self.optional(tag, Some(value));
        }
    }

    fn number(&mut self, tag: Tag, value: Option<u32>) {
        self.optional(tag, value.map(|value| value.to_string()).as_deref());
    }

    fn optional(&mut self, tag: Tag, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.value(tag, value);
        }
    }

    fn value(&mut self, tag: Tag, value: &str) {
        self.indent();
        self.raw(&format!(
            "<edXML:{0}>{1}</edXML:{0}>\n",
            tag.as_str(),
            escape(value)
        ));
    }

    fn open(&mut self, tag: Tag, attributes: &str) {
        self.indent();
        self.raw(&format!("<edXML:{}{attributes}>\n", tag.as_str()));
        self.depth += 1;
    }

    fn close(&mut self, tag: Tag) {
        self.depth -= 1;
        self.indent();
        self.raw(&format!("</edXML:{}>\n", tag.as_str()));
    }

    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.raw("  ");
        }
    }

    fn raw(&mut self, text: &str) {
        self.xml.extend_from_slice(text.as_bytes());
    }
}

/// Text for an element's content. A carriage return is written as a reference, or it would be read back
/// as a line feed; characters that XML does not allow are left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\r' => escaped.push_str("&#13;"),
            c if crate::tokens::is_allowed(c) => escaped.push(c),
            _ => {}
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("a<b>&c\r\n\u{1}đ]]>"), "a&lt;b&gt;&amp;c&#13;\nđ]]&gt;");
    }
}
