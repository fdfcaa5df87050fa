//! `truc envelope …` and `truc authority …`.

use std::path::Path;

use truc_envelope::{
    Attachment, Business, DocumentNumber, DocumentPacket, DocumentType, Limits, Organization, OtherInfo,
    Promulgation, TraceHeader, write_document,
};

use crate::place::{Place, ROOT, UUID};

/// A document from one department to the province.
pub(crate) fn packet() -> Vec<u8> {
    let file = b"%PDF-1.7\nb\xc3\xa1o c\xc3\xa1o";
    let document = DocumentPacket {
        from: Organization::new("000.00.09.H60", "Sở Tài nguyên và Môi trường"),
        to: vec![Organization::new("000.00.00.H60", "UBND tỉnh Tuyên Quang")],
        document_id: "000.00.09.H60,2026/11/20,1234/STNMT-VP".to_owned(),
        code: DocumentNumber::new("1234", "STNMT-VP"),
        promulgation: Promulgation {
            place: Some("Tuyên Quang".to_owned()),
            date: Some(jiff::civil::date(2026, 3, 20)),
        },
        document_type: DocumentType {
            number: Some(2),
            detail: None,
            name: Some("Công văn".to_owned()),
        },
        subject: "V/v báo cáo công tác".to_owned(),
        other: OtherInfo {
            page_amount: Some(1),
            ..OtherInfo::default()
        },
        trace: vec![TraceHeader {
            organ_id: Some("000.00.09.H60".to_owned()),
            timestamp: Some(jiff::civil::date(2026, 3, 20).at(8, 0, 0, 0)),
        }],
        business: Business::default(),
        attachments: vec![Attachment::of(
            "file-1",
            "bao-cao.pdf",
            Some("application/pdf"),
            file,
        )],
        ..DocumentPacket::default()
    };
    write_document(&document, &[file])
}

#[test]
fn packets_are_shown_and_linted() {
    let place = Place::new();
    let good = place.write("good.edxml", packet());
    place.run(&["envelope", "show", &good]).ends(0).says(&[
        "1234/STNMT-VP",
        "V/v báo cáo công tác",
        "20/03/2026",
        "bao-cao.pdf",
        "pdf",
        "000.00.00.H60",
    ]);
    assert_eq!(
        place.json(&["envelope", "show", &good], 0)["files"][0]["packet"]["kind"],
        "document"
    );
    let lint = place.run(&["envelope", "lint", &good]);
    assert!(lint.out().contains("good.edxml: "), "{}", lint.out());

    let date = String::from_utf8(packet())
        .unwrap()
        .replace("2026/03/20", "20/03/2026");
    let bad = place.write("bad.edxml", date);
    place
        .run(&["envelope", "show", &bad])
        .ends(0)
        .says(&["date-form"]);
    let ran = place.run(&["envelope", "lint", &bad]).ends(1).says(&[
        "LỖI date-form",
        "PromulgationDate",
        "yyyy/MM/dd",
    ]);
    let first = ran.out();
    let place_of = first
        .lines()
        .next()
        .unwrap()
        .strip_prefix(&format!("{bad}:"))
        .unwrap()
        .to_owned();
    let mut numbers = place_of.split(':');
    assert!(numbers.next().unwrap().parse::<u32>().unwrap() > 1, "{first}");
    assert!(numbers.next().unwrap().parse::<u32>().unwrap() > 1, "{first}");
    assert_eq!(
        place.json(&["envelope", "lint", &good, &bad], 1)["files"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let broken = place.write("broken.edxml", "<!DOCTYPE x><edXML/>");
    place
        .run(&["envelope", "show", &broken])
        .ends(1)
        .says(&["Trục sẽ từ chối", "envelope-doctype"]);
    place
        .run(&["envelope", "lint", &broken])
        .ends(1)
        .says(&["envelope-doctype"]);
    place
        .run(&["envelope", "show", "none.edxml"])
        .troubles(&["none.edxml"]);
}

#[test]
fn the_real_packets_are_shown_and_linted() {
    let dir = Path::new(ROOT).join("../shared/samples/edxml");
    let Ok(entries) = std::fs::read_dir(&dir) else {
        println!("SKIPPED: no sample packets at {}", dir.display());
        return;
    };
    let place = Place::new();
    let mut ran = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "edxml") {
            continue;
        }
        let file = path.to_str().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let readable = truc_envelope::read(&bytes, &Limits::default()).is_ok();
        let shown = place.json(&["envelope", "show", file], i32::from(!readable));
        assert_eq!(shown["files"][0]["accepted"], readable, "{file}");
        let lint = place.run(&["envelope", "lint", file]);
        assert!(
            matches!(lint.output.status.code(), Some(0 | 1)),
            "{file}: {}",
            lint.err()
        );
        assert!(lint.out().contains("ghi chú"), "{file}: {}", lint.out());
        ran += 1;
    }
    println!("{ran} sample packets shown and linted");
    assert!(ran > 0);
}

