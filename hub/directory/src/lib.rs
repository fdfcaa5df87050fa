//! The directory (*danh mục*): which agencies there are, by which codes they are called, which system
//! serves each, and through which gateway everything outside the province is reached. Every row has dates.
//!
//! A [`Directory`] is an immutable snapshot with a version number and a canonical JSON form: the hub
//! keeps the versions in its ledger and resolves each recipient on one snapshot, at the date of receipt.
//! Changes are made by an [`Editor`] or an import, each of which gives the next version.
//!
//! Agencies end, merge and split: a [`Succession`] says who took over, and a whole reorganisation is one file
//! ([`reorganise()`]).
//!
//! What this crate leaves out: I/O of any kind, what a certificate says (only who holds it), and documents: what
//! waits for an agency that ended is moved by the ledger.

mod agency;
mod check;
mod dated;
mod edit;
mod import;
mod prefix;
mod problem;
mod reorganise;
mod resolve;
mod snapshot;
mod succession;
mod system;

pub use agency::{Agency, CodeRow, CodeState};
pub use check::check;
pub use dated::{Dated, Validity};
pub use edit::{EditError, Editor};
pub use import::{
    Added, Changed, Changes, FieldChange, Gone, ImportOptions, ImportReport, MAX_CSV_BYTES, MAX_ROWS,
    Subject, import_agencies, import_systems,
};
pub use prefix::{BadPrefix, RoutePrefix};
pub use problem::{Column, Problem, ProblemKind, Severity};
pub use reorganise::{Action, AgencyChange, Reorganisation, ReorganiseReport, reorganise};
pub use resolve::{Matched, Resolution};
pub use snapshot::{Directory, DirectoryError};
pub use succession::{Succession, Via};
pub use system::{
    CertificateRow, ConflictPolicy, Sha1Policy, SignaturePolicy, System, SystemKind, SystemPolicy,
    SystemStatus,
};
