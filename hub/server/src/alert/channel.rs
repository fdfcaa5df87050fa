//! A channel: one way to people. It sends a message or says why not; trying again is not its business.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use super::mail::MailChannel;
use super::message::Message;
use super::webhook::WebhookChannel;
use crate::config::alert::Channel;

/// Largest file of a secret or password, in bytes.
pub const SECRET_MAX: u64 = 4096;

/// Largest file of trust anchors, in bytes.
pub const CA_MAX: u64 = 4 * 1024 * 1024;

/// One way to people.
#[async_trait]
pub trait Outlet: Send + Sync {
    /// Sends a message.
    ///
    /// # Errors
    /// [`SendError`] when the other side did not say that it has the message; it may have it all the same.
    async fn send(&self, message: &Message) -> Result<Sent, SendError>;
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The other side's own words, one line: `HTTP 200`, `SMTP 250`.
    pub answer: String,
    /// How long it took.
    pub took: Duration,
}

/// Why a message did not go out.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A file of the channel cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of the channel holds something else.
    #[error("{path} {problem}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// The message could not be put into the channel's form.
    #[error("the message could not be written")]
    Form(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The other side was not reached, or the connection broke.
    #[error("the other side was not reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// TLS failed: an untrusted certificate, another name.
    #[error("the connection is not private")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing came in time.
    #[error("no answer within {0} ms")]
    TimedOut(u64),
    /// It sends elsewhere, where the hub does not go.
    #[error("answered with a redirect (HTTP {0}), which is not followed")]
    Redirected(u16),
    /// It answered no.
    #[error("answered {0}")]
    Refused(String),
}

impl SendError {
    /// One word, for the ledger and for counting.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Content { .. } => "file",
            Self::Form(_) => "form",
            Self::Unreachable(_) => "unreachable",
            Self::Tls(_) => "tls",
            Self::TimedOut(_) => "timed-out",
            Self::Redirected(_) => "redirected",
            Self::Refused(_) => "refused",
        }
    }
}

/// The channel that a configuration describes.
#[must_use]
pub fn outlet(channel: &Channel) -> Box<dyn Outlet> {
    match channel {
        Channel::Webhook(webhook) => Box::new(WebhookChannel::new(webhook.clone())),
        Channel::Mail(mail) => Box::new(MailChannel::new(mail.clone())),
    }
}

/// Reads a file of a channel, at most `max` bytes.
pub(super) fn read(path: &std::path::Path, max: u64) -> Result<Vec<u8>, SendError> {
    use std::io::Read as _;
    let failed = |source| SendError::File {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .map_err(failed)?
        .take(max + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > max {
        return Err(SendError::Content {
            path: path.to_owned(),
            problem: "is too large",
        });
    }
    Ok(bytes)
}

/// Reads a secret: without the line end that editors put.
pub(super) fn read_secret(path: &std::path::Path) -> Result<Vec<u8>, SendError> {
    let mut bytes = read(path, SECRET_MAX)?;
    while matches!(bytes.last(), Some(b'\r' | b'\n')) {
        bytes.pop();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_a_largest_and_no_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "abc\r\n").unwrap();
        assert_eq!(read_secret(&path).unwrap(), b"abc");
        std::fs::write(&path, vec![b'x'; SECRET_MAX as usize]).unwrap();
        assert_eq!(read_secret(&path).unwrap().len() as u64, SECRET_MAX);
        std::fs::write(&path, vec![b'x'; SECRET_MAX as usize + 1]).unwrap();
        assert_eq!(read_secret(&path).unwrap_err().word(), "file");
        assert!(matches!(
            read_secret(&dir.path().join("missing")),
            Err(SendError::File { .. })
        ));
    }
}
