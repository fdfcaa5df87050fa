//! The tolerant reader: from the tree of elements to a packet, with everything that was forgiven.
//!
//! It refuses only what the hub cannot work without or cannot tell the meaning of: who sends, to whom,
//! which document, what it does, and whole attachments. The strict form's other demands are warnings.

mod attachments;
mod business;
mod document;
mod fields;
mod status;
mod structure;
mod types;

use std::io;

use jiff::civil::Date;
use truc_model::{Place, Refusal, Sha256, WarningCode};

use crate::limits::Limits;
use crate::packet::Packet;
use crate::scan::{Findings, Spot, place, scan};
use crate::source::PacketSource;
use fields::Fields;

/// Something forgiven.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// What.
    pub code: WarningCode,
    /// Where.
    pub place: Place,
}

/// A packet that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The packet.
    pub packet: Packet,
    /// What was forgiven, in the order of the packet; what is absent stands last. Notes are among them: ask
    /// each code for its level.
    pub warnings: Vec<Warning>,
    /// Digest of the bytes as received.
    pub sha256: Sha256,
    /// Number of the bytes as received.
    pub size: u64,
    dated: Dated,
}

/// The packet is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the packet is refused: {}", .findings.first().map_or_else(String::new, ToString::to_string))]
pub struct Rejection {
    /// Everything found, at least one, the first by precedence first.
    pub findings: Vec<Refusal>,
}

/// Reads a packet.
///
/// # Errors
/// [`Rejection`] with every finding that refuses it, as far as reading could go on.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Reading, Rejection> {
    let Examined {
        packet,
        refusals,
        warnings,
        dated,
    } = examine(bytes, limits);
    match packet {
        Some(packet) if refusals.is_empty() => Ok(Reading {
            packet,
            warnings,
            sha256: Sha256::of(bytes),
            size: bytes.len() as u64,
            dated,
        }),
        _ => Err(Rejection { findings: refusals }),
    }
}

/// Reads a packet from where it lies: what [`read`] says of its bytes.
///
/// # Errors
/// When the source cannot be read: then nothing is said about the packet.
pub fn read_from(source: &dyn PacketSource, limits: &Limits) -> io::Result<Result<Reading, Rejection>> {
    Ok(read(&crate::source::all(source)?, limits))
}

impl Reading {
    /// What can be said only knowing the day: a date of issue in the future. `today` is Viet Nam's.
    #[must_use]
    pub fn warnings_on(&self, today: Date) -> Vec<Warning> {
        self.dated.future(today)
    }
}

/// Everything one pass came to; the linter wants the warnings of a refused packet too.
pub(crate) struct Examined {
    pub(crate) packet: Option<Packet>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) dated: Dated,
}

/// Dates that mean something only beside today's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Dated {
    /// `PromulgationDate` and where it stands.
    pub(crate) issued: Option<(Date, Place)>,
    /// `DueDate` and where it stands.
    pub(crate) due: Option<(Date, Place)>,
}

impl Dated {
    /// A date of issue in the future.
    pub(crate) fn future(&self, today: Date) -> Vec<Warning> {
        self.issued
            .iter()
            .filter(|(date, _)| *date > today)
            .map(|(_, place)| Warning {
                code: WarningCode::FutureDate,
                place: place.clone(),
            })
            .collect()
    }
}

/// Scans and reads.
pub(crate) fn examine(bytes: &[u8], limits: &Limits) -> Examined {
    let mut findings = Findings::default();
    let tree = scan(bytes, limits, &mut findings);
    let mut spots = DatedSpots::default();
    let mut packet = None;
    if !findings.is_refused() {
        let mut fields = Fields::new(&tree, bytes, limits, &mut findings);
        packet = structure::packet(&mut fields);
        spots = fields.dated;
    }
    let locate = |dated: Option<(Date, Spot)>| dated.map(|(date, spot)| (date, place(bytes, &tree, spot)));
    let dated = Dated {
        issued: locate(spots.issued),
        due: locate(spots.due),
    };
    let (refusals, warnings) = findings.resolve(bytes, &tree);
    Examined {
        packet,
        refusals,
        warnings,
        dated,
    }
}

/// [`Dated`] before lines and columns are counted.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct DatedSpots {
    issued: Option<(Date, Spot)>,
    due: Option<(Date, Spot)>,
}
