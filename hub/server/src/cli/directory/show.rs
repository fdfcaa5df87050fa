//! `truc directory show`: the whole in short, one agency, or a search by name.

use clap::Args;
use jiff::civil::Date;
use serde_json::json;
use truc_directory::{Agency, CodeState, Dated, Directory, Resolution, Validity, Via};
use truc_model::{AgencyCode, AgencyId, CodeForm, Party, SystemId};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::super::answer::{Answer, Exit, Trouble};
use super::super::show::{Facts, Table, day, number, one_line, or_none};
use super::super::words::{self, Opened, name_of};

/// Most agencies listed by name.
const LISTED_MAX: usize = 100;

/// Options of `truc directory show`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// An agency code, or a part of a name
    #[arg(value_name = "CODE|NAME")]
    pub what: Option<String>,
    /// As it is on this day
    #[arg(long, value_name = "DATE", value_parser = words::date)]
    pub date: Option<Date>,
}

/// Shows the directory.
///
/// # Errors
/// [`Trouble`] when the answer cannot be written.
pub(super) fn show(opened: &Opened, options: &Options) -> Result<Answer, Trouble> {
    let (directory, on) = (&opened.directory, options.date.unwrap_or(opened.today));
    let Some(what) = options
        .what
        .as_deref()
        .map(str::trim)
        .filter(|what| !what.is_empty())
    else {
        return overview(directory, on);
    };
    if let Ok(code) = AgencyCode::parse(what)
        && (code.form() != CodeForm::Other || directory.find_code(&code).is_some())
    {
        return by_code(directory, what, &code, on);
    }
    by_name(directory, what, on)
}

fn overview(directory: &Directory, on: Date) -> Result<Answer, Trouble> {
    let in_force = directory
        .agencies()
        .filter(|agency| agency.code(on).is_some())
        .count();
    let served = directory
        .agencies()
        .filter(|agency| agency.code(on).is_some())
        .filter(|agency| directory.system_of(&Party::Agency(agency.id), on).is_some())
        .count();
    let mut facts = Facts::default();
    facts.add("Phiên bản", directory.version().to_string());
    facts.add("Ngày xem", day(on));
    facts.add(
        "Cơ quan",
        format!(
            "{} đang hoạt động, {} tất cả",
            number(in_force as u64),
            number(directory.agencies().len() as u64)
        ),
    );
    facts.add("Có hệ thống phục vụ", number(served as u64));
    let home: Vec<String> = directory
        .home()
        .iter()
        .filter(|row| row.valid.contains(on))
        .map(|row| row.value.to_string())
        .collect();
    facts.add(
        "Tiền tố của tỉnh",
        if home.is_empty() {
            "(chưa khai báo)".to_owned()
        } else {
            home.join(", ")
        },
    );
    let mut table = Table::new(&["Hệ thống", "Tên", "Loại", ">Cơ quan", "Tiền tố mã"]);
    for system in directory.systems() {
        let serves = directory
            .agencies()
            .filter(|agency| agency.assigned(on) == Some(&system.id))
            .count();
        let prefixes: Vec<String> = system
            .prefixes
            .iter()
            .filter(|row| row.valid.contains(on))
            .map(|row| row.value.to_string())
            .collect();
        table.row([
            system.id.to_string(),
            system.name.clone(),
            words::kind(system.kind).to_owned(),
            number(serves as u64),
            prefixes.join(", "),
        ]);
    }
    let mut text = facts.text();
    if !table.is_empty() {
        text.push_str(&format!("\n\n{}", table.text()));
    }
    if directory.version() == 0 {
        text.push_str("\n\n→ Danh mục còn trống: truc directory import FILE");
    }
    let systems: Vec<_> = directory.systems().map(|system| system.id.to_string()).collect();
    Answer::fine(
        text,
        &json!({
            "version": directory.version(), "date": on, "agencies": directory.agencies().len(),
            "in_force": in_force, "served": served, "home": home, "systems": systems,
        }),
    )
}

