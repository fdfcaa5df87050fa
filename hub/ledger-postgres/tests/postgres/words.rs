//! What strangers write: longer than an index takes, in every script.

use truc_ledger::SubmitOutcome;
use truc_ledger::contract::kit::Hub;
use truc_ledger::query::DocumentFilter;
use truc_model::{Party, Random as _, SeededRandom};

use crate::bench::SchemaBench;

/// The longest value the reader passes on (`MAX_VALUE_BYTES` of `hub/envelope/src/limits.rs`), of letters that do not compress.
fn long(seed: u64) -> String {
    let dice = SeededRandom::new(seed);
    let mut bytes = vec![0; 32 * 1024];
    dice.fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn names_longer_than_an_index_takes_are_kept_and_found() {
    let bench = SchemaBench::new().await;
    let hub = Hub::open(&bench).await;
    // Alike in everything but their last letter.
    let (one, other) = (format!("{}1", long(1)), format!("{}2", long(1)));
    let party = Party::Unresolved(long(2));
    let mut documents = Vec::new();
    for id in [&one, &other] {
        let mut document = hub.document(id);
        document.facts.number = Some(id.clone());
        document.recipients[0].party = party.clone();
        let outcome = hub.ledger.submit_document(document).await.unwrap();
        let SubmitOutcome::Accepted(receipt) = outcome else {
            panic!("{outcome:?}");
        };
        documents.push(receipt.document());
    }
    assert_eq!(hub.ledger.find(&one).await.unwrap(), [documents[0]]);
    assert_eq!(hub.ledger.find(&other).await.unwrap(), [documents[1]]);
    let filter = DocumentFilter {
        recipient: Some(party),
        ..DocumentFilter::default()
    };
    assert_eq!(hub.ledger.documents(&filter).await.unwrap().len(), 2);
    let shorter = DocumentFilter {
        recipient: Some(Party::Unresolved(long(2)[..200].to_owned())),
        ..DocumentFilter::default()
    };
    assert!(hub.ledger.documents(&shorter).await.unwrap().is_empty());
    // A second of the same identity is seen to be one.
    let again = hub.ledger.submit_document(hub.document(&one)).await.unwrap();
    assert!(!matches!(again, SubmitOutcome::Refused(_)), "{again:?}");
    hub.sound().await;
}

#[tokio::test]
async fn texts_are_found_in_every_script_and_sorted_by_bytes() {
    let bench = SchemaBench::new().await;
    let hub = Hub::open(&bench).await;
    for id in [
        "Công văn số 1",
        "công văn số 2",
        "ĐIỆN 3",
        "điện 4",
        "文書 5",
        "a'b\"c\\d%_{}6",
    ] {
        hub.accept(hub.document(id)).await;
        assert_eq!(hub.ledger.find(id).await.unwrap().len(), 1, "{id}");
    }
    let found = async |text: &str| {
        let filter = DocumentFilter {
            text: Some(text.to_owned()),
            ..DocumentFilter::default()
        };
        hub.ledger.documents(&filter).await.unwrap().len()
    };
    // Letters of any case in ASCII, all others as they are.
    assert_eq!(found("C\u{f4}ng v\u{103}n").await, 2);
    assert_eq!(found("ĐIỆN").await, 1);
    assert_eq!(found("書").await, 1);
    assert_eq!(found("A'B\"C\\D%_{}").await, 1);
    assert_eq!(found("%").await, 1, "no wildcard");
    hub.sound().await;
}
