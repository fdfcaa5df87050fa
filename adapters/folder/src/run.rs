//! Running: one reader of the inbox, one eye on the directory, one sender, until told to stop.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use truc_adapter_sdk::model::{Clock, Random};
use truc_adapter_sdk::{Client, RunError};

use crate::folder::{Behaviour, FolderAdapter};
use crate::watch::{look, send};

/// Why the adapter stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The directory cannot be used.
    #[error("the directory cannot be used")]
    Directory(#[source] io::Error),
    /// The inbox cannot be read.
    #[error(transparent)]
    Inbox(#[from] RunError),
}

/// Exchanges the files of `directory` with the hub until `shutdown` completes; what is in hand is finished.
///
/// # Errors
/// [`StopError`].
pub async fn run(
    client: &Client,
    directory: PathBuf,
    behaviour: Behaviour,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), StopError> {
    let adapter = FolderAdapter::open(directory, behaviour, clock, random, |id| client.is_recorded(id))
        .map_err(StopError::Directory)?;
    let sendable = Notify::new();
    let (stop, stopped) = watch::channel(false);
    let mut inbox_stopped = stopped.clone();
    let inbox = async {
        let result = client
            .run(&adapter, async move {
                // An error means that the sender is gone, which is a stop too.
                let _ = inbox_stopped.wait_for(|stop| *stop).await;
            })
            .await;
        // Without an inbox there is no answer to anything: stop sending too.
        let _ = stop.send(true);
        result
    };
    let told = async {
        let mut stopped = stopped.clone();
        tokio::select! {
            () = shutdown => { let _ = stop.send(true); }
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    };
    let (result, (), (), ()) = tokio::join!(
        inbox,
        look(&adapter, &sendable, stopped.clone()),
        send(&adapter, client, &sendable, stopped.clone()),
        told,
    );
    Ok(result?)
}
