//! Sending and fetching: whole, cut and resumed, wrong, foreign.

use truc_bodies::UploadStatus;
use truc_model::{BodyProblemCode, Random as _, SeededRandom, Sha256, SystemId};

use super::client::Answer;
use super::{Kit, bytes};

fn path(body: &Sha256) -> String {
    format!("/bodies/{body}")
}

async fn put(kit: &Kit, system: &str, data: &[u8]) -> Answer {
    let path = path(&Sha256::of(data));
    kit.ask(&format!("PUT {path}"), system, data).await
}

#[tokio::test]
async fn a_body_goes_there_and_back() {
    let kit = Kit::new().await;
    let data = bytes(1, 700_000);
    let body = Sha256::of(&data);
    let path = path(&body);
    let missing = kit.ask(&format!("HEAD {path}"), "so-tnmt", b"").await;
    assert_eq!(missing.status, 404);
    let answer = put(&kit, "so-tnmt", &data).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), path);
    let etag = format!("\"{body}\"");
    assert_eq!(answer.header("etag"), etag);
    assert_eq!(answer.header("upload-complete"), "?1");
    // Once more: nothing new.
    assert_eq!(put(&kit, "so-tnmt", &data).await.status, 200);

    let head = kit.ask(&format!("HEAD {path}"), "so-tnmt", b"").await;
    assert_eq!((head.status, head.header("content-length")), (200, "700000"));
    assert_eq!(head.header("accept-ranges"), "bytes");
    let whole = kit.ask(&format!("GET {path}"), "so-tnmt", b"").await;
    assert_eq!((whole.status, &whole.body), (200, &data));
    assert_eq!(whole.header("cache-control"), "private, no-store");
    let part = kit
        .ask(&format!("GET {path}\nrange: bytes=300000-300009"), "so-tnmt", b"")
        .await;
    assert_eq!((part.status, &part.body[..]), (206, &data[300_000..300_010]));
    assert_eq!(part.header("content-range"), "bytes 300000-300009/700000");
    let tail = kit
        .ask(
            &format!("GET {path}\nrange: bytes=699990-\nif-range: {etag}"),
            "so-tnmt",
            b"",
        )
        .await;
    assert_eq!((tail.status, &tail.body[..]), (206, &data[699_990..]));
    let other = kit
        .ask(
            &format!("GET {path}\nrange: bytes=5-\nif-range: \"other\""),
            "so-tnmt",
            b"",
        )
        .await;
    assert_eq!((other.status, other.body.len()), (200, 700_000));
    let outside = kit
        .ask(&format!("GET {path}\nrange: bytes=700000-"), "so-tnmt", b"")
        .await;
    assert_eq!(outside.header("content-range"), "bytes */700000");
    assert_eq!(outside.code(), BodyProblemCode::RangeNotSatisfiable);
    let known = kit
        .ask(&format!("GET {path}\nif-none-match: {etag}"), "so-tnmt", b"")
        .await;
    assert_eq!(known.status, 304);
}

