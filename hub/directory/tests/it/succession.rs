//! Successions by themselves: chains, splits, limits, and the rules a stored form must keep.

use jiff::civil::{Date, date};
use truc_directory::{CodeRow, Directory, EditError, Editor, Resolution, Succession, Validity};
use truc_model::{AgencyCode, AgencyId, Party};

use crate::{JULY, SYSTEMS, TODAY, directory};

/// Agencies `H60.0`, `H60.1`, … with the ids 1, 2, …
fn agencies(count: usize) -> Directory {
    let base = directory(SYSTEMS, "code,name\n");
    let mut editor = Editor::new(&base);
    for n in 0..count {
        let id = editor
            .add_agency(
                &format!("Đơn vị {n}"),
                vec![CodeRow {
                    code: AgencyCode::parse(&format!("H60.{n}")).unwrap(),
                    valid: Validity::ALWAYS,
                    decision: None,
                    grace_until: None,
                }],
            )
            .unwrap();
        let system = truc_model::SystemId::new("xa").unwrap();
        editor.assign(id, Some(&system), TODAY).unwrap();
    }
    editor.finish()
}

fn id(n: usize) -> AgencyId {
    AgencyId(u32::try_from(n).unwrap() + 1)
}

/// 0 → 1 → … → hops, each on the day after the one before, all with grace.
fn chain(hops: usize) -> Directory {
    let base = agencies(hops + 1);
    let mut editor = Editor::new(&base);
    for n in 0..hops {
        let days = i64::try_from(n).unwrap();
        let on = JULY.saturating_add(jiff::Span::new().days(days));
        editor
            .end(id(n), &[id(n + 1)], on, Some(date(2030, 1, 1)))
            .unwrap();
    }
    editor.finish()
}

fn reaches(directory: &Directory, on: Date) -> Option<AgencyId> {
    match directory.resolve("H60.0", on) {
        Resolution::Known { agency, .. } => Some(agency),
        _ => None,
    }
}

#[test]
fn a_chain_is_followed_as_far_as_the_limit() {
    let later = date(2026, 1, 1);
    let longest = Succession::MAX_HOPS - 1;
    assert_eq!(reaches(&chain(longest), later), Some(id(longest)));
    assert_eq!(reaches(&chain(longest + 1), later), None);
    // On each day as far as it had come.
    let directory = chain(3);
    assert_eq!(reaches(&directory, TODAY), Some(id(0)));
    assert_eq!(reaches(&directory, JULY), Some(id(1)));
    assert_eq!(reaches(&directory, JULY.tomorrow().unwrap()), Some(id(2)));
    assert_eq!(reaches(&directory, date(2029, 12, 31)), Some(id(3)));
    assert_eq!(reaches(&directory, date(2030, 1, 1)), None);
    assert_eq!(directory.answers_for(id(0), date(2040, 1, 1)), id(3));
    assert_eq!(directory.predecessors(id(3), later), [id(0), id(1), id(2)]);
    assert_eq!(directory.predecessors(id(2), JULY), []);
}

#[test]
fn without_grace_nothing_is_forwarded_and_all_is_found() {
    let base = agencies(3);
    let mut editor = Editor::new(&base);
    editor.end(id(0), &[id(1)], JULY, None).unwrap();
    let directory = editor.finish();
    assert_eq!(
        directory.resolve("H60.0", JULY),
        Resolution::Closed {
            agency: id(0),
            successors: vec![id(1)]
        }
    );
    assert_eq!(directory.party_of("H60.0", JULY), Party::Agency(id(1)));
    assert_eq!(
        directory.formerly(&Party::Agency(id(1)), JULY),
        [Party::Agency(id(0))]
    );
    assert_eq!(directory.formerly(&Party::Agency(id(2)), JULY), []);
    assert_eq!(directory.formerly(&Party::Unresolved("x".to_owned()), JULY), []);
}

#[test]
fn a_split_is_never_followed() {
    let base = agencies(4);
    let mut editor = Editor::new(&base);
    editor.end(id(0), &[id(3), id(1), id(3)], JULY, None).unwrap();
    let directory = editor.finish();
    let split = Resolution::Split {
        agency: id(0),
        successors: vec![id(1), id(3)],
    };
    // Without an end it is held for ever; with one, until then.
    assert_eq!(directory.resolve("H60.0", date(2040, 1, 1)), split);
    assert_eq!(directory.party_of("H60.0", JULY), Party::Agency(id(0)));
    assert_eq!(directory.answers_for(id(0), JULY), id(0));
    assert_eq!(directory.successors(id(0), JULY), [id(1), id(3)]);
    let mut editor = Editor::new(&base);
    let until = date(2026, 1, 1);
    editor.end(id(0), &[id(1), id(3)], JULY, Some(until)).unwrap();
    let directory = editor.finish();
    assert_eq!(directory.resolve("H60.0", until.yesterday().unwrap()), split);
    assert!(
        matches!(directory.resolve("H60.0", until), Resolution::Closed { successors, .. } if successors.len() == 2)
    );
}

