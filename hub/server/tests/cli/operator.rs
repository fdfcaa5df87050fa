//! An operator's orders: shown first, given only when meant, refused with a next step.

use truc_model::ParkCause;

use crate::documents::{small_ledger, submission};
use crate::place::Place;

/// The ward that the sample document is for, and another one of the same city.
const WARD: &str = "000.20.30.H60";
const OTHER_WARD: &str = "000.21.30.H60";

/// How the recipients of a document stand.
fn states(place: &Place, uid: &str) -> Vec<String> {
    let json = place.json(&["document", "show", uid], 0);
    let recipients = json["recipients"].as_array().unwrap();
    let state = |row: &serde_json::Value| row["transport"]["state"].as_str().unwrap().to_owned();
    recipients.iter().map(state).collect()
}

#[tokio::test]
async fn an_order_is_shown_first_and_given_only_when_meant() {
    let place = Place::with_directory();
    let uid = small_ledger(&place).await;
    let order = ["document", "park", &uid, "--reason", "chờ bên gửi xác nhận"];
    place.run(&order).ends(1).says(&[
        "Giữ lại — văn bản 1234/STNMT-VP",
        "Chờ gửi",
        "Tạm giữ",
        "Chưa làm gì.",
        "--yes",
    ]);
    assert_eq!(states(&place, &uid), ["scheduled", "scheduled", "undeliverable"]);
    let json = place.json(&order, 1);
    assert_eq!(json["given"], false);
    assert_eq!(json["would"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&json["would"][0]["before"], &json["would"][0]["after"]),
        (&"scheduled".into(), &"parked".into())
    );

    for bad in [
        &["document", "park", &uid, "--reason", " ", "--yes"][..],
        &[
            "document",
            "park",
            &uid,
            "--reason",
            "x",
            "--as",
            "hai chữ",
            "--yes",
        ],
        &[
            "document",
            "park",
            &uid,
            "--reason",
            "x",
            "--recipient",
            "000.00.05.H60",
            "--yes",
        ],
    ] {
        place.run(bad).ends(2);
    }
    place.run(&["document", "park", &uid, "--yes"]).ends(2);
    assert_eq!(states(&place, &uid), ["scheduled", "scheduled", "undeliverable"]);

    let mut meant = order.to_vec();
    meant.extend(["--recipient", WARD, "--as", "truc-ban", "--yes"]);
    place.run(&meant).ends(0).says(&[
        "Đã ghi lệnh «Giữ lại»",
        "Tạm giữ (operator)",
        "truc document trace",
    ]);
    assert_eq!(states(&place, &uid), ["scheduled", "parked", "undeliverable"]);
    place.run(&["document", "trace", &uid]).ends(0).says(&[
        "delivery-parked",
        "truc-ban",
        "chờ bên gửi xác nhận",
        "truc document release",
    ]);
    // Once more: it stands so already.
    place
        .run(&meant)
        .ends(1)
        .says(&["đang bị tạm giữ", "Không có gì để làm.", "truc document release"]);

    let json = place.json(
        &["document", "release", &uid, "--reason", "đã xác nhận", "--yes"],
        0,
    );
    assert_eq!(json["given"], true);
    assert_eq!(json["done"][0]["after"], "scheduled");
    assert_eq!(states(&place, &uid), ["scheduled", "scheduled", "undeliverable"]);
    place
        .run(&["ledger", "verify", "--bodies"])
        .ends(0)
        .says(&["NGUYÊN VẸN"]);
}

