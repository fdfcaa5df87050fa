//! What the hub trusts stands in its ledger: at the start, after each change, and not again without one.

use std::sync::Arc;

use tokio::sync::watch;
use truc_directory::{CertificateRow, Editor, Validity as Days};
use truc_ledger::{DirectorySummary, EventKind, Fact, NewDirectory};
use truc_model::{Clock, Sha256, SystemId};
use truc_server::app::App;
use truc_server::authority::{Authority, LeafKey, Validity};
use truc_server::config::Config;

use super::{Twin, event_kinds};

struct Told {
    hub: String,
    anchors: Vec<Sha256>,
    lists: Vec<String>,
    certificates: u64,
    policy: Vec<String>,
}

/// What the events about trust say, oldest first.
async fn told(twin: &Twin) -> Vec<Told> {
    let rows = twin.ledger.events(1, 1000).await.unwrap();
    let facts = rows.iter().map(|row| row.event().unwrap().fact);
    facts
        .filter_map(|fact| match fact {
            Fact::TrustChanged {
                hub,
                anchors,
                lists,
                certificates_count,
                policy,
                ..
            } => Some(Told {
                hub: hub.as_str().to_owned(),
                anchors,
                lists: lists.into_iter().map(|list| list.issuer).collect(),
                certificates: certificates_count,
                policy,
            }),
            _ => None,
        })
        .collect()
}

async fn until_told(twin: &Twin, times: usize) -> Vec<Told> {
    loop {
        let told = told(twin).await;
        if told.len() >= times {
            return told;
        }
        tokio::task::yield_now().await;
    }
}

fn span(clock: &dyn Clock) -> Validity {
    let now = clock.now();
    Validity {
        not_before: now - jiff::SignedDuration::from_hours(24),
        not_after: now + jiff::SignedDuration::from_hours(24 * 30),
    }
}

#[tokio::test]
async fn trust_is_told_at_the_start_and_when_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let random = truc_model::SeededRandom::new(3);
    let mut config = Config::default();
    config.directory.refresh_ms = 5;
    config.seal.anchors = vec![dir.path().join("root.pem")];
    config.seal.crls = vec![dir.path().join("root.crl")];
    let made = truc_model::ManualClock::at("2026-03-02T02:00:00Z".parse().unwrap());
    let authority = Authority::root("Gốc", span(&made), &random).unwrap();
    std::fs::write(&config.seal.anchors[0], authority.certificate_pem()).unwrap();
    let list = |name: &str| {
        let authority = Authority::root(name, span(&made), &random).unwrap();
        authority.crl(&[], span(&made)).unwrap()
    };
    std::fs::write(&config.seal.crls[0], list("Một")).unwrap();

    let twin = Twin::start_as(config.clone(), |_| {}, |app| app).await;
    let first = until_told(&twin, 1).await;
    assert_eq!(first[0].hub, config.hub.name);
    assert_eq!((first[0].anchors.len(), first[0].certificates), (1, 0));
    assert!(first[0].lists[0].contains("CN=Một"), "{}", first[0].lists[0]);
    assert_eq!(
        first[0].policy,
        ["key-usage=any-signing", "missing-crl=accept", "stale-crl=use"]
    );
    // It stands before the first document could be judged by it.
    assert_eq!(
        event_kinds(&twin).await[1..3],
        [EventKind::HubStarted, EventKind::TrustChanged]
    );

    std::fs::write(&config.seal.crls[0], list("Hai")).unwrap();
    let second = until_told(&twin, 2).await;
    assert!(second[1].lists[0].contains("CN=Hai"), "{}", second[1].lists[0]);

    // A certificate bound by a new version of the directory.
    let system = SystemId::new("so-tnmt").unwrap();
    let issued = authority
        .issue(&system, LeafKey::P256, span(&made), &random)
        .unwrap();
    let before = truc_server::app::directory(&twin.ledger).await.unwrap();
    let mut editor = Editor::new(&before);
    let row = CertificateRow {
        thumbprint: issued.thumbprint,
        pem: issued.certificate_pem.clone(),
        valid: Days::since(twin.clock.today()),
    };
    editor.add_certificate(&system, row).unwrap();
    let after = editor.finish();
    let new = NewDirectory {
        expected_version: before.version(),
        version: after.version(),
        json: after.to_json(),
        who: "test".to_owned(),
        summary: DirectorySummary::default(),
    };
    twin.ledger.save_directory(new).await.unwrap();
    let third = until_told(&twin, 3).await;
    assert_eq!(third[2].certificates, 1);
    assert_eq!(third[2].lists, second[1].lists);

    // A file that does not read leaves the trust in force, and so nothing to tell.
    std::fs::write(&config.seal.anchors[0], "half").unwrap();

    // A hub that starts again with the same trust tells nothing; with another, it does.
    let again = async |config: &Config| {
        let (stop, stopped) = watch::channel(false);
        let app = App::new(
            config.clone(),
            Arc::new(twin.broker.as_user("truc-hub")),
            twin.ledger.clone(),
            Arc::clone(&twin.clock) as Arc<dyn Clock>,
        );
        let hub = tokio::spawn(app.run(stopped));
        (stop, hub)
    };
    twin.stop.send_replace(true);
    while event_kinds(&twin).await.last() != Some(&EventKind::HubStopped) {
        tokio::task::yield_now().await;
    }
    std::fs::write(&config.seal.anchors[0], authority.certificate_pem()).unwrap();
    for (stale, times) in [
        (truc_server::config::StaleCrl::Use, 3),
        (truc_server::config::StaleCrl::Refuse, 4),
    ] {
        let starts = event_kinds(&twin).await.len();
        let mut config = config.clone();
        config.seal.stale_crl = stale;
        let (stop, hub) = again(&config).await;
        // An inbox that can be read: the hub is past its start.
        while event_kinds(&twin).await.len() == starts {
            tokio::task::yield_now().await;
        }
        stop.send_replace(true);
        hub.await.unwrap().unwrap();
        assert_eq!(told(&twin).await.len(), times, "{stale:?}");
    }
    twin.end().await;
}