#[test]
fn a_code_closed_long_before_keeps_its_own_grace() {
    let base = agencies(2);
    let mut editor = Editor::new(&base);
    let new = AgencyCode::parse("H60.70").unwrap();
    let moved = date(2025, 4, 1);
    editor
        .recode(id(0), &[new], moved, Some(date(2025, 9, 1)))
        .unwrap();
    editor.end(id(0), &[id(1)], JULY, Some(date(2026, 1, 1))).unwrap();
    let directory = editor.finish();
    let known = |raw: &str, on| matches!(directory.resolve(raw, on), Resolution::Known { .. });
    assert!(known("H60.0", date(2025, 8, 31)) && !known("H60.0", date(2025, 9, 1)));
    assert!(known("H60.70", date(2025, 12, 31)) && !known("H60.70", date(2026, 1, 1)));
    assert_eq!(
        directory.party_of("H60.0", date(2027, 1, 1)),
        Party::Agency(id(1))
    );
}

#[test]
fn what_cannot_be() {
    let base = agencies(3);
    let mut editor = Editor::new(&base);
    assert_eq!(
        editor.end(id(0), &[id(0)], JULY, None),
        Err(EditError::OwnSuccessor(id(0)))
    );
    assert_eq!(
        editor.end(id(0), &[AgencyId(9)], JULY, None),
        Err(EditError::UnknownAgency(AgencyId(9)))
    );
    assert_eq!(
        editor.end(id(0), &[id(1)], JULY, Some(JULY)),
        Err(EditError::Dates)
    );
    editor.end(id(0), &[id(1)], JULY, None).unwrap();
    assert_eq!(
        editor.end(id(0), &[id(2)], JULY, None),
        Err(EditError::Ended(id(0)))
    );
    assert_eq!(
        editor.end(id(1), &[id(0)], JULY, None),
        Err(EditError::OwnSuccessor(id(1)))
    );
    let code = AgencyCode::parse("H60.90").unwrap();
    assert_eq!(
        editor.recode(id(0), &[code], JULY, None),
        Err(EditError::Ended(id(0)))
    );
    let taken = AgencyCode::parse("H60.2").unwrap();
    assert!(matches!(
        editor.recode(id(1), &[taken], JULY, None),
        Err(EditError::CodeTaken { .. })
    ));
    assert!(matches!(
        editor.set_level(id(1), Some(7), JULY),
        Err(EditError::Limit { .. })
    ));
    // Nothing of it was done by half.
    let next = editor.finish();
    assert_eq!(next.code_of(id(1), JULY).unwrap().as_str(), "H60.1");
}

#[test]
fn as_many_successors_and_no_more() {
    let base = agencies(Succession::MAX_SUCCESSORS + 2);
    let heirs: Vec<AgencyId> = (1..Succession::MAX_SUCCESSORS + 2).map(id).collect();
    let mut editor = Editor::new(&base);
    assert!(matches!(
        editor.end(id(0), &heirs, JULY, None),
        Err(EditError::Limit { .. })
    ));
    editor.end(id(0), &heirs[1..], JULY, None).unwrap();
    let next = editor.finish();
    assert_eq!(Directory::from_json(&next.to_json()).unwrap(), next);
    assert_eq!(next.successors(id(0), JULY).len(), Succession::MAX_SUCCESSORS);
}

#[test]
fn as_many_predecessors_and_no_more() {
    let merged = |count: usize| {
        let base = agencies(count + 1);
        let mut editor = Editor::new(&base);
        for n in 1..=count {
            editor.end(id(n), &[id(0)], JULY, None).unwrap();
        }
        editor.finish().predecessors(id(0), JULY).len()
    };
    assert_eq!(merged(Succession::MAX_PREDECESSORS), Succession::MAX_PREDECESSORS);
    assert_eq!(
        merged(Succession::MAX_PREDECESSORS + 1),
        Succession::MAX_PREDECESSORS
    );
}

#[test]
fn a_stored_form_that_breaks_a_rule_is_refused() {
    let base = agencies(3);
    let mut editor = Editor::new(&base);
    editor
        .end(id(0), &[id(1), id(2)], JULY, Some(date(2026, 1, 1)))
        .unwrap();
    let next = editor.finish();
    // A level told once is a plain number, as it always was; one that changes has its days.
    let json = next.to_json().replacen(r#""names""#, r#""level":3,"names""#, 1);
    let plain = Directory::from_json(&json.replacen(r#""level":3,"#, "", 1).replacen(
        r#"],"served_by""#,
        r#"],"level":3,"served_by""#,
        1,
    ))
    .unwrap();
    assert!(plain.to_json().contains(r#""level":3"#));
    let mut editor = Editor::new(&plain);
    editor.set_level(id(0), Some(2), JULY).unwrap();
    let next = editor.finish();
    let json = next.to_json();
    assert!(
        json.contains(r#""level":[{"value":3,"valid":{"to":"2025-07-01"}},"#),
        "{json}"
    );
    assert_eq!(Directory::from_json(&json).unwrap(), next);
    for (from, to) in [
        (r#""to":[2,3]"#, r#""to":[3,2]"#),
        (r#""to":[2,3]"#, r#""to":[2,2]"#),
        (r#""to":[2,3]"#, r#""to":[1,2]"#),
        (r#""to":[2,3]"#, r#""to":[2,9]"#),
        (r#""grace_until":"2026-01-01""#, r#""grace_until":"2025-07-01""#),
    ] {
        assert!(json.contains(from));
        let error = Directory::from_json(&json.replacen(from, to, 1)).unwrap_err();
        assert!(format!("{error:?}").starts_with("Successors"), "{to}: {error:?}");
    }
}
