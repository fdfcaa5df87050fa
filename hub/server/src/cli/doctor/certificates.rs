//! The doctor looks at certificates: anchors, revocation lists, and what systems seal with.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use truc_directory::SignaturePolicy;
use truc_envelope::seal::{BoundCertificate, Trust};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::super::Context;
use super::super::show::{length, moment};
use super::{Area, Findings, Parts};
use crate::config::{Config, MissingCrl, StaleCrl};
use crate::telemetry::chain;
use crate::trust::{self, Freshness, List};

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
        anchors(path, now, &mut findings);
    }
    if config.seal.crls.is_empty() {
        no_lists(config.seal.missing_crl, &mut findings);
    }
    let loaded = match trust::load(&config.seal) {
        Ok(loaded) => Some(loaded),
        Err(error) => {
            findings.fault(chain(&error), "sửa seal.anchors và seal.crls trong cấu hình");
            None
        }
    };
    for list in loaded.iter().flat_map(|loaded| &loaded.lists) {
        revocation_list(list, now, config.seal.stale_crl, &mut findings);
    }
    match parts {
        Some(parts) => systems(
            parts,
            loaded.as_ref().map(|loaded| &loaded.trust),
            now,
            &mut findings,
        ),
        None => findings.unknown(
            "không xem được chứng thư của các hệ thống vì sổ cái không mở được",
            "sửa lỗi sổ cái ở trên",
        ),
    }
    findings
}

fn anchors(path: &Path, now: Timestamp, findings: &mut Findings) {
    // What `trust::load` says of a file that does not read is enough.
    let Ok(bytes) = trust::read(path) else { return };
    for (index, der) in CertificateDer::pem_slice_iter(&bytes).enumerate() {
        let Ok(der) = der else { return };
        let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
            return;
        };
        let end = certificate.validity().not_after.timestamp();
        let end = Timestamp::from_second(end).unwrap_or(Timestamp::MAX);
        expiry(
            format!(
                "chứng thư gốc {} (số {}), hết hạn {}",
                path.display(),
                index + 1,
                moment(end)
            ),
            end,
            now,
            "lấy chứng thư gốc mới của tổ chức chứng thực",
            findings,
        );
    }
}

fn no_lists(policy: MissingCrl, findings: &mut Findings) {
    let next = "khai tệp CRL vào seal.crls và làm mới chúng định kỳ";
    match policy {
        MissingCrl::Accept => findings.warn(
            "không có danh sách thu hồi (CRL): chứng thư bị thu hồi vẫn được chấp nhận",
            next,
        ),
        MissingCrl::Refuse => findings.fault(
            "không có danh sách thu hồi (CRL): mọi dấu niêm bị từ chối (seal.missing_crl)",
            next,
        ),
    }
}

fn revocation_list(list: &List, now: Timestamp, policy: StaleCrl, findings: &mut Findings) {
    let what = format!("danh sách thu hồi {} (số {})", list.path.display(), list.number);
    let end = moment(list.next_update);
    let next = "tải danh sách mới; đặt lịch tải tự động";
    match (list.freshness(now), policy) {
        (Freshness::Fresh, _) => findings.ok(format!(
            "{what} phát hành {}, kỳ sau {end}",
            moment(list.this_update)
        )),
        (Freshness::Due, _) => findings.warn(format!("{what} sắp cũ: phải được thay trước {end}"), next),
        (Freshness::Stale, StaleCrl::Use) => findings.warn(
            format!("{what} đã cũ, vẫn được dùng: lẽ ra được thay trước {end}"),
            next,
        ),
        (Freshness::Stale, StaleCrl::Refuse) => findings.fault(
            format!(
                "{what} đã cũ: lẽ ra được thay trước {end}; chứng thư do nơi này cấp bị từ chối (seal.stale_crl)"
            ),
            next,
        ),
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
        let refusal = trust.and_then(|trust| trust.check(&certificate, now, now).err());
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
