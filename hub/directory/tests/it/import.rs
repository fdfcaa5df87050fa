//! Imports: what is told, what is changed, and that nothing else is.

use std::fmt::Write as _;

use truc_directory::{
    Agency, Directory, ImportReport, Problem, Severity, check, import_agencies, import_systems,
};
use truc_model::{AgencyCode, AgencyId};

use crate::{AGENCIES, JULY, SYSTEMS, TODAY, directory, options};

fn problems(report: &ImportReport) -> Vec<String> {
    let told = report.problems.iter().map(|problem| {
        let line = problem.line.map_or_else(String::new, |line| format!("{line} "));
        let column = problem
            .column
            .map_or_else(String::new, |column| format!("{column} "));
        let severity = if problem.severity == Severity::Error {
            "!"
        } else {
            "?"
        };
        format!("{line}{column}{severity}{}", problem.kind.code())
    });
    told.collect()
}

fn changes(report: &ImportReport) -> String {
    let mut out = String::new();
    for added in &report.changes.added {
        writeln!(out, "+ {} {}", added.subject, added.name).unwrap();
    }
    for changed in &report.changes.changed {
        for field in &changed.fields {
            let (old, new) = (field.old.as_deref(), field.new.as_deref());
            let (old, new) = (old.unwrap_or("-"), new.unwrap_or("-"));
            writeln!(out, "~ {} {}: {old} > {new}", changed.subject, field.field).unwrap();
        }
    }
    for gone in &report.changes.gone {
        writeln!(out, "- {} {}", gone.subject, gone.name).unwrap();
    }
    out
}

/// Imports over the usual directory.
fn over(csv: &str) -> ImportReport {
    import_agencies(&directory(SYSTEMS, AGENCIES), csv.as_bytes(), &options(TODAY))
}

#[test]
fn the_same_files_again_change_nothing() {
    let first = directory(SYSTEMS, AGENCIES);
    assert_eq!(first.version(), 2);
    let report = import_agencies(&first, AGENCIES.as_bytes(), &options(JULY));
    assert_eq!((problems(&report), changes(&report)), (vec![], String::new()));
    assert_eq!((report.rows, report.taken, report.changes.unchanged), (5, 5, 5));
    assert_eq!(report.next, first);
    let report = import_systems(&first, SYSTEMS.as_bytes(), &options(JULY));
    assert!(report.problems.is_empty() && report.changes.is_empty());
    assert_eq!(report.next.to_json(), first.to_json());
}

#[test]
fn spreadsheet_habits_make_no_difference() {
    let plain = directory(SYSTEMS, AGENCIES).to_json();
    let base = directory(SYSTEMS, "code,name\n");
    let crlf = format!("\u{feff}{}", AGENCIES.replace('\n', "\r\n"));
    let semicolons = AGENCIES.replace(',', ";");
    for text in [crlf, semicolons] {
        let report = import_agencies(&base, text.as_bytes(), &options(TODAY));
        assert_eq!(problems(&report), Vec::<String>::new());
        assert_eq!(report.next.to_json(), plain);
    }
}

