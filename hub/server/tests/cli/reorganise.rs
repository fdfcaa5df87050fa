//! The reorganisation of 2025 played with documents in flight, through the real command on a real ledger file; and
//! one whose day is still to come, as a hub carries it out.
//!
//! `TRUC_IN_FLIGHT=10000` plays it with ten thousand documents; without it, with a thousand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use truc_directory::{Directory, Editor};
use truc_ledger::{
    ClaimRequest, Claimed, DocumentChange, DocumentSubmission, Forwarded, HubId, Ledger, OperatorAction,
    OperatorOrder, OperatorTarget, PlannedRecipient, PublishFailed, PublishFailure, Reorganise,
    StatusSubmission, SubmissionKey, SubmitOutcome, TakenReport, VerifyOptions,
};
use truc_model::delivery::TransportStateName;
use truc_model::wire::Outgoing;
use truc_model::{
    AgencyCode, ChangeState, DeliveryUid, DocumentUid, ManualClock, MessageId, Operation, ParkCause, Party,
    Random as _, SeededRandom, Sha256, StatusCode, SystemId, TransportState, WithdrawCause,
};
use truc_server::flow::reorganise::{Seen, look, moves};
use truc_server::flow::route::{ordered_on, planned_on};

use crate::documents::submission;
use crate::place::{Place, ROOT};

/// The day on which the documents are sent.
const BEFORE: Date = date(2025, 6, 20);
const TABLE: &str = include_str!("../../../directory/tests/it/reorganisation-2025.txt");

fn in_flight() -> usize {
    let told = std::env::var("TRUC_IN_FLIGHT").ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

fn both_provinces() -> Place {
    let place = Place::with_directory();
    let ha_giang = format!("{ROOT}/config/samples/ha-giang.csv");
    place.run(&["directory", "import", &ha_giang, "--yes"]).ends(0);
    place
}

async fn directory(ledger: &Ledger) -> Directory {
    let (_, json) = ledger.latest_directory().await.unwrap().unwrap();
    Directory::from_json(&json).unwrap()
}

/// What the table says of a code on the day.
enum Becomes {
    /// Agency by this code, on this system; by succession or not.
    Goes(String, String, bool),
    Parked,
    Nowhere,
}

fn table() -> BTreeMap<String, Becomes> {
    let rows = TABLE.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let day = cells[2];
        let becomes = match day.split_once(" @") {
            Some((code, system)) => {
                let (system, via) = match system.strip_suffix(" via") {
                    Some(system) => (system, true),
                    None => (system, false),
                };
                Becomes::Goes(code.to_owned(), system.to_owned(), via)
            }
            None if day.starts_with("split") => Becomes::Parked,
            None => Becomes::Nowhere,
        };
        (cells[0].to_owned(), becomes)
    })
    .collect()
}

fn document(n: usize, random: &SeededRandom, recipients: Vec<PlannedRecipient>) -> DocumentSubmission {
    let base = submission();
    let body: Arc<[u8]> = Arc::from(format!("packet {n}").as_bytes());
    let mut document = DocumentSubmission {
        key: SubmissionKey {
            message_id: MessageId::new(random.uuid_v7(Timestamp::UNIX_EPOCH)),
            ..base.key
        },
        sha256: Sha256::of(&body),
        size: body.len() as u64,
        body: body.into(),
        recipients,
        ..base
    };
    document.identity.document_id = format!("in-flight-{n}");
    document.facts.number = Some(n.to_string());
    document
}

/// Every tenth to both codes of each agency; all to one to four agencies, now near now far from one another.
fn recipients(n: usize, directory: &Directory) -> Vec<PlannedRecipient> {
    let agencies: Vec<_> = directory.agencies().filter(|agency| agency.id.0 != 10).collect();
    let mut codes = Vec::new();
    let mut seen = BTreeSet::new();
    for k in 0..=(n % 4) {
        let agency = agencies[(n * 7 + k * (1 + n % 37)) % agencies.len()];
        if seen.insert(agency.id) {
            let take = if n.is_multiple_of(10) { 2 } else { 1 };
            codes.extend(agency.codes.iter().take(take).map(|row| row.code.to_string()));
        }
    }
    codes
        .iter()
        .map(|code| planned_on(directory, code, BEFORE))
        .collect()
}

