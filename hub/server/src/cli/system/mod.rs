//! `truc system …`: connected systems, in the directory and on the broker.
//!
//! The directory says what a system is and whom it serves; the broker has its account and inbox. Both are
//! written here, the directory first: a running hub that sees a system without an account only waits,
//! while an account without a system could not be explained to anyone.

mod add;
mod broker;
mod certificates;
mod list;
mod rotate;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use truc_directory::{
    CertificateRow, Directory, EditError, Editor, Sha1Policy, SignaturePolicy, SystemKind, SystemStatus,
    Validity,
};
use truc_envelope::seal::BoundCertificate;
use truc_ledger::{DirectorySummary, NewDirectory, Note};
use truc_model::SystemId;

use super::Context;
use super::answer::{Answer, Trouble};
use super::words::{self, Opened};

pub(super) use broker::{accounts, accounts_next, broker_next};

/// `truc system …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register a system: directory, broker account, inbox. Completes one that is half there
    #[command(
        after_help = "Examples:\n  truc system add so-tnmt --name 'Sở Tài nguyên và Môi trường' --kind agency \\\n      --serves 000.00.09.H60 --certificate so-tnmt.pem --password-file so-tnmt.password\n  truc system add truc-quoc-gia --name 'Trục liên thông quốc gia' --kind gateway \\\n      --route G --route H53 --signature channel --password-file qg.password\n  truc system add xa-tuyen-quang --password-file xa.password     imported, no account yet\n  truc system add so-cu --xml-sha1 allow                         its software signs with SHA-1\n\nThe password is made here and written to the file alone (mode 0600), never on the screen.\nWorks while the hub runs; safe to repeat."
    )]
    Add(AddOptions),
    /// Give a system a new password or a new certificate
    #[command(
        after_help = "Examples:\n  truc system rotate so-tnmt --password-file so-tnmt.password.new\n  truc system rotate so-tnmt --certificate so-tnmt-2027.pem --overlap-days 14\n\nDuring the overlap seals by the old and the new certificate both pass.\nConnections made with the old password go on until they end; --disconnect ends them now."
    )]
    Rotate(RotateOptions),
    /// Table of systems: kind, agencies, certificates, account, what waits for them
    #[command(
        after_help = "Examples:\n  truc system list\n  truc system list --json | jq '.systems[] | select(.account == false).system'"
    )]
    List,
    /// Table of certificates: whose, bound and valid from when until when, what ends soon
    #[command(
        after_help = "Examples:\n  truc system certificates\n  truc system certificates --days 60\n  truc system certificates --json | jq '.certificates[] | select(.finding).system'\n\nThe first to end stands first; those no longer bound stand last.\nExit 1 when a bound one ends within --days, has ended, is revoked or not trusted: for a timer."
    )]
    Certificates(CertificatesOptions),
    /// Switch a system off: its submissions are refused, its inbox stays
    #[command(
        after_help = "Examples:\n  truc system disable so-tnmt\n\nThe refusal it gets is system-disabled. Switch it on again with `truc system enable`."
    )]
    Disable(One),
    /// Switch a system on again
    #[command(after_help = "Examples:\n  truc system enable so-tnmt")]
    Enable(One),
}

/// Names a system.
#[derive(Debug, Clone, Args)]
pub struct One {
    /// The system
    #[arg(value_name = "ID")]
    pub id: SystemId,
}

/// Options of `truc system add`.
#[derive(Debug, Clone, Args)]
pub struct AddOptions {
    /// The system's id: 2 to 64 of a-z, 0-9, '-' and '.'
    #[arg(value_name = "ID")]
    pub id: SystemId,
    /// Its name for people (required for a new one)
    #[arg(long)]
    pub name: Option<String>,
    /// tenant (serves many agencies), agency (one agency's own), gateway (the way out of the province)
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub kind: Option<SystemKind>,
    /// Codes of the agencies it serves, from today on
    #[arg(long, value_name = "CODE", num_args = 1..)]
    pub serves: Vec<String>,
    /// Prefixes of outside codes a gateway serves: G, H53, H53.31
    #[arg(long, value_name = "PREFIX", num_args = 1..)]
    pub route: Vec<String>,
    /// Certificate its seals are made with, PEM
    #[arg(long, value_name = "PEM")]
    pub certificate: Option<PathBuf>,
    /// either, seal, xml-dsig, channel or none
    #[arg(long, value_name = "POLICY", value_parser = signature)]
    pub signature: Option<SignaturePolicy>,
    /// XML signatures that rest on SHA-1: refuse, or allow for a system that cannot do better yet
    #[arg(long, value_name = "POLICY", value_parser = xml_sha1)]
    pub xml_sha1: Option<Sha1Policy>,
    /// Where to write the new account's password (a new file, mode 0600)
    #[arg(long, value_name = "OUT")]
    pub password_file: Option<PathBuf>,
    /// Only edit the directory; run it again without this to make the account
    #[arg(long, conflicts_with = "password_file")]
    pub no_account: bool,
}

