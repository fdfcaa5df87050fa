//! A reorganisation as one file: what it changes, what it is told of, and the shipped one of 2025 by a table.

use std::fmt::Write as _;

use jiff::civil::{Date, date};
use truc_directory::{
    Action, Directory, ReorganiseReport, Resolution, Severity, check, import_agencies, import_systems,
    reorganise,
};
use truc_model::{AgencyCode, AgencyId, Party, SystemId};

use crate::{AGENCIES, JULY, SYSTEMS, TODAY, directory, options};

const SAMPLE_SYSTEMS: &[u8] = include_bytes!("../../../../config/samples/tuyen-quang-systems.csv");
const TUYEN_QUANG: &[u8] = include_bytes!("../../../../config/samples/tuyen-quang.csv");
const HA_GIANG: &[u8] = include_bytes!("../../../../config/samples/ha-giang.csv");
const REORGANISATION: &[u8] = include_bytes!("../../../../config/samples/reorganisation-2025.csv");
const TABLE: &str = include_str!("reorganisation-2025.txt");

const HEADER: &str = "action,old_code,new_code,name,parent,level,system,on,grace_until,decision,note\n";

fn told(report: &ReorganiseReport) -> Vec<String> {
    let told = report.problems.iter().map(|problem| {
        let line = problem.line.map_or_else(String::new, |line| format!("{line} "));
        let column = problem
            .column
            .map_or_else(String::new, |column| format!("{column} "));
        let mark = match problem.severity {
            Severity::Error => "!",
            Severity::Warning => "?",
        };
        format!("{line}{column}{mark}{} {}", problem.kind.code(), problem.found)
            .trim_end()
            .to_owned()
    });
    told.collect()
}

/// Runs rows over the usual directory, in which agency 2 (a district) closes in July anyway.
fn over(rows: &str) -> ReorganiseReport {
    let base = directory(SYSTEMS, &AGENCIES.replace(",,,2025-07-01,", ",,,,"));
    reorganise(&base, format!("{HEADER}{rows}").as_bytes(), None)
}

fn before_2025() -> Directory {
    let systems = import_systems(&Directory::empty(), SAMPLE_SYSTEMS, &options(TODAY));
    let province = import_agencies(&systems.next, TUYEN_QUANG, &options(TODAY));
    let both = import_agencies(&province.next, HA_GIANG, &options(TODAY));
    assert_eq!(both.problems, []);
    assert_eq!(check(&both.next, TODAY), []);
    both.next
}

