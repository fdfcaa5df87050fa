//! `truc doctor`: looks at everything the hub needs, says what is wrong and what to do, changes nothing.
//!
//! Each part looks by itself and gives findings; a part that cannot look says why instead of keeping
//! silent. One fault makes the exit code 1.

mod broker;
mod certificates;
mod clock;
mod deliveries;
mod disk;
mod ledger;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use truc_directory::{Directory, Severity};
use truc_ledger::Ledger;

use super::Context;
use super::answer::{Answer, Exit, Trouble};
use super::show::number;
use crate::app;

/// Options of `truc doctor`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How many of the last events are checked against the chain
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=EVENTS_MAX))]
    pub events: u32,
}

/// Most events checked by the doctor; the whole chain is `truc ledger verify`.
const EVENTS_MAX: i64 = 1_000_000;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Area {
    Broker,
    Ledger,
    Disk,
    Clock,
    Certificates,
    Directory,
    Deliveries,
}

impl Area {
    const ALL: [Self; 7] = [
        Self::Broker,
        Self::Ledger,
        Self::Disk,
        Self::Clock,
        Self::Certificates,
        Self::Directory,
        Self::Deliveries,
    ];

    const fn label_vi(self) -> &'static str {
        match self {
            Self::Broker => "RABBITMQ",
            Self::Ledger => "SỔ CÁI",
            Self::Disk => "ĐĨA",
            Self::Clock => "ĐỒNG HỒ",
            Self::Certificates => "CHỨNG THƯ",
            Self::Directory => "DANH MỤC",
            Self::Deliveries => "GIAO NHẬN",
        }
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Could not be checked.
    Unknown,
    /// Someone should look.
    Warning,
    /// The hub does not work, or will soon not.
    Fault,
}

impl Level {
    const fn label_vi(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Unknown => "KHÔNG RÕ",
            Self::Warning => "CẢNH BÁO",
            Self::Fault => "LỖI",
        }
    }
}

/// One line of the doctor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    area: Area,
    level: Level,
    what: String,
    next: Option<String>,
}

/// The findings of one area.
pub(super) struct Findings {
    area: Area,
    list: Vec<Finding>,
}

impl Findings {
    pub(super) const fn new(area: Area) -> Self {
        Self {
            area,
            list: Vec::new(),
        }
    }

    fn push(&mut self, level: Level, what: impl Into<String>, next: Option<String>) {
        self.list.push(Finding {
            area: self.area,
            level,
            what: what.into(),
            next,
        });
    }

    /// As it should be.
    pub(super) fn ok(&mut self, what: impl Into<String>) {
        self.push(Level::Ok, what, None);
    }

    /// Could not be checked, and why.
    pub(super) fn unknown(&mut self, what: impl Into<String>, next: impl Into<String>) {
        self.push(Level::Unknown, what, Some(next.into()));
    }

    /// Someone should look.
    pub(super) fn warn(&mut self, what: impl Into<String>, next: impl Into<String>) {
        self.push(Level::Warning, what, Some(next.into()));
    }

    /// It does not work.
    pub(super) fn fault(&mut self, what: impl Into<String>, next: impl Into<String>) {
        self.push(Level::Fault, what, Some(next.into()));
    }
}

/// Looks at everything.
///
/// # Errors
/// [`Trouble`] when there is no configuration to go by.
pub(super) async fn doctor(context: &Context, options: &Options) -> Result<Answer, Trouble> {
    let config = context.config()?;
    let opened = match app::open_ledger(&config, context.clock.clone(), context.random.clone()).await {
        Ok(ledger) => match app::directory(&ledger).await {
            Ok(directory) => Ok((ledger, directory)),
            Err(error) => Err(Trouble::from(error)),
        },
        Err(error) => Err(Trouble::from(error)),
    };
    let parts = opened.as_ref().ok().map(|(ledger, directory)| Parts {
        context,
        ledger,
        directory,
    });

    let mut all = Vec::new();
    all.extend(broker::look(&config, parts.as_ref()).await.list);
    all.extend(match &opened {
        Ok((ledger, _)) => {
            ledger::look(&config, ledger, u64::from(options.events))
                .await
                .list
        }
        Err(trouble) => {
            let mut findings = Findings::new(Area::Ledger);
            match config.ledger.file() {
                Some(file) if !file.exists() => findings.fault(
                    format!("chưa có sổ cái {}", file.display()),
                    "kiểm tra ledger.path; sổ cái mới: truc migrate",
                ),
                _ => findings.fault(trouble.what.clone(), trouble.next.clone()),
            }
            findings.list
        }
    });
    all.extend(disk::look(&config).list);
    all.extend(clock::look(context, &config).await.list);
    all.extend(certificates::look(context, &config, parts.as_ref()).list);
    all.extend(directory(parts.as_ref()).list);
    all.extend(deliveries::look(&config, parts.as_ref()).await.list);

    let count = |level: Level| all.iter().filter(|finding| finding.level == level).count();
    let faults = count(Level::Fault);
    let json = json!({
        "faults": faults,
        "warnings": count(Level::Warning),
        "unknown": count(Level::Unknown),
        "findings": all,
    });
    Answer::ending(Exit::unless_finding(faults == 0), page(&all), &json)
}