#[test]
fn every_row_problem_is_told_by_line() {
    let report = over(
        "code,name,other_codes,parent,level,system,valid_from,valid_to,phone\n\
         ,Không mã,,,,,,,\n\
         H60.01,,,,,,,,\n\
         H60 02,Mã xấu,,,,,,,\n\
         00.60.W00,Hệ thống,,,,,,,\n\
         h60.03 , Tên  thừa ,,,,,,,\n\
         H60.03,Lặp mã,,,,,,,\n\
         H60.04,Mã khác lặp,H60.03,,,,,,\n\
         H60.05,Mã trong dòng,H60.05; H60.06 ;,,,,,,\n\
         H60.07,Hai cơ quan,000.20.30.H60;H60.91,,,,,,\n\
         000.20.30.H60,UBND xã Một,,,,xa,,,\n\
         H60.30.20,UBND xã Một,,,,xa,,,\n\
         H60.08,Ngày xấu,,,,,31/02/2025,,\n\
         H60.09,Ngày ngược,,,,,2025-07-01,2025-07-01,\n\
         H60.10,Cấp xấu,,,7,,,,\n\
         H60.11,Hệ thống xấu,,,,Xã Một,,,\n\
         H60.12,Chưa đăng ký,,,,moi,,,\n\
         H60.13,Chưa đăng ký,,,,moi,,,\n\
         H60.14,Cấp trên lạ,,H60.99,,,,,\n\
         H60.15,Tự trên mình,,H60.15,,,,,\n\
         H60.16,Cấp trên xấu,,?,,,,,\n\
         H60.17,thiếu ô\n\
         H60.18,Mã khác xấu,H60 19,,,,,,\n",
    );
    assert_eq!(
        problems(&report),
        [
            "1 ?column-unknown",
            "2 code !value-missing",
            "3 name !value-missing",
            "4 code !code-bad",
            "5 code !code-of-system",
            "6 code ?code-spelling",
            "6 name ?name-spelling",
            "7 code !code-twice",
            "8 other_codes !code-twice",
            "9 other_codes ?code-repeated",
            "10 other_codes !code-taken",
            "12 code !agency-twice",
            "13 valid_from !date-bad",
            "14 valid_to !dates-reversed",
            "15 level ?level-bad",
            "16 system ?system-id-bad",
            "17 system ?system-not-registered",
            "19 parent ?parent-unknown",
            "20 parent ?parent-loop",
            "21 parent ?code-bad",
            "22 !row-width",
            "23 other_codes !code-bad",
        ]
    );
    assert_eq!((report.rows, report.taken), (22, 10));
    assert!(report.has_errors());
    let (vi, en) = report.problems[7].kind.sentences();
    assert!(vi.contains("dòng 6") && en.contains("line 6"), "{vi} {en}");
    let shown = report.to_string();
    assert!(
        shown.contains("dòng 7     code        lỗi      code-twice"),
        "{shown}"
    );
}

#[test]
fn a_row_left_out_does_not_hold_its_code() {
    let report = over("code,name,valid_from\nH60.50,Xấu,ngày mai\nH60.50,Tốt,\n");
    assert_eq!(problems(&report), ["2 valid_from !date-bad"]);
    assert_eq!(report.changes.added[0].name, "Tốt");
}

#[test]
fn differences_field_by_field() {
    let before = directory(SYSTEMS, AGENCIES);
    let report = over(
        "code,name,other_codes,parent,level,system,valid_to,decision,note\n\
         000.00.00.H60,UBND tỉnh Tuyên Quang,H60,,1,so,,QĐ 1,đổi tên\n\
         H60.30.20,UBND xã Một,000.20.30.H60;H60.92,H60,2,so,,,\n\
         H60.93,UBND xã Hai,,,,,,,\n",
    );
    assert_eq!(problems(&report), Vec::<String>::new());
    assert_eq!(
        changes(&report),
        "+ H60.93 UBND xã Hai\n\
         ~ 000.00.00.H60 decision: - > QĐ 1\n\
         ~ 000.00.00.H60 name: UBND tỉnh > UBND tỉnh Tuyên Quang\n\
         ~ 000.00.00.H60 note: - > đổi tên\n\
         ~ H60.30.20 code: 000.20.30.H60 > H60.30.20\n\
         ~ H60.30.20 other_codes: - > H60.92\n\
         ~ H60.30.20 level: 3 > 2\n\
         ~ H60.30.20 system: xa > so\n\
         ~ H60.30.20 parent: 000.00.30.H60 > 000.00.00.H60\n\
         - 000.00.30.H60 UBND huyện\n"
    );
    // Ids stay, the past stays, and nothing that is lacking is touched.
    let next = &report.next;
    assert_eq!(next.version(), before.version() + 1);
    let yesterday = TODAY.yesterday().unwrap();
    assert_eq!(next.name_of(AgencyId(1), yesterday), Some("UBND tỉnh"));
    assert_eq!(next.name_of(AgencyId(1), TODAY), Some("UBND tỉnh Tuyên Quang"));
    let commune = next.agency(AgencyId(3)).unwrap();
    assert_eq!(commune.code(TODAY).map(AgencyCode::as_str), Some("H60.30.20"));
    assert_eq!(commune.assigned(yesterday).map(|id| id.as_str()), Some("xa"));
    assert_eq!(commune.assigned(TODAY).map(|id| id.as_str()), Some("so"));
    assert_eq!(next.agency(AgencyId(2)), before.agency(AgencyId(2)));
    assert_eq!(next.agencies().last().map(|agency| agency.id), Some(AgencyId(6)));
    // Read back from its stored form, it is the same.
    assert_eq!(Directory::from_json(&next.to_json()).unwrap(), *next);
}

