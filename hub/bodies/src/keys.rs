//! Where things stand in the store: the names of objects and of the small records beside them.
//!
//! ```text
//! objects/ab/cd/<sha256>                         the bytes
//! owners/ab/cd/<sha256>.<system>                 who uploaded them
//! unnamed/<system>/<sha256>.<size>.<seconds>     uploaded, and named by no submission yet
//! pins/ab/<sha256>.<seconds>.<uuid>              about to be named
//! condemned/<sha256>                             about to be removed
//! probe                                          for a moment, when somebody looks whether the store works
//! ```
//!
//! The records say all they say in their names: one listing reads them. Folders are few and stay.

use object_store::path::Path;
use truc_model::{Sha256, SystemId};
use uuid::Uuid;

pub(crate) const CONDEMNED: &str = "condemned";
pub(crate) const UNNAMED: &str = "unnamed";

fn folders(body: &Sha256) -> String {
    let [a, b, ..] = body.as_bytes();
    format!("{a:02x}/{b:02x}")
}

pub(crate) fn object(body: &Sha256) -> Path {
    Path::from(format!("objects/{}/{body}", folders(body)))
}

pub(crate) fn shard(shard: u8) -> Path {
    Path::from(format!("objects/{shard:02x}"))
}

pub(crate) fn owners(body: &Sha256) -> Path {
    Path::from(format!("owners/{}", folders(body)))
}

pub(crate) fn owner(body: &Sha256, system: &SystemId) -> Path {
    Path::from(format!("owners/{}/{body}.{system}", folders(body)))
}

/// The system of an owner's record of `body`.
pub(crate) fn read_owner(path: &Path, body: &Sha256) -> Option<SystemId> {
    let rest = path.filename()?.strip_prefix(&format!("{body}."))?;
    SystemId::new(rest).ok()
}

pub(crate) fn unnamed_of(system: &SystemId) -> Path {
    Path::from(format!("{UNNAMED}/{system}"))
}

/// A body that a system uploaded and named by no submission yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unnamed {
    pub(crate) system: SystemId,
    pub(crate) body: Sha256,
    pub(crate) size: u64,
    /// Unix seconds.
    pub(crate) since: i64,
}

impl Unnamed {
    pub(crate) fn path(&self) -> Path {
        let Self {
            system,
            body,
            size,
            since,
        } = self;
        Path::from(format!("{UNNAMED}/{system}/{body}.{size}.{since}"))
    }

    pub(crate) fn read(path: &Path) -> Option<Self> {
        let mut parts = path.as_ref().strip_prefix("unnamed/")?.split('/');
        let system = SystemId::new(parts.next()?).ok()?;
        let mut words = parts.next()?.split('.');
        Some(Self {
            system,
            body: words.next()?.parse().ok()?,
            size: words.next()?.parse().ok()?,
            since: words.next()?.parse().ok()?,
        })
    }
}

pub(crate) fn pins(body: &Sha256) -> Path {
    Path::from(format!("pins/{:02x}", body.as_bytes()[0]))
}

pub(crate) fn pin(body: &Sha256, since: i64, id: Uuid) -> Path {
    Path::from(format!("pins/{:02x}/{body}.{since}.{id}", body.as_bytes()[0]))
}

/// Since when, in Unix seconds, a pin of `body` holds.
pub(crate) fn read_pin(path: &Path, body: &Sha256) -> Option<i64> {
    let rest = path.filename()?.strip_prefix(&format!("{body}."))?;
    rest.split('.').next()?.parse().ok()
}

/// What a look at the store writes and deletes.
pub(crate) fn probe() -> Path {
    Path::from("probe")
}

pub(crate) fn condemned(body: &Sha256) -> Path {
    Path::from(format!("{CONDEMNED}/{body}"))
}

/// The body that an object, or the record of a condemned one, is named by.
pub(crate) fn read_body(path: &Path) -> Option<Sha256> {
    path.filename()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let body = Sha256::of(b"abc");
        let system = SystemId::new("so-tnmt.1").unwrap();
        assert_eq!(object(&body).as_ref(), format!("objects/ba/78/{body}"));
        assert_eq!(read_body(&object(&body)), Some(body));
        assert_eq!(read_owner(&owner(&body, &system), &body), Some(system.clone()));
        assert_eq!(read_owner(&owner(&Sha256::of(b""), &system), &body), None);
        let unnamed = Unnamed {
            system,
            body,
            size: 3,
            since: 1_700_000_000,
        };
        assert_eq!(Unnamed::read(&unnamed.path()), Some(unnamed));
        assert_eq!(Unnamed::read(&object(&body)), None);
        let pinned = pin(&body, 17, Uuid::nil());
        assert_eq!(read_pin(&pinned, &body), Some(17));
        assert_eq!(read_pin(&pinned, &Sha256::of(b"")), None);
        assert_eq!(read_body(&condemned(&body)), Some(body));
    }
}
