//! Editing: versions, what is refused, rotation, limits, and the rules a stored form must keep.

use jiff::civil::date;
use truc_directory::{
    CertificateRow, CodeRow, Directory, DirectoryError, EditError, Editor, RoutePrefix, System, SystemKind,
    SystemStatus, Validity,
};
use truc_model::{AgencyCode, AgencyId, Sha256, SystemId};

use crate::{AGENCIES, JULY, SYSTEMS, TODAY, directory};

fn id(text: &str) -> SystemId {
    SystemId::new(text).unwrap()
}

fn certificate(n: usize, valid: Validity) -> CertificateRow {
    CertificateRow {
        pem: format!("-- {n} --"),
        thumbprint: Sha256::of(&n.to_be_bytes()),
        valid,
    }
}

fn code(text: &str) -> CodeRow {
    CodeRow {
        code: AgencyCode::parse(text).unwrap(),
        valid: Validity::ALWAYS,
        decision: None,
        grace_until: None,
    }
}

#[test]
fn one_editing_is_one_version_and_none_is_none() {
    let base = directory(SYSTEMS, AGENCIES);
    assert_eq!(Editor::new(&base).finish().version(), base.version());
    let mut editor = Editor::new(&base);
    editor.set_status(&id("xa"), SystemStatus::Disabled).unwrap();
    editor.assign(AgencyId(2), Some(&id("so")), TODAY).unwrap();
    let next = editor.finish();
    assert_eq!(next.version(), base.version() + 1);
    assert_eq!(next.system(&id("xa")).unwrap().status, SystemStatus::Disabled);
    // A first assignment holds always, the next from its day on.
    let before = TODAY.yesterday().unwrap();
    assert_eq!(
        next.agency(AgencyId(2)).unwrap().assigned(before),
        Some(&id("so"))
    );
    let mut editor = Editor::new(&next);
    editor.assign(AgencyId(2), None, TODAY).unwrap();
    let last = editor.finish();
    assert_eq!(last.agency(AgencyId(2)).unwrap().assigned(TODAY), None);
    assert_eq!(
        last.agency(AgencyId(2)).unwrap().assigned(before),
        Some(&id("so"))
    );
    assert_eq!(Directory::from_json(&last.to_json()).unwrap(), last);
}

#[test]
fn what_an_editor_refuses() {
    let base = directory(SYSTEMS, AGENCIES);
    let mut editor = Editor::new(&base);
    let exists = System::new(id("xa"), "Xã", SystemKind::Tenant);
    assert_eq!(editor.add_system(exists), Err(EditError::SystemExists(id("xa"))));
    let none = id("khong-co");
    assert_eq!(
        editor.assign(AgencyId(1), Some(&none), TODAY),
        Err(EditError::UnknownSystem(none))
    );
    assert_eq!(
        editor.assign(AgencyId(9), None, TODAY),
        Err(EditError::UnknownAgency(AgencyId(9)))
    );
    let taken = EditError::CodeTaken {
        code: code("H60").code,
        agency: AgencyId(1),
    };
    assert_eq!(editor.add_agency("Mới", vec![code("H60")]), Err(taken));
    assert_eq!(
        editor.add_code(AgencyId(1), code("00.60.W00")),
        Err(EditError::SystemCode(code("00.60.W00").code))
    );
    assert_eq!(
        editor.add_agency(" ", vec![code("H60.70")]),
        Err(EditError::Nameless)
    );
    assert_eq!(editor.rename(AgencyId(1), "", TODAY), Err(EditError::Nameless));
    let prefix = [RoutePrefix::parse("G").unwrap()];
    assert_eq!(
        editor.set_prefixes(&id("xa"), &prefix, TODAY),
        Err(EditError::NotAGateway(id("xa")))
    );
    // A system that cannot be filled is not left behind half made.
    editor
        .add_certificate(&id("xa"), certificate(1, Validity::ALWAYS))
        .unwrap();
    let mut system = System::new(id("moi"), "Mới", SystemKind::Agency);
    system.certificates = vec![certificate(2, Validity::ALWAYS), certificate(1, Validity::ALWAYS)];
    let bound = EditError::CertificateBound {
        thumbprint: certificate(1, Validity::ALWAYS).thumbprint,
        system: id("xa"),
    };
    assert_eq!(editor.add_system(system), Err(bound));
    let next = editor.finish();
    assert!(next.system(&id("moi")).is_none());
    assert_eq!(
        next.find_certificate(&certificate(1, Validity::ALWAYS).thumbprint)
            .unwrap()
            .0
            .id,
        id("xa")
    );
}

