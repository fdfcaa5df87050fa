//! Finds PostgreSQL's own programs, and the user they may run as.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::ServerError;

/// Where Debian's packages keep the programs, by version; only the client's are on the path.
const DEBIAN: &str = "/usr/lib/postgresql";

/// PostgreSQL refuses to run as root; these are asked in order.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// PostgreSQL's programs.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    programs: PathBuf,
}

impl Installation {
    /// In the directory given, or the newest of the known ones, or on the path.
    pub(super) fn find(given: Option<&Path>) -> Result<Self, ServerError> {
        let candidates = match given {
            Some(dir) => vec![dir.to_owned()],
            None => installed().into_iter().chain(on_path()).collect(),
        };
        let found = candidates
            .iter()
            .find(|dir| dir.join("postgres").is_file() && dir.join("initdb").is_file());
        match found {
            Some(programs) => Ok(Self {
                programs: programs.clone(),
            }),
            None => Err(ServerError::NotInstalled {
                looked: candidates
                    .iter()
                    .map(|dir| dir.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// The server.
    pub(super) fn server(&self) -> PathBuf {
        self.programs.join("postgres")
    }

    /// What makes a data directory.
    pub(super) fn initdb(&self) -> PathBuf {
        self.programs.join("initdb")
    }

    /// Any other of its programs, such as `pg_dump`.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

/// Debian's, the newest version first.
fn installed() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, path)| path).collect()
}

fn on_path() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}

/// Who the server runs as when this process is root's.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) name: &'static str,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    /// `None` when this process is not root's: then the server is its own.
    pub(super) fn needed() -> Result<Option<Self>, ServerError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let known = fs::read_to_string("/etc/passwd").map_err(ServerError::io("read /etc/passwd"))?;
        let found = USERS.into_iter().find_map(|name| {
            let line = known.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some(Self {
                name,
                uid: fields.next()?.parse().ok()?,
                gid: fields.next()?.parse().ok()?,
            })
        });
        found.map(Some).ok_or(ServerError::NoUser)
    }

    /// Whether this user can get to a directory: everybody must be able to pass each one above.
    pub(super) fn can_reach(&self, dir: &Path) -> bool {
        dir.ancestors().skip(1).all(|above| {
            fs::metadata(above).is_ok_and(|found| found.uid() == self.uid || found.mode() & 0o001 != 0)
        })
    }
}
