//! The doctor looks at certificates: anchors, revocation lists, and what systems seal with.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use truc_directory::SignaturePolicy;
use truc_envelope::seal::{BoundCertificate, Trust};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::super::Context;
use super::super::show::{length, moment};
use super::{Area, Findings, Parts};
use crate::app;
use crate::config::Config;
use crate::telemetry::chain;

/// Days before the end of a certificate from which on it is warned of.
const EXPIRES_WARN_DAYS: i64 = 30;

/// Looks.
pub(super) fn look(context: &Context, config: &Config, parts: Option<&Parts<'_>>) -> Findings {
    let mut findings = Findings::new(Area::Certificates);
    let now = context.clock.now();
    if config.seal.anchors.is_empty() {
        findings.warn(
            "chưa khai chứng thư gốc nào: mọi dấu niêm sẽ bị từ chối",
            "khai tệp PEM của tổ chức chứng thực vào seal.anchors",
        );
    }
    for path in &config.seal.anchors {
        anchor(path, now, &mut findings);
    }
    if config.seal.crls.is_empty() {
        findings.warn(
            "không có danh sách thu hồi (CRL): chứng thư bị thu hồi vẫn được chấp nhận",
            "khai tệp CRL vào seal.crls và làm mới chúng định kỳ",
        );
    }
    for path in &config.seal.crls {
        crl(path, now, &mut findings);
    }
    let trust = match app::trust(config) {
        Ok(trust) => Some(trust),
        Err(error) => {
            findings.fault(chain(&error), "sửa seal.anchors và seal.crls trong cấu hình");
            None
        }
    };
    match parts {
        Some(parts) => systems(parts, trust.as_ref(), now, &mut findings),
        None => findings.unknown(
            "không xem được chứng thư của các hệ thống vì sổ cái không mở được",
            "sửa lỗi sổ cái ở trên",
        ),
    }
    findings
}

fn anchor(path: &Path, now: Timestamp, findings: &mut Findings) {
    let shown = path.display();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        // What `app::trust` says of the same file is enough.
        Err(_) => return,
    };
    match BoundCertificate::from_pem(&text) {
        Ok(certificate) => {
            let what = format!(
                "chứng thư gốc {shown}, hết hạn {}",
                moment(certificate.not_after())
            );
            expiry(
                what,
                certificate.not_after(),
                now,
                "lấy chứng thư gốc mới của tổ chức chứng thực",
                findings,
            );
        }
        Err(error) => findings.fault(
            format!("chứng thư gốc {shown}: {}", chain(&error)),
            "thay bằng tệp PEM đúng",
        ),
    }
}

fn crl(path: &Path, now: Timestamp, findings: &mut Findings) {
    let shown = path.display();
    let Ok(bytes) = std::fs::read(path) else { return };
    let der = match parse_x509_pem(&bytes) {
        Ok((_, pem)) => pem.contents,
        Err(_) => bytes,
    };
    let Ok((_, list)) = CertificateRevocationList::from_der(&der) else {
        findings.fault(
            format!("danh sách thu hồi {shown} không đọc được"),
            "tải lại từ tổ chức chứng thực",
        );
        return;
    };
    let time = |seconds: i64| Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    let issued = moment(time(list.last_update().timestamp()));
    match list.next_update() {
        Some(next) if time(next.timestamp()) < now => findings.warn(
            format!(
                "danh sách thu hồi {shown} đã cũ: lẽ ra được thay trước {}",
                moment(time(next.timestamp()))
            ),
            "tải danh sách mới; đặt lịch tải tự động",
        ),
        Some(next) => findings.ok(format!(
            "danh sách thu hồi {shown} phát hành {issued}, kỳ sau {}",
            moment(time(next.timestamp()))
        )),
        None => findings.ok(format!(
            "danh sách thu hồi {shown} phát hành {issued}, không ghi kỳ sau"
        )),
    }
}

fn systems(parts: &Parts<'_>, trust: Option<&Trust>, now: Timestamp, findings: &mut Findings) {
    let today = parts.context.clock.today();
    for system in parts.directory.systems() {
        let id = &system.id;
        let renew = format!("truc system rotate {id} --certificate PEM");
        let mut latest: Option<BoundCertificate> = None;
        let mut any = false;
        for row in system.certificates_on(today) {
            any = true;
            match BoundCertificate::from_pem(&row.pem) {
                Ok(read) => {
                    if latest
                        .as_ref()
                        .is_none_or(|best| best.not_after() < read.not_after())
                    {
                        latest = Some(read);
                    }
                }
                Err(error) => findings.fault(
                    format!(
                        "chứng thư {} của {id} không đọc được: {}",
                        row.thumbprint,
                        chain(&error)
                    ),
                    renew.clone(),
                ),
            }
        }
        let Some(certificate) = latest else {
            let sealed = matches!(
                system.policy.signature,
                SignaturePolicy::Either | SignaturePolicy::Seal
            );
            if !any && sealed {
                findings.warn(
                    format!("hệ thống {id} chưa có chứng thư: gói tin niêm của nó sẽ bị từ chối"),
                    format!("truc system add {id} --certificate PEM"),
                );
            }
            continue;
        };
        let refusal = trust.and_then(|trust| trust.check(&certificate, now).err());
        match refusal {
            Some(refusal) => findings.fault(
                format!(
                    "chứng thư của {id}: {} ({})",
                    refusal.code.sentences().0,
                    refusal.code
                ),
                renew,
            ),
            None => {
                let what = format!("chứng thư của {id}, hết hạn {}", moment(certificate.not_after()));
                expiry(what, certificate.not_after(), now, renew, findings);
            }
        }
    }
}

fn expiry(
    what: String,
    not_after: Timestamp,
    now: Timestamp,
    next: impl Into<String>,
    findings: &mut Findings,
) {
    let left = not_after.duration_since(now);
    if left.is_negative() {
        findings.fault(format!("{what}: ĐÃ HẾT HẠN"), next);
    } else if left < SignedDuration::from_hours(EXPIRES_WARN_DAYS * 24) {
        findings.warn(format!("{what}: còn {}", length(left.as_secs())), next);
    } else {
        findings.ok(what);
    }
}