fn by_code(directory: &Directory, raw: &str, code: &AgencyCode, on: Date) -> Result<Answer, Trouble> {
    let resolution = directory.resolve(raw, on);
    let (found, verdict, json) = match &resolution {
        Resolution::Known {
            agency, system, via, ..
        } => (
            true,
            known(directory, *agency, system.as_ref(), via.as_ref(), on),
            json!({
                "resolution": "known", "agency": agency.to_string(), "system": system,
                "forwarded_until": via.as_ref().map(|via| via.grace_until),
            }),
        ),
        Resolution::Outside { system, .. } => (
            true,
            format!("Mã ngoài tỉnh, không có trong danh mục; văn bản được chuyển qua cổng {system}."),
            json!({ "resolution": "outside", "system": system }),
        ),
        Resolution::Closed { agency, successors } => (
            true,
            format!(
                "Mã đã đóng vào ngày này: văn bản gửi tới mã này không gửi được.{}",
                instead(directory, successors, on)
            ),
            json!({
                "resolution": "closed", "agency": agency.to_string(), "successors": ids(successors),
            }),
        ),
        Resolution::Split { agency, successors } => (
            true,
            format!(
                "Cơ quan đã được chia tách: văn bản gửi tới mã này được giữ lại chờ cán bộ vận hành chọn nơi nhận.{}",
                instead(directory, successors, on)
            ),
            json!({
                "resolution": "split", "agency": agency.to_string(), "successors": ids(successors),
            }),
        ),
        Resolution::SystemCode { .. } => (
            false,
            "Đây là mã hệ thống kết nối (nhóm W), không phải mã cơ quan.".to_owned(),
            json!({ "resolution": "system-code" }),
        ),
        Resolution::Unknown { proposal, .. } => {
            let mut text =
                "Không có trong danh mục và không chuyển ra cổng nào (mã của tỉnh, hoặc không cổng nào phục vụ): văn bản không gửi được.".to_owned();
            if let Some(proposal) = proposal {
                text.push_str(&format!(
                    " Có thể là {proposal}? (chỉ gợi ý, trục không tự đổi mã)"
                ));
            }
            (
                false,
                text,
                json!({ "resolution": "unknown", "proposal": proposal }),
            )
        }
        Resolution::BadCode(bad) => (
            false,
            format!("Không phải mã định danh: {bad}."),
            json!({ "resolution": "bad-code" }),
        ),
    };
    let mut parts = Vec::new();
    let agency = directory.find_code(code);
    if let Some(agency) = agency {
        parts.push(agency_page(directory, agency, on));
    }
    parts.push(format!("{code}, ngày {}: {verdict}", day(on)));
    let mut json = json;
    json["code"] = code.as_str().into();
    json["date"] = json!(on);
    json["record"] = json!(agency);
    Answer::ending(Exit::unless_finding(found), parts.join("\n\n"), &json)
}

fn known(
    directory: &Directory,
    agency: AgencyId,
    system: Option<&SystemId>,
    via: Option<&Via>,
    on: Date,
) -> String {
    let way = system.map_or_else(
        || "chưa có hệ thống nào phục vụ: văn bản không gửi được.".to_owned(),
        |system| format!("văn bản được giao tới hệ thống {system}."),
    );
    let Some(via) = via else {
        return match system {
            Some(_) => format!("Mã có hiệu lực; {way}"),
            None => format!("Mã có hiệu lực, nhưng {way}"),
        };
    };
    let last = via.grace_until.yesterday().unwrap_or(via.grace_until);
    format!(
        "Mã đã đóng; đến hết {} văn bản được chuyển tiếp tới {}; {way}",
        day(last),
        name_of(directory, &Party::Agency(agency), on)
    )
}

fn instead(directory: &Directory, successors: &[AgencyId], on: Date) -> String {
    let names: Vec<String> = successors
        .iter()
        .map(|id| name_of(directory, &Party::Agency(*id), on))
        .collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(" Nay là: {}.", names.join("; ")),
    }
}