/// Options of `truc system rotate`.
#[derive(Debug, Clone, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["password_file", "certificate"])))]
pub struct RotateOptions {
    /// The system
    #[arg(value_name = "ID")]
    pub id: SystemId,
    /// Make a new password and write it to this new file (mode 0600)
    #[arg(long, value_name = "OUT")]
    pub password_file: Option<PathBuf>,
    /// Bind this certificate, PEM
    #[arg(long, value_name = "PEM")]
    pub certificate: Option<PathBuf>,
    /// Days on which the certificates bound so far still hold
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(0..=365))]
    pub overlap_days: u16,
    /// End its connections, so that the old password is of no use from now on
    #[arg(long, requires = "password_file")]
    pub disconnect: bool,
}

/// Options of `truc system certificates`.
#[derive(Debug, Clone, Args)]
pub struct CertificatesOptions {
    /// Days before its end from which on a certificate is a finding
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(0..=DAYS_MAX))]
    pub days: u16,
}

/// Most days looked ahead: ten years.
const DAYS_MAX: i64 = 3650;

/// Does what the command says.
///
/// # Errors
/// [`Trouble`] when ledger or broker cannot be reached, or the order makes no sense.
pub(super) async fn answer(context: &Context, command: Command) -> Result<Answer, Trouble> {
    let opened = Opened::open(context).await?;
    match command {
        Command::Add(options) => add::add(context, &opened, &options).await,
        Command::Rotate(options) => rotate::rotate(context, &opened, &options).await,
        Command::List => list::list(context, &opened).await,
        Command::Certificates(options) => certificates::list(context, &opened, &options),
        Command::Disable(one) => switch(&opened, &one.id, SystemStatus::Disabled).await,
        Command::Enable(one) => switch(&opened, &one.id, SystemStatus::Active).await,
    }
}

async fn switch(opened: &Opened, id: &SystemId, status: SystemStatus) -> Result<Answer, Trouble> {
    let mut editor = Editor::new(&opened.directory);
    editor
        .set_status(id, status)
        .map_err(|error| edit_trouble(&error))?;
    let (change, words) = match status {
        SystemStatus::Disabled => (
            "disabled",
            "tạm khóa: gói tin nó gửi sẽ bị từ chối (system-disabled)",
        ),
        SystemStatus::Active => ("enabled", "mở lại"),
    };
    let next = editor.finish();
    let changed = save(opened, &next, id, change).await?;
    let text = if changed {
        format!("Hệ thống {id} đã được {words}. Trục đang chạy áp dụng trong vài giây.")
    } else {
        format!("Hệ thống {id} vốn đã như vậy; không có gì thay đổi.")
    };
    Answer::fine(
        text,
        &serde_json::json!({ "system": id, "status": status, "changed": changed, "directory": next.version() }),
    )
}

/// Saves a new version of the directory and notes the change; gives whether there was one.
async fn save(opened: &Opened, next: &Directory, system: &SystemId, change: &str) -> Result<bool, Trouble> {
    if *next == opened.directory {
        return Ok(false);
    }
    let who = words::account();
    let added = u32::from(opened.directory.system(system).is_none());
    let closed = u32::from(change == "disabled");
    let directory = NewDirectory {
        expected_version: opened.directory.version(),
        version: next.version(),
        json: next.to_json(),
        who: who.clone(),
        summary: DirectorySummary {
            added,
            changed: 1 - added.max(closed),
            closed,
        },
    };
    opened.ledger.save_directory(directory).await?;
    opened
        .ledger
        .note(Note::SystemChanged {
            system: system.clone(),
            change: change.to_owned(),
            who,
        })
        .await?;
    Ok(true)
}

/// A certificate from a file, as the directory binds it.
fn certificate(path: &Path, valid: Validity) -> Result<(CertificateRow, BoundCertificate), Trouble> {
    let pem = words::read_text(path)?;
    if pem.contains("PRIVATE KEY") {
        return Err(Trouble::new(
            format!("{} holds a private key", path.display()),
            "give the certificate alone; a private key stays with the system it belongs to",
        ));
    }
    let read = BoundCertificate::from_pem(&pem)
        .map_err(|error| Trouble::of(&error, format!("{} must be a certificate in PEM", path.display())))?;
    Ok((
        CertificateRow {
            pem,
            thumbprint: read.thumbprint(),
            valid,
        },
        read,
    ))
}

fn edit_trouble(error: &EditError) -> Trouble {
    let next = match error {
        EditError::UnknownSystem(_) => "see the registered ones with `truc system list`",
        EditError::SystemExists(_) => "run the command again",
        EditError::CertificateBound { .. } => "make a new key and certificate for this system",
        EditError::NotAGateway(_) => "--route is for --kind gateway",
        _ => "see `truc directory show` for what is there",
    };
    Trouble::of(error, next)
}

fn kind(word: &str) -> Result<SystemKind, String> {
    SystemKind::from_word(word).ok_or_else(|| "expected tenant, agency or gateway".to_owned())
}

fn xml_sha1(word: &str) -> Result<Sha1Policy, String> {
    Sha1Policy::from_word(word).ok_or_else(|| "expected refuse or allow".to_owned())
}

fn signature(word: &str) -> Result<SignaturePolicy, String> {
    SignaturePolicy::from_word(word)
        .ok_or_else(|| "expected either, seal, xml-dsig, channel or none".to_owned())
}
