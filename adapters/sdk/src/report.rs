//! Reporting what a recipient did with a document (or, 13, asking for one back): a strict status packet.

use std::fmt;

use jiff::Timestamp;
use truc_envelope::{DocumentPacket, Organization, ResponseFor, StaffInfo, StatusPacket, write_status};
use truc_model::clock::viet_nam;
use truc_model::{DocumentKind, MessageId, StatusCode, Urgency};

use crate::submit::Submission;

/// A status to report. Pure facts: the same report gives the same bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// The agency that reports: a recipient of the document, or for 13 its sender.
    pub from: Organization,
    /// The document, and the agency that the status goes to.
    pub about: ResponseFor,
    /// What happened.
    pub code: StatusCode,
    /// In words; must be there with 02, 13 and 16 ([`StatusCode::needs_reason`]).
    pub description: Option<String>,
    /// Who handles it. Personal data: for the two parties only.
    pub staff: Option<StaffInfo>,
    /// When it happened; written in Viet Nam time, whole seconds.
    pub at: Timestamp,
}

impl StatusReport {
    /// A recipient's report on a document it received.
    #[must_use]
    pub fn on(document: &DocumentPacket, from: Organization, code: StatusCode, at: Timestamp) -> Self {
        Self::about(from, about(document, document.from.organ_id.clone()), code, at)
    }

    /// 13: the sender asks one recipient, by its code, to give the document back.
    #[must_use]
    pub fn take_back(document: &DocumentPacket, recipient: &str, reason: &str, at: Timestamp) -> Self {
        Self {
            description: Some(reason.to_owned()),
            ..Self::about(
                document.from.clone(),
                about(document, recipient.to_owned()),
                StatusCode::TakeBack,
                at,
            )
        }
    }

    /// From its bare facts.
    #[must_use]
    pub const fn about(from: Organization, about: ResponseFor, code: StatusCode, at: Timestamp) -> Self {
        Self {
            from,
            about,
            code,
            description: None,
            staff: None,
            at,
        }
    }

    /// With a reason or remark.
    #[must_use]
    pub fn with_description(mut self, description: Option<String>) -> Self {
        self.description = description;
        self
    }

    /// The packet's bytes, in the strict form.
    #[must_use]
    pub fn packet(&self) -> Vec<u8> {
        let mut packet = StatusPacket::new(self.from.clone(), self.about.clone(), self.code);
        packet.staff.clone_from(&self.staff);
        packet.description.clone_from(&self.description);
        let local = self.at.to_zoned(viet_nam()).datetime();
        packet.timestamp = local.with().subsec_nanosecond(0).build().ok();
        write_status(&packet)
    }

    /// To be submitted under `message_id`.
    #[must_use]
    pub fn submission(&self, message_id: MessageId) -> Submission {
        Submission {
            message_id,
            kind: DocumentKind::Status,
            urgency: Urgency::Normal,
            from: self.from.organ_id.clone(),
            bytes: self.packet().into(),
        }
    }
}

impl fmt::Debug for StatusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusReport")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

fn about(document: &DocumentPacket, organ_id: String) -> ResponseFor {
    let code = document.code.to_string();
    ResponseFor {
        organ_id,
        code: (!code.is_empty()).then_some(code),
        promulgation_date: document.promulgation.date,
        document_id: Some(document.document_id.clone()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, datetime};
    use truc_envelope::{DocumentNumber, Limits, Packet, read};

    use super::*;

    fn document() -> DocumentPacket {
        let mut document = DocumentPacket {
            from: Organization::new("H60.1", "Sở Tài chính"),
            to: vec![Organization::new("H60.2.3", "Xã Tân Trào")],
            document_id: "H60.1,2026/03/02,12/STC-VP".to_owned(),
            code: DocumentNumber::new("12", "STC-VP"),
            ..DocumentPacket::default()
        };
        document.promulgation.date = Some(date(2026, 3, 2));
        document
    }

    fn reread(report: &StatusReport) -> StatusPacket {
        let reading = read(&report.packet(), &Limits::default()).unwrap();
        assert_eq!(reading.warnings, [], "the strict form");
        match reading.packet {
            Packet::Status(status) => *status,
            Packet::Document(_) => panic!("not a status"),
        }
    }

    #[test]
    fn a_report_says_who_and_about_what() {
        let document = document();
        let at = "2026-03-02T18:30:15.25Z".parse().unwrap();
        let report = StatusReport::on(&document, document.to[0].clone(), StatusCode::Rejected, at)
            .with_description(Some("Gửi nhầm nơi nhận".to_owned()));
        assert_eq!(report.packet(), report.packet());
        let packet = reread(&report);
        assert_eq!(packet.from.organ_id, "H60.2.3");
        assert_eq!(packet.response_for.organ_id, "H60.1");
        assert_eq!(
            packet.response_for.document_id.as_deref(),
            Some("H60.1,2026/03/02,12/STC-VP")
        );
        assert_eq!(packet.response_for.code.as_deref(), Some("12/STC-VP"));
        assert_eq!(packet.code, StatusCode::Rejected);
        assert_eq!(packet.description.as_deref(), Some("Gửi nhầm nơi nhận"));
        assert_eq!(packet.timestamp, Some(datetime(2026, 3, 3, 1, 30, 15, 0)));
    }

    #[test]
    fn a_take_back_runs_the_other_way() {
        let at = "2026-03-04T01:00:00Z".parse().unwrap();
        let report = StatusReport::take_back(&document(), "H60.2.3", "Ban hành nhầm", at);
        let packet = reread(&report);
        assert_eq!(packet.from.organ_id, "H60.1");
        assert_eq!(packet.response_for.organ_id, "H60.2.3");
        assert_eq!(packet.code, StatusCode::TakeBack);
    }
}
