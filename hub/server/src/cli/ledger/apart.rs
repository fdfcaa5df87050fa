//! `truc ledger verify --bodies`: bodies apart that the ledger keeps, against the store they must be in.
//!
//! What the store has beyond that is no fault: uploads that no message names yet, and what the hub is about to sweep.

use std::fmt;

use clap::ValueEnum;
use truc_bodies::{BodyError, StoredBodies};
use truc_ledger::query::PAGE_MAX;
use truc_ledger::{BodyPlace, Ledger};
use truc_model::Sha256;

use super::super::answer::Trouble;
use super::super::show::{number, size};
use crate::app::AppError;
use crate::web::WebError;

/// Most findings; the look stops there.
const FINDINGS_MAX: usize = 1000;

/// How closely bodies apart are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// Whether it is there, with its size
    Look,
    /// Read as a whole, against its digest
    Read,
}

/// What a look found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Apart {
    /// Bodies that were looked for.
    pub(super) looked_at: u64,
    /// How many bytes they have, by the ledger.
    pub(super) bytes: u64,
    /// How many of them were read.
    pub(super) read: u64,
    /// What is wrong.
    pub(super) findings: Vec<Finding>,
}

/// A body apart that is not as the ledger says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Missing {
        sha256: Sha256,
        size: u64,
    },
    SizeDiffers {
        sha256: Sha256,
        expected: u64,
        found: u64,
    },
    DigestDiffers {
        sha256: Sha256,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { sha256, size } => write!(
                f,
                "không có trong kho tệp lớn · missing in the store of bodies: {sha256} ({size} bytes)"
            ),
            Self::SizeDiffers {
                sha256,
                expected,
                found,
            } => write!(
                f,
                "sai kích thước trong kho tệp lớn · another size in the store of bodies: {sha256} ({found} bytes, \
                 {expected} by the ledger)"
            ),
            Self::DigestDiffers { sha256 } => write!(
                f,
                "nội dung trong kho tệp lớn sai mã băm · other bytes in the store of bodies: {sha256}"
            ),
        }
    }
}

impl Apart {
    /// The line for people; the ledger keeps `kept` apart.
    pub(super) fn line(&self, how: Option<How>, kept: u64) -> String {
        let looked = format!("{} ({})", number(self.looked_at), size(self.bytes));
        match how {
            None => format!("{} (không xem · not looked at: --bodies)", number(kept)),
            Some(How::Look) => {
                format!("{looked}, có đủ và đúng kích thước hay không (đọc hết: --bodies=read)")
            }
            Some(How::Read) => format!("{looked}, đã đọc và đối chiếu mã băm {}", number(self.read)),
        }
    }
}

/// Looks for every body that the ledger keeps apart.
///
/// # Errors
/// [`Trouble`] when ledger or store cannot be read.
pub(super) async fn look(ledger: &Ledger, store: &StoredBodies, how: How) -> Result<Apart, Trouble> {
    let mut apart = Apart::default();
    let mut after = None;
    loop {
        let page = ledger.kept_bodies(after, PAGE_MAX).await?;
        let Some(last) = page.last() else {
            return Ok(apart);
        };
        after = Some(last.sha256);
        for kept in page.iter().filter(|kept| kept.place == BodyPlace::Apart) {
            let finding = look_for(store, kept.sha256, kept.size, how, &mut apart).await;
            let Some(finding) = finding.map_err(|error| AppError::Bodies(WebError::Store(error)))? else {
                continue;
            };
            // A hub that runs may have let it go since the page was read.
            if ledger.is_kept_apart(kept.sha256).await? {
                apart.findings.push(finding);
            }
            if apart.findings.len() >= FINDINGS_MAX {
                return Ok(apart);
            }
        }
    }
}