fn ids(agencies: &[AgencyId]) -> Vec<String> {
    agencies.iter().map(ToString::to_string).collect()
}

fn agency_page(directory: &Directory, agency: &Agency, on: Date) -> String {
    let mut facts = Facts::default();
    facts.add("Cơ quan", or_none(agency.name(on)));
    facts.add("Số trong danh mục", agency.id.to_string());
    facts.maybe("Cấp", agency.level(on).map(|level| level.to_string()));
    facts.maybe(
        "Trực thuộc",
        agency
            .parent(on)
            .map(|id| name_of(directory, &Party::Agency(id), on)),
    );
    let system = directory.system_of(&Party::Agency(agency.id), on);
    facts.add(
        "Hệ thống phục vụ",
        system.map_or_else(|| "(chưa có)".to_owned(), ToString::to_string),
    );
    facts.maybe("Ghi chú", agency.note.as_deref());
    let mut table = Table::new(&["Mã định danh", "Dạng", "Hiệu lực", "Tình trạng", "Quyết định"]);
    for row in &agency.codes {
        let state = match row.state(on) {
            CodeState::InForce => "có hiệu lực",
            CodeState::Closed => match row.grace_until {
                Some(until) if on < until => "đã đóng, còn chuyển tiếp",
                _ => "đã đóng",
            },
            CodeState::NotYet => "chưa đến ngày",
        };
        let form = match row.form() {
            CodeForm::Old => "cũ",
            CodeForm::New => "mới",
            CodeForm::System => "hệ thống",
            CodeForm::Other => "khác",
        };
        table.row([
            row.code.to_string(),
            form.to_owned(),
            period(row.valid),
            state.to_owned(),
            or_none(row.decision.as_deref()),
        ]);
    }
    let mut text = format!("{}\n\n{}", facts.text(), table.text());
    let mut part = |title: &str, lines: String| {
        if !lines.is_empty() {
            text.push_str(&format!("\n\n{title}\n{lines}"));
        }
    };
    part("Các tên theo thời gian", history(&agency.names));
    part("Các cấp theo thời gian", history(&agency.levels));
    let parents: Vec<Dated<String>> = agency
        .parent
        .iter()
        .map(|row| parent_row(directory, row))
        .collect();
    part("Cơ quan cấp trên theo thời gian", history(&parents));
    part("Các hệ thống theo thời gian", history(&agency.served_by));
    part("Cơ quan kế thừa", successions(directory, agency));
    let before: Vec<String> = directory
        .predecessors(agency.id, on)
        .into_iter()
        .map(|id| format!("  {}", name_of(directory, &Party::Agency(id), on)))
        .collect();
    part("Đã nhận nhiệm vụ của", before.join("\n"));
    text
}

fn parent_row(directory: &Directory, row: &Dated<AgencyId>) -> Dated<String> {
    let on = row.valid.from.unwrap_or(Date::MIN);
    Dated {
        value: name_of(directory, &Party::Agency(row.value), on),
        valid: row.valid,
        decision: row.decision.clone(),
    }
}

fn successions(directory: &Directory, agency: &Agency) -> String {
    let mut lines = Vec::new();
    for step in &agency.successions {
        let what = match step.to.len() {
            0 => "giải thể, không có cơ quan kế thừa",
            1 => "nhiệm vụ chuyển cho",
            _ => "chia tách cho",
        };
        let mut line = format!("  từ {}  {what}", day(step.on));
        if let Some(decision) = &step.decision {
            line.push_str(&format!(" ({})", one_line(decision)));
        }
        lines.push(line);
        for heir in &step.to {
            lines.push(format!(
                "    {}",
                name_of(directory, &Party::Agency(*heir), step.on)
            ));
        }
        if let Some(until) = step.grace_until {
            let last = until.yesterday().unwrap_or(until);
            let what = match step.to.len() {
                1 => "mã cũ còn được chuyển tiếp",
                _ => "văn bản gửi mã cũ còn được giữ chờ xem xét",
            };
            lines.push(format!("    {what} đến hết {}", day(last)));
        }
    }
    lines.join("\n")
}

