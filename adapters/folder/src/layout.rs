//! The directory: which folder holds what, and how a file is named in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use truc_adapter_sdk::durable;
use truc_adapter_sdk::model::{DeliveryUid, MessageId};

/// The folders below the adapter's directory. All must lie on one file system: everything here moves by
/// rename.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

/// One folder, by its path below the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// Packets to send are dropped here.
    Out,
    /// On their way, one folder each, named by the message id.
    Sending,
    /// Accepted by the hub.
    Sent,
    /// The hub's receipts.
    Receipts,
    /// Refused, with the reason.
    Refused,
    /// Documents received.
    In,
    /// Small files that report a status are dropped here.
    Status,
    /// Reports the hub accepted.
    StatusSent,
    /// Reports that were refused, with the reason.
    StatusRefused,
    /// Statuses that came back.
    StatusIn,
    /// What the sender must know of.
    Notices,
    /// Journal and lock.
    State,
    /// Hand-overs under way ([`crate::plan`]).
    Incoming,
    /// The facts of every document received, so that a status can be reported after its packet was taken
    /// out of `in/`.
    Known,
}

impl Folder {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Out,
        Self::Sending,
        Self::Sent,
        Self::Receipts,
        Self::Refused,
        Self::In,
        Self::Status,
        Self::StatusSent,
        Self::StatusRefused,
        Self::StatusIn,
        Self::Notices,
        Self::State,
        Self::Incoming,
        Self::Known,
    ];

    /// Its path below the directory.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Receipts => "receipts",
            Self::Refused => "refused",
            Self::In => "in",
            Self::Status => "status",
            Self::StatusSent => "status/sent",
            Self::StatusRefused => "status/refused",
            Self::StatusIn => "status-in",
            Self::Notices => "notices",
            Self::State => "state",
            Self::Incoming => "state/incoming",
            Self::Known => "state/known",
        }
    }

    /// A file in it, by its path below the directory.
    #[must_use]
    pub fn file(self, name: &str) -> String {
        format!("{}/{name}", self.as_str())
    }
}

/// The packet in a folder of `sending/`.
pub const PACKET: &str = "packet.edxml";
/// What a folder of `sending/` is about ([`crate::sending::Entry`]).
pub const NAME: &str = "name.txt";
/// The dropped report, in a folder of `sending/`.
pub const REPORT: &str = "report.txt";

impl Layout {
    /// Shards of `state/known/`: a folder of a million files is slow on many file systems.
    const SHARDS: u8 = u8::MAX;

    /// Makes what is missing.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn create(root: &Path) -> io::Result<Self> {
        for folder in Folder::ALL {
            fs::create_dir_all(root.join(folder.as_str()))?;
        }
        for shard in 0..=Self::SHARDS {
            fs::create_dir_all(root.join(Folder::Known.file(&format!("{shard:02x}"))))?;
        }
        for folder in [Folder::Known, Folder::State, Folder::Status] {
            durable::sync_directory(&root.join(folder.as_str()))?;
        }
        durable::sync_directory(root)?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// A folder's path.
    #[must_use]
    pub fn folder(&self, folder: Folder) -> PathBuf {
        self.root.join(folder.as_str())
    }

    /// A path given below the directory.
    #[must_use]
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// The path below the directory of a file in it; `None` of one elsewhere.
    #[must_use]
    pub fn below(&self, path: &Path) -> Option<String> {
        let below = path.strip_prefix(&self.root).ok()?;
        below.to_str().map(str::to_owned)
    }

    /// `sending/<message-id>`.
    #[must_use]
    pub fn sending(&self, message_id: MessageId) -> PathBuf {
        self.path(&sending(message_id))
    }

    /// Whether something stands at a path below the directory.
    #[must_use]
    pub fn exists(&self, below: &str) -> bool {
        fs::symlink_metadata(self.path(below)).is_ok()
    }
}

/// `sending/<message-id>` below the directory.
#[must_use]
pub fn sending(message_id: MessageId) -> String {
    Folder::Sending.file(&message_id.to_string())
}

/// Where the facts of a delivery are kept, below the directory. By the last two digits of its id, which
/// are random.
#[must_use]
pub fn known(delivery: DeliveryUid) -> String {
    let id = delivery.to_string();
    Folder::Known.file(&format!("{}/{id}.json", &id[id.len() - 2..]))
}

/// Whether a dropped file is left alone: hidden, or still being written by its maker's convention.
#[must_use]
pub fn is_unfinished_name(name: &str) -> bool {
    name.starts_with('.')
        || name.ends_with('~')
        || [".part", ".tmp", ".partial", ".crdownload"]
            .iter()
            .any(|end| name.to_lowercase().ends_with(end))
}

/// Longest name taken over from a dropped file, in bytes. File systems stop at 255, and endings are added.
pub const NAME_MAX: usize = 150;

/// A dropped file's name without its ending, fit for naming other files after it: no separators, no control
/// characters, not hidden, not too long.
#[must_use]
pub fn plain_name(file: &str) -> String {
    let stem = match file.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file,
    };
    let cleaned: String = stem
        .chars()
        .map(|c| {
            if c.is_control() || c == '/' || c == '\\' {
                '_'
            } else {
                c
            }
        })
        .collect();
    let mut end = cleaned.len().min(NAME_MAX);
    while !cleaned.is_char_boundary(end) {
        end -= 1;
    }
    let name = cleaned[..end].trim_start_matches('.').trim();
    if name.is_empty() {
        "packet".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_dropped_files() {
        for (file, name) in [
            ("cv 12.edxml", "cv 12"),
            ("Công văn số 5.v2.xml", "Công văn số 5.v2"),
            ("a/b\\c\n.xml", "a_b_c_"),
            ("...x.xml", "x"),
            (".xml", "xml"),
            ("..", "packet"),
        ] {
            assert_eq!(plain_name(file), name, "{file}");
        }
        assert_eq!(plain_name(&"a".repeat(NAME_MAX)).len(), NAME_MAX);
        assert_eq!(plain_name(&"a".repeat(NAME_MAX + 1)).len(), NAME_MAX);
        assert_eq!(plain_name(&"đ".repeat(NAME_MAX)).len(), NAME_MAX);
    }

    #[test]
    fn unfinished_files_are_left_alone() {
        for name in [".a.edxml", "a.edxml.part", "a.edxml.TMP", "a.edxml~"] {
            assert!(is_unfinished_name(name), "{name}");
        }
        assert!(!is_unfinished_name("a.edxml"));
    }

    #[test]
    fn the_facts_of_a_delivery_have_one_place() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::create(root.path()).unwrap();
        let delivery: DeliveryUid = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let place = known(delivery);
        assert_eq!(place, "state/known/57/01890a5d-ac96-774b-bcce-b302099a8057.json");
        assert!(layout.path(&place).parent().unwrap().is_dir());
    }
}