async fn submit(ledger: &Ledger, documents: Vec<DocumentSubmission>) -> Vec<DocumentUid> {
    let mut uids = Vec::new();
    for part in documents.chunks(256) {
        let sent: Vec<_> = part
            .iter()
            .cloned()
            .map(|document| {
                let ledger = ledger.clone();
                tokio::spawn(async move { ledger.submit_document(document).await.unwrap() })
            })
            .collect();
        for outcome in sent {
            uids.push(outcome.await.unwrap().receipt().unwrap().document());
        }
    }
    uids
}

async fn claim(ledger: &Ledger) -> Vec<Claimed> {
    let request = ClaimRequest {
        window: u32::MAX / 4,
        max: 2_000,
        answers_max: 2_000,
        ..ClaimRequest::usual(HubId::new("hub"))
    };
    ledger.claim(request).await.unwrap()
}

async fn confirm(ledger: &Ledger, claimed: &[Claimed]) {
    let at = ledger.now();
    for part in claimed.chunks(256) {
        let confirms = part.iter().map(|message| Forwarded {
            delivery: message.delivery,
            at,
            attempt: message.attempt,
        });
        ledger.forwarded(confirms.collect()).await.unwrap();
    }
}

/// Everything that can go goes; the documents among it.
async fn forward(ledger: &Ledger) -> Vec<Claimed> {
    let mut all = Vec::new();
    loop {
        let claimed = claim(ledger).await;
        if claimed.is_empty() {
            return all;
        }
        confirm(ledger, &claimed).await;
        all.extend(
            claimed
                .into_iter()
                .filter(|message| message.outgoing == Outgoing::Document),
        );
    }
}

async fn take(ledger: &Ledger, messages: &[Claimed]) {
    let mut by_system: BTreeMap<&SystemId, Vec<DeliveryUid>> = BTreeMap::new();
    for message in messages {
        by_system
            .entry(&message.system)
            .or_default()
            .push(message.delivery);
    }
    for (system, deliveries) in by_system {
        for part in deliveries.chunks(500) {
            let report = TakenReport {
                system: system.clone(),
                message_id: None,
                taken: truc_model::wire::Taken {
                    taken: part.to_vec(),
                    ..Default::default()
                },
            };
            let outcome = ledger.taken(report).await.unwrap();
            assert_eq!(outcome.taken.len(), part.len(), "each once");
        }
    }
}

async fn sound(ledger: &Ledger) {
    let report = ledger.verify(&VerifyOptions::default()).await.unwrap();
    assert_eq!(report.findings, []);
    assert!(ledger.balance(&Default::default()).await.unwrap().balances());
}

/// How a recipient stood before the day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stage {
    Taken,
    Forwarded,
    Uncertain,
    Home,
}

