//! Resolving: every way a code can go.

use truc_directory::{Directory, Matched, Resolution};
use truc_model::agency::BadCode;
use truc_model::{AgencyCode, AgencyId, Party, SystemId, UndeliverableCause};

use crate::{AGENCIES, JULY, SYSTEMS, TODAY, directory};

fn told(directory: &Directory, raw: &str, on: jiff::civil::Date) -> String {
    let proposal = |proposal: &Option<AgencyCode>| match proposal {
        Some(code) => format!(", perhaps {code}"),
        None => String::new(),
    };
    match directory.resolve(raw, on) {
        Resolution::Known {
            agency,
            system,
            matched,
            via,
        } => {
            assert_eq!(via, None);
            let system = system.map_or_else(|| "-".to_owned(), |system| system.to_string());
            let spelling = if matched == Matched::Spelling {
                " respelled"
            } else {
                ""
            };
            format!("{agency} {system}{spelling}")
        }
        Resolution::Outside { code, system } => format!("outside {code} {system}"),
        Resolution::Closed { agency, successors } => {
            assert_eq!(successors, []);
            format!("closed {agency}")
        }
        Resolution::Split { agency, .. } => format!("split {agency}"),
        Resolution::SystemCode { code } => format!("system code {code}"),
        Resolution::Unknown {
            code,
            proposal: other,
        } => format!("unknown {code}{}", proposal(&other)),
        Resolution::BadCode(bad) => format!("bad: {bad:?}"),
    }
}

#[test]
fn every_way_a_code_can_go() {
    let directory = directory(SYSTEMS, AGENCIES);
    for (raw, on, expected) in [
        ("000.00.00.H60", TODAY, "A00001 so"),
        ("H60", TODAY, "A00001 so"),
        (" 000.20.30.h60\n", TODAY, "A00003 xa respelled"),
        ("H６0.30.20", TODAY, "A00003 xa respelled"),
        // Known, and nothing serves it: home is not the gateway's.
        ("000.00.30.H60", TODAY, "A00002 -"),
        // Registered outside agencies have a name here and the gateway's way.
        ("000.00.00.G22", TODAY, "A00005 quoc-gia"),
        // A prefix sends unregistered codes out, even when their other form is registered.
        ("G22", TODAY, "outside G22 quoc-gia"),
        ("000.00.18.G12", TODAY, "outside 000.00.18.G12 quoc-gia"),
        ("h53.31", TODAY, "outside H53.31 quoc-gia"),
        // The province's own is never sent out.
        ("000.99.30.H60", TODAY, "unknown 000.99.30.H60"),
        ("000.30.20.H60", TODAY, "unknown 000.30.20.H60"),
        ("H60.30", TODAY, "unknown H60.30, perhaps 000.00.30.H60"),
        ("30.H60", TODAY, "unknown 30.H60, perhaps 000.00.30.H60"),
        // No prefix covers these.
        ("K60", TODAY, "unknown K60"),
        ("0102030405", TODAY, "unknown 0102030405"),
        ("00.53.W00", TODAY, "system code 00.53.W00"),
        ("W60", TODAY, "system code W60"),
        (" ", TODAY, "bad: Empty"),
        ("UBND xã", TODAY, "bad: Characters"),
        // Dates.
        ("000.00.30.H60", JULY, "closed A00002"),
        ("000.00.30.H60", JULY.yesterday().unwrap(), "A00002 -"),
        ("H60.91", JULY, "A00004 xa"),
        ("H60.91", TODAY, "unknown H60.91"),
        // What is no longer in force is not proposed.
        ("H60.30", JULY, "unknown H60.30"),
    ] {
        assert_eq!(told(&directory, raw, on), expected, "{raw:?} on {on}");
    }
}

