//! `truc authority …`: a certificate authority in a folder, for tests and demonstrations.
//!
//! Everything in it is [`crate::authority`]; here only files are read and written. Private keys are
//! written with mode 0600 and never over an existing file.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use jiff::SignedDuration;
use serde_json::json;
use truc_envelope::seal::BoundCertificate;
use truc_model::SystemId;

use super::Context;
use super::answer::{Answer, Trouble};
use super::show::{Facts, moment, number};
use super::words;
use crate::authority::{Authority, AuthorityError, LeafKey, Revoked, Validity, write_key_file};

/// `truc authority …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a root: root.pem (the trust anchor) and root.key.pem
    #[command(
        after_help = "Examples:\n  truc authority new --dir ca\n\nThen name ca/root.pem in seal.anchors of the configuration. For tests only."
    )]
    New(NewOptions),
    /// Issue a system's certificate: SYSTEM.pem and SYSTEM.key.pem
    #[command(
        after_help = "Examples:\n  truc authority issue --dir ca so-tnmt\n  truc authority issue --dir ca so-tnmt --days 7 --kind ed25519 --out keys\n\nBind it with: truc system add so-tnmt … --certificate ca/so-tnmt.pem. For tests only."
    )]
    Issue(IssueOptions),
    /// Write the complete revocation list: root.crl.pem
    #[command(
        after_help = "Examples:\n  truc authority crl --dir ca\n  truc authority crl --dir ca --revoked ca/so-tnmt.pem --days 30\n\nThe list is complete: name every revoked certificate each time. For tests only."
    )]
    Crl(CrlOptions),
}

/// Options of `truc authority new`.
#[derive(Debug, Clone, Args)]
pub struct NewOptions {
    /// Folder of the authority; made when absent
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Its name in certificates
    #[arg(long, default_value = "Trục test root")]
    pub name: String,
    /// Valid for this many days
    #[arg(long, value_name = "N", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
    pub days: u32,
}

/// Options of `truc authority issue`.
#[derive(Debug, Clone, Args)]
pub struct IssueOptions {
    /// Folder of the authority
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The system
    #[arg(value_name = "SYSTEM")]
    pub system: SystemId,
    /// Valid for this many days
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
    pub days: u32,
    /// Kind of a new key
    #[arg(long, value_enum, default_value_t = KeyChoice::P256, conflicts_with = "key")]
    pub kind: KeyChoice,
    /// An existing private key instead (PKCS#8 PEM; the way to RSA)
    #[arg(long, value_name = "PEM")]
    pub key: Option<PathBuf>,
    /// Folder for the new files; default that of the authority
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Options of `truc authority crl`.
#[derive(Debug, Clone, Args)]
pub struct CrlOptions {
    /// Folder of the authority
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Certificates that are revoked
    #[arg(long, value_name = "PEM")]
    pub revoked: Vec<PathBuf>,
    /// The next list is due after this many days
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
    pub days: u32,
}

/// Kind of a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyChoice {
    /// ECDSA on P-256: seals with ES256.
    P256,
    /// Ed25519: seals with EdDSA.
    Ed25519,
}

/// Longest validity, in days.
const DAYS_MAX: i64 = 36_500;

/// Does what the command says.
///
/// # Errors
/// [`Trouble`] when a file cannot be read or written, or exists already.
pub(super) fn answer(context: &Context, command: Command) -> Result<Answer, Trouble> {
    match command {
        Command::New(options) => new(context, &options),
        Command::Issue(options) => issue(context, &options),
        Command::Crl(options) => crl(context, &options),
    }
}

fn new(context: &Context, options: &NewOptions) -> Result<Answer, Trouble> {
    let root =
        Authority::root(&options.name, days(context, options.days)?, &*context.random).map_err(trouble)?;
    std::fs::create_dir_all(&options.dir).map_err(|error| Trouble::writing(&options.dir, &error))?;
    let (key, certificate) = (options.dir.join(ROOT_KEY), options.dir.join(ROOT));
    new_key(&key, &root.key_pem())?;
    write(&certificate, root.certificate_pem())?;
    let mut facts = Facts::default();
    facts.add(
        "Chứng thư gốc",
        format!("{} (khai vào seal.anchors)", certificate.display()),
    );
    facts.add("Khóa riêng", format!("{} (chỉ chủ tệp đọc được)", key.display()));
    let text = format!(
        "Đã tạo tổ chức chứng thực thử nghiệm (CHỈ ĐỂ THỬ, không dùng thật).\n{}",
        facts.text()
    );
    Answer::fine(text, &json!({ "certificate": certificate, "key": key }))
}

