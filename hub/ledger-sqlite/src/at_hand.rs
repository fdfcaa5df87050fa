//! What the writer has at hand ([`truc_ledger::recent`]) is never older than the file.

use std::sync::Arc;

use async_trait::async_trait;
use truc_ledger::Store;
use truc_ledger::contract::Bench;
use truc_ledger::contract::kit::{Hub, deliveries};
use truc_model::delivery::TransportStateName;

use crate::SqliteStore;

struct File(tempfile::TempDir);

impl File {
    async fn new() -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        SqliteStore::migrate(file.path()).await.unwrap();
        file
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("ledger.db")
    }
}

#[async_trait]
impl Bench for File {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.path()).await.unwrap())
    }
}

/// What two processes do in turns is what one does: what the other changed is not remembered as it was.
#[tokio::test]
async fn what_another_process_changed_is_read_again() {
    let file = File::new().await;
    let (one, other) = (Hub::open(&file).await, Hub::open(&file).await);
    let receipt = one.accept(one.document("1")).await;
    let claimed = other.claim().await;
    other.confirm(&claimed).await;
    let name = claimed
        .iter()
        .find(|message| message.outgoing.awaits_taken())
        .map(|message| message.system.as_str().to_owned())
        .unwrap();
    let of = deliveries(&claimed, &name);
    assert_eq!(one.take(&name, &of).await.taken, of);
    assert_eq!(other.take(&name, &of).await.repeated, of);
    assert_eq!(one.take(&name, &of).await.repeated, of);
    assert!(
        one.claim()
            .await
            .iter()
            .all(|message| !of.contains(&message.delivery))
    );
    assert!(
        other
            .states(receipt.document)
            .await
            .contains(&TransportStateName::Taken)
    );
    one.sound().await;
}

#[tokio::test]
async fn a_document_is_at_hand_until_its_last_message_is_done() {
    let file = File::new().await;
    let store = SqliteStore::open(file.path()).await.unwrap();
    struct Same(SqliteStore);
    #[async_trait]
    impl Bench for Same {
        async fn open(&self) -> Arc<dyn Store> {
            Arc::new(self.0.clone())
        }
    }
    let hub = Hub::open(&Same(store.clone())).await;
    let held = || {
        let extent = store.shared.recent.lock().unwrap().extent();
        (
            extent.documents,
            extent.messages,
            extent.bodies,
            extent.body_bytes,
        )
    };
    let document = hub.document("1");
    let size = usize::try_from(document.size).unwrap();
    hub.accept(document).await;
    let (documents, messages, bodies, bytes) = held();
    assert_eq!((documents, bodies, bytes), (1, 1, size));
    assert!(messages > 1, "the document's and the receipt");
    let claimed = hub.claim().await;
    assert_eq!(held(), (1, messages, 0, 0), "handed out to everybody");
    hub.confirm(&claimed).await;
    let waiting: Vec<String> = claimed
        .iter()
        .filter(|message| message.outgoing.awaits_taken())
        .map(|message| message.system.as_str().to_owned())
        .collect();
    assert_eq!(
        held().1,
        waiting.len(),
        "answers are done when they are confirmed"
    );
    for name in &waiting {
        assert_eq!(held().0, 1);
        hub.take(name, &deliveries(&claimed, name)).await;
    }
    assert_eq!(held(), (0, 0, 0, 0));
    hub.sound().await;
}
