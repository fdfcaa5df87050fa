//! The directory as its users meet it: resolving, importing, editing, checking.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod edit;
mod import;
mod properties;
mod reorganise;
mod resolve;
mod samples;
mod succession;

use jiff::civil::{Date, date};
use truc_directory::{Directory, ImportOptions, import_agencies, import_systems};

/// Most tests' today.
const TODAY: Date = date(2025, 3, 1);
/// The day on which district level ended.
const JULY: Date = date(2025, 7, 1);

fn options(on: Date) -> ImportOptions {
    ImportOptions::on(on)
}

/// A directory from two files that must have no problem.
fn directory(systems: &str, agencies: &str) -> Directory {
    let report = import_systems(&Directory::empty(), systems.as_bytes(), &options(TODAY));
    assert_eq!(report.problems, []);
    let report = import_agencies(&report.next, agencies.as_bytes(), &options(TODAY));
    assert_eq!(report.problems, []);
    report.next
}

const SYSTEMS: &str = "\
system,name,kind,prefixes,signature,note
,Tỉnh,home,H60,,
xa,Xã,tenant,,either,
so,Sở,agency,,seal,
quoc-gia,Trục quốc gia,gateway,A;G;H,channel,
";

const AGENCIES: &str = "\
code,name,other_codes,parent,level,system,valid_from,valid_to,note
000.00.00.H60,UBND tỉnh,H60,,1,so,,,
000.00.30.H60,UBND huyện,,H60,2,,,2025-07-01,
000.20.30.H60,UBND xã Một,H60.30.20,000.00.30.H60,3,xa,,,
H60.91,UBND xã Mới,,H60,2,xa,2025-07-01,,
000.00.00.G22,Văn phòng Chính phủ,,,1,,,,
";
