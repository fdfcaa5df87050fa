//! Attached PDFs on the way of a document: what is found stands with the document, and keeps nothing out.

#[path = "../../../pdf/tests/kit/mod.rs"]
mod kit;

use std::path::PathBuf;

use truc_envelope::{Attachment, Limits, Packet, write_document};
use truc_ledger::{DocumentFacts, DocumentFilter, PdfKind, Period};
use truc_model::Urgency;
use truc_model::pdf::{NotInspected, PdfSignatures, Unreadable};
use truc_model::wire::{AttachmentWords, Intake, header};
use truc_server::config::Config;
use truc_server::inspect::Program;

use super::{Twin, packet};

/// A hub whose workers are the program `truc`, or a script of `tests/workers`.
async fn hub(program: &str, config: Config) -> Twin {
    let path = if program == "truc" {
        PathBuf::from(env!("CARGO_BIN_EXE_truc"))
    } else {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/workers")
            .join(program)
    };
    Twin::start_as(config, |_| {}, |app| app.with_pdf_worker(Program::at(path))).await
}

/// Wide limits: these tests run beside others on a busy machine.
fn config() -> Config {
    let mut config = Config::default();
    config.inspect.pdf_time_ms = 30_000;
    config.inspect.pdf_wait_ms = 60_000;
    config
}

fn signed() -> Vec<u8> {
    let mut pdf = kit::Pdf::plain();
    pdf.sign(&kit::Slot::default(), |covered| {
        kit::Pen::new("UBND xã").sign(covered)
    });
    pdf.bytes
}

/// A letter with these files and this subject.
fn letter(subject: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    numbered(12, subject, files)
}

/// The same under a number of its own.
fn numbered(number: usize, subject: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let bytes = packet(Urgency::Normal);
    let reading = truc_envelope::read(&bytes, &Limits::default()).unwrap();
    let Packet::Document(mut document) = reading.packet else {
        panic!("no document");
    };
    subject.clone_into(&mut document.subject);
    document.document_id = format!("000.00.09.H60,2026/03/01,{number}/STNMT-VP");
    document.attachments = (1..)
        .zip(files)
        .map(|(id, (name, bytes)): (u32, _)| Attachment::of(id.to_string(), *name, None, bytes))
        .collect();
    let contents: Vec<&[u8]> = files.iter().map(|(_, bytes)| *bytes).collect();
    write_document(&document, &contents)
}

/// Sends it, awaits the receipt, and answers what the ledger holds of it.
async fn accepted(twin: &Twin, body: &[u8]) -> DocumentFacts {
    let mut inbox = twin.consumer("so-tnmt").await;
    twin.submit("so-tnmt", Intake::Document, body).await;
    let receipt = inbox.next().await.unwrap();
    assert_eq!(receipt.properties.kind.as_deref(), Some("receipt"));
    receipt.ack().await.unwrap();
    let documents = twin.ledger.documents(&DocumentFilter::default()).await.unwrap();
    let view = twin.ledger.document(documents[0].uid).await.unwrap().unwrap();
    view.document.facts
}

fn words(facts: &DocumentFacts) -> Vec<Option<&'static str>> {
    facts
        .attachments
        .iter()
        .map(|facts| facts.signature.as_ref().map(PdfSignatures::word))
        .collect()
}

#[tokio::test]
async fn each_attached_pdf_has_its_word() {
    let twin = hub("truc", config()).await;
    let (signed, plain) = (signed(), kit::Pdf::plain().bytes);
    let mut changed = signed.clone();
    let at = kit::find(&changed, b"Cong van");
    changed[at] = b'K';
    let body = letter(
        "V/v báo cáo",
        &[
            ("a.pdf", &signed),
            ("b.txt", b"a text"),
            ("c.pdf", &changed),
            ("d.pdf", &plain),
        ],
    );
    let facts = accepted(&twin, &body).await;
    assert_eq!(
        words(&facts),
        [Some("intact"), None, Some("changed"), Some("none")]
    );
    let Some(PdfSignatures::Signed { signatures }) = &facts.attachments[0].signature else {
        panic!("{facts:?}");
    };
    assert_eq!(signatures[0].signer.as_deref(), Some("UBND xã"));
    // The recipient gets the words with the document, by position, and nobody's name.
    let mut recipient = twin.consumer("huyen-tuyen-quang").await;
    let delivery = recipient.next().await.unwrap();
    let json = delivery.properties.text(header::ATTACHMENTS).unwrap();
    assert!(!json.contains("UBND"), "{json}");
    let words: AttachmentWords = serde_json::from_str(json).unwrap();
    let told: Vec<_> = words
        .pdf
        .iter()
        .map(|pdf| (pdf.position, pdf.word.as_str()))
        .collect();
    assert_eq!(told, [(1, "intact"), (3, "changed"), (4, "none")]);
    twin.end().await;
}

