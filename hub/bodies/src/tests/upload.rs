//! Uploads: whole, cut and resumed, wrong, too much, two at once.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use truc_model::{BodyProblemCode, Random, SeededRandom, Sha256};

use super::{Kit, bytes, code, open, system};
use crate::limits::{CHUNK_BYTES, STAGINGS_MAX, UNNAMED_MAX};
use crate::{Began, BodyError, BodyStore, Finished, From, UploadStatus, UploadWriter};

async fn writer(store: &BodyStore, who: &str, body: Sha256, total: usize, from: From) -> Box<UploadWriter> {
    match store
        .begin(&system(who), body, u64::try_from(total).unwrap(), from)
        .await
        .unwrap()
    {
        Began::Writing(writer) => writer,
        Began::There { .. } => panic!("it is there already"),
    }
}

async fn read(store: &BodyStore, body: Sha256) -> Option<Vec<u8>> {
    let open = store.open(body).await.unwrap()?;
    let size = open.size();
    let pieces: Vec<bytes::Bytes> = open.stream(0..size).unwrap().try_collect().await.unwrap();
    assert!(pieces.iter().all(|piece| piece.len() <= CHUNK_BYTES));
    Some(pieces.concat())
}

#[tokio::test]
async fn what_was_uploaded_reads_back() {
    let kit = Kit::new().await;
    let who = system("so-tnmt");
    for length in [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
        let data = bytes(7, length);
        let body = Sha256::of(&data);
        assert_eq!(kit.store.status(&who, body).await.unwrap(), UploadStatus::Nothing);
        assert_eq!(kit.store.put(&who, &data).await.unwrap(), body);
        let size = u64::try_from(length).unwrap();
        assert_eq!(
            kit.store.status(&who, body).await.unwrap(),
            UploadStatus::Complete { size }
        );
        assert_eq!(read(&kit.store, body).await.as_ref(), Some(&data));
        assert_eq!(kit.store.verify(body).await.unwrap(), Some(size));
        let local = kit.store.local(body).await.unwrap().unwrap();
        assert_eq!((local.size, local.sha256), (size, body));
        assert_eq!(local.into_bytes(size).unwrap(), data);
        // Again: it is there, and nothing need be sent.
        let again = kit.store.begin(&who, body, size, From::Start).await.unwrap();
        assert!(matches!(again, Began::There { size: there } if there == size));
    }
    assert_eq!(read(&kit.store, Sha256::of(b"other")).await, None);
    assert!(kit.store.local(Sha256::of(b"other")).await.unwrap().is_none());
}

#[tokio::test]
async fn ranges_are_inside_the_body() {
    let kit = Kit::new().await;
    let data = bytes(8, CHUNK_BYTES + 100);
    let body = kit.store.put(&system("so-tnmt"), &data).await.unwrap();
    let size = u64::try_from(data.len()).unwrap();
    for (start, end) in [(0, 1), (5, 5), (size - 1, size), (100, size), (0, size)] {
        let open = kit.store.open(body).await.unwrap().unwrap();
        let pieces: Vec<bytes::Bytes> = open.stream(start..end).unwrap().try_collect().await.unwrap();
        let range = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
        assert_eq!(pieces.concat(), data[range]);
    }
    let open = kit.store.open(body).await.unwrap().unwrap();
    assert_eq!(
        code(open.stream(0..size + 1).map(|_| ())),
        BodyProblemCode::RangeNotSatisfiable
    );
}