#[tokio::test]
async fn a_reroute_names_the_new_recipient_everywhere() {
    let place = Place::with_directory();
    let uid = small_ledger(&place).await;
    let reason = ["--reason", "theo QĐ 12/QĐ-UBND"];
    let with = |more: &[&str]| {
        let mut all = vec!["document".to_owned(), "reroute".to_owned(), uid.clone()];
        all.extend(reason.iter().chain(more).map(|part| (*part).to_owned()));
        all
    };
    let run = |more: &[&str]| {
        let all = with(more);
        place.run(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    // To several at once, to nobody, to one who gets it already, to where it goes anyway.
    run(&["--to", OTHER_WARD, "--yes"]).ends(2);
    run(&["--recipient", WARD, "--to", "000.98.98.H60", "--yes"]).ends(2);
    run(&["--recipient", WARD, "--to", "000.00.00.H60", "--yes"])
        .ends(1)
        .says(&["đơn vị đó đã là nơi nhận", "truc document close"]);
    run(&["--recipient", WARD, "--yes"])
        .ends(1)
        .says(&["vẫn gửi tới đúng chỗ đó"]);

    place
        .run(&[
            "document",
            "park",
            &uid,
            "--reason",
            "tạm dừng",
            "--recipient",
            WARD,
            "--yes",
        ])
        .ends(0);
    place
        .run(&[
            "document",
            "release",
            &uid,
            "--reason",
            "tiếp tục",
            "--recipient",
            WARD,
            "--yes",
        ])
        .ends(0);
    run(&["--recipient", WARD, "--to", OTHER_WARD, "--yes"])
        .ends(0)
        .says(&["chuyển cho UBND phường Minh Xuân", "Đã ghi lệnh «Chuyển hướng»"]);
    let json = place.json(&["document", "show", &uid], 0);
    let row = &json["recipients"][1];
    assert_eq!(row["codes"], serde_json::json!([OTHER_WARD, WARD]));
    assert_eq!(row["transport"]["state"], "scheduled");
    place.run(&["document", "trace", &uid]).ends(0).says(&[
        "delivery-rerouted",
        "thay cho UBND phường Phan",
        // Earlier events name who it was then.
        "tester giữ lại, chưa gửi tới UBND phường Phan Thiết",
    ]);
    place
        .run(&["ledger", "verify", "--bodies"])
        .ends(0)
        .says(&["NGUYÊN VẸN"]);
    place.run(&["ledger", "balance"]).ends(0).says(&["Cân đối: CÓ"]);
}

#[tokio::test]
async fn what_is_secret_needs_an_authorised_word() {
    let place = Place::with_directory();
    let mut secret = submission();
    secret.park = Some(ParkCause::SecretMarking);
    secret.facts.subject = None;
    let ledger = place.ledger().await;
    let outcome = ledger.submit_document(secret).await.unwrap();
    let uid = outcome.receipt().unwrap().document().to_string();
    let order = [
        "document",
        "release",
        &uid,
        "--reason",
        "đã giải mật, công văn 15",
        "--yes",
    ];
    place
        .run(&order)
        .ends(1)
        .says(&["có dấu hiệu mật", "Không mở văn bản", "--authorised"]);
    assert_eq!(states(&place, &uid)[..2], ["parked", "parked"]);
    let mut authorised = order.to_vec();
    authorised.push("--authorised");
    place.run(&authorised).ends(0);
    assert_eq!(states(&place, &uid)[..2], ["scheduled", "scheduled"]);
    place
        .run(&["document", "trace", &uid])
        .ends(0)
        .says(&["xác nhận có thẩm quyền", "công văn 15"]);
}

#[tokio::test]
async fn a_close_ends_it_for_good() {
    let place = Place::with_directory();
    let uid = small_ledger(&place).await;
    let order = [
        "document",
        "close",
        &uid,
        "--reason",
        "đơn vị đã giải thể",
        "--recipient",
        WARD,
        "--yes",
    ];
    place
        .run(&order)
        .ends(0)
        .says(&["Đã ghi lệnh «Đóng»", "Không gửi được (closed-by-operator)"]);
    assert_eq!(
        states(&place, &uid),
        ["scheduled", "undeliverable", "undeliverable"]
    );
    for command in ["park", "release", "reroute", "close", "resend"] {
        let json = place.json(
            &[
                "document",
                command,
                &uid,
                "--reason",
                "thử",
                "--recipient",
                WARD,
                "--yes",
            ],
            1,
        );
        assert_eq!(json["given"], false, "{command}");
        assert!(
            json["left"][0]["why"].as_str().unwrap().contains("ended"),
            "{command}: {json}"
        );
    }
    let balance = place.json(&["ledger", "balance"], 0);
    assert_eq!(balance["total"]["undeliverable"], 2);
    place.run(&["ledger", "verify"]).ends(0).says(&["NGUYÊN VẸN"]);
}