/// What most parts look at.
pub(super) struct Parts<'a> {
    pub(super) context: &'a Context,
    pub(super) ledger: &'a Ledger,
    pub(super) directory: &'a Directory,
}

/// Most findings of the directory shown one by one.
const DIRECTORY_SHOWN_MAX: usize = 5;

fn directory(parts: Option<&Parts<'_>>) -> Findings {
    let mut findings = Findings::new(Area::Directory);
    let Some(parts) = parts else {
        findings.unknown("không xem được vì sổ cái không mở được", "sửa lỗi sổ cái ở trên");
        return findings;
    };
    let directory = parts.directory;
    if directory.version() == 0 {
        findings.warn(
            "danh mục còn trống: mọi gói tin sẽ bị từ chối",
            "truc directory import FILE --systems FILE",
        );
        return findings;
    }
    let problems = truc_directory::check(directory, parts.context.clock.today());
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    let what = format!(
        "phiên bản {}: {} cơ quan, {} hệ thống; {} lỗi, {} cảnh báo",
        directory.version(),
        number(directory.agencies().len() as u64),
        number(directory.systems().len() as u64),
        number(errors as u64),
        number((problems.len() - errors) as u64)
    );
    if errors == 0 {
        findings.ok(what);
    } else {
        findings.fault(what, "truc directory check");
    }
    let mut shown: Vec<_> = problems.iter().collect();
    shown.sort_by_key(|problem| problem.severity);
    for problem in shown.into_iter().take(DIRECTORY_SHOWN_MAX) {
        let what = format!(
            "{}: {} «{}»",
            problem.kind.code(),
            problem.kind.sentences().0,
            problem.found
        );
        match problem.severity {
            Severity::Error => findings.fault(what, "truc directory check"),
            Severity::Warning => findings.warn(what, "truc directory check"),
        }
    }
    findings
}

fn page(all: &[Finding]) -> String {
    let mut lines = Vec::new();
    for area in Area::ALL {
        let of: Vec<&Finding> = all.iter().filter(|finding| finding.area == area).collect();
        if of.is_empty() {
            continue;
        }
        lines.push(area.label_vi().to_owned());
        for finding in of {
            lines.push(format!(
                "  {:<8}  {}",
                finding.level.label_vi(),
                super::show::one_line(&finding.what)
            ));
            if let Some(next) = &finding.next {
                lines.push(format!("  {:<8}  → {}", "", super::show::one_line(next)));
            }
        }
    }
    let count = |level: Level| number(all.iter().filter(|finding| finding.level == level).count() as u64);
    lines.push(String::new());
    lines.push(format!(
        "{} lỗi, {} cảnh báo, {} không rõ, {} ổn.",
        count(Level::Fault),
        count(Level::Warning),
        count(Level::Unknown),
        count(Level::Ok)
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_stands_by_area_and_counts() {
        let mut disk = Findings::new(Area::Disk);
        disk.ok("còn 5,0 GB");
        let mut broker = Findings::new(Area::Broker);
        broker.fault("không kết nối được\n", "bật RabbitMQ");
        let all: Vec<Finding> = disk.list.into_iter().chain(broker.list).collect();
        assert_eq!(
            page(&all),
            "RABBITMQ\n  LỖI       không kết nối được\n            → bật RabbitMQ\nĐĨA\n  OK        còn 5,0 GB\n\n1 lỗi, 0 cảnh báo, 0 không rõ, 1 ổn."
        );
    }
}