#[test]
fn parties_and_their_systems() {
    let directory = directory(SYSTEMS, AGENCIES);
    let id = |text: &str| SystemId::new(text).unwrap();
    let party = |raw: &str| directory.resolve(raw, TODAY).party(raw);
    assert_eq!(party("h60"), Party::Agency(AgencyId(1)));
    assert_eq!(party("g12"), Party::Outside(AgencyCode::parse("G12").unwrap()));
    for raw in ["H60.99", "00.53.W00", "mã lạ", ""] {
        assert_eq!(party(raw), Party::Unresolved(raw.to_owned()));
        assert_eq!(directory.system_of(&party(raw), TODAY), None);
    }
    // A commune may write under either of its codes; no other system may write for it.
    for raw in ["000.20.30.H60", "H60.30.20"] {
        assert!(directory.serves(&id("xa"), &party(raw), TODAY));
        assert!(!directory.serves(&id("so"), &party(raw), TODAY));
        assert!(!directory.serves(&id("quoc-gia"), &party(raw), TODAY));
    }
    assert!(directory.serves(&id("quoc-gia"), &party("G12"), TODAY));
    assert!(directory.serves(&id("quoc-gia"), &party("000.00.00.G22"), TODAY));
    assert!(!directory.serves(&id("xa"), &party("G12"), TODAY));
    assert!(!directory.serves(&id("khong-co"), &party("G12"), TODAY));
    // A code at home is not the gateway's, even when the ledger filed it as outside before.
    let outside = Party::Outside(AgencyCode::parse("H60.77").unwrap());
    assert!(!directory.serves(&id("quoc-gia"), &outside, TODAY));
    assert!(!directory.serves(&id("xa"), &Party::Agency(AgencyId(99)), TODAY));
}

#[test]
fn why_nothing_can_be_delivered() {
    let directory = directory(SYSTEMS, AGENCIES);
    for (raw, cause) in [
        ("000.00.30.H60", UndeliverableCause::NoSystem),
        ("H60.77", UndeliverableCause::UnknownCode),
        ("W00", UndeliverableCause::SystemCode),
        ("?", UndeliverableCause::BadCode),
    ] {
        assert_eq!(directory.resolve(raw, TODAY).deliver_to(), Err(cause), "{raw}");
    }
    let closed = directory.resolve("000.00.30.H60", JULY);
    assert_eq!(closed.deliver_to(), Err(UndeliverableCause::ClosedCode));
    assert_eq!(directory.resolve("", TODAY), Resolution::BadCode(BadCode::Empty));
}

#[test]
fn the_longest_prefix_wins_and_home_wins_a_tie() {
    let directory = directory(
        "system,name,kind,prefixes\n\
         ,,home,H60;K60\n\
         a-tat-ca,Mọi nơi,gateway,G;H;K\n\
         b-tai-chinh,Tài chính,gateway,G12;K60\n\
         c-thue,Thuế,gateway,G12.18;18.G12\n\
         d-rieng,Riêng,gateway,H60.99\n",
        "code,name\nH60,UBND tỉnh\n",
    );
    for (code, expected) in [
        ("G11", "outside G11 a-tat-ca"),
        ("G12", "outside G12 b-tai-chinh"),
        ("000.00.00.G12", "outside 000.00.00.G12 b-tai-chinh"),
        ("G12.18.01", "outside G12.18.01 c-thue"),
        ("000.00.18.G12", "outside 000.00.18.G12 c-thue"),
        ("G12.180", "outside G12.180 b-tai-chinh"),
        ("K60", "unknown K60"),
        ("K61", "outside K61 a-tat-ca"),
        ("H60.98", "unknown H60.98"),
        ("H60.99.01", "outside H60.99.01 d-rieng"),
    ] {
        assert_eq!(told(&directory, code, TODAY), expected);
    }
}

#[test]
fn a_system_named_but_not_registered_leads_nowhere() {
    let systems = "system,name,kind,prefixes\n,,home,H60\nquoc-gia,Trục,gateway,G\n";
    let next = directory(systems, "code,name\nH60,UBND tỉnh\n");
    let csv = "code,name,system\nG22,Văn phòng Chính phủ,chua-co\n";
    let next = truc_directory::import_agencies(&next, csv.as_bytes(), &crate::options(TODAY)).next;
    assert_eq!(told(&next, "G22", TODAY), "A00002 -");
    assert_eq!(
        next.resolve("G22", TODAY).deliver_to(),
        Err(UndeliverableCause::NoSystem)
    );
}
