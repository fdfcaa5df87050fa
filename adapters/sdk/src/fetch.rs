//! Packets that travel apart from their message: fetched before the adapter is asked, sent before the message is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use truc_model::{BodyProblemCode, Sha256, crash};

use crate::bodies::BodyTransferError;
use crate::client::Inner;
use crate::packet::{PacketBytes, PacketFile};
use crate::submit::{Submission, SubmitError};

/// Folder of the state directory in which fetched packets lie until the adapter has them.
pub(crate) const FOLDER: &str = "bodies";

/// Most packets fetched at once.
pub const FETCHES_MAX: usize = 2;

/// Pause before a packet is fetched again when this adapter does not know where from.
pub(crate) const NO_URL_PAUSE: Duration = Duration::from_secs(60);

/// Where a fetched packet lies.
pub(crate) fn place(state_dir: &Path, name: &str) -> PathBuf {
    state_dir.join(FOLDER).join(format!("{name}.edxml"))
}

/// Why a packet could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// No address of the hub's service is configured.
    #[error("a document travels apart from its message, and no address to fetch it from is configured")]
    NoUrl,
    /// The folder for it.
    #[error("the folder for fetched packets cannot be made")]
    Folder(#[source] std::io::Error),
    /// The transfer.
    #[error("the packet cannot be fetched")]
    Transfer(#[from] BodyTransferError),
}

impl FetchError {
    /// Whether it lies with this one packet: it was taken back meanwhile, or is not what it is said to be.
    pub(crate) fn is_its_own(&self) -> bool {
        match self {
            Self::Transfer(BodyTransferError::Refused(problem)) => {
                problem.code == BodyProblemCode::BodyUnknown
            }
            Self::Transfer(BodyTransferError::Digest { .. }) => true,
            // Disk, network, credentials, the hub: the same for every packet, and mended by somebody.
            Self::Transfer(_) | Self::NoUrl | Self::Folder(_) => false,
        }
    }
}

impl Inner {
    /// Fetches a packet into its file. What an earlier attempt left is gone on with.
    pub(crate) async fn fetch(&self, file: &PacketFile) -> Result<(), FetchError> {
        let bodies = self.bodies.as_ref().ok_or(FetchError::NoUrl)?;
        if let Some(folder) = file.path.parent() {
            std::fs::create_dir_all(folder).map_err(FetchError::Folder)?;
        }
        bodies.download(file.sha256, file.size, &file.path, None).await?;
        crash::reach("adapter-fetched");
        Ok(())
    }

    /// Sends a packet ahead if it is to travel apart. Gives whether it is.
    pub(crate) async fn send_apart(
        &self,
        submission: &Submission,
        sha256: Sha256,
    ) -> Result<bool, SubmitError> {
        let size = submission.bytes.len();
        let inline_max = self.config.inline_max_bytes as u64;
        let Some(bodies) = self
            .bodies
            .as_ref()
            .filter(|_| submission.may_be_apart() && size > inline_max)
        else {
            return Ok(false);
        };
        let upload = |path: PathBuf| async move {
            let sent = bodies.upload(&path, sha256, size, None).await;
            sent.map_err(SubmitError::Upload)
        };
        match &submission.bytes {
            PacketBytes::File(file) => upload(file.path.clone()).await?,
            PacketBytes::Memory(bytes) => {
                let name = format!("{}.out", submission.message_id);
                let path = place(&self.config.state_dir, &name);
                let (bytes, file) = (std::sync::Arc::clone(bytes), path.clone());
                let written = tokio::task::spawn_blocking(move || {
                    if let Some(folder) = file.parent() {
                        std::fs::create_dir_all(folder)?;
                    }
                    std::fs::write(&file, bytes)
                });
                let written = written
                    .await
                    .map_err(std::io::Error::other)
                    .and_then(|written| written);
                written.map_err(SubmitError::File)?;
                let sent = upload(path.clone()).await;
                let _ = std::fs::remove_file(&path);
                sent?;
            }
        }
        crash::reach("adapter-uploaded");
        Ok(true)
    }
}
