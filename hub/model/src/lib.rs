//! Nouns and transitions of Trục, the hub for signed official documents (*trục liên thông văn bản*).
//!
//! Everything the other crates agree on stands here: agency codes, documents, deliveries, statuses,
//! refusals, and the words of the wire. States are enums whose variants hold their own facts; a
//! transition takes the old state and returns the new one.
//!
//! What this crate leaves out: I/O, XML, AMQP, SQL, signatures. It can be compiled for a browser.

pub mod agency;
pub mod alert;
pub mod body;
pub mod change;
pub mod clock;
pub mod crash;
pub mod delivery;
pub mod digest;
pub mod document;
pub mod id;
pub mod life;
pub mod limit;
pub mod pdf;
pub mod refusal;
pub mod signature;
pub mod status;
pub mod warning;
pub mod wire;
pub mod withdraw;

pub use agency::{AgencyCode, AgencyId, CodeForm, Party};
pub use alert::{AlertChange, AlertKind, Severity};
pub use body::{BodyProblem, BodyProblemCode, BodyProblemJson, NextTry};
pub use change::{Answered, ChangeOrder, ChangeState, Ordered};
pub use clock::{Clock, ManualClock, Random, SeededRandom, SystemClock, SystemRandom};
pub use delivery::{ParkCause, TransportState, UndeliverableCause};
pub use digest::Sha256;
pub use document::{DocumentIdentity, DocumentKind, Operation, Urgency};
pub use id::{AlertPostUid, AlertUid, DeliveryUid, DocumentUid, MessageId, SystemId};
pub use limit::{LimitKind, Turn};
pub use pdf::{PdfSignature, PdfSignatures};
pub use refusal::{Actor, Place, Refusal, RefusalCode, Retry};
pub use signature::{SignatureForm, SignatureState, SignatureStrength, SignatureVerdict};
pub use status::{Applied, BusinessState, StatusCode};
pub use warning::WarningCode;
pub use withdraw::{WithdrawCause, WithdrawProof};