#[test]
fn a_rotation_leaves_an_overlap() {
    let base = directory(SYSTEMS, AGENCIES);
    let (begins, ends) = (date(2026, 1, 1), date(2026, 1, 31));
    let mut editor = Editor::new(&base);
    editor
        .add_certificate(&id("so"), certificate(1, Validity::ALWAYS))
        .unwrap();
    let new = certificate(2, Validity::since(begins));
    assert_eq!(
        editor.rotate_certificate(&id("so"), new.clone(), TODAY),
        Err(EditError::Dates)
    );
    editor.rotate_certificate(&id("so"), new, ends).unwrap();
    let next = editor.finish();
    let bound = |on| next.system(&id("so")).unwrap().certificates_on(on).count();
    assert_eq!(bound(begins.yesterday().unwrap()), 1);
    assert_eq!(bound(begins), 2);
    assert_eq!(bound(ends), 1);
    let mut editor = Editor::new(&next);
    let stolen = certificate(2, Validity::ALWAYS).thumbprint;
    editor.end_certificate(&id("so"), &stolen, ends).unwrap();
    assert_eq!(
        editor.end_certificate(&id("so"), &stolen, begins),
        Err(EditError::Dates)
    );
    let next = editor.finish();
    assert_eq!(next.system(&id("so")).unwrap().certificates_on(ends).count(), 0);
}

#[test]
fn limits_hold_at_their_edge() {
    let base = directory(SYSTEMS, AGENCIES);
    let mut editor = Editor::new(&base);
    for n in 0..System::MAX_CERTIFICATES {
        editor
            .add_certificate(&id("so"), certificate(n, Validity::ALWAYS))
            .unwrap();
    }
    let over = editor.add_certificate(&id("so"), certificate(9_999, Validity::ALWAYS));
    assert!(matches!(
        over,
        Err(EditError::Limit {
            max: System::MAX_CERTIFICATES,
            ..
        })
    ));
    let mut big = certificate(10_000, Validity::ALWAYS);
    big.pem = "x".repeat(CertificateRow::PEM_MAX);
    editor.add_certificate(&id("xa"), big.clone()).unwrap();
    big.pem.push('x');
    big.thumbprint = Sha256::of(b"other");
    assert!(matches!(
        editor.add_certificate(&id("xa"), big),
        Err(EditError::Limit { .. })
    ));

    let prefixes = |count: usize| -> Vec<RoutePrefix> {
        (0..count)
            .map(|n| RoutePrefix::parse(&format!("G{:02}.{n}", n % 100)).unwrap())
            .collect()
    };
    let gateway = id("quoc-gia");
    // Three prefixes are there already; they end, and stay.
    let room = System::MAX_PREFIXES - 3;
    assert!(matches!(
        editor.set_prefixes(&gateway, &prefixes(room + 1), JULY),
        Err(EditError::Limit { .. })
    ));
    editor.set_prefixes(&gateway, &prefixes(room), JULY).unwrap();
    let next = editor.finish();
    assert_eq!(
        next.system(&gateway).unwrap().prefixes.len(),
        System::MAX_PREFIXES
    );
    assert_eq!(Directory::from_json(&next.to_json()).unwrap(), next);
}

#[test]
fn codes_close_and_open_by_date() {
    let base = directory(SYSTEMS, AGENCIES);
    let mut editor = Editor::new(&base);
    let old = code("000.20.30.H60").code;
    let until = Validity {
        from: None,
        to: Some(JULY),
    };
    editor.set_code_dates(AgencyId(3), &old, until).unwrap();
    let new = CodeRow {
        valid: Validity::since(JULY),
        ..code("H60.95")
    };
    editor.add_code(AgencyId(3), new).unwrap();
    assert_eq!(
        editor.set_code_dates(AgencyId(3), &code("H60.96").code, until),
        Err(EditError::UnknownCode(code("H60.96").code))
    );
    editor.rename(AgencyId(3), "UBND xã Một (mới)", JULY).unwrap();
    editor.set_parent(AgencyId(3), Some(AgencyId(1)), JULY).unwrap();
    let next = editor.finish();
    let on = |day| next.code_of(AgencyId(3), day).map(AgencyCode::as_str);
    assert_eq!(on(TODAY), Some("000.20.30.H60"));
    assert_eq!(on(JULY), Some("H60.30.20"));
    assert_eq!(next.name_of(AgencyId(3), JULY), Some("UBND xã Một (mới)"));
    assert_eq!(next.agency(AgencyId(3)).unwrap().parent(TODAY), Some(AgencyId(2)));
    assert_eq!(next.agency(AgencyId(3)).unwrap().parent(JULY), Some(AgencyId(1)));
    // The code stays its own for ever.
    let mut editor = Editor::new(&next);
    assert!(matches!(
        editor.add_agency(
            "Khác",
            vec![CodeRow {
                code: old,
                valid: Validity::since(JULY),
                decision: None,
                grace_until: None,
            }]
        ),
        Err(EditError::CodeTaken {
            agency: AgencyId(3),
            ..
        })
    ));
}

