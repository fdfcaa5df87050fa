//! Whatever the file or the text: a report, a party, and the rules kept.

use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use truc_directory::{Directory, import_agencies, import_systems};

use crate::{AGENCIES, JULY, SYSTEMS, TODAY, directory, options};

const ROW: &str = "(H60|000\\.[0-3]{2}\\.[0-3]{2}\\.H60|h60\\.[0-3]| |W00|G1[0-2]),[a-zđ ]{0,6},(H60\\.[0-9]{1,2};?){0,2},(H60\\.[0-3])?,[0-9]?,(xa|so|moi)?,(2025-0[1-9]-01)?,(2025-0[1-9]-01)?,n?";

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_report(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let base = directory(SYSTEMS, AGENCIES);
        for header in [&b""[..], b"code,name,parent\n", b"system;name;kind;prefixes\n"] {
            let file = [header, &bytes].concat();
            let agencies = import_agencies(&base, &file, &options(TODAY));
            prop_assert!(agencies.taken <= agencies.rows);
            let systems = import_systems(&base, &file, &options(TODAY));
            prop_assert!(systems.taken <= systems.rows);
        }
    }

    #[test]
    fn any_text_resolves(raw in "\\PC{0,40}") {
        let base = directory(SYSTEMS, AGENCIES);
        let party = base.resolve(&raw, TODAY).party(&raw);
        // Whoever is delivered to is served by exactly that system.
        if let Ok(system) = base.resolve(&raw, TODAY).deliver_to() {
            prop_assert!(base.serves(system, &party, TODAY));
        }
    }

    #[test]
    fn an_import_is_idempotent_and_keeps_the_rules(rows in proptest::collection::vec(ROW, 0..20)) {
        let mut file = AGENCIES.lines().next().unwrap_or_default().to_owned();
        for row in &rows {
            file.push('\n');
            file.push_str(row);
        }
        let base = directory(SYSTEMS, AGENCIES);
        let first = import_agencies(&base, file.as_bytes(), &options(JULY));
        let again = import_agencies(&first.next, file.as_bytes(), &options(JULY));
        prop_assert!(again.changes.is_empty(), "{again}");
        prop_assert_eq!(&again.next, &first.next);
        prop_assert_eq!(first.next == base, first.changes.is_empty());
        let read = Directory::from_json(&first.next.to_json());
        prop_assert_eq!(read.map_err(|error| error.to_string()), Ok(first.next));
    }
}
