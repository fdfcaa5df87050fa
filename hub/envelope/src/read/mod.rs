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
use truc_model::{Place, Refusal, RefusalCode, Sha256, WarningCode};

use crate::limits::Limits;
use crate::packet::Packet;
use crate::scan::{Findings, Scanned, Spot, scan};
use crate::source::{PacketSource, sha256_of};
use crate::tokens::Input;
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
    read_from(&bytes, limits).unwrap_or_else(|_| {
        // Bytes in memory can always be read.
        let refusal = Refusal::new(RefusalCode::EnvelopeMalformed, Place::Message, "a packet", "none");
        Err(Rejection {
            findings: vec![refusal],
        })
    })
}

/// Reads a packet from where it lies: what [`read`] says of its bytes. Of a packet that is not in memory no more is
/// held than a block, the texts of its header ([`Limits::max_text_bytes`]) and its elements' places: some ten
/// megabytes for the largest header there may be, some hundred kilobytes for a real one, whatever it has attached.
///
/// # Errors
/// When the source cannot be read: then nothing is said about the packet. Inside, [`Rejection`].
pub fn read_from(source: &dyn PacketSource, limits: &Limits) -> io::Result<Result<Reading, Rejection>> {
    let Examined {
        packet,
        refusals,
        warnings,
        dated,
        sha256,
        size,
    } = examine(source, limits)?;
    match packet {
        Some(packet) if refusals.is_empty() => Ok(Ok(Reading {
            packet,
            warnings,
            sha256: match sha256 {
                Some(sha256) => sha256,
                None => source.known_sha256().map_or_else(|| sha256_of(source), Ok)?,
            },
            size,
            dated,
        })),
        _ => Ok(Err(Rejection { findings: refusals })),
    }
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
    /// Where it was taken in passing.
    sha256: Option<Sha256>,
    size: u64,
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
pub(crate) fn examine(source: &dyn PacketSource, limits: &Limits) -> io::Result<Examined> {
    let mut findings = Findings::default();
    let input = Input::open(source)?;
    let Scanned { tree, sha256 } = scan(&input, limits, &mut findings);
    input.failure()?;
    let mut spots = DatedSpots::default();
    let mut packet = None;
    if !findings.is_refused() {
        let mut fields = Fields::new(&tree, limits, &mut findings);
        packet = structure::packet(&mut fields);
        spots = fields.dated;
    }
    let dates = [spots.issued, spots.due].into_iter().flatten();
    let (refusals, warnings, mut places) =
        findings.resolve(source, &tree, &dates.map(|(_, spot)| spot).collect::<Vec<_>>())?;
    let mut locate = |dated: Option<(Date, Spot)>| Some((dated?.0, places.next()?));
    let dated = Dated {
        issued: locate(spots.issued),
        due: locate(spots.due),
    };
    Ok(Examined {
        packet,
        refusals,
        warnings,
        dated,
        sha256,
        size: input.size() as u64,
    })
}

/// [`Dated`] before lines and columns are counted.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct DatedSpots {
    issued: Option<(Date, Spot)>,
    due: Option<(Date, Spot)>,
}