/// Connections break at places from a seed, now and then the hub is killed: in the end it is all there.
#[tokio::test]
async fn a_cut_upload_is_resumed() {
    for seed in 0..6_u64 {
        let random = SeededRandom::new(seed);
        let mut kit = Kit::new().await;
        let data = bytes(seed, 2_000_000 + usize::try_from(seed).unwrap());
        let body = Sha256::of(&data);
        let path = path(&body);
        let total = data.len();
        let (mut offset, mut cuts) = (0, 0);
        loop {
            let mut dice = [0; 4];
            random.fill(&mut dice);
            let sent = usize::from(u16::from_le_bytes([dice[0], dice[1]])) * 8;
            let sent = sent.min(total - offset);
            let mut client = kit.client().await;
            let head = format!(
                "PUT {path}\ncontent-length: {}\ncontent-range: bytes {offset}-{}/{total}",
                total - offset,
                total - 1
            );
            client.send(&head, "so-tnmt", &data[offset..offset + sent]).await;
            if offset + sent == total {
                let answer = client.answer(false).await;
                if answer.status == 201 {
                    break;
                }
                // The hub has not noticed yet that the connection before it broke, or has taken what was still under way
                // on it since it was asked how far it is.
                let code = answer.code();
                let again = [BodyProblemCode::UploadBusy, BodyProblemCode::OffsetMismatch];
                assert!(again.contains(&code), "seed {seed}: {code}");
            } else {
                // Hangs up in the middle.
                drop(client);
                if dice[2] % 3 == 0 {
                    kit = kit.restarted().await;
                }
            }
            cuts += 1;
            assert!(cuts < 3000, "seed {seed} does not come to an end");
            let head = kit.ask(&format!("HEAD {path}"), "so-tnmt", b"").await;
            offset = match head.status {
                404 => 0,
                204 => {
                    assert_eq!(head.header("upload-complete"), "?0");
                    assert_eq!(head.header("upload-length"), total.to_string());
                    head.header("upload-offset").parse().unwrap()
                }
                200 => break,
                status => panic!("{status}"),
            };
        }
        let whole = kit.ask(&format!("GET {path}"), "so-tnmt", b"").await;
        assert_eq!(Sha256::of(&whole.body), body, "seed {seed}");
    }
}

#[tokio::test]
async fn an_upload_in_pieces_is_answered_with_how_far_it_is() {
    let kit = Kit::new().await;
    let data = bytes(2, 300);
    let path = path(&Sha256::of(&data));
    let first = kit
        .ask(
            &format!("PUT {path}\ncontent-range: bytes 0-99/300"),
            "so-tnmt",
            &data[..100],
        )
        .await;
    assert_eq!((first.status, first.header("upload-offset")), (202, "100"));
    assert_eq!(first.header("upload-complete"), "?0");
    let gap = kit
        .ask(
            &format!("PUT {path}\ncontent-range: bytes 200-299/300"),
            "so-tnmt",
            &data[200..],
        )
        .await;
    let problem = gap.problem();
    assert_eq!(
        (problem.code, problem.offset),
        (BodyProblemCode::OffsetMismatch, Some(100))
    );
    assert_eq!(gap.header("upload-offset"), "100");
    let other_size = kit
        .ask(
            &format!("PUT {path}\ncontent-range: bytes 100-298/299"),
            "so-tnmt",
            &data[100..299],
        )
        .await;
    assert_eq!(other_size.code(), BodyProblemCode::SizeConflict);
    // Nothing but a question.
    let how_far = kit
        .ask(
            &format!("PUT {path}\ncontent-range: bytes */300\ncontent-length: 0"),
            "so-tnmt",
            b"",
        )
        .await;
    assert_eq!((how_far.status, how_far.header("upload-offset")), (202, "100"));
    let last = kit
        .ask(
            &format!("PUT {path}\ncontent-range: bytes 100-299/300"),
            "so-tnmt",
            &data[100..],
        )
        .await;
    assert_eq!(last.status, 201);
}

