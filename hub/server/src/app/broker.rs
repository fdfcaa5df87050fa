//! How the hub reaches its broker: addresses, time-outs, the password.

use std::time::Duration;

use truc_transport::{Acking, BrokerConfig, Url};

use super::AppError;
use crate::config::Config;

/// The broker's password: from its file, else from the environment.
///
/// # Errors
/// [`AppError::NoPassword`] when there is none, [`AppError::PasswordFile`] when its file does not read.
pub fn broker_password(config: &Config) -> Result<String, AppError> {
    let file = &config.broker.password_file;
    let password = if file.as_os_str().is_empty() {
        std::env::var("TRUC_BROKER_PASSWORD").map_err(|_| AppError::NoPassword)?
    } else {
        std::fs::read_to_string(file).map_err(|source| AppError::PasswordFile {
            path: file.clone(),
            source,
        })?
    };
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        Err(AppError::NoPassword)
    } else {
        Ok(password)
    }
}

/// How the hub reaches the broker.
///
/// # Errors
/// [`AppError::NoPassword`], [`AppError::BrokerCa`], or a URL that does not read.
pub fn broker_config(config: &Config, purpose: &str) -> Result<BrokerConfig, AppError> {
    let settings = &config.broker;
    let url: Url = with_password(&settings.url, &broker_password(config)?).parse()?;
    let broker = BrokerConfig::new(url, format!("truc {} {purpose}", config.hub.name));
    let mut broker = broker.with_more_hosts(&settings.more_hosts)?;
    broker.heartbeat = Duration::from_secs(settings.heartbeat_s);
    broker.connect_timeout = Duration::from_millis(settings.connect_timeout_ms);
    broker.operation_timeout = Duration::from_millis(settings.operation_timeout_ms);
    broker.confirm_timeout = Duration::from_millis(settings.confirm_timeout_ms);
    broker.publish_window = settings.publish_window;
    broker.acks = Acking::Together;
    broker.max_body_bytes = config.intake.max_body_bytes;
    if !settings.ca.as_os_str().is_empty() {
        let pem = std::fs::read_to_string(&settings.ca).map_err(|source| AppError::BrokerCa {
            path: settings.ca.clone(),
            source,
        })?;
        broker.tls.ca_pem = Some(pem);
    }
    Ok(broker)
}

/// The address with the password in it, every byte that could end it percent-encoded (RFC 3986 §2.1).
fn with_password(url: &str, password: &str) -> String {
    let encoded: String = password
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect();
    url.replacen('@', &format!(":{encoded}@"), 1)
}