/// Rows that followed one another; one that always held is no history.
fn history<T: ToString>(rows: &[Dated<T>]) -> String {
    if let [] | [Dated { decision: None, .. }] = rows {
        return String::new();
    }
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let decision = row.decision.as_deref().map(|decision| format!("  ({decision})"));
            let value = format!("{}{}", row.value.to_string(), decision.unwrap_or_default());
            format!("  {}  {}", period(row.valid), one_line(&value))
        })
        .collect();
    lines.join("\n")
}

/// `từ 01/07/2025`, `đến hết 30/06/2025`, `luôn`: people read the last day, not the first day after.
fn period(valid: Validity) -> String {
    let last = |to: Date| to.yesterday().map_or_else(|_| day(to), day);
    match (valid.from, valid.to) {
        (None, None) => "không giới hạn".to_owned(),
        (Some(from), None) => format!("từ {}", day(from)),
        (None, Some(to)) => format!("đến hết {}", last(to)),
        (Some(from), Some(to)) => format!("{} – {}", day(from), last(to)),
    }
}

fn by_name(directory: &Directory, part: &str, on: Date) -> Result<Answer, Trouble> {
    let wanted = fold(part);
    let mut hits: Vec<&Agency> = directory
        .agencies()
        .filter(|agency| agency.names.iter().any(|row| fold(&row.value).contains(&wanted)))
        .collect();
    // Those in force first; the order of ids otherwise.
    hits.sort_by_key(|agency| (agency.code(on).is_none(), agency.id));
    if let [agency] = hits.as_slice() {
        let json = json!({ "date": on, "count": 1, "agencies": [agency] });
        return Answer::fine(agency_page(directory, agency, on), &json);
    }
    let mut table = Table::new(&["Mã định danh", "Tên", "Trực thuộc", "Hệ thống"]);
    for agency in hits.iter().take(LISTED_MAX) {
        let code = match agency.code(on) {
            Some(code) => code.to_string(),
            None => format!("{} (đã đóng)", or_none(agency.codes.first().map(|row| &row.code))),
        };
        table.row([
            code,
            or_none(agency.name(on)),
            or_none(agency.parent(on).and_then(|id| directory.name_of(id, on))),
            or_none(directory.system_of(&Party::Agency(agency.id), on)),
        ]);
    }
    let text = match hits.len() {
        0 => format!("Không có cơ quan nào tên chứa «{}».", one_line(part)),
        found if found > LISTED_MAX => {
            format!(
                "{}\n\n{} cơ quan, hiển thị {LISTED_MAX}; hãy thu hẹp tên.",
                table.text(),
                number(found as u64)
            )
        }
        found => format!("{}\n\n{} cơ quan.", table.text(), number(found as u64)),
    };
    let shown: Vec<&&Agency> = hits.iter().take(LISTED_MAX).collect();
    Answer::ending(
        Exit::unless_finding(!hits.is_empty()),
        text,
        &json!({ "date": on, "count": hits.len(), "agencies": shown }),
    )
}

/// Lower case without diacritics, đ as d: people type names as their keyboard lets them.
fn fold(text: &str) -> String {
    text.nfd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'đ' || c == 'ð' { 'd' } else { c })
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn names_are_found_without_diacritics() {
        assert_eq!(fold("Sở  Nội vụ Đắk Lắk"), "so noi vu dak lak");
        assert_eq!(fold("so noi vu DAK LAK"), fold("SỞ NỘI VỤ ĐẮK LẮK"));
    }

    #[test]
    fn periods_name_the_last_day() {
        assert_eq!(period(Validity::ALWAYS), "không giới hạn");
        assert_eq!(period(Validity::since(date(2025, 7, 1))), "từ 01/07/2025");
        let closed = Validity {
            from: None,
            to: Some(date(2025, 7, 1)),
        };
        assert_eq!(period(closed), "đến hết 30/06/2025");
    }
}
