//! `truc system add`.

use jiff::civil::Date;
use serde_json::json;
use truc_directory::{Directory, Editor, RoutePrefix, SignaturePolicy, System, Validity};
use truc_envelope::seal::BoundCertificate;
use truc_model::{AgencyCode, SystemId};

use super::super::Context;
use super::super::answer::{Answer, Trouble};
use super::super::show::{Facts, moment, number};
use super::super::words::{self, Opened};
use super::broker::{self, NewPassword};
use super::{AddOptions, certificate, edit_trouble, save};

/// Registers a system, or completes one.
///
/// # Errors
/// [`Trouble`] when the order makes no sense, or ledger or broker cannot be reached. What was done before
/// stays; running it again goes on from there.
pub(super) async fn add(context: &Context, opened: &Opened, options: &AddOptions) -> Result<Answer, Trouble> {
    let id = &options.id;
    let bound = options
        .certificate
        .as_deref()
        .map(|path| certificate(path, Validity::since(opened.today)))
        .transpose()?;
    let next = edit(
        &opened.directory,
        opened.today,
        options,
        bound.as_ref().map(|(row, _)| row.clone()),
    )?;

    // Everything that can be known to fail is asked before the first change.
    let config = context.config()?;
    let has_account = if options.no_account {
        None
    } else {
        let accounts = broker::accounts(&config)?;
        let known = broker::list(&accounts).await?;
        let has = known.iter().any(|account| account.system.as_ref() == Some(id));
        if !has && options.password_file.is_none() {
            return Err(Trouble::new(
                format!("{id} needs a broker account, and its password a place"),
                "give --password-file OUT (a new file), or --no-account to edit the directory only",
            ));
        }
        if let (Some(path), false) = (&options.password_file, has) {
            broker::must_be_new(path)?;
        }
        Some((accounts, has))
    };

    let new = opened.directory.system(id).is_none();
    let changed = save(opened, &next, id, &change(&opened.directory, &next, id)).await?;
    let mut account = "chưa tạo (--no-account)".to_owned();
    let mut made = false;
    if let Some((accounts, has)) = has_account {
        broker::declare_inbox(&config, id).await?;
        account = match (&options.password_file, has) {
            (Some(path), false) => {
                let password = NewPassword::write(path, &context.random)?;
                let done = accounts.ensure_system(id, password.get()).await;
                password.settle(done)?;
                made = true;
                format!("đã tạo; mật khẩu ở {} (chỉ chủ tệp đọc được)", path.display())
            }
            (Some(_), true) => "đã có từ trước, giữ nguyên mật khẩu (đổi: truc system rotate)".to_owned(),
            (None, _) => "đã có từ trước".to_owned(),
        };
    }
    let text = page(
        &next,
        opened.today,
        options,
        bound.as_ref().map(|(_, read)| read),
        changed,
        &account,
    );
    Answer::fine(
        text,
        &json!({
            "system": id,
            "added": new,
            "directory_changed": changed,
            "directory": next.version(),
            "account_made": made,
            "password_file": options.password_file.as_ref().filter(|_| made),
            "thumbprint": bound.map(|(row, _)| row.thumbprint),
        }),
    )
}

