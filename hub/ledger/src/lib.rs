//! The ledger of Trục: what was accepted, where it is, and what became of it.
//!
//! One set of rules ([`rules`]) decides every change; back ends ([`Store`]) only load and save rows in one
//! transaction, so the memory twin, SQLite and whatever comes later cannot disagree. One writer task commits
//! in groups: many submissions, one transaction, one flush. An answer is given only after the commit.
//!
//! Start at [`Ledger`]. `docs/reference/ledger.md` describes events, the chain and the tables.
//!
//! What this crate leaves out: XML, AMQP, signatures, the directory's meaning, SQL.

pub mod alert;
pub mod balance;
pub mod body;
pub mod change;
pub mod command;
pub mod error;
pub mod event;
pub mod flush;
mod ledger;
pub mod limit;
pub mod memory;
pub mod operator;
pub mod outcome;
pub mod query;
pub mod recent;
pub mod reorganise;
mod replay;
pub mod retention;
pub mod rows;
pub mod rules;
pub mod signatures;
pub mod store;
pub mod trust;
pub mod verify;
mod writer;
pub use writer::AHEAD_MAX;

#[cfg(any(test, feature = "contract"))]
pub mod contract;

pub use balance::{Balance, BalanceFilter, BalanceRow};
pub use body::{Body, BodyPlace, LEAVING_MAX, LeavingBody, MayRead};
pub use change::{DocumentChange, ReplacedDocument};
pub use command::{
    ANSWER_PRIORITY, AttachmentFacts, ClaimRequest, Cleaning, ConflictPolicy, DirectorySummary,
    DocumentFacts, DocumentSubmission, Forwarded, HubId, NewDirectory, Note, Plan, PlannedRecipient,
    PublishFailed, PublishFailure, RefusedSubmission, Resend, StatusSubmission, SubmissionKey, TakenReport,
};
pub use error::{LedgerError, StoreError};
pub use event::{Event, EventKind, EventRow, Fact, Head};
pub use flush::Flush;
pub use ledger::{FORWARDED_MAX, Ledger, Settings};
pub use limit::{
    LIMITS_MAX, LimitKey, LimitLine, LimitQuery, LimitRow, LimitTold, SentLate, SentLateLine, SentLateQuery,
};
pub use memory::MemoryStore;
pub use operator::{
    OperatorAction, OperatorDone, OperatorNo, OperatorOrder, OperatorOutcome, OperatorTarget,
};
pub use outcome::{Claimed, LateDelivery, ResendOutcome, SubmitOutcome, TakenOutcome};
pub use query::{
    DocumentFilter, DocumentLine, DocumentView, InboxCount, Period, RefusalFilter, Search, StateCounts,
};
pub use reorganise::{AtHome, PartyMove, ReorganisationTold, Reorganise, Reorganised};
pub use retention::{
    BODIES_DELETED_MAX, BodyDeletedRow, DeleteBodies, DeletedBodies, DeletionCause, KeptBody, KeptDocument,
    KeptKind, KeptStatus, RetentionAges,
};
pub use signatures::{AnsweredBy, PdfKind, SignatureCounts, Standing, VerdictKind};
pub use store::{Snapshot, Store, Transaction};
pub use trust::{ListInForce, TrustInForce};
pub use verify::{Bodies, Finding, VerifyOptions, VerifyReport};
