//! Whatever the file or the text: a report, a party, and the rules kept.

use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use truc_directory::{Directory, Editor, RoutePrefix, import_agencies, import_systems};
use truc_model::{AgencyId, SystemId};

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

    #[test]
    fn changes_on_any_days_keep_the_rules(
        days in proptest::collection::vec((0_i64..40, 0_usize..4, 0_u32..3), 1..12),
    ) {
        let mut directory = directory(SYSTEMS, AGENCIES);
        for (day, what, which) in days {
            let on = TODAY.saturating_add(jiff::Span::new().days(day));
            let mut editor = Editor::new(&directory);
            let agency = AgencyId(which + 1);
            let done = match what {
                0 => editor.rename(agency, &format!("tên {day}"), on),
                1 => editor.set_parent(agency, (day % 3 != 0).then_some(AgencyId(4)), on),
                2 => {
                    let text = if day % 2 == 0 { "xa" } else { "so" };
                    let system = SystemId::new(text).ok().filter(|_| day % 5 != 0);
                    editor.assign(agency, system.as_ref(), on)
                }
                _ => {
                    let letters: Vec<_> = ["G", "K", "A"].into_iter().skip(which as usize).collect();
                    let prefixes: Vec<_> = letters.iter().filter_map(|l| RoutePrefix::parse(l).ok()).collect();
                    editor.set_home(&prefixes, on)
                }
            };
            prop_assert_eq!(done, Ok(()));
            directory = editor.finish();
            let known = directory.agency(agency);
            let name = format!("tên {day}");
            match what {
                0 => prop_assert_eq!(known.and_then(|known| known.name(on)), Some(&*name)),
                1 => prop_assert_eq!(known.and_then(|known| known.parent(on)).is_some(), day % 3 != 0),
                2 => prop_assert_eq!(known.and_then(|known| known.assigned(on)).is_some(), day % 5 != 0),
                _ => {
                    let open = directory.home().iter().filter(|row| row.valid.contains(on)).count();
                    prop_assert_eq!(open, 3 - which as usize);
                }
            }
            let read = Directory::from_json(&directory.to_json());
            prop_assert_eq!(read.map_err(|error| error.to_string()), Ok(directory.clone()));
        }
    }
}