#[tokio::test]
async fn an_upload_can_be_given_up() {
    let kit = Kit::new().await;
    let data = bytes(3, 300);
    let path = path(&Sha256::of(&data));
    kit.ask(
        &format!("PUT {path}\ncontent-range: bytes 0-99/300"),
        "so-tnmt",
        &data[..100],
    )
    .await;
    assert_eq!(kit.ask(&format!("DELETE {path}"), "xa-a", b"").await.status, 404);
    assert_eq!(
        kit.ask(&format!("DELETE {path}"), "so-tnmt", b"").await.status,
        204
    );
    assert_eq!(
        kit.ask(&format!("DELETE {path}"), "so-tnmt", b"").await.status,
        404
    );
    assert_eq!(kit.ask(&format!("HEAD {path}"), "so-tnmt", b"").await.status, 404);
    // What is stored is not given up so: the hub removes it when nobody names it.
    put(&kit, "so-tnmt", &data).await;
    assert_eq!(
        kit.ask(&format!("DELETE {path}"), "so-tnmt", b"").await.status,
        404
    );
    assert_eq!(kit.ask(&format!("HEAD {path}"), "so-tnmt", b"").await.status, 200);
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_not_kept() {
    let kit = Kit::new().await;
    let path = path(&Sha256::of(b"right"));
    let wrong = kit.ask(&format!("PUT {path}"), "so-tnmt", b"wrong").await;
    assert_eq!(wrong.code(), BodyProblemCode::DigestMismatch);
    assert_eq!(wrong.status, 422);
    let (vi, en) = (wrong.problem().message.vi, wrong.problem().message.en);
    assert!(vi.contains("Mã băm") && en.contains("digest"));
    assert_eq!(kit.ask(&format!("HEAD {path}"), "so-tnmt", b"").await.status, 404);
    assert_eq!(put(&kit, "so-tnmt", b"right").await.status, 201);
}

#[tokio::test]
async fn a_foreign_system_learns_nothing() {
    let kit = Kit::new().await;
    let data = bytes(4, 1000);
    let body = Sha256::of(&data);
    let path = path(&body);
    put(&kit, "so-tnmt", &data).await;
    let there = kit.ask(&format!("GET {path}"), "xa-a", b"").await;
    let nowhere = kit
        .ask(&format!("GET /bodies/{}", Sha256::of(b"none")), "xa-a", b"")
        .await;
    assert_eq!(there.status, 404);
    assert_eq!(there.body, nowhere.body);
    assert_eq!(there.headers.get("etag"), None);
    assert_eq!(kit.ask(&format!("HEAD {path}"), "xa-a", b"").await.status, 404);
    // A delivery names it.
    kit.deliver("xa-a", body);
    let got = kit
        .ask(&format!("GET {path}\nrange: bytes=10-19"), "xa-a", b"")
        .await;
    assert_eq!((got.status, &got.body[..]), (206, &data[10..20]));
    let head = kit.ask(&format!("HEAD {path}"), "xa-a", b"").await;
    assert_eq!((head.status, head.headers.get("upload-complete")), (200, None));
    assert_eq!(kit.ask(&format!("GET {path}"), "xa-b", b"").await.status, 404);
    // It must still send the bytes itself before it can submit them.
    let who = SystemId::new("xa-a").unwrap();
    assert_eq!(kit.store.status(&who, body).await.unwrap(), UploadStatus::Nothing);
    assert_eq!(put(&kit, "xa-a", &data).await.status, 201);
}

#[tokio::test]
async fn limits_are_told_before_the_bytes_are_sent() {
    let kit = Kit::with(|settings| {
        settings.max_body_bytes = 1000;
        settings.quota_bytes = 1500;
    })
    .await;
    put(&kit, "so-tnmt", &bytes(5, 1000)).await;
    let path = path(&Sha256::of(b"later"));
    for (length, code) in [
        (0, BodyProblemCode::BodyEmpty),
        (1001, BodyProblemCode::BodyTooLarge),
        (501, BodyProblemCode::QuotaExceeded),
    ] {
        let mut client = kit.client().await;
        let head = format!("PUT {path}\ncontent-length: {length}\nexpect: 100-continue");
        client.send(&head, "so-tnmt", b"").await;
        let answer = client.answer(false).await;
        assert_eq!(answer.code(), code, "{length}");
    }
    // What fits is asked for.
    let mut client = kit.client().await;
    let head = format!("PUT {path}\ncontent-length: 500\nexpect: 100-continue");
    client.send(&head, "so-tnmt", b"").await;
    assert_eq!(client.answer(false).await.status, 100);
    // A client that sends without asking reads the answer all the same.
    let data = bytes(6, 3_000_000);
    let answer = put(&kit, "so-tnmt", &data).await;
    assert_eq!(answer.code(), BodyProblemCode::BodyTooLarge);
}

#[tokio::test]
async fn two_clients_send_the_same_body() {
    let kit = Kit::new().await;
    let data = bytes(7, 1000);
    let body = Sha256::of(&data);
    let path = path(&body);
    let mut first = kit.client().await;
    first
        .send(
            &format!("PUT {path}\ncontent-length: 1000"),
            "so-tnmt",
            &data[..400],
        )
        .await;
    let who = SystemId::new("so-tnmt").unwrap();
    while kit.store.status(&who, body).await.unwrap() == UploadStatus::Nothing {
        tokio::task::yield_now().await;
    }
    let second = put(&kit, "so-tnmt", &data).await;
    assert_eq!(second.code(), BodyProblemCode::UploadBusy);
    assert_eq!(second.header("retry-after"), "2");
    assert_eq!(put(&kit, "xa-a", &data).await.status, 201);
    first.raw(&data[400..]).await;
    assert_eq!(first.answer(false).await.status, 201);
    assert_eq!(kit.store.list(None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn requests_that_make_no_sense_have_their_codes() {
    let kit = Kit::new().await;
    let digest = Sha256::of(b"x").to_string();
    let upper = digest.to_uppercase();
    for (head, body, code) in [
        ("GET /".to_owned(), "", BodyProblemCode::PathUnknown),
        ("GET /bodies/".to_owned(), "", BodyProblemCode::PathUnknown),
        ("GET /bodies/1/2".to_owned(), "", BodyProblemCode::PathUnknown),
        ("GET /bodies/1".to_owned(), "", BodyProblemCode::DigestMalformed),
        (
            "GET /bodies/..%2f..%2fetc".to_owned(),
            "",
            BodyProblemCode::DigestMalformed,
        ),
        (
            format!("GET /bodies/{upper}"),
            "",
            BodyProblemCode::DigestMalformed,
        ),
        (
            format!("POST /bodies/{digest}"),
            "x",
            BodyProblemCode::MethodUnknown,
        ),
        (
            format!("PUT /bodies/{digest}"),
            "",
            BodyProblemCode::LengthMissing,
        ),
        (
            format!("PUT /bodies/{digest}\ntransfer-encoding: chunked"),
            "",
            BodyProblemCode::LengthMissing,
        ),
        (
            format!("PUT /bodies/{digest}\ncontent-range: bytes 0-1/2"),
            "x",
            BodyProblemCode::RangeMalformed,
        ),
        (
            format!("PUT /bodies/{digest}\ncontent-range: bytes */1"),
            "x",
            BodyProblemCode::RangeMalformed,
        ),
        (
            format!("PUT /bodies/{digest}\ncontent-range: bytes 0-0/*"),
            "x",
            BodyProblemCode::RangeMalformed,
        ),
    ] {
        let answer = kit.ask(&head, "so-tnmt", body.as_bytes()).await;
        assert_eq!(answer.code(), code, "{head}");
        if code == BodyProblemCode::MethodUnknown {
            assert_eq!(answer.header("allow"), "HEAD, GET, PUT, DELETE");
        }
    }
}

#[tokio::test]
async fn the_disk_of_the_store_gone_is_a_fault_of_the_hub() {
    let kit = Kit::new().await;
    let data = bytes(8, 100);
    put(&kit, "so-tnmt", &data).await;
    let owners = kit.settings.dir.join("owners");
    std::fs::remove_dir_all(&owners).unwrap();
    std::fs::write(&owners, b"a file where a folder should be").unwrap();
    let answer = kit
        .ask(&format!("GET {}", path(&Sha256::of(&data))), "so-tnmt", b"")
        .await;
    assert_eq!(answer.code(), BodyProblemCode::StoreUnavailable);
    assert!(kit.folder.path().exists());
}