#[test]
fn a_seal_is_made_and_verified() {
    let place = Place::new();
    let file = place.write("good.edxml", packet());
    place
        .run(&["authority", "new", "--dir", "ca"])
        .ends(0)
        .says(&["CHỈ ĐỂ THỬ"]);
    place
        .run(&["authority", "new", "--dir", "ca"])
        .troubles(&["never overwritten"]);
    place
        .run(&["authority", "issue", "--dir", "ca", "so-tnmt"])
        .ends(0)
        .says(&["so-tnmt.pem"]);
    place
        .run(&["authority", "issue", "--dir", "nowhere", "so-tnmt"])
        .troubles(&["truc authority new"]);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(place.path("ca/so-tnmt.key.pem"))
            .unwrap()
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);

    let seal = |extra: &[&str]| {
        let mut arguments = vec![
            "envelope",
            "seal",
            "--cert",
            "ca/so-tnmt.pem",
            "--system",
            "so-tnmt",
            "--message-id",
            UUID,
        ];
        arguments.extend(extra);
        arguments.push(&file);
        place.run(&arguments)
    };
    let value = seal(&["--key", "ca/so-tnmt.key.pem"]).ends(0).out();
    assert_eq!(value.trim().split('.').count(), 3, "{value}");
    seal(&["--key", "ca/root.key.pem"]).troubles(&["certificate"]);

    let value_file = place.write("seal.txt", &value);
    let verify = |system: &str, file: &str, extra: &[&str]| {
        let mut arguments = vec![
            "envelope",
            "verify",
            "--seal-file",
            &value_file,
            "--cert",
            "ca/so-tnmt.pem",
            "--system",
            system,
            "--message-id",
            UUID,
        ];
        arguments.extend(extra);
        arguments.push(file);
        place.run(&arguments)
    };
    let anchors = ["--anchors", "ca/root.pem"];
    verify("so-tnmt", &file, &anchors)
        .ends(0)
        .says(&["HỢP LỆ", "ES256", "so-tnmt"]);
    verify("ubnd-tinh", &file, &anchors)
        .ends(1)
        .says(&["seal-claims"]);
    verify("so-tnmt", &file, &[]).troubles(&["--anchors"]);
    verify(
        "so-tnmt",
        &file,
        &["--anchors", "ca/root.pem", "--at", "2020-01-01"],
    )
    .ends(1)
    .says(&["seal-claims"]);
    let mut changed = packet();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let other = place.write("changed.edxml", changed);
    verify("so-tnmt", &other, &anchors)
        .ends(1)
        .says(&["seal-body-mismatch"]);
    place
        .run(&["authority", "crl", "--dir", "ca", "--revoked", "ca/so-tnmt.pem"])
        .ends(0)
        .says(&["1 chứng thư"]);
    verify(
        "so-tnmt",
        &file,
        &["--anchors", "ca/root.pem", "--crl", "ca/root.crl.pem"],
    )
    .ends(1)
    .says(&["certificate-revoked"]);
}

#[test]
fn packets_are_signed_inside_and_verified() {
    let place = Place::new();
    let packet = place.write("packet.edxml", packet());
    place.run(&["authority", "new", "--dir", "ca"]).ends(0);
    place
        .run(&["authority", "issue", "--dir", "ca", "so-tnmt"])
        .ends(0);
    let (key, certificate) = ("ca/so-tnmt.key.pem", "ca/so-tnmt.pem");
    let sign = ["envelope", "sign", "--key", key, "--cert", certificate];
    let with = |more: &[&'static str], file: &str| -> Vec<String> {
        let all = sign.iter().chain(more).map(|word| (*word).to_owned());
        all.chain([file.to_owned()]).collect()
    };
    let run = |arguments: &[String]| place.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    run(&with(&["--output", "signed.edxml"], &packet))
        .ends(0)
        .says(&["Đã ký", "signed.edxml"]);

    let verify = |file: &str, more: &[&str]| {
        let mut arguments = vec!["envelope", "verify", "--anchors", "ca/root.pem"];
        arguments.extend(more);
        arguments.push(file);
        place.run(&arguments)
    };
    verify("signed.edxml", &[])
        .ends(0)
        .says(&["HỢP LỆ", "ecdsa-sha256", "exc-c14n", "sha256"]);
    // What is printed is a packet too.
    let printed = run(&with(&["--canonicalization", "inclusive"], &packet))
        .ends(0)
        .out();
    let printed = place.write("printed.edxml", printed);
    let verdict = place.json(&["envelope", "verify", "--anchors", "ca/root.pem", &printed], 0);
    assert_eq!(verdict["valid"], true);
    assert_eq!(verdict["signature"]["state"], "valid");
    assert_eq!(verdict["canonicalization"], "c14n");

    // The answer is no: changed, unsigned, judged at another time, by other authorities, revoked.
    let changed = std::fs::read_to_string(place.path("signed.edxml"))
        .unwrap()
        .replace("V/v báo cáo", "V/v BÁO CÁO");
    let changed = place.write("changed.edxml", changed);
    verify(&changed, &[])
        .ends(1)
        .says(&["KHÔNG hợp lệ", "dsig-digest"]);
    verify(&packet, &[]).ends(1).says(&["KHÔNG CÓ chữ ký"]);
    verify("signed.edxml", &["--at", "2001-01-01"])
        .ends(1)
        .says(&["certificate-not-yet-valid"]);
    place.run(&["authority", "new", "--dir", "other"]).ends(0);
    let other = [
        "envelope",
        "verify",
        "--anchors",
        "other/root.pem",
        "signed.edxml",
    ];
    let verdict = place.json(&other, 1);
    assert_eq!(verdict["signature"]["reason"], "certificate-untrusted");

    place
        .run(&["authority", "crl", "--dir", "ca", "--revoked", "ca/so-tnmt.pem"])
        .ends(0);
    verify("signed.edxml", &["--crl", "ca/root.crl.pem"])
        .ends(1)
        .says(&["certificate-revoked"]);

    // And what cannot be done at all.
    run(&with(&[], "signed.edxml")).troubles(&["already has a signature"]);
    run(&with(&["--pss"], &packet)).troubles(&["--pss"]);
    place
        .run(&["envelope", "verify", "signed.edxml"])
        .troubles(&["no trust anchors"]);
    place
        .run(&[
            "envelope",
            "verify",
            "--seal",
            "x",
            "--anchors",
            "ca/root.pem",
            "signed.edxml",
        ])
        .ends(2);
}
