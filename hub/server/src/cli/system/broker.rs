//! The broker's side of a system: account, inbox, password file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use truc_model::{Random, SystemId};
use truc_transport::{Account, Accounts, AccountsError, AmqpBroker, Broker as _, BrokerError};

use super::super::answer::Trouble;
use crate::app;
use crate::authority::write_key_file;
use crate::config::Config;

/// Random bytes of a password: as many bits as the keys that guard the rest.
const PASSWORD_BYTES: usize = 32;

/// The management interface, as the hub's own user.
///
/// # Errors
/// [`Trouble`] when there is no password, or the address does not read.
pub(in super::super) fn accounts(config: &Config) -> Result<Accounts, Trouble> {
    let password = app::broker_password(config)?;
    let broker = app::broker_config(config, "cli")?;
    let urls: Vec<&str> = config.broker.management_urls().collect();
    Ok(Accounts::of_nodes(
        &urls,
        broker.url.user(),
        &password,
        broker.url.vhost(),
    ))
}

/// All accounts.
///
/// # Errors
/// [`Trouble`] when the management interface cannot be asked.
pub(super) async fn list(accounts: &Accounts) -> Result<Vec<Account>, Trouble> {
    accounts.list().await.map_err(|error| trouble(&error))
}

/// Declares the system's inbox, and whatever else the hub needs that is missing.
///
/// # Errors
/// [`Trouble`] when the broker is not there or has other objects of these names.
pub(super) async fn declare_inbox(config: &Config, system: &SystemId) -> Result<(), Trouble> {
    let broker = AmqpBroker::connect(app::broker_config(config, "cli")?)
        .await
        .map_err(|error| broker_trouble(&error))?;
    let declared = broker.declare(&app::topology(config, vec![system.clone()])).await;
    broker.close().await;
    declared.map_err(|error| broker_trouble(&error))
}

/// Whether a password can be written there.
///
/// # Errors
/// [`Trouble`] when the file exists.
pub(super) fn must_be_new(path: &Path) -> Result<(), Trouble> {
    if path.exists() { Err(exists(path)) } else { Ok(()) }
}

fn exists(path: &Path) -> Trouble {
    Trouble::new(
        format!("{} exists; a password file is never overwritten", path.display()),
        "name another file, or move that one away",
    )
}

/// A password on its way to an account. Its file is written first: a password that is set and known to
/// no one would lock the system out.
pub(super) struct NewPassword {
    path: PathBuf,
    password: String,
}

impl NewPassword {
    /// Makes a password and writes it.
    ///
    /// # Errors
    /// [`Trouble`] when the file exists or cannot be written.
    pub(super) fn write(path: &Path, random: &Arc<dyn Random>) -> Result<Self, Trouble> {
        let mut bytes = [0; PASSWORD_BYTES];
        random.fill(&mut bytes);
        let password = URL_SAFE_NO_PAD.encode(bytes);
        write_key_file(path, &format!("{password}\n")).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(path),
            _ => Trouble::writing(path, &error),
        })?;
        Ok(Self {
            path: path.to_owned(),
            password,
        })
    }

    /// The password.
    pub(super) fn get(&self) -> &str {
        &self.password
    }

    /// Takes the file away again when the account did not get the password.
    ///
    /// # Errors
    /// The [`Trouble`] that the account had.
    pub(super) fn settle<T>(self, done: Result<T, AccountsError>) -> Result<T, Trouble> {
        done.map_err(|error| {
            // Ignored on purpose: what is left is a file with a password of no account.
            let _ = std::fs::remove_file(&self.path);
            trouble(&error)
        })
    }
}

/// What to do when the management interface says no.
pub(super) fn trouble(error: &AccountsError) -> Trouble {
    Trouble::of(error, accounts_next(error).0)
}

/// The next step, English and Vietnamese.
pub(in super::super) const fn accounts_next(error: &AccountsError) -> (&'static str, &'static str) {
    match error {
        AccountsError::Unreachable { .. } => (
            "start RabbitMQ with its plugin rabbitmq_management, and check broker.management_url",
            "chạy RabbitMQ với plugin rabbitmq_management, kiểm tra broker.management_url",
        ),
        AccountsError::Refused { .. } => (
            "check the password, then: rabbitmqctl set_user_tags <user> administrator",
            "kiểm tra mật khẩu, rồi: rabbitmqctl set_user_tags <tài khoản của trục> administrator",
        ),
        AccountsError::NotASystem { .. } => (
            "choose another system id, or take the user's tags away",
            "chọn mã hệ thống khác, hoặc bỏ tags của tài khoản đó",
        ),
        AccountsError::Answer { .. } | AccountsError::Unreadable { .. } => (
            "see what `truc doctor` says of the broker",
            "xem nhật ký của RabbitMQ và trang quản trị của nó",
        ),
    }
}

/// What to do when the broker says no.
pub(super) fn broker_trouble(error: &BrokerError) -> Trouble {
    Trouble::of(error, broker_next(error).0)
}

/// The next step, English and Vietnamese.
pub(in super::super) const fn broker_next(error: &BrokerError) -> (&'static str, &'static str) {
    match error {
        BrokerError::Refused { .. } => (
            "check user, password, virtual host and permissions (rabbitmqctl list_permissions)",
            "kiểm tra tài khoản, mật khẩu, vhost và quyền (rabbitmqctl list_permissions)",
        ),
        BrokerError::Mismatch { .. } => (
            "follow the message: empty and delete that queue, or set broker.queue_type to its type",
            "làm theo thông báo: lấy hết rồi xóa hàng đợi đó, hoặc đặt broker.queue_type đúng loại của nó",
        ),
        BrokerError::Configuration(_) => ("correct broker.url", "sửa broker.url"),
        BrokerError::Disconnected(_) | BrokerError::TimedOut { .. } => (
            "start RabbitMQ, or correct broker.url; check the network",
            "chạy RabbitMQ, hoặc sửa broker.url; kiểm tra mạng",
        ),
        BrokerError::NotFound { .. } => (
            "start the hub once: it declares its queues",
            "chạy trục một lần: nó tự khai báo hàng đợi",
        ),
        BrokerError::Closed => ("run the command again", "chạy lại lệnh"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use truc_model::SeededRandom;

    use super::*;

    #[test]
    fn a_password_file_is_private_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.password");
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(1));
        let password = NewPassword::write(&path, &random).unwrap();
        assert_eq!(password.get().len(), 43);
        assert_eq!(std::fs::read_to_string(&path).unwrap().trim_end(), password.get());
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(NewPassword::write(&path, &random).is_err());
        let refused = AccountsError::Refused {
            user: "truc".to_owned(),
        };
        assert!(password.settle(Err::<(), _>(refused)).is_err());
        assert!(!path.exists());
    }
}
