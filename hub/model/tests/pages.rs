//! The pages of `docs/reference/` and the code's lists are in step: every code has a page, every page a
//! code, and what a page says of a code is what the program says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use truc_model::delivery::TransportStateName;
use truc_model::{
    AlertKind, Answered, Applied, BodyProblemCode, BusinessState, ChangeOrder, ChangeState, NextTry, Ordered,
    ParkCause, RefusalCode, StatusCode, UndeliverableCause, WithdrawCause, WithdrawProof,
};

fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/reference")
        .join(path)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pages of a folder by name, its index left out.
fn pages(folder: &str) -> BTreeSet<String> {
    std::fs::read_dir(reference(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect()
}

fn must_say(page: &str, name: &str, words: &[&str]) {
    for word in words {
        assert!(page.contains(word), "{name} does not say: {word}");
    }
}

#[test]
fn every_refusal_has_its_page() {
    let codes: BTreeSet<String> = RefusalCode::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(pages("refusals"), codes);
    for code in RefusalCode::ALL {
        let name = format!("refusals/{code}.md");
        let page = read(&reference(&name));
        assert!(
            page.starts_with(&format!("# `{code}`\n")),
            "{name} has another title"
        );
        let (vi, en) = code.sentences();
        let (actor_vi, actor_en) = code.actor().labels();
        let (retry_vi, retry_en) = code.retry().sentences();
        must_say(&page, &name, &[vi, en, actor_vi, actor_en, retry_vi, retry_en]);
        let actor = serde_json::to_string(&code.actor()).unwrap();
        let retry = serde_json::to_string(&code.retry()).unwrap();
        must_say(
            &page,
            &name,
            &[
                "## Tiếng Việt",
                "**Việc cần làm.**",
                "## English",
                "**What to do.**",
                &format!("\"code\": \"{code}\""),
                &format!("\"actor\": {actor}"),
                &format!("\"retry\": {retry}"),
            ],
        );
        assert!(
            page.find("## Tiếng Việt") < page.find("## English"),
            "{name}: Vietnamese comes first"
        );
    }
}

#[test]
fn the_index_of_refusals_stands_in_order_of_precedence() {
    let index = read(&reference("refusals/README.md"));
    let linked: Vec<&str> = index
        .lines()
        .filter(|line| line.contains("](") && line.starts_with("| "))
        .filter_map(|line| line.split('`').nth(1))
        .collect();
    let codes: Vec<&str> = RefusalCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(linked, codes);
    for (rank, code) in RefusalCode::ALL.iter().enumerate() {
        must_say(
            &index,
            "refusals/README.md",
            &[&format!("| {} | [`{code}`]({code}.md) |", rank + 1)],
        );
    }
}

#[test]
fn every_problem_with_bodies_has_its_place() {
    let page = read(&reference("body-problems.md"));
    let titles: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'))
        .collect();
    let codes: Vec<&str> = BodyProblemCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(titles, codes, "in the order in which a request is judged");
    let sections = page.split("\n## ").skip(1);
    for (code, section) in BodyProblemCode::ALL.iter().zip(sections) {
        let (vi, en) = code.sentences();
        let (actor_vi, actor_en) = code.actor().labels();
        let next = serde_json::to_value(code.next()).unwrap();
        let next = format!("next `{}`", next.as_str().unwrap());
        let status = format!("HTTP {}", code.status());
        must_say(
            section,
            code.as_str(),
            &[vi, en, actor_vi, actor_en, &next, &status],
        );
    }
    for next in [NextTry::Resume, NextTry::Later, NextTry::AfterCorrection] {
        let (vi, en) = next.sentences();
        must_say(&page, "body-problems.md", &[vi, en]);
    }
    let openapi = read(&reference("../../schemas/openapi.yaml"));
    for code in BodyProblemCode::ALL {
        let answers = openapi.split(". ").find(|part| part.contains(code.as_str()));
        let answers = answers.unwrap_or_else(|| panic!("openapi.yaml does not name {code}"));
        must_say(answers, "openapi.yaml", &[&code.status().to_string()]);
    }
}

#[test]
fn every_alert_has_its_page() {
    let kinds: BTreeSet<String> = AlertKind::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(pages("alerts"), kinds);
    let index = read(&reference("alerts/README.md"));
    let mut last = 0;
    for kind in AlertKind::ALL {
        let name = format!("alerts/{kind}.md");
        let page = read(&reference(&name));
        assert!(
            page.starts_with(&format!("# `{kind}`\n")),
            "{name} has another title"
        );
        let (vi, en) = kind.sentences();
        let (next_vi, next_en) = kind.next();
        let severity = format!("{} · {}", kind.severity().label_vi(), kind.severity());
        let turn = format!("{} · {}", kind.turn().label_vi(), kind.turn_en());
        must_say(&page, &name, &[vi, en, next_vi, next_en, &severity, &turn]);
        must_say(
            &page,
            &name,
            &["## Tiếng Việt", "## English", "**Việc cần làm.**"],
        );
        let row = format!(
            "| [`{kind}`]({kind}.md) | {severity} | {} | {vi} |",
            kind.turn().label_vi()
        );
        let at = index.find(&row).unwrap_or_else(|| panic!("no row: {row}"));
        assert!(at > last, "{kind} stands at another place than in the list");
        last = at;
    }
}

#[test]
fn every_status_has_its_page() {
    let codes: BTreeSet<String> = StatusCode::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(pages("statuses"), codes);
    let index = read(&reference("statuses/README.md"));
    for code in StatusCode::ALL {
        let name = format!("statuses/{code}.md");
        let page = read(&reference(&name));
        assert!(
            page.starts_with(&format!("# {code} {}\n", code.label_vi())),
            "{name} has another title"
        );
        let reporter = if code.is_from_sender() {
            "the document's sender → its recipient"
        } else {
            "the document's recipient → its sender"
        };
        let reason = if code.needs_reason() {
            "(`Description`) | có · yes |"
        } else {
            "(`Description`) | không · no |"
        };
        must_say(&page, &name, &["## Tiếng Việt", "## English", reporter, reason]);
        must_say(
            &index,
            "statuses/README.md",
            &[&format!("| [{code}]({code}.md) | {} |", code.label_vi())],
        );
    }
}

#[test]
fn the_table_of_statuses_is_the_codes() {
    let index = read(&reference("statuses/README.md"));
    for state in BusinessState::ALL {
        let cells = StatusCode::ALL[..6].iter().map(|code| match state.apply(*code) {
            Applied::Moved { to, odd: true, .. } => format!("`{}` ²", to.as_str()),
            Applied::Moved {
                to, skipped: true, ..
            } => format!("`{}` ¹", to.as_str()),
            Applied::Moved { to, .. } => format!("`{}`", to.as_str()),
            Applied::Duplicate => "duplicate".to_owned(),
            Applied::Late => "late".to_owned(),
            Applied::Odd => "odd".to_owned(),
            Applied::Overlay => "overlay".to_owned(),
            Applied::Ended => "ended".to_owned(),
        });
        let row = format!(
            "| `{}` | {} | {} |",
            state.as_str(),
            state.label_vi(),
            cells.collect::<Vec<_>>().join(" | ")
        );
        must_say(&index, "statuses/README.md", &[&row]);
    }
}

#[test]
fn the_table_of_the_overlay_is_the_codes() {
    let index = read(&reference("statuses/README.md"));
    for state in ChangeState::ALL {
        let orders = ChangeOrder::ALL.map(|order| match state.ordered(order) {
            Ordered::Moved(to) => format!("`{}`", to.as_str()),
            Ordered::Repeated => "repeated".to_owned(),
            Ordered::Skipped => "skipped".to_owned(),
            Ordered::Stays => "stays".to_owned(),
        });
        let answers = [StatusCode::ChangeAgreed, StatusCode::ChangeRefused];
        let answers = answers.map(|code| match state.answered(code) {
            Answered::Moved { to, odd } => {
                let odd = if odd { " ²" } else { "" };
                let revision = if to == ChangeState::UpdateAgreed {
                    " ³"
                } else {
                    ""
                };
                format!("`{}`{odd}{revision}", to.as_str())
            }
            Answered::Odd => "odd".to_owned(),
        });
        let row = format!(
            "| `{}` | {} | {} | {} |",
            state.as_str(),
            state.label_vi(),
            orders.join(" | "),
            answers.join(" | ")
        );
        must_say(&index, "statuses/README.md", &[&row]);
    }
}

#[test]
fn every_state_and_cause_is_explained() {
    let page = read(&reference("states.md"));
    for state in TransportStateName::ALL {
        let column = serde_json::to_value(state.column()).unwrap();
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` | {} |", state.as_str(), state.label_vi())))
            .unwrap_or_else(|| panic!("states.md has no row for {}", state.as_str()));
        assert!(
            row.ends_with(&format!("| {} |", column.as_str().unwrap())),
            "{row}"
        );
    }
    let undeliverable = UndeliverableCause::ALL.map(UndeliverableCause::as_str);
    let parked = ParkCause::ALL.map(ParkCause::as_str);
    let withdrawn = WithdrawCause::ALL.map(WithdrawCause::as_str);
    let proofs = WithdrawProof::ALL.map(WithdrawProof::as_str);
    let words = undeliverable
        .iter()
        .chain(&parked)
        .chain(&withdrawn)
        .chain(&proofs);
    for word in words {
        must_say(&page, "states.md", &[&format!("| `{word}` |")]);
    }
}