fn issue(context: &Context, options: &IssueOptions) -> Result<Answer, Trouble> {
    let authority = open(&options.dir)?;
    let given = options.key.as_deref().map(words::read_text).transpose()?;
    let key = match (&given, options.kind) {
        (Some(pem), _) => LeafKey::Pkcs8Pem(pem),
        (None, KeyChoice::P256) => LeafKey::P256,
        (None, KeyChoice::Ed25519) => LeafKey::Ed25519,
    };
    let validity = days(context, options.days)?;
    let issued = authority
        .issue(&options.system, key, validity, &*context.random)
        .map_err(trouble)?;
    let out = options.out.as_deref().unwrap_or(&options.dir);
    std::fs::create_dir_all(out).map_err(|error| Trouble::writing(out, &error))?;
    let certificate = out.join(format!("{}.pem", options.system));
    let key_file = out.join(format!("{}.key.pem", options.system));
    if given.is_none() {
        new_key(&key_file, &issued.key_pem)?;
    }
    write(&certificate, &issued.certificate_pem)?;
    let mut facts = Facts::default();
    facts.add("Chứng thư", certificate.display().to_string());
    facts.add(
        "Khóa riêng",
        options.key.as_deref().unwrap_or(&key_file).display().to_string(),
    );
    facts.add("Số sê-ri", issued.serial.as_str());
    facts.add("Dấu vân tay SHA-256", issued.thumbprint.to_string());
    facts.add("Hiệu lực đến", moment(validity.not_after));
    let text = format!(
        "Đã cấp chứng thư thử nghiệm cho {} (CHỈ ĐỂ THỬ).\n{}",
        options.system,
        facts.text()
    );
    let json = json!({
        "system": options.system, "certificate": certificate,
        "key": options.key.as_deref().unwrap_or(&key_file),
        "serial": issued.serial, "thumbprint": issued.thumbprint, "not_after": validity.not_after,
    });
    Answer::fine(text, &json)
}

fn crl(context: &Context, options: &CrlOptions) -> Result<Answer, Trouble> {
    let authority = open(&options.dir)?;
    let at = context.clock.now();
    let mut revoked = Vec::with_capacity(options.revoked.len());
    for path in &options.revoked {
        let certificate = BoundCertificate::from_pem(&words::read_text(path)?).map_err(|error| {
            Trouble::of(&error, format!("{} must be a certificate in PEM", path.display()))
        })?;
        revoked.push(Revoked {
            serial: certificate.serial().to_owned(),
            at,
        });
    }
    let validity = days(context, options.days)?;
    let list = authority.crl(&revoked, validity).map_err(trouble)?;
    let path = options.dir.join(ROOT_CRL);
    write(&path, &list)?;
    let text = format!(
        "Đã ghi danh sách thu hồi {}: {} chứng thư, kỳ sau trước {}.",
        path.display(),
        number(revoked.len() as u64),
        moment(validity.not_after)
    );
    Answer::fine(
        text,
        &json!({ "crl": path, "revoked": revoked.len(), "next_update": validity.not_after }),
    )
}

const ROOT: &str = "root.pem";
const ROOT_KEY: &str = "root.key.pem";
const ROOT_CRL: &str = "root.crl.pem";

fn open(dir: &Path) -> Result<Authority, Trouble> {
    let (key, certificate) = (dir.join(ROOT_KEY), dir.join(ROOT));
    if !certificate.exists() {
        let what = format!("{} is no authority's folder: it has no {ROOT}", dir.display());
        return Err(Trouble::new(
            what,
            format!("make one with `truc authority new --dir {}`", dir.display()),
        ));
    }
    Authority::from_pem(&words::read_text(&key)?, &words::read_text(&certificate)?).map_err(trouble)
}

/// From a few minutes ago, as clocks of other machines may be behind.
fn days(context: &Context, days: u32) -> Result<Validity, Trouble> {
    const BACKDATED: SignedDuration = SignedDuration::from_mins(5);
    let now = context.clock.now();
    let length = SignedDuration::from_hours(i64::from(days) * 24);
    match (now.checked_sub(BACKDATED), now.checked_add(length)) {
        (Ok(not_before), Ok(not_after)) => Ok(Validity {
            not_before,
            not_after,
        }),
        _ => Err(Trouble::new(
            "the validity reaches beyond all dates",
            "choose fewer --days",
        )),
    }
}

fn new_key(path: &Path, pem: &str) -> Result<(), Trouble> {
    write_key_file(path, pem).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Trouble::new(
            format!("{} exists; a key is never overwritten", path.display()),
            "move it away first, or choose another folder",
        ),
        _ => Trouble::writing(path, &error),
    })
}

fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    std::fs::write(path, text).map_err(|error| Trouble::writing(path, &error))
}

fn trouble(error: AuthorityError) -> Trouble {
    Trouble::of(&error, "check the files of the authority's folder")
}