/// Cut at places from a seed; after each cut sometimes another process goes on.
#[tokio::test]
async fn a_cut_upload_goes_on_where_it_stood() {
    let who = system("so-tnmt");
    for seed in 0..12_u64 {
        let random = SeededRandom::new(seed);
        let mut kit = Kit::new().await;
        let data = bytes(seed, 900_000 + usize::try_from(seed).unwrap());
        let body = Sha256::of(&data);
        let mut done = 0;
        let mut cuts = 0;
        loop {
            let mut dice = [0; 4];
            random.fill(&mut dice);
            let length = usize::from(u16::from_le_bytes([dice[0], dice[1]])) * 8;
            let end = (done + length).min(data.len());
            let from = From::At(u64::try_from(done).unwrap());
            let mut writer = writer(&kit.store, "so-tnmt", body, data.len(), from).await;
            for piece in data[done..end].chunks(10_000) {
                writer.write(piece).await.unwrap();
            }
            if dice[2] % 4 == 0 && end < data.len() {
                // Killed: what was not flushed is gone, and the hub says so.
                drop(writer);
                kit = kit.restarted().await;
            } else if let Finished::Stored { size } = writer.finish().await.unwrap() {
                assert_eq!(usize::try_from(size).unwrap(), data.len());
                break;
            }
            cuts += 1;
            assert!(cuts < 1000);
            match kit.store.status(&who, body).await.unwrap() {
                UploadStatus::Partial { offset, total } => {
                    assert_eq!(usize::try_from(total).unwrap(), data.len());
                    done = usize::try_from(offset).unwrap();
                    assert!(done <= end, "more than was sent");
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(read(&kit.store, body).await.unwrap(), data, "seed {seed}");
        let staging = kit.folder.path().join("staging/so-tnmt");
        assert_eq!(std::fs::read_dir(staging).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn other_bytes_than_the_name_says_leave_nothing() {
    let kit = Kit::new().await;
    let body = Sha256::of(b"right");
    let mut wrong = writer(&kit.store, "so-tnmt", body, 5, From::Start).await;
    wrong.write(b"wrong").await.unwrap();
    assert_eq!(code(wrong.finish().await), BodyProblemCode::DigestMismatch);
    let who = system("so-tnmt");
    assert_eq!(kit.store.status(&who, body).await.unwrap(), UploadStatus::Nothing);
    assert_eq!(read(&kit.store, body).await, None);
    // And the right ones can come at once.
    assert_eq!(kit.store.put(&who, b"right").await.unwrap(), body);
}

#[tokio::test]
async fn a_byte_that_changed_on_disk_is_found_when_the_upload_ends() {
    let kit = Kit::new().await;
    let data = bytes(3, 1000);
    let body = Sha256::of(&data);
    let mut first = writer(&kit.store, "so-tnmt", body, 1000, From::Start).await;
    first.write(&data[..500]).await.unwrap();
    assert_eq!(
        first.finish().await.unwrap(),
        Finished::Partial {
            offset: 500,
            total: 1000
        }
    );
    let kit = kit.restarted().await;
    let staged = kit.folder.path().join(format!("staging/so-tnmt/{body}.1000"));
    let mut bytes = std::fs::read(&staged).unwrap();
    bytes[17] ^= 1;
    std::fs::write(&staged, bytes).unwrap();
    let mut second = writer(&kit.store, "so-tnmt", body, 1000, From::At(500)).await;
    second.write(&data[500..]).await.unwrap();
    assert_eq!(code(second.finish().await), BodyProblemCode::DigestMismatch);
}

#[tokio::test]
async fn offsets_and_sizes_must_fit() {
    let kit = Kit::new().await;
    let data = bytes(4, 100);
    let body = Sha256::of(&data);
    let who = system("so-tnmt");
    let mut first = writer(&kit.store, "so-tnmt", body, 100, From::Start).await;
    first.write(&data[..40]).await.unwrap();
    assert_eq!(first.offset(), 40);
    // More than announced is refused, and what was there stays.
    assert_eq!(code(first.write(&[0; 61]).await), BodyProblemCode::RangeMalformed);
    first.finish().await.unwrap();
    for offset in [0, 39, 41] {
        let Err(BodyError::Problem(problem)) = kit.store.begin(&who, body, 100, From::At(offset)).await
        else {
            panic!("an offset of {offset} was taken");
        };
        assert_eq!(problem.code, BodyProblemCode::OffsetMismatch);
        assert_eq!(problem.offset, Some(40));
    }
    assert_eq!(
        code(kit.store.begin(&who, body, 99, From::At(40)).await),
        BodyProblemCode::SizeConflict
    );
    // From the start, whatever was there.
    let again = writer(&kit.store, "so-tnmt", body, 100, From::Start).await;
    assert_eq!(again.offset(), 0);
    drop(again);
    assert!(kit.store.cancel(&who, body).await.unwrap());
    assert!(!kit.store.cancel(&who, body).await.unwrap());
    assert_eq!(kit.store.status(&who, body).await.unwrap(), UploadStatus::Nothing);
}

#[tokio::test]
async fn one_request_writes_to_an_upload() {
    let kit = Kit::new().await;
    let data = bytes(5, 100);
    let body = Sha256::of(&data);
    let who = system("so-tnmt");
    let mut first = writer(&kit.store, "so-tnmt", body, 100, From::Start).await;
    assert_eq!(
        code(kit.store.begin(&who, body, 100, From::Here).await),
        BodyProblemCode::UploadBusy
    );
    assert_eq!(
        code(kit.store.cancel(&who, body).await),
        BodyProblemCode::UploadBusy
    );
    // Another system sends the same body beside it: both arrive, the bytes are stored once.
    let mut other = writer(&kit.store, "xa-a", body, 100, From::Start).await;
    first.write(&data).await.unwrap();
    other.write(&data).await.unwrap();
    let (first, other) = tokio::join!(first.finish(), other.finish());
    assert_eq!(first.unwrap(), Finished::Stored { size: 100 });
    assert_eq!(other.unwrap(), Finished::Stored { size: 100 });
    assert_eq!(kit.store.list(None, 10).await.unwrap().len(), 1);
    for who in [who, system("xa-a")] {
        assert!(kit.store.is_owner(&who, body).await.unwrap());
    }
}

#[tokio::test]
async fn knowing_a_digest_is_not_having_the_bytes() {
    let kit = Kit::new().await;
    let data = bytes(6, 100);
    let body = kit.store.put(&system("so-tnmt"), &data).await.unwrap();
    let other = system("xa-a");
    assert_eq!(
        kit.store.status(&other, body).await.unwrap(),
        UploadStatus::Nothing
    );
    assert!(!kit.store.is_owner(&other, body).await.unwrap());
    let began = kit.store.begin(&other, body, 100, From::Start).await.unwrap();
    assert!(matches!(began, Began::Writing(_)));
    drop(began);
    assert_eq!(
        code(kit.store.pin(&other, body, 100).await),
        BodyProblemCode::BodyUnknown
    );
}

#[tokio::test]
async fn sizes_are_judged_before_the_first_byte() {
    let kit = Kit::with(|settings| settings.max_body_bytes = 1000).await;
    let who = system("so-tnmt");
    let body = Sha256::of(b"any");
    assert_eq!(
        code(kit.store.begin(&who, body, 0, From::Start).await),
        BodyProblemCode::BodyEmpty
    );
    assert_eq!(
        code(kit.store.begin(&who, body, 1001, From::Start).await),
        BodyProblemCode::BodyTooLarge
    );
    assert!(kit.store.begin(&who, body, 1000, From::Start).await.is_ok());
}

#[tokio::test]
async fn the_quota_counts_what_is_promised_and_what_waits() {
    let kit = Kit::with(|settings| settings.quota_bytes = 1000).await;
    let who = system("so-tnmt");
    let data = bytes(1, 400);
    let body = kit.store.put(&who, &data).await.unwrap();
    // 400 wait for a submission, 600 are announced, one byte more is too much.
    let announced = Sha256::of(b"announced");
    drop(kit.store.begin(&who, announced, 600, From::Start).await.unwrap());
    let third = Sha256::of(b"third");
    assert_eq!(
        code(kit.store.begin(&who, third, 1, From::Start).await),
        BodyProblemCode::QuotaExceeded
    );
    // The same upload does not count twice, and another system has its own.
    assert!(kit.store.begin(&who, announced, 600, From::Here).await.is_ok());
    assert!(
        kit.store
            .begin(&system("xa-a"), third, 1000, From::Start)
            .await
            .is_ok()
    );
    // Named by a submission, it no longer counts.
    let pin = kit.store.pin(&who, body, 400).await.unwrap();
    pin.named(&kit.store).await.unwrap();
    assert!(kit.store.begin(&who, third, 400, From::Start).await.is_ok());
    assert_eq!(
        code(kit.store.begin(&who, Sha256::of(b"fourth"), 1, From::Start).await),
        BodyProblemCode::QuotaExceeded
    );
    // So it is for a hub that started anew.
    let kit = kit.restarted().await;
    assert_eq!(
        code(kit.store.begin(&who, Sha256::of(b"fourth"), 1, From::Start).await),
        BodyProblemCode::QuotaExceeded
    );
}

#[tokio::test]
async fn counts_have_an_edge() {
    let kit = Kit::new().await;
    let who = system("so-tnmt");
    for number in 0..STAGINGS_MAX {
        let body = Sha256::of(&number.to_le_bytes());
        drop(kit.store.begin(&who, body, 1, From::Start).await.unwrap());
    }
    let one_more = Sha256::of(b"one more");
    assert_eq!(
        code(kit.store.begin(&who, one_more, 1, From::Start).await),
        BodyProblemCode::QuotaExceeded
    );

    let kit = Kit::new().await;
    let folder = kit.folder.path().join("unnamed/so-tnmt");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 1..UNNAMED_MAX {
        let body = Sha256::of(&number.to_le_bytes());
        std::fs::write(folder.join(format!("{body}.1.1795000000")), b"").unwrap();
    }
    kit.store.put(&who, b"the last").await.unwrap();
    assert_eq!(
        code(kit.store.begin(&who, one_more, 1, From::Start).await),
        BodyProblemCode::QuotaExceeded
    );
}

#[tokio::test]
async fn the_disk_keeps_its_floor() {
    let kit = Kit::with(|settings| settings.disk_floor_bytes = u64::MAX / 2).await;
    let began = kit
        .store
        .begin(&system("so-tnmt"), Sha256::of(b"x"), 1, From::Start)
        .await;
    assert_eq!(code(began), BodyProblemCode::DiskFull);
}

#[tokio::test]
async fn one_process_uses_a_directory() {
    let kit = Kit::new().await;
    let second = open(kit.store.settings().clone(), &kit.clock).await;
    assert!(matches!(second.map(|_| ()), Err(BodyError::InUse)));
    let kit = kit.restarted().await;
    assert_eq!(Arc::strong_count(&kit.store.inner), 1);
}

#[tokio::test]
async fn a_listing_goes_on_after_any_body() {
    let kit = Kit::new().await;
    let mut all = Vec::new();
    for number in 0..40_u8 {
        all.push(kit.store.put(&system("so-tnmt"), &[number]).await.unwrap());
    }
    all.sort();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let some = kit.store.list(after, 7).await.unwrap();
        assert!(some.len() <= 7);
        assert!(some.iter().all(|listed| listed.size == 1));
        let Some(last) = some.last() else { break };
        after = Some(last.sha256);
        found.extend(some.iter().map(|listed| listed.sha256));
    }
    assert_eq!(found, all);
}