#[test]
fn a_column_the_file_lacks_leaves_its_fact_alone() {
    let before = directory(SYSTEMS, AGENCIES);
    let report = over("code,name\n000.20.30.H60,UBND xã Một\n000.00.30.H60,UBND huyện\n");
    assert!(report.changes.is_empty());
    assert_eq!(report.next, before);
    // And one that is there and empty tells that there is none.
    let report = over("code,name,system,parent,level,valid_to\n000.00.30.H60,UBND huyện,,,,\n");
    assert_eq!(
        changes(&report).lines().take(3).collect::<Vec<_>>(),
        [
            "~ 000.00.30.H60 valid_to: 2025-07-01 > -",
            "~ 000.00.30.H60 level: 2 > -",
            "~ 000.00.30.H60 parent: 000.00.00.H60 > -",
        ]
    );
}

#[test]
fn dates_that_do_not_fit_what_is_known_are_refused() {
    let report = over("code,name,valid_to\nH60.91,UBND xã Mới,2025-06-01\n");
    assert_eq!(problems(&report), ["2 valid_to !dates-reversed"]);
    assert!(report.changes.is_empty());
    assert_eq!(report.next.version(), 2);
}

#[test]
fn a_decision_covers_new_codes_only() {
    let mut with = options(TODAY);
    with.decision = Some("QĐ 12/QĐ-UBND".to_owned());
    let base = directory(SYSTEMS, AGENCIES);
    let csv = "code,name,other_codes\n000.00.00.H60,UBND tỉnh,H60;H60.00\n";
    let report = import_agencies(&base, csv.as_bytes(), &with);
    let told: Vec<_> = report
        .next
        .agency(AgencyId(1))
        .unwrap()
        .codes
        .iter()
        .map(|row| row.decision.clone())
        .collect();
    assert_eq!(told, [None, None, with.decision.clone()]);
    with.decision = Some("QĐ khác".to_owned());
    let again = import_agencies(&report.next, csv.as_bytes(), &with);
    assert!(again.changes.is_empty());
}

#[test]
fn an_agency_holds_so_many_codes_and_no_more() {
    let row = |codes: usize| {
        let others: Vec<String> = (1..codes).map(|n| format!("H60.50.{n}")).collect();
        format!("code,name,other_codes\nH60.50,Nhiều mã,{}\n", others.join(";"))
    };
    assert_eq!(problems(&over(&row(Agency::MAX_CODES))), Vec::<String>::new());
    assert_eq!(
        problems(&over(&row(Agency::MAX_CODES + 1))),
        ["2 code !limit-reached"]
    );
}

#[test]
fn long_names_are_warned_of_and_kept() {
    let file = |length: usize| format!("code,name\nH60.50,{}\n", "ã".repeat(length));
    assert_eq!(problems(&over(&file(Agency::NAME_MAX))), Vec::<String>::new());
    let report = over(&file(Agency::NAME_MAX + 1));
    assert_eq!(problems(&report), ["2 name ?name-too-long"]);
    assert_eq!(report.taken, 1);
}

