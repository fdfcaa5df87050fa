//! The doctor looks at the disk the ledger lies on: free space, and how long a flush takes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::show::size;
use super::{Area, Findings};
use crate::config::Config;

/// Below this much free space the hub will stop soon.
const FREE_FAULT: u64 = 256 << 20;
/// Below this much someone should make room.
const FREE_WARN: u64 = 2 << 30;
/// A flush that takes longer than this holds up every group of submissions.
const FLUSH_WARN: Duration = Duration::from_millis(50);
/// A flush quicker than this did not reach a disk.
const FLUSH_TOO_QUICK: Duration = Duration::from_micros(20);
/// Flushes measured; the median counts.
const FLUSHES: usize = 9;

/// Looks.
pub(super) fn look(config: &Config) -> Findings {
    let mut findings = Findings::new(Area::Disk);
    let Some(file) = config.ledger.file() else {
        findings.ok("sổ cái ở máy chủ PostgreSQL: xem đĩa và fsync của máy ấy (docs/operating/postgres.md)");
        return findings;
    };
    let folder = folder_of(file);
    match rustix::fs::statvfs(&folder) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let total = stat.f_blocks.saturating_mul(stat.f_frsize);
            let what = format!("{}: còn {} trên {}", folder.display(), size(free), size(total));
            let next = "giải phóng đĩa; khi hết chỗ trục ngừng nhận (không mất gì đã nhận)";
            if free < FREE_FAULT {
                findings.fault(what, next);
            } else if free < FREE_WARN {
                findings.warn(what, next);
            } else {
                findings.ok(what);
            }
        }
        Err(error) => findings.fault(
            format!("không xem được {}: {error}", folder.display()),
            "kiểm tra ledger.path trong cấu hình",
        ),
    }
    match flush(&folder) {
        Ok(median) => {
            let what = format!("ghi xuống đĩa (fsync) mất {}", milliseconds(median));
            if median > FLUSH_WARN {
                findings.warn(
                    what,
                    "đĩa chậm: mỗi nhóm gói tin chờ chừng ấy; dùng SSD hoặc bộ điều khiển có pin",
                );
            } else if median < FLUSH_TOO_QUICK {
                findings.warn(
                    what,
                    "nhanh đến mức đáng ngờ: ổ ảo hoặc bộ nhớ tạm có thể không ghi thật xuống đĩa (mất điện là mất dữ liệu)",
                );
            } else {
                findings.ok(what);
            }
        }
        Err(error) => findings.fault(
            format!("không ghi thử được vào {}: {error}", folder.display()),
            "cho tài khoản chạy trục quyền ghi vào thư mục của sổ cái",
        ),
    }
    findings
}

fn folder_of(ledger: &Path) -> PathBuf {
    let folder = match ledger.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    // Where it really lies; what does not exist is told as it was written.
    folder.canonicalize().unwrap_or(folder)
}

/// The median time of a small write that is waited for until it is on disk. The file is gone afterwards.
fn flush(folder: &Path) -> std::io::Result<Duration> {
    let path = folder.join(format!(".truc-doctor-{}", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    let measured = (|| {
        let mut times = Vec::with_capacity(FLUSHES);
        for _ in 0..FLUSHES {
            file.write_all(&[0; 4096])?;
            let begun = Instant::now();
            file.sync_data()?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        Ok(times[FLUSHES / 2])
    })();
    std::fs::remove_file(&path)?;
    measured
}

/// `0,8 ms`.
fn milliseconds(time: Duration) -> String {
    let hundredths = time.as_micros() / 10;
    format!("{},{:02} ms", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        assert!(flush(dir.path()).is_ok());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(flush(&dir.path().join("missing")).is_err());
    }

    #[test]
    fn times_have_a_comma() {
        assert_eq!(milliseconds(Duration::from_micros(812)), "0,81 ms");
        assert_eq!(milliseconds(Duration::from_millis(50)), "50,00 ms");
    }

    #[test]
    fn a_ledger_without_a_folder_lies_here() {
        assert_eq!(
            folder_of(Path::new("truc.db")),
            Path::new(".").canonicalize().unwrap()
        );
        assert_eq!(
            folder_of(Path::new("/none/such/truc.db")),
            Path::new("/none/such")
        );
    }
}
