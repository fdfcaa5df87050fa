//! A hand at the database's shell: triggers stop it, and what gets past them is found by `verify`.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use truc_ledger::contract::kit::{Hub, deliveries};
use truc_ledger::verify::Finding;
use truc_ledger::{BalanceFilter, DirectorySummary, NewDirectory, VerifyOptions};
use truc_ledger_postgres::PostgresSettings;

use crate::bench::{Anew, fresh, shell};

/// A ledger with something in every table: one document taken, one on its way, a status, a refusal.
async fn filled(settings: &PostgresSettings) -> Hub {
    let hub = Hub::open(&Anew(settings.clone())).await;
    hub.accept(hub.document("1")).await;
    hub.accept(hub.document("2")).await;
    let claimed = hub.forward_all().await;
    hub.take("so", &deliveries(&claimed, "so")[..1]).await;
    hub.record(hub.status("03", "1")).await;
    let refused = hub.refused("x", truc_model::RefusalCode::Loop);
    hub.ledger.refuse(refused).await.unwrap();
    let directory = NewDirectory {
        expected_version: 0,
        version: 1,
        json: "{}".to_owned(),
        who: "van-hanh".to_owned(),
        summary: DirectorySummary::default(),
    };
    hub.ledger.save_directory(directory).await.unwrap();
    hub.sound().await;
    hub
}

async fn run(shell: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
    shell
        .execute(sqlx::raw_sql(AssertSqlSafe(statement.to_owned())))
        .await
        .map(drop)
}

#[tokio::test]
async fn what_is_append_only_cannot_be_changed_at_the_shell() {
    let settings = fresh().await;
    let hub = filled(&settings).await;
    let mut shell = shell(&settings).await;
    for statement in [
        "UPDATE event SET at = 0 WHERE seq = 1",
        "DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)",
        "INSERT INTO event SELECT seq + 100, at, kind, document, hash, canonical FROM event LIMIT 1",
        // Two that follow each other, and one that is missing between them and the last.
        "INSERT INTO event SELECT n.seq + 1 + x, at, kind, document, hash, canonical FROM event, \
         (SELECT max(seq) AS seq FROM event) AS n, generate_series(1, 2) AS x WHERE event.seq = 1",
        "UPDATE submission SET receipt = ''",
        "DELETE FROM submission",
        "UPDATE refusal SET code = ''",
        "DELETE FROM refusal",
        "UPDATE status SET code = '06'",
        "DELETE FROM status",
        "UPDATE document SET document_id = ''",
        "UPDATE document SET verdict_kind = ''",
        "DELETE FROM document",
        "DELETE FROM recipient",
        "UPDATE body SET bytes = ''",
        "DELETE FROM body",
        "UPDATE directory SET json = ''",
        "DELETE FROM directory",
        "TRUNCATE event",
        "TRUNCATE body",
        "TRUNCATE body_deleted",
        "TRUNCATE document",
        "TRUNCATE recipient",
        "TRUNCATE submission",
        "TRUNCATE refusal",
        "TRUNCATE status",
        "TRUNCATE directory",
    ] {
        let refused = run(&mut shell, statement).await.unwrap_err();
        let code = refused
            .as_database_error()
            .and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("23001"), "{statement}: {refused}");
    }
    // What follows without a gap is let in: only `verify` can say that the hub did not write it.
    hub.sound().await;
    shell.close().await.unwrap();
}

/// Damages a fresh ledger and gives what `verify` finds.
async fn after(damage: &str) -> (Vec<Finding>, bool) {
    let settings = fresh().await;
    let hub = filled(&settings).await;
    let mut shell = shell(&settings).await;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = $1")
            .bind(&settings.schema)
            .fetch_all(&mut shell)
            .await
            .unwrap();
    let mut script = String::new();
    for table in tables {
        script.push_str(&format!("ALTER TABLE {table} DISABLE TRIGGER USER;"));
    }
    script.push_str(damage);
    run(&mut shell, &script).await.unwrap();
    let report = hub.ledger.verify(&VerifyOptions::default()).await.unwrap();
    let balance = hub.ledger.balance(&BalanceFilter::default()).await;
    (report.findings, balance.is_ok_and(|balance| balance.balances()))
}

