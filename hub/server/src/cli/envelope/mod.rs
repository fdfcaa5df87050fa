//! `truc envelope …`: edXML packets in files. Needs no ledger and no broker.

mod lint;
mod seal;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use truc_envelope::Limits;

use super::Context;
use super::answer::{Answer, Trouble};

/// `truc envelope …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what a packet says: parties, number, attachments, and what the reader forgave
    #[command(
        after_help = "Examples:\n  truc envelope show van-ban.edxml\n  truc envelope show --json *.edxml\n\nReads tolerantly, as the hub does. Exit 1 when the hub would refuse a packet."
    )]
    Show(Files),
    /// Judge packets by the strict form: code, element, line:column, rule
    #[command(
        after_help = "Examples:\n  truc envelope lint van-ban.edxml\n  truc envelope lint --json *.edxml | jq '.files[].findings[].code'\n\nLine format: FILE:LINE:COLUMN: LEVEL CODE.\nWhat each code means: docs/reference/warnings and docs/reference/refusals.\nExit 1 when the strict form refuses a packet."
    )]
    Lint(Files),
    /// Make the seal (header truc-seal) of a packet
    #[command(
        after_help = "Examples:\n  truc envelope seal --key so-tnmt.key.pem --cert so-tnmt.pem --system so-tnmt \\\n      --message-id 01890a5d-ac96-774b-bcce-b302099a8057 van-ban.edxml\n\nPrints the header's value. The seal holds for these bytes, this message_id and this system only."
    )]
    Seal(seal::SealOptions),
    /// Verify a seal as the hub does
    #[command(
        after_help = "Examples:\n  truc envelope verify --seal-file seal.txt --cert so-tnmt.pem --anchors root.pem \\\n      --system so-tnmt --message-id 01890a5d-ac96-774b-bcce-b302099a8057 \\\n      --at 2026-11-23T14:05 van-ban.edxml\n\nWithout --at the seal is judged as of now.\nWithout --anchors those of the configuration count. Exit 1 when the seal does not hold."
    )]
    Verify(seal::VerifyOptions),
}

/// Packets in files.
#[derive(Debug, Clone, Args)]
pub struct Files {
    /// edXML packets
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    pub files: Vec<PathBuf>,
}

/// Does what the command says.
///
/// # Errors
/// [`Trouble`] when a file cannot be read.
pub(super) fn answer(context: &Context, command: Command) -> Result<Answer, Trouble> {
    match command {
        Command::Show(files) => show::show(&files.files, context.clock.today()),
        Command::Lint(files) => lint::lint(&files.files, context.clock.today()),
        Command::Seal(options) => seal::seal(context, &options),
        Command::Verify(options) => seal::verify(context, &options),
    }
}

/// Reads a packet of any size the reader takes.
fn read(path: &Path) -> Result<Vec<u8>, Trouble> {
    let size = std::fs::metadata(path)
        .map_err(|error| Trouble::reading(path, &error))?
        .len();
    // Asked before reading: a disk image named by mistake should not fill the memory.
    if size > Limits::MAX_BYTES as u64 {
        return Err(Trouble::new(
            format!(
                "{} has {size} bytes, more than a packet may have ({})",
                path.display(),
                Limits::MAX_BYTES
            ),
            "name an edXML packet",
        ));
    }
    super::words::read_bytes(path)
}