#[tokio::test]
async fn a_burst_of_documents_waits_for_its_turn() {
    // More than are in hand at once, with one worker: each waits until it is free, and none goes unchecked.
    let mut config = config();
    config.inspect.pdf_workers = 1;
    let documents = usize::from(config.broker.prefetch_document) + 44;
    let twin = hub("truc", config).await;
    let mut inbox = twin.consumer("so-tnmt").await;
    let pdf = kit::Pdf::plain().bytes;
    for number in 0..documents {
        let body = numbered(number, "V/v báo cáo", &[("a.pdf", &pdf)]);
        twin.submit("so-tnmt", Intake::Document, &body).await;
    }
    for _ in 0..documents {
        let receipt = inbox.next().await.unwrap();
        assert_eq!(receipt.properties.kind.as_deref(), Some("receipt"));
        receipt.ack().await.unwrap();
    }
    let counts = twin.ledger.signature_counts(Period::default()).await.unwrap();
    let kind = PdfKind {
        word: "none",
        reason: None,
    };
    assert_eq!(counts.pdfs, [(kind, documents as u64)].into());
    twin.end().await;
}

#[tokio::test]
async fn no_worker_keeps_a_document_out() {
    let found = |why| Some(PdfSignatures::Unreadable { why });
    for (worker, time_ms, expected) in [
        ("dies.sh", 30_000, found(Unreadable::Crash)),
        ("hangs.sh", 100, found(Unreadable::Time)),
        (
            "mute.sh",
            30_000,
            Some(PdfSignatures::Unchecked {
                why: NotInspected::NoWorker,
            }),
        ),
        (
            "is-not-there.sh",
            30_000,
            Some(PdfSignatures::Unchecked {
                why: NotInspected::NoWorker,
            }),
        ),
    ] {
        let mut config = config();
        config.inspect.pdf_time_ms = time_ms;
        let twin = hub(worker, config).await;
        let facts = accepted(&twin, &letter("V/v báo cáo", &[("a.pdf", &signed())])).await;
        assert_eq!(facts.attachments[0].signature, expected, "{worker}");
        twin.end().await;
    }
}

#[tokio::test]
async fn all_the_pdfs_of_a_document_wait_no_longer_than_one() {
    let mut config = config();
    config.inspect.pdf_time_ms = 300;
    config.inspect.pdf_wait_ms = 200;
    let twin = hub("hangs.sh", config).await;
    let pdf = signed();
    let files: Vec<(&str, &[u8])> = vec![("a.pdf", &pdf); 50];
    let facts = accepted(&twin, &letter("V/v báo cáo", &files)).await;
    let timed_out = words(&facts)
        .iter()
        .filter(|word| **word == Some("unreadable"))
        .count();
    // The deadline is over before the first is given up; on a very busy machine, before it was begun.
    assert!(timed_out <= 1, "{timed_out}");
    assert_eq!(words(&facts).last(), Some(&Some("unchecked")));
    twin.end().await;
}

#[tokio::test]
async fn nobody_looks_where_nobody_is_to() {
    let mut off = config();
    off.inspect.pdf_workers = 0;
    let twin = hub("truc", off).await;
    let facts = accepted(&twin, &letter("V/v báo cáo", &[("a.pdf", &signed())])).await;
    assert_eq!(words(&facts), [None]);
    twin.end().await;
    // What bears a marking of secrecy is quarantined with nothing said of it.
    let twin = hub("truc", config()).await;
    let facts = accepted(&twin, &letter("(MẬT) V/v báo cáo", &[("a.pdf", &signed())])).await;
    assert_eq!((words(&facts), facts.subject.clone()), (vec![None], None));
    twin.end().await;
}
