//! `truc directory …` and what of `truc system …` needs no broker.

use std::path::Path;

use serde_json::Value;

use crate::place::{Place, ROOT};

#[test]
fn a_directory_is_previewed_then_imported() {
    let place = Place::new();
    place.run(&["migrate"]).ends(0);
    // Not a terminal, no --yes: a preview, and nothing saved.
    place
        .import(&[])
        .ends(0)
        .says(&["thêm mới", "Chưa lưu gì", "--yes"]);
    place.import(&["--dry-run"]).ends(0).says(&["Chưa lưu gì"]);
    assert_eq!(place.json(&["directory", "show"], 0)["version"], 0);

    place.import(&["--yes"]).ends(0).says(&["Đã lưu danh mục"]);
    place.import(&["--yes"]).ends(0).says(&["Không có gì thay đổi"]);
    let json = place.json(&["directory", "show"], 0);
    assert!(json["agencies"].as_u64().unwrap() >= 60, "{json}");
    assert_eq!(json["systems"].as_array().unwrap().len(), 5, "{json}");

    place
        .run(&["directory", "show"])
        .ends(0)
        .says(&["so-tnmt", "truc-quoc-gia", "H60"]);
    place.run(&["directory", "show", "000.00.09.h60"]).ends(0).says(&[
        "Sở Tài nguyên và Môi trường",
        "so-tnmt",
        "H60.09",
        "không giới hạn",
    ]);
    place
        .run(&["directory", "show", "so tai nguyen"])
        .ends(0)
        .says(&["000.00.09.H60"]);
    place
        .run(&["directory", "show", "phuong"])
        .ends(0)
        .says(&["000.20.30.H60", "cơ quan."]);
    place
        .run(&["directory", "show", "000.00.00.G22"])
        .ends(0)
        .says(&["truc-quoc-gia", "ngoài tỉnh"]);
    place
        .run(&["directory", "show", "000.99.99.H60"])
        .ends(1)
        .says(&["Không có trong danh mục"]);
    place.run(&["directory", "show", "không có tên này"]).ends(1);
    assert_eq!(
        place.json(&["directory", "show", "000.00.09.H60"], 0)["system"],
        "so-tnmt"
    );
    place.run(&["directory", "check"]).ends(0).says(&["0 lỗi"]);
}

#[test]
fn mistakes_in_a_file_are_told_by_line() {
    let place = Place::with_directory();
    let file = place.write(
        "more.csv",
        "code,name\n000.00.70.H60,Ban A\n000.00.70.H60,Ban B\n,Ban C\n000.00.71.H60,Ban \u{1b}[31mD\n",
    );
    let ran = place.run(&["directory", "import", &file, "--yes"]).ends(1);
    let ran = ran.says(&[
        "dòng 3",
        "code-twice",
        "dòng 4",
        "value-missing",
        "Đã lưu danh mục",
    ]);
    assert!(!ran.out().contains('\u{1b}'), "{}", ran.out());
    place
        .run(&["directory", "show", "000.00.70.H60"])
        .ends(0)
        .says(&["Ban A"]);
    place
        .run(&["directory", "import", "missing.csv"])
        .troubles(&["missing.csv"]);
}

#[test]
fn the_real_directory_imports_with_its_duplicates_told() {
    let file = Path::new(ROOT).join("../shared/samples/directory/tay-ninh-h53.csv");
    if !file.exists() {
        println!("SKIPPED: no sample directory at {}", file.display());
        return;
    }
    let place = Place::new();
    place.run(&["migrate"]).ends(0);
    let json = place.json(&["directory", "import", file.to_str().unwrap(), "--yes"], 1);
    let twice = json["agencies"]["problems"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| p["code"] == "code-twice")
        .count();
    assert_eq!(twice, 7, "{json}");
    assert_eq!(json["saved"], true);
    println!("1 sample directory imported");
}

#[test]
fn systems_are_edited_without_a_broker() {
    let place = Place::with_directory();
    place
        .run(&["system", "list"])
        .ends(0)
        .says(&["so-tnmt", "Không hỏi được RabbitMQ", "?"]);
    place
        .run(&["system", "add", "so-y-te", "--no-account"])
        .troubles(&["--name"]);
    place
        .run(&[
            "system",
            "add",
            "so-y-te",
            "--name",
            "Sở Y tế",
            "--kind",
            "agency",
            "--serves",
            "000.00.15.H60",
            "--no-account",
        ])
        .ends(0)
        .says(&["so-y-te", "1 cơ quan", "Chưa có chứng thư"]);
    let shown = place.json(&["directory", "show", "000.00.15.H60"], 0);
    assert_eq!(shown["system"], "so-y-te");
    place
        .run(&["system", "add", "so-y-te", "--name", "Khác", "--no-account"])
        .troubles(&["Sở Y tế"]);
    place
        .run(&[
            "system",
            "add",
            "so-y-te",
            "--serves",
            "000.99.99.H60",
            "--no-account",
        ])
        .troubles(&["000.99.99.H60"]);
    place
        .run(&["system", "add", "so-y-te", "--route", "G", "--no-account"])
        .troubles(&["gateway"]);
    // The broker is not there: nothing is written, and the password file is not left behind.
    let password = place.path("pw");
    place
        .run(&[
            "system",
            "add",
            "so-y-te",
            "--password-file",
            password.to_str().unwrap(),
        ])
        .troubles(&[]);
    assert!(!password.exists());

    place
        .run(&["system", "disable", "so-y-te"])
        .ends(0)
        .says(&["system-disabled"]);
    place
        .run(&["system", "disable", "so-y-te"])
        .ends(0)
        .says(&["không có gì thay đổi"]);
    place.run(&["system", "list"]).ends(0).says(&["TẠM KHÓA"]);
    place.run(&["system", "enable", "so-y-te"]).ends(0);
    place
        .run(&["system", "enable", "none-such"])
        .troubles(&["none-such"]);

    place.run(&["authority", "new", "--dir", "ca"]).ends(0);
    for name in ["so-y-te", "old"] {
        place.run(&["authority", "issue", "--dir", "ca", name]).ends(0);
    }
    place
        .run(&[
            "system",
            "add",
            "so-y-te",
            "--certificate",
            "ca/old.pem",
            "--no-account",
        ])
        .ends(0);
    place
        .run(&[
            "system",
            "rotate",
            "so-y-te",
            "--certificate",
            "ca/so-y-te.pem",
            "--overlap-days",
            "14",
        ])
        .ends(0)
        .says(&["Chứng thư mới", "Chứng thư cũ"]);
    place
        .run(&["system", "rotate", "so-tnmt", "--certificate", "ca/so-y-te.pem"])
        .troubles(&["so-y-te"]);
    place
        .run(&["system", "rotate", "so-tnmt", "--certificate", "ca/old.key.pem"])
        .troubles(&["private key"]);
    let listed = place.json(&["system", "list"], 0);
    let row = listed["systems"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["system"] == "so-y-te")
        .unwrap()
        .clone();
    assert!(row["certificates_until"].is_string(), "{row}");
    assert_eq!(row["account"], Value::Null);
}