/// The next version of the directory.
fn edit(
    directory: &Directory,
    today: Date,
    options: &AddOptions,
    certificate: Option<truc_directory::CertificateRow>,
) -> Result<Directory, Trouble> {
    let id = &options.id;
    let mut editor = Editor::new(directory);
    let mut policy = match directory.system(id) {
        Some(known) => {
            same("name", options.name.as_deref(), &known.name)?;
            same(
                "kind",
                options.kind.map(|kind| kind.as_str()),
                known.kind.as_str(),
            )?;
            known.policy
        }
        None => {
            let (Some(name), Some(kind)) = (options.name.as_deref().map(str::trim), options.kind) else {
                return Err(Trouble::new(
                    format!("{id} is not registered yet"),
                    "give --name and --kind to register it, or import it with `truc directory import --systems`",
                ));
            };
            if name.is_empty() {
                return Err(Trouble::new(
                    "a name of white space is none",
                    "give --name in words people know it by",
                ));
            }
            let system = System::new(id.clone(), name, kind);
            editor.add_system(system).map_err(|error| edit_trouble(&error))?;
            truc_directory::SystemPolicy::default()
        }
    };
    if options.signature.is_some() || options.xml_sha1.is_some() {
        policy.signature = options.signature.unwrap_or(policy.signature);
        policy.xml_sha1 = options.xml_sha1.unwrap_or(policy.xml_sha1);
        editor
            .set_policy(id, policy)
            .map_err(|error| edit_trouble(&error))?;
    }
    if !options.route.is_empty() {
        let read = |text: &String| {
            RoutePrefix::parse(text).map_err(|error| {
                Trouble::of(
                    &error,
                    format!("correct --route {text}: a letter (G), H53, or H53.31"),
                )
            })
        };
        let prefixes = options.route.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        editor
            .set_prefixes(id, &prefixes, today)
            .map_err(|error| edit_trouble(&error))?;
    }
    for text in &options.serves {
        let agency = AgencyCode::parse(text)
            .ok()
            .and_then(|code| directory.find_code(&code))
            .ok_or_else(|| {
                Trouble::new(
                    format!("no agency in the directory has the code {text}"),
                    "import the agency first, or look for it: `truc directory show NAME`",
                )
            })?;
        editor
            .assign(agency.id, Some(id), today)
            .map_err(|error| edit_trouble(&error))?;
    }
    if let Some(row) = certificate {
        let known = directory
            .find_certificate(&row.thumbprint)
            .is_some_and(|(system, _)| system.id == *id);
        if !known {
            editor
                .add_certificate(id, row)
                .map_err(|error| edit_trouble(&error))?;
        }
    }
    Ok(editor.finish())
}

/// What the ledger is told: `added`, `completed`, and beside it what it may do that it could not before, or the
/// reverse.
fn change(before: &Directory, next: &Directory, id: &SystemId) -> String {
    let sha1 = |directory: &Directory| directory.system(id).map(|known| known.policy.xml_sha1);
    let word = match sha1(before) {
        None => "added",
        Some(_) => "completed",
    };
    match sha1(next) {
        Some(now) if now != sha1(before).unwrap_or_default() => format!("{word}, xml_sha1={now}"),
        _ => word.to_owned(),
    }
}

fn same(what: &str, asked: Option<&str>, known: &str) -> Result<(), Trouble> {
    match asked {
        Some(asked) if asked.trim() != known => Err(Trouble::new(
            format!("the system is registered with {what} '{known}', not '{asked}'"),
            format!(
                "leave --{what} out; a name is changed by `truc directory import --systems`, a kind never"
            ),
        )),
        _ => Ok(()),
    }
}

fn page(
    next: &Directory,
    today: Date,
    options: &AddOptions,
    certificate: Option<&BoundCertificate>,
    changed: bool,
    account: &str,
) -> String {
    let id = &options.id;
    let mut facts = Facts::default();
    let mut warnings = Vec::new();
    if let Some(system) = next.system(id) {
        let serves = next
            .agencies()
            .filter(|agency| agency.assigned(today) == Some(id))
            .count();
        facts.add("Hệ thống", format!("{id} ({})", system.name));
        facts.add("Loại", words::kind(system.kind));
        facts.add("Phục vụ", format!("{} cơ quan", number(serves as u64)));
        facts.add("Chính sách ký", words::policy(system.policy.signature));
        facts.add("Chữ ký XML dùng SHA-1", words::sha1(system.policy.xml_sha1));
        let needs_seal = matches!(
            system.policy.signature,
            SignaturePolicy::Either | SignaturePolicy::Seal
        );
        if needs_seal && system.certificates_on(today).next().is_none() {
            warnings.push(format!(
                "→ Chưa có chứng thư: gói tin niêm bằng dấu niêm sẽ bị từ chối. truc system add {id} --certificate PEM"
            ));
        }
    }
    if let Some(certificate) = certificate {
        facts.add(
            "Chứng thư",
            format!(
                "{}, hết hạn {}",
                certificate.thumbprint(),
                moment(certificate.not_after())
            ),
        );
    }
    let version = next.version();
    facts.add(
        "Danh mục",
        if changed {
            format!("phiên bản {version} (mới)")
        } else {
            format!("phiên bản {version} (không đổi)")
        },
    );
    facts.add("Tài khoản RabbitMQ", account);
    if options.no_account {
        warnings.push(format!(
            "→ Tạo tài khoản sau: truc system add {id} --password-file OUT"
        ));
    }
    let mut text = facts.text();
    if !warnings.is_empty() {
        text.push_str("\n\n");
        text.push_str(&warnings.join("\n"));
    }
    text
}
