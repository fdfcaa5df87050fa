//! The files this project ships, and a real province's directory where it lies beside the checkout.

use std::fmt::Write as _;
use std::path::Path;

use truc_directory::{
    Column, ConflictPolicy, Directory, ProblemKind, Resolution, SignaturePolicy, SystemKind, check,
    import_agencies, import_systems,
};
use truc_model::{AgencyCode, SystemId};

use crate::{TODAY, options};

const SAMPLE_SYSTEMS: &[u8] = include_bytes!("../../../../config/samples/tuyen-quang-systems.csv");
const SAMPLE_AGENCIES: &[u8] = include_bytes!("../../../../config/samples/tuyen-quang.csv");

#[test]
fn tuyen_quang_imports_without_a_word() {
    let systems = import_systems(&Directory::empty(), SAMPLE_SYSTEMS, &options(TODAY));
    assert_eq!(systems.problems, []);
    let agencies = import_agencies(&systems.next, SAMPLE_AGENCIES, &options(TODAY));
    assert_eq!(agencies.problems, []);
    let directory = agencies.next;
    assert_eq!(check(&directory, TODAY), []);

    let served = |system: &str| {
        let id = SystemId::new(system).unwrap();
        directory
            .agencies()
            .filter(|agency| agency.assigned(TODAY) == Some(&id))
            .count()
    };
    assert_eq!(served("huyen-tuyen-quang"), 7);
    assert!(served("xa-tuyen-quang") >= 40);
    assert_eq!(served("ubnd-tinh"), 19);
    assert_eq!(served("so-tnmt"), 1);
    assert_eq!(
        directory.agencies().len(),
        directory
            .agencies()
            .filter(|agency| agency.codes.len() == 2)
            .count()
    );

    let axis = SystemId::new("truc-quoc-gia").unwrap();
    assert_eq!(
        directory.system(&axis).unwrap().policy.signature,
        SignaturePolicy::ChannelVouches
    );
    for code in ["000.00.00.G22", "G12.18", "H53.31", "A60", "K60", "I03"] {
        assert_eq!(directory.resolve(code, TODAY).deliver_to(), Ok(&axis), "{code}");
    }
    assert!(matches!(
        directory.resolve("000.99.99.H60", TODAY),
        Resolution::Unknown { proposal: None, .. }
    ));
    assert!(
        String::from_utf8_lossy(SAMPLE_AGENCIES)
            .lines()
            .nth(1)
            .unwrap()
            .contains("minh họa")
    );
}

#[test]
fn a_real_directory_imports_with_its_seven_doubles() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples/directory/tay-ninh-h53.csv");
    let Ok(bytes) = std::fs::read(&path) else {
        println!(
            "SKIPPED: no real directory beside the checkout (../shared/samples/directory); 0 files read"
        );
        return;
    };
    println!("1 real directory read");
    let report = import_agencies(&Directory::empty(), &bytes, &options(TODAY));
    assert_eq!(
        (report.rows, report.taken, report.changes.added.len()),
        (455, 448, 448)
    );
    let doubles: Vec<(u64, u64, &str)> = report
        .problems
        .iter()
        .filter_map(|problem| match problem.kind {
            ProblemKind::CodeTwice { first } => Some((problem.line?, first, problem.found.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        doubles,
        [
            (449, 386, "000.00.00.G15"),
            (450, 427, "000.00.29.G14"),
            (451, 425, "000.00.25.G14"),
            (453, 422, "000.00.22.G14"),
            (454, 423, "000.00.23.G14"),
            (455, 420, "000.00.20.G14"),
            (456, 426, "000.00.26.G14"),
        ]
    );
    let mut others = report
        .problems
        .iter()
        .filter(|problem| problem.kind.code() != "code-twice");
    assert!(
        others.all(|problem| problem.kind == ProblemKind::NameSpelling),
        "{report}"
    );
    // The first row wins.
    let ministry = report
        .next
        .find_code(&AgencyCode::parse("000.00.00.G15").unwrap())
        .unwrap();
    assert_eq!(ministry.name(TODAY), Some("Bộ Tư Pháp"));
    let again = import_agencies(&report.next, &bytes, &options(TODAY));
    assert!(again.changes.is_empty());
    assert_eq!(again.next, report.next);
}

#[test]
fn twenty_thousand_rows() {
    let mut file = String::from("code,name,other_codes,parent\n000.00.00.H60,UBND tỉnh,H60,\n");
    for n in 0..20_000 {
        let (a, b) = (n / 100, n % 100);
        writeln!(file, "H60.{a}.{b},Đơn vị {n},{a:03}.{b:02}.77.H60,H60").unwrap();
    }
    let report = import_agencies(&Directory::empty(), file.as_bytes(), &options(TODAY));
    assert_eq!((report.taken, report.problems.len()), (20_001, 0));
    // Quadratic work would be 4·10⁸ steps: minutes, not the second or two this takes.
    for n in (0..20_000).step_by(7) {
        let known = report
            .next
            .resolve(&format!("H60.{}.{}", n / 100, n % 100), TODAY);
        assert!(matches!(known, Resolution::Known { .. }));
    }
    let json = report.next.to_json();
    assert_eq!(Directory::from_json(&json).unwrap().to_json(), json);
}

#[test]
fn the_page_has_every_word() {
    let page = concat!(
        include_str!("../../../../docs/reference/directory.md"),
        include_str!("../../../../docs/reference/directory-reorganise.md")
    );
    let words = ProblemKind::CODES.iter().copied();
    let words = words
        .chain(Column::ALL.iter().map(|column| column.as_str()))
        .chain(truc_directory::Action::ALL.iter().map(|action| action.as_str()))
        .chain(SystemKind::ALL.iter().map(|kind| kind.as_str()))
        .chain(SignaturePolicy::ALL.iter().map(|policy| policy.as_str()))
        .chain(ConflictPolicy::ALL.iter().map(|policy| policy.as_str()));
    let absent: Vec<&str> = words
        .filter(|word| !page.contains(&format!("`{word}`")))
        .collect();
    assert!(absent.is_empty(), "docs/reference/directory*.md lack {absent:?}");
}
