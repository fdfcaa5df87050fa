//! Removal: what is named, pinned or awaited stays, what is not goes, whoever was killed when.

use truc_model::{BodyProblemCode, Sha256};

use super::{Away, Kit, Rows, bytes, code, system};
use crate::limits::PIN_HOLDS_S;
use crate::{BodyError, From, Removal, UploadStatus};

/// Uploads a body and has it named by a submission.
async fn named(kit: &Kit, who: &str, data: &[u8]) -> Sha256 {
    let body = kit.store.put(&system(who), data).await.unwrap();
    let size = u64::try_from(data.len()).unwrap();
    let pin = kit.store.pin(&system(who), body, size).await.unwrap();
    pin.named(&kit.store).await.unwrap();
    body
}

/// Everything below the folder that is a file, the lock left out.
fn files(kit: &Kit) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![kit.folder.path().to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with("lock") {
                let path = path.strip_prefix(kit.folder.path()).unwrap();
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_body_that_no_row_names_goes_with_all_its_records() {
    let kit = Kit::new().await;
    let data = bytes(1, 1000);
    let body = named(&kit, "so-tnmt", &data).await;
    assert_eq!(
        kit.store.remove(body, &Rows::of([body])).await.unwrap(),
        Removal::Named
    );
    assert_eq!(kit.store.size(body).await.unwrap(), Some(1000));
    // Open readers keep what they opened.
    let local = kit.store.local(body).await.unwrap().unwrap();
    assert_eq!(
        kit.store.remove(body, &Rows::default()).await.unwrap(),
        Removal::Removed
    );
    assert_eq!(kit.store.size(body).await.unwrap(), None);
    assert_eq!(files(&kit), Vec::<String>::new());
    assert_eq!(local.into_bytes(1000).unwrap(), data);
    assert_eq!(
        kit.store.remove(body, &Rows::default()).await.unwrap(),
        Removal::Absent
    );
    // And it can come again.
    assert_eq!(kit.store.put(&system("so-tnmt"), &data).await.unwrap(), body);
}

#[tokio::test]
async fn a_pinned_body_stays() {
    let kit = Kit::new().await;
    let body = named(&kit, "so-tnmt", b"some bytes").await;
    let pin = kit.store.pin(&system("so-tnmt"), body, 10).await.unwrap();
    assert_eq!((pin.sha256(), pin.size()), (body, 10));
    assert_eq!(
        kit.store.remove(body, &Rows::default()).await.unwrap(),
        Removal::Pinned
    );
    pin.release(&kit.store).await.unwrap();
    assert_eq!(
        kit.store.remove(body, &Rows::default()).await.unwrap(),
        Removal::Removed
    );
}

#[tokio::test]
async fn a_pin_that_nobody_takes_off_ends() {
    let kit = Kit::new().await;
    let body = named(&kit, "so-tnmt", b"some bytes").await;
    let pin = kit.store.pin(&system("so-tnmt"), body, 10).await.unwrap();
    kit.clock.advance(PIN_HOLDS_S - 1);
    assert!(pin.holds(truc_model::Clock::now(&*kit.clock)));
    assert_eq!(
        kit.store.remove(body, &Rows::default()).await.unwrap(),
        Removal::Pinned
    );
    kit.clock.advance(1);
    assert!(!pin.holds(truc_model::Clock::now(&*kit.clock)));
    assert_eq!(
        kit.store.remove(body, &Rows::default()).await.unwrap(),
        Removal::Removed
    );
}

#[tokio::test]
async fn pins_of_a_killed_hub_do_not_outlive_it() {
    let kit = Kit::new().await;
    let body = named(&kit, "so-tnmt", b"some bytes").await;
    let pin = kit.store.pin(&system("so-tnmt"), body, 10).await.unwrap();
    drop(pin);
    let kit = kit.restarted().await;
    assert_eq!(
        kit.store.remove(body, &Rows::default()).await.unwrap(),
        Removal::Removed
    );
}

#[tokio::test]
async fn a_body_on_its_way_out_can_be_neither_named_nor_sent() {
    let kit = Kit::new().await;
    let data = bytes(2, 50);
    let who = system("so-tnmt");
    let body = named(&kit, "so-tnmt", &data).await;
    // The ledger is away in the middle of the removal: nothing is removed, and the body waits for the answer.
    assert!(matches!(
        kit.store.remove(body, &Away).await,
        Err(BodyError::Named(_))
    ));
    assert_eq!(kit.store.size(body).await.unwrap(), Some(50));
    assert_eq!(
        code(kit.store.pin(&who, body, 50).await),
        BodyProblemCode::BodyBeingRemoved
    );
    assert_eq!(kit.store.status(&who, body).await.unwrap(), UploadStatus::Nothing);
    // It is sent anew meanwhile: all arrives, and is kept until the removal has ended.
    assert_eq!(
        code(kit.store.put(&who, &data).await),
        BodyProblemCode::BodyBeingRemoved
    );
    let all = UploadStatus::Partial {
        offset: 50,
        total: 50,
    };
    assert_eq!(kit.store.status(&who, body).await.unwrap(), all);
    let swept = kit.store.sweep(&Rows::default()).await.unwrap();
    assert_eq!((swept.removed, swept.stayed), (1, 0));
    assert_eq!(kit.store.size(body).await.unwrap(), None);
    let began = kit.store.begin(&who, body, 50, From::Here).await.unwrap();
    let crate::Began::Writing(writer) = began else {
        panic!("it was removed");
    };
    assert_eq!(
        writer.finish().await.unwrap(),
        crate::Finished::Stored { size: 50 }
    );
    assert!(kit.store.pin(&who, body, 50).await.is_ok());
}

#[tokio::test]
async fn a_removal_that_was_begun_ends_after_a_restart_and_spares_what_is_named() {
    for is_named in [false, true] {
        let kit = Kit::new().await;
        let body = named(&kit, "so-tnmt", b"some bytes").await;
        assert!(kit.store.remove(body, &Away).await.is_err());
        let kit = kit.restarted().await;
        let rows = if is_named {
            Rows::of([body])
        } else {
            Rows::default()
        };
        kit.store.sweep(&rows).await.unwrap();
        assert_eq!(kit.store.size(body).await.unwrap().is_some(), is_named);
        let pinned = kit.store.pin(&system("so-tnmt"), body, 10).await;
        assert_eq!(pinned.is_ok(), is_named);
    }
}

#[tokio::test]
async fn an_upload_waits_for_its_submission_so_long_and_no_longer() {
    let kit = Kit::new().await;
    let who = system("so-tnmt");
    let body = kit.store.put(&who, b"some bytes").await.unwrap();
    // A recall of another document with the same bytes does not take it away.
    assert_eq!(
        kit.store.remove(body, &Rows::default()).await.unwrap(),
        Removal::Awaited
    );
    kit.clock.advance(7199);
    assert_eq!(kit.store.sweep(&Rows::default()).await.unwrap().removed, 0);
    kit.clock.advance(1);
    assert_eq!(kit.store.sweep(&Rows::default()).await.unwrap().removed, 1);
    assert_eq!(kit.store.status(&who, body).await.unwrap(), UploadStatus::Nothing);
    assert_eq!(files(&kit), Vec::<String>::new());
}

#[tokio::test]
async fn a_hub_killed_before_it_said_that_a_body_is_named_loses_nothing() {
    let kit = Kit::new().await;
    let body = kit.store.put(&system("so-tnmt"), b"some bytes").await.unwrap();
    kit.clock.advance(7200);
    let rows = Rows::of([body]);
    assert_eq!(kit.store.sweep(&rows).await.unwrap().stayed, 1);
    assert_eq!(kit.store.size(body).await.unwrap(), Some(10));
    // The record that it waits is gone: it is not asked for again, nor counted in the quota.
    assert_eq!(kit.store.sweep(&rows).await.unwrap(), crate::Swept::default());
}

#[tokio::test]
async fn the_wait_of_one_system_does_not_keep_anothers_record() {
    let kit = Kit::new().await;
    let body = kit.store.put(&system("so-tnmt"), b"some bytes").await.unwrap();
    kit.clock.advance(7200);
    kit.store.put(&system("xa-a"), b"some bytes").await.unwrap();
    let swept = kit.store.sweep(&Rows::default()).await.unwrap();
    assert_eq!((swept.removed, swept.stayed), (0, 1));
    assert!(kit.store.unnamed_of(&system("so-tnmt")).await.unwrap().is_empty());
    assert_eq!(kit.store.unnamed_of(&system("xa-a")).await.unwrap().len(), 1);
    assert!(kit.store.pin(&system("so-tnmt"), body, 10).await.is_ok());
}

#[tokio::test]
async fn unfinished_uploads_end() {
    let kit = Kit::new().await;
    let who = system("so-tnmt");
    let (old, busy, young) = (Sha256::of(b"old"), Sha256::of(b"busy"), Sha256::of(b"young"));
    drop(kit.store.begin(&who, old, 3, From::Start).await.unwrap());
    let writing = kit.store.begin(&who, busy, 4, From::Start).await.unwrap();
    kit.clock.advance(1);
    drop(kit.store.begin(&who, young, 5, From::Start).await.unwrap());
    kit.clock.advance(3599);
    assert_eq!(kit.store.sweep(&Rows::default()).await.unwrap().unfinished, 1);
    assert_eq!(kit.store.status(&who, old).await.unwrap(), UploadStatus::Nothing);
    assert_ne!(
        kit.store.status(&who, young).await.unwrap(),
        UploadStatus::Nothing
    );
    assert_ne!(kit.store.status(&who, busy).await.unwrap(), UploadStatus::Nothing);
    drop(writing);
    assert_eq!(kit.store.sweep(&Rows::default()).await.unwrap().unfinished, 1);
}

#[tokio::test]
async fn a_look_at_every_body_finds_those_without_any_record() {
    let kit = Kit::new().await;
    let keep = named(&kit, "so-tnmt", b"named").await;
    let lost = named(&kit, "so-tnmt", b"lost by its ledger").await;
    // Times of objects are the disk's own.
    let age = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for body in [keep, lost] {
        let path = kit.store.path(crate::keys::object(&body).as_ref());
        std::fs::File::open(path).unwrap().set_modified(age).unwrap();
    }
    let rows = Rows::of([keep]);
    assert_eq!(kit.store.sweep(&rows).await.unwrap().removed, 0);
    assert_eq!(kit.store.sweep_all(&rows).await.unwrap().removed, 1);
    assert_eq!(kit.store.size(keep).await.unwrap(), Some(5));
    assert_eq!(kit.store.size(lost).await.unwrap(), None);
}

/// A submission and a removal of the same body at the same time, many times: the body of a row is never gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn naming_and_removing_at_once_never_loses_a_named_body() {
    let kit = Kit::new().await;
    let who = system("so-tnmt");
    let mut outcomes = [0; 2];
    for round in 0..200_u64 {
        let data = bytes(round, 64);
        let body = named(&kit, "so-tnmt", &data).await;
        let rows = std::sync::Arc::new(Rows::default());
        let submission = {
            let (store, rows, who) = (kit.store.clone(), std::sync::Arc::clone(&rows), who.clone());
            tokio::spawn(async move {
                let Ok(pin) = store.pin(&who, body, 64).await else {
                    return false;
                };
                rows.0.lock().unwrap().insert(body);
                pin.named(&store).await.unwrap();
                true
            })
        };
        let removal = {
            let (store, rows) = (kit.store.clone(), std::sync::Arc::clone(&rows));
            tokio::spawn(async move { store.remove(body, &*rows).await.unwrap() })
        };
        let (accepted, removal) = (submission.await.unwrap(), removal.await.unwrap());
        let there = kit.store.size(body).await.unwrap().is_some();
        if accepted {
            assert!(there, "round {round}: named, and {removal:?}");
        }
        outcomes[usize::from(accepted)] += 1;
    }
    println!("refused {}, accepted {}", outcomes[0], outcomes[1]);
}
