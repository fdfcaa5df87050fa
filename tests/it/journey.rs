//! The journey on the wire: a document from one system to others, and the word of its recipients back.
//! Bare clients stand at both ends, so that what passes is seen message by message, byte by byte.
//!
//! Read in the order documents travel: [`documents`], [`taken`], [`statuses`], [`parties`] (which
//! document a status speaks of, and who may speak), [`gateway`] (the world outside the province) and
//! [`directory`] (a system that joins while the hub runs).

mod desk;
mod directory;
mod documents;
mod gateway;
mod parties;
mod recall;
mod statuses;
mod taken;

use truc_envelope::{Organization, ResponseFor, StatusPacket, write_status};
use truc_ledger::rows::RecipientRow;
use truc_ledger::{BalanceFilter, BalanceRow, DocumentView, Fact, Ledger, VerifyOptions};
use truc_model::{Clock, DocumentUid, StatusCode, SystemClock};
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{Doing, StageError, until};
use truc_tests::check;

/// Code and name of an agency.
type Agency = (&'static str, &'static str);

/// On `so-tnmt`.
const ENVIRONMENT: Agency = ("000.00.09.H60", "Sở Tài nguyên và Môi trường");
/// On `ubnd-tinh`.
const OFFICE: Agency = ("000.00.01.H60", "Văn phòng UBND tỉnh");
/// On `huyen-tuyen-quang`, as the next two are.
const HAM_YEN: Agency = ("000.00.34.H60", "UBND huyện Hàm Yên");
const TUYEN_QUANG: Agency = ("000.00.30.H60", "UBND thành phố Tuyên Quang");
const LAM_BINH: Agency = ("000.00.31.H60", "UBND huyện Lâm Bình");
/// On `xa-tuyen-quang`.
const PHU_LUU: Agency = ("000.21.34.H60", "UBND xã Phù Lưu");
/// Outside the province: by the gateway `truc-quoc-gia`.
const MINISTRY: Agency = ("000.00.00.G13", "Bộ Tài nguyên và Môi trường");

/// A letter of today.
fn letter(from: Agency, to: &[Agency], number: u32) -> Draft<'static> {
    Draft::letter(from, to, number, SystemClock.today())
}

/// How a recipient names a letter in a status: as its sender named it.
fn named(letter: &Draft<'_>) -> ResponseFor {
    ResponseFor {
        organ_id: letter.from.0.to_owned(),
        code: Some(format!("{}/{}", letter.number, letter.notation)),
        promulgation_date: Some(letter.issued),
        document_id: Some(letter.document_id()),
    }
}

/// How the sender names its letter to one recipient, in a status 13.
fn asked_back(letter: &Draft<'_>, from: Agency) -> ResponseFor {
    ResponseFor {
        organ_id: from.0.to_owned(),
        ..named(letter)
    }
}

/// A status packet. `words` is its Description; other words make other bytes.
fn status(from: Agency, about: ResponseFor, code: StatusCode, words: &str) -> Vec<u8> {
    write_status(&StatusPacket {
        description: Some(words.to_owned()).filter(|words| !words.is_empty()),
        timestamp: Some(SystemClock.today().at(8, 30, 0, 0)),
        ..StatusPacket::new(Organization::new(from.0, from.1), about, code)
    })
}

/// The hub's id of the document an answer speaks of.
fn uid(answer: &serde_json::Value) -> Result<DocumentUid, StageError> {
    answer["document"]
        .as_str()
        .unwrap_or_default()
        .parse()
        .doing("reading an answer")
}

/// Everything the ledger has about a document.
async fn view(ledger: &Ledger, document: DocumentUid) -> Result<DocumentView, StageError> {
    let view = ledger.document(document).await.doing("asking the ledger")?;
    view.ok_or_else(|| StageError(format!("the ledger does not know document {document}")))
}

/// Where one recipient stands, in the ledger's words: transport, business, change.
async fn standing(
    ledger: &Ledger,
    document: DocumentUid,
    to: Agency,
) -> Result<[&'static str; 3], StageError> {
    let view = view(ledger, document).await?;
    let row = recipient(&view, to)?;
    Ok([
        row.state.name().as_str(),
        row.business.as_str(),
        row.change.as_str(),
    ])
}

/// The row of one recipient.
fn recipient(view: &DocumentView, to: Agency) -> Result<&RecipientRow, StageError> {
    let found = view
        .recipients
        .iter()
        .find(|row| row.codes.iter().any(|code| code == to.0));
    found.ok_or_else(|| StageError(format!("{} is no recipient of {}", to.0, view.document.uid)))
}

/// Waits until a recipient stands so.
async fn stands(
    ledger: &Ledger,
    document: DocumentUid,
    to: Agency,
    expected: &str,
) -> Result<(), StageError> {
    until(&format!("{} to be {expected}", to.0), async || {
        let now = standing(ledger, document, to).await.ok()?;
        (now[0] == expected).then_some(())
    })
    .await
}

/// Waits until nothing is on its way to any inbox any more.
async fn quiet(ledger: &Ledger) -> Result<(), StageError> {
    until("everything to reach its inbox", async || {
        let counts = ledger.inbox_counts().await.ok()?;
        counts
            .iter()
            .all(|count| count.scheduled + count.leased + count.answers == 0)
            .then_some(())
    })
    .await
}

/// All events so far, without their numbers.
async fn facts(ledger: &Ledger) -> Result<Vec<Fact>, StageError> {
    let mut facts = Vec::new();
    let mut next = 1;
    loop {
        let page = ledger
            .events(next, truc_ledger::query::PAGE_MAX)
            .await
            .doing("reading the events")?;
        let Some(last) = page.last() else { return Ok(facts) };
        next = last.seq + 1;
        for row in &page {
            facts.push(row.event().doing("reading an event")?.fact);
        }
    }
}

/// The ledger is sound and its balance true, counted from rows and from events; gives the total.
async fn sound(ledger: &Ledger) -> Result<BalanceRow, StageError> {
    let balance = ledger
        .balance(&BalanceFilter::default())
        .await
        .doing("balancing")?;
    check(balance.balances(), || format!("{balance:?}"))?;
    let report = ledger
        .verify(&VerifyOptions::default())
        .await
        .doing("verifying")?;
    check(report.is_sound(), || format!("{report:?}"))?;
    Ok(balance.total)
}