async fn look_for(
    store: &StoredBodies,
    sha256: Sha256,
    expected: u64,
    how: How,
    apart: &mut Apart,
) -> Result<Option<Finding>, BodyError> {
    apart.looked_at += 1;
    apart.bytes = apart.bytes.saturating_add(expected);
    let found = match store.size(sha256).await? {
        None => {
            return Ok(Some(Finding::Missing {
                sha256,
                size: expected,
            }));
        }
        Some(found) => found,
    };
    if found != expected {
        return Ok(Some(Finding::SizeDiffers {
            sha256,
            expected,
            found,
        }));
    }
    if how == How::Look {
        return Ok(None);
    }
    apart.read += 1;
    match store.verify(sha256).await {
        Ok(Some(_)) => Ok(None),
        // Removed since a moment ago; the ledger is asked next.
        Ok(None) => Ok(Some(Finding::Missing {
            sha256,
            size: expected,
        })),
        Err(BodyError::Damaged) => Ok(Some(Finding::DigestDiffers { sha256 })),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use truc_model::wire::BodyReference;
    use truc_model::{Clock, SeededRandom};

    use super::*;
    use crate::flow::bodies::tests::{Kit, SENDER};

    fn bodies(kit: &Kit) -> StoredBodies {
        let settings = kit.bodies.store.settings().clone();
        let clock = Arc::clone(&kit.bodies.clock) as Arc<dyn Clock>;
        StoredBodies::local(settings, clock, Arc::new(SeededRandom::new(1))).unwrap()
    }

    async fn kept(kit: &Kit, number: u32) -> BodyReference {
        let named = kit.upload(SENDER, format!("packet {number}").as_bytes()).await;
        kit.accepted(named, number).await;
        named
    }

    /// The file of a body.
    fn file(kit: &Kit, body: BodyReference) -> std::path::PathBuf {
        let name = body.sha256.to_string();
        let dir = kit.bodies.store.settings().dir.join("objects");
        dir.join(&name[..2]).join(&name[2..4]).join(&name)
    }

    #[tokio::test]
    async fn what_is_there_and_whole_is_no_finding() {
        let kit = Kit::new().await;
        let store = bodies(&kit);
        assert_eq!(
            look(&kit.bodies.ledger, &store, How::Read).await.unwrap(),
            Apart::default()
        );
        for number in 1..4 {
            kept(&kit, number).await;
        }
        // One that no message names yet is the store's own affair, and the hub that runs beside is in nobody's way.
        kit.upload(SENDER, b"not yet named").await;
        for (how, read) in [(How::Look, 0), (How::Read, 3)] {
            let apart = look(&kit.bodies.ledger, &store, how).await.unwrap();
            let expected = Apart {
                looked_at: 3,
                bytes: 24,
                read,
                findings: vec![],
            };
            assert_eq!(apart, expected);
        }
    }

    #[tokio::test]
    async fn what_is_missing_or_changed_is_found() {
        let kit = Kit::new().await;
        let store = bodies(&kit);
        let (gone, cut, changed) = (kept(&kit, 1).await, kept(&kit, 2).await, kept(&kit, 3).await);
        kept(&kit, 4).await;
        std::fs::remove_file(file(&kit, gone)).unwrap();
        std::fs::write(file(&kit, cut), b"pack").unwrap();
        std::fs::write(file(&kit, changed), b"packet 8").unwrap();
        let missing = Finding::Missing {
            sha256: gone.sha256,
            size: 8,
        };
        let shorter = Finding::SizeDiffers {
            sha256: cut.sha256,
            expected: 8,
            found: 4,
        };
        let other = Finding::DigestDiffers {
            sha256: changed.sha256,
        };
        for (how, expected) in [
            (How::Look, vec![&missing, &shorter]),
            (How::Read, vec![&missing, &shorter, &other]),
        ] {
            let found = look(&kit.bodies.ledger, &store, how).await.unwrap();
            assert_eq!(found.looked_at, 4);
            assert_eq!(found.findings.len(), expected.len(), "{found:?}");
            assert!(
                expected.iter().all(|finding| found.findings.contains(finding)),
                "{found:?}"
            );
        }
    }
}