/// A resolution in the words of the table.
fn words(directory: &Directory, raw: &str, on: Date) -> String {
    let code = |id: &AgencyId| {
        let code = directory.code_of(*id, on);
        code.map_or_else(|| id.to_string(), ToString::to_string)
    };
    let listed = |word: &str, successors: &[AgencyId]| {
        let mut codes: Vec<String> = successors.iter().map(code).collect();
        codes.sort();
        format!("{word} {}", codes.join(" ")).trim_end().to_owned()
    };
    match directory.resolve(raw, on) {
        Resolution::Known {
            agency, system, via, ..
        } => {
            let system = system.map_or_else(|| "-".to_owned(), |system| system.to_string());
            let via = if via.is_some() { " via" } else { "" };
            format!("{} @{system}{via}", code(&agency))
        }
        Resolution::Closed { successors, .. } => listed("closed", &successors),
        Resolution::Split { successors, .. } => listed("split", &successors),
        Resolution::Outside { system, .. } => format!("outside {system}"),
        Resolution::Unknown { .. } => "unknown".to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_reorganisation_of_2025_by_its_table() {
    let base = before_2025();
    let report = reorganise(&base, REORGANISATION, None);
    assert_eq!(told(&report), Vec::<String>::new());
    assert_eq!((report.rows, report.taken), (122, 122));
    assert_eq!(report.on, Some(JULY));
    let next = &report.next;
    assert_eq!(next.version(), base.version() + 1);
    let days = [date(2025, 6, 30), JULY, date(2025, 12, 31), date(2026, 1, 1)];
    let mut wrong = String::new();
    let mut rows = 0;
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<&str> = line.split(" | ").collect();
        rows += 1;
        for (day, expected) in days.into_iter().zip(&cells[1..]) {
            let found = words(next, cells[0], day);
            if found != *expected {
                writeln!(wrong, "{} on {day}: {expected}, found {found}", cells[0]).unwrap();
            }
        }
    }
    assert_eq!(wrong, "");
    // Every code there ever was has its line.
    let codes: usize = next.agencies().map(|agency| agency.codes.len()).sum();
    assert_eq!(rows, codes + 1, "and one code nobody ever had");
    println!("{rows} codes on 4 days as the table says");

    // The day before is as it was; the day itself leaves nobody without a way.
    assert_eq!(check(next, date(2025, 6, 30)), []);
    let now: Vec<&str> = check(next, JULY)
        .iter()
        .map(|problem| problem.kind.code())
        .collect();
    assert_eq!(now, ["system-serves-none"], "the districts' system");
    assert_eq!(Directory::from_json(&next.to_json()).unwrap(), *next);

    // Levels and parents: a commune that was the district's is now the province's, and keeps its number.
    let commune = next.find_code(&AgencyCode::parse("H60.30.21").unwrap()).unwrap();
    let province = next.find_code(&AgencyCode::parse("H60").unwrap()).unwrap().id;
    let day_before = date(2025, 6, 30);
    assert_eq!(
        (commune.level(day_before), commune.level(JULY)),
        (Some(3), Some(2))
    );
    assert_ne!(commune.parent(day_before), Some(province));
    assert_eq!(commune.parent(JULY), Some(province));
    assert_eq!(
        commune.name(day_before),
        Some("UBND phường Minh Xuân, thành phố Tuyên Quang")
    );
    assert_eq!(commune.name(JULY), Some("UBND phường Minh Xuân"));
    assert!(commune.parent[1].decision.is_some());
    // Nobody is left under a district.
    let under_ended = next
        .agencies()
        .filter(|agency| agency.code(JULY).is_some())
        .filter_map(|agency| next.agency(agency.parent(JULY)?))
        .filter(|parent| parent.has_ended(JULY));
    assert_eq!(under_ended.count(), 0);
}

#[test]
fn the_same_file_is_not_taken_twice() {
    let base = before_2025();
    let once = reorganise(&base, REORGANISATION, None).next;
    let again = reorganise(&once, REORGANISATION, None);
    assert!(again.has_errors());
    assert!(
        told(&again)[0].starts_with("!applied-already"),
        "{:?}",
        told(&again)
    );
}

#[test]
fn every_action_does_what_it_says() {
    let report = over(
        "open,,H60.80 H60.81,Sở Mới,H60,2,so,2025-07-01,,QĐ 1,mới lập\n\
         recode,H60.30.20,H60.95,,H60,2,,2025-07-01,2026-01-01,QĐ 2,\n\
         đổi tên,H60,,UBND tỉnh Tuyên Quang,,,,01/07/2025,,,\n\
         Giải thể,000.00.30.H60,,,,,,01/07/2025,,,\n\
         home,,H60 H22,,,,,2025-07-01,,,\n",
    );
    assert_eq!(told(&report), Vec::<String>::new());
    assert!(!report.has_errors());
    let next = &report.next;
    let new = next.find_code(&AgencyCode::parse("H60.81").unwrap()).unwrap();
    assert_eq!(new.code(JULY).map(AgencyCode::as_str), Some("H60.80"));
    assert_eq!(new.codes[1].decision.as_deref(), Some("QĐ 1"));
    assert_eq!(new.note.as_deref(), Some("mới lập"));
    assert_eq!(new.level(JULY), Some(2));
    assert_eq!(new.assigned(JULY), Some(&SystemId::new("so").unwrap()));
    assert_eq!(words(next, "H60.80", TODAY), "unknown");
    assert_eq!(words(next, "H60.80", JULY), "H60.80 @so");
    // Renumbered: the same agency, forwarded under both of its old codes until the grace ends.
    for old in ["H60.30.20", "000.20.30.H60"] {
        assert_eq!(words(next, old, TODAY), "000.20.30.H60 @xa");
        assert_eq!(words(next, old, JULY), "H60.95 @xa via");
        assert_eq!(words(next, old, date(2026, 1, 1)), "closed H60.95");
        let Resolution::Known { agency, via, .. } = next.resolve(old, JULY) else {
            panic!("{old}");
        };
        let via = via.unwrap();
        assert_eq!(
            (agency, via.closed, via.renumbered),
            (AgencyId(3), AgencyId(3), true)
        );
        assert_eq!(via.code.unwrap().as_str(), "H60.95");
    }
    assert_eq!(words(next, "000.00.30.H60", JULY), "closed");
    assert_eq!(next.name_of(AgencyId(1), JULY), Some("UBND tỉnh Tuyên Quang"));
    assert_eq!(words(next, "H22.01", JULY), "unknown");
    assert_eq!(words(next, "H22.01", TODAY), "outside quoc-gia");
    let row = &next.reorganisations()[0];
    assert_eq!((row.on, row.rows, row.moved), (JULY, 5, false));
    assert_eq!(row.decision.as_deref(), Some("QĐ 1"));

    let shown = report.to_string();
    assert!(
        shown.contains("Sắp xếp tổ chức từ ngày 01/07/2025, theo QĐ 1"),
        "{shown}"
    );
    assert!(
        shown.contains("mã cũ còn được chuyển tiếp đến hết 31/12/2025"),
        "{shown}"
    );
    assert!(
        shown.contains("new_code     000.20.30.H60 H60.30.20 → H60.95"),
        "{shown}"
    );
}

#[test]
fn what_is_wrong_is_told_by_line() {
    let report = over(
        "dissolve,H60,,,,,,2025-07-01,,,\n\
         ,H60,,,,,,2025-07-01,,,\n\
         abolish,H60.77,,,,,,2025-07-01,,,\n\
         merge,000.20.30.H60,H60.78,,,,,2025-07-01,,,\n\
         open,,H60.91,Mã của xã khác,,,,2025-07-01,,,\n\
         open,,H60.82,Một,,,xa,2025-07-01,,,\n\
         open,,H60.82,Hai,,,,2025-07-01,,,\n\
         recode,000.00.00.G22,G22 W00,,,,,2025-07-01,,,\n\
         merge,000.20.30.H60,H60 H60.91,,,,,2025-07-01,,,\n\
         split,000.20.30.H60,H60,,,,,2025-07-01,,,\n\
         rename,000.00.00.G22,,,,,,2025-07-01,,,\n\
         move,000.00.00.G22,,,,,,2025-07-01,,,\n\
         reassign,000.00.00.G22,,,,,moi,2025-07-01,,,\n\
         abolish,000.00.00.G22,,,,,,2025-08-01,,,\n\
         abolish,H60.91,H60,Tên,,,,2025-08-01,,,\n\
         merge,000.00.30.H60,H60,,,,,2025-07-01,2025-07-01,,\n\
         merge,000.00.30.H60,H60,,,9,,2025-07-01,,,\n\
         merge,000.00.30.H60,H60,,,,,ngày mai,,,\n\
         merge,H60 H60.91,H60,,,,,2025-07-01,,,\n",
    );
    assert_eq!(
        told(&report),
        [
            "2 action !action-unknown dissolve",
            "3 action !value-missing",
            "4 old_code !code-unknown H60.77",
            "5 new_code !code-unknown H60.78",
            "6 new_code !code-taken H60.91",
            "8 new_code !code-twice H60.82",
            "9 new_code !code-of-system G22 W00",
            "10 new_code !successor-count H60 H60.91",
            "11 new_code !successor-count H60",
            "12 name !value-missing",
            "13 parent !value-missing",
            "14 system !system-not-registered moi",
            "15 on !date-differs 2025-08-01",
            "16 name ?cell-unused Tên",
            "16 new_code ?cell-unused H60",
            "16 on !date-differs 2025-08-01",
            "17 grace_until !dates-reversed 2025-07-01",
            "18 level !level-bad 9",
            "19 on !date-bad ngày mai",
            "20 old_code !one-code-only H60 H60.91",
        ]
    );
    assert!(report.has_errors());
    let missing = reorganise(&Directory::empty(), b"action,old_code\nabolish,H60\n", None);
    assert_eq!(told(&missing).len(), 1);
    assert!(told(&missing)[0].starts_with("1 on !column-missing"));
    assert!(missing.has_errors() && missing.on.is_none());
}

#[test]
fn contradictions_within_a_file() {
    let report = over(
        "merge,000.20.30.H60,H60,,,,,2025-07-01,,,\n\
         abolish,H60.30.20,,,,,,2025-07-01,,,\n\
         rename,000.00.30.H60,,Tên mới,,,,2025-07-01,,,\n\
         abolish,000.00.30.H60,,,,,,2025-07-01,,,\n\
         rename,000.00.00.G22,,VPCP,,,,2025-07-01,,,\n\
         rename,000.00.00.G22,,Văn phòng,,,,2025-07-01,,,\n\
         reassign,000.00.00.G22,,,,,so,2025-07-01,,,\n",
    );
    assert_eq!(
        told(&report),
        [
            "3 action !ended-twice H60.30.20",
            "4 system ?agency-without-system 000.00.30.H60",
            "5 action !actions-clash 000.00.30.H60",
            "7 action !actions-clash 000.00.00.G22",
        ]
    );
    // In circles, whatever the order; through several hands.
    let circle = over(
        "merge,000.20.30.H60,000.00.30.H60,,,,,2025-07-01,,,\n\
         merge,000.00.30.H60,000.00.00.G22,,,,,2025-07-01,,,\n\
         merge,000.00.00.G22,000.20.30.H60,,,,,2025-07-01,,,\n",
    );
    assert_eq!(
        told(&circle)
            .iter()
            .filter(|told| told.contains("succession-cycle"))
            .count(),
        1,
        "{:?}",
        told(&circle)
    );
    let own = over("merge,000.20.30.H60,H60.30.20,,,,,2025-07-01,,,\n");
    assert_eq!(told(&own), ["2 new_code !succession-cycle A00003"]);
}

#[test]
fn what_ended_stays_ended() {
    let first = over("merge,000.20.30.H60,H60,,,,,2025-07-01,2026-01-01,,\n").next;
    for rows in [
        "abolish,000.20.30.H60,,,,,,2025-08-01,,,\n",
        "rename,H60.30.20,,Tên,,,,2025-08-01,,,\n",
        "recode,H60.30.20,H60.99,,,,,2025-08-01,,,\n",
    ] {
        let report = reorganise(&first, format!("{HEADER}{rows}").as_bytes(), None);
        let told = told(&report);
        assert!(told[0].starts_with("2 old_code !already-ended"), "{told:?}");
    }
}

#[test]
fn what_the_file_did_not_think_of() {
    let report = over(
        "abolish,000.00.30.H60,,,,,,2025-07-01,,,\n\
         merge,H60,000.00.00.G22,,,,,2025-07-01,2026-01-01,,\n\
         open,,H60.80,Chưa có hệ thống,,,,2025-07-01,,,\n",
    );
    assert_eq!(
        told(&report),
        [
            "2 parent ?parent-ended 000.20.30.H60",
            "3 parent ?parent-ended H60.91",
            "3 old_code ?codes-left 000.20.30.H60",
            "4 system ?agency-without-system H60.80",
        ]
    );
    assert!(!report.has_errors(), "warnings do not stop it");
    let chain = over(
        "merge,000.20.30.H60,000.00.30.H60,,,,,2025-07-01,2026-01-01,,\n\
         merge,000.00.30.H60,H60,,,,,2025-07-01,2025-10-01,,\n",
    );
    assert_eq!(told(&chain), ["2 new_code ?successor-ends 000.00.30.H60"]);
    // The earliest end of grace on the way counts.
    assert_eq!(words(&chain.next, "H60.30.20", JULY), "000.00.00.H60 @so via");
    assert_eq!(
        words(&chain.next, "H60.30.20", date(2025, 10, 1)),
        "closed 000.00.00.H60"
    );
    assert!(report.changes.iter().any(|change| change.action == Action::Open));
}

#[test]
fn words_of_actions_in_both_languages() {
    for action in Action::ALL {
        assert_eq!(Action::from_word(action.as_str()), Some(action));
        assert_eq!(Action::from_word(&action.label_vi().to_uppercase()), Some(action));
    }
    assert_eq!(Action::from_word("sáp"), None);
}

#[test]
fn who_speaks_for_old_codes_after_2025() {
    let next = reorganise(&before_2025(), REORGANISATION, None).next;
    let id = |text: &str| SystemId::new(text).unwrap();
    let party = |code: &str| {
        let code = AgencyCode::parse(code).unwrap();
        Party::Agency(next.find_code(&code).unwrap().id)
    };
    let later = date(2027, 3, 1);
    for on in [JULY, later] {
        // A merged commune's statuses are its successor's, under either code, grace or not.
        assert_eq!(
            next.sender("H60.30.20", &id("xa-tuyen-quang"), on),
            Some(party("H60.101"))
        );
        assert_eq!(next.party_of("H60.30.20", on), party("H60.101"));
        assert!(next.formerly(&party("H60.101"), on).contains(&party("H60.30.20")));
        // A department whose own system went on with another body.
        assert_eq!(next.sender("H60.09", &id("so-tnmt"), on), Some(party("H60.06")));
        assert_eq!(next.sender("H60.09", &id("ubnd-tinh"), on), None);
        // One merged into a body on another system: both systems may still speak, each for its own.
        assert_eq!(next.sender("H22.02", &id("ubnd-tinh"), on), Some(party("H60.02")));
        assert_eq!(next.answers_to(&party("H22.02"), on), Some(&id("ubnd-tinh")));
        // Split: whoever serves a successor, or served it, speaks for it.
        let district = party("H60.30");
        assert_eq!(
            next.sender("H60.30", &id("huyen-tuyen-quang"), on),
            Some(district.clone())
        );
        assert_eq!(
            next.sender("H60.30", &id("xa-tuyen-quang"), on),
            Some(district.clone())
        );
        assert_eq!(next.sender("H60.30", &id("so-tnmt"), on), None);
        assert!(next.formerly(&party("H60.103"), on).contains(&district));
        assert!(!next.formerly(&party("H60.106"), on).contains(&district));
        // What waited for it went to one of them: what that one's system reports is looked for there too.
        let filed = next.filed_under(&district, &id("xa-tuyen-quang"), on);
        assert!(filed.contains(&party("H60.101")) && !filed.contains(&party("H60.106")));
        assert_eq!(next.filed_under(&district, &id("huyen-tuyen-quang"), on), []);
        // The gateway by which Hà Giang was reached has what it took: of that it may speak, under the old codes.
        let axis = id("truc-quoc-gia");
        for code in ["H22.02", "H22.31.21"] {
            assert_eq!(next.sender(code, &axis, on), None, "{code}");
            assert_eq!(next.sender_of_old(code, &axis, on), Some(party(code)), "{code}");
        }
        assert_eq!(next.sender_of_old("H60.30.21", &axis, on), None);
        assert_eq!(next.sender_of_old("H60.204", &axis, on), None);
        // Dissolved: only the system it had.
        assert_eq!(
            next.sender("H60.33", &id("huyen-tuyen-quang"), on),
            Some(party("H60.33"))
        );
        assert_eq!(next.sender("H60.33", &id("xa-tuyen-quang"), on), None);
    }
    let eve = date(2025, 6, 30);
    assert_eq!(next.formerly(&party("H60.101"), eve), []);
    assert_eq!(
        next.sender("H60.30.20", &id("xa-tuyen-quang"), eve),
        Some(party("H60.30.20"))
    );
    // Nobody speaks for a code that is to come.
    assert_eq!(next.sender("H60.101", &id("xa-tuyen-quang"), eve), None);
}
