//! Finds RabbitMQ's own programs.

use std::path::{Path, PathBuf};

use super::NodeError;

/// Where Debian's package keeps RabbitMQ's own scripts. Those in `/usr/sbin` are wrappers that insist on
/// the user `rabbitmq` and the machine's one node.
const DEBIAN: &str = "/usr/lib/rabbitmq/bin";

/// RabbitMQ's programs.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    programs: PathBuf,
}

impl Installation {
    /// In the directory given, or in the known one, or behind the path.
    pub(super) fn find(given: Option<&Path>) -> Result<Self, NodeError> {
        let candidates: Vec<PathBuf> = match given {
            Some(dir) => vec![dir.to_owned()],
            None => std::iter::once(PathBuf::from(DEBIAN)).chain(on_path()).collect(),
        };
        let found = candidates.iter().find(|dir| {
            dir.join("rabbitmq-server").is_file()
                && dir.join("rabbitmqctl").is_file()
                && dir.join("rabbitmq-env").is_file()
        });
        match found {
            Some(programs) => Ok(Self {
                programs: programs.clone(),
            }),
            None => Err(NodeError::NotInstalled {
                looked: candidates
                    .iter()
                    .map(|dir| dir.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// The server's script.
    pub(super) fn server(&self) -> PathBuf {
        self.programs.join("rabbitmq-server")
    }

    /// The control script.
    pub(super) fn ctl(&self) -> PathBuf {
        self.programs.join("rabbitmqctl")
    }
}

/// The directories of real `rabbitmq-server` scripts on the path (links followed, as a tarball or another
/// distribution's package makes them).
fn on_path() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .unwrap_or_default()
        .into_iter()
        .filter_map(|dir| dir.join("rabbitmq-server").canonicalize().ok())
        .filter_map(|script| script.parent().map(Path::to_owned))
        .collect()
}