#[tokio::test]
async fn the_reorganisation_of_2025_with_documents_in_flight() {
    let place = both_provinces();
    let ledger = place.ledger().await;
    let before = directory(&ledger).await;
    let random = SeededRandom::new(2025);
    let count = in_flight();
    let all: Vec<DocumentSubmission> = (0..count)
        .map(|n| document(n, &random, recipients(n, &before)))
        .collect();

    // A fifth is out, half of it taken; some may be out; the rest waits.
    let (out, rest) = all.split_at(count / 5);
    let (uncertain, home) = rest.split_at(count / 20);
    let mut stages: BTreeMap<DeliveryUid, Stage> = BTreeMap::new();
    let mut uids = submit(&ledger, out.to_vec()).await;
    let sent = forward(&ledger).await;
    let (taken, untaken) = sent.split_at(sent.len() / 2);
    take(&ledger, taken).await;
    stages.extend(taken.iter().map(|message| (message.delivery, Stage::Taken)));
    stages.extend(untaken.iter().map(|message| (message.delivery, Stage::Forwarded)));
    uids.extend(submit(&ledger, uncertain.to_vec()).await);
    loop {
        let claimed = claim(&ledger).await;
        let (documents, answers): (Vec<_>, Vec<_>) = claimed
            .into_iter()
            .partition(|message| message.outgoing == Outgoing::Document);
        confirm(&ledger, &answers).await;
        if documents.is_empty() && answers.is_empty() {
            break;
        }
        for message in documents {
            let failed = PublishFailed {
                delivery: message.delivery,
                at: ledger.now(),
                failure: PublishFailure::TimedOut,
                next_try: ledger
                    .now()
                    .saturating_add(jiff::SignedDuration::from_hours(1))
                    .unwrap(),
            };
            ledger.publish_failed(failed).await.unwrap();
            stages.insert(message.delivery, Stage::Uncertain);
        }
    }
    uids.extend(submit(&ledger, home.to_vec()).await);
    let mut rows_before = BTreeMap::new();
    for uid in &uids {
        rows_before.insert(*uid, ledger.document(*uid).await.unwrap().unwrap().recipients);
    }
    let stage = |delivery: Option<DeliveryUid>| {
        let known = delivery.and_then(|delivery| stages.get(&delivery).copied());
        known.unwrap_or(Stage::Home)
    };

    // The real command: a look, then all of it in one transaction.
    let file = format!("{ROOT}/config/samples/reorganisation-2025.csv");
    place.run(&["directory", "reorganise", &file]).ends(0).says(&[
        "Đọc 122 dòng: thực hiện được 122, 0 lỗi",
        "VĂN BẢN ĐANG CHỜ",
        "--apply",
    ]);
    assert_eq!(directory(&ledger).await, before, "a preview saves nothing");
    let json = place.json(&["directory", "reorganise", &file, "--apply", "--yes"], 0);
    assert_eq!(json["applied"], true);
    let next = directory(&ledger).await;
    assert_eq!(json["version"], next.version());
    place
        .run(&["directory", "reorganise", &file, "--apply", "--yes"])
        .ends(1)
        .says(&["applied-already"]);
    place
        .run(&["directory", "reorganise", "--pending"])
        .ends(0)
        .says(&["đã thực hiện", "NQ 202/2025/QH15"]);
    sound(&ledger).await;

    // Every recipient by the table of the directory's own test.
    let table = table();
    let party = |code: &str| {
        let code = AgencyCode::parse(code).unwrap();
        Party::Agency(next.find_code(&code).unwrap().id)
    };
    let mut counts: BTreeMap<(Stage, &str), usize> = BTreeMap::new();
    for (uid, rows) in &rows_before {
        let now = ledger.document(*uid).await.unwrap().unwrap().recipients;
        for (old, new) in rows.iter().zip(&now) {
            let stage = stage(old.delivery);
            if stage != Stage::Home {
                assert_eq!(old.state, new.state);
                assert_eq!(
                    (&old.party, &old.system, &old.delivery),
                    (&new.party, &new.system, &new.delivery)
                );
                *counts.entry((stage, "stays")).or_default() += 1;
                continue;
            }
            let what = match (&table[old.code()], &new.state) {
                (
                    Becomes::Parked,
                    TransportState::Parked {
                        cause: ParkCause::AmbiguousSuccessor,
                        ..
                    },
                ) => "parked",
                (Becomes::Nowhere, TransportState::Undeliverable { .. }) => "undeliverable",
                (
                    Becomes::Goes(code, _, true),
                    TransportState::Withdrawn {
                        cause: WithdrawCause::Merged,
                        ..
                    },
                ) => {
                    let heir = party(code);
                    let gets_it = now.iter().any(|other| {
                        other.party == heir
                            && other.codes.contains(&old.code().to_owned())
                            && !matches!(other.state, TransportState::Withdrawn { .. })
                    });
                    assert!(gets_it, "{uid}: nobody gets it for {}", old.code());
                    "merged"
                }
                (Becomes::Goes(code, system, via), TransportState::Scheduled { .. }) => {
                    assert_eq!(new.party, party(code), "{}", old.code());
                    assert_eq!(new.system.as_ref().unwrap().as_str(), system, "{}", old.code());
                    assert!(new.codes.contains(&old.code().to_owned()));
                    if *via && party(code) != old.party {
                        assert_eq!(new.code(), code.as_str());
                        "successor"
                    } else if new.system == old.system {
                        "unchanged"
                    } else {
                        "other system"
                    }
                }
                (_, state) => panic!("{}: {state:?}", old.code()),
            };
            *counts.entry((stage, what)).or_default() += 1;
        }
    }
    println!("{count} documents in flight, recipients by what became of them:");
    for ((stage, what), count) in &counts {
        println!(
            "  {:<10} {what:<14} {count:>7}",
            format!("{stage:?}").to_lowercase()
        );
    }
    let of = |what: &str| counts.get(&(Stage::Home, what)).copied().unwrap_or(0) as u64;
    let told = &json["moved"];
    assert_eq!(told["parked"], of("parked"));
    assert_eq!(told["undeliverable"], of("undeliverable"));
    assert_eq!(told["merged"], of("merged"));
    assert_eq!(told["moved"], of("successor") + of("other system"));
    assert!(of("merged") > 0 && of("parked") > 0 && of("undeliverable") > 0 && of("successor") > 0);

    // Looked at again by a hub: nothing is left to do.
    let on = ledger.now().to_zoned(truc_model::clock::viet_nam()).date();
    assert_eq!(moves(&next, &ledger.at_home().await.unwrap(), on), []);

    // Everything comes to its end: what waits goes out, what is held is let go to the first successor.
    take(&ledger, untaken).await;
    let mut arrived: BTreeMap<(DocumentUid, Party), usize> = BTreeMap::new();
    for uid in &uids {
        let rows = ledger.document(*uid).await.unwrap().unwrap().recipients;
        for row in rows
            .iter()
            .filter(|row| matches!(row.state, TransportState::Parked { .. }))
        {
            let heir = next.successors(agency_of(&row.party), on)[0];
            let code = next.code_of(heir, on).unwrap().to_string();
            let order = |action, to| OperatorOrder {
                document: *uid,
                action,
                recipients: vec![OperatorTarget {
                    position: row.position,
                    to,
                }],
                who: "van-hanh".to_owned(),
                why: "chọn đơn vị kế thừa".to_owned(),
            };
            let release = OperatorAction::Release { authorised: false };
            let released = ledger
                .operator(order(release, Some(planned_on(&next, &code, on))))
                .await
                .unwrap();
            if released.done.is_empty() {
                let closed = ledger.operator(order(OperatorAction::Close, None)).await.unwrap();
                assert_eq!(closed.done.len(), 1, "{:?}", released.left);
            }
        }
    }
    let sent = forward(&ledger).await;
    take(&ledger, &sent).await;
    let mut finals: BTreeMap<TransportStateName, usize> = BTreeMap::new();
    for uid in &uids {
        let rows = ledger.document(*uid).await.unwrap().unwrap().recipients;
        for row in rows {
            let waits_for_its_next_try = stage(row.delivery) == Stage::Uncertain;
            assert!(
                row.state.is_final() || waits_for_its_next_try,
                "{uid} {}: {:?}",
                row.code(),
                row.state
            );
            *finals.entry(row.state.name()).or_default() += 1;
            if matches!(row.state, TransportState::Taken { .. }) {
                *arrived.entry((*uid, row.party)).or_default() += 1;
            }
        }
    }
    println!("ends: {finals:?}");
    let doubled: Vec<_> = arrived.iter().filter(|(_, times)| **times > 1).collect();
    assert_eq!(doubled, [], "nobody gets a document twice");
    sound(&ledger).await;

    old_codes_still_lead_to_documents(&ledger, &next, &uids, on).await;
    sound(&ledger).await;
}