#[tokio::test]
async fn damage_is_found() {
    type Is = fn(&Finding) -> bool;
    let cases: [(&str, Is); 15] = [
        (
            "UPDATE event SET canonical = replace(canonical, '\"size\":8', '\"size\":9') WHERE seq = 1",
            |f| *f == Finding::HashDiffers { seq: 1 },
        ),
        (
            // A careful hand mends the digest too; the next event still names the old one.
            "UPDATE event SET hash = decode(repeat('00', 32), 'hex'), \
             canonical = replace(canonical, '\"size\":8', '\"size\":9') WHERE seq = 1",
            |f| *f == Finding::ChainBroken { seq: 2 },
        ),
        (
            "UPDATE event SET canonical = canonical || ' ' WHERE seq = 2",
            |f| matches!(f, Finding::Unreadable { seq: 2, .. }),
        ),
        ("UPDATE event SET at = at + 1 WHERE seq = 2", |f| {
            *f == Finding::IndexDiffers { seq: 2 }
        }),
        ("DELETE FROM event WHERE seq = 3", |f| {
            *f == Finding::Gap {
                expected: 3,
                found: 4,
            }
        }),
        ("DELETE FROM event WHERE seq = 1", |f| {
            matches!(f, Finding::RecipientInvented { .. })
        }),
        (
            "UPDATE recipient SET state = 'taken', detail = '{\"state\":\"taken\",\"at\":\"2026-01-01T00:00:00Z\"}' \
             WHERE state = 'forwarded'",
            |f| {
                let expected = ("forwarded/unreported/none", "taken/unreported/none");
                matches!(f, Finding::StateDiffers { events, tables, .. } if (events.as_str(), tables.as_str()) == expected)
            },
        ),
        (
            "UPDATE recipient SET business = 'done' WHERE business = 'accepted'",
            |f| matches!(f, Finding::StateDiffers { .. }),
        ),
        ("DELETE FROM recipient WHERE state = 'taken'", |f| {
            matches!(f, Finding::RecipientMissing { .. })
        }),
        ("UPDATE document SET document_id = 'x' WHERE event = 1", |f| {
            matches!(f, Finding::DocumentDiffers { .. })
        }),
        ("DELETE FROM submission WHERE event = 1", |f| {
            *f == Finding::SubmissionDiffers { seq: 1 }
        }),
        ("DELETE FROM outbox WHERE place = 'forwarded'", |f| {
            matches!(f, Finding::NothingToForward { .. })
        }),
        ("UPDATE body SET bytes = '\\x00', size = 1", |f| {
            matches!(f, Finding::BodyDiffers { .. })
        }),
        ("DELETE FROM body", |f| matches!(f, Finding::BodyMissing { .. })),
        ("UPDATE directory SET json = '{ }'", |f| {
            *f == Finding::DirectoryDiffers { version: 1 }
        }),
    ];
    for (damage, is) in cases {
        let (findings, _) = after(damage).await;
        assert!(findings.iter().any(is), "{damage}: {findings:?}");
    }
}

#[tokio::test]
async fn a_changed_state_breaks_the_balance() {
    let taken = "'{\"state\":\"taken\",\"at\":\"2026-01-01T00:00:00Z\"}'";
    let damage = format!("UPDATE recipient SET state = 'taken', detail = {taken} WHERE state = 'forwarded'");
    assert!(!after(&damage).await.1);
    let (findings, balances) = after("SELECT 1").await;
    assert!(findings.is_empty() && balances);
}

/// A word that no list has is damage, and named by its column; the others are still read.
#[tokio::test]
async fn what_was_never_written_is_damage() {
    let settings = fresh().await;
    let hub = filled(&settings).await;
    let mut shell = shell(&settings).await;
    let damage = "ALTER TABLE recipient DISABLE TRIGGER USER; UPDATE recipient SET business = 'no-such-word'";
    run(&mut shell, damage).await.unwrap();
    let uid = hub.ledger.find("1").await.unwrap()[0];
    let error = hub.ledger.document(uid).await.unwrap_err();
    let truc_ledger::LedgerError::Store(error) = error else {
        panic!("expected the store's error");
    };
    assert_eq!(
        error.to_string(),
        "the ledger is damaged: column business cannot be read"
    );
    assert!(hub.ledger.trace(uid).await.unwrap().len() > 2);
}