#[test]
fn systems_that_are_wrong() {
    let base = directory(SYSTEMS, AGENCIES);
    let report = import_systems(
        &base,
        "system,name,kind,prefixes,signature,conflict,user\n\
         ,Không tên,tenant,,,,\n\
         Xa,Chữ hoa,tenant,,,,\n\
         moi,,tenant,,,,\n\
         moi,Loại lạ,axis,,,,\n\
         moi,Tiền tố lạ,gateway,G;W00,,,\n\
         moi,Không phải cổng,tenant,G,,,\n\
         moi,Chính sách lạ,tenant,,sha1,,\n\
         moi,Chính sách lạ,tenant,,,keep,\n\
         xa,Đổi loại,gateway,,,,\n\
         moi,Được,tenant,,seal,deliver,\n\
         moi,Lặp,tenant,,,,\n\
         ,Tỉnh,home,,,,\n\
         so,Sở,home,H60,,,\n\
         ,,home,H60;K60,,,\n\
         home,,home,H61,,,\n"
            .as_bytes(),
        &options(TODAY),
    );
    assert_eq!(
        problems(&report),
        [
            "1 ?column-unknown",
            "2 system !value-missing",
            "3 system !system-id-bad",
            "4 name !value-missing",
            "5 kind !kind-bad",
            "6 prefixes !prefix-bad",
            "7 prefixes !prefix-misplaced",
            "8 signature !policy-unknown",
            "9 conflict !policy-unknown",
            "10 kind !kind-bad",
            "12 system !system-twice",
            "13 prefixes !value-missing",
            "14 system !kind-bad",
            "16 system !system-twice",
        ]
    );
    assert_eq!(report.taken, 2);
    assert_eq!(
        changes(&report),
        "+ moi Được\n~ home prefixes: H60 > H60;K60\n- quoc-gia Trục quốc gia\n- so Sở\n- xa Xã\n"
    );
    let added = report
        .next
        .systems()
        .find(|system| system.id.as_str() == "moi")
        .unwrap();
    assert_eq!(added.policy.signature.as_str(), "seal");
    assert_eq!(added.policy.identity_conflict.as_str(), "deliver");
    assert!(added.prefixes.is_empty());
}

#[test]
fn sha1_is_allowed_system_by_system() {
    let base = directory(SYSTEMS, AGENCIES);
    let policy = |directory: &Directory, id: &str| {
        let mut systems = directory.systems();
        systems.find(|s| s.id.as_str() == id).unwrap().policy.xml_sha1
    };
    let csv = "system,name,kind,xml_sha1\nso,Sở,agency,Allow\nmoi,Mới,agency,allow\nxa,Xã,tenant,\nbad,B,agency,yes\n";
    let report = import_systems(&base, csv.as_bytes(), &options(JULY));
    assert_eq!(
        changes(&report),
        "+ moi Mới\n~ so xml_sha1: refuse > allow\n- quoc-gia Trục quốc gia\n"
    );
    assert_eq!(report.problems.len(), 1);
    assert_eq!(report.problems[0].kind.code(), "policy-unknown");
    for (id, expected) in [("so", "allow"), ("moi", "allow"), ("xa", "refuse")] {
        assert_eq!(policy(&report.next, id).as_str(), expected, "{id}");
    }
    // A file that does not speak of it leaves it; an empty cell too.
    let silent = "system,name,kind,xml_sha1\nso,Sở,agency,\n";
    let kept = import_systems(&report.next, silent.as_bytes(), &options(JULY));
    assert_eq!(policy(&kept.next, "so").as_str(), "allow");
    let back = "system,name,kind,xml_sha1\nso,Sở,agency,refuse\n";
    let back = import_systems(&kept.next, back.as_bytes(), &options(JULY));
    assert_eq!(policy(&back.next, "so").as_str(), "refuse");
    assert_eq!(Directory::from_json(&report.next.to_json()).unwrap(), report.next);
}