fn agency_of(party: &Party) -> truc_model::AgencyId {
    match party {
        Party::Agency(id) => *id,
        other => panic!("{other}"),
    }
}

/// Statuses and recalls under the codes of the packets, long after they closed.
async fn old_codes_still_lead_to_documents(
    ledger: &Ledger,
    next: &Directory,
    uids: &[DocumentUid],
    on: Date,
) {
    let random = SeededRandom::new(7);
    let (mut statuses, mut recalls) = (0, 0);
    for uid in uids.iter().step_by((uids.len() / 60).max(1)) {
        let view = ledger.document(*uid).await.unwrap().unwrap();
        let sender_code = view.document.sender_code.clone();
        let about = next.party_of(&sender_code, on);
        for row in view
            .recipients
            .iter()
            .filter(|row| matches!(row.state, TransportState::Taken { .. }))
        {
            // The code of the packet, which stands last.
            let code = row.codes.last().unwrap();
            // Of the system that took it: the old one for what it took before, the new one for the rest.
            let system = row.system.clone().unwrap();
            let reporter = next
                .sender_of_old(code, &system, on)
                .unwrap_or_else(|| panic!("{system} does not speak for {code}"));
            let body: Arc<[u8]> = Arc::from(format!("status {uid} {}", row.position).as_bytes());
            let status = StatusSubmission {
                key: SubmissionKey {
                    system: system.clone(),
                    message_id: MessageId::new(random.uuid_v7(Timestamp::UNIX_EPOCH)),
                },
                received_at: ledger.now(),
                sha256: Sha256::of(&body),
                size: body.len() as u64,
                body,
                code: StatusCode::Accepted,
                reporter_formerly: next.filed_under(&reporter, &system, on),
                reporter,
                reporter_code: code.clone(),
                about: about.clone(),
                about_formerly: next.formerly(&about, on),
                about_code: sender_code.clone(),
                document_id: Some(view.document.identity.document_id.clone()),
                number: None,
                year: None,
                to_system: next.answers_to(&about, on).cloned(),
                reason_given: false,
                warnings: vec![],
            };
            let outcome = ledger.submit_status(status).await.unwrap();
            assert!(
                matches!(outcome, SubmitOutcome::Accepted(_)),
                "{code}: {outcome:?}"
            );
            statuses += 1;
        }
        // The sender was merged too: its successor recalls, under the old codes.
        let system = SystemId::new("so-tnmt").unwrap();
        let sender = next.sender(&sender_code, &system, on).unwrap();
        let codes = view.recipients.iter().filter_map(|row| row.codes.last());
        let mut recall = document(
            900_000 + recalls,
            &random,
            codes.map(|code| ordered_on(next, code, on)).collect(),
        );
        recall.sender_formerly = next.formerly(&sender, on);
        recall.identity.sender = sender;
        recall.facts.operation = Operation::Recall;
        recall.change = Some(DocumentChange::Recall {
            document_id: view.document.identity.document_id.clone(),
        });
        let outcome = ledger.submit_document(recall).await.unwrap();
        let any_left = view.recipients.iter().any(|row| {
            !matches!(
                row.state,
                TransportState::Withdrawn { .. } | TransportState::Undeliverable { .. }
            )
        });
        if any_left {
            assert!(
                matches!(outcome, SubmitOutcome::Accepted(_)),
                "{uid}: {outcome:?}"
            );
            let rows = ledger.document(*uid).await.unwrap().unwrap().recipients;
            for row in rows
                .iter()
                .filter(|row| matches!(row.state, TransportState::Taken { .. }))
            {
                assert_eq!(row.change, ChangeState::RecallAsked, "{uid} {:?}", row.codes);
            }
        }
        recalls += 1;
    }
    println!("{statuses} statuses and {recalls} recalls under old codes found their documents");
    assert!(statuses > 20 && recalls > 20);
}