#[test]
fn json_that_breaks_a_rule_is_refused() {
    let good = directory(SYSTEMS, AGENCIES).to_json();
    assert!(
        good.starts_with(r#"{"format":1,"version":2,"home":[{"value":"H60"}],"systems":[{"id":"quoc-gia""#),
        "{good}"
    );
    let check = |from: &str, to: &str, expected: &str| {
        assert!(good.contains(from), "{from}");
        let error = Directory::from_json(&good.replacen(from, to, 1)).unwrap_err();
        let told = format!("{error:?}");
        assert!(told.starts_with(expected), "{to}: {told}");
    };
    check(r#""format":1"#, r#""format":2"#, "Format");
    check(r#""version":2"#, r#""version":2,"colour":"red""#, "NotADirectory");
    check(r#"{"id":2,"#, r#"{"id":1,"#, "Order");
    check(r#""id":"so""#, r#""id":"aa""#, "Order");
    check(r#""code":"H60.30.20""#, r#""code":"H60""#, "CodeTwice");
    check(r#""code":"H60.30.20""#, r#""code":"H60 30""#, "NotADirectory");
    check(
        r#""to":"2025-07-01""#,
        r#""from":"2025-07-01","to":"2025-07-01""#,
        "Dates",
    );
    check(r#""names":[{"value":"UBND huyện"}]"#, r#""names":[]"#, "Nameless");
    check(
        r#""names":[{"value":"UBND huyện"}]"#,
        r#""names":[{"value":"UBND huyện"},{"value":"UBND"}]"#,
        "Dates",
    );
    check(r#"[{"value":"A"},"#, r#"[{"value":"A"},{"value":"A"},"#, "Dates");
    check(r#""kind":"gateway""#, r#""kind":"tenant""#, "NotAGateway");
    assert!(matches!(
        Directory::from_json("{"),
        Err(DirectoryError::NotADirectory(_))
    ));
    assert_eq!(
        Directory::from_json(&Directory::empty().to_json()).unwrap(),
        Directory::empty()
    );
}

#[test]
fn the_directory_holds_so_much_and_no_more() {
    let empty = Directory::empty();
    let mut editor = Editor::new(&empty);
    let system = |n: usize| System::new(id(&format!("s{n:05}")), "Hệ thống", SystemKind::Agency);
    for n in 0..Directory::MAX_SYSTEMS {
        editor.add_system(system(n)).unwrap();
    }
    let over = editor.add_system(system(Directory::MAX_SYSTEMS));
    assert!(matches!(
        over,
        Err(EditError::Limit {
            max: Directory::MAX_SYSTEMS,
            ..
        })
    ));
    for n in 0..Directory::MAX_AGENCIES {
        editor
            .add_agency("Đơn vị", vec![code(&format!("{n:010}"))])
            .unwrap();
    }
    let over = editor.add_agency("Đơn vị", vec![code("H60")]);
    assert!(matches!(
        over,
        Err(EditError::Limit {
            max: Directory::MAX_AGENCIES,
            ..
        })
    ));
    let json = editor.finish().to_json();
    assert!(Directory::from_json(&json).is_ok());
    let one_more = r#""agencies":[{"id":0,"names":[{"value":"x"}],"codes":[{"code":"H1"}]},"#;
    let agencies = Directory::from_json(&json.replacen(r#""agencies":["#, one_more, 1));
    assert!(matches!(
        agencies,
        Err(DirectoryError::Limit {
            max: Directory::MAX_AGENCIES,
            ..
        })
    ));
}

#[test]
fn home_holds_so_many_prefixes_and_no_more() {
    let prefixes = |count: usize| -> Vec<RoutePrefix> {
        let texts = (0..count).map(|n| format!("H60.{n}"));
        texts.map(|text| RoutePrefix::parse(&text).unwrap()).collect()
    };
    let empty = Directory::empty();
    let mut editor = Editor::new(&empty);
    let over = editor.set_home(&prefixes(Directory::MAX_HOME + 1), TODAY);
    assert!(matches!(over, Err(EditError::Limit { .. })));
    editor.set_home(&prefixes(Directory::MAX_HOME), TODAY).unwrap();
    let json = editor.finish().to_json();
    assert!(Directory::from_json(&json).is_ok());
    let home = Directory::from_json(&json.replacen(r#""home":["#, r#""home":[{"value":"A"},"#, 1));
    assert!(matches!(
        home,
        Err(DirectoryError::Limit {
            max: Directory::MAX_HOME,
            ..
        })
    ));
}
