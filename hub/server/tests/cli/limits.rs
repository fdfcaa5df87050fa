//! `truc calendar …` and `truc document late`.

use crate::place::Place;

#[test]
fn the_calendar_is_shown_and_extended() {
    let place = Place::new();
    place.run(&["calendar", "show", "2026"]).ends(0).says(&[
        "16/02/2026",
        "Tết Nguyên đán Bính Ngọ",
        "làm bù",
        "Năm 2026: 249 ngày làm việc.",
    ]);
    assert_eq!(place.json(&["calendar", "show", "2026"], 0)["working_days"], 249);
    let rows = place.run(&["calendar", "extend", "2028"]).ends(0).out();
    let own = truc_calendar::CALENDAR.replace("2027]", "2027, 2028]");
    let file = place.write("calendar.toml", format!("{own}\n{rows}"));
    place
        .run(&["calendar", "show", "2028", "--file", &file])
        .ends(0)
        .says(&["26/01/2028", "dự kiến"]);
    let bad = place.write("bad-calendar.toml", "years = 7");
    place
        .run(&["calendar", "show", "--file", &bad])
        .troubles(&["bad-calendar.toml"]);
    place.run(&["calendar", "show", "1066"]).ends(2);
}

#[test]
fn files_of_calendar_and_limits_are_part_of_the_configuration() {
    let place = Place::new();
    place.write("bad-limits.toml", "[handling]");
    let config = place.write("limits.toml", "[limits]\nfile = \"bad-limits.toml\"\n");
    place
        .run(&["check-config", "--config", &config])
        .ends(1)
        .says(&["limits.file", "bad-limits.toml"]);
}

#[test]
fn nobody_is_late_on_an_empty_ledger() {
    let place = Place::with_directory();
    place
        .run(&["document", "late"])
        .ends(0)
        .says(&["Không có gì quá hạn."]);
    place
        .run(&["document", "late", "--kind", "sending"])
        .ends(0)
        .says(&["Không có văn bản nào gửi chậm."]);
    place.run(&["document", "late", "--kind", "handling"]).ends(2);
}
