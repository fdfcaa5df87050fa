//! `truc envelope …`: edXML packets in files. Needs no ledger and no broker.

mod lint;
mod packet_file;
mod seal;
mod show;
mod signature;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use truc_envelope::dsig::Sha1Policy;
use truc_model::{MessageId, SystemId};

use super::answer::{Answer, Trouble};
use super::{Context, words};
use crate::app;
use packet_file::PacketFile;

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
    /// Sign a packet inside, with an XML signature over the whole of it
    #[command(
        after_help = "Examples:\n  truc envelope sign --key so-tnmt.key.pem --cert so-tnmt.pem --output signed.edxml van-ban.edxml\n\nWhat is outside the new element Signature stays byte for byte. Which signatures are accepted:\ndocs/reference/xml-signature.md."
    )]
    Sign(signature::SignPacketOptions),
    /// Verify a packet's XML signature, or a seal, as the hub does
    #[command(
        after_help = "Examples:\n  truc envelope verify --anchors root.pem signed.edxml\n  truc envelope verify --anchors root.pem --crl root.crl --at 2026-11-23T14:05 --json signed.edxml\n  truc envelope verify --seal-file seal.txt --cert so-tnmt.pem --anchors root.pem \\\n      --system so-tnmt --message-id 01890a5d-ac96-774b-bcce-b302099a8057 \\\n      --at 2026-11-23T14:05 van-ban.edxml\n\nWith --seal or --seal-file the seal is judged, without them the XML signature in the packet.\nWithout --at it is judged as of now.\nWithout --anchors those of the configuration count. Exit 0 only when it holds."
    )]
    Verify(VerifyOptions),
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
        Command::Sign(options) => signature::sign(&options),
        Command::Verify(options) => verify(context, &options),
    }
}

/// Options of `truc envelope verify`.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("any_seal").args(["seal", "seal_file"]))]
pub struct VerifyOptions {
    /// The seal: the header's value
    #[arg(long, value_name = "VALUE", conflicts_with = "seal_file", requires = "system")]
    pub seal: Option<String>,
    /// A file with the seal
    #[arg(long, value_name = "FILE", requires = "system")]
    pub seal_file: Option<PathBuf>,
    /// Of a seal: certificates bound to the system, PEM
    #[arg(long, value_name = "PEM", requires = "system")]
    pub cert: Vec<PathBuf>,
    /// Trust anchors, PEM; without any those of the configuration
    #[arg(long, value_name = "PEM")]
    pub anchors: Vec<PathBuf>,
    /// Revocation lists, PEM or DER; without any those of the configuration
    #[arg(long, value_name = "FILE")]
    pub crl: Vec<PathBuf>,
    /// Of a seal: the system that submitted
    #[arg(
        long,
        value_name = "ID",
        requires = "message_id",
        requires = "cert",
        requires = "any_seal"
    )]
    pub system: Option<SystemId>,
    /// Of a seal: the AMQP message_id
    #[arg(long, value_name = "UUID", requires = "system")]
    pub message_id: Option<MessageId>,
    /// As if the hub received it at this moment (Viet Nam time, or with an offset); default now
    #[arg(long, value_name = "TIME", value_parser = words::since)]
    pub at: Option<jiff::Timestamp>,
    /// Of an XML signature: let SHA-1 count, as the hub does where a system's policy allows it
    #[arg(long, conflicts_with = "any_seal")]
    pub allow_sha1: bool,
    /// The packet
    #[arg(value_name = "PACKET")]
    pub file: PathBuf,
}

/// Verifies a seal when one is given, else the XML signature.
///
/// # Errors
/// [`Trouble`] when a file cannot be read or there is nothing to trust.
fn verify(context: &Context, options: &VerifyOptions) -> Result<Answer, Trouble> {
    let mut config = context.config()?;
    if !options.anchors.is_empty() {
        config.seal.anchors.clone_from(&options.anchors);
    }
    if !options.crl.is_empty() {
        config.seal.crls.clone_from(&options.crl);
    }
    if config.seal.anchors.is_empty() {
        return Err(Trouble::new(
            "there are no trust anchors",
            "name them with --anchors, or in seal.anchors",
        ));
    }
    let trust = app::trust(&config)?;
    let now = options.at.unwrap_or_else(|| context.clock.now());
    let value = match (&options.seal, &options.seal_file) {
        (Some(value), _) => Some(value.clone()),
        (None, Some(file)) => Some(words::read_text(file)?),
        (None, None) => None,
    };
    let packet = PacketFile::open(&options.file)?;
    match (value, &options.system, options.message_id) {
        (Some(value), Some(system), Some(message_id)) => seal::verify(
            &seal::Sealed {
                value: value.trim(),
                system,
                message_id,
                certificates: &options.cert,
                packet: &packet,
                path: &options.file,
                now,
            },
            &config,
            &trust,
        ),
        // clap asks for system and message_id with a seal.
        _ => {
            let sha1 = if options.allow_sha1 {
                Sha1Policy::Allowed
            } else {
                Sha1Policy::Refused
            };
            signature::verify(&packet, &options.file, &trust, now, sha1)
        }
    }
}