#[tokio::test]
async fn what_is_to_come_is_carried_out_on_its_day_once() {
    let place = both_provinces();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let clock = Arc::new(ManualClock::at(at("2025-06-30T10:00:00+07:00")));
    let ledger = place.ledger_at(Arc::clone(&clock) as _).await;
    let before = directory(&ledger).await;
    let random = SeededRandom::new(1);
    let to = |code: &str| planned_on(&before, code, BEFORE);
    let waiting = document(1, &random, vec![to("H60.30.20"), to("H60.05")]);
    let uid = submit(&ledger, vec![waiting]).await[0];

    let csv = std::fs::read(format!("{ROOT}/config/samples/reorganisation-2025.csv")).unwrap();
    let report = truc_directory::reorganise(&before, &csv, None);
    assert!(!report.has_errors());
    let next = report.next;
    let planned = Reorganise {
        directory: Some(truc_ledger::NewDirectory {
            expected_version: before.version(),
            version: next.version(),
            json: next.to_json(),
            who: "van-hanh".to_owned(),
            summary: Default::default(),
        }),
        told: vec![truc_server::flow::reorganise::told(
            &next.reorganisations()[0],
            false,
        )],
        moves: vec![],
        who: "van-hanh".to_owned(),
        why: String::new(),
    };
    ledger.reorganise(planned).await.unwrap();
    let june = date(2025, 6, 30);
    let mut seen = Seen::default();
    // The day before: nothing, also after a restart.
    assert_eq!(look(&ledger, &next, june, &mut seen).await.unwrap(), None);
    assert_eq!(
        look(&ledger, &next, june, &mut Seen::default()).await.unwrap(),
        None
    );
    let row = || async { ledger.document(uid).await.unwrap().unwrap().recipients[0].clone() };
    assert_eq!(row().await.code(), "H60.30.20");

    // Midnight: of two hubs one carries it out, the other finds that it was.
    clock.advance(14 * 3600 + 1);
    let july = date(2025, 7, 1);
    let (mut one, mut two) = (Seen::default(), Seen::default());
    let (first, second) = tokio::join!(
        look(&ledger, &next, july, &mut one),
        look(&ledger, &next, july, &mut two),
    );
    assert_eq!(
        [&first, &second]
            .into_iter()
            .filter(|outcome| outcome.is_ok())
            .count(),
        1
    );
    let counts = first.or(second).unwrap().unwrap();
    assert_eq!((counts.moved, counts.parked, counts.undeliverable), (1, 0, 0));
    let moved = row().await;
    assert_eq!((moved.code(), moved.codes.len()), ("H60.101", 2));
    let done = directory(&ledger).await;
    assert!(done.reorganisations()[0].moved);
    // After a restart: not again; but a straggler that came in by the old version is moved.
    assert_eq!(
        look(&ledger, &done, july, &mut Seen::default()).await.unwrap(),
        None
    );
    let late = document(2, &random, vec![to("H60.30.22")]);
    let late = submit(&ledger, vec![late]).await[0];
    let counts = look(&ledger, &done, july, &mut one).await.unwrap().unwrap();
    assert_eq!(counts.moved, 1);
    let late = &ledger.document(late).await.unwrap().unwrap().recipients[0];
    assert_eq!(late.code(), "H60.101");
    sound(&ledger).await;

    // A change of system by any other edit is followed too; and once all is settled nobody looks.
    let mut editor = Editor::new(&done);
    let health = done.find_code(&AgencyCode::parse("H60.05").unwrap()).unwrap().id;
    let system = SystemId::new("so-tnmt").unwrap();
    editor.assign(health, Some(&system), july).unwrap();
    let edited = editor.finish();
    let counts = look(&ledger, &edited, july, &mut one).await.unwrap().unwrap();
    assert_eq!(counts.moved, 1);
    clock.advance(3600);
    assert_eq!(look(&ledger, &edited, july, &mut one).await.unwrap(), None);
    sound(&ledger).await;
}