#[test]
fn systems_change_by_date() {
    let base = directory(SYSTEMS, AGENCIES);
    let csv = "system,name,kind,prefixes,signature\nquoc-gia,Trục quốc gia,gateway,G;K,seal\n";
    let report = import_systems(&base, csv.as_bytes(), &options(JULY));
    assert_eq!(
        changes(&report),
        "~ quoc-gia signature: channel > seal\n~ quoc-gia prefixes: A;G;H > G;K\n- so Sở\n- xa Xã\n"
    );
    let outside = |code: &str, on| report.next.resolve(code, on).deliver_to().is_ok();
    let before = JULY.yesterday().unwrap();
    assert!(outside("A53", before) && !outside("A53", JULY));
    assert!(!outside("K53", before) && outside("K53", JULY));
    assert!(outside("G12", before) && outside("G12", JULY));
    assert_eq!(Directory::from_json(&report.next.to_json()).unwrap(), report.next);
    // Back again, and again: as it was from then on.
    let again = import_systems(&report.next, SYSTEMS.as_bytes(), &options(JULY)).next;
    assert!(again.resolve("A53", JULY).deliver_to().is_ok());
    assert!(again.resolve("K53", JULY).deliver_to().is_err());
}

#[test]
fn what_a_check_tells() {
    let on = |directory: &Directory| -> Vec<String> {
        let told = check(directory, TODAY);
        told.iter()
            .map(|problem| format!("{} {}", problem.kind.code(), problem.found))
            .collect()
    };
    assert_eq!(
        on(&directory(SYSTEMS, AGENCIES)),
        ["agency-without-system A00002 000.00.30.H60"]
    );
    let systems = "system,name,kind,prefixes\na,Không tiền tố,gateway,\n".replace("\na,", "\naa,");
    let systems = format!("{systems}bb,Cổng,gateway,G;H60\ncc,Cổng,gateway,G\ndd,Rỗi,tenant,\n");
    let base = import_systems(&Directory::empty(), systems.as_bytes(), &options(TODAY)).next;
    let agencies = "code,name,parent,system\n\
                    H61,Một,H62,dd\nH62,Hai,H61,dd\nH63,Ba,,chua-co\n";
    let base = import_agencies(&base, agencies.as_bytes(), &options(TODAY)).next;
    assert_eq!(
        on(&base),
        [
            "home-missing ",
            "gateway-without-prefix aa",
            "prefix-overlap cc G",
            "parent-loop A00001 H61",
            "parent-loop A00002 H62",
            "system-not-registered A00003 H63",
        ]
    );
    let home = import_systems(&base, b"system,name,kind,prefixes\n,,home,H60\n", &options(TODAY)).next;
    assert!(on(&home).contains(&"prefix-at-home bb H60".to_owned()));
    assert!(
        on(&import_systems(&Directory::empty(), systems.as_bytes(), &options(TODAY)).next)
            .contains(&"system-serves-none dd".to_owned())
    );
}

#[test]
fn what_is_quoted_and_shown_is_bounded() {
    let quoted = |length: usize| {
        let report = over(&format!(
            "code,name,valid_from\nH60.50,Xấu,{}\n",
            "ả".repeat(length)
        ));
        report.problems[0].found.clone()
    };
    assert_eq!(quoted(Problem::FOUND_MAX), "ả".repeat(Problem::FOUND_MAX));
    let cut = format!("{}…", "ả".repeat(Problem::FOUND_MAX));
    assert_eq!(quoted(Problem::FOUND_MAX + 1), cut);

    let rows = |count: usize| {
        (0..count).fold("code,name\n".to_owned(), |file, n| {
            format!("{file}H61.{n},Đơn vị\n")
        })
    };
    let shown = |count: usize| over(&rows(count)).to_string();
    assert!(!shown(40).contains("mục nữa"));
    assert!(shown(41).contains("… và 1 mục nữa"));
}

#[test]
fn a_long_chain_of_parents_counts_as_a_loop() {
    let chain = |agencies: usize| {
        let rows = (1..agencies).map(|n| format!("H60.{n},Đơn vị,H60.{},xa\n", n - 1));
        let file = format!(
            "code,name,parent,system\nH60.0,Gốc,,xa\n{}",
            rows.collect::<String>()
        );
        let base = directory(SYSTEMS, "code,name\n");
        let next = import_agencies(&base, file.as_bytes(), &options(TODAY)).next;
        let told = check(&next, TODAY);
        told.iter()
            .filter(|problem| problem.kind.code() == "parent-loop")
            .count()
    };
    // Sixteen above the last one, then one more.
    assert_eq!(chain(17), 0);
    assert_eq!(chain(18), 1);
}
